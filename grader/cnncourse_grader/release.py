"""Write what students get, what instructors get, and an autograder for Gradescope."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from cnncourse_grader import stripped, version, world
from cnncourse_grader.files import write, zipped
from cnncourse_grader.leaks import NOTE, leaks

if TYPE_CHECKING:
    from nbformat import NotebookNode

TOOLS = ("tools.exercises", "tools.repository", "tools.questions.files")
STUDENTS, INSTRUCTORS, AUTOGRADER = "students.zip", "instructors.zip", "gradescope-autograder.zip"
OURS = Path(__file__).parent
SCRIPTS = ("setup.sh", "run_autograder")
# What the autograder installs beside the packages of a notebook: the grader's own needs.
NEEDS = ("packaging", "psutil")
FOR_STUDENTS = """\
Exercises of a course on convolutional networks

Open a notebook in JupyterLab, or upload it to Colab. On Colab its first cell installs the course;
elsewhere, while the course is missing, it prints the two lines that do.
Write your answers where the stubs stand, and run the cell below each: the check says what is
right, shows the smallest case that is not, and names the likely mistake. hint("corr2d") helps.

Hand in the notebooks, under the names they have.
"""
FOR_INSTRUCTORS = """\
Solutions and rubrics of the exercises. Not for students.

notebooks/   with solutions and hidden tests; nbgrader takes them as the source of an assignment
sources/     the texts they are written from
questions/   questions with a key: Moodle XML, QTI for Canvas, notebooks, a table of the key

To grade: cnncourse grade SUBMISSIONS --seed-file secret.txt --out grades.csv
"""


class LeakError(RuntimeError):
    """Something of a solution is where students can read it."""


def release(
    course: Path, out: Path, chapters: Sequence[int] = (), gradescope: bool = False, seed: str = ""
) -> list[Path]:
    """Write the archives, unless the student's would hold anything of a solution.

    Parameters
    ----------
    course : Path
        A clone of the course.
    out : Path
        Folder for the archives.
    chapters : sequence of int
        Which; empty for all.
    gradescope : bool
        Write an autograder too.
    seed : str
        Secret for the autograder.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ValueError
        If ``course`` has no exercises or not those of ``chapters``, or a seed is missing.
    LeakError
        If a solution was found in the student archive; nothing is written.
    """
    if gradescope and not seed:
        raise ValueError("--gradescope needs a secret: --seed, --seed-file or CNNCOURSE_SEED")
    sources = _sources(course, chapters)
    cut = Cut(course)
    archives = {
        STUDENTS: _students(cut, sources),
        INSTRUCTORS: zipped(_instructor_files(cut, sources)),
    }
    if gradescope:
        files = autograder_files(seed, [_chapter(path) for path in sources])
        archives[AUTOGRADER] = zipped(files, SCRIPTS)
    return [write(out / name, archive) for name, archive in archives.items()]


def _sources(course: Path, chapters: Sequence[int]) -> list[Path]:
    paths = sorted((course / "exercises").glob("[0-9]*_*.md"))
    if not paths:
        raise ValueError(f"{course.resolve()} is no clone of the course: exercises/ has no sources")
    known = {_chapter(path) for path in paths}
    if unknown := sorted(set(chapters) - known):
        raise ValueError(f"`--chapters` must be some of {sorted(known)}, got {unknown}")
    return [path for path in paths if not chapters or _chapter(path) in chapters]


def _chapter(path: Path) -> int:
    return int(path.name.partition("_")[0])


class Cut:
    """The clone's own tools, which cut the notebooks; these install the clone's version."""

    def __init__(self, course: Path) -> None:
        self.exercises, self.repository, self.questions = (_tool(course, name) for name in TOOLS)
        self.old = self.repository.read_config(course)
        self.new = self.old._replace(branch=version.of(course).name or self.old.branch)

    def student(self, path: Path) -> NotebookNode:
        """Return the notebook without solutions."""
        return self._fixed(self.exercises.student_version(path))

    def instructor(self, path: Path) -> NotebookNode:
        """Return the notebook with solutions, hidden tests and rubrics."""
        return self._fixed(self.exercises.instructor_version(path))

    def _fixed(self, notebook: NotebookNode) -> NotebookNode:
        for cell in notebook.cells:
            cell.source = self.repository.readdressed(cell.source, self.old, self.new)
        return notebook


def _tool(course: Path, name: str) -> ModuleType:
    sys.path.insert(0, str(course.resolve()))
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"the tools of the clone cannot be loaded ({error}): run `make book` there, and call "
            ".venv/bin/cnncourse"
        ) from None
    finally:
        sys.path.pop(0)


def _students(cut: Cut, sources: Iterable[Path]) -> bytes:
    """Return the students' archive, opened again and found clean."""
    paths = {f"{path.stem}.ipynb": path for path in sources}
    notebooks = {name: _notebook(cut.student(path)) for name, path in paths.items()}
    archive = zipped({NOTE: FOR_STUDENTS} | notebooks)
    if found := leaks(archive, {name: _solved(cut, path) for name, path in paths.items()}):
        raise LeakError("a solution would get out, nothing is released:\n" + "\n".join(found))
    return archive


def _solved(cut: Cut, path: Path) -> str:
    """Return all that stands in the instructor's notebook."""
    return "\n".join(cell.source for cell in cut.instructor(path).cells)


def _instructor_files(cut: Cut, sources: Sequence[Path]) -> dict[str, str | bytes]:
    asked = cut.questions.files([path.stem for path in sources])
    files = {NOTE: FOR_INSTRUCTORS} | {f"questions/{name}": asked[name] for name in asked}
    for path in sources:
        files[f"notebooks/{path.stem}.ipynb"] = _notebook(cut.instructor(path))
        files[f"sources/{path.name}"] = path.read_text(encoding="utf-8")
    return files


def _notebook(notebook: NotebookNode) -> str:
    import nbformat

    return nbformat.writes(notebook) + "\n"


def autograder_files(seed: str, chapters: Sequence[int]) -> dict[str, str | bytes]:
    """Return the files of an autograder for Gradescope: both packages, and the secret.

    Parameters
    ----------
    seed : str
        Secret; stands in a file that only root reads.
    chapters : sequence of int
        To grade.

    Returns
    -------
    dict of str to str or bytes
        Path in the archive -> content.
    """
    files: dict[str, str | bytes] = {
        f"course/{path.relative_to(package.parent).as_posix()}": path.read_bytes()
        for package in (stripped.PACKAGE, OURS)
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    files |= {name: (OURS / "autograder" / name).read_text("utf-8") for name in SCRIPTS}
    files["requirements.txt"] = "\n".join([*map(_pinned, [*world.PACKAGES, *NEEDS]), ""])
    return files | {"seed.txt": f"{seed}\n", "chapters.txt": " ".join(map(str, chapters)) + "\n"}


def _pinned(package: str) -> str:
    """Name the version installed here: an image built again in mid-term is the same."""
    try:
        return f"{package}=={importlib.metadata.version(package).partition('+')[0]}"
    except importlib.metadata.PackageNotFoundError:
        return package
