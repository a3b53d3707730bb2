"""What tools/pages makes of a small book: built once with the settings of the real one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from bs4 import BeautifulSoup, Tag
from PIL import Image
from playwright.sync_api import Browser

from cnncourse.checks.chapters import ORDER
from tests.book.guards import find_broken_links, find_console_errors, find_violations
from tests.book.visits import serve, visiting
from tools.notebooks import chapters, read_text
from tools.pages.figures import chapter_number
from tools.pages.formulas import to_mathml

ROOT = Path(__file__).resolve().parents[2]

CHAPTER = """\
# 2. A chapter

The matrix of windows is known as **im2col**. It is **not** in the list.

im2col again, and `im2col`. No second matrix of windows.

So {chapter}`later` follows {chapter}`unwritten`.

:::{figure} plot.png
:alt: A square.

The first figure.
:::

:::{figure} other.png
:alt: Another square.
:name: second

The second figure.
:::

As {numref}`second` shows, $\\lVert x \\rVert$ grows.

:::{predict}
What comes out of $k * x$?

- four numbers
- nine
---
answer: 4 × 4
said:
  5 × 5: Without `padding` it is **im2col** and smaller.
:::

## A section

$$
y = \\sqrt{x}
$$ (root)

:::{predict}
And now?
---
answer: nine < ten
said:
  nine < ten:
  the matrix of windows: No.
:::

In {eq}`root`:

```python
def corr1d(x, kernel):
    return sum(x[j] * kernel[j] for j in range(len(kernel)))
```

:::{exercise}
Count.
:::

:::{dropdown} Answer
The secret is 17.
:::
"""
LATER = """\
# 3. Another chapter

:::{figure} plot.png
:alt: A square.

The first figure of this chapter.
:::

:::{exercise}
Count again.
:::
"""
LANDING = """\
# Home

:::{chapters}
unwritten | Unwritten | Why?
chapter | A chapter | What?
later | Another chapter | How?
:::
"""
GLOSSARY = """\
# Words

im2col, im2col
: Windows as columns.
: 창을 열로 펼친 것.

matrix, 행렬
: A table of numbers.
: 수를 늘어놓은 표.

window matrix, matrix of windows, 창 행렬
: A matrix with a window in each row.
: 행마다 창이 하나씩 있는 행렬.
"""
PAGES = {"book/index": LANDING, "book/02_chapter": CHAPTER, "book/03_later": LATER}
PAGES["book/glossary"] = GLOSSARY
PAGES["book/exercises/01_unwritten"] = "# Exercises\n\nDo it.\n"
PAGES["book/exercises/02_chapter"] = "# Exercises for it\n\nDo it.\n"


def write_book(folder: Path, pages: dict[str, str], terms: str = "im2col\n") -> None:
    """Write a book with the settings, templates and styles of this one."""
    shutil.copytree(ROOT / "book/_static", folder / "book/_static")
    shutil.copytree(ROOT / "book/_templates", folder / "book/_templates")
    # The sample's chapters have no notebooks beside them.
    settings = (ROOT / "_config.yml").read_text("utf-8").replace('- "book/[0-9]*.md"', "- none")
    (folder / "_config.yml").write_text(settings, "utf-8")
    (folder / "book/terms.txt").write_text(terms, "utf-8")
    (folder / "book/references.bib").write_text("", "utf-8")
    Image.new("RGB", (40, 20), "white").save(folder / "book/plot.png")
    Image.new("RGB", (30, 20), "black").save(folder / "book/other.png")
    chapters = "\n".join(f"- file: {name}" for name in pages if name != "book/index")
    toc = f"format: jb-book\nroot: book/index\nchapters:\n{chapters}\n"
    (folder / "_toc.yml").write_text(toc, "utf-8")
    for name, text in pages.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")


def build(folder: Path) -> subprocess.CompletedProcess:
    """Run the command of ``make book``."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", ".", "-n", "-W", "--keep-going"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    write_book(folder, PAGES)
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "_build/html"


@pytest.fixture(scope="module")
def chapter(book: Path) -> Tag:
    return article(book, "book/02_chapter")


def article(book: Path, name: str) -> Tag:
    return BeautifulSoup((book / f"{name}.html").read_text("utf-8"), "html.parser").article


