"""The convolutional layer: many channels in, many channels out.

``conv2d_loops`` is the formula, one loop per index. ``conv2d`` computes the same numbers as one
matrix product: each row of the left matrix is a kernel, each column of the right one a window of
the input. ``windows`` shows all windows without a copy, ``im2col`` copies them into columns.

Not handled: transposed convolution, complex numbers, unbatched (c, h, w) input.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import (
    IMAGES,
    IntOrPair,
    check_alike,
    check_integer,
    check_tensor,
    pair,
)
from cnncourse.locality import _window_view
from cnncourse.padding_stride import conv_output_size, same_padding

BLOCK = 64  # images: LeNet's matrices of windows are then small enough for a processor's cache


def conv2d_loops(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c_per_group kh kw"],
    bias: Float[Tensor, " o"] | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Float[Tensor, "n o out_h out_w"]:
    """Apply a convolutional layer, one loop per index of the formula.

    Parameters
    ----------
    x, weight, bias, stride, padding, dilation, groups
        As in :func:`conv2d`.

    Returns
    -------
    Tensor of shape (n, o, out_h, out_w)
        As :func:`conv2d`.

    Raises
    ------
    TypeError, ValueError
        As :func:`conv2d`.

    Notes
    -----
    y[n, k, p, q] = bias[k] + sum over c, i, j of
    weight[k, c, i, j] * x[n, first(k) + c, p * sh + i * dh, q * sw + j * dw],
    where x is padded already and first(k) is the first channel of the group of k (Dumoulin and
    Visin 2016; Goodfellow et al. 2016, equation 9.7). Only n has no loop: all images at once.

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d_loops(x, torch.arange(4.0).reshape(1, 1, 2, 2))
    tensor([[[[19., 25.],
              [37., 43.]]]])
    """
    x, (sh, sw), (dh, dw) = _prepare(x, weight, bias, stride, padding, dilation, groups)
    o, c_per_group, kh, kw = weight.shape
    out_h, out_w = conv_output_size(tuple(x.shape[2:]), (kh, kw), (sh, sw), 0, (dh, dw))
    y = x.new_zeros(x.shape[0], o, out_h, out_w)
    for k, p, q in product(range(o), range(out_h), range(out_w)):
        first = k // (o // groups) * c_per_group
        for c, i, j in product(range(c_per_group), range(kh), range(kw)):
            y[:, k, p, q] += weight[k, c, i, j] * x[:, first + c, p * sh + i * dh, q * sw + j * dw]
    return y if bias is None else y + bias[:, None, None]


def conv2d(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c_per_group kh kw"],
    bias: Float[Tensor, " o"] | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Float[Tensor, "n o out_h out_w"]:
    """Apply a convolutional layer as one matrix product: windows times kernels.

    Parameters
    ----------
    x : Tensor of shape (n, c, h, w)
        Images; a floating-point dtype.
    weight : Tensor of shape (o, c / groups, kh, kw)
        One kernel per output channel.
    bias : Tensor of shape (o,), optional
        One number per output channel.
    stride : int or (int, int), default 1
        Step between windows, 1 or more.
    padding : int, (int, int), "same" or "valid", default 0
        Zeros added on each side, 0 or more: (top and bottom, left and right). "valid" is 0.
        "same" keeps h and w and needs stride 1: where the zeros are an odd number, bottom and
        right get one more.
    dilation : int or (int, int), default 1
        Step between the pixels of one window, 1 or more.
    groups : int, default 1
        Splits input and output channels into that many independent parts; divides c and o.

    Returns
    -------
    Tensor of shape (n, o, out_h, out_w)
        In the dtype and on the device of ``x``.

    Raises
    ------
    TypeError
        A tensor is not floating-point, dtypes differ, or an integer is none.
    ValueError
        A rank, shape or range is not as above; the kernel does not fit in the padded image.

    Notes
    -----
    The formula is that of :func:`conv2d_loops`. The matrix of windows holds
    c * kh * kw * out_h * out_w * n numbers, about kh * kw times the input at stride 1
    (Chellapilla et al. 2006). It is made for at most 64 images at a time, and kept only where a
    gradient will need it. One row of it is what one weight sees: the input, shifted. With the
    batch last the same pixel of all images lies side by side, and a shifted copy, forward as
    backward, moves long runs of memory.

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(x, torch.arange(4.0).reshape(1, 1, 2, 2))
    tensor([[[[19., 25.],
              [37., 43.]]]])
    """
    x, stride, dilation = _prepare(x, weight, bias, stride, padding, dilation, groups)
    blocks = [_conv_block(images, weight, stride, dilation, groups) for images in x.split(BLOCK)]
    y = torch.cat(blocks).contiguous()
    return y if bias is None else y + bias[:, None, None]


def _conv_block(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c_per_group kh kw"],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Float[Tensor, "n o out_h out_w"]:
    """Multiply the kernels by the matrix of windows of a few images, padded already."""
    (o, c_per_group), kernel_size = weight.shape[:2], tuple(weight.shape[2:])
    out = conv_output_size(tuple(x.shape[2:]), kernel_size, stride, 0, dilation)
    batch_last = x.permute(1, 2, 3, 0).contiguous()  # c h w n
    places = _window_places(kernel_size, stride, dilation, out)
    seen = torch.stack([batch_last[:, rows, columns] for rows, columns in places], dim=1)
    # (groups, c_per_group * kh * kw, out_h * out_w * n), to the order of weight.flatten(1)
    seen = seen.flatten(2).unflatten(0, (groups, c_per_group)).flatten(1, 2)
    y = weight.flatten(1).unflatten(0, (groups, o // groups)) @ seen
    return y.view(o, *out, len(x)).permute(3, 0, 1, 2)


def conv1x1(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c *one_one"],
    bias: Float[Tensor, " o"] | None = None,
) -> Float[Tensor, "n o h w"]:
    """Apply one dense layer to the channels of every pixel: a 1x1 convolution as a product.

    Parameters
    ----------
    x : Tensor of shape (n, c, h, w)
        Images; a floating-point dtype.
    weight : Tensor of shape (o, c, 1, 1) or (o, c)
        The matrix, as in :func:`conv2d` or plain.
    bias : Tensor of shape (o,), optional
        One number per output channel.

    Returns
    -------
    Tensor of shape (n, o, h, w)
        In the dtype and on the device of ``x``.

    Raises
    ------
    TypeError
        A tensor is not floating-point or dtypes differ.
    ValueError
        A rank or shape is not as above.

    Notes
    -----
    y[n, :, i, j] = weight @ x[n, :, i, j] + bias (Lin et al. 2014).

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1)
    >>> conv1x1(x, torch.tensor([[1.0, 10.0], [3.0, 0.0]])).flatten()
    tensor([21.,  3.])
    """
    if isinstance(weight, Tensor) and weight.ndim == 2:
        weight = weight[:, :, None, None]
    _check_layer(x, weight, bias, groups=1)
    if weight.shape[2:] != (1, 1):
        raise ValueError(f"`weight` must have shape (o, c, 1, 1), got {tuple(weight.shape)}")
    y = (weight[:, :, 0, 0] @ x.flatten(2)).unflatten(2, x.shape[2:])
    return y if bias is None else y + bias[:, None, None]


def im2col(
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
) -> Float[Tensor, "n c_kh_kw positions"]:
    """Copy every window of an image into a column.

    Parameters
    ----------
    x : Tensor of shape (n, c, h, w)
        Images; a floating-point dtype.
    kernel_size : int or (int, int)
        Height and width of the window, 1 or more.
    stride, padding, dilation
        As in :func:`conv2d`.

    Returns
    -------
    Tensor of shape (n, c * kh * kw, out_h * out_w)
        Channel first, then row, then column of the window, the order of ``weight.flatten(1)``.
        It takes itemsize * n * c * kh * kw * out_h * out_w bytes.

    Raises
    ------
    TypeError, ValueError
        As :func:`conv2d`.

    Notes
    -----
    columns[n, (c * kh + i) * kw + j, p * out_w + q] = x[n, c, p * sh + i * dh, q * sw + j * dw],
    with x padded already; ``torch.nn.functional.unfold`` has the same order. Then
    ``weight.flatten(1) @ columns`` is the convolution (Chellapilla et al. 2006).

    Examples
    --------
    >>> import torch
    >>> im2col(torch.arange(9.0).reshape(1, 1, 3, 3), 2)
    tensor([[[0., 1., 3., 4.],
             [1., 2., 4., 5.],
             [3., 4., 6., 7.],
             [4., 5., 7., 8.]]])
    """
    check_tensor("x", x, IMAGES)
    padded = _pad(x, kernel_size, stride, padding, dilation)
    view = windows(padded, kernel_size, stride, dilation)
    n, c, out_h, out_w, kh, kw = view.shape
    copy = view.permute(0, 1, 4, 5, 2, 3).clone(memory_format=torch.contiguous_format)
    return copy.view(n, c * kh * kw, out_h * out_w)


def windows(
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    dilation: IntOrPair = 1,
) -> Float[Tensor, "n c out_h out_w kh kw"]:
    """View every window of an image without copying a number.

    Parameters
    ----------
    x : Tensor of shape (n, c, h, w)
        Images, padded already; a floating-point dtype.
    kernel_size, stride, dilation : int or (int, int)
        Size of the window, step between windows, step inside a window; each 1 or more.

    Returns
    -------
    Tensor of shape (n, c, out_h, out_w, kh, kw)
        A view of ``x``. Neighbouring windows share memory: never write into it.

    Raises
    ------
    TypeError
        ``x`` is no floating-point tensor, or an integer is none.
    ValueError
        A rank or range is not as above, or the window does not fit in the image.

    Notes
    -----
    view[n, c, p, q, i, j] = x[n, c, p * sh + i * dh, q * sw + j * dw].

    Examples
    --------
    >>> import torch
    >>> windows(torch.arange(9.0).reshape(1, 1, 3, 3), 2)[0, 0, 1, 0]
    tensor([[3., 4.],
            [6., 7.]])
    """
    check_tensor("x", x, IMAGES)
    (kh, kw), (sh, sw) = pair("kernel_size", kernel_size, 1), pair("stride", stride, 1)
    dh, dw = pair("dilation", dilation, 1)
    conv_output_size(tuple(x.shape[2:]), (kh, kw), (sh, sw), 0, (dh, dw))  # or no window fits
    return _window_view(x, (kh, kw), (sh, sw), (dh, dw))


def _window_places(
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    out: tuple[int, int],
) -> Iterator[tuple[slice, slice]]:
    """Yield, for each place of the window row by row, the pixels that all windows see there."""
    for place in product(*map(range, kernel_size)):
        axes = zip(place, stride, dilation, out, strict=True)
        rows, columns = (slice(u * d, u * d + (n - 1) * s + 1, s) for u, s, d, n in axes)
        yield rows, columns


def _prepare(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: IntOrPair,
    padding: IntOrPair | str,
    dilation: IntOrPair,
    groups: int,
) -> tuple[Tensor, tuple[int, int], tuple[int, int]]:
    """Check every argument of a layer; return the padded image, stride and dilation as pairs."""
    _check_layer(x, weight, bias, groups)
    padded = _pad(x, tuple(weight.shape[2:]), stride, padding, dilation)
    return padded, pair("stride", stride, 1), pair("dilation", dilation, 1)


def _pad(
    x: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair,
    padding: IntOrPair | str,
    dilation: IntOrPair,
) -> Tensor:
    """Surround an image with zeros, after checking that a window fits in what comes out."""
    if isinstance(padding, str) and padding not in ("same", "valid"):
        raise ValueError(f"`padding` must be an int, a pair, 'same' or 'valid', got {padding!r}")
    if padding == "same":
        if pair("stride", stride, 1) != (1, 1):
            raise ValueError(f"`stride` must be 1 with padding='same', got {stride}")
        kernel_size = pair("kernel_size", kernel_size, 1)
        (top, bottom), (left, right) = same_padding(kernel_size, dilation)
        return F.pad(x, (left, right, top, bottom))
    ph, pw = (0, 0) if padding == "valid" else pair("padding", padding, 0)
    conv_output_size(tuple(x.shape[2:]), kernel_size, stride, (ph, pw), dilation)
    return F.pad(x, (pw, pw, ph, ph)) if ph or pw else x  # without a border, without a copy


def _check_layer(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    """Require an image, kernels and a bias whose shapes, dtypes and devices fit each other."""
    check_tensor("x", x, IMAGES)
    check_tensor("weight", weight, "o c/groups kh kw")
    check_alike("weight", weight, "x", x)
    check_integer("groups", groups, 1)
    c, (o, c_per_group) = x.shape[1], weight.shape[:2]
    if o < 1 or o % groups:
        raise ValueError(f"`groups` must divide the {o} output channels of `weight`, got {groups}")
    if c % groups:
        raise ValueError(f"`groups` must divide the {c} channels of `x`, got {groups}")
    if c_per_group != c // groups:
        raise ValueError(
            f"`weight` must have {c // groups} input channels ({c} channels of `x` in {groups} "
            f"groups), got shape {tuple(weight.shape)}"
        )
    if bias is None:
        return
    check_tensor("bias", bias, "o")
    check_alike("bias", bias, "x", x)
    if len(bias) != o:
        raise ValueError(f"`bias` must have shape ({o},), got {tuple(bias.shape)}")
