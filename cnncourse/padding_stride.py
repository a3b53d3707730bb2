"""Sizes: what comes out of a layer, how often each pixel is used, and what a whole stack costs.

Padding is always per side, as in torch, so p adds 2p pixels to an axis.
"""

from __future__ import annotations

import copy
from dataclasses import astuple, dataclass
from html import escape
from math import prod

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cnncourse._arguments import IntOrPair, check_integer, pair
from cnncourse.locality import ReceptiveField, layer_window, named_layers


def _is_pair(value: object) -> bool:
    """Tell a (height, width) pair from a number."""
    return isinstance(value, (tuple, list))


def conv_output_size(
    size: IntOrPair,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> IntOrPair:
    """Compute how many outputs a convolution or pooling layer has along each axis.

    ``floor((n + 2p - d (k - 1) - 1) / s) + 1`` for an axis of n pixels.

    Parameters
    ----------
    size : int or (int, int)
        Pixels n of the input, 1 or more.
    kernel_size : int or (int, int)
        Side k of the kernel, 1 or more.
    stride : int or (int, int), default 1
        Step s of the window, 1 or more.
    padding : int or (int, int), default 0
        Pixels p added on each side, 0 or more.
    dilation : int or (int, int), default 1
        Step d between the taps of the kernel, 1 or more.
    ceil_mode : bool, default False
        Round up instead of down, as torch's pooling layers do: the last window may hang over the
        end, but it must start inside the input or the padding before it.

    Returns
    -------
    int or (int, int)
        An int where every argument is an int, else a (height, width) pair.

    Raises
    ------
    TypeError
        If a size is not an integer.
    ValueError
        If a size is out of range, or the dilated kernel is larger than the padded input so that no
        window fits.

    Notes
    -----
    Dumoulin and Visin (2016), A guide to convolution arithmetic for deep learning, relation 6, and
    the shape section of ``torch.nn.Conv2d`` and ``torch.nn.MaxPool2d``.

    Examples
    --------
    >>> conv_output_size(28, kernel_size=5, padding=2)
    28
    >>> conv_output_size((8, 10), kernel_size=3, stride=(2, 3))
    (3, 3)
    >>> conv_output_size(8, kernel_size=3, stride=2, ceil_mode=True)
    4
    """
    arguments = (size, kernel_size, stride, padding, dilation)
    n, k = pair("size", size, 1), pair("kernel_size", kernel_size, 1)
    s, p, d = pair("stride", stride, 1), pair("padding", padding, 0), pair("dilation", dilation, 1)
    h, w = (_axis_size(*axis, ceil_mode) for axis in zip(n, k, s, p, d, strict=True))
    return (h, w) if any(map(_is_pair, arguments)) else h


def _axis_size(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """Count the windows along one axis."""
    room = n + 2 * p - d * (k - 1) - 1  # steps from the first window to the last one that fits
    outputs = (room + (s - 1 if ceil_mode else 0)) // s + 1
    if ceil_mode and (outputs - 1) * s >= n + p:
        outputs -= 1  # that window would start in the padding after the input
    if outputs < 1:
        raise ValueError(
            f"`kernel_size` (={k}, spanning {d * (k - 1) + 1} with dilation {d}) must not exceed "
            f"the padded input of {n + 2 * p} (size {n}, padding {p} per side)"
        )
    return outputs


def same_padding(kernel_size: IntOrPair, dilation: IntOrPair = 1) -> tuple:
    """Compute the padding with which a convolution of stride 1 keeps the size.

    ``d (k - 1)`` pixels in all, half before and half after; an odd one out goes after.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Side k of the kernel, 1 or more.
    dilation : int or (int, int), default 1
        Step d between the taps, 1 or more.

    Returns
    -------
    (int, int) or ((int, int), (int, int))
        (before, after) where both arguments are ints, else ((top, bottom), (left, right)).

    Raises
    ------
    TypeError
        If an argument is not an integer.
    ValueError
        If an argument is below 1 or not a pair.

    Notes
    -----
    As ``torch.nn.functional.conv2d(..., padding="same")``.

    Examples
    --------
    >>> same_padding(5)
    (2, 2)
    >>> same_padding((4, 3), dilation=(1, 2))
    ((1, 2), (2, 2))
    """
    k, d = pair("kernel_size", kernel_size, 1), pair("dilation", dilation, 1)
    totals = [d[axis] * (k[axis] - 1) for axis in (0, 1)]
    vertical, horizontal = ((total // 2, total - total // 2) for total in totals)
    return (vertical, horizontal) if _is_pair(kernel_size) or _is_pair(dilation) else vertical


def usage_count(
    size: IntOrPair,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Int64[Tensor, "h w"]:
    """Count in how many windows each input pixel takes part.

    Pixel (y, x) counts once for every output (i, j) and tap (a, b) with
    ``y = i sh + a dh - ph`` and ``x = j sw + b dw - pw``.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the input, 1 or more.
    kernel_size, stride, padding, dilation : int or (int, int)
        As in :func:`conv_output_size`.

    Returns
    -------
    Tensor of shape (h, w), dtype int64
        Values from 0 (the layer never looks there) to kh * kw.

    Raises
    ------
    TypeError, ValueError
        As :func:`conv_output_size`.

    Examples
    --------
    >>> usage_count(3, kernel_size=2)
    tensor([[1, 2, 1],
            [2, 4, 2],
            [1, 2, 1]])
    """
    outputs = pair("size", conv_output_size(size, kernel_size, stride, padding, dilation), 1)
    n, k = pair("size", size, 1), pair("kernel_size", kernel_size, 1)
    s, p, d = pair("stride", stride, 1), pair("padding", padding, 0), pair("dilation", dilation, 1)
    rows, columns = (_axis_usage(*axis) for axis in zip(outputs, n, k, s, p, d, strict=True))
    return rows.outer(columns)


def _axis_usage(outputs: int, n: int, k: int, s: int, p: int, d: int) -> Tensor:
    """Count the windows that touch each pixel of one axis."""
    touched = torch.arange(outputs)[:, None] * s + torch.arange(k) * d - p
    inside = touched[(touched >= 0) & (touched < n)]
    return torch.bincount(inside, minlength=n)


@dataclass(frozen=True)
class LayerRow:
    """One layer of a table.

    Attributes
    ----------
    name : str
        Dotted name in the model.
    type : str
        Class of the layer.
    output_shape : tuple of int
        Of one image, without the batch axis.
    parameters : int
        Numbers that are learned; a tensor shared with an earlier row counts there.
    multiply_adds : int or None
        Of convolution and dense layers, for one image, bias not counted; 0 for layers that are
        known and neither; None for a layer that is not known.
    receptive_field : (int, int) or None
        Height and width of what one unit sees, not cut at the border; None where it is not known.
    activation_bytes : int
        Memory of the output for one image; in-place layers and views count as if they copied.
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
    """What :func:`layer_table` found; it prints as text and shows as HTML in a notebook.

    Attributes
    ----------
    input_shape : tuple of int
        Of one image, without the batch axis.
    rows : tuple of LayerRow
        In the order of computation.
    """

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

    Parameters
    ----------
    model : nn.Sequential
        Nested stacks are opened. A copy without data is measured in evaluation mode: the model,
        its mode, gradients and buffers stay as they are, and nothing is computed. Lazy layers
        must have seen an input before.
    input_shape : tuple of int
        Of one input, without the batch axis: (c, h, w), or (features,).

    Returns
    -------
    LayerTable
        ``.rows``, and the totals ``.parameters``, ``.multiply_adds`` and ``.activation_bytes``.

    Raises
    ------
    TypeError
        If ``model`` is not an nn.Sequential, or a size is not an integer.
    ValueError
        If ``input_shape`` is empty or holds a number below 1, a lazy layer has no shape yet, or a
        layer cannot take the output of the one before.

    Notes
    -----
    Normalization counts as in evaluation mode: with running statistics it acts on each pixel alone,
    without them (layer, instance and group normalization) each unit sees the whole input. So
    does a dense layer after ``Flatten`` and a pooling to one pixel; pixels that an earlier stride
    skipped are included there. The receptive field of any other layer without a sliding window is
    not known, nor that of the layers after it.

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
    for name, layer in named_layers(copy.deepcopy(model).to("meta").eval()):
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
    if not _is_pair(input_shape) or len(input_shape) == 0:
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
        return field.through(*window)
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
