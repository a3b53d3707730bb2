"""What the seeds of two recipes say about their difference, and how sure an accuracy is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan, copysign, cos, inf, pi, sin, sqrt
from statistics import mean, stdev

from cnncourse.tables import Table


@dataclass(frozen=True)
class Step:
    """A recipe beside the one before it, with the same seeds.

    Attributes
    ----------
    before, after : str
        The two recipes.
    gains : tuple of float
        One for each seed: what ``after`` reached, less what ``before`` reached.
    """

    before: str
    after: str
    gains: tuple[float, ...]

    @property
    def gain(self) -> float:
        """Mean of the gains."""
        return mean(self.gains)

    @property
    def won(self) -> int:
        """Number of seeds whose gain is above zero."""
        return sum(gain > 0 for gain in self.gains)

    @property
    def t(self) -> float:
        """The paired t: mean gain through its standard error."""
        return paired_t(self.gains)

    @property
    def p(self) -> float:
        """How often chance alone would give a t this far from zero, on either side."""
        return two_sided_p(self.t, len(self.gains) - 1)


@dataclass(frozen=True)
class Steps:
    """The steps of a ladder of recipes; a notebook shows them as a table.

    Attributes
    ----------
    rows : tuple of Step
        In the order of the ladder. ``steps["he"]`` is the step that leads to ``he``.
    labels : dict of str
        What the table calls each recipe.
    """

    rows: tuple[Step, ...]
    labels: dict[str, str]

    def __getitem__(self, after: str) -> Step:
        found = {step.after: step for step in self.rows}
        if after not in found:
            raise ValueError(f"`after` must be one of {', '.join(found)}, got {after!r}")
        return found[after]

    def table(self) -> Table:
        """Write a row for each step."""
        rows = [
            (
                f"{self.labels[step.before]} → {self.labels[step.after]}",
                f"{step.gain:+.4f}".replace("-", "−"),
                f"{step.won} of {len(step.gains)}",
                f"{step.t:.1f}".replace("-", "−"),
                f"{step.p:.3f}" if step.p >= 0.001 else "< 0.001",
            )
            for step in self.rows
        ]
        return Table(("step", "mean gain", "seeds won", "t", "p"), tuple(rows))

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def paired_t(gains: Sequence[float]) -> float:
    """Divide the mean gain by its standard error, ``stdev(gains) / sqrt(n)``.

    Parameters
    ----------
    gains : sequence of float
        At least two, one for each pair.

    Returns
    -------
    float
        Infinite where all gains are equal and not zero; 0 where all are zero.

    Examples
    --------
    >>> round(paired_t([0.01, 0.02, 0.03]), 2)
    3.46
    """
    if len(gains) < 2:
        raise ValueError(f"`gains` must hold at least 2, got {len(gains)}")
    gain, error = mean(gains), stdev(gains) / sqrt(len(gains))
    if error == 0:
        return copysign(inf, gain) if gain else 0.0
    return gain / error


def two_sided_p(t: float, freedom: int) -> float:
    """Compute how often Student's t lies at least this far from zero by chance.

    ``1 - A(t | freedom)``, by the finite sums of Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.

    Parameters
    ----------
    t : float
        Of either sign.
    freedom : int
        Degrees of freedom, at least 1: the number of pairs less one.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> round(two_sided_p(2.776, 4), 3)
    0.05
    """
    if freedom < 1:
        raise ValueError(f"`freedom` must be at least 1, got {freedom}")
    angle, odd = atan(abs(t) / sqrt(freedom)), freedom % 2
    term, total = cos(angle) if odd else 1.0, 0.0
    for k in range(odd, freedom - 1, 2):
        total += term
        term *= (k + 1) / (k + 2) * cos(angle) ** 2
    within = sin(angle) * total
    return max(0.0, 1 - (2 / pi * (angle + within) if odd else within))


def standard_error(accuracy: float, n: int) -> float:
    """Say how far an accuracy on n pictures lies from that on all pictures, as a deviation.

    ``sqrt(accuracy (1 - accuracy) / n)``, the standard deviation of a share of n draws.

    Parameters
    ----------
    accuracy : float
        In [0, 1].
    n : int
        Pictures, at least 1.

    Returns
    -------
    float
        In accuracy, not in per cent.

    Examples
    --------
    >>> round(standard_error(0.9, 5000), 4)
    0.0042
    """
    if not 0 <= accuracy <= 1:
        raise ValueError(f"`accuracy` must be in [0, 1], got {accuracy}")
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n}")
    return sqrt(accuracy * (1 - accuracy) / n)
