"""What a student's archive may hold: a note and the notebooks, and no line of a solution in them.

Solutions, hidden tests and rubrics are what stands between nbgrader's marks in the instructor's
notebook. Not handled: a solution in other words, or drawn as a picture.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping

NOTE = "README.txt"
SECRET = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS)\b(.*?)### END \1", re.DOTALL)
MARK = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS)")
SHORTEST = 12  # characters; what is shorter, such as `return y`, is in many a public text


def leaks(archive: bytes, solved: Mapping[str, str]) -> list[str]:
    """List what has no place in a student's archive.

    Parameters
    ----------
    archive : bytes
        A finished zip.
    solved : mapping
        Name of each notebook -> text of the instructor's.

    Returns
    -------
    list of str
        A line for each find; empty if there is nothing.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        texts = {name: files.read(name).decode(errors="replace") for name in files.namelist()}
    strangers = texts.keys() - {NOTE, *solved}
    found = [f"{name} is no file of a release" for name in sorted(strangers)]
    return found + [
        f"{name} holds {one}"
        for name, text in texts.items()
        for one in _secrets(text, solved.get(name, ""))
    ]


def _secrets(text: str, solved: str) -> Iterator[str]:
    """Name what must not be in a file: marks, outputs, lines of a solution."""
    yield from (f"`{mark[0]}`" for mark in MARK.finditer(text))
    if solved and any(cell.get("outputs") for cell in json.loads(text)["cells"]):
        yield "outputs"
    for line in secret_lines(solved):
        # A notebook is JSON: quotes and backslashes have a backslash in front.
        if json.dumps(line, ensure_ascii=False)[1:-1] in text:
            yield f"`{line}`"


def secret_lines(solved: str) -> Iterator[str]:
    r"""Give the lines of a text that stand between marks and nowhere else in it.

    Parameters
    ----------
    solved : str
        Text of an instructor's notebook.

    Yields
    ------
    str
        Lines without indentation.

    Examples
    --------
    >>> text = "Say y = x + 1 first.\n### BEGIN SOLUTION\ny = x + 1\nreturn y * kernel\n"
    >>> list(secret_lines(text + "### END SOLUTION"))
    ['return y * kernel']
    """
    public = SECRET.sub("", solved)
    for match in SECRET.finditer(solved):
        for line in map(str.strip, match[2].splitlines()):
            if len(line) >= SHORTEST and " " in line and line not in public:
                yield line
