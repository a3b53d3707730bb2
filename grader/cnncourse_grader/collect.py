"""Collect submissions from a folder, or from the zip that Moodle or Canvas hands out.

Nothing is unpacked onto the disk and no link is followed. A student is known by the name of the
folder or file alone; what a notebook says of itself does not count. Names are looked at here, and
what the files hold in a process of its own for each student. A submission with anything odd in it
is refused as a whole, with the reason, and the others go on.
"""

from __future__ import annotations

import lzma
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cnncourse.checks.notebook import (
    LARGEST_FILE,
    LARGEST_SOURCE,
    Notebook,
    Text,
    UnreadableError,
    read_notebook,
)
from cnncourse_grader import words
from cnncourse_grader.apart import apart

MOST_NOTEBOOKS = 20  # of one student
MOST_FILES = 2_000  # of one student
FEW = 10
DEEPEST = 20  # folder in a folder
LONGEST_NAME = 120
# What a broken or odd member of a zip raises; RuntimeError for a password or an unknown method.
UNPACKING = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(RuntimeError, EOFError, OSError, ValueError),
)
NOTEBOOK_ENDINGS = (".ipynb", ".py")
# At the first level of a folder these are the instructor's lists and notes, not submissions.
NOTES = (".csv", ".tsv", ".xls", ".xlsx", ".ods", ".txt", ".md", ".log")
# Written by systems and tools, not by students.
IGNORED = re.compile(r"(^|/)(__MACOSX|\.ipynb_checkpoints|__pycache__|\.git|\.[^/.][^/]*)(/|$)")
MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+_?(?P<rest>.*)", re.DOTALL)
# What was typed into Canvas itself has a fixed name.
CANVAS = re.compile(
    r"(?P<name>[^_]+)_(?:LATE_)?(?P<id>\d+)_(?:\d+_(?P<rest>.+)|text\.html)", re.DOTALL
)
# Where grading is anonymous, Canvas writes five letters and digits in the place of name and number.
ANONYMOUS = re.compile(
    r"(?P<name>anon_(?:LATE_)?[0-9A-Za-z]{5})_(?:\d+_(?P<rest>.+)|text\.html)", re.DOTALL
)
LATE = re.compile(r"[^_]+_LATE_")


class Student(NamedTuple):
    """Who handed in: a name, and the number that Moodle or Canvas gave, if any."""

    name: str
    id: str = ""


@dataclass(frozen=True)
class Submission:
    """What one student handed in.

    Attributes
    ----------
    student : Student
        Whose it is.
    notebooks : tuple of Notebook
        Their code, by file name.
    refused : str
        Why nothing of it is run; empty if it is.
    path : str
        Where the learning platform put its first file; feedback goes back under this name.
    late : str
        What the archive says of the time; empty for nothing.
    """

    student: Student
    notebooks: tuple[Notebook, ...] = ()
    refused: str = ""
    path: str = ""
    late: str = ""


class _File(NamedTuple):
    """One file as found: its path with ``/``, what speaks against it, how to read it."""

    path: str
    problem: str
    read: partial


def collect(path: Path) -> list[Submission]:
    """Read all submissions of a folder or zip.

    Parameters
    ----------
    path : Path
        A folder with one sub-folder or one notebook a student, or a zip of such; in a zip also the
        names that Moodle (``Name_123_assignsubmission_file_``) and Canvas (``name_12_34_``) write.

    Returns
    -------
    list of Submission
        One a student, sorted by name.

    Raises
    ------
    ValueError
        If ``path`` is neither, or holds no submission.
    """
    if path.is_dir():
        submissions = _group(_folder_files(path), root="")
        submissions += _empty_folders(path, {one.student for one in submissions})
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            submissions = _group(_zip_files(archive), root=path.stem)
    else:
        raise ValueError(f"`SUBMISSIONS` must be a folder or a zip, got {path}")
    if not submissions:
        raise ValueError(f"`SUBMISSIONS` must hold a notebook for each student, {path} holds none")
    return sorted(submissions, key=lambda one: one.student)


