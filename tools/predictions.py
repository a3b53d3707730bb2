"""What stands in a box ``predict``: a question and, below a line ``---``, its key.

    :::{predict}
    How many pixels does a unit of the fourth layer see?
    ---
    answer: 13
    said:
      9: That is the third layer.
    :::

An answer is a number, a share (``83 %``), a shape (``6 × 24 × 24``) or a list (``144, 9``); below
``said`` stand wrong answers with what the reader is told. Any other answer is one of the two to
four choices below ``said``, in the order in which they are shown. ``near`` is for what is measured:
a guess at most so far away is near enough, and any number opens the output. ``cells: 2`` folds the
output of one more cell, where it too gives the answer away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

NUMBERS = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?(?:(?: × |, )[-−]?\d+(?:\.\d+)?)*(?: ?%)?")
BOX = re.compile(r"(?ms)^:::\{predict\}\n(.*?)^:::$")
FIELDS = {"answer", "cells", "near", "said"}


@dataclass(frozen=True)
class Prediction:
    """A question, its answer, and what is said to some answers."""

    question: str
    answer: str
    near: str = ""
    cells: str = "1"
    said: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_choice(self) -> bool:
        """Tell a question with choices from one for numbers."""
        return not is_number(self.answer)


def is_number(text: str) -> bool:
    """Tell a number, a share, a shape or a list of numbers from words."""
    return NUMBERS.fullmatch(text) is not None


def split(text: str) -> tuple[str, str]:
    """Split the content of a box into the question and its key."""
    question, _, key = text.partition("\n---\n")
    return question.strip(), key


def read(text: str) -> Prediction:
    """Read the content of a box; ValueError says what its key lacks."""
    question, key = split(text)
    entries = yaml.load(key, yaml.BaseLoader) or {}  # strings alone
    if not isinstance(entries, dict) or "answer" not in entries:
        raise ValueError("below its question, predict needs a line --- and an `answer`")
    if unknown := sorted(entries.keys() - FIELDS):
        raise ValueError(f"predict has no field {unknown[0]!r}; it has {sorted(FIELDS)}")
    prediction = Prediction(question, **entries)
    check(prediction)
    return prediction


def check(prediction: Prediction) -> None:
    """Refuse choices without a word, and words that belong to no field for numbers."""
    said, answer = prediction.said, prediction.answer
    if prediction.is_choice and not (answer in said and 2 <= len(said) <= 4):
        raise ValueError(f"`said` needs two to four choices and {answer!r} among them")
    if not prediction.is_choice and (words := [key for key in said if not is_number(key)]):
        raise ValueError(f"the answer is a number, and {words[0]!r} is none")
    if silent := [key for key, words in said.items() if not words and key != answer]:
        raise ValueError(f"nothing is said to {silent[0]!r}")


def choices(text: str) -> list[str]:
    """List the choices of a box for a reader without its form."""
    prediction = read(text)
    return list(prediction.said) if prediction.is_choice else []


def boxes(text: str) -> list[str]:
    """List the contents of all boxes of a text."""
    return BOX.findall(text)