# ---------------------------------------------------------------------------------------------
# Figures


def test_figures_are_numbered_by_chapter(book: Path, chapter: Tag) -> None:
    numbers = [number.text.strip() for number in chapter.select(".caption-number")]
    assert [number for number in numbers if number.startswith("Fig.")] == ["Fig. 2.1", "Fig. 2.2"]
    later = article(book, "book/03_later")
    assert later.select_one("figcaption .caption-number").text.strip() == "Fig. 3.1"


def test_a_reference_names_the_same_number(chapter: Tag) -> None:
    assert "As Fig. 2.2 shows" in chapter.text


def test_exercises_keep_their_own_numbers(book: Path, chapter: Tag) -> None:
    titles = [chapter, article(book, "book/03_later")]
    assert [page.select_one(".exercise .admonition-title").text.strip() for page in titles] == [
        "Exercise 1",
        "Exercise 2",
    ]


@pytest.mark.parametrize(
    ("page", "number"),
    [
        ("book/08_lenet", (8,)),
        ("book/A_nonlinearity", ("A",)),
        ("book/index", ()),
        ("book/exercises/08_lenet", ()),
    ],
)
def test_chapter_number_is_that_of_the_file(page: str, number: tuple[int, ...]) -> None:
    assert chapter_number(page) == number


def test_images_are_webp_without_loss_and_with_their_size(book: Path, chapter: Tag) -> None:
    image = chapter.select_one("figure img")
    assert (image["width"], image["height"], image["alt"]) == ("40", "20", "A square.")
    with (
        Image.open(book / "book" / image["src"]) as sent,
        Image.open(book.parents[1] / "book/plot.png") as drawn,
    ):
        assert sent.format == "WEBP"
        assert sent.convert("RGB").tobytes() == drawn.tobytes()


# ---------------------------------------------------------------------------------------------
# Formulas


def test_formulas_are_mathml(chapter: Tag) -> None:
    inline, *_, display = chapter.select("math")
    assert inline.text == "‖x‖"
    assert display["display"] == "block"
    assert display.msqrt.text == "x"


def test_formula_with_a_label_has_its_number_and_a_link(chapter: Tag) -> None:
    assert chapter.select_one("div.math .eqno").text == "(1)"
    assert chapter.select_one('a[href="#equation-root"]').text == "(1)"


@pytest.mark.parametrize("label", [True, False])
def test_formula_wider_than_its_box_begins_at_the_left(
    browser: Browser, book: Path, label: bool
) -> None:
    narrow = """(box, label) => {
        if (!label) box.querySelector(".eqno").remove();
        box.style.width = "20px";
        const [formula, edge] = [box.querySelector("math"), box.getBoundingClientRect().left];
        return [formula.getBoundingClientRect().left - edge, box.scrollWidth];
    }"""
    with visiting(browser, book, "book/02_chapter") as visit:
        left, width = visit.page.eval_on_selector("div.math", narrow, label)
    assert left == 0
    assert width > 20


@pytest.mark.parametrize(
    ("tex", "wanted"),
    [
        (r"f'", '<mrow><mi>f</mi><mo lspace="0" rspace="0">′</mo></mrow>'),
        (r"f''(x)", '<mrow><mi>f</mi><mo lspace="0" rspace="0">″</mo></mrow>'),
        (r"x^2", "<msup><mi>x</mi><mn>2</mn></msup>"),
        (r"\operatorname{relu}(x)", "<mi>relu</mi>"),
        (r"\mathbf{x}", "𝐱"),
        (r"a < b", "<mo>&lt;</mo>"),
    ],
)
def test_to_mathml(tex: str, wanted: str) -> None:
    assert wanted in to_mathml(tex, display=False)


WRONG = {
    "book/index": "# Home\n\nSo $\\starr$.\n",
    "book/03_fraction": "# A page\n\n$$\n\\frac{1}\n$$\n",
    "book/07_question": "# A page\n\n:::{predict}\n:::\n",
    "book/08_question": "# Another page\n\n:::{predict}\nHow many?\n:::\n",
    "book/09_name": "# A third page\n\nSee {chapter}`nowhere`.\n",
}
REPORTS = [
    r"index\.md.*starr",
    r"03_fraction\.md.*frac",
    r"07_question\.md.*predict",
    r"08_question\.md.*an `answer`",
    r"09_name\.md.*nowhere",
    r"terms\.txt lists 'im2col', which no page has in bold",
]


