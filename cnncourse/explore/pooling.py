"""Chapter "Pooling": a pattern that you move under windows that stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi

import torch
import torch.nn.functional as F  # noqa: N812
import traitlets
from jaxtyping import Float
from torch import Tensor

from cnncourse import plots
from cnncourse.explore.explorer import PACKAGE, Explorer, Matrix
from cnncourse.invariance import invariance_error, translate
from cnncourse.pooling import avg_pool2d, blur_pool2d, max_pool2d
from cnncourse.shift import BlurMaxPool2d

SMALLEST, SIDE = 12, 32  # sides of a picture that three layers can halve; SIDE is a pattern's
STEPS = 8  # pixels that a picture can move
PICTURES = ("given", "fine stripes", "checkerboard", "one bright pixel", "rings")

WAYS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "every second pixel": lambda x: x[..., ::2, ::2],
    "largest": lambda x: max_pool2d(x, 2),
    "mean": lambda x: avg_pool2d(x, 2),
    "blurred": blur_pool2d,
    "largest, blurred": BlurMaxPool2d(),
}


class PoolingExplorer(Explorer):
    """A picture, and what five ways to halve it make of it."""

    script = "pooling"
    x = Matrix([[0.0]], side=SIDE, low=-100, high=100, fixed=True)
    picture = traitlets.Enum(PICTURES, "fine stripes").tag(sync=True)
    right = traitlets.Int(0, min=-STEPS, max=STEPS).tag(sync=True)
    down = traitlets.Int(0, min=-STEPS, max=STEPS).tag(sync=True)
    layers = traitlets.Int(1, min=1, max=3).tag(sync=True)

    @traitlets.validate("x")
    def _large_enough(self, proposal: traitlets.Bunch) -> Tensor:
        if min(proposal.value.shape) < SMALLEST:
            shape = tuple(proposal.value.shape)
            allowed = f"at least {SMALLEST} rows and columns, so that three layers can halve it"
            raise traitlets.TraitError(f"`x` must have {allowed}, got {shape}")
        return proposal.value

    @property
    def at_rest(self) -> Float[Tensor, "h w"]:
        """The picture before it moves."""
        return self.x if self.picture == "given" else pattern(self.picture)

    @property
    def seen(self) -> Float[Tensor, "h w"]:
        """The picture as it lies under the windows."""
        return translate(self.at_rest, self.down, self.right, "circular")

    @property
    def maps(self) -> dict[str, Float[Tensor, "_ _"]]:
        """What each way makes of the moved picture."""
        return {way: self.pool(way, self.seen[None, None])[0, 0] for way in WAYS}

    @property
    def change(self) -> dict[str, float]:
        """How far each map is from that of the picture at rest, as a share of its norm."""
        x, shift = self.at_rest[None, None], (self.down, self.right)
        return {way: invariance_error(lambda x, w=way: self.pool(w, x), x, shift) for way in WAYS}

    @property
    def contrast(self) -> dict[str, float]:
        """The standard deviation of each map, as a share of the picture's."""
        whole = self.at_rest.std(correction=0)
        return {way: (y.std(correction=0) / whole).item() for way, y in self.maps.items()}

    def pool(self, way: str, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c _ _"]:
        """Halve images as often as there are layers."""
        for _ in range(self.layers):
            x = WAYS[way](x)
        return x

    def still(self) -> plots.Figure:
        """Draw the picture and the five maps."""
        low, high = self.at_rest.min(), self.at_rest.max()
        tiles = {"picture": self.seen, **self.maps}
        return plots.pictures({name: (y - low) / (high - low) for name, y in tiles.items()})


def pattern(name: str) -> Float[Tensor, "32 32"]:
    """Draw one of the patterns that a reader can choose.

    Examples
    --------
    >>> pattern("checkerboard")[:2, :4]
    tensor([[1., 0., 1., 0.],
            [0., 1., 0., 1.]])
    """
    i, j = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    if name == "fine stripes":  # seven periods in 16 pixels, the wave of the chapter
        return (1 + torch.cos(2 * pi * 7 / 16 * j)) / 2
    if name == "checkerboard":
        return ((i + j + 1) % 2).float()
    if name == "one bright pixel":
        return ((i == SIDE // 2) & (j == SIDE // 2)).float()
    middle = (SIDE - 1) / 2
    return (1 + torch.cos(pi * ((i - middle) ** 2 + (j - middle) ** 2) / SIDE)) / 2


def edges_of_a_dress() -> Float[Tensor, "32 32"]:
    """Return a feature map: where a dress becomes darker from left to right, black around it."""
    garments = bytearray(PACKAGE.joinpath("explore/data/garments.bin").read_bytes())
    dress = torch.frombuffer(garments, dtype=torch.uint8).view(10, 28, 28)[3].float()
    sobel = dress.new_tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    edges = F.conv2d(dress[None, None], sobel[None, None], padding=3).relu()[0, 0]
    return edges / edges.max()


def pooling(x: Float[Tensor, "h w"] | None = None) -> PoolingExplorer:
    """Move a picture under the windows of five poolings, and see what survives.

    Parameters
    ----------
    x : Tensor, float, (h, w), optional
        A feature map, 12 to 32 pixels high and wide, to choose beside the patterns. Default: the
        edges of a dress.

    Returns
    -------
    PoolingExplorer
        ``seen``, ``maps``, ``change`` and ``contrast`` follow the reader's hand; ``x``,
        ``picture``, ``right``, ``down`` and ``layers`` can be set.

    Examples
    --------
    >>> explorer = pooling()
    >>> explorer.picture, explorer.right = "checkerboard", 1
    >>> explorer.maps["every second pixel"].max(), explorer.maps["mean"].unique()
    (tensor(0.), tensor([0.5000]))
    """
    return PoolingExplorer(x=edges_of_a_dress() if x is None else x)
