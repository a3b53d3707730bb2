"""Assertions that stand beside the prose: a number the text states is a number the code computes.

A chapter's hidden cells call ``says`` with a phrase that stands word for word in the text
around them. ``tests/book/test_book.py`` holds that every number in the prose lies in such a phrase,
so changing a number in the text breaks that test, and changing both breaks the notebook.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

__all__ = ["Claim", "asks", "cites", "made", "numbers_in", "says"]

# Digits behind a letter (`conv2d`, `C3`) or a letter and a hyphen (`LeNet-5`) belong to a name.
NUMBER = re.compile(
    r"(?<!\w)(?<![A-Za-z]-)(?:(?<!\d)[-−])?"
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e-?\d+)?|\.\d+)"
)


class Claim(NamedTuple):
    """A phrase of the text, and what its numbers rest on: values, or a source."""

    phrase: str
    values: tuple[float, ...] = ()
    within: float | None = None
    source: str = ""


_made: list[Claim] = []


def made() -> list[Claim]:
    """List the claims that held so far, in order; `make claims` asks each chapter at its end."""
    return list(_made)


def numbers_in(text: str) -> list[str]:
    """List the numbers of a text as they are written; digits inside a name are none.

    Examples
    --------
    >>> numbers_in("61,706 parameters, an error of 0.95 % and a conv2d")
    ['61,706', '0.95']
    """
    return NUMBER.findall(text)


def compare(phrase: str, values: Sequence[float | int], within: float | int | None) -> None:
    """Raise AssertionError where a number of a phrase is not its value, as ``says`` compares."""
    matches = list(NUMBER.finditer(phrase))
    if len(matches) != len(values) or not values:
        raise ValueError(f"{phrase!r} holds {len(matches)} numbers, got {len(values)} values")
    for match, value in zip(matches, values, strict=True):
        stated = Decimal(match[0].replace(",", "").replace("−", "-"))
        is_percentage = phrase[match.end() :].lstrip().startswith("%")
        measured = float(value) * 100 if is_percentage else float(value)
        half_a_unit = 0.5 * 10.0 ** stated.as_tuple().exponent
        # The tiny factor lets a value on the edge of rounding pass whichever way floats fell.
        allowed = half_a_unit * (1 + 1e-9) if within is None else within
        if not abs(measured - float(stated)) <= allowed:
            shown = f"{measured:g} %" if is_percentage else f"{value}"
            raise AssertionError(f"the text says {phrase!r}, but the value is {shown}")


def says(phrase: str, *values: float | int, within: float | int | None = None) -> None:
    """Assert that the numbers written in a phrase are the values, rounded as the phrase rounds.

    Before ``%`` stands 100 times the value. ``within`` is the largest difference accepted instead
    of rounding, in the units of the phrase: for results that depend on the machine.

    Examples
    --------
    >>> says("an accuracy of 83.4 %", 0.8341)
    >>> says("takes 20 steps", 21)
    Traceback (most recent call last):
        ...
    AssertionError: the text says 'takes 20 steps', but the value is 21
    """
    compare(phrase, values, within)
    _made.append(Claim(phrase, tuple(map(float, values)), within))


def asks(question: str, computed: Mapping[str, object], within: float | int | None = None) -> None:
    """Assert that the key of a box ``predict`` is what the chapter computes.

    ``question`` stands word for word in the box. Each key of numbers, also of those that name a
    mistake, comes with its value or its values, compared as in ``says``; a choice comes with
    whether it is right.

    Examples
    --------
    >>> asks("How many windows are there?", {"3": (8 - 3) // 2 + 1, "4": 8 // 2})
    >>> asks("Does the sum change?", {"no": 1 + 2 == 2 + 1})
    >>> asks("Does the sum change?", {"no": 1 - 2 == 2 - 1})
    Traceback (most recent call last):
        ...
    AssertionError: the answer to 'Does the sum change?' is not 'no'
    """
    for key, value in computed.items():
        values = value if isinstance(value, tuple | list) else [value]
        if numbers_in(key):
            compare(key, values, within)
        elif not all(values):
            raise AssertionError(f"the answer to {question!r} is not {key!r}")


def cites(phrase: str, source: str) -> None:
    """Mark the numbers of a phrase as quoted from a source rather than computed here.

    ``source`` is a key of ``book/references.bib`` that the same section cites.

    Examples
    --------
    >>> cites("an error of 0.95 % in 1998", source="lecun1998gradient")
    """
    if not numbers_in(phrase):
        raise ValueError(f"{phrase!r} holds no number to cite")
    if not source:
        raise ValueError("`source` must be a key of book/references.bib, got ''")
    _made.append(Claim(phrase, source=source))
