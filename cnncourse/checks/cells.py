"""Run the code cells of a notebook in one namespace, in order, without Jupyter.

A plain ``exec`` rather than IPython's shell or a kernel: it needs no socket and no history file,
adds nothing to the time torch takes to import, and has less for a submission to take hold of.
Magics are left out, the value of a last line is not shown, and ``await`` outside a function is
not known. A cell that fails does not stop the next one.
"""

from __future__ import annotations

import linecache
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, ModuleType

# `%%time` and `%%capture` run their cell; the others hold another language, or write a file.
PYTHON_MAGIC = re.compile(r"\A\s*%%(?:time|timeit|capture|prun)\b.*\n?")
MAGIC_LINE = re.compile(r"^(\s*)(?:[%!].*|.*\?)$", re.MULTILINE)


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
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def without_magics(source: str) -> str:
    """Replace what only IPython understands by ``pass``, line for line.

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
    >>> without_magics("%matplotlib inline")
    'pass'
    """
    source = PYTHON_MAGIC.sub("", source)
    return "" if source.lstrip().startswith("%%") else MAGIC_LINE.sub(r"\1pass", source)


def run_cells(
    cells: Sequence[str], seconds: int | float = 0
) -> tuple[dict[str, object], dict[int, str]]:
    """Run cells one after the other.

    Parameters
    ----------
    cells : sequence of str
        Source of each code cell.
    seconds : int or float
        Time for one cell; 0 for no limit.

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
    failures = {}
    try:
        for number, source in enumerate(cells, start=1):
            try:
                with time_limit(seconds):
                    _run(source, f"<cell {number}>", module.__dict__)
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


def _run(source: str, name: str, namespace: dict[str, object]) -> None:
    try:
        code = compile(source, name, "exec")
    except SyntaxError:
        source = without_magics(source)
        code = compile(source, name, "exec")
    # So that a traceback shows the learner's line.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(code, namespace)


def _describe(error: BaseException) -> str:
    if isinstance(error, OutOfTimeError):
        return "it took too long"
    return f"{type(error).__name__}: {error}".rstrip(": ")[:300]
