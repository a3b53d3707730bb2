"""Search what students get for anything of a solution.

Solutions, hidden tests and rubrics are what stands between nbgrader's markers in
``exercises/NN_topic.md``. Their words are compared in runs of ten, so that another line break,
indentation, HTML markup or a JSON string does not hide them. What is also said in public is no
secret.

Not handled: solutions that were rewritten in other words, or drawn as a picture.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import io
import json
import re
import tarfile
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

RUN = 10  # words; shorter secrets count as a whole
SHORTEST = 6
SECRET = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS)(.*?)### END \1", re.DOTALL)
MARKER = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS)")
WORD = re.compile(r"\w+|[^\w\s]")
TAG = re.compile(r"<[^<>]*>")
BASE64 = re.compile(r"[A-Za-z0-9+/\s]{64,}={0,2}")
COMPILED = (".pyc", ".pyo", ".pyd", ".so", ".dll", ".dylib", ".o")
CHECKPOINTS = (".pt", ".pth", ".pkl", ".ckpt", ".safetensors", ".npz")
# A compiled Python file: two bytes for the version, a line break, and four bytes of flags.
PYC = re.compile(rb"..\r\n[\0-\3]\0\0\0", re.DOTALL)
MAGIC = {b"\x7fELF": "a compiled file", b"MZ": "a compiled file", b"\x80\x04": "a pickle"}
DEEPEST = 4
LARGEST = 256 << 20  # bytes of one unpacked file
TELLING = 5  # words that only secrets use, in one search index
SITE_TEXT = {".html", ".js", ".json", ".ipynb", ".txt", ".md", ".py"}


class Secrets:
    """What must not get out.

    Parameters
    ----------
    sources : iterable of str
        Texts of ``exercises/NN_topic.md``.
    public : iterable of str
        Other texts that everyone may read.
    """

    def __init__(self, sources: Iterable[str], public: Iterable[str] = ()) -> None:
        sources = list(sources)
        secret = [match[2] for source in sources for match in SECRET.finditer(source)]
        open_texts = [*(SECRET.sub(" ", source) for source in sources), *public]
        known = {run for text in open_texts for run in _windows(text)}
        self.runs: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for run in filter(_tells, {run for text in secret for run in runs(text)} - known):
            self.runs.setdefault(run[:3], set()).add(run)
        public_words = _words(open_texts)
        self.public_words = sorted(public_words)
        self.words = sorted(_words(secret) - public_words)

    def find(self, text: str) -> str:
        """Return the first piece of a secret in a text; empty if there is none."""
        if marker := MARKER.search(text):
            return marker[0]
        words = WORD.findall(text)
        for place, start in enumerate(zip(words, words[1:], words[2:], strict=False)):
            for run in self.runs.get(start, ()):
                if run == tuple(words[place : place + len(run)]):
                    return " ".join(run)
        return ""

    def tells(self, term: str) -> bool:
        """Say whether a shortened word of a search index can only come from a secret.

        Indexes cut endings off, and turn a final y into an i: "boundari" stands for "boundary".
        """
        start = term.removesuffix("i")
        word = _first(self.words, start)
        return bool(word) and len(word) <= len(term) + 4 and not _first(self.public_words, start)


def _first(words: list[str], start: str) -> str:
    """Return the first of the sorted words that starts so; empty if none does."""
    place = bisect_left(words, start)
    return words[place] if place < len(words) and words[place].startswith(start) else ""


def runs(text: str) -> Iterator[tuple[str, ...]]:
    """Cut a text into overlapping runs of words.

    Parameters
    ----------
    text : str
        Code or prose.

    Yields
    ------
    tuple of str
        ``RUN`` words; and the whole of each line that has from ``SHORTEST`` to ``RUN - 1``.

    Examples
    --------
    >>> list(runs("return kernel.flip(0)"))
    [('return', 'kernel', '.', 'flip', '(', '0', ')')]
    """
    words = WORD.findall(text)
    yield from (tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1))
    for line in text.splitlines():
        if SHORTEST <= len(words := WORD.findall(line)) < RUN:
            yield tuple(words)


def _tells(run: tuple[str, ...]) -> bool:
    """Say whether a run holds words: signs and letters alone, as in a formula, are no solution."""
    return sum(len(word) > 2 for word in run) >= 2


def _windows(text: str) -> Iterator[tuple[str, ...]]:
    """Cut a text into overlapping runs of every length that a secret may have."""
    words = WORD.findall(text)
    for size in range(SHORTEST, RUN + 1):
        yield from zip(*(words[i:] for i in range(size)), strict=False)


def _words(texts: Iterable[str]) -> set[str]:
    return {word.lower() for text in texts for word in re.findall(r"[^\W\d_]+", text)}


def scan_archive(path: Path, secrets: Secrets) -> list[str]:
    """Search a finished archive.

    Parameters
    ----------
    path : Path
        Zip.
    secrets : Secrets
        What must not be in it.

    Returns
    -------
    list of str
        A line for each place where something was found; empty if there is nothing.
    """
    return list(_scan(path.name, path.read_bytes(), secrets, 0))


def _scan(name: str, data: bytes, secrets: Secrets, depth: int) -> Iterator[str]:
    if reason := _kind(name, data):
        yield f"{name} is {reason}"
    members = _members(name, data)
    if members is None:
        yield from _scan_text(name, data, secrets)
    elif depth >= DEEPEST:
        yield f"{name} is an archive in an archive in an archive"
    else:
        for member, content in members:
            yield from _scan(f"{name}/{member}", content, secrets, depth + 1)


def _kind(name: str, data: bytes) -> str:
    """Say why a file has no place in a student's archive, whatever is in it."""
    path = PurePosixPath(name)
    if path.suffix in COMPILED or PYC.match(data) or "__pycache__" in path.parts:
        return "a compiled file"
    if path.suffix in CHECKPOINTS or ".ipynb_checkpoints" in path.parts:
        return "a checkpoint"
    return next((kind for start, kind in MAGIC.items() if data.startswith(start)), "")


