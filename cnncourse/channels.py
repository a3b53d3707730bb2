"""The convolutional layer: many channels in, many channels out.

One idea a function: ``corr2d_multi_in`` adds up over the input channels, ``corr2d_multi_in_out``
has a kernel for each output channel, ``conv2d_loops`` adds images, stride, padding, dilation and
groups. ``conv2d`` computes the same numbers as one matrix product: each row of the left matrix is
a kernel, each column of the right one a window, as ``im2col`` copies it.

Not handled: transposed convolution, complex numbers, unbatched (c, h, w) input.
"""

from __future__ import annotations

from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import (
    IMAGES,
    IntOrPair,
    check_alike,
    check_integer,
    check_not_empty,
    check_tensor,
)
from cnncourse.cross_correlation import corr2d
from cnncourse.windows import Window, windows

BLOCK = 64  # images: LeNet's matrices of windows are then small enough for a processor's cache


def corr2d_multi_in(
    x: Float[Tensor, "c h w"], kernel: Float[Tensor, "c kh kw"]
) -> Float[Tensor, "out_h out_w"]:
    """Cross-correlate each channel of an image with its own kernel, and add up the results.

    ``y = corr2d(x[0], kernel[0]) + corr2d(x[1], kernel[1]) + ...``; the name is d2l's.

    Examples
    --------
    >>> x = torch.arange(9.0).reshape(3, 3)
    >>> kernel = torch.arange(4.0).reshape(2, 2)
    >>> corr2d_multi_in(torch.stack([x, x + 1]), torch.stack([kernel, kernel + 1]))
    tensor([[ 56.,  72.],
            [104., 120.]])
    """
    _check_one_image(x, "kernel", kernel, "c kh kw")
    return sum(corr2d(x[c], kernel[c]) for c in range(len(x)))


def corr2d_multi_in_out(
    x: Float[Tensor, "c h w"], weight: Float[Tensor, "o c kh kw"]
) -> Float[Tensor, "o out_h out_w"]:
    """Apply one kernel with all its input channels for every output channel, and stack the results.

    ``y[o] = corr2d_multi_in(x, weight[o])``; the name is d2l's.

    Examples
    --------
    >>> x = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    >>> weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]).reshape(3, 2, 1, 1)
    >>> corr2d_multi_in_out(x, weight).squeeze(1)  # a channel, the other, their difference
    tensor([[ 1.,  2.],
            [ 3.,  4.],
            [-2., -2.]])
    """
    _check_one_image(x, "weight", weight, "o c kh kw")
    return torch.stack([corr2d_multi_in(x, kernel) for kernel in weight])


def _check_one_image(x: Tensor, name: str, kernels: Tensor, dims: str) -> None:
    """Require an image and kernels with as many input channels, neither of them empty."""
    check_tensor("x", x, "c h w")
    check_tensor(name, kernels, dims)
    check_alike(name, kernels, "x", x)
    check_not_empty("x", x)
    check_not_empty(name, kernels)
    if kernels.shape[-3] != len(x):
        raise ValueError(
            f"`{name}` must have the {len(x)} input channels of `x`, "
            f"got shape {tuple(kernels.shape)}"
        )