def _folder_files(root: Path) -> Iterator[_File]:
    for folder, folders, names in os.walk(root):
        linked = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted(names) + linked:
            place = Path(folder, name)
            path = place.relative_to(root).as_posix()
            if "/" in path or name in linked or _is_handed_in(name):
                yield _File(path, _problem_of(place), partial(_read_file, place))
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = folders if depth < DEEPEST else []


def _is_handed_in(name: str) -> bool:
    """Tell a student's file, readable or not, from a list or note of the instructor's."""
    is_ours = name.lower().endswith(NOTES) and not _from_canvas(name)
    return ".ipynb" in name.lower() or not (is_ours or name.startswith("."))


def _problem_of(place: Path) -> str:
    mode = place.lstat().st_mode
    if stat.S_ISLNK(mode):
        return words.is_link(place.name)
    return "" if stat.S_ISREG(mode) else words.is_no_file(place.name)


def _read_file(place: Path) -> bytes:
    # The flags close the moment between looking at the file and opening it.
    handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(handle, "rb") as file:
        return file.read(LARGEST_FILE + 1)


def _zip_files(archive: zipfile.ZipFile) -> Iterator[_File]:
    for place, member in enumerate(archive.infolist()):
        if not member.is_dir():
            yield _File(
                member.orig_filename.replace("\\", "/"),
                _problem_in_zip(member),
                partial(_read_member, Path(archive.filename), place),
            )


def _problem_in_zip(member: zipfile.ZipInfo) -> str:
    path, name = PurePosixPath(member.orig_filename.replace("\\", "/")), member.orig_filename
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        return words.leads_out(name)
    if stat.S_ISLNK(member.external_attr >> 16):
        return words.is_link(path.name)
    if member.flag_bits & 1:
        return words.is_locked(path.name)
    return ""


def _read_member(path: Path, place: int) -> bytes:
    # The announced size may lie; reading stops by itself one byte after the largest.
    with zipfile.ZipFile(path) as archive:
        member = archive.infolist()[place]
        try:
            with archive.open(member) as file:
                return file.read(LARGEST_FILE + 1)
        except UNPACKING as error:
            raise UnreadableError(words.is_broken(member.orig_filename, error)) from None


def _group(files: Iterator[_File], root: str) -> list[Submission]:
    """Sort files by student; ``root`` is a folder around everything, named like the zip."""
    students: dict[Student, list[_File]] = {}
    for file in files:
        path = file.path.removeprefix(f"{root}/") if root else file.path
        # Of a student whose files are all ignored there is a row still.
        if not IGNORED.search(path.partition("/")[0]):
            of_one = students.setdefault(owner(path)[0], [])
            # A clone's own files may be many; a few of them say what was handed in.
            if len(of_one) <= (FEW if IGNORED.search(path) else MOST_FILES):
                of_one.append(file._replace(path=path))
    return [_submission(student, files) for student, files in students.items()]


def owner(path: str) -> tuple[Student, str]:
    """Tell from a path alone whose file it is.

    Parameters
    ----------
    path : str
        Path in the collection, with ``/``.

    Returns
    -------
    student : Student
        Whose file it is.
    name : str
        The file's own name.

    Examples
    --------
    >>> owner("Ann Lee_123_assignsubmission_file_/03.ipynb")
    (Student(name='Ann Lee', id='123'), '03.ipynb')
    >>> owner("leeann_LATE_77_900_03.ipynb")
    (Student(name='leeann', id='77'), '03.ipynb')
    >>> owner("ann/03.ipynb"), owner("ann.ipynb")
    ((Student(name='ann', id=''), '03.ipynb'), (Student(name='ann', id=''), 'ann.ipynb'))
    >>> owner("texty_12350_text.html")
    (Student(name='texty', id='12350'), 'text.html')
    >>> owner("anon_LATE_aB3xQ_67899_03.ipynb")
    (Student(name='anon_aB3xQ', id=''), '03.ipynb')
    """
    folder, _, rest = path.lstrip("/").partition("/")
    # Canvas writes files only; a folder may be called anything.
    match = MOODLE.fullmatch(folder) or (None if rest else _from_canvas(folder))
    if match is None:
        stem = folder if rest else re.sub(r"(?i)\.(ipynb|py)$", "", folder)
        return Student(_harmless(stem)), words.printable(PurePosixPath(path).name)
    name = PurePosixPath(rest or match["rest"] or "text.html").name
    student = match["name"].replace("anon_LATE_", "anon_")
    return Student(_harmless(student), match.groupdict().get("id", "")), words.printable(name)