def _members(name: str, data: bytes) -> list[tuple[str, bytes]] | None:
    """Unpack an archive; None if it is none."""
    try:
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return [(one.filename, _read(archive.open(one))) for one in archive.infolist()]
        if data.startswith(b"\x1f\x8b"):
            return [("unpacked", _read(gzip.open(io.BytesIO(data))))]
        if data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                files = [one for one in archive if one.isfile()]
                return [(one.name, _read(archive.extractfile(one))) for one in files]
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ValueError(f"{name} cannot be unpacked to look inside: {error}") from None
    return None


def _read(file: io.BufferedIOBase) -> bytes:
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"an archive holds a file of more than {LARGEST >> 20} MB")
    return data


def _scan_text(name: str, data: bytes, secrets: Secrets) -> Iterator[str]:
    for text in _readings(data.decode("utf-8", errors="ignore")):
        if found := secrets.find(text):
            yield f"{name} holds `{found}`"
            return


def _readings(text: str) -> Iterator[str]:
    """Give a text as it is, without markup, with JSON's strings joined, and with base64 undone."""
    yield text
    yield html.unescape(TAG.sub("", text))
    strings = _strings(text)
    yield "\n".join(strings)
    for string in [text, *strings]:
        for block in BASE64.findall(string):
            yield _decoded(block)


def _strings(text: str) -> list[str]:
    """List all strings of a JSON text, keys too; a list of lines is one string."""
    if not text.lstrip().startswith(("{", "[")):
        return []
    try:
        return list(_walk(json.loads(text)))
    except (ValueError, RecursionError):
        return []


def _walk(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield "".join(item for item in value if isinstance(item, str))
        for item in value:
            if not isinstance(item, str):
                yield from _walk(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _walk(item)


def _decoded(block: str) -> str:
    try:
        data = base64.b64decode(re.sub(r"\s", "", block))
    except (binascii.Error, ValueError):
        return ""
    return data.decode("utf-8", errors="ignore")


def scan_site(site: Path, secrets: Secrets) -> list[str]:
    """Search a built site: its pages, downloads and search index.

    Parameters
    ----------
    site : Path
        Folder of the site, such as ``_build/html``.
    secrets : Secrets
        What must not be in it; what the book says in public is no secret.

    Returns
    -------
    list of str
        A line for each place where something was found.
    """
    files = [
        path
        for path in sorted(site.rglob("*"))
        # The scripts that come with a theme are long, and nobody writes solutions into them.
        if path.suffix in SITE_TEXT and not (path.suffix == ".js" and "_static" in path.parts)
    ]
    found = []
    for path in files:
        name = path.relative_to(site).as_posix()
        data = path.read_bytes()
        found += _scan_text(name, data, secrets)
        if path.name == "searchindex.js":
            found += _scan_index(name, data.decode("utf-8", errors="ignore"), secrets)
    return found


def _scan_index(name: str, text: str, secrets: Secrets) -> list[str]:
    """Search an index, which holds shortened words in no order."""
    terms = {word.lower() for word in re.findall(r"[^\W\d_]{5,}", text)}
    telling = sorted(filter(secrets.tells, terms))
    if len(telling) < TELLING:
        return []
    return [f"{name} holds words that only solutions use: {', '.join(telling[:TELLING])}"]
