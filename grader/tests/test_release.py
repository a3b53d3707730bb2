"""The archives: no solution in the students', whatever goes wrong; instructors'; an autograder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cnncourse_grader import gradescope, release, sandbox, version, words
from cnncourse_grader.grade import EnvironmentProblemError
from cnncourse_grader.leaks import leaks
from cnncourse_grader.reading import worth_a_look
from cnncourse_grader.release import LeakError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from submissions import RIGHT, SETUP, notebook

from cnncourse import cli as course_cli
from cnncourse.checks.notebook import Notebook

ROOT = Path(__file__).resolve().parents[2]
NAME = "03_cross_correlation.ipynb"
SOURCE = ROOT / "exercises/03_cross_correlation.md"


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
    stems = {path.stem for path in (ROOT / "exercises").glob("*.md")}
    assert set(files) == {"README.txt", *(f"{stem}.ipynb" for stem in stems)}
    text = b"".join(files.values()).decode()
    assert "raise NotImplementedError" in text
    assert "x.new_zeros(h - kh + 1" not in text
    assert "Rubric" not in text
    assert "HIDDEN TESTS" not in text


def test_what_students_get_is_not_worth_a_look(released: Path) -> None:
    """An instructor looks at what a student wrote, not at the course's own cells."""
    for name, text in members(released / release.STUDENTS).items():
        if name != "README.txt":
            cells = [cell["source"] for cell in json.loads(text)["cells"]]
            assert worth_a_look(Notebook(name, tuple(map("".join, cells)))) == ()


def test_instructors_get_solutions_and_sources(released: Path) -> None:
    files = members(released / release.INSTRUCTORS)
    text = files[f"notebooks/{NAME}"].decode()
    assert "x.new_zeros(h - kh + 1" in text
    assert "Rubric" in text
    assert files[f"sources/{SOURCE.name}"] == SOURCE.read_bytes()


def test_instructors_get_the_questions_of_their_chapters(tmp_path: Path) -> None:
    release.release(ROOT, tmp_path, chapters=[3])
    files = members(tmp_path / release.INSTRUCTORS)
    ours = {name for name in files if name.startswith("questions/")}
    assert {"questions/moodle.xml", "questions/canvas-qti.zip", f"questions/nbgrader/{NAME}"} < ours
    assert b"one-in-a-row" in files["questions/moodle.xml"]
    assert b"windows-on-thirty" not in files["questions/moodle.xml"]  # of another chapter


def test_archives_have_the_same_bytes_each_time(released: Path, tmp_path: Path) -> None:
    release.release(ROOT, tmp_path)
    for name in (release.STUDENTS, release.INSTRUCTORS):
        assert (tmp_path / name).read_bytes() == (released / name).read_bytes()


