"""How the gradient flows back through cross-correlation and through a convolutional layer."""

from __future__ import annotations

from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import (
    IMAGES,
    IntOrPair,
    check_alike,
    check_not_empty,
    check_tensor,
    pair,
)
from cnncourse.backprop._upstream import check_grad_output
from cnncourse.channels import conv_window
from cnncourse.cross_correlation import convolve1d, corr1d
from cnncourse.windows import Window

ConvGradients = tuple[
    Float[Tensor, "n c h w"], Float[Tensor, "o c_per_group kh kw"], Float[Tensor, " o"]
]


def corr1d_backward(
    grad_output: Float[Tensor, " out_w"], x: Float[Tensor, " w"], kernel: Float[Tensor, " kw"]
) -> tuple[Float[Tensor, " w"], Float[Tensor, " kw"]]:
    """Return the gradients of ``corr1d(x, kernel)`` for the signal and for the kernel.

    With ``y[j] = sum_b x[j + b] * kernel[b]`` and ``delta[j] = dL/dy[j]`` the chain rule gives
    (Goodfellow et al. 2016, section 9.5)::

        dL/dkernel[b] = sum_j delta[j] * x[j + b]         correlation of the signal with delta
        dL/dx[m]      = sum_b delta[m - b] * kernel[b]    true convolution of delta with the kernel

    Examples
    --------
    >>> x, kernel = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([10.0, 20.0])
    >>> grad_x, grad_kernel = corr1d_backward(torch.tensor([1.0, 0.0, 2.0]), x, kernel)
    >>> grad_kernel  # 1*1 + 0*2 + 2*3 and 1*2 + 0*3 + 2*4
    tensor([ 7., 10.])
    >>> grad_x
    tensor([10., 20., 20., 40.])
    """
    check_grad_output(grad_output, corr1d(x, kernel).shape, x)
    return convolve1d(grad_output, kernel), corr1d(x, grad_output)


def insert_zeros(
    x: Float[Tensor, "*lead h w"], step: tuple[int, int] | list[int]
) -> Float[Tensor, "*lead out_h out_w"]:
    """Spread an image out: ``step - 1`` zeros between neighbours, none outside.

    ``y[i * step[0], j * step[1]] = x[i, j]``, and zero elsewhere. A dilated kernel is a kernel with
    zeros inserted. The gradient of a strided layer is the gradient of the stride-1 layer whose
    unwanted outputs got the gradient zero.

    Examples
    --------
    >>> insert_zeros(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), (1, 2))
    tensor([[1., 0., 2.],
            [3., 0., 4.]])
    """
    check_tensor("x", x, "... h w")
    (sh, sw), (h, w) = pair("step", step, 1), x.shape[-2:]
    y = x.new_zeros(*x.shape[:-2], (h - 1) * sh + 1, (w - 1) * sw + 1)
    y[..., ::sh, ::sw] = x
    return y


