"""Pooling: summarize every window of every channel by one number.

The loops are the formula; the fast forms work on all windows at once. To invent another pooling,
change the line of ``_takes_over`` that says so (which pixel of a window wins; the padding holds
minus infinity), or reduce the last two axes of ``windows(x, kernel_size, stride)`` as
``avg_pool2d`` does.

Not handled: unbatched (c, h, w) input, adaptive pooling, returned indices.
"""

from __future__ import annotations

from itertools import product
from math import comb, isfinite

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int64
from torch import Tensor

from cnncourse._arguments import IMAGES, IntOrPair, check_integer, check_tensor, pair
from cnncourse.channels import windows
from cnncourse.locality import _window_view
from cnncourse.padding_stride import conv_output_size


def max_pool2d_loops(
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Float[Tensor, "n c out_h out_w"]:
    """Take the largest number of every window, one loop per index of the window.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, ceil_mode
        As in :func:`max_pool2d`.

    Returns
    -------
    Tensor of shape (n, c, out_h, out_w)
        As :func:`max_pool2d`.

    Raises
    ------
    TypeError, ValueError
        As :func:`max_pool2d`.

    Notes
    -----
    ``y[n, c, p, q] = max over i, j of x[n, c, p sh + i dh, q sw + j dw]``, x padded already.

    Examples
    --------
    >>> import torch
    >>> max_pool2d_loops(torch.arange(9.0).reshape(1, 1, 3, 3), 2, stride=1)
    tensor([[[[4., 5.],
              [7., 8.]]]])
    """
    padded, (kh, kw), (sh, sw), (dh, dw) = _prepare(
        x, kernel_size, stride, padding, dilation, ceil_mode, fill=-torch.inf
    )
    (ph, pw), (h, w) = pair("padding", padding, 0), x.shape[2:]
    out_h, out_w = conv_output_size(tuple(padded.shape[2:]), (kh, kw), (sh, sw), 0, (dh, dw))
    rows, columns = range(ph, ph + h), range(pw, pw + w)
    y = []
    for p, q in product(range(out_h), range(out_w)):
        window = [(p * sh + i * dh, q * sw + j * dw) for i, j in product(range(kh), range(kw))]
        # Image first: so the padding never takes over, not even from a pixel of minus infinity.
        window.sort(key=lambda place: place[0] not in rows or place[1] not in columns)
        best, *others = (padded[:, :, i, j] for i, j in window)
        for pixel in others:
            best = torch.where(_takes_over(pixel, best), pixel, best)
        y.append(best)
    return torch.stack(y, dim=2).unflatten(2, (out_h, out_w))


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
    x : Tensor of shape (n, c, h, w)
        Images; c, h and w are 1 or more.
    kernel_size : int or (int, int)
        Height and width of the window, 1 or more.
    stride : int or (int, int), optional
        Step between windows, 1 or more; the kernel size if not given.
    padding : int or (int, int), default 0
        Pixels of minus infinity added on each side: they never win against a pixel of the image.
        At most half the kernel size.
    dilation : int or (int, int), default 1
        Step between the pixels of one window, 1 or more.
    ceil_mode : bool, default False
        Keep a last window that hangs over the end, if it starts before it.

    Returns
    -------
    Tensor of shape (n, c, out_h, out_w)
        In the dtype and on the device of ``x``. A window that holds a NaN gives NaN.

    Raises
    ------
    TypeError
        If ``x`` is not a floating-point tensor, or an integer is none.
    ValueError
        If a rank or range is not as above, or no window fits.

    Notes
    -----
    The formula is that of :func:`max_pool2d_loops`. The gradient of an output goes to one pixel,
    the largest; among equals to the first, row by row; among several NaN to the last. torch
    documents none of this, but does the same.

    Examples
    --------
    >>> import torch
    >>> max_pool2d(torch.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    padded, *geometry = _prepare(
        x, kernel_size, stride, padding, dilation, ceil_mode, fill=-torch.inf
    )
    in_image = _counted(x, padding, tuple(padded.shape[2:]), count_include_pad=False)
    winner = _winners(padded, in_image, *geometry)
    return padded.flatten(2).gather(2, winner.flatten(2)).view(winner.shape)


def avg_pool2d_loops(
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Float[Tensor, "n c out_h out_w"]:
    """Average every window, one loop per index of the window.

    Parameters
    ----------
    x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As in :func:`avg_pool2d`.

    Returns
    -------
    Tensor of shape (n, c, out_h, out_w)
        As :func:`avg_pool2d`.

    Raises
    ------
    TypeError, ValueError
        As :func:`avg_pool2d`.

    Notes
    -----
    ``y[n, c, p, q] = sum over i, j of x[n, c, p sh + i, q sw + j] / divisor``, x padded already;
    the divisor counts the pixels of the window that lie in the image, or in it and its padding.

    Examples
    --------
    >>> import torch
    >>> avg_pool2d_loops(torch.arange(9.0).reshape(1, 1, 3, 3), 2, stride=1)
    tensor([[[[2., 3.],
              [5., 6.]]]])
    """
    _check_divisor(divisor_override)
    padded, (kh, kw), (sh, sw), _ = _prepare(
        x, kernel_size, stride, padding, 1, ceil_mode, fill=0.0
    )
    (ph, pw), (h, w) = pair("padding", padding, 0), x.shape[2:]
    out_h, out_w = conv_output_size(tuple(padded.shape[2:]), (kh, kw), (sh, sw))
    # The rows and columns of the padded image that count: all but the overhang, or only the image.
    rows = range(h + 2 * ph) if count_include_pad else range(ph, ph + h)
    columns = range(w + 2 * pw) if count_include_pad else range(pw, pw + w)
    y = []
    for p, q in product(range(out_h), range(out_w)):
        total, count = 0, 0
        for i, j in product(range(p * sh, p * sh + kh), range(q * sw, q * sw + kw)):
            total = total + padded[:, :, i, j]
            count += i in rows and j in columns
        y.append(total / (divisor_override or count))
    return torch.stack(y, dim=2).unflatten(2, (out_h, out_w))


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
    x : Tensor of shape (n, c, h, w)
        Images; c, h and w are 1 or more.
    kernel_size : int or (int, int)
        Height and width of the window, 1 or more.
    stride : int or (int, int), optional
        Step between windows, 1 or more; the kernel size if not given.
    padding : int or (int, int), default 0
        Zeros added on each side, at most half the kernel size.
    ceil_mode : bool, default False
        Keep a last window that hangs over the end, if it starts before it. What lies beyond the
        padding is never counted.
    count_include_pad : bool, default True
        Whether the zeros of the padding count in the divisor.
    divisor_override : int, optional
        Divide every sum by this instead; not 0.

    Returns
    -------
    Tensor of shape (n, c, out_h, out_w)
        In the dtype and on the device of ``x``.

    Raises
    ------
    TypeError
        If ``x`` is not a floating-point tensor, or an integer is none.
    ValueError
        If a rank or range is not as above, or no window fits.

    Notes
    -----
    The formula is that of :func:`avg_pool2d_loops`. An image of ones that has a 0 wherever a pixel
    does not count, pooled in the same way, is the divisor.

    Examples
    --------
    >>> import torch
    >>> avg_pool2d(torch.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    _check_divisor(divisor_override)
    padded, kernel_size, stride, _ = _prepare(
        x, kernel_size, stride, padding, 1, ceil_mode, fill=0.0
    )
    totals = windows(padded, kernel_size, stride).sum((4, 5))
    if divisor_override is not None:
        return totals / divisor_override
    counted = _counted(x, padding, tuple(padded.shape[2:]), count_include_pad)
    return totals / windows(counted, kernel_size, stride).sum((4, 5))


def lp_pool2d(
    x: Float[Tensor, "n c h w"],
    norm_type: float | int,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    ceil_mode: bool = False,
) -> Float[Tensor, "n c out_h out_w"]:
    """Take the p-norm of every window of every channel; p = 2 is L2 pooling.

    Parameters
    ----------
    x : Tensor of shape (n, c, h, w)
        Images; c, h and w are 1 or more. An odd p keeps the sign of negative numbers, as in
        torch, so that a negative sum gives NaN; under a p that is no integer a negative number
        gives NaN itself.
    norm_type : float
        The exponent p: any number but 0, and finite. Its limit at infinity is :func:`max_pool2d`
        of ``abs(x)``.
    kernel_size : int or (int, int)
        Height and width of the window, 1 or more.
    stride : int or (int, int), optional
        Step between windows, 1 or more; the kernel size if not given.
    ceil_mode : bool, default False
        Keep a last window that hangs over the end, if it starts before it. Its sum is scaled up
        to a full window, as in torch.

    Returns
    -------
    Tensor of shape (n, c, out_h, out_w)
        In the dtype and on the device of ``x``. Where a window's sum is 0 the gradient is 0.

    Raises
    ------
    TypeError
        If ``x`` is not a floating-point tensor, or an integer is none.
    ValueError
        If a rank or range is not as above, or no window fits.

    Notes
    -----
    ``y[n, c, p, q] = (sum over i, j of x[n, c, p sh + i, q sw + j] ** p) ** (1 / p)``
    (``torch.nn.LPPool2d``).

    Examples
    --------
    >>> import torch
    >>> lp_pool2d(torch.tensor([[[[3.0, 4.0], [0.0, 0.0]]]]), 2, kernel_size=2)
    tensor([[[[5.]]]])
    """
    if isinstance(norm_type, bool) or not isinstance(norm_type, (int, float)):
        raise TypeError(f"`norm_type` must be a number, got {norm_type!r}")
    if norm_type == 0 or not isfinite(norm_type):
        raise ValueError(f"`norm_type` must be a finite number other than 0, got {norm_type}")
    check_tensor("x", x, IMAGES)
    kh, kw = pair("kernel_size", kernel_size, 1)
    total = kh * kw * avg_pool2d(x**norm_type, (kh, kw), stride, ceil_mode=ceil_mode)
    # The root is infinitely steep at 0; a constant there has gradient 0 where 0 * inf has none.
    return torch.where(total == 0, 0, total) ** (1 / norm_type)


def _takes_over(pixel: Tensor, best: Tensor) -> Tensor:
    """Tell where a later pixel of a window takes the place of the best one so far."""
    # Strictly larger: among equals the first one keeps the place, and gets the gradient.
    return (pixel > best) | pixel.isnan()  # change this line for another pooling


@torch.no_grad()
def _winners(
    padded: Float[Tensor, "n c h w"],
    in_image: Float[Tensor, "1 1 h w"],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> Int64[Tensor, "n c out_h out_w"]:
    """Return which pixel wins each window, as its number in the flattened padded image."""
    layer = kernel_size, stride, dilation
    number = torch.arange(in_image.numel(), device=padded.device).view(in_image.shape)
    pixels, numbers = _window_view(padded, *layer), _window_view(number, *layer)
    # The first pixel of the image leads, so that the padding never takes over, not even from -inf.
    first = _window_view(in_image, *layer).flatten(4).argmax(4, keepdim=True)
    winner = numbers.flatten(4).gather(4, first).squeeze(4).expand(pixels.shape[:4])
    best = padded.flatten(2).gather(2, winner.flatten(2)).view(winner.shape)
    for i, j in product(*map(range, kernel_size)):
        wins = _takes_over(pixels[..., i, j], best)
        best = torch.where(wins, pixels[..., i, j], best)
        winner = torch.where(wins, numbers[..., i, j], winner)
    return winner


def _counted(
    x: Tensor, padding: IntOrPair, padded_size: tuple[int, ...], count_include_pad: bool
) -> Tensor:
    """Return ones where a pixel of the padded image counts and zeros elsewhere."""
    (ph, pw), (h, w) = pair("padding", padding, 0), x.shape[2:]
    ones = x.new_ones(1, 1, h, w)
    counted = F.pad(ones, (pw, pw, ph, ph), value=float(count_include_pad))
    below, right = padded_size[0] - counted.shape[2], padded_size[1] - counted.shape[3]
    return F.pad(counted, (0, right, 0, below))


def _prepare(
    x: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: IntOrPair,
    dilation: IntOrPair,
    ceil_mode: bool,
    fill: float,
) -> tuple[Tensor, tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Check every argument; return the image padded for whole windows, and the rest as pairs."""
    check_tensor("x", x, IMAGES)
    if x.shape[1] == 0:
        raise ValueError(f"`x` must have at least 1 channel, got shape {tuple(x.shape)}")
    kernel_size = pair("kernel_size", kernel_size, 1)
    stride = kernel_size if stride is None else pair("stride", stride, 1)
    (ph, pw), dilation = pair("padding", padding, 0), pair("dilation", dilation, 1)
    if 2 * ph > kernel_size[0] or 2 * pw > kernel_size[1]:
        raise ValueError(
            f"`padding` must be at most half of `kernel_size` {kernel_size}, got {padding}"
        )
    size = tuple(x.shape[2:])
    outputs = conv_output_size(size, kernel_size, stride, (ph, pw), dilation, ceil_mode)
    below, right = _overhang(size, kernel_size, stride, (ph, pw), dilation, outputs)
    return F.pad(x, (pw, pw + right, ph, ph + below), value=fill), kernel_size, stride, dilation


def _overhang(
    size: tuple[int, ...],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    outputs: tuple[int, int],
) -> tuple[int, int]:
    """Count the pixels by which the last window hangs over the padded image; 0 or more."""
    below, right = (
        max(0, (o - 1) * s + d * (k - 1) + 1 - (n + 2 * p))
        for n, k, s, p, d, o in zip(
            size, kernel_size, stride, padding, dilation, outputs, strict=True
        )
    )
    return below, right


def _check_divisor(divisor: int | None) -> None:
    """Require any integer but 0."""
    if divisor is None:
        return
    if isinstance(divisor, bool) or not isinstance(divisor, int):
        raise TypeError(f"`divisor_override` must be an integer, got {divisor!r}")
    if divisor == 0:
        raise ValueError("`divisor_override` must not be 0, got 0")


def blur_pool2d(
    x: Float[Tensor, "n c h w"], kernel_size: int = 3, stride: IntOrPair = 2
) -> Float[Tensor, "n c _ _"]:
    """Blur each channel with a binomial filter, then keep every ``stride``-th pixel.

    ``kernel[a, b] = C(k - 1, a) C(k - 1, b) / 4^(k - 1)``; the image is first continued by
    reflection, floor((k - 1) / 2) pixels before and ceil((k - 1) / 2) after each axis.

    Parameters
    ----------
    x : Tensor of shape (n, c, h, w)
        Images; any floating-point dtype and device; h and w larger than ceil((k - 1) / 2).
    kernel_size : int, default 3
        Side k of the filter, 1 or larger; 1 does not blur. Zhang uses 2 to 7.
    stride : int or (int, int), default 2
        Step, 1 or larger.

    Returns
    -------
    Tensor of shape (n, c, ceil(h / sh), ceil(w / sw))
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError
        If ``x`` is not a floating-point tensor, or a size is not an integer.
    ValueError
        If ``x`` is not 4-D, a size is < 1, or ``kernel_size`` is too large to reflect ``x``.

    Notes
    -----
    Zhang (2019), Making convolutional networks shift-invariant again.

    Examples
    --------
    >>> import torch
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
