"""Misreadings that any exercise may meet: arguments taken otherwise, a result turned or rounded.

Each table goes from words to a function. An exercise's own mistakes say it better, so they are
asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations

import torch
from torch import Tensor

from cnncourse.checks.exercise import Case, Exercise

Change = Callable[[tuple], tuple]

# What a tensor of two or more axes may have been taken for.
TURNS: dict[str, Callable[[Tensor], Tensor]] = {
    "rotated by 180°": lambda x: x.flip(-2, -1),
    "mirrored from left to right": lambda x: x.flip(-1),
    "upside down": lambda x: x.flip(-2),
    "transposed": lambda x: x.mT,
}
ROWS: dict[str, Callable[[Tensor], Tensor]] = {"read backwards": lambda x: x.flip(0)}
SIGNS: dict[str, Callable[[Tensor], Tensor]] = {"without its sign": torch.abs}
INTEGERS: dict[str, Callable[[int], int]] = {
    "= 0: is it used?": lambda n: 0,
    "= 1: is it used?": lambda n: 1,
    "+ 1: is it one too many?": lambda n: n + 1,
    "- 1: is it one too few?": lambda n: n - 1,
}
DECIMALS: dict[str, Callable[[float], float]] = {"= 0: is it used?": lambda x: 0.0}
SEQUENCES: dict[str, Callable] = {"in reverse order.": lambda items: items[::-1]}

# What may have become of a right result.
RESULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "The result is rotated by 180°.": lambda y: y.flip(-2, -1),
    "The result is mirrored from left to right.": lambda y: y.flip(-1),
    "The result is upside down.": lambda y: y.flip(-2),
    "The sign is lost: negative numbers came out positive.": torch.abs,
    "Negative numbers became 0.": torch.relu,
    "The numbers are rounded to integers.": torch.round,
}


def readings(exercise: Exercise, case: Case) -> Iterator[tuple[str, Change]]:
    """List the ways in which the arguments of a case may have been taken otherwise.

    Parameters
    ----------
    exercise
        Its parameters name the arguments.
    case
        Of which kind the arguments are.

    Yields
    ------
    (str, callable)
        A sentence, and the function that changes the arguments so.
    """
    names, arguments = exercise.parameters, case.arguments
    for i, j in permutations(range(len(names)), 2):
        if _are_alike(arguments[i], arguments[j]):
            if i < j:
                yield f"`{names[i]}` and `{names[j]}` are exchanged.", partial(_exchange, i, j)
            yield f"`{names[i]}` is used where `{names[j]}` belongs.", partial(_repeat, i, j)
    for i, argument in enumerate(arguments):
        for words, change in _changes(argument).items():
            yield f"This is the answer for `{names[i]}` {words}", partial(_at, i, change)


def _are_alike(a: object, b: object) -> bool:
    return type(a) is type(b) and getattr(a, "ndim", 0) == getattr(b, "ndim", 0)


def _changes(argument: object) -> dict[str, Callable]:
    if isinstance(argument, Tensor):
        turns = {0: {}, 1: ROWS}.get(argument.ndim, TURNS)
        return {f"{words}.": change for words, change in (turns | SIGNS).items()}
    kinds = {int: INTEGERS, float: DECIMALS, list: SEQUENCES, tuple: SEQUENCES}
    return kinds.get(type(argument), {})


def _at(place: int, change: Callable, arguments: tuple) -> tuple:
    return (*arguments[:place], change(arguments[place]), *arguments[place + 1 :])


def _exchange(i: int, j: int, arguments: tuple) -> tuple:
    places = {i: j, j: i}
    return tuple(arguments[places.get(place, place)] for place in range(len(arguments)))


def _repeat(i: int, j: int, arguments: tuple) -> tuple:
    return _at(j, lambda _: arguments[i], arguments)
