"""Chapter "LeNet": every map of every layer, for a picture that you draw, move or spoil."""

from __future__ import annotations

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor, nn

from cnncourse import plots
from cnncourse._arguments import check_choice
from cnncourse.explore.explorer import Explorer, File, Matrix
from cnncourse.lenet import LayerScale, layer_scales
from cnncourse.records.trained import EPOCHS, load_trained, path_of

SIDE = 28
MOST = 14  # pixels that a picture moves
RECIPES = ("lenet_modern_mnist", "lenet_sigmoid", "relu", "one_cycle")
NETWORKS = {
    path_of(recipe, epoch).stem: (recipe, epoch)
    for recipe in RECIPES
    for epoch in (*EPOCHS.get(f"lenet/{recipe}", ()), None)
}
PICTURES = (*"0123456789", "drawing")
ACTIVATIONS = {"own": None, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "ReLU": nn.ReLU}
LAYERS = (
    *("conv1", "act1", "pool1", "conv2", "act2", "pool2"),
    *("fc1", "act3", "fc2", "act4", "fc3"),
)


class LeNetExplorer(Explorer):
    """A trained LeNet, a picture, and what each layer makes of it."""

    script = "lenet"
    net = traitlets.Enum(tuple(NETWORKS), RECIPES[0]).tag(sync=True)
    picture = traitlets.Enum(PICTURES, "3").tag(sync=True)
    drawing = Matrix([[0.0]], side=SIDE, low=0, high=1)
    right = traitlets.Int(0, min=-MOST, max=MOST).tag(sync=True)
    down = traitlets.Int(0, min=-MOST, max=MOST).tag(sync=True)
    noise = traitlets.Float(0.0, min=0, max=1).tag(sync=True)
    layer = traitlets.Enum(LAYERS, "act2").tag(sync=True)
    channel = traitlets.Int(6, min=0, max=119).tag(sync=True)
    scales = traitlets.Bool(False).tag(sync=True)
    activation = traitlets.Enum(tuple(ACTIVATIONS), "own").tag(sync=True)
    scale = traitlets.Float(1.0, min=0.25, max=8).tag(sync=True)
    weights = File("records/weights/lenet/{net}.safetensors")
    digits = File("explore/data/digits.bin")
    garments = File("explore/data/garments.bin")

    @property
    def examples(self) -> Float[Tensor, "10 1 28 28"]:
        """Ten pictures of the kind that the network was trained on, one a class."""
        data = self.digits if self.net.endswith("mnist") else self.garments
        pixels = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return pixels.reshape(10, 1, SIDE, SIDE) / 255

    @property
    def x(self) -> Float[Tensor, "28 28"]:
        """The picture that the network sees."""
        x = torch.zeros(SIDE, SIDE)
        if self.picture == "drawing":
            h, w = self.drawing.shape
            x[:h, :w] = self.drawing
        else:
            x = self.examples[int(self.picture), 0]
        return (1 - self.noise) * move(x, self.right, self.down) + self.noise * random_pixels()

    @property
    def model(self) -> nn.Sequential:
        """The network; ``activation`` and ``scale`` count before its training alone."""
        recipe, epoch = NETWORKS[self.net]
        model = load_trained("lenet", recipe, epoch)
        return alter(model, ACTIVATIONS[self.activation], self.scale) if epoch == 0 else model

    @property
    def outputs(self) -> dict[str, Tensor]:
        """What each layer gives, by its name: (c, h, w), or (n,) of a dense layer."""
        x, outputs = self.x[None, None], {}
        with torch.no_grad():
            for name, layer in self.model.named_children():
                x = layer(x)
                outputs[name] = x[0]
        return outputs

    @property
    def probabilities(self) -> Float[Tensor, " classes"]:
        """How sure the network is of each class."""
        return self.outputs["fc3"].softmax(0)

    @property
    def layer_scales(self) -> list[LayerScale]:
        """Signal and gradient of each layer, for the ten examples."""
        return layer_scales(self.model, self.examples, torch.arange(10))

    def still(self) -> plots.Figure:
        """Draw the picture and the maps of every layer."""
        maps = {name: y for name, y in self.outputs.items() if y.ndim == 3}
        return plots.layer_maps(self.x, maps)


def move(x: Float[Tensor, "h w"], right: int, down: int) -> Float[Tensor, "h w"]:
    """Move a picture, with black behind it."""
    h, w = x.shape
    padded = nn.functional.pad(x, (MOST,) * 4)
    return padded[MOST - down : MOST - down + h, MOST - right : MOST - right + w]


def random_pixels() -> Float[Tensor, "28 28"]:
    """Draw pixels at random, always the same ones: a congruential generator of 32 bits."""
    pixels, state = torch.empty(SIDE * SIDE), 1
    for k in range(SIDE * SIDE):
        state = (1664525 * state + 1013904223) % 2**32
        pixels[k] = state / 2**32
    return pixels.reshape(SIDE, SIDE)


def alter(model: nn.Sequential, activation: type[nn.Module] | None, scale: float) -> nn.Sequential:
    """Give a network another activation, and multiply its weights; biases stay."""
    for name, layer in model.named_children():
        if name.startswith("act") and activation:
            setattr(model, name, activation())
        if hasattr(layer, "weight"):
            layer.weight.data *= scale
    return model


def lenet(
    recipe: str = "lenet_modern_mnist", epoch: int | None = None, *, scales: bool = False
) -> LeNetExplorer:
    """Look into LeNet: the maps of every layer, and how far signal and gradient get.

    Parameters
    ----------
    recipe : str
        Of the record ``lenet``: ``lenet_modern_mnist`` reads digits; ``lenet_sigmoid``, ``relu``
        and ``one_cycle`` name clothes.
    epoch : int, optional
        After how many epochs, as in `load_trained`. At 0 a reader can choose the activation and the
        size of the first weights.
    scales : bool
        Whether signal and gradient of each layer are shown at first.

    Returns
    -------
    LeNetExplorer
        Its ``x`` is the picture, ``outputs`` what each layer makes of it, ``probabilities`` the
        answer, ``layer_scales`` the signal and the gradient of each layer.

    Examples
    --------
    >>> lenet().probabilities.argmax().item()
    3
    """
    check_choice("recipe", recipe, RECIPES)
    load_trained("lenet", recipe, epoch)  # which refuses what is not kept
    return LeNetExplorer(net=path_of(recipe, epoch).stem, scales=scales)