def _from_canvas(name: str) -> re.Match[str] | None:
    return CANVAS.fullmatch(name) or ANONYMOUS.fullmatch(name)


def _harmless(name: str) -> str:
    """Write a name so that reports may show it; one with a question mark is refused later."""
    # Two ways to write an accent are one name.
    name = words.printable(unicodedata.normalize("NFC", name).strip())
    # A spreadsheet takes a cell with one of these in front for a formula.
    return f"?{name}" if name.startswith(tuple("=+-@")) else name


def _submission(student: Student, files: list[_File]) -> Submission:
    try:
        if len(files) > MOST_FILES:
            raise UnreadableError(words.too_many_files(MOST_FILES))
        found, refused = apart(_read_apart, student, files)
    except (UnreadableError, RuntimeError) as error:  # whatever is in it, it costs its own row
        found, refused = [], str(error)
    notebooks = tuple(
        Notebook(name, tuple(cells), tuple(Text(*one) for one in texts))
        for name, cells, texts in found
    )
    paths = sorted((file.path for file in files), key=lambda path: (not _is_notebook(path), path))
    is_late = any(LATE.match(path) and _from_canvas(path) for path in paths)
    late = words.LATE if is_late else ""
    return Submission(student, notebooks, words.printable(refused), paths[0], late)


def _read_apart(student: Student, files: list[_File]) -> tuple[list[tuple], str]:
    """Return names, cells and texts of the notebooks, or why there are none, as data."""
    try:
        return [(one.name, one.cells, one.texts) for one in _read(student, files)], ""
    except (UnreadableError, OSError) as error:
        return [], str(error)


def _read(student: Student, files: list[_File]) -> tuple[Notebook, ...]:
    _check_name(student.name)
    kept = [file for file in files if not IGNORED.search(file.path)]
    for file in kept:
        if file.problem:
            raise UnreadableError(file.problem)
    wanted = sorted((f for f in kept if _is_notebook(f.path)), key=lambda f: f.path)
    if not wanted:
        raise UnreadableError(words.no_notebook([owner(file.path)[1] for file in files]))
    if len(wanted) > MOST_NOTEBOOKS:
        raise UnreadableError(words.too_many_notebooks(len(wanted), MOST_NOTEBOOKS))
    if len({file.path for file in wanted}) < len(wanted):
        raise UnreadableError(words.SAME_NAME)
    if len({file.path.count("/") > 0 for file in wanted}) > 1:
        raise UnreadableError(words.FOLDER_AND_FILE)
    found = tuple(read_notebook(owner(file.path)[1], file.read()) for file in wanted)
    if sum(len(cell) for one in found for cell in one.cells) > LARGEST_SOURCE:
        raise UnreadableError(words.too_much_code(LARGEST_SOURCE))
    return found


def _is_notebook(path: str) -> bool:
    return path.lower().endswith(NOTEBOOK_ENDINGS)


def _check_name(name: str) -> None:
    """Refuse a name that could do harm in a file name, a table or a terminal."""
    if not 1 <= len(name) <= LONGEST_NAME:
        raise UnreadableError(words.long_name(LONGEST_NAME))
    if name[0] == "." or set(name) & set('?/\\"<>|'):
        raise UnreadableError(words.BAD_NAME)


def _empty_folders(root: Path, known: set[Student]) -> list[Submission]:
    folders = [p.name for p in root.iterdir() if p.is_dir() and not p.is_symlink()]
    students = [owner(f"{name}/-")[0] for name in sorted(folders) if not IGNORED.search(name)]
    return [
        Submission(student, refused=words.no_notebook(()))
        for student in students
        if student not in known
    ]
