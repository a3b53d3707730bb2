"""Run the code cells of a notebook in one namespace, in order, without Jupyter.

A plain ``exec`` rather than IPython's shell or a kernel: it needs no socket and no history file,
adds nothing to the time torch takes to import, and has less for a submission to take hold of.
Magics are left out, the value of a last line is not shown, and ``await`` outside a function is
not known. A statement that fails does not stop the next one: a comparison that needs what is not
here shall not cost the answer below it.
"""

from __future__ import annotations

import ast
import linecache
import re
import signal
import sys
from codeop import Compile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, ModuleType

# `%%time` and `%%capture` run their cell; the others hold another language, or write a file.
PYTHON_MAGIC = re.compile(r"\A\s*%%(?:time|timeit|capture|prun)\b.*\n?")
# A line that IPython knows and Python does not -> what stands in its place.
MAGIC_LINES = {
    re.compile(r"([ \t]*)%time[ \t]+(.+)"): r"\1\2",
    re.compile(r"([ \t]*[\w., \t]+=)[ \t]*[%!].*"): r"\1 []",
    re.compile(r"([ \t]*)(?:[%!?].*|[^#]*\?\s*)"): r"\1pass",
}


TOO_LONG = "it took too long"


class OutOfTimeError(BaseException):
    """One cell or answer took too long. No ``Exception``: an answer shall not catch it unawares."""


@contextmanager
def time_limit(seconds: int | float) -> Iterator[None]:
    """Raise `OutOfTimeError` in the code of the block when it takes too long, again and again.

    Parameters
    ----------
    seconds : int or float
        0 or less for no limit.

    Yields
    ------
    None
        While the clock runs.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfTimeError

    if seconds <= 0:
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    around = signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        # A clock around this one has stood still.
        signal.setitimer(signal.ITIMER_REAL, *around)
        signal.signal(signal.SIGALRM, before)


def without_magics(source: str) -> str:
    r"""Replace what only IPython understands, line for line, and only where Python stumbles.

    Parameters
    ----------
    source : str
        A code cell.

    Returns
    -------
    str
        Python with the same line numbers, but for a first line such as ``%%time``.

    Examples
    --------
    >>> without_magics("%matplotlib inline\nx = 1  # why?")
    'pass\nx = 1  # why?'
    """
    source = PYTHON_MAGIC.sub("", source)
    if source.lstrip().startswith("%%"):
        return ""
    lines = source.split("\n")
    while (place := _stumble(lines)) is not None and (plain := _plain(lines[place])) != lines[
        place
    ]:
        _replace(lines, place, plain)
    return "\n".join(lines)


def _stumble(lines: list[str]) -> int | None:
    """Find the line that is no Python, if there is one."""
    try:
        ast.parse("\n".join(lines))
    except SyntaxError as error:
        return min(error.lineno or 1, len(lines)) - 1
    return None


def _plain(line: str) -> str:
    for pattern, plain in MAGIC_LINES.items():
        if match := pattern.fullmatch(line):
            return match.expand(plain)
    return line


def _replace(lines: list[str], place: int, plain: str) -> None:
    """Put a line in the place of another and of those that it goes on in."""
    while lines[place].endswith("\\") and place + 1 < len(lines):
        lines[place], plain, place = plain, "", place + 1
    lines[place] = plain


def run_cells(
    cells: Sequence[str], seconds: int | float = 0
) -> tuple[dict[str, object], dict[int, str]]:
    """Run cells one after the other.

    Parameters
    ----------
    cells : sequence of str
        Source of each code cell.
    seconds : int or float
        Time for one statement; 0 for no limit.

    Returns
    -------
    namespace : dict
        What the cells defined.
    failures : dict
        Number of a cell, counted from 1 -> type and message of what stopped it.

    Examples
    --------
    >>> namespace, failures = run_cells(["x = 1", "y = 1 / 0", "z = x + 1"])
    >>> namespace["z"], failures
    (2, {2: 'ZeroDivisionError: division by zero'})
    """
    before, module = sys.modules["__main__"], _notebook_module()
    sys.modules["__main__"] = module
    failures: dict[int, str] = {}
    # Like a notebook, it remembers `from __future__ import ...`.
    translate = Compile()
    try:
        for number, source in enumerate(cells, start=1):
            try:
                _run(source, f"<cell {number}>", module.__dict__, translate, seconds)
            except BaseException as error:  # SystemExit and the clock too: the next cell has a turn
                if isinstance(error, KeyboardInterrupt):
                    raise
                failures[number] = _describe(error)
    finally:
        sys.modules["__main__"] = before
    return module.__dict__, failures


def _notebook_module() -> ModuleType:
    module = ModuleType("__main__")
    module.display = lambda *values, **options: None
    module.get_ipython = lambda: None
    return module


def _run(
    source: str, name: str, namespace: dict[str, object], translate: Compile, seconds: int | float
) -> None:
    """Run a cell to its end, and raise the first error then."""
    with time_limit(seconds):
        source, tree = _parsed(source, name)
    # So that a traceback shows the learner's line.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    errors = []
    for statement in tree.body:
        try:
            with time_limit(seconds):
                exec(translate(ast.Module([statement], []), name, "exec"), namespace)
        except (Exception, OutOfTimeError) as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _parsed(source: str, name: str) -> tuple[str, ast.Module]:
    try:
        return source, ast.parse(source, name)
    except SyntaxError:
        source = without_magics(source)
        return source, ast.parse(source, name)


def _describe(error: BaseException) -> str:
    if isinstance(error, OutOfTimeError):
        return TOO_LONG
    return f"{type(error).__name__}: {error}".rstrip(": ")[:300]
