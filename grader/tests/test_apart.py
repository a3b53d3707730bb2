"""Functions called on hostile data in a process that may die: every end has a name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest
from cnncourse_grader.apart import ApartError, apart


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def dig(depth: int) -> int:
    return dig(depth + 1)


def sleep_in_python() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)


def refuse() -> None:
    raise ValueError("no such thing")


def test_what_a_function_gives_comes_back() -> None:
    assert apart(divmod, 17, 5) == [3, 2]


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        (sleep_in_python, (), "it took more than 1 seconds"),
        (pow, (3, 10**9), "it took more than 1 seconds"),  # in C, with the lock held
        (bytearray, (1 << 32,), "it used more than 512 MB of memory"),
        (dig, (0,), "it is nested too deeply"),
        (die, (signal.SIGSEGV,), "it ended early (signal 11)"),
        (os._exit, (0,), "it ended early (exit code 0)"),
    ],
)
def test_too_much_is_the_fault_of_the_data(function: Callable, arguments: tuple, says: str) -> None:
    with pytest.raises(ApartError) as caught:
        apart(function, *arguments, seconds=1)
    assert str(caught.value) == says


def test_what_the_computer_ends_is_its_own_fault() -> None:
    with pytest.raises(OSError, match="out of memory"):
        apart(die, signal.SIGKILL)


def test_an_error_of_the_function_is_no_fault_of_the_data() -> None:
    with pytest.raises(RuntimeError, match="ValueError: no such thing") as caught:
        apart(refuse)
    assert caught.type is RuntimeError
