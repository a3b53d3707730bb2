"""What nbval does not see: each guard names every breach, and is itself shown to fail."""

from __future__ import annotations

import ast
import copy
import functools
import json
import re
import statistics
import tomllib
from pathlib import Path

import nbformat
import pytest
import torch
from IPython.core.inputtransformer2 import TransformerManager

from cnncourse.claims import NUMBER
from cnncourse.cross_correlation import corr2d
from tools import predictions
from tools.claims import claim_calls
from tools.notebooks import KERNEL, chapters, execute, is_current, read_text, same_inputs
from tools.seal import digest

ROOT = Path(__file__).resolve().parents[2]
TEXTS = chapters()
TAGS = {
    "heavy",  # trains for more than a few seconds: left out of the Colab test
    "hide-input",
    "hide-output",
    "nbval-ignore-output",
    "nbval-raises-exception",
    "raises-exception",
    "remove-cell",
    "remove-input",  # of the setup cell
    "test",
}
MAX_LINES, MAX_MEDIAN, MAX_P90 = 25, 6, 15
MAX_BYTES = 1_000_000
SECTIONS = ("After this chapter you can", "What goes wrong", "Recap", "Exercises", "Sources")


@functools.cache
def load(path):
    return nbformat.read(path.with_suffix(".ipynb"), as_version=4)


def code_cells(notebook):
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def tags(cell):
    return set(cell.metadata.get("tags", []))


def is_hidden(cell):
    return "remove-cell" in tags(cell)


# The guards: each takes a notebook and returns what is wrong, one line a breach.


def find_wrong_counts(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    expected = list(range(1, len(counts) + 1))
    return [] if counts == expected else [f"execution counts are {counts}, not 1 to {len(counts)}"]


def find_semicolons(notebook):
    cells = code_cells(notebook)
    return [f"ends in `;`: {c.source!r}" for c in cells if c.source.rstrip().endswith(";")]


def find_stderr_and_errors(notebook):
    found = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                found.append(f"writes to stderr: {output.text!r}")
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                found.append(f"stores the error {output.ename}: {output.evalue}")
    return found


def find_machine_paths(notebook):
    """A path of the machine where the notebook ran is noise to a reader, and differs elsewhere."""
    outputs = json.dumps([cell.outputs for cell in code_cells(notebook)])
    return re.findall(r"site-packages|/(?:home|Users|root|tmp|work|private)/[\w.-]+", outputs)


def find_unknown_tags(notebook):
    return [f"unknown tag {tag!r}" for cell in notebook.cells for tag in tags(cell) - TAGS]


def find_long_cells(notebook):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]
    visible = [len(c.source.splitlines()) for c in code_cells(notebook) if not is_hidden(c)]
    found = [f"a cell of {n} lines; at most {MAX_LINES}" for n in lengths if n > MAX_LINES]
    if statistics.median(visible) > MAX_MEDIAN:
        found.append(f"median of {statistics.median(visible)} lines; at most {MAX_MEDIAN}")
    if sorted(visible)[int(0.9 * (len(visible) - 1))] > MAX_P90:
        found.append(f"more than a tenth of the cells exceed {MAX_P90} lines")
    return found


def find_broken_seal(notebook):
    stored = notebook.metadata.get("cnncourse", {}).get("digest")
    return [] if stored == digest(notebook) else ["changed after `make notebooks` wrote it"]


def find_images_without_words(notebook):
    found = []
    for cell in code_cells(notebook):
        if not any("image/png" in output.get("data", {}) for output in cell.outputs):
            continue
        settings = cell.metadata.get("mystnb", {})
        if not settings.get("image", {}).get("alt", "").strip():
            found.append(f"a figure without alt text: {cell.source[:60]!r}")
        if not settings.get("figure", {}).get("caption", "").strip():
            found.append(f"a figure without caption: {cell.source[:60]!r}")
    return found


def find_unchecked_ignored_outputs(notebook):
    """An output that nbval skips must be followed, in its section, by a hidden assertion."""
    found, waiting = [], []
    for kind, content in walk(notebook):
        if kind == "claims" and re.search(r"\b(says|asks)\(|\bassert ", content):
            waiting = []
        if kind == "section":
            found, waiting = found + waiting, []
        if kind == "code" and "nbval-ignore-output" in tags(content):
            waiting.append(f"output ignored by nbval and asserted nowhere: {content.source[:60]!r}")
    return found + waiting


