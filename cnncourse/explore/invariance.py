"""Chapter "Invariance": a digit that is moved and shuffled, and networks made for either order."""

from __future__ import annotations

import torch
import traitlets
from jaxtyping import Bool, Float
from torch import Tensor, nn

from cnncourse import plots
from cnncourse._arguments import check_choice, check_integer
from cnncourse.explore.explorer import Explorer, File
from cnncourse.invariance import permute_pixels, translate
from cnncourse.records.trained import load_trained
from cnncourse.training import predict

SIDE = 28
FAR = 4  # pixels that a digit moves to every side, as far as the chapter moves it
WEIGHTS = "records/weights/invariance/{}.safetensors"
# As a figure names them: three were trained on digits in order, the others read shuffled ones.
NETWORKS = {
    "dense": "dense",
    "conv_mean": "conv, mean",
    "conv_max": "conv, largest",
    "dense_twin": "dense, shuffled",
    "conv_mean_shuffled": "conv, mean, shuffled",
}


class InvarianceExplorer(Explorer):
    """A digit, its place, the order of its pixels, and the networks that read it."""

    script = "invariance"
    digit = traitlets.Int(4, min=0, max=9).tag(sync=True)
    right = traitlets.Int(0, min=-FAR, max=FAR).tag(sync=True)
    down = traitlets.Int(0, min=-FAR, max=FAR).tag(sync=True)
    shuffled = traitlets.Bool(False).tag(sync=True)
    digits = File("explore/data/digits.bin")
    order = File("explore/data/order.bin")
    dense = File(WEIGHTS.format("dense"))
    conv_mean = File(WEIGHTS.format("conv_mean"))
    conv_max = File(WEIGHTS.format("conv_max"))
    conv_mean_shuffled = File(WEIGHTS.format("conv_mean_shuffled"))

    @property
    def x(self) -> Float[Tensor, "28 28"]:
        """The picture that the networks get."""
        return self.images_at([(self.down, self.right)])[0, 0]

    @property
    def answers(self) -> dict[str, int]:
        """What each network reads now, by its name."""
        x = self.x[None, None]
        return {name: int(predict(network(name), x).argmax()) for name in NETWORKS}

    def images_at(self, places: list[tuple[int, int]]) -> Float[Tensor, "n 1 28 28"]:
        """Show the digit at places (down, right), its pixels shuffled if they are now."""
        pixels = torch.frombuffer(bytearray(self.digits), dtype=torch.uint8)
        image = pixels.reshape(10, 1, SIDE, SIDE)[[self.digit]] / 255
        images = torch.cat([translate(image, *place) for place in places])
        return permute_pixels(images) if self.shuffled else images

    def right_at(self, name: str) -> Bool[Tensor, "9 9"]:
        """Tell at which places a network reads the digit: rows from -4 to 4 down, then right.

        Examples
        --------
        >>> invariance(4).right_at("conv_max").all()
        tensor(True)
        """
        steps = range(-FAR, FAR + 1)
        images = self.images_at([(down, right) for down in steps for right in steps])
        answers = predict(network(name), images).argmax(1)
        return (answers == self.digit).reshape(len(steps), len(steps))

    def still(self) -> plots.Figure:
        """Draw what the networks get, and each one's map: white where it is right."""
        maps = {title: self.right_at(name).float() for name, title in NETWORKS.items()}
        return plots.pictures({"picture": self.x, **maps})


def network(name: str) -> nn.Sequential:
    """Build one of the networks; ``dense_twin`` is ``dense`` with its weights shuffled.

    Its 784 weights of each sum stand in the order of the shuffled pixels, so that it gives for
    shuffled pixels what ``dense`` gives for those in order.
    """
    check_choice("name", name, NETWORKS)
    model = load_trained("invariance", name.removesuffix("_twin"))
    if name == "dense_twin":
        weight = model[1].weight.data
        model[1].weight.data = permute_pixels(weight.reshape(-1, SIDE, SIDE)).flatten(1)
    return model


def invariance(
    digit: int = 4, right: int = 0, down: int = 0, *, shuffled: bool = False
) -> InvarianceExplorer:
    """Move a digit and shuffle its pixels, and see which networks still read it.

    Parameters
    ----------
    digit : int
        0 to 9.
    right, down : int
        Pixels from its place in MNIST, -4 to 4.
    shuffled : bool
        Whether its pixels are put into the order of ``permute_pixels``, after it has moved.

    Returns
    -------
    InvarianceExplorer
        Its ``x`` is the picture (28, 28), ``answers`` what each network reads, and
        ``right_at(name)`` tells the places where one is right.

    Examples
    --------
    >>> invariance(4, right=-3).answers["dense"]
    1
    """
    check_integer("digit", digit, 0)
    return InvarianceExplorer(digit=digit, right=right, down=down, shuffled=shuffled)
