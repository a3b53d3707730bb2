"""Write what students get, what instructors get, and an autograder for Gradescope."""

from __future__ import annotations

import importlib
import os
import stat
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from cnncourse_grader import stripped
from cnncourse_grader.leaks import Secrets, scan_archive, scan_site

STUDENTS, INSTRUCTORS, AUTOGRADER = "students.zip", "instructors.zip", "gradescope-autograder.zip"
TEMPLATES = Path(__file__).parent / "autograder"
FOR_STUDENTS = """\
Exercises of a course on convolutional networks

Open a notebook in JupyterLab, or upload it to Colab. Its first cells install what is missing.
Write your answers where the stubs stand, and run the cell below each: the check says what is
right, shows the smallest case that is not, and names the likely mistake. hint("corr2d") helps.

Hand in the notebooks, under the names they have.
"""
FOR_INSTRUCTORS = """\
Solutions and rubrics of the exercises. Not for students.

notebooks/   with solutions and hidden tests; nbgrader takes them as the source of an assignment
sources/     the texts they are written from

To grade: cnncourse grade SUBMISSIONS --seed-file secret.txt --out grades.csv
"""


class LeakError(RuntimeError):
    """Something of a solution is where students can read it."""


def release(
    course: Path, out: Path, chapters: Sequence[int] = (), gradescope: bool = False, seed: str = ""
) -> list[Path]:
    """Write the archives, and refuse when the student's holds anything of a solution.

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
        If a solution was found in the student archive or in the built site; the archive is gone.
    """
    if gradescope and not seed:
        raise ValueError("--gradescope needs a secret: --seed, --seed-file or CNNCOURSE_SEED")
    tool, sources = _tool(course), _sources(course, chapters)
    out.mkdir(parents=True, exist_ok=True)
    students = _write_zip(out / STUDENTS, _student_files(tool, sources))
    if found := leaks(course, students):
        students.unlink()
        raise LeakError("a solution would get out, nothing is released:\n" + "\n".join(found))
    written = [students, _write_zip(out / INSTRUCTORS, _instructor_files(tool, sources))]
    if gradescope:
        files = autograder_files(seed, [_chapter(path) for path in sources])
        written.append(_write_zip(out / AUTOGRADER, files))
    return written


def leaks(course: Path, students: Path) -> list[str]:
    """List every place where students could read something of a solution.

    Parameters
    ----------
    course : Path
        A clone of the course; its built site is searched too, if there is one.
    students : Path
        The student archive.

    Returns
    -------
    list of str
        A line for each place.
    """
    # All chapters are secret, also those that are not handed out yet.
    sources = [path.read_text(encoding="utf-8") for path in _sources(course, ())]
    found = scan_archive(students, Secrets(sources))
    site = course / "_build/html"
    if site.is_dir():
        # Chapters and package; not book/exercises, which is cut from the sources.
        chapters = [*(course / "book").glob("*.*"), *(course / "book/instructors").glob("*.md")]
        public = [path for path in chapters if path.suffix in (".md", ".ipynb", ".bib")]
        public += [*(course / "cnncourse").rglob("*.py"), *course.glob("*.yml")]
        texts = [path.read_text(encoding="utf-8") for path in public]
        found += [f"the site's {line}" for line in scan_site(site, Secrets(sources, texts))]
    return found


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


def _tool(course: Path) -> ModuleType:
    """Import the clone's own tool, which cuts the notebooks."""
    sys.path.insert(0, str(course.resolve()))
    try:
        return importlib.import_module("tools.exercises")
    except ImportError as error:
        raise ValueError(
            f"the tools of the clone cannot be loaded ({error}): run `make book` there, and call "
            ".venv/bin/cnncourse"
        ) from None
    finally:
        sys.path.pop(0)


def _student_files(tool: ModuleType, sources: Iterable[Path]) -> dict[str, str]:
    notebooks = {f"{path.stem}.ipynb": _notebook(tool.student_version(path)) for path in sources}
    return {"README.txt": FOR_STUDENTS} | notebooks


def _instructor_files(tool: ModuleType, sources: Iterable[Path]) -> dict[str, str]:
    files = {"README.txt": FOR_INSTRUCTORS}
    for path in sources:
        files[f"notebooks/{path.stem}.ipynb"] = _notebook(tool.instructor_version(path))
        files[f"sources/{path.name}"] = path.read_text(encoding="utf-8")
    return files


def _notebook(notebook: object) -> str:
    import nbformat

    return nbformat.writes(notebook) + "\n"


def autograder_files(seed: str, chapters: Sequence[int]) -> dict[str, str | bytes]:
    """Return the files of an autograder for Gradescope.

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
    package = stripped.PACKAGE
    files: dict[str, str | bytes] = {
        f"course/cnncourse/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    for name in ("setup.sh", "run_autograder"):
        files[name] = (TEMPLATES / name).read_text(encoding="utf-8")
    return files | {"seed.txt": f"{seed}\n", "chapters.txt": " ".join(map(str, chapters)) + "\n"}


def _write_zip(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write an archive whose bytes depend on its content alone."""
    partial = path.with_name(f".{path.name}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            executable = name in ("setup.sh", "run_autograder")
            member.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    os.replace(partial, path)
    return path
