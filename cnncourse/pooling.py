"""Pooling: summarize every window of every channel by one number.

The loops are for reading: a slice, and its largest number or its mean. The fast forms work on all
windows at once, with all of torch's options. To invent another pooling, reduce the last two axes of
``windows(x, kernel_size, stride)``. Which of several equal pixels wins, and so gets the gradient,
is decided in one line, ``takes_over``: ``max_pool2d`` and ``max_pool2d_backward`` follow it.

Not handled by any form: unbatched (c, h, w) input, adaptive pooling, returned indices. Not handled
by the loops: NaN and minus infinity, ``ceil_mode``, and another divisor than the whole window.
"""

from __future__ import annotations

from itertools import product
from math import comb, isfinite, prod

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from cnncourse._arguments import IMAGES, IntOrPair, check_integer, check_tensor, pair
from cnncourse.windows import Axis, Window


def max_pool2d_loops(
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Float[Tensor, "n c out_h out_w"]:
    """Take the largest number of every window, one window after the other.

    ``y[n, c, i, j] = max over a, b of x[n, c, i * sh + a * dh, j * sw + b * dw]``, x padded.

    Examples
    --------
    >>> max_pool2d_loops(torch.arange(9.0).reshape(1, 1, 3, 3), 2, stride=1)
    tensor([[[[4., 5.],
              [7., 8.]]]])
    """
    window = pool_window(x, kernel_size, stride, padding, dilation)
    padded = window.pad(x, -torch.inf)
    out_h, out_w = window.out(x.shape[2:])
    y = x.new_zeros(*x.shape[:2], out_h, out_w)
    for i in range(out_h):
        for j in range(out_w):
            rows, columns = window.at(i, j)
            y[:, :, i, j] = padded[:, :, rows, columns].flatten(2).max(2).values
    return y


def max_pool2d(
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Float[Tensor, "n c out_h out_w"]:
    """Take the largest number of every window of every channel.

    Parameters
    ----------
    x
        Images, with at least one channel. A window that holds a NaN gives NaN.
    kernel_size, stride, dilation : int or (int, int)
        Sides of the window, pixels between windows (the sides, if not given), and between the
        places of one window; 1 or more.
    padding : int or (int, int)
        Pixels on each side, at most half the kernel size. They never win, not even against minus
        infinity.
    ceil_mode : bool
        Keep a last window that hangs over the end, if it starts before it.

    Notes
    -----
    The gradient of an output goes to one pixel, the largest; among equals to the first, row by row;
    among several NaN to the last. torch documents none of this, but does the same.

    Examples
    --------
    >>> max_pool2d(torch.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    window = pool_window(x, kernel_size, stride, padding, dilation, ceil_mode)
    winner = winners(x, window)
    padded = window.pad(x, -torch.inf)
    return padded.flatten(2).gather(2, winner.flatten(2)).view(winner.shape)


def takes_over(
    pixel: Float[Tensor, "n c out_h out_w"], best: Float[Tensor, "n c out_h out_w"]
) -> Bool[Tensor, "n c out_h out_w"]:
    """Tell where a later pixel of a window takes the place of the best one so far."""
    # Strictly larger: among equals the first one keeps the place, and gets the gradient.
    return (pixel > best) | pixel.isnan()


@torch.no_grad()
def winners(x: Float[Tensor, "n c h w"], window: Window) -> Int64[Tensor, "n c out_h out_w"]:
    """Return which pixel wins each window, as its number in the flattened padded image."""
    padded = window.pad(x, -torch.inf)
    size = padded.shape[2:]
    number = torch.arange(size.numel(), device=x.device).view(size)
    in_image = window.pad(x.new_ones(x.shape[2:]))
    pixels, numbers = window.view(padded), window.view(number)
    # The first pixel of the image leads, so that the padding never takes over, not even from -inf.
    first = window.view(in_image).flatten(2).argmax(2, keepdim=True)
    winner = numbers.flatten(2).gather(2, first).squeeze(2).expand(pixels.shape[:4])
    best = padded.flatten(2).gather(2, winner.flatten(2)).view(winner.shape)
    for a, b in product(range(window.rows.kernel), range(window.columns.kernel)):
        wins = takes_over(pixels[..., a, b], best)
        best = torch.where(wins, pixels[..., a, b], best)
        winner = torch.where(wins, numbers[..., a, b], winner)
    return winner


def avg_pool2d_loops(
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
) -> Float[Tensor, "n c out_h out_w"]:
    """Average every window, zeros of the padding included, one window after the other.

    ``y[n, c, i, j] = sum over a, b of x[n, c, i * sh + a, j * sw + b] / (kh * kw)``, x padded.

    Examples
    --------
    >>> avg_pool2d_loops(torch.arange(9.0).reshape(1, 1, 3, 3), 2, stride=1)
    tensor([[[[2., 3.],
              [5., 6.]]]])
    """
    window = pool_window(x, kernel_size, stride, padding)
    padded = window.pad(x)
    out_h, out_w = window.out(x.shape[2:])
    y = x.new_zeros(*x.shape[:2], out_h, out_w)
    for i in range(out_h):
        for j in range(out_w):
            rows, columns = window.at(i, j)
            y[:, :, i, j] = padded[:, :, rows, columns].mean((2, 3))
    return y


def avg_pool2d(
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Float[Tensor, "n c out_h out_w"]:
    """Average every window of every channel.

    Parameters
    ----------
    x, kernel_size, stride, padding, ceil_mode
        As in :func:`max_pool2d`, with zeros as padding.
    count_include_pad : bool
        Whether the zeros of the padding count in the divisor; what hangs over never does.
    divisor_override : int, optional
        Divide every sum by this instead; not 0.

    Examples
    --------
    >>> avg_pool2d(torch.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    window = pool_window(x, kernel_size, stride, padding, 1, ceil_mode)
    divisor = avg_divisor(x, window, count_include_pad, divisor_override)
    return window.view(window.pad(x)).sum((4, 5)) / divisor


def avg_divisor(
    x: Float[Tensor, "n c h w"],
    window: Window,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Int64[Tensor, "out_h out_w"] | int:
    """Count the pixels of each window that an average divides by."""
    if divisor_override is not None:
        return _check_divisor(divisor_override)
    h, w = x.shape[2:]
    rows = _counted(window.rows, h, count_include_pad)
    columns = _counted(window.columns, w, count_include_pad)
    return rows.outer(columns).to(x.device)


def _counted(axis: Axis, size: int, count_include_pad: bool) -> Int64[Tensor, " out_h"]:
    """Count the pixels of each window along one axis, those that hang over the end left out."""
    border = axis.before if count_include_pad else 0
    seen = axis.seen(size)
    return ((seen >= -border) & (seen < size + border)).sum(1)


def lp_pool2d(
    x: Float[Tensor, "n c h w"],
    norm_type: float | int,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    ceil_mode: bool = False,
) -> Float[Tensor, "n c out_h out_w"]:
    """Take the p-norm of every window of every channel; p = 2 is L2 pooling.

    ``y[n, c, i, j] = (sum over a, b of x[n, c, i * sh + a, j * sw + b] ** p) ** (1 / p)``

    Parameters
    ----------
    norm_type : float
        The exponent p: any finite number but 0. Its limit at infinity is :func:`max_pool2d` of
        ``abs(x)``. As in torch, an odd p keeps the sign of negative numbers, so that a negative sum
        gives NaN; under a p that is no integer a negative number gives NaN itself.
    x, kernel_size, stride, ceil_mode
        As in :func:`max_pool2d`. The sum of a window that hangs over is scaled up to a full window.

    Notes
    -----
    Where a window's sum is 0 the gradient is 0.

    Examples
    --------
    >>> lp_pool2d(torch.tensor([[[[3.0, 4.0], [0.0, 0.0]]]]), 2, kernel_size=2)
    tensor([[[[5.]]]])
    """
    if isinstance(norm_type, bool) or not isinstance(norm_type, (int, float)):
        raise TypeError(f"`norm_type` must be a number, got {norm_type!r}")
    if norm_type == 0 or not isfinite(norm_type):
        raise ValueError(f"`norm_type` must be a finite number other than 0, got {norm_type}")
    window = pool_window(x, kernel_size, stride, 0, 1, ceil_mode)
    mean = window.view(window.pad(x**norm_type)).sum((4, 5)) / avg_divisor(x, window)
    total = mean * prod(window.kernel)
    # The root is infinitely steep at 0; a constant there has gradient 0 where 0 * inf has none.
    return torch.where(total == 0, 0, total) ** (1 / norm_type)


def pool_window(
    x: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Window:
    """Check every argument of a pooling, and return the window that it looks through."""
    check_tensor("x", x, IMAGES)
    if x.shape[1] == 0:
        raise ValueError(f"`x` must have at least 1 channel, got shape {tuple(x.shape)}")
    window = Window.of_pool(kernel_size, stride, padding, dilation)
    return window.ceil(x.shape[2:]) if ceil_mode else window


def _check_divisor(divisor: int) -> int:
    """Require any integer but 0."""
    if isinstance(divisor, bool) or not isinstance(divisor, int):
        raise TypeError(f"`divisor_override` must be an integer, got {divisor!r}")
    if divisor == 0:
        raise ValueError("`divisor_override` must not be 0, got 0")
    return divisor


def blur_pool2d(
    x: Float[Tensor, "n c h w"], kernel_size: int = 3, stride: IntOrPair = 2
) -> Float[Tensor, "n c _ _"]:
    """Blur each channel with a binomial filter, then keep every ``stride``-th pixel.

    ``kernel[a, b] = C(k - 1, a) C(k - 1, b) / 4^(k - 1)``; the image is first continued by
    reflection, floor((k - 1) / 2) pixels before and ceil((k - 1) / 2) after each axis.

    Zhang (2019), Making convolutional networks shift-invariant again, uses k = 2 to 7. h and w must
    be larger than ceil((k - 1) / 2).

    Examples
    --------
    >>> x = torch.tensor([[[[0.0, 4.0, 0.0, 4.0], [0.0, 4.0, 0.0, 4.0]]]])
    >>> x[..., ::2, ::2], blur_pool2d(x)  # subsampling sees black, blur-pooling sees grey
    (tensor([[[[0., 0.]]]]), tensor([[[[2., 2.]]]]))
    """
    check_tensor("x", x, IMAGES)
    k = check_integer("kernel_size", kernel_size, 1)
    before, after = (k - 1) // 2, k // 2
    if after >= min(x.shape[2:]):
        raise ValueError(
            f"`kernel_size` must be at most {2 * min(x.shape[2:]) - 1} to reflect "
            f"images of shape {tuple(x.shape[2:])}, got {k}"
        )
    row = x.new_tensor([comb(k - 1, a) / 2 ** (k - 1) for a in range(k)])
    kernel = row.outer(row).expand(x.shape[1], 1, k, k)
    padded = F.pad(x, (before, after, before, after), mode="reflect")
    return F.conv2d(padded, kernel, stride=pair("stride", stride, 1), groups=x.shape[1])
