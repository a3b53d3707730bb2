"""Call a function on hostile data in a process that may die, with a clock and a bound of memory.

The process is forked from a server that holds the packages and nothing of a class. What it returns
is JSON. The kernel keeps the clock: no loop in C, and no lock, outlives it.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from cnncourse_grader import words

SECONDS = 60
MEMORY = 512 << 20  # bytes
MOST_BYTES = 32 << 20  # of what it returns
RETURNED, EXCEEDED, FAILED = "returned", "exceeded", "failed"


class ApartError(RuntimeError):
    """The data was too much for the function; the message says what it exceeded."""


def _context() -> multiprocessing.context.BaseContext:
    """Fork from a server with everything imported; elsewhere than on Linux, a fork is not safe."""
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(["cnncourse_grader.preload"])
    return context


def apart(function: Callable, *arguments: object, seconds: int = SECONDS) -> object:
    """Call a function in a process of its own.

    Parameters
    ----------
    function : callable
        Of a module.
    *arguments
        Data.
    seconds : int
        Wall time.

    Returns
    -------
    object
        What the function returns, through JSON.

    Raises
    ------
    ApartError
        If the function exceeds ``seconds``, ``MEMORY`` or Python's depth, or crashes.
    OSError
        If the process does not start, or the computer ends it.
    RuntimeError
        If the function raises anything else.
    """
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(sender, function, arguments, seconds))
    with receiver:
        with sender:
            process.start()
        try:
            kind, value = json.loads(receiver.recv_bytes(MOST_BYTES))
        except EOFError:
            process.join()
            raise _error(process.exitcode, seconds) from None
        finally:
            process.kill()
            process.join()
            process.close()
    if kind != RETURNED:
        raise (ApartError if kind == EXCEEDED else RuntimeError)(value)
    return value


def _call(sender: Connection, function: Callable, arguments: tuple, seconds: int) -> None:
    """Run in the process."""
    signal.alarm(seconds)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        reply = json.dumps([RETURNED, function(*arguments)])
    except MemoryError:
        reply = json.dumps([EXCEEDED, words.too_much_memory(MEMORY >> 20)])
    except RecursionError:
        reply = json.dumps([EXCEEDED, words.TOO_DEEP])
    except Exception as error:
        reply = json.dumps([FAILED, f"{type(error).__name__}: {error}"])
    sender.send_bytes(reply.encode())


def _error(code: int, seconds: int) -> Exception:
    if code == -signal.SIGKILL:
        return OSError("the computer ended a process of the grader; is it out of memory?")
    if code == -signal.SIGALRM:
        return ApartError(words.too_long(seconds))
    return ApartError(words.ended_early(code, ""))
