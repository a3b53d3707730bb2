"""Chapter "Speed": how long a training step takes and where its time goes, from a recorded grid."""

from __future__ import annotations

import traitlets

from cnncourse import plots
from cnncourse.explore.explorer import Explorer, File
from cnncourse.records.speed import Speed, StepTime, load_speed

PRECISIONS = ("float32", "bfloat16")


class SpeedExplorer(Explorer):
    """A step of `fit` on LeNet: its batch, its channels, and two of the switches.

    ``batch`` and ``channels`` are wishes: the step is that of the largest numbers up to them that
    were measured.
    """

    script = "speed"
    batch = traitlets.Int(128, min=32, max=512).tag(sync=True)
    channels = traitlets.Int(1, min=1, max=4).tag(sync=True)
    precision = traitlets.Enum(PRECISIONS, "float32").tag(sync=True)
    channels_last = traitlets.Bool(False).tag(sync=True)
    record = File("records/speed.json")

    @property
    def speed(self) -> Speed:
        """The record: all steps, and the speed of a matrix product."""
        return load_speed()

    @property
    def step(self) -> StepTime:
        """The step that was measured with these settings."""
        steps = self.speed.steps
        batch = max(step.batch for step in steps if step.batch <= self.batch)
        channels = max(step.channels for step in steps if step.channels <= self.channels)
        return self.speed.step(batch, channels, self.precision, self.channels_last)

    @property
    def share(self) -> float:
        """Which part of a matrix product's speed the step reaches, from 0 to 1."""
        return self.speed.share(self.step)

    def still(self) -> plots.Figure:
        """Draw where a picture's time goes: in the plain step, in others, and in this one."""
        plain = self.speed.step()
        steps = {
            "plain": plain,
            "batches of 32": self.speed.step(batch=32),
            "4 × channels": self.speed.step(channels=4),
            "bfloat16,\nchannels last": self.speed.step(128, 1, "bfloat16", True),
        }
        if self.step not in steps.values():
            steps["chosen"] = self.step
        return plots.stacked_bars(
            {name: _of_a_picture(step) for name, step in steps.items()},
            "microseconds for a picture",
        )


def _of_a_picture(step: StepTime) -> dict[str, float]:
    """Return the microseconds of each kind of work, under the names that the page has for them."""
    names = {kind: "the rest" if kind == "other" else kind for kind in step.kinds}
    return {names[kind]: 1e6 * time / step.batch for kind, time in step.kinds.items()}


def speed(
    batch: int = 128,
    channels: int = 1,
    precision: str = "float32",
    *,
    channels_last: bool = False,
) -> SpeedExplorer:
    """Choose batch, channels and switches of a training step, and see where its time goes.

    Parameters
    ----------
    batch : {32, 128, 512}, default 128
        Pictures of a step.
    channels : {1, 2, 4}, default 1
        Times the channels of LeNet's convolutions, 6 and 16.
    precision : {"float32", "bfloat16"}, default "float32"
        In which the step multiplies.
    channels_last : bool, default False
        Whether the numbers of one pixel stand side by side in memory.

    Returns
    -------
    SpeedExplorer
        The arguments follow the reader's hand and can be set; ``step`` is what was measured, a
        `cnncourse.records.StepTime`, and ``share`` which part of the floor it reaches.

    Examples
    --------
    >>> plain, wide = speed().step, speed(channels=4).step
    >>> 1 < wide.seconds / plain.seconds < wide.operations / plain.operations
    True
    """
    load_speed().step(batch, channels, precision, channels_last)  # which names what is not there
    return SpeedExplorer(
        batch=batch, channels=channels, precision=precision, channels_last=channels_last
    )
