"""How the gradient flows back through cross-correlation and through a convolutional layer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from cnncourse import channels
from cnncourse._arguments import IntOrPair, pair
from cnncourse.backprop._upstream import check_float, check_grad_output
from cnncourse.cross_correlation import convolve1d, convolve2d, corr1d, corr2d
from cnncourse.padding_stride import conv_output_size

Pair = tuple[int, int]
Slices = tuple[slice, slice]


def corr1d_backward(
    grad_output: Float[Tensor, " o"], x: Float[Tensor, " w"], kernel: Float[Tensor, " kw"]
) -> tuple[Float[Tensor, " w"], Float[Tensor, " kw"]]:
    """Return the gradients of ``corr1d(x, kernel)`` for the signal and for the kernel.

    With ``y[i] = sum_k x[i + k] * kernel[k]`` and ``delta[i] = dL/dy[i]``::

        dL/dkernel[k] = sum_i delta[i] * x[i + k]         correlation of the signal with delta
        dL/dx[m]      = sum_k delta[m - k] * kernel[k]    true convolution of delta with the kernel

    Parameters
    ----------
    grad_output : Tensor of shape (w - kw + 1,)
        delta, the gradient of the loss with respect to the output.
    x : Tensor of shape (w,)
        The signal; any floating-point dtype and device.
    kernel : Tensor of shape (kw,)
        The weights, of the dtype and device of ``x``; 1 <= kw <= w.

    Returns
    -------
    tuple of Tensor
        ``(grad_x, grad_kernel)``, of shapes (w,) and (kw,).

    Raises
    ------
    TypeError
        If an argument is not a floating-point tensor, or the dtypes differ.
    ValueError
        If an argument is empty or not 1-D, the kernel is longer than ``x``, ``grad_output`` does
        not have w - kw + 1 elements, or the devices differ.

    Notes
    -----
    The chain rule; Goodfellow, Bengio and Courville (2016), Deep Learning, section 9.5.

    Examples
    --------
    >>> import torch
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
    x: Float[Tensor, "*lead h w"], step: Pair | list[int]
) -> Float[Tensor, "*lead oh ow"]:
    """Spread an image out: ``step - 1`` zeros between neighbours, none outside.

    ``y[i * step[0], j * step[1]] = x[i, j]``, and zero elsewhere.

    Parameters
    ----------
    x : Tensor of shape (..., h, w)
        Images, kernels or gradients; any floating-point dtype and device.
    step : tuple of two int
        Distance between old neighbours along the height and the width; at least 1.

    Returns
    -------
    Tensor of shape (..., (h - 1) * step[0] + 1, (w - 1) * step[1] + 1)
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError
        If ``x`` is not a floating-point tensor, or ``step`` holds anything but integers.
    ValueError
        If ``x`` has fewer than two axes, or a number of ``step`` is below 1.

    Notes
    -----
    A dilated kernel is a kernel with zeros inserted. The gradient of a strided layer is the
    gradient of the stride-1 layer whose unwanted outputs got the gradient zero.

    Examples
    --------
    >>> import torch
    >>> insert_zeros(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), (1, 2))
    tensor([[1., 0., 2.],
            [3., 0., 4.]])
    """
    check_float("x", x)
    if x.ndim < 2:
        raise ValueError(f"`x` must have a height and a width, got shape {tuple(x.shape)}")
    (sh, sw), (h, w) = pair("step", step, 1), x.shape[-2:]
    y = x.new_zeros(*x.shape[:-2], (h - 1) * sh + 1, (w - 1) * sw + 1)
    y[..., ::sh, ::sw] = x
    return y


