"""What a check says: the same words as plain text, as HTML and as data."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from html import escape
from textwrap import indent

import numpy as np
import torch
from torch import Tensor

# Of a wider array the middle is left out.
MOST_NUMBERS = 64
LONGEST_TEXT = 400  # characters
LONGEST_INTEGER = 1000  # bits
LINE_WIDTH = 76

CAPTION = "Smallest failing case"
# Stands before a number that differs from its counterpart.
DIFFERS = "≠"
# Fonts and the colour of words are the page's own. These three show on white and on black.
STYLES = {"✓": "solid #2d8a4e", "✗": "double #c4581a", "○": "dotted #808080"}
TABLE = "background: none; color: inherit; border: none; margin: 0"
CELL = "text-align: left; vertical-align: top; background: none"
# Long lines wrap, so that nothing needs to scroll.
PRE = "white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; background: none; color: inherit"


@dataclass(frozen=True, repr=False)
class Report:
    """The result of a check.

    Attributes
    ----------
    exercise : str
        Its name.
    cases, right : int
        How many cases were tried, and in how many the answer was right. No cases: the answer still
        is the stub.
    diagnosis : str
        The likely mistake; empty when there is none.
    case : tuple of (str, str)
        The smallest failing case: names and values of the arguments, what was expected, what came.
    tried : str
        What the cases hold.
    then : str
        Where to go on after a passed check.
    mistake : str
        Name of the likely mistake, for those who count mistakes.
    share : float
        Of the points, where an answer that passes can still be better.
    facts : tuple of (str, str)
        What was measured: name and value.
    """

    exercise: str
    cases: int
    right: int
    diagnosis: str = ""
    case: tuple[tuple[str, str], ...] = ()
    tried: str = ""
    then: str = ""
    mistake: str = ""
    share: float = 1.0
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the answer was right in every case."""
        return not self.diagnosis and 0 < self.cases == self.right

    @property
    def score(self) -> float:
        """Its share if passed, else 0.0: a function that is right sometimes is a wrong function."""
        return self.share if self.passed else 0.0

    @property
    def sign(self) -> str:
        """The result in one character."""
        return "✓" if self.passed else "✗" if self.cases else "○"

    @property
    def headline(self) -> str:
        """The result in one line."""
        if not self.cases:
            return f"{self.exercise}: nothing written yet"
        verdict = "passed" if self.passed else "not yet"
        return f"{self.exercise}: {verdict} ({self.right} of {self.cases} cases right)"

    @property
    def caption(self) -> str:
        """What stands above the failing case."""
        is_marked = any(DIFFERS in text for _, text in self.case)
        return f"{CAPTION} ({DIFFERS} differs):" if is_marked else f"{CAPTION}:"

    @property
    def words(self) -> list[str]:
        """What is said below the headline and the case, a paragraph each."""
        if self.passed:
            facts = "; ".join(f"{name} {value}" for name, value in self.facts)
            measured = f"Measured: {facts}. This is worth {self.share:.0%} of the points."
            tried = f"Tried: {self.tried}." if self.tried else ""
            words = [measured if facts else "", tried, self.then]
        elif self.cases:
            words = [self.diagnosis, f'For help: `hint("{self.exercise}")`']
        else:
            words = [f'Start with `hint("{self.exercise}")`.']
        return [text for text in words if text]

    @property
    def feedback(self) -> str:
        """The whole report as plain text."""
        parts = [f"{self.sign} {self.headline}", *self.words]
        if self.case:
            parts[1:1] = [self.caption, *(f"  {_line(label, text)}" for label, text in self.case)]
        return "\n".join(parts)

    def __str__(self) -> str:
        return self.feedback

    __repr__ = __str__

    def _repr_html_(self) -> str:
        sign = f'<span aria-hidden="true">{self.sign}</span>'
        head = f"<p>{sign} <strong>{escape(self.headline)}</strong></p>"
        words = "".join(f"<p>{html_words(text)}</p>" for text in self.words)
        box = f"border-left: 6px {STYLES[self.sign]}; padding-left: 1em"
        return f'<div style="{box}">{head}{self._html_case()}{words}</div>'

    def _html_case(self) -> str:
        if not self.case:
            return ""
        caption = f'<caption style="{CELL}">{self.caption}</caption>'
        rows = "".join(map(_html_row, self.case))
        return f'<table style="{TABLE}">{caption}{rows}</table>'