# The notebooks install the version of the clone


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone of one commit whose remote has it."""
    folder, remote = tmp_path / "clone", tmp_path / "remote"
    for path in (folder, remote):
        path.mkdir()
        git(path, "init", "--quiet", *(["--bare"] if path == remote else []))
    (folder / "a.md").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    git(folder, "remote", "add", "origin", str(remote))
    git(folder, "push", "--quiet", "origin", "main")
    return folder


def test_version_is_the_tag_or_the_commit(clone: Path) -> None:
    assert version.of(clone) == (git(clone, "rev-parse", "HEAD"), [])
    git(clone, "tag", "autumn")
    assert version.of(clone) == ("autumn", [])


def test_version_warns_of_what_students_would_not_get(clone: Path, tmp_path: Path) -> None:
    (clone / "a.md").write_text("two\n")
    (warning,) = version.of(clone).warnings
    assert "not committed" in warning
    assert "a.md" in warning
    git(clone, "commit", "--quiet", "-am", "two")
    name, (warning,) = version.of(clone)
    assert warning == f"{name} is on no remote branch: push it, or students cannot install it"
    name, (warning,) = version.of(tmp_path)
    assert (name, "no history" in warning) == ("", True)


def test_notebooks_install_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(version, "of", lambda _: version.Version("autumn", ["look out"]))
    words = ["--out", str(tmp_path), "--chapters", "3", "--course", str(ROOT)]
    assert course_cli.main(["release", *words]) == 0
    assert "look out" in capsys.readouterr().err
    for archive, name in ((release.STUDENTS, NAME), (release.INSTRUCTORS, f"notebooks/{NAME}")):
        text = members(tmp_path / archive)[name].decode()
        assert text.count("@autumn") == 1
        assert "@main" not in text


def test_release_takes_chapters(tmp_path: Path) -> None:
    release.release(ROOT, tmp_path, [3])
    assert set(members(tmp_path / release.STUDENTS)) == {"README.txt", NAME}


def test_release_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no clone of the course"):
        release.release(tmp_path, tmp_path / "out")
    with pytest.raises(ValueError, match="--chapters"):
        release.release(ROOT, tmp_path, [99])
    with pytest.raises(ValueError, match="--gradescope needs a secret"):
        release.release(ROOT, tmp_path, gradescope=True)


# A release never contains a solution: ways in which a clone's tool could fail to cut one


def uncut(student: NotebookNode, instructor: NotebookNode) -> NotebookNode:
    return instructor


def only_marks_cut(student: NotebookNode, instructor: NotebookNode) -> NotebookNode:
    for cell in instructor.cells:
        lines = cell.source.splitlines()
        cell.source = "\n".join(line for line in lines if "###" not in line)
    return instructor


def one_cell_uncut(kind: str) -> Callable[[NotebookNode, NotebookNode], NotebookNode]:
    """Keep the first solution in a code cell, or the first rubric in a text cell."""

    def spoil(student: NotebookNode, instructor: NotebookNode) -> NotebookNode:
        pairs = zip(student.cells, only_marks_cut(student, instructor).cells, strict=True)
        cut = next((a, b) for a, b in pairs if a.cell_type == kind and a.source != b.source)
        cut[0].source = cut[1].source
        return student

    return spoil


def hidden_test_uncut(student: NotebookNode, instructor: NotebookNode) -> NotebookNode:
    student.cells[
        -1
    ].source += '\nreport = check("corr2d", corr2d, seed=os.environ["CNNCOURSE_SEED"])'
    student.cells[-1].source += "\nassert report.passed, report.feedback"
    return student


def in_metadata(student: NotebookNode, instructor: NotebookNode) -> NotebookNode:
    student.metadata["history"] = [cell.source for cell in instructor.cells]
    return student


def in_output(student: NotebookNode, instructor: NotebookNode) -> NotebookNode:
    cell = next(one for one in student.cells if one.cell_type == "code")
    cell.outputs = [new_output("stream", text="0x1f8b")]
    return student


def mark_left(student: NotebookNode, instructor: NotebookNode) -> NotebookNode:
    student.cells[0].source += "\n<!-- ### BEGIN SOLUTION -->"
    return student


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (uncut, "BEGIN SOLUTION"),
        (only_marks_cut, "x.new_zeros"),
        (one_cell_uncut("code"), "new_zeros"),
        (one_cell_uncut("markdown"), "Rubric"),
        (hidden_test_uncut, "assert report.passed"),
        (in_metadata, "BEGIN SOLUTION"),
        (in_output, "outputs"),
        (mark_left, "BEGIN SOLUTION"),
    ],
)
def test_nothing_is_released_with_a_solution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable, found: str
) -> None:
    tool = release.Cut(ROOT).exercises
    student, instructor = tool.student_version, tool.instructor_version
    monkeypatch.setattr(
        tool, "student_version", lambda path: spoil(student(path), instructor(path))
    )
    with pytest.raises(LeakError, match=found) as error:
        release.release(ROOT, tmp_path, [3])
    assert NAME in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["answers.py", "sources/03.md", "x.so", "model.pt", "more.zip"])
def test_no_other_file_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    zipped = release.zipped
    monkeypatch.setattr(release, "zipped", lambda files: zipped({**files, name: b"\x7fELF\xff"}))
    with pytest.raises(LeakError, match=f"{name} is no file of a release"):
        release.release(ROOT, tmp_path, [3])
    assert list(tmp_path.iterdir()) == []


def test_what_students_get_is_clean_and_what_instructors_get_is_not(released: Path) -> None:
    archives = [(released / name).read_bytes() for name in (release.STUDENTS, release.INSTRUCTORS)]
    cut = release.Cut(ROOT)
    texts = {f"{path.stem}.ipynb": release._solved(cut, path) for path in cut.exercises.sources()}
    assert leaks(archives[0], texts) == []
    assert leaks(archives[1], {f"notebooks/{name}": text for name, text in texts.items()})


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


@pytest.mark.grading
@pytest.mark.usefixtures("bubblewrap")
def test_autograder_grades_a_submission_and_says_what_is_wrong(root: Path) -> None:
    unflipped = "def convolve2d(x, kernel):\n    return corr2d(x, kernel)"
    (root / "submission/03.ipynb").write_text(notebook(SETUP, RIGHT, unflipped))
    results = run_autograder(root)
    assert is_valid(results)
    assert results["score"] == 1
    tests = {test["name"].split(":")[0]: test for test in results["tests"]}
    assert (tests["corr2d"]["score"], tests["convolve2d"]["score"]) == (1, 0)
    assert "flip" in tests["convolve2d"]["output"]
    assert "s3cret" not in json.dumps(results)


def test_autograder_refuses_an_empty_submission(root: Path) -> None:
    gradescope.main(root)
    results = json.loads((root / "results/results.json").read_text())
    assert is_valid(results)
    assert results["score"] == 0
    assert words.no_notebook(()) in results["output"]


def test_a_fault_of_the_autograder_is_no_result(root: Path) -> None:
    (root / "source/chapters.txt").write_text("99\n")
    with pytest.raises(ValueError, match="--chapters"):
        gradescope.main(root)
    assert not (root / "results/results.json").exists()


def test_a_fault_of_the_container_is_no_result(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "submission/03.ipynb").write_text(notebook(SETUP, RIGHT))
    monkeypatch.setattr(sandbox, "run", lambda *values, **options: sandbox.Result(b"", "no room"))
    with pytest.raises(EnvironmentProblemError, match="did not start: no room"):
        gradescope.main(root)
    assert not (root / "results/results.json").exists()


def test_autograder_warns_without_a_sandbox(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "missing", lambda: "not here")
    (root / "submission/03.ipynb").symlink_to(root / "source/seed.txt")
    gradescope.main(root)
    output = json.loads((root / "results/results.json").read_text())["output"]
    assert "is a link" in output
    assert words.UNPROTECTED in output


def test_autograder_installs_what_is_installed_here(released: Path) -> None:
    lines = members(released / release.AUTOGRADER)["requirements.txt"].decode().splitlines()
    assert f"torch=={torch.__version__.partition('+')[0]}" in lines
    assert all("==" in line for line in lines)


def test_autograder_is_not_built_with_an_old_python(released: Path, tmp_path: Path) -> None:
    text = members(released / release.AUTOGRADER)["setup.sh"].decode()
    (line,) = [line for line in text.splitlines() if "version_info" in line]
    for wanted, code in (((3, 11), 0), ((9, 0), 1)):
        script = line.replace("(3, 11)", str(wanted))
        assert subprocess.run(["bash", "-c", script], check=False).returncode == code


def test_autograder_holds_both_packages_and_no_cache(released: Path) -> None:
    names = members(released / release.AUTOGRADER)
    assert "course/cnncourse/checks/chapters/cross_correlation.py" in names
    assert "course/cnncourse_grader/gradescope.py" in names
    assert "course/cnncourse/datasets/mnist/LICENSE" in names
    assert not [name for name in names if "__pycache__" in name]
