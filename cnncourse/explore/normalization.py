"""Chapter "Normalization": one spot of a batch is changed, and you see which outputs move."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
import traitlets
from jaxtyping import Bool, Float
from torch import Tensor

from cnncourse import plots
from cnncourse._arguments import check_choice, check_integer
from cnncourse.explore.explorer import PACKAGE, Explorer, File
from cnncourse.normalization import BatchNorm2d, group_norm, instance_norm, layer_norm

NORMS = ("batch", "layer", "instance", "group")
CHANNELS, GROUPS, MOST = 4, 2, 8  # MOST pictures in a batch
GARMENTS = "explore/data/garments.bin"


class NormalizationExplorer(Explorer):
    """A batch with one changed spot, before and after a normalization."""

    script = "normalization"
    norm = traitlets.Enum(NORMS, "batch").tag(sync=True)
    training = traitlets.Bool(True).tag(sync=True)
    n = traitlets.Int(4, min=1, max=MOST).tag(sync=True)
    picture = traitlets.Int(0, min=0, max=MOST - 1).tag(sync=True)
    channel = traitlets.Int(0, min=0, max=CHANNELS - 1).tag(sync=True)
    added = traitlets.Int(6, min=-9, max=9).tag(sync=True)
    seen = traitlets.Int(10, min=0, max=50).tag(sync=True)
    garments = File(GARMENTS)

    @property
    def x(self) -> Float[Tensor, "n 4 13 13"]:
        """The batch with its change: five by five places of one channel of one picture."""
        x = features(self.n)
        x[min(self.picture, self.n - 1), self.channel, 4:9, 4:9] += self.added
        return x

    @property
    def y(self) -> Float[Tensor, "n 4 13 13"]:
        """The batch, normalized."""
        return self.normalize(self.x)

    @property
    def differs(self) -> Bool[Tensor, "n 4"]:
        """Which channels of which pictures of ``y`` the change has moved."""
        return (self.y - self.normalize(features(self.n))).abs().amax((2, 3)) > 1e-6

    @property
    def running(self) -> tuple[Float[Tensor, " 4"], Float[Tensor, " 4"]]:
        """Running mean and variance after ``seen`` batches, each of them without the change."""
        bn = self._batch_norm()
        return bn.running_mean, bn.running_var

    def normalize(self, x: Float[Tensor, "n 4 h w"]) -> Float[Tensor, "n 4 h w"]:
        """Normalize as the reader has chosen."""
        if self.norm == "batch":
            return self._batch_norm()(x).detach()
        if self.norm == "layer":
            return layer_norm(x, x.shape[1:])
        return instance_norm(x) if self.norm == "instance" else group_norm(x, GROUPS)

    def still(self) -> plots.Figure:
        """Draw the batch before and after, and which channels have moved."""
        tiles = {"x": self.x / 4, "y": self.y / 3}
        drawn = {name: (_laid_out(tile) + 1) / 2 for name, tile in tiles.items()}
        moved = self.differs[..., None, None].float().expand_as(self.x)
        return plots.pictures({**drawn, "moved": _laid_out(moved)})

    def _batch_norm(self) -> BatchNorm2d:
        """Build the layer with its memory, in the chosen mode."""
        bn = BatchNorm2d(CHANNELS, affine=False)
        for _ in range(self.seen):
            bn(features(self.n))
        return bn.train(self.training)


def features(n: int) -> Float[Tensor, "n 4 13 13"]:
    """Give the first n garments four channels: brightness, two kinds of edges, and points."""
    pixels = bytearray(PACKAGE.joinpath(GARMENTS).read_bytes())
    images = torch.frombuffer(pixels, dtype=torch.uint8).view(10, 1, 28, 28)[:n] / 255
    sobel = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
    points = torch.tensor([[0.0, 0.5, 0.0], [0.5, -2.0, 0.5], [0.0, 0.5, 0.0]])
    kernels = torch.stack([torch.full((3, 3), 1 / 3), sobel, sobel.T, points])
    return F.conv2d(images, kernels[:, None], stride=2)


def _laid_out(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "_ _"]:
    """Lay a picture in each row and a channel in each column, a grey line between them."""
    n, c, h, w = x.shape
    return F.pad(x, (0, 1, 0, 1), value=0.5).permute(0, 2, 1, 3).reshape(n * (h + 1), c * (w + 1))


def normalization(norm: str = "batch", n: int = 4, training: bool = True) -> NormalizationExplorer:
    """Change one spot of a batch, and see which outputs of a normalization move.

    Parameters
    ----------
    norm : {"batch", "layer", "instance", "group"}, default "batch"
        What is normalized over; there are two groups of two channels.
    n : int, default 4
        Pictures in the batch, 1 to 8.
    training : bool, default True
        Whether batch normalization uses the statistics of the batch.

    Returns
    -------
    NormalizationExplorer
        ``x``, ``y``, ``differs`` and ``running`` follow the reader's hand; ``norm``, ``n``,
        ``training``, ``picture``, ``channel``, ``added`` and ``seen`` can be set.

    Examples
    --------
    >>> normalization(n=2).differs
    tensor([[ True, False, False, False],
            [ True, False, False, False]])
    """
    check_choice("norm", norm, NORMS)
    if check_integer("n", n, 1) > MOST:
        raise ValueError(f"`n` must be at most {MOST}, got {n}")
    return NormalizationExplorer(norm=norm, n=n, training=training)
