"""What a check says: the same words as plain text, as HTML and as data."""

from __future__ import annotations

import re
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

# Colours and fonts are the page's own: readable in the light and in the dark.
BOX = "border-left: 4px solid currentColor; padding-left: 1em"
TABLE = "background: none; color: inherit; border: none; margin: 0"
CAPTION = "Smallest failing case"
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
        How many cases were tried, and in how many the answer was right.
    diagnosis : str
        The likely mistake; empty when there is none.
    case : tuple of (str, str)
        The smallest failing case: names and values of the arguments, what was expected, what came.
    """

    exercise: str
    cases: int
    right: int
    diagnosis: str = ""
    case: tuple[tuple[str, str], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the answer was right in every case."""
        return not self.diagnosis and 0 < self.cases == self.right

    @property
    def score(self) -> float:
        """1.0 if passed, else 0.0: a function that is right sometimes is a wrong function."""
        return float(self.passed)

    @property
    def headline(self) -> str:
        """The result in one line."""
        verdict = "passed" if self.passed else "not yet"
        return f"{self.exercise}: {verdict} ({self.right} of {self.cases} cases right)"

    @property
    def feedback(self) -> str:
        """The whole report as plain text."""
        if self.passed:
            return self.headline
        parts = [self.headline, *(f"  {_line(label, text)}" for label, text in self.case)]
        if self.case:
            parts.insert(1, f"{CAPTION}:")
        return "\n".join([*parts, self.diagnosis, self.advice])

    @property
    def advice(self) -> str:
        """What to do next."""
        return f'For help: `hint("{self.exercise}")`'

    def __str__(self) -> str:
        return self.feedback

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = f"<p><strong>{escape(self.headline)}</strong></p>"
        if self.passed:
            return f'<div style="{BOX}">{head}</div>'
        rows = "".join(map(_html_row, self.case))
        caption = f'<caption style="{CELL}">{CAPTION}</caption>'
        table = f'<table style="{TABLE}">{caption}{rows}</table>'
        words = f"<p>{_html_words(self.diagnosis)}</p><p>{_html_words(self.advice)}</p>"
        return f'<div style="{BOX}">{head}{table if rows else ""}{words}</div>'


def _html_words(text: str) -> str:
    """Turn what stands between backticks into code."""
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(text))


def _html_row(line: tuple[str, str]) -> str:
    label, text = map(escape, line)
    return (
        f'<tr style="background: none"><th scope="row" style="{CELL}">{label}</th>'
        f'<td style="{CELL}"><pre style="{PRE}">{text}</pre></td></tr>'
    )


def _line(label: str, text: str) -> str:
    if "\n" not in text:
        return f"{label} = {text}"
    return f"{label} =\n{indent(text, '    ')}"


def show(value: object) -> str:
    """Write a value for a learner: few digits, rows under each other, the dtype where it matters.

    Parameters
    ----------
    value
        Data: tensor, number, bool, str, None, tuple or list.

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
    >>> show((1, 4.0, 0.123456789))
    '(1, 4.0, 0.123457)'
    """
    if isinstance(value, Tensor):
        return _show_tensor(value)
    if isinstance(value, (tuple, list)):
        opening, closing = "()" if isinstance(value, tuple) else "[]"
        parts = [show(item) for item in value[:MOST_NUMBERS]]
        parts += ["..."] if len(value) > MOST_NUMBERS else []
        separator = ",\n" if any("\n" in part for part in parts) else ", "
        return opening + separator.join(parts) + closing
    if isinstance(value, float):
        return repr(float(f"{value:.6g}"))  # as Python writes it: 4.0 is no 4
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ..."


def _show_tensor(value: Tensor) -> str:
    # numpy has no bfloat16.
    array = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    text = np.array2string(
        array,
        precision=4,
        suppress_small=True,
        separator=", ",
        threshold=MOST_NUMBERS,
        edgeitems=2,
        max_line_width=LINE_WIDTH,
    )
    notes = [] if array.dtype == np.float32 else [str(array.dtype)]
    if array.size > MOST_NUMBERS or array.size == 0 or array.ndim > 2:
        notes.insert(0, f"shape {tuple(array.shape)}")
    return f"{text}  ({', '.join(notes)})" if notes else text
