"""Chapter "The shift test": a small digit on a canvas, and seven networks that read it."""

from __future__ import annotations

import torch
import traitlets
from jaxtyping import Bool, Float
from torch import Tensor

from cnncourse import plots
from cnncourse._arguments import check_choice, check_integer
from cnncourse.explore.explorer import Explorer, File
from cnncourse.invariance import translate
from cnncourse.records.trained import load_trained
from cnncourse.shift import NETWORKS, SIDE, on_canvas
from cnncourse.training import predict

FAR = 7  # pixels that a digit can move to every side without leaving the canvas
WEIGHTS = "records/weights/shift/{}.safetensors"


class ShiftExplorer(Explorer):
    """A digit, its place, and the networks of the chapter."""

    script = "shift"
    digit = traitlets.Int(8, min=0, max=9).tag(sync=True)
    right = traitlets.Int(0, min=-FAR, max=FAR).tag(sync=True)
    down = traitlets.Int(0, min=-FAR, max=FAR).tag(sync=True)
    digits = File("explore/data/digits.bin")
    perceptron = File(WEIGHTS.format("perceptron"))
    circular = File(WEIGHTS.format("circular"))
    zeros = File(WEIGHTS.format("zeros"))
    stride = File(WEIGHTS.format("stride"))
    max_pool = File(WEIGHTS.format("max_pool"))
    blur_pool = File(WEIGHTS.format("blur_pool"))
    dense = File(WEIGHTS.format("dense"))

    @property
    def image(self) -> Float[Tensor, "1 1 28 28"]:
        """The digit in the middle of the canvas."""
        pixels = torch.frombuffer(bytearray(self.digits), dtype=torch.uint8)
        return on_canvas(pixels.reshape(10, 1, SIDE, SIDE)[[self.digit]] / 255)

    @property
    def x(self) -> Float[Tensor, "28 28"]:
        """The canvas as the networks see it."""
        return translate(self.image, self.down, self.right)[0, 0]

    @property
    def answers(self) -> dict[str, int]:
        """What each network reads now, by its name."""
        x = self.x[None, None]
        return {name: int(predict(load_trained("shift", name), x).argmax()) for name in NETWORKS}

    def right_at(self, network: str) -> Bool[Tensor, "15 15"]:
        """Tell at which places a network reads the digit: rows from -7 to 7 down, then right.

        Examples
        --------
        >>> shift().right_at("circular").all()
        tensor(True)
        """
        check_choice("network", network, NETWORKS)
        steps = range(-FAR, FAR + 1)
        moved = [translate(self.image, down, right) for down in steps for right in steps]
        answers = predict(load_trained("shift", network), torch.cat(moved)).argmax(1)
        return (answers == self.digit).reshape(len(steps), len(steps))

    def still(self) -> plots.Figure:
        """Draw the canvas, and each network's map: white where it is right."""
        maps = {name.replace("_", "-"): self.right_at(name).float() for name in NETWORKS}
        return plots.pictures({"the digit": self.x, **maps}, columns=4)


def shift(digit: int = 8, right: int = 0, down: int = 0) -> ShiftExplorer:
    """Move a digit over its canvas, and see where each of seven networks is wrong.

    Parameters
    ----------
    digit : int
        0 to 9.
    right, down : int
        Pixels from the middle of the canvas, -7 to 7.

    Returns
    -------
    ShiftExplorer
        Its ``x`` is the canvas (28, 28), ``answers`` what each network reads, and
        ``right_at(network)`` tells the places where one is right.

    Examples
    --------
    >>> shift(8, right=7).answers["circular"]
    8
    """
    check_integer("digit", digit, 0)
    return ShiftExplorer(digit=digit, right=right, down=down)
