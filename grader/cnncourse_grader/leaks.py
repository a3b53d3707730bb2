"""What a student's archive may hold: a note and the notebooks, and no line of a solution in them.

Solutions, hidden tests and rubrics are what stands between nbgrader's marks in the instructors'
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


def leaks(archive: bytes, sources: Mapping[str, str]) -> list[str]:
    """List what has no place in a student's archive.

    Parameters
    ----------
    archive : bytes
        A finished zip.
    sources : mapping
        Name of each notebook -> text that it is cut from.

    Returns
    -------
    list of str
        A line for each find; empty if there is nothing.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        texts = {name: files.read(name).decode(errors="replace") for name in files.namelist()}
    strangers = texts.keys() - {NOTE, *sources}
    found = [f"{name} is no file of a release" for name in sorted(strangers)]
    return found + [
        f"{name} holds {one}"
        for name, text in texts.items()
        for one in _secrets(text, sources.get(name, ""))
    ]


def _secrets(text: str, source: str) -> Iterator[str]:
    """Name what must not be in a file: marks, outputs, lines of a solution."""
    yield from (f"`{mark[0]}`" for mark in MARK.finditer(text))
    if source and any(cell.get("outputs") for cell in json.loads(text)["cells"]):
        yield "outputs"
    for line in secret_lines(source):
        # A notebook is JSON: quotes and backslashes have a backslash in front.
        if json.dumps(line, ensure_ascii=False)[1:-1] in text:
            yield f"`{line}`"


def secret_lines(source: str) -> Iterator[str]:
    r"""Give the lines of a source that stand between marks and nowhere else in it.

    Parameters
    ----------
    source : str
        Text of an instructors' notebook.

    Yields
    ------
    str
        Lines without indentation.

    Examples
    --------
    >>> source = "Say y = x + 1 first.\n### BEGIN SOLUTION\ny = x + 1\nreturn y * kernel\n"
    >>> list(secret_lines(source + "### END SOLUTION"))
    ['return y * kernel']
    """
    public = SECRET.sub("", source)
    for match in SECRET.finditer(source):
        for line in map(str.strip, match[2].splitlines()):
            if len(line) >= SHORTEST and " " in line and line not in public:
                yield line
