"""The archives: students' without solutions, and a scan that finds any that slipped in."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import py_compile
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from cnncourse_grader import gradescope, release, sandbox
from cnncourse_grader.leaks import Secrets, runs, scan_archive, scan_site
from cnncourse_grader.release import LeakError
from submissions import FLIPPED, RIGHT, solved, write_zip

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """
# Exercise

Add the products of a window, and move on.

```{code-cell}
def corr2d(x, kernel):
    ### BEGIN SOLUTION
    (h, w), (kh, kw) = x.shape, kernel.shape
    y = x.new_zeros(h - kh + 1, w - kw + 1)
    return fill_every_window(y, x, kernel)
    ### END SOLUTION
```

```{code-cell}
check("corr2d", corr2d)
### BEGIN HIDDEN TESTS
assert check("corr2d", corr2d, seed=os.environ.get("CNNCOURSE_SEED", 1)).passed
### END HIDDEN TESTS
```

<!-- ### BEGIN SOLUTION -->
**Answer.** The difference vanishes wherever neighbouring pixels share one brightness, hence
horizontal boundaries remain invisible to this particular kernel. **Rubric.** One point.
<!-- ### END SOLUTION -->
"""
SOLUTION = (
    "    y = x.new_zeros(h - kh + 1, w - kw + 1)\n    return fill_every_window(y, x, kernel)\n"
)
PROSE = (
    "The difference vanishes wherever neighbouring pixels\n   share one brightness, hence "
    "horizontal\nboundaries remain invisible"
)
HIDDEN = 'assert check("corr2d", corr2d, seed=os.environ.get("CNNCOURSE_SEED", 1)).passed'
HARMLESS = "Add the products of a window, and move on. def corr2d(x, kernel): raise"
SECRETS = Secrets([SOURCE])
SECRET_LINE = "### BEGIN SOLUTION\n{}\n### END SOLUTION"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("handout")
    release.release(ROOT, out, gradescope=True, seed="s3cret")
    return out


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_students_get_stubs_and_no_solution(released: Path) -> None:
    files = members(released / release.STUDENTS)
    assert {"README.txt", "03_cross_correlation.ipynb"} <= set(files)
    text = b"".join(files.values()).decode()
    assert "raise NotImplementedError" in text
    assert "x.new_zeros(h - kh + 1" not in text
    assert "Rubric" not in text
    assert "HIDDEN TESTS" not in text


def test_instructors_get_solutions_and_sources(released: Path) -> None:
    files = members(released / release.INSTRUCTORS)
    text = files["notebooks/03_cross_correlation.ipynb"].decode()
    assert "x.new_zeros(h - kh + 1" in text
    assert "Rubric" in text
    source = (ROOT / "exercises/03_cross_correlation.md").read_bytes()
    assert files["sources/03_cross_correlation.md"] == source


def test_instructor_archive_would_not_pass_as_students(released: Path) -> None:
    sources = [path.read_text() for path in (ROOT / "exercises").glob("*.md")]
    assert scan_archive(released / release.INSTRUCTORS, Secrets(sources))


def test_archives_have_the_same_bytes_each_time(released: Path, tmp_path: Path) -> None:
    release.release(ROOT, tmp_path)
    for name in (release.STUDENTS, release.INSTRUCTORS):
        assert (tmp_path / name).read_bytes() == (released / name).read_bytes()


def test_release_takes_chapters(tmp_path: Path) -> None:
    release.release(ROOT, tmp_path, [3])
    names = set(members(tmp_path / release.STUDENTS))
    assert names == {"README.txt", "03_cross_correlation.ipynb"}


def test_release_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no clone of the course"):
        release.release(tmp_path, tmp_path / "out")
    with pytest.raises(ValueError, match="--chapters"):
        release.release(ROOT, tmp_path, [99])
    with pytest.raises(ValueError, match="--gradescope needs a secret"):
        release.release(ROOT, tmp_path, gradescope=True)


def test_release_refuses_and_removes_an_archive_with_a_solution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = release._tool(ROOT)
    monkeypatch.setattr(tool, "student_version", tool.instructor_version)
    with pytest.raises(LeakError, match="BEGIN SOLUTION"):
        release.release(ROOT, tmp_path, [3])
    assert list(tmp_path.iterdir()) == []


# The scan


def as_notebook(**cell: object) -> str:
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def zipped(name: str, content: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return data.getvalue()


def tarred(content: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        member = tarfile.TarInfo("notes.txt")
        member.size = len(content.encode())
        archive.addfile(member, io.BytesIO(content.encode()))
    return data.getvalue()


LEAKS = {
    "text": ("notes.txt", SOLUTION),
    "other-indentation": ("notes.txt", SOLUTION.replace("    ", "\t")),
    "one-line-of-prose": ("notes.txt", PROSE.replace("\n", " ")),
    "prose-wrapped-anew": ("notes.txt", PROSE),
    "hidden-test": ("notes.txt", HIDDEN),
    "marker": ("notes.txt", "### BEGIN SOLUTION"),
    "cell": ("a.ipynb", as_notebook(cell_type="code", source=SOLUTION.splitlines(keepends=True))),
    "metadata": ("a.ipynb", as_notebook(cell_type="code", source="", metadata={"old": SOLUTION})),
    "output": ("a.ipynb", as_notebook(cell_type="code", source="", outputs=[{"text": [SOLUTION]}])),
    "json-escapes": ("a.json", json.dumps([SOLUTION]).replace("y", "\\u0079")),
    "markup": ("a.html", SOLUTION.replace("x", "<span class='n'>x</span>").replace(">", ">", 1)),
    "base64": ("a.json", json.dumps({"data": base64.b64encode(SOLUTION.encode() * 2).decode()})),
    "zip-in-zip": ("more.zip", zipped("notes.txt", SOLUTION)),
    "gzip": ("notes.txt.gz", gzip.compress(SOLUTION.encode())),
    "tar": ("notes.tar", tarred(SOLUTION)),
    "checkpoint": (".ipynb_checkpoints/a-checkpoint.ipynb", as_notebook(cell_type="code")),
    "weights": ("model.pt", "x"),
    "shared-object": ("x.so", "x"),
    "elf": ("harmless.txt", b"\x7fELF...."),
}


@pytest.mark.parametrize("name", LEAKS)
def test_scan_finds(tmp_path: Path, name: str) -> None:
    member, content = LEAKS[name]
    path = write_zip(tmp_path / "students.zip", {"ok.txt": HARMLESS, member: content})
    found = scan_archive(path, SECRETS)
    assert len(found) == 1
    assert member.split("/")[0] in found[0]


def test_scan_finds_compiled_python_under_any_name(tmp_path: Path) -> None:
    source = tmp_path / "answers.py"
    source.write_text("x = 1\n")
    compiled = py_compile.compile(str(source), cfile=str(tmp_path / "notes"))
    path = write_zip(tmp_path / "students.zip", {"notes.txt": Path(compiled).read_bytes()})
    assert scan_archive(path, SECRETS) == ["students.zip/notes.txt is a compiled file"]


def test_scan_passes_what_is_public(tmp_path: Path) -> None:
    text = as_notebook(cell_type="code", source=HARMLESS + '\ncheck("corr2d", corr2d)')
    path = write_zip(tmp_path / "students.zip", {"a.ipynb": text, "b.txt": "ab\r\n" * 9})
    assert scan_archive(path, SECRETS) == []


def test_short_lines_are_secret_unless_they_say_nothing_or_are_public() -> None:
    source = SECRET_LINE.format("return kernel.flip(0, 1)")
    assert Secrets([source]).find("x = 1; return kernel.flip(0, 1)")
    public = "so return kernel.flip(0, 1) then"
    assert not Secrets([public, source]).find("return kernel.flip(0, 1)")
    assert not Secrets([SECRET_LINE.format("(K T_{p,q}\\,")]).find("(K T_{p,q}\\, x)")


def test_scan_refuses_what_it_cannot_open(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "students.zip", {"more.zip": b"PK\x03\x04broken"})
    with pytest.raises(ValueError, match="cannot be unpacked"):
        scan_archive(path, SECRETS)


def test_scan_finds_solutions_in_the_site(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>" + SOLUTION.replace(" ", "</b> <b>") + "</p>")
    (tmp_path / "b.html").write_text(HARMLESS)
    assert [line.split()[0] for line in scan_site(tmp_path, SECRETS)] == ["a.html"]
    assert scan_site(tmp_path, Secrets([SOURCE], public=[SOLUTION])) == []


def test_scan_finds_words_of_solutions_in_the_search_index(tmp_path: Path) -> None:
    words = ["vanish", "neighbour", "bright", "horizont", "boundari", "invis", "particular"]
    terms = dict.fromkeys(words, 1)
    index = tmp_path / "searchindex.js"
    index.write_text(f"Search.setIndex({json.dumps({'terms': terms})})")
    assert "words that only solutions use" in scan_site(tmp_path, SECRETS)[0]
    index.write_text(f"Search.setIndex({json.dumps({'terms': {'product': 1, 'window': 1}})})")
    assert scan_site(tmp_path, SECRETS) == []


def test_runs_do_not_depend_on_layout() -> None:
    assert set(runs(" ".join(SOLUTION.split()))) <= set(runs(SOLUTION))


# Gradescope


@pytest.fixture
def root(released: Path, tmp_path: Path) -> Path:
    """Lay out Gradescope's folder from the autograder's archive."""
    for name in ("submission", "results"):
        (tmp_path / name).mkdir()
    with zipfile.ZipFile(released / release.AUTOGRADER) as archive:
        archive.extractall(tmp_path / "source")
    (tmp_path / "source/chapters.txt").write_text("3\n")
    return tmp_path


def run_autograder(root: Path) -> dict:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AUTOGRADER": str(root),
        "OMP_NUM_THREADS": "1",
    }
    script = root / "source/run_autograder"
    subprocess.run(["bash", script], env=environment, check=True, capture_output=True, timeout=300)
    return json.loads((root / "results/results.json").read_text())


def is_valid(results: dict) -> bool:
    """Tell whether Gradescope takes the results: its documented keys, types and values."""
    kinds = {"score": (int, float), "max_score": (int, float), "name": str, "output": str}
    known = {
        *("score", "output", "output_format", "stdout_visibility", "tests"),
        *("max_score", "name", "status", "visibility"),
    }
    entries = [results, *results["tests"]]
    return all(
        set(one) <= known
        and all(isinstance(one[key], kind) for key, kind in kinds.items() if key in one)
        and one.get("status", "passed") in ("passed", "failed")
        and one.get("visibility", "visible") in ("hidden", "visible", "after_published")
        and one.get("output_format", "text") in ("text", "html", "simple_format", "md", "ansi")
        for one in entries
    )


def test_autograder_grades_a_right_submission(root: Path) -> None:
    (root / "submission/03.ipynb").write_text(solved(RIGHT))
    results = run_autograder(root)
    assert is_valid(results)
    assert results["score"] == 2
    scores = {test["name"].split(":")[0]: test["score"] for test in results["tests"]}
    assert scores["corr2d"] == 2
    assert scores["convolve2d"] == 0
    assert "s3cret" not in json.dumps(results)


def test_autograder_says_what_is_wrong(root: Path) -> None:
    (root / "submission/03.ipynb").write_text(solved(FLIPPED))
    results = run_autograder(root)
    assert is_valid(results)
    assert results["score"] == 0
    assert "kernel looks flipped" in results["tests"][0]["output"]


def test_autograder_refuses_an_empty_submission(root: Path) -> None:
    gradescope.main(root)
    results = json.loads((root / "results/results.json").read_text())
    assert is_valid(results)
    assert results["score"] == 0
    assert "no notebook was handed in" in results["output"]


def test_autograder_warns_without_a_sandbox(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "missing", lambda: "not here")
    (root / "submission/03.ipynb").symlink_to(root / "source/seed.txt")
    gradescope.main(root)
    output = json.loads((root / "results/results.json").read_text())["output"]
    assert "is a link" in output
    assert "without a sandbox" in output


def test_autograder_holds_the_package_and_no_cache(released: Path) -> None:
    names = members(released / release.AUTOGRADER)
    assert "course/cnncourse/checks/cross_correlation.py" in names
    assert "course/cnncourse/datasets/mnist/LICENSE" in names
    assert not [name for name in names if "__pycache__" in name]