class Windows(NamedTuple):
    """Where the windows of a 2-D operator lie on its padded input.

    Output pixel (i, j) reads, through place (u, v) of its window, the padded pixel
    ``(i * stride + u * dilation, j * stride + v * dilation)``, axis by axis.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    out: Pair
    sides: tuple[int, int, int, int]  # left, right, top, bottom: the order of F.pad

    def places(self) -> Iterator[Slices]:
        """Yield, for each place of the window row by row, the pixels that are read through it."""
        return channels._window_places(self.kernel, self.stride, self.dilation, self.out)

    def frame(self, x: Tensor) -> Tensor:
        """Put the padding around ``x``."""
        return F.pad(x, self.sides)

    def unframe(self, padded: Tensor) -> Tensor:
        """Cut the padding off: the gradient that reached it goes nowhere."""
        return F.pad(padded, [-side for side in self.sides])


def lay_windows(
    x: Tensor, padded: Tensor, before: Pair, kernel: Pair, stride: Pair, dilation: Pair
) -> Windows:
    """Say where the windows lie once ``before`` rows and columns of padding precede the image."""
    (h, w), (padded_h, padded_w), (top, left) = x.shape[2:], padded.shape[2:], before
    out = conv_output_size((padded_h, padded_w), kernel, stride, 0, dilation)
    sides = (left, padded_w - w - left, top, padded_h - h - top)
    return Windows(kernel, stride, dilation, out, sides)


def _conv_windows(
    grad_output: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: IntOrPair,
    padding: IntOrPair | str,
    dilation: IntOrPair,
    groups: int,
) -> Windows:
    """Check the arguments of a convolution's backward pass and say where its windows lie."""
    layer = (stride, padding, dilation, groups)
    padded, strides, dilations = channels._prepare(x, weight, None, *layer)
    # "same" puts an odd zero after the image, so the smaller half comes before it.
    before = tuple((p - n) // 2 for p, n in zip(padded.shape[2:], x.shape[2:], strict=True))
    windows = lay_windows(x, padded, before, tuple(weight.shape[2:]), strides, dilations)
    check_grad_output(grad_output, (len(x), len(weight), *windows.out), x)
    return windows


def conv2d_backward_loops(
    grad_output: Float[Tensor, "n o oh ow"],
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o i kh kw"],
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "o i kh kw"], Float[Tensor, " o"]]:
    """Return the gradients of ``conv2d`` by two correlation formulas, one image and kernel a time.

    Let delta be ``grad_output`` with zeros inserted by the stride, and X the padded input::

        dL/dweight = X correlated with delta, read at every dilation-th offset
        dL/dX      = delta correlated with the flipped dilated weight, full: delta convolved with it
        dL/dbias   = sum of delta

    A kernel is laid on many images, and a channel is read by many kernels: their shares add up.

    Parameters
    ----------
    grad_output, x, weight, stride, padding, dilation, groups
        As :func:`conv2d_backward`.

    Returns
    -------
    tuple of Tensor
        ``(grad_x, grad_weight, grad_bias)``, as :func:`conv2d_backward`.

    Raises
    ------
    TypeError, ValueError
        As :func:`conv2d_backward`.

    Notes
    -----
    Goodfellow, Bengio and Courville (2016), Deep Learning, section 9.5, gives both gradients for
    a stride; padding, dilation and groups follow by zeros put around, between and apart.

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.arange(9.0).reshape(1, 1, 3, 3), torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> grad_x, grad_weight, grad_bias = conv2d_backward_loops(torch.ones(1, 1, 2, 2), x, weight)
    >>> grad_weight[0, 0]  # 0 + 1 + 3 + 4 = 8: the pixels that the first weight was laid on
    tensor([[ 8., 12.],
            [20., 24.]])
    """
    windows = _conv_windows(grad_output, x, weight, stride, padding, dilation, groups)
    (dh, dw), (kh, kw) = windows.dilation, windows.kernel
    padded, delta = windows.frame(x), insert_zeros(grad_output, windows.stride)
    dilated = insert_zeros(weight, windows.dilation)
    grad_padded, grad_weight = torch.zeros_like(padded), torch.zeros_like(weight)
    for image, o, i in product(range(len(x)), *map(range, weight.shape[:2])):
        first = o // (len(weight) // groups) * weight.shape[1]  # channel of the group of o
        c = first + i
        # Leftover rows leave room for more offsets than the kernel has weights.
        grad_weight[o, i] += corr2d(padded[image, c], delta[image, o])[::dh, ::dw][:kh, :kw]
        sent_back = convolve2d(delta[image, o], dilated[o, i])
        grad_padded[image, c, : len(sent_back), : sent_back.shape[1]] += sent_back
    return windows.unframe(grad_padded), grad_weight, grad_output.sum((0, 2, 3))


