"""A stack of layers as a table: shapes, parameters, cost, receptive fields and memory.

Not handled: models that are no ``nn.Sequential``, and multiply-adds of other layers than
convolution and dense ones.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from html import escape
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cnncourse._arguments import check_integer, pair
from cnncourse.invariance import evaluation_copy
from cnncourse.receptive_field import ReceptiveField, layer_window, named_layers


@dataclass(frozen=True)
class LayerRow:
    """One layer of a table, for one image.

    ``parameters`` leaves out tensors that an earlier row has counted. ``multiply_adds`` are those
    of convolution and dense layers, bias not counted. ``receptive_field`` is not cut at the border,
    ``activation_bytes`` counts in-place layers and views as if they copied. None: not known.
    """

    name: str
    type: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int | None
    receptive_field: tuple[int, int] | None
    activation_bytes: int


HEADINGS = (
    *("layer", "type", "output shape", "parameters", "multiply-adds", "receptive field"),
    "activation bytes",
)


@dataclass(frozen=True)
class LayerTable:
    """What :func:`layer_table` found; it prints as text and shows as HTML in a notebook."""

    input_shape: tuple[int, ...]
    rows: tuple[LayerRow, ...]

    @property
    def parameters(self) -> int:
        """Number of learned numbers in all layers."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int | None:
        """Multiply-adds for one image; None where those of a layer are not known."""
        counts = [row.multiply_adds for row in self.rows]
        return None if None in counts else sum(counts)

    @property
    def activation_bytes(self) -> int:
        """Memory of all outputs together, for one image."""
        return sum(row.activation_bytes for row in self.rows)

    @property
    def caption(self) -> str:
        """One sentence that says what the numbers count."""
        return (
            f"Layers for one input of {_times(self.input_shape)}. Multiply-adds count convolution "
            f"and dense layers, without bias."
        )

    def cells(self) -> list[list[str]]:
        """Return the text of every row, the total last."""
        sums = self.parameters, self.multiply_adds, "", self.activation_bytes
        return [
            [_text(value) for value in line]
            for line in (*map(astuple, self.rows), ("total", "", "", *sums))
        ]

    def __str__(self) -> str:
        lines = [list(HEADINGS), *self.cells()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        # Words to the left, numbers to the right.
        sides = "<<" + ">" * (len(HEADINGS) - 2)
        return "\n".join(
            "  ".join(
                f"{cell:{side}{width}}"
                for cell, side, width in zip(line, sides, widths, strict=True)
            )
            for line in lines
        )

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{heading}</th>' for heading in HEADINGS)
        *body, foot = (_html_row(cells) for cells in self.cells())
        return (
            f"<table><caption>{escape(self.caption)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody><tfoot>{foot}</tfoot></table>"
        )


def _times(shape: tuple[int, ...]) -> str:
    """Write a shape as 6×28×28."""
    return "×".join(map(str, shape))


def _text(value: str | int | tuple[int, ...] | None) -> str:
    """Write one cell; what is not known is a question mark."""
    if value is None:
        return "?"
    if isinstance(value, tuple):
        return _times(value)
    return f"{value:,}" if isinstance(value, int) else value


def _html_row(cells: list[str]) -> str:
    """Write a table row whose first cell names it."""
    first, *rest = map(escape, cells)
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'


@torch.no_grad()
def layer_table(model: nn.Sequential, input_shape: tuple[int, ...]) -> LayerTable:
    """List the layers of a stack with their shapes, parameters, cost and receptive field.

    A copy without data is measured in evaluation mode: the model stays as it is, and nothing is
    computed. Nested stacks are opened. ``input_shape`` is that of one input, without the batch
    axis: (c, h, w), or (features,).

    Raises
    ------
    ValueError
        A lazy layer has no shape yet, or a layer cannot take the output of the one before.

    Notes
    -----
    Normalization with running statistics acts on each pixel alone; without them each unit sees the
    whole input. So does a dense layer after ``Flatten`` and a pooling to one pixel; pixels that an
    earlier stride skipped are included there. The receptive field of any other layer without a
    sliding window is not known, nor that of the layers after it.

    Examples
    --------
    >>> table = layer_table(nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU()), (1, 28, 28))
    >>> table.parameters, table.multiply_adds
    (156, 117600)
    >>> print(table)  # doctest: +NORMALIZE_WHITESPACE
    layer  type    output shape  parameters  multiply-adds  receptive field  activation bytes
    0      Conv2d       6×28×28         156        117,600              5×5            18,816
    1      ReLU         6×28×28           0              0              5×5            18,816
    total                               156        117,600                             37,632
    """
    _check_stack(model)
    dtype = next((p.dtype for p in model.parameters()), torch.get_default_dtype())
    x = torch.empty(1, *_input_shape(input_shape), device="meta", dtype=dtype)
    field = ReceptiveField() if x.ndim == 4 else None
    rows, counted = [], set()
    for name, layer in named_layers(evaluation_copy(model).to("meta")):
        y = _apply(name, layer, x)
        field = _field_after(field, layer, x, tuple(input_shape))
        own = [p for p in layer.parameters() if id(p) not in counted]
        counted.update(map(id, own))
        parameters, cost = sum(p.numel() for p in own), _multiply_adds(layer, y)
        size = None if field is None else field.size
        kind, shape = type(layer).__name__, tuple(y.shape[1:])
        rows.append(LayerRow(name, kind, shape, parameters, cost, size, y.nbytes))
        x = y
    return LayerTable(tuple(input_shape), tuple(rows))


def _input_shape(input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Require at least one positive integer."""
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) == 0:
        raise ValueError(f"`input_shape` must be a tuple such as (c, h, w), got {input_shape!r}")
    return tuple(check_integer("input_shape", size, 1) for size in input_shape)


def _check_stack(model: nn.Module) -> None:
    """Require an nn.Sequential whose parameters all have a shape."""
    if not isinstance(model, nn.Sequential):
        raise TypeError(f"`model` must be an nn.Sequential, got {type(model).__name__}")
    lazy = [name for name, parameter in model.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise ValueError(
            f"`model` must see an input before its lazy parameters have a shape: {lazy}"
        )


def _apply(name: str, layer: nn.Module, x: Tensor) -> Tensor:
    """Run one layer; where it fails, say which one and on what shape."""
    try:
        y = layer(x)
        if 0 in y.shape:  # older torch lets a kernel overhang an input that holds no data
            raise ValueError(f"nothing is left, the output would be {tuple(y.shape[1:])}")
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"layer `{name}` ({layer}) of `model` cannot take the shape {tuple(x.shape[1:])} "
            f"that `input_shape` leads to: {error}"
        ) from error
    return y


def _multiply_adds(layer: nn.Module, y: Tensor) -> int | None:
    """Count one multiply-add for every weight that enters every output."""
    if isinstance(layer, nn.Conv2d):
        weights = layer.in_channels // layer.groups * prod(layer.kernel_size)
        return y[0].numel() * weights
    if isinstance(layer, nn.Linear):
        return y[0].numel() * layer.in_features
    known = layer_window(layer) is not None or isinstance(layer, _NO_PRODUCTS)
    return 0 if known else None


_WHOLE_IMAGE_NORMS = (nn.GroupNorm, nn.LayerNorm, nn.BatchNorm2d, nn.InstanceNorm2d)
_ADAPTIVE_POOLS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_NO_PRODUCTS = (nn.Flatten, nn.BatchNorm1d, *_WHOLE_IMAGE_NORMS, *_ADAPTIVE_POOLS)


def _field_after(
    field: ReceptiveField | None, layer: nn.Module, x: Tensor, input_shape: tuple[int, ...]
) -> ReceptiveField | None:
    """Return the receptive field after a layer with input x, None where it is not known."""
    if field is None:
        return None
    if (window := layer_window(layer)) is not None:
        return field.through(window)
    if isinstance(layer, (nn.Flatten, nn.BatchNorm1d)):
        return field
    if _sees_everything(layer, x):
        h, w = input_shape[1:]
        # With jump 0 every unit sees the same pixels, and no later layer can add any.
        return ReceptiveField((h, w), (0, 0), ((h - 1) / 2, (w - 1) / 2))
    return None


def _sees_everything(layer: nn.Module, x: Tensor) -> bool:
    """Tell whether each output of a layer depends on every place of its input x."""
    if isinstance(layer, _ADAPTIVE_POOLS):
        return pair("output_size", layer.output_size, 1) == (1, 1)
    if isinstance(layer, nn.LayerNorm):
        return x.ndim == 2 or len(layer.normalized_shape) >= 2
    return isinstance(layer, _WHOLE_IMAGE_NORMS) or (isinstance(layer, nn.Linear) and x.ndim == 2)
