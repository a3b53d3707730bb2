"""How long a training step of LeNet takes, and where its time goes: a recorded grid.

LeNet has up to four times its channels here; a step is that of `fit` with its switches, on the
machine that the record names. ``python -m benchmarks.cost`` measures it and tells how.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files

from cnncourse._arguments import check_choice

FILE = "speed.json"


@dataclass(frozen=True)
class StepTime:
    """The time of one step: the median over repeats, the smallest and the largest.

    ``channels`` are times those of LeNet. ``operations`` are two for each multiply-add, forward and
    backward. ``parts`` are seconds by name, such as "pooling backward"; they were measured in the
    step and add up to it within a few percent.
    """

    batch: int
    channels: int
    precision: str
    channels_last: bool
    seconds: float
    low: float
    high: float
    operations: int
    parts: dict[str, float]

    @property
    def pictures_per_second(self) -> float:
        """Pictures that are trained on in a second."""
        return self.batch / self.seconds

    @property
    def kinds(self) -> dict[str, float]:
        """Seconds of each kind of work, forward and backward together.

        Examples
        --------
        >>> list(load_speed().step().kinds)
        ['convolution', 'pooling', 'other', 'update']
        """
        sums = dict.fromkeys((part.split()[0] for part in self.parts), 0.0)
        for part, seconds in self.parts.items():
            sums[part.split()[0]] += seconds
        return sums


@dataclass(frozen=True)
class Speed:
    """What was measured on one device.

    ``floor`` has the operations a second of a matrix product in each precision, and the bytes a
    second of a copy: ``copy`` between places in memory, ``copy in cache`` of what stays in the
    cache.
    """

    name: str
    threads: int
    floor: dict[str, float]
    steps: tuple[StepTime, ...]

    def step(
        self,
        batch: int = 128,
        channels: int = 1,
        precision: str = "float32",
        channels_last: bool = False,
    ) -> StepTime:
        """Return the step with these settings.

        Examples
        --------
        >>> load_speed().step(channels=4).operations > 11 * load_speed().step().operations
        True
        """
        asked = {
            "batch": batch,
            "channels": channels,
            "precision": precision,
            "channels_last": channels_last,
        }
        for axis, value in asked.items():
            known = sorted({getattr(step, axis) for step in self.steps})
            if value not in known:
                raise ValueError(f"`{axis}` must be one of {known}, got {value!r}")
        return next(s for s in self.steps if all(getattr(s, k) == v for k, v in asked.items()))

    def share(self, step: StepTime) -> float:
        """Return which part of the matrix product's speed a step reaches, from 0 to 1."""
        return step.operations / step.seconds / self.floor[step.precision]


def load_speed(device: str = "cpu") -> Speed:
    """Read the recorded grid of a device.

    Examples
    --------
    >>> len(load_speed().steps)
    36
    """
    found = json.loads(files(__package__).joinpath(FILE).read_text("utf-8"))["devices"]
    check_choice("device", device, list(found))
    steps = tuple(StepTime(**step) for step in found[device]["steps"])
    return Speed(**{**found[device], "steps": steps})