def conv2d_backward(
    grad_output: Float[Tensor, "n o oh ow"],
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o i kh kw"],
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "o i kh kw"], Float[Tensor, " o"]]:
    """Return the gradients of ``conv2d`` for the images, the weights and the bias.

    Through one weight ``w = weight[o, i, u, v]`` the output reads one shifted copy of the padded
    input, ``y[n, o] += w * seen[n, i]``. So, weight by weight::

        dL/dw       = sum over images and pixels of grad_output[n, o] * seen[n, i]
        dL/dseen    += w * grad_output[n, o]      (shifted copies overlap: their gradients add up)

    All channels of one place (u, v) make two matrix products.

    Parameters
    ----------
    grad_output : Tensor of shape (n, o, oh, ow)
        Gradient of the loss with respect to the output, of the dtype and device of ``x``.
    x : Tensor of shape (n, c, h, w)
        Images; any floating-point dtype and device.
    weight : Tensor of shape (o, c / groups, kh, kw)
        Kernels.
    stride, padding, dilation, groups
        As the layer had them: :func:`cnncourse.channels.conv2d`.

    Returns
    -------
    tuple of Tensor
        ``(grad_x, grad_weight, grad_bias)`` of shapes (n, c, h, w), (o, c / groups, kh, kw) and
        (o,). ``grad_bias`` is there whether or not the layer had a bias. Rows and columns that no
        window reaches get exactly zero.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of the output, the devices differ, or another
        argument is one that ``conv2d`` refuses.

    Notes
    -----
    The chain rule; the same sums as :func:`conv2d_backward_loops` in another order.

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.arange(9.0).reshape(1, 1, 3, 3), torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> grad_x, grad_weight, grad_bias = conv2d_backward(torch.ones(1, 1, 2, 2), x, weight)
    >>> grad_x[0, 0]  # the centre lies under all four weights: 0 + 1 + 2 + 3
    tensor([[0., 1., 1.],
            [2., 6., 4.],
            [2., 5., 3.]])
    >>> grad_bias
    tensor([4.])
    """
    windows = _conv_windows(grad_output, x, weight, stride, padding, dilation, groups)
    padded, delta = (_batch_last(t, groups) for t in (windows.frame(x), grad_output))
    delta = delta.flatten(2)  # (groups, o / groups, oh * ow * n)
    kernels = weight.unflatten(0, (groups, -1)).permute(3, 4, 0, 2, 1).flatten(0, 1).contiguous()
    grad_padded, grad_kernels = torch.zeros_like(padded), []
    for kernel, (rows, columns) in zip(kernels, windows.places(), strict=True):
        seen = padded[:, :, rows, columns]
        grad_kernels.append(seen.flatten(2) @ delta.mT)
        grad_padded[:, :, rows, columns] += (kernel @ delta).view(seen.shape)
    grad_x = windows.unframe(grad_padded.flatten(0, 1).permute(3, 0, 1, 2))
    grad_weight = torch.stack(grad_kernels, -1).transpose(1, 2).reshape(weight.shape)
    return grad_x.contiguous(), grad_weight, grad_output.sum((0, 2, 3))


def _batch_last(x: Tensor, groups: int) -> Tensor:
    """Lay (n, c, h, w) out as (groups, c / groups, h, w, n): a shifted copy keeps long rows."""
    return x.unflatten(1, (groups, -1)).permute(1, 2, 3, 4, 0).contiguous()