def conv2d_backward_loops(
    grad_output: Float[Tensor, "n o out_h out_w"],
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c_per_group kh kw"],
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> ConvGradients:
    """Return the gradients of ``conv2d`` by the loops of ``conv2d_loops``, run once more.

    Forward, each turn of the inner loop adds ``weight[o, c, a, b] * seen`` to an output. Backward,
    that output's gradient delta goes to both factors. A weight and a pixel are used in many turns:
    their shares add up. The arguments are those of :func:`conv2d_backward`.

    Examples
    --------
    >>> x, weight = torch.arange(9.0).reshape(1, 1, 3, 3), torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> grad_x, grad_weight, grad_bias = conv2d_backward_loops(torch.ones(1, 1, 2, 2), x, weight)
    >>> grad_weight[0, 0]  # 0 + 1 + 3 + 4 = 8: the pixels that the first weight was laid on
    tensor([[ 8., 12.],
            [20., 24.]])
    """
    window = conv_window(x, weight, None, stride, padding, dilation, groups)
    padded, (sh, sw), (dh, dw) = window.pad(x), window.stride, window.dilation
    channels_out, c_per_group, kh, kw = weight.shape
    out_h, out_w = window.out(x.shape[2:])
    check_grad_output(grad_output, (len(x), channels_out, out_h, out_w), x)
    grad_padded, grad_weight = torch.zeros_like(padded), torch.zeros_like(weight)
    for o, i, j in product(range(channels_out), range(out_h), range(out_w)):
        first, delta = o // (channels_out // groups) * c_per_group, grad_output[:, o, i, j]
        for c, a, b in product(range(c_per_group), range(kh), range(kw)):
            row, column = i * sh + a * dh, j * sw + b * dw
            seen = padded[:, first + c, row, column]
            grad_weight[o, c, a, b] += (delta * seen).sum()
            grad_padded[:, first + c, row, column] += delta * weight[o, c, a, b]
    return window.crop(grad_padded), grad_weight, grad_output.sum((0, 2, 3))


def conv2d_backward(
    grad_output: Float[Tensor, "n o out_h out_w"],
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c_per_group kh kw"],
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> ConvGradients:
    """Return the gradients of ``conv2d`` for the images, the weights and the bias.

    Through one weight ``weight[o, c, a, b]`` the output reads one shifted copy of the padded input,
    ``y[n, o] += weight[o, c, a, b] * seen[n, c]``. So, weight by weight::

        dL/dweight[o, c, a, b] = sum over images and pixels of grad_output[n, o] * seen[n, c]
        dL/dseen[n, c]        += weight[o, c, a, b] * grad_output[n, o]    (the copies overlap)

    All channels of one place (a, b) make two matrix products. The arguments after ``grad_output``
    are those that the layer had, :func:`cnncourse.channels.conv2d`; ``grad_bias`` comes back also
    where it had no bias. Rows and columns that no window reaches get exactly zero.

    Examples
    --------
    >>> x, weight = torch.arange(9.0).reshape(1, 1, 3, 3), torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> grad_x, grad_weight, grad_bias = conv2d_backward(torch.ones(1, 1, 2, 2), x, weight)
    >>> grad_x[0, 0]  # the centre lies under all four weights: 0 + 1 + 2 + 3
    tensor([[0., 1., 1.],
            [2., 6., 4.],
            [2., 5., 3.]])
    >>> grad_bias
    tensor([4.])
    """
    window, size = conv_window(x, weight, None, stride, padding, dilation, groups), x.shape[2:]
    check_grad_output(grad_output, (len(x), len(weight), *window.out(size)), x)
    padded, delta = (_batch_last(t, groups) for t in (window.pad(x), grad_output))
    delta = delta.flatten(2)  # (groups, o / groups, out_h * out_w * n)
    kernels = weight.unflatten(0, (groups, -1)).permute(3, 4, 0, 2, 1).flatten(0, 1).contiguous()
    grad_padded, grad_kernels = torch.zeros_like(padded), []
    for kernel, (rows, columns) in zip(kernels, window.places(size), strict=True):
        seen = padded[:, :, rows, columns]
        grad_kernels.append(seen.flatten(2) @ delta.mT)
        grad_padded[:, :, rows, columns] += (kernel @ delta).view(seen.shape)
    grad_x = window.crop(grad_padded.flatten(0, 1).permute(3, 0, 1, 2))
    grad_weight = torch.stack(grad_kernels, -1).transpose(1, 2).reshape(weight.shape)
    return grad_x.contiguous(), grad_weight, grad_output.sum((0, 2, 3))


def conv_transpose2d(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "c o kh kw"],
    bias: Float[Tensor, " o"] | None = None,
    stride: IntOrPair = 1,
) -> Float[Tensor, "n o out_h out_w"]:
    """Apply a transposed convolution: every pixel paints a copy of its kernels, ``stride`` apart.

    ``y[n, o, i * sh + a, j * sw + b] += x[n, c, i, j] * weight[c, o, a, b]``, from zeros of height
    ``(h - 1) * sh + kh``. This is how :func:`conv2d_backward` finds ``grad_x`` where no row is
    left over, as a layer of its own. The weight lists input channels first, as in torch.

    Examples
    --------
    >>> x, weight = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 5.0]]]])
    >>> conv_transpose2d(x, weight)  # 1*3, 1*5 + 2*3, 2*5
    tensor([[[[ 3., 11., 10.]]]])
    """
    window = _transposed_window(x, weight, bias, stride)
    (h, w), (sh, sw), (kh, kw) = x.shape[2:], window.stride, window.kernel
    y = x.new_zeros(len(x), weight.shape[1], (h - 1) * sh + kh, (w - 1) * sw + kw)
    for i, j in product(range(h), range(w)):
        rows, columns = window.at(i, j)
        y[:, :, rows, columns] += torch.einsum("nc,coab->noab", x[:, :, i, j], weight)
    return y if bias is None else y + bias[:, None, None]


def _transposed_window(x: Tensor, weight: Tensor, bias: Tensor | None, stride: IntOrPair) -> Window:
    """Require images, kernels and a bias that fit each other, and return where pixels paint."""
    check_tensor("x", x, IMAGES)
    check_tensor("weight", weight, "c o kh kw")
    check_alike("weight", weight, "x", x)
    check_not_empty("weight", weight)
    if 0 in x.shape[1:]:
        raise ValueError(f"`x` must have at least one pixel, got shape {tuple(x.shape)}")
    if len(weight) != x.shape[1]:
        raise ValueError(
            f"`weight` must have the {x.shape[1]} channels of `x` first, "
            f"got shape {tuple(weight.shape)}"
        )
    if bias is not None:
        check_tensor("bias", bias, "o")
        check_alike("bias", bias, "x", x)
        if len(bias) != weight.shape[1]:
            raise ValueError(
                f"`bias` must have shape ({weight.shape[1]},), got {tuple(bias.shape)}"
            )
    return Window.read(weight.shape[2:], stride)


def _batch_last(x: Float[Tensor, "n c h w"], groups: int) -> Tensor:
    """Lay (n, c, h, w) out as (groups, c / groups, h, w, n): a shifted copy keeps long rows."""
    return x.unflatten(1, (groups, -1)).permute(1, 2, 3, 4, 0).contiguous()