def test_build_fails_and_says_where(tmp_path) -> None:
    write_book(tmp_path, WRONG)
    done = build(tmp_path)
    assert done.returncode != 0
    output = done.stdout + done.stderr
    assert [report for report in REPORTS if not re.search(report, output)] == []


# ---------------------------------------------------------------------------------------------
# Questions, terms, code, chapters, search


def test_question_is_a_box_with_an_anchor(chapter: Tag) -> None:
    first, second = chapter.select(".predict")
    assert (first["id"], second["id"]) == ("predict-1", "predict-2")
    assert first.select_one(".admonition-title").text == "Predict"
    assert [item.text for item in first.select("li")] == ["four numbers", "nine"]
    assert first.math.text == "k∗x"


def test_question_is_a_form_whose_key_no_reader_sees(chapter: Tag) -> None:
    shape, choice = chapter.select(".predict form")
    assert "hidden" in shape.attrs
    assert shape.label.text.strip() == "Your guess, 2 numbers such as 2 x 3"
    assert shape.template["data-answer"] == "4 × 4"
    assert shape.template.p["data-key"] == "5 × 5"
    assert shape.template.code.decode_contents() == "padding"
    assert [one["value"] for one in choice.select("[type=radio]")] == [
        "nine < ten",
        "the matrix of windows",
    ]


def test_scripts_of_the_form_are_loaded_where_there_is_one(book: Path) -> None:
    loads = {name: "predict.js" in (book / f"{name}.html").read_text("utf-8") for name in PAGES}
    assert [name for name, loaded in loads.items() if loaded] == ["book/02_chapter"]


def test_term_in_bold_stands_in_the_index(book: Path, chapter: Tag) -> None:
    assert chapter.select_one("strong#term-im2col").text == "im2col"
    index = article(book, "genindex")
    assert [(a.text, a["href"]) for a in index.select("table a")] == [
        ("im2col", "book/02_chapter.html#term-im2col")
    ]


def test_first_use_of_a_word_leads_to_the_glossary(book: Path, chapter: Tag) -> None:
    links = [(a.text, a["href"], a["title"]) for a in chapter.select("a.word")]
    assert links == [
        ("matrix of windows", "glossary.html#word-window-matrix", "창 행렬"),
        ("im2col", "glossary.html#word-im2col", "im2col"),
    ]
    assert article(book, "book/03_later").select("a.word") == []


def test_glossary_has_both_languages_and_leads_to_the_chapter(book: Path) -> None:
    page = article(book, "book/glossary")
    name, korean = page.select("dt#word-window-matrix > span")
    assert (name.text, korean.text) == ("window matrix, matrix of windows", "창 행렬")
    assert [part.text.strip() for part in page.select('[lang="ko"]')][-1].startswith("행마다")
    links = [(a.text, a["href"]) for a in page.select("dd a")]
    assert links == [("Chapter 2", "02_chapter.html#term-im2col")]


@pytest.mark.parametrize("page", ["genindex", "book/02_chapter", "book/index", "book/glossary"])
def test_sample_is_accessible(browser: Browser, book: Path, page: str) -> None:
    with visiting(browser, book, page) as visit:
        assert find_violations(visit) == []
        assert find_broken_links(visit) == []
        assert find_console_errors(visit) == []


def test_sidebar_links_to_the_index(book: Path) -> None:
    page = BeautifulSoup((book / "book/index.html").read_text("utf-8"), "html.parser")
    assert page.select_one('nav[aria-label="Index"] a')["href"] == "../genindex.html"


@pytest.mark.parametrize("scripts", [True, False])
def test_root_leads_to_the_first_page_and_takes_the_rest_of_a_link_along(
    browser: Browser, book: Path, scripts: bool
) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    page, rest = context.new_page(), "?from=mail#explore-lenet?epoch=0" * scripts
    page.goto(f"{serve(book)}index.html{rest}", wait_until="commit")
    page.wait_for_url(f"{serve(book)}book/index.html{rest}")
    context.close()


