"""Chapter "Locality": a unit of a deep stack, and what it sees of a row of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
import traitlets
from jaxtyping import Float
from torch import Tensor

from cnncourse import plots
from cnncourse.explore.explorer import Explorer, Matrix
from cnncourse.receptive_field import ReceptiveField
from cnncourse.windows import Axis, Window

PIXELS, DEPTH = 33, 5  # of the row, and layers at most
MOST = {"kernel": 5, "stride": 3, "dilation": 16}


class ReceptiveFieldExplorer(Explorer):
    """A row of pixels with zeros around it, a stack of layers, and one of its units."""

    script = "receptive_field"
    layers = Matrix([[3.0, 1.0, 1.0]], side=DEPTH, low=1, high=max(MOST.values()))
    weight = Matrix([[1.0] * MOST["kernel"]] * DEPTH, side=DEPTH, low=-2, high=2, fixed=True)
    level = traitlets.Int(1, min=1, max=DEPTH).tag(sync=True)
    unit = traitlets.Int(0, min=0, max=PIXELS - 1).tag(sync=True)

    @traitlets.validate("layers")
    def _check_layers(self, proposal: traitlets.Bunch) -> Tensor:
        rows = proposal["value"]
        most = torch.tensor(list(MOST.values()))
        if rows.shape[1] != 3 or rows.ne(rows.round()).any() or (rows > most).any():
            allowed = ", ".join(f"{name} 1 to {value}" for name, value in MOST.items())
            raise traitlets.TraitError(
                f"`layers` must hold whole numbers, {allowed}, got {rows.tolist()}"
            )
        return rows

    @property
    def axes(self) -> list[Axis]:
        """The windows of the layers up to the unit's, padded so that stride 1 keeps the size."""
        rows = self.layers[: self.level].int().tolist()
        return [Axis(k, s, dilation=d).same() for k, s, d in rows]

    @property
    def field(self) -> ReceptiveField:
        """What the units of the chosen layer see, along both axes of a picture."""
        field = ReceptiveField()
        for axis in self.axes:
            field = field.through(Window(axis, axis))
        return field

    @property
    def gradient(self) -> Float[Tensor, " w"]:
        """The gradient of the unit with respect to each pixel."""
        return _gradient(self.axes, self.weight, PIXELS, self.unit)

    def still(self) -> plots.Figure:
        """Draw the cone of a middle unit, without the border."""
        axes = [Axis(axis.kernel, axis.stride, dilation=axis.dilation) for axis in self.axes]
        w = self.field.size[0] + 2 * self.field.jump[0]
        layers = [(axis.kernel, axis.stride, axis.dilation) for axis in axes]
        return plots.cone(layers, _gradient(axes, self.weight, w, 1), unit=1)


def _gradient(
    axes: Sequence[Axis], weight: Float[Tensor, "_ kw"], w: int, unit: int
) -> Float[Tensor, " w"]:
    """Send one through a stack of layers in one dimension, backwards."""
    with torch.enable_grad():
        x = torch.zeros(1, 1, w, dtype=weight.dtype, requires_grad=True)
        y = x
        for axis, row in zip(axes, weight, strict=False):  # weights may stand ready for more
            padded = F.pad(y, (axis.before, axis.after))
            kernel = row[None, None, : axis.kernel]
            y = F.conv1d(padded, kernel, stride=axis.stride, dilation=axis.dilation)
        chosen = min(unit, y.shape[2] - 1)  # as the page does, when the stack has changed
        (gradient,) = torch.autograd.grad(y[0, 0, chosen], x)
    return gradient[0, 0]


def receptive_field(layers: Sequence[Sequence[int]] | None = None) -> ReceptiveFieldExplorer:
    """Choose the layers of a stack and one of its units, and see the pixels that it sees.

    Parameters
    ----------
    layers : sequence of (int, int) or (int, int, int), optional
        Kernel size, stride and dilation (1 where not given) of one to five layers, the one nearest
        to the pixels first. Default: the chapter's four layers.

    Returns
    -------
    ReceptiveFieldExplorer
        Its ``layers`` (depth, 3), ``weight`` (5, 5), ``level`` and ``unit`` follow the reader's
        hand and can be set; ``field`` and ``gradient`` (33,) follow from them.

    Examples
    --------
    >>> explorer = receptive_field([(3, 1), (3, 2)])
    >>> explorer.field.size
    (5, 5)
    >>> explorer.gradient.nonzero().flatten()
    tensor([14, 15, 16, 17, 18])
    """
    layers = [(3, 1), (3, 2), (3, 1), (3, 1)] if layers is None else list(layers)
    if not layers or not all(len(layer) in (2, 3) for layer in layers):
        raise ValueError(f"`layers` must hold pairs or triples of numbers, got {layers!r}")
    rows = torch.tensor([(*layer, 1)[:3] for layer in layers], dtype=torch.float32)
    explorer = ReceptiveFieldExplorer(layers=rows, level=len(layers))
    count = PIXELS
    for axis in explorer.axes:
        count = axis.out(count)
    explorer.unit = count // 2
    return explorer