def html_words(text: str) -> str:
    """Turn what stands between backticks into code."""
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(text))


def _html_row(line: tuple[str, str]) -> str:
    label, text = map(escape, line)
    text = re.sub(rf"{DIFFERS} *[^\s,\])]+", r"<strong>\g<0></strong>", text)
    return (
        f'<tr style="background: none"><th scope="row" style="{CELL}">{label}</th>'
        f'<td style="{CELL}"><pre style="{PRE}">{text}</pre></td></tr>'
    )


def _line(label: str, text: str) -> str:
    if "\n" not in text:
        return f"{label} = {text}"
    return f"{label} =\n{indent(text, '    ')}"


def show(value: object, marks: object = None) -> str:
    """Write a value for a learner: few digits, rows under each other, the dtype where it matters.

    Parameters
    ----------
    value
        Data: tensor, number, bool, str, None, tuple or list.
    marks
        What to mark as different: a bool, a tensor of them in the shape of the value, or a list
        with the marks of each item; None for nothing.

    Returns
    -------
    str
        The same text for the same value.

    Examples
    --------
    >>> import torch
    >>> print(show(torch.tensor([[19.0, 25.0], [37.0, 43.0]])))
    [[19., 25.],
     [37., 43.]]
    >>> show((1, 4.0, 0.123456789), [False, True, False])
    '(1, ≠4.0, 0.123457)'
    """
    if isinstance(value, Tensor):
        return _show_tensor(value, marks if isinstance(marks, Tensor) else None)
    if isinstance(value, (tuple, list)):
        return _show_items(value, marks if isinstance(marks, list) else [None] * len(value))
    return f"{DIFFERS if marks is True else ''}{_show_one(value)}"


def _show_one(value: object) -> str:
    if isinstance(value, float):
        return repr(float(f"{value:.6g}"))  # as Python writes it: 4.0 is no 4
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ..."


def _show_items(value: tuple | list, marks: list) -> str:
    opening, closing = "()" if isinstance(value, tuple) else "[]"
    parts = list(map(show, value[:MOST_NUMBERS], marks))
    parts += ["..."] if len(value) > MOST_NUMBERS else []
    separator = ",\n" if any("\n" in part for part in parts) else ", "
    return opening + separator.join(parts) + closing


def _show_tensor(value: Tensor, marks: Tensor | None) -> str:
    # numpy has no bfloat16.
    array = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    text = _write(array) if marks is None else _write(_marked(array, marks))
    notes = [] if array.dtype == np.float32 else [str(array.dtype)]
    if array.size > MOST_NUMBERS or array.size == 0 or array.ndim > 2:
        notes.insert(0, f"shape {tuple(array.shape)}")
    return f"{text}  ({', '.join(notes)})" if notes else text


def _marked(array: np.ndarray, marks: Tensor) -> np.ndarray:
    """Write each number as a word of the same length, with a sign before those marked."""
    words = _write(array.ravel(), separator="|", threshold=sys.maxsize, max_line_width=sys.maxsize)
    signs = [DIFFERS if marked else " " for marked in marks.flatten()]
    pairs = zip(signs, words.strip("[]").split("|"), strict=True)
    return np.array([sign + word for sign, word in pairs], dtype=object).reshape(array.shape)


def _write(array: np.ndarray, **options: object) -> str:
    usual = {"separator": ", ", "threshold": MOST_NUMBERS, "max_line_width": LINE_WIDTH}
    return np.array2string(
        array,
        precision=4,
        suppress_small=True,
        edgeitems=2,
        formatter={"object": str},
        **(usual | options),
    )