def find_questions_without_answer(notebook) -> list[str]:
    """Name the questions that do not stand at the end of a text, right before a cell with code."""
    cells = [c for c in notebook.cells if "remove-cell" not in c.metadata.get("tags", [])]
    following = [*(cell.cell_type for cell in cells[1:]), "nothing"]
    return [
        cell.source[-80:]
        for cell, then in zip(cells, following, strict=True)
        if "{predict}" in cell.source
        and (then != "code" or not cell.source.rstrip().endswith("\n:::"))
    ]


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_questions_stand_before_the_cell_that_answers_them(path: Path) -> None:
    assert find_questions_without_answer(read_text(path)) == []


@pytest.mark.parametrize(
    ("end", "found"),
    [
        ("", 0),
        ("More words.\n", 1),
        ("\n```{code-cell} ipython3\n:tags: [remove-cell]\n1\n```\n", 1),
    ],
)
def test_guard_of_questions_reports(tmp_path, end: str, found: int) -> None:
    question = "# A\n\n:::{predict}\nWhy?\n:::\n" + end
    head = "---\nkernelspec: {name: python3, display_name: Python 3}\n---\n\n"
    code = "" if ":tags:" in end else "\n```{code-cell} ipython3\n1\n```\n"
    path = tmp_path / "01_a.md"
    path.write_text(head + question + code, "utf-8")
    notebook = jupytext.read(path, fmt="md:myst")
    assert len(find_questions_without_answer(notebook)) == found


def test_landing_page_lists_the_chapters_in_order() -> None:
    text = (ROOT / "book/index.md").read_text("utf-8")
    listed = re.search(r"(?s):::\{chapters\}\n(.*?)\n:::", text)[1].splitlines()
    names = [line.partition(" |")[0] for line in listed]
    assert tuple(names[: len(ORDER)]) == ORDER


def test_each_line_of_code_knows_its_indentation(chapter: Tag) -> None:
    first, second = chapter.select("pre .line")
    assert "style" not in first.attrs
    assert second["style"] == "--indent:4"
    assert chapter.pre.text == (
        "def corr1d(x, kernel):\n    return sum(x[j] * kernel[j] for j in range(len(kernel)))\n"
    )


def test_unwritten_chapter_says_what_is_ready(book: Path) -> None:
    unwritten, written, alone = article(book, "book/index").select("ul.chapters > li")
    assert unwritten["class"] == ["unwritten"]
    assert "Not written yet" in unwritten.text
    assert [a["href"] for a in unwritten.select("a")] == ["exercises/01_unwritten.html"]
    assert "class" not in written.attrs
    assert [a["href"] for a in written.select("a")] == [
        "02_chapter.html",
        "exercises/02_chapter.html",
    ]
    assert [a["href"] for a in alone.select("a")] == ["03_later.html"]


def test_chapter_is_named_by_its_place_with_a_link_once_it_is_written(chapter: Tag) -> None:
    sentence = next(p for p in chapter.select("p") if "follows" in p.text)
    assert sentence.text == "So chapter 3 follows chapter 1 (to come)."
    assert [(a.text, a["href"]) for a in sentence.select("a")] == [("chapter 3", "03_later.html")]


def test_search_knows_sections_terms_and_names_but_no_answer(book: Path) -> None:
    script = (book / "sections.js").read_text("utf-8")
    entries = json.loads(script.removeprefix("window.SECTIONS = ").removesuffix(";\n"))
    top, section = (e for e in entries if e["url"].startswith("book/02_chapter"))
    assert top["url"] == "book/02_chapter.html"
    assert (top["title"], top["page"], top["terms"]) == ("2. A chapter", "", "im2col")
    assert "‖x‖ grows" in top["text"]
    assert section["url"] == "book/02_chapter.html#a-section"
    assert (section["title"], section["page"]) == ("A section", "2. A chapter")
    assert "corr1d" in section["code"]
    assert "17" not in script
    assert "5 × 5" not in script


def test_build_again_changes_nothing(book: Path) -> None:
    def state() -> dict[Path, bytes]:
        kinds = {".js", ".css", ".woff", ".webp"}
        return {f: f.read_bytes() for f in book.rglob("*") if f.suffix in kinds}

    before = state()
    assert build(book.parents[1]).returncode == 0
    assert state() == before