def conv2d_loops(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c_per_group kh kw"],
    bias: Float[Tensor, " o"] | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Float[Tensor, "n o out_h out_w"]:
    """Apply a convolutional layer, one loop per index of the formula; only n has no loop.

    ``y[n, o, i, j] = bias[o] + sum over c, a, b of
    weight[o, c, a, b] * x[n, first(o) + c, i * sh + a * dh, j * sw + b * dw]``,
    where x is padded already and first(o) is the first channel of the group of o.

    The arguments are those of :func:`conv2d`.

    Notes
    -----
    Dumoulin and Visin (2016); Goodfellow et al. (2016), equation 9.7.

    Examples
    --------
    >>> x = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d_loops(x, torch.arange(4.0).reshape(1, 1, 2, 2))
    tensor([[[[19., 25.],
              [37., 43.]]]])
    """
    window = conv_window(x, weight, bias, stride, padding, dilation, groups)
    padded, (sh, sw), (dh, dw) = window.pad(x), window.stride, window.dilation
    channels_out, c_per_group, kh, kw = weight.shape
    out_h, out_w = window.out(x.shape[2:])
    y = x.new_zeros(len(x), channels_out, out_h, out_w)
    for o, i, j in product(range(channels_out), range(out_h), range(out_w)):
        first = o // (channels_out // groups) * c_per_group
        for c, a, b in product(range(c_per_group), range(kh), range(kw)):
            seen = padded[:, first + c, i * sh + a * dh, j * sw + b * dw]
            y[:, o, i, j] += weight[o, c, a, b] * seen
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
    """Apply a convolutional layer as one matrix product: kernels times windows.

    Parameters
    ----------
    x, weight, bias
        Images, a kernel for each output channel, a number for each output channel.
    stride, dilation : int or (int, int)
        Pixels between windows, and between the places of one window; 1 or more.
    padding : int, (int, int), "same" or "valid"
        Zeros on each side: (above and below, left and right). "valid" is 0. "same" keeps h and w,
        with stride 1: of an odd number of zeros the last goes below, or to the right.
    groups : int
        Splits input and output channels into that many independent parts.

    Notes
    -----
    The formula is that of :func:`conv2d_loops`. The matrix of windows holds about kh * kw times
    the input (Chellapilla et al. 2006). It is made for at most 64 images at a time, and kept only
    where a gradient will need it. One row of it is what one weight sees: the input, shifted. With
    the batch last, a shifted copy moves long runs of memory.

    Examples
    --------
    >>> x = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(x, torch.arange(4.0).reshape(1, 1, 2, 2))
    tensor([[[[19., 25.],
              [37., 43.]]]])
    """
    window = conv_window(x, weight, bias, stride, padding, dilation, groups)
    blocks = [_conv_block(images, weight, window, groups) for images in x.split(BLOCK)]
    y = torch.cat(blocks).contiguous()
    return y if bias is None else y + bias[:, None, None]


def _conv_block(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c_per_group kh kw"],
    window: Window,
    groups: int,
) -> Float[Tensor, "n o out_h out_w"]:
    """Multiply the kernels by the matrix of windows of a few images."""
    (o, c_per_group), size = weight.shape[:2], x.shape[2:]
    padded = window.pad(x).permute(1, 2, 3, 0).contiguous()  # c h w n
    seen = torch.stack([padded[:, rows, columns] for rows, columns in window.places(size)], dim=1)
    # (groups, c_per_group * kh * kw, out_h * out_w * n), to the order of weight.flatten(1)
    seen = seen.flatten(2).unflatten(0, (groups, c_per_group)).flatten(1, 2)
    y = weight.flatten(1).unflatten(0, (groups, o // groups)) @ seen
    return y.view(o, *window.out(size), len(x)).permute(3, 0, 1, 2)


def conv1x1(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c *one_one"],
    bias: Float[Tensor, " o"] | None = None,
) -> Float[Tensor, "n o h w"]:
    """Apply one dense layer to the channels of every pixel: a 1x1 convolution as a product.

    ``y[n, :, i, j] = weight @ x[n, :, i, j] + bias`` (Lin et al. 2014); the matrix has shape
    (o, c), or (o, c, 1, 1) as in :func:`conv2d`.

    Examples
    --------
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
) -> Float[Tensor, "n c_kh_kw out_h_out_w"]:
    """Copy every window of an image into a column, as ``torch.nn.functional.unfold``.

    ``columns[n, (c * kh + a) * kw + b, i * out_w + j]`` is what :func:`windows` shows at
    [n, c, i, j, a, b]: the rows have the order of ``weight.flatten(1)``, so that
    ``weight.flatten(1) @ columns`` is the convolution (Chellapilla et al. 2006).

    Examples
    --------
    >>> im2col(torch.arange(9.0).reshape(1, 1, 3, 3), 2)
    tensor([[[0., 1., 3., 4.],
             [1., 2., 4., 5.],
             [3., 4., 6., 7.],
             [4., 5., 7., 8.]]])
    """
    view = windows(x, kernel_size, stride, padding, dilation)
    columns = view.permute(0, 1, 4, 5, 2, 3).clone(memory_format=torch.contiguous_format)
    return columns.flatten(1, 3).flatten(2)


def conv_window(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: IntOrPair,
    padding: IntOrPair | str,
    dilation: IntOrPair,
    groups: int,
) -> Window:
    """Check every argument of a layer, and return the window that its kernels look through."""
    _check_layer(x, weight, bias, groups)
    return Window.of_conv(weight.shape[2:], stride, padding, dilation)


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
