"""Sizes: how many windows fit, what keeps the size, and how often each pixel is used.

Padding is always per side, as in torch, so p adds 2 p pixels to an axis.

Not handled: more than two axes; channels come in ``cnncourse.channels``.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from cnncourse._arguments import IntOrPair, check_alike, check_not_empty, check_tensor, pair
from cnncourse.windows import Axis, Window


def _is_pair(value: object) -> bool:
    """Tell a (height, width) pair from a number."""
    return isinstance(value, (tuple, list))


def corr2d_strided(
    x: Float[Tensor, "h w"],
    kernel: Float[Tensor, "kh kw"],
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Float[Tensor, "out_h out_w"]:
    """Cross-correlate an image with a kernel that is laid on every ``stride``-th place.

    ``y[i, j] = sum over a, b of x[i * sh + a * dh, j * sw + b * dw] * kernel[a, b]``, where
    ``padding`` zeros were put on each side of x.

    Examples
    --------
    >>> x = torch.arange(9.0).reshape(3, 3)
    >>> corr2d_strided(x, torch.ones(2, 2), stride=2, padding=1)
    tensor([[ 0.,  3.],
            [ 9., 24.]])
    """
    check_tensor("x", x, "h w")
    check_tensor("kernel", kernel, "kh kw")
    check_alike("kernel", kernel, "x", x)
    check_not_empty("kernel", kernel)
    window = Window.read(kernel.shape, stride, padding, dilation)
    padded = window.pad(x)
    out_h, out_w = window.out(x.shape)
    y = x.new_zeros(out_h, out_w)
    for i in range(out_h):
        for j in range(out_w):
            rows, columns = window.at(i, j)
            y[i, j] = (padded[rows, columns] * kernel).sum()
    return y


def conv_output_size(
    size: IntOrPair,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> IntOrPair:
    """Compute how many outputs a convolution or pooling layer has along each axis.

    ``floor((n + 2 p - d (k - 1) - 1) / s) + 1`` for an axis of n pixels (Dumoulin and Visin 2016,
    relation 6): an int where every argument is an int, else a pair. With ``ceil_mode`` rounded up,
    as torch's pooling layers do: the last window may hang over the end, but it must start inside
    the input or the padding before it.

    Examples
    --------
    >>> conv_output_size(28, kernel_size=5, padding=2)
    28
    >>> conv_output_size((8, 10), kernel_size=3, stride=(2, 3))
    (3, 3)
    >>> conv_output_size(8, kernel_size=3, stride=2, ceil_mode=True)
    4
    """
    n = pair("size", size, 1)
    window = Window.read(kernel_size, stride, padding, dilation)
    out_h, out_w = (window.ceil(n) if ceil_mode else window).out(n)
    arguments = (size, kernel_size, stride, padding, dilation)
    return (out_h, out_w) if any(map(_is_pair, arguments)) else out_h


def same_padding(kernel_size: IntOrPair, dilation: IntOrPair = 1) -> tuple:
    """Compute the padding with which a convolution of stride 1 keeps the size.

    ``d (k - 1)`` pixels in all, half before and half after; an odd one out goes after. Returns
    (before, after) where both arguments are ints, else ((above, below), (left, right)).

    Examples
    --------
    >>> same_padding(5)
    (2, 2)
    >>> same_padding((4, 3), dilation=(1, 2))
    ((1, 2), (2, 2))
    """
    left, right, above, below = Window.of_conv(kernel_size, 1, "same", dilation).sides
    if _is_pair(kernel_size) or _is_pair(dilation):
        return (above, below), (left, right)
    return above, below


def usage_count(
    size: IntOrPair,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Int64[Tensor, "h w"]:
    """Count in how many windows each input pixel takes part: from 0 (in none) to kh * kw.

    Examples
    --------
    >>> usage_count(3, kernel_size=2)
    tensor([[1, 2, 1],
            [2, 4, 2],
            [1, 2, 1]])
    """
    h, w = pair("size", size, 1)
    window = Window.read(kernel_size, stride, padding, dilation)
    window.out((h, w))  # or no window fits
    return _axis_usage(window.rows, h).outer(_axis_usage(window.columns, w))


def _axis_usage(axis: Axis, size: int) -> Int64[Tensor, " h"]:
    """Count the windows that see each pixel of one axis."""
    seen = axis.seen(size)
    return torch.bincount(seen[(seen >= 0) & (seen < size)], minlength=size)