def find_names_of_checks(notebook):
    """A learner's notebook has no hidden cells: what is visible must not need a name from them.

    Then its cells, which are those of this notebook, run as they do here.
    """
    given, hidden, found = set(), set(), []
    for cell in code_cells(notebook):
        read, written = names(cell)
        if is_hidden(cell):
            hidden |= written
            continue
        given |= written
        missing = sorted(read & hidden - given)
        found += [f"only a hidden cell gives {name!r}: {cell.source[:60]!r}" for name in missing]
    return found


def names(cell):
    """Return the names that a cell reads, and those that it gives to the cells below."""
    nodes = list(ast.walk(ast.parse(TransformerManager().transform_cell(cell.source))))
    used = [node for node in nodes if isinstance(node, ast.Name)]
    read = {node.id for node in used if isinstance(node.ctx, ast.Load)}
    defined = [n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    imported = [n.asname or n.name for n in nodes if isinstance(n, ast.alias)]
    arguments = [node.arg for node in nodes if isinstance(node, ast.arg)]
    written = {node.id for node in used if isinstance(node.ctx, ast.Store)}
    return read, written.union(defined, imported, arguments)


def find_backtick_directives(notebook):
    """Colab shows ```{note} as code; :::{note} still reads as text."""
    return [
        f"a directive in backticks: {line!r}"
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if re.match(r"\s*```\{", line)
    ]


def find_missing_sections(notebook):
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    found = [f"no part {part!r}" for part in SECTIONS if part not in text]
    if not any("google.colab" in cell.source for cell in code_cells(notebook)):
        found.append("no setup cell for Colab")
    if not any("raises-exception" in tags(cell) for cell in code_cells(notebook)):
        found.append("no cell that goes wrong on purpose (tag raises-exception)")
    return found


def find_questions_without_key(notebook):
    """Every box predict has a key that can be read."""
    return [
        f"{reason}: {content!r}"
        for part in asked(notebook)
        for content in part[0]
        for reason in trouble(content)
    ]


def find_folded_explorers(notebook):
    """No explorer waits for a guess: a link may lead to it."""
    found, left, is_told = [], 0, False  # cells that are still folded; whether text came since
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            boxes = [box for box in predictions.boxes(cell.source) if not list(trouble(box))]
            is_told = left > 0 and not boxes
            if boxes:
                left = int(predictions.read(boxes[-1]).cells)
            elif re.search(r"(?m)^#", cell.source):
                left = 0
        elif left and "remove-cell" not in tags(cell):
            left -= is_told
            is_told = False
            if left and any("explorer" in o.get("metadata", {}) for o in cell.outputs):
                found.append(cell.source)
    return found


def trouble(content):
    try:
        predictions.read(content)
    except ValueError as reason:
        yield reason


def find_unasserted_answers(notebook):
    """Each answer, and each mistake that is a number, is computed by a call of asks()."""
    found = []
    for boxes, calls in asked(notebook):
        keys = {(box, key) for box in boxes for key in asserted_keys(box)}
        made = {
            (box, key) for question, key in calls for box in boxes if question in question_of(box)
        }
        found += [f"no asks() for {key!r} of {box!r}" for box, key in sorted(keys - made)]
        found += [f"asks() for {key!r}, no key of {box!r}" for box, key in sorted(made - keys)]
        found += [
            f"asks() for a question that is not there: {question!r}"
            for question, _ in calls
            if not any(question in question_of(box) for box in boxes)
        ]
    return found


def question_of(box):
    return " ".join(predictions.split(box)[0].split())


def asserted_keys(box):
    if list(trouble(box)):
        return []
    key = predictions.read(box)
    mistakes = [] if key.is_choice else list(key.said)
    return [key.answer, *mistakes]


def asked(notebook):
    """Return ([contents of boxes], [(question, key) of asks()]) for each section."""
    parts = [([], [])]
    for kind, content in walk(notebook, whole=True):
        if kind == "section":
            parts.append(([], []))
        elif kind == "prose":
            parts[-1][0].extend(predictions.boxes(content))
        elif kind == "claims":
            parts[-1][1].extend(answer_calls(content))
    return parts


def answer_calls(source):
    """Return (question, key) for each key in the calls of asks()."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        (ast.literal_eval(call.args[0]), ast.literal_eval(key))
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "asks"
        for key in call.args[1].keys
    ]


def without_keys(text):
    """Leave of each box the question and what is said: find_unasserted_answers reads the rest."""

    def words(box):
        if list(trouble(box[1])):
            return box[0]
        key = predictions.read(box[1])
        shown = list(key.said) if key.is_choice else []
        return "\n\n".join([key.question, *shown, *key.said.values()]) + "\n"

    return predictions.BOX.sub(words, text)


def walk(notebook, whole=False):
    """Yield ("section", heading), ("prose", text), ("claims", source), ("code", cell) in order."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for part in re.split(r"(?m)^(?=#{1,2} )", cell.source):
                if part.startswith("#"):
                    yield "section", part.splitlines()[0]
                yield "prose", part if whole else without_keys(part)
        elif is_hidden(cell):
            yield "claims", cell.source
        elif cell.cell_type == "code":
            yield "code", cell
            settings = cell.metadata.get("mystnb", {})
            yield "prose", settings.get("image", {}).get("alt", "")
            yield "prose", settings.get("figure", {}).get("caption", "")


def sections(notebook):
    """Return (heading, prose, [claim calls]) for each part between headings of level 1 and 2."""
    parts = [("", [], [])]
    for kind, content in walk(notebook):
        if kind == "section":
            parts.append((content, [], []))
        elif kind == "prose":
            parts[-1][1].append(content)
        elif kind == "claims":
            parts[-1][2].extend(claim_calls(content))
    return [(heading, plain("\n\n".join(prose)), claims) for heading, prose, claims in parts]


# What is not a statement of the text: code, addresses, names of roles and directives, references.
NOT_PROSE = [
    r"(?ms)^(?P<fence>```+|~~~+).*?^(?P=fence)",
    r"(?m)^:{3,}.*$",
    r"(?m)^:[a-z-]+:.*$",
    r"\{[a-z:-]+\}`[^`]*`",
    r"\]\([^)]*\)",
    r"<[^>]+>",
    r"(?m)^\([\w-]+\)=$",
    r"\b[Cc]hapters? \d+(?: (?:to|and) \d+)?",
    r"(?m)^#+ \d+\. ",
    r"\*\*\d+\. (?=[A-Z])",  # the number of an exercise, and the time it takes
    r"\(\d+ minutes, (?:easy|medium|hard)\)",
    r"(?m)^\d+\. ",
    r"\b[1-4]-D\b",
    r"\b1×1\b",  # without spaces it is a name, with them a size
]


def plain(text):
    """Strip what is not prose; keep numbers in code spans that hold nothing but a number."""
    for pattern in NOT_PROSE:
        text = re.sub(pattern, " ", text)
    text = re.sub(r"`([^`]*[A-Za-z_\[(][^`]*)`", lambda span: re.sub(r"\d", "#", span[0]), text)
    text = re.sub(
        r"\$+[^$]+\$+", lambda math: re.sub(r"(?<!\d)[012](?![\d.,]\d|\d)", "#", math[0]), text
    )
    return " ".join(text.split())


def find_unasserted_numbers(notebook):
    """Every number of the prose lies in a phrase that says() or cites() repeats in its section."""
    found = []
    for heading, prose, claims in sections(notebook):
        spans = []
        for _, phrase, _ in claims:
            wanted = plain(phrase)
            here = [m.span() for m in re.finditer(re.escape(wanted), prose)]
            if not here:
                found.append(f"{heading!r}: the claim {phrase!r} does not stand in the text")
            spans += here
        for number in NUMBER.finditer(prose):
            start, end = number.span()
            if not any(first <= start and end <= last for first, last in spans):
                context = prose[max(0, start - 30) : end + 30]
                found.append(f"{heading!r}: no assertion for {number[0]} in {context!r}")
    return found


def find_unknown_sources(notebook):
    keys = set(
        re.findall(r"(?m)^@\w+\{([^,]+),", (ROOT / "book/references.bib").read_text("utf-8"))
    )
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return [
        f"{call[1]!r} cites {call[2].get('source')!r}, which the bibliography or the text lacks"
        for _, _, claims in sections(notebook)
        for call in claims
        if call[0] == "cites"
        and (call[2].get("source") not in keys or call[2]["source"] not in text)
    ]


GUARDS = [
    find_wrong_counts,
    find_semicolons,
    find_stderr_and_errors,
    find_machine_paths,
    find_unknown_tags,
    find_long_cells,
    find_broken_seal,
    find_images_without_words,
    find_unchecked_ignored_outputs,
    find_names_of_checks,
    find_backtick_directives,
    find_missing_sections,
    find_questions_without_key,
    find_folded_explorers,
    find_unasserted_answers,
    find_unasserted_numbers,
    find_unknown_sources,
]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_chapter_keeps(guard, path):
    assert guard(load(path)) == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_notebook_has_the_cells_of_its_text(path):
    assert is_current(path), "run `make notebooks`"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_notebook_is_small(path):
    assert path.with_suffix(".ipynb").stat().st_size < MAX_BYTES


def test_every_chapter_is_in_the_table_of_contents():
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    assert TEXTS
    assert [p.stem for p in TEXTS if f"book/{p.stem}" not in toc] == []


def test_landing_page_shows_what_corr2d_computes():
    """The example's three matrices, read from the page's own formula."""
    matrices = re.findall(
        r"begin\{pmatrix\}(.*?)\\end", (ROOT / "book/index.md").read_text("utf-8"), re.DOTALL
    )
    x, kernel, expected = (
        torch.tensor([[float(n) for n in re.findall(r"\d+", row)] for row in text.split(r"\\")])
        for text in matrices
    )
    assert torch.equal(corr2d(x, kernel), expected)


def test_requirements_hold_the_needs_of_the_package():
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    pinned = set(re.findall(r"(?m)^([\w-]+)==", (ROOT / "requirements.txt").read_text("utf-8")))
    assert {re.match(r"[\w-]+", need)[0] for need in needs} <= pinned


# Each guard fails on a copy that is broken in one place.

SAMPLE = """\
---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {name: python3, display_name: Python 3}
---

# 3. A sample chapter

After this chapter you can tell a guard from a decoration, as LeNet-5 does in chapter 8.

+++

## Counting

A box of 3 rows holds 1,200 beans, says {cite:p}`known`.

:::{predict}
How many beans lie in each
row? Count them.
---
answer: 400
said:
  1200: That is the box.
:::

:::{predict}
Are the rows alike?
---
answer: all alike
said:
  all alike:
  none like another: Look at 5 of them.
:::

It weighs $4.5$ kg, about 37 % of a stone in 1998, and `len(x) == 99`.

```{code-cell} ipython3
:tags: [nbval-ignore-output]
print("random")
```

```{code-cell} ipython3
:tags: [remove-cell, test]
says("3 rows", 3)
says("1,200 beans", 1200)
says("$4.5$ kg, about 37 %", 4.5, 0.37)
says("ends at 42", 42)
cites("in 1998", source="known")
says("Look at 5 of", 5)
asks("in each row?", {"400": 400, "1200": 1200})
asks("Are the rows", {"all alike": True})
```

## What goes wrong

```{code-cell} ipython3
:tags: [raises-exception]
1 / 0
```

## Recap

## Exercises

## Sources
"""


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """A small chapter that every guard accepts, executed on paper."""
    monkeypatch.setattr("tests.book.test_book.ROOT", tmp_path)
    (tmp_path / "book").mkdir()
    (tmp_path / "book/references.bib").write_text("@book{known,\n}\n")
    (tmp_path / "sample.md").write_text(SAMPLE, "utf-8")
    notebook = read_text(tmp_path / "sample.md")
    for count, cell in enumerate(code_cells(notebook), 1):
        cell.execution_count = count
    figure = code_cells(notebook)[1]
    figure.metadata["mystnb"] = {
        "image": {"alt": "A curve that ends at 42."},
        "figure": {"caption": "The caption."},
    }
    figure.outputs = [
        nbformat.v4.new_output("display_data", data={"image/png": "iVBORw0KGgo="}),
        nbformat.v4.new_output("stream", name="stdout", text="random\n"),
    ]
    notebook.metadata["cnncourse"] = {"digest": digest(notebook)}
    return notebook


def edit(index, old, new):
    def change(notebook):
        assert old in notebook.cells[index].source
        notebook.cells[index].source = notebook.cells[index].source.replace(old, new)

    return change


def describe(key, **words):
    return lambda notebook: code_cells(notebook)[1].metadata.mystnb[key].update(words)


def change_png(notebook):
    code_cells(notebook)[1].outputs[0].data["image/png"] = "iVBORw0KGgp="


def change_printed_text(notebook):
    code_cells(notebook)[1].outputs[1].text = "another\n"


def write_stderr(notebook):
    code_cells(notebook)[0].outputs = [nbformat.v4.new_output("stream", name="stderr", text="!")]


def store_error(notebook):
    code_cells(notebook)[0].outputs = [nbformat.v4.new_output("error", ename="E", evalue="v")]


def need_a_hidden_name(how):
    def change(notebook):
        *_, hidden, visible = code_cells(notebook)
        hidden.source += f"\n{how}"
        visible.source = "total / 0"

    return change


def explore(notebook):
    code_cells(notebook)[1].outputs[0].metadata["explorer"] = {"script": "kernel"}


def print_path(path):
    return lambda notebook: code_cells(notebook)[1].outputs[1].update(text=f"{path}\n")


BREAKS = [
    (find_wrong_counts, lambda nb: code_cells(nb)[1].update(execution_count=None)),
    (find_wrong_counts, lambda nb: code_cells(nb)[2].update(execution_count=7)),
    (find_semicolons, lambda nb: code_cells(nb)[0].update(source="draw();")),
    (find_stderr_and_errors, write_stderr),
    (find_stderr_and_errors, store_error),
    (find_machine_paths, print_path("/home/someone/book")),
    (find_machine_paths, print_path("/tmp/book")),
    (find_machine_paths, print_path("lib/site-packages/torch")),
    (find_unknown_tags, lambda nb: code_cells(nb)[0].metadata.update(tags=["hidden"])),
    (find_long_cells, lambda nb: code_cells(nb)[2].update(source="x = 1\n" * 26)),
    (find_long_cells, lambda nb: [c.update(source="x = 1\n" * 7) for c in code_cells(nb)]),
    (find_broken_seal, change_png),
    (find_broken_seal, change_printed_text),
    (find_broken_seal, lambda nb: nb.metadata.pop("cnncourse")),
    (find_images_without_words, describe("image", alt=" ")),
    (find_images_without_words, lambda nb: code_cells(nb)[1].metadata.mystnb.pop("figure")),
    (find_unchecked_ignored_outputs, lambda nb: code_cells(nb)[2].update(source="x = 1")),
    (find_names_of_checks, need_a_hidden_name("total = 3")),
    (find_names_of_checks, need_a_hidden_name("from math import pi as total")),
    (find_names_of_checks, need_a_hidden_name("def total(): pass")),
    (find_backtick_directives, edit(0, "After", "```{note}\nAfter")),
    (find_missing_sections, edit(-1, "Sources", "Further reading")),
    (find_missing_sections, lambda nb: code_cells(nb)[0].update(source="pass")),
    (find_missing_sections, lambda nb: code_cells(nb)[3].metadata.update(tags=[])),
    (find_questions_without_key, edit(2, "---\nanswer: 400", "")),
    (find_questions_without_key, edit(2, "answer: all alike", "answer: two alike")),
    (find_questions_without_key, edit(2, "Look at 5 of them.", "")),
    (find_folded_explorers, explore),
    (find_unasserted_answers, edit(2, "answer: 400", "answer: 401")),
    (find_unasserted_answers, edit(2, "  1200:", "  1300:")),
    (find_unasserted_answers, edit(4, 'asks("Are the rows", {"all alike": True})', "")),
    (find_unasserted_answers, edit(4, '"Are the rows"', '"Are the beans"')),
    (find_unasserted_numbers, edit(2, "Look at 5", "Look at 6")),
    (find_unasserted_numbers, edit(2, "3 rows", "4 rows")),
    (find_unasserted_numbers, edit(2, "1,200", "1,300")),
    (find_unasserted_numbers, edit(2, "1,200", "11,200")),
    (find_unasserted_numbers, edit(2, "4.5", "4.6")),
    (find_unasserted_numbers, edit(2, "37 %", "38 %")),
    (find_unasserted_numbers, edit(2, "1998", "1989")),
    (find_unasserted_numbers, edit(2, "`len(x) == 99`", "`99`")),
    (find_unasserted_numbers, edit(2, "A box", "A box, 5 of them,")),
    (find_unasserted_numbers, describe("image", alt="At 43.")),
    (find_unasserted_numbers, describe("figure", caption="8 lines")),
    (find_unasserted_numbers, edit(7, "Recap", "Recap of 6 things")),
    (find_unknown_sources, edit(4, 'source="known"', 'source="unknown"')),
    (find_unknown_sources, edit(2, "{cite:p}`known`", "somebody")),
]  # fmt: skip


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_sample_passes(guard, sample):
    assert guard(sample) == []


@pytest.mark.parametrize(("guard", "damage"), BREAKS)
def test_guard_sees_damage(guard, damage, sample):
    damage(sample)
    assert guard(sample) != []


def test_every_guard_is_shown_to_fail():
    assert {guard for guard, _ in BREAKS} == set(GUARDS)


def test_same_inputs_sees_a_changed_cell(sample):
    other = copy.deepcopy(sample)
    assert same_inputs(sample, other)
    other.cells[1].metadata["tags"] = ["heavy"]
    assert not same_inputs(sample, other)
    other = copy.deepcopy(sample)
    other.cells[2].source += " More."
    assert not same_inputs(sample, other)


def test_execution_joins_streams_and_drops_the_files_of_a_traceback(tmp_path):
    source = "import json\nprint(1, flush=True); print(2, flush=True)\njson.loads('')"
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["raises-exception"]})
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": KERNEL})
    execute(notebook, tmp_path)
    stream, error = notebook.cells[0].outputs
    assert stream.text == "1\n2\n"
    assert "decoder.py" not in "".join(error.traceback)
