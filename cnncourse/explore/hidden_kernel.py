"""Chapter "Cross-correlation": two hidden weights, and whether the data can tell what they are."""

from __future__ import annotations

import torch
import traitlets
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from torch import Tensor

from cnncourse import plots
from cnncourse.cross_correlation import corr2d_windows
from cnncourse.explore.explorer import Explorer, File, Matrix

SIDE, SNEAKER, T_SHIRT = 28, 7, 0  # of a garment, and which of the file's garments
MOST, STEPS = 3, 300  # the largest weight, the longest descent
DATA = ("stripes", "noise", "a sneaker")
SHAPES = {"one over the other": (2, 1), "side by side": (1, 2)}
LEVELS = (0, 0.001, 0.02, 0.1, 0.3, 0.7, 1.5, 3, 6, 12, 24, 99)  # of the error, as drawn
NOISE = torch.randn(10, 10, generator=torch.Generator().manual_seed(0)).round(decimals=1)


class HiddenKernelExplorer(Explorer):
    """A picture, its map under a hidden kernel, and a descent that looks for the kernel."""

    script = "hidden_kernel"
    data = traitlets.Enum(DATA, DATA[0]).tag(sync=True)
    shape = traitlets.Enum(tuple(SHAPES), "one over the other").tag(sync=True)
    first = traitlets.Float(-2.25, min=-MOST, max=MOST).tag(sync=True)
    second = traitlets.Float(1.25, min=-MOST, max=MOST).tag(sync=True)
    rate = traitlets.Float(0.25, min=0.05, max=1.25).tag(sync=True)
    steps = traitlets.Int(0, min=0, max=STEPS).tag(sync=True)
    revealed = traitlets.Bool(False).tag(sync=True)
    hidden = Matrix([[2.0, -1.5]], side=2, low=-MOST, high=MOST, fixed=True)
    noise = Matrix(NOISE.tolist(), side=SIDE, low=-9, high=9, fixed=True)
    garments = File("explore/data/garments.bin")

    @property
    def x(self) -> Float[Tensor, "h w"]:
        """The picture that the descent sees."""
        if self.data == "stripes":
            stripes = self.hidden.new_ones(6, 8)
            stripes[:, 2:6] = 0
            return stripes
        return self.noise if self.data == "noise" else self._garment(SNEAKER)

    @property
    def y(self) -> Float[Tensor, "out_h out_w"]:
        """The map of the hidden kernel."""
        return corr2d_windows(self.x, self._shaped(self.hidden))

    @property
    def path(self) -> Float[Tensor, "_ 2"]:
        """The two weights at the start and after each step of the descent."""
        points = [self.hidden.new_tensor([self.first, self.second])]
        for _ in range(self.steps):
            weights = points[-1].requires_grad_()
            (gradient,) = torch.autograd.grad(self.error_of(weights), weights)
            points.append((weights - self.rate * gradient).detach())
        return torch.stack(points).detach()

    @property
    def kernel(self) -> Float[Tensor, "kh kw"]:
        """What the descent has found."""
        return self._shaped(self.path[-1])

    @property
    def error(self) -> float:
        """The mean squared error of the map that the found kernel makes."""
        return self.error_of(self.path[-1]).item()

    @property
    def unseen_error(self) -> float:
        """The same on a T-shirt that the descent has not seen."""
        return self.error_of(self.path[-1], self._garment(T_SHIRT)).item()

    def error_of(
        self, weights: Float[Tensor, "*lead 2"], x: Float[Tensor, "h w"] | None = None
    ) -> Float[Tensor, "*lead"]:
        """Compare the map of these weights with that of the hidden ones: mean squared error."""
        (kh, kw), x = SHAPES[self.shape], self.x if x is None else x
        windows = x.unfold(0, kh, 1).unfold(1, kw, 1).reshape(-1, 2)
        return ((weights - self.hidden[0]) @ windows.T).square().mean(-1)

    def still(self) -> plots.Figure:
        """Draw the error of both shapes on this picture, and a descent of sixty steps on it."""
        figure = plots.Figure(figsize=(5.2, 3.1), layout="constrained")
        for axes, shape in zip(figure.subplots(1, 2), SHAPES, strict=True):
            kept = {name: getattr(self, name) for name in self.moved()}
            _landscape(axes, type(self)(**{**kept, "shape": shape, "steps": 60}))
        return figure

    def _shaped(self, weights: Tensor) -> Float[Tensor, "kh kw"]:
        return weights.reshape(SHAPES[self.shape])

    def _garment(self, number: int) -> Float[Tensor, "h w"]:
        pixels = torch.frombuffer(bytearray(self.garments), dtype=torch.uint8)
        return pixels.reshape(-1, SIDE, SIDE)[number].to(self.hidden.dtype) / 255


def _landscape(axes: Axes, explorer: HiddenKernelExplorer) -> None:
    """Draw the error over the two weights, the path, and the hidden kernel."""
    ticks = explorer.hidden.new_tensor(range(-30, 31)) * MOST / 30
    first, second = torch.meshgrid(ticks, ticks, indexing="xy")
    error = explorer.error_of(torch.stack([first, second], -1)).tolist()
    blues = colormaps["Blues"](torch.linspace(0, 0.9, len(LEVELS) - 1).tolist())
    axes.contourf(ticks.tolist(), ticks.tolist(), error, LEVELS, colors=blues)
    axes.plot(*explorer.path.T.tolist(), "o-", color="#d55e00", markersize=3, label="descent")
    axes.plot(*explorer.hidden.T.tolist(), "k*", markersize=12, label="hidden kernel")
    names = ("upper", "lower") if explorer.kernel.shape == (2, 1) else ("left", "right")
    axes.set(xlabel=f"{names[0]} weight", ylabel=f"{names[1]} weight", aspect="equal")
    axes.set_title(explorer.shape, fontsize=9)
    axes.legend(loc="lower left", fontsize=8)


def hidden_kernel(hidden: Float[Tensor, "*_"] | None = None) -> HiddenKernelExplorer:
    """Look for a kernel of two weights by hand and by descent, and see what the data can tell.

    Parameters
    ----------
    hidden : Tensor, float, (2,), (1, 2) or (2, 1), optional
        Weights from -3 to 3. Default: 2 and -1.5.

    Returns
    -------
    HiddenKernelExplorer
        Its ``path``, ``kernel``, ``error`` and ``unseen_error`` follow the reader's hand; ``data``,
        ``shape``, ``first``, ``second``, ``rate`` and ``steps`` can be set.

    Examples
    --------
    >>> explorer = hidden_kernel()
    >>> explorer.steps = 20
    >>> explorer.kernel  # not 2 over -1.5, and yet:
    tensor([[-1.5000],
            [ 2.0000]])
    >>> round(explorer.error, 4)
    0.0
    """
    hidden = torch.tensor([2.0, -1.5]) if hidden is None else hidden
    if not isinstance(hidden, Tensor) or hidden.numel() != 2:
        shape = tuple(hidden.shape) if isinstance(hidden, Tensor) else type(hidden).__name__
        raise ValueError(f"`hidden` must be a tensor of two weights, got {shape}")
    return HiddenKernelExplorer(hidden=hidden.reshape(1, 2))
