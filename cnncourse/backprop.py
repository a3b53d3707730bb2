"""Chapter 10: how the gradient flows backwards through the operators, worked out by hand.

Each ``..._backward`` takes the gradient of a scalar loss L with respect to an operator's output
and returns the gradient of L with respect to each input. Nothing here calls a derivative of the
library. Three sentences carry the whole file:

* an output that reads an input through a weight sends its own gradient back through that weight;
* what is used in several places (a shared weight, a pixel under several windows) gets the sum;
* what is never used (a row that the floor of the size law drops) gets exactly zero.

Not handled: transposed and 3-D convolution, L2 pooling, and normalization with running statistics
(at test time it is a fixed scale and shift).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from cnncourse import channels, pooling
from cnncourse._arguments import IntOrPair, check_alike, check_tensor, pair
from cnncourse.cross_correlation import convolve1d, convolve2d, corr1d, corr2d
from cnncourse.normalization import (
    _moments,
    _standardize,
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    normalize,
)
from cnncourse.padding_stride import conv_output_size

Pair = tuple[int, int]
Slices = tuple[slice, slice]
NormGradients = tuple[
    Float[Tensor, "*shape"], Float[Tensor, "*weight"] | None, Float[Tensor, "*weight"] | None
]


def _check_float(name: str, value: Tensor) -> None:
    """Require a floating-point tensor of any rank."""
    check_tensor(name, value, "_ " * getattr(value, "ndim", 0))


def _check_grad_output(grad_output: Tensor, expected: Sequence[int], x: Tensor) -> None:
    """Require a gradient with the shape, dtype and device of the operator's output."""
    _check_float("grad_output", grad_output)
    if tuple(grad_output.shape) != tuple(expected):
        raise ValueError(
            f"`grad_output` must have the shape of the output, {tuple(expected)}, "
            f"got {tuple(grad_output.shape)}"
        )
    check_alike("grad_output", grad_output, "x", x)


def _check_call(
    grad_output: Tensor, operator: Callable[..., Tensor], x: Tensor, *arguments: object
) -> None:
    """Require arguments that the operator itself accepts, and the gradient of its output.

    On the meta device an operator checks its arguments and finds the shape, and computes nothing.
    """
    given = [(value, isinstance(value, Tensor)) for value in (x, *arguments)]
    with torch.no_grad():
        output = operator(*(value.to("meta") if tensor else value for value, tensor in given))
    _check_grad_output(grad_output, output.shape, x)
    for value, tensor in given:
        if tensor:
            check_alike("weight", value, "x", x)


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
    _check_grad_output(grad_output, corr1d(x, kernel).shape, x)
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
    _check_float("x", x)
    if x.ndim < 2:
        raise ValueError(f"`x` must have a height and a width, got shape {tuple(x.shape)}")
    (sh, sw), (h, w) = pair("step", step, 1), x.shape[-2:]
    y = x.new_zeros(*x.shape[:-2], (h - 1) * sh + 1, (w - 1) * sw + 1)
    y[..., ::sh, ::sw] = x
    return y


class _Windows(NamedTuple):
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


def _lay_windows(
    x: Tensor, padded: Tensor, before: Pair, kernel: Pair, stride: Pair, dilation: Pair
) -> _Windows:
    """Say where the windows lie once ``before`` rows and columns of padding precede the image."""
    (h, w), (padded_h, padded_w), (top, left) = x.shape[2:], padded.shape[2:], before
    out = conv_output_size((padded_h, padded_w), kernel, stride, 0, dilation)
    sides = (left, padded_w - w - left, top, padded_h - h - top)
    return _Windows(kernel, stride, dilation, out, sides)


def _conv_windows(
    grad_output: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: IntOrPair,
    padding: IntOrPair | str,
    dilation: IntOrPair,
    groups: int,
) -> _Windows:
    """Check the arguments of a convolution's backward pass and say where its windows lie."""
    layer = (stride, padding, dilation, groups)
    padded, strides, dilations = channels._prepare(x, weight, None, *layer)
    # "same" puts an odd zero after the image, so the smaller half comes before it.
    before = tuple((p - n) // 2 for p, n in zip(padded.shape[2:], x.shape[2:], strict=True))
    windows = _lay_windows(x, padded, before, tuple(weight.shape[2:]), strides, dilations)
    _check_grad_output(grad_output, (len(x), len(weight), *windows.out), x)
    return windows


def _pool_windows(
    grad_output: Tensor,
    x: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: IntOrPair,
    dilation: IntOrPair,
    ceil_mode: bool,
) -> _Windows:
    """Check the arguments of a pooling's backward pass and say where its windows lie."""
    layer = (kernel_size, stride, padding, dilation, ceil_mode)
    padded, *geometry = pooling._prepare(x, *layer, fill=0.0)
    windows = _lay_windows(x, padded, pair("padding", padding, 0), *geometry)
    _check_grad_output(grad_output, (*x.shape[:2], *windows.out), x)
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


def max_pool2d_backward(
    grad_output: Float[Tensor, "n c oh ow"],
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Float[Tensor, "n c h w"]:
    """Return the gradient of ``max_pool2d``: all of it goes to the pixel that won the window.

    Parameters
    ----------
    grad_output : Tensor of shape (n, c, oh, ow)
        Gradient of the loss with respect to the output, of the dtype and device of ``x``.
    x : Tensor of shape (n, c, h, w)
        Images; any floating-point dtype and device.
    kernel_size, stride, padding, dilation, ceil_mode
        As the layer had them: :func:`cnncourse.pooling.max_pool2d`.

    Returns
    -------
    Tensor of shape (n, c, h, w)
        A pixel that won several windows gets the sum. Of equal pixels the first in the window, row
        by row, wins; of pixels that are NaN the last one, as in torch.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of the output, the devices differ, or another
        argument is one that ``max_pool2d`` refuses.

    Notes
    -----
    ``y = max(a, b)`` has dy/da = 1 where a > b and 0 where a < b; at a tie any value between is
    a subgradient, and torch's choice is taken.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[[1.0, 5.0, 5.0, 0.0], [2.0, 3.0, 4.0, 1.0]]]])
    >>> max_pool2d_backward(torch.tensor([[[[10.0, 20.0, 40.0]]]]), x, 2, stride=1)
    tensor([[[[ 0., 30., 40.,  0.],
              [ 0.,  0.,  0.,  0.]]]])
    """
    windows = _pool_windows(grad_output, x, kernel_size, stride, padding, dilation, ceil_mode)
    winner = _winning_place(x, windows)
    grad_padded = torch.zeros_like(windows.frame(x))
    for place, (rows, columns) in enumerate(windows.places()):
        grad_padded[:, :, rows, columns] += torch.where(winner == place, grad_output, 0)
    return windows.unframe(grad_padded)


def _winning_place(x: Tensor, windows: _Windows) -> Tensor:
    """Return, for each output pixel, the number of the place in its window that holds the maximum.

    A later place takes over only if it is larger, or NaN: here ties and NaN are decided. The
    padding never wins, not even over -inf.
    """
    padded, inside = windows.frame(x), windows.frame(x.new_ones(x.shape[2:])) > 0
    best = x.new_full((*x.shape[:2], *windows.out), -torch.inf)
    winner = torch.full(best.shape, -1, device=x.device)
    for place, (rows, columns) in enumerate(windows.places()):
        pixel = padded[:, :, rows, columns]
        takes_over = inside[rows, columns] & ((winner < 0) | (pixel > best) | pixel.isnan())
        best, winner = torch.where(takes_over, pixel, best), winner.masked_fill(takes_over, place)
    return winner


def avg_pool2d_backward(
    grad_output: Float[Tensor, "n c oh ow"],
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Float[Tensor, "n c h w"]:
    """Return the gradient of ``avg_pool2d``: every pixel of a window gets the same share.

    With D the number that the window's sum was divided by::

        dL/dx[m] = sum over the windows that hold m of grad_output / D

    Parameters
    ----------
    grad_output : Tensor of shape (n, c, oh, ow)
        Gradient of the loss with respect to the output, of the dtype and device of ``x``.
    x : Tensor of shape (n, c, h, w)
        Images; only the shape matters, since the average is linear.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As the layer had them: :func:`cnncourse.pooling.avg_pool2d`.

    Returns
    -------
    Tensor of shape (n, c, h, w)
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of the output, the devices differ, or another
        argument is one that ``avg_pool2d`` refuses.

    Notes
    -----
    The chain rule on ``y = (sum of the window) / D``.

    Examples
    --------
    >>> import torch
    >>> x = torch.zeros(1, 1, 2, 3)
    >>> avg_pool2d_backward(torch.tensor([[[[4.0, 8.0]]]]), x, 2, stride=1)
    tensor([[[[1., 3., 2.],
              [1., 3., 2.]]]])
    """
    pooling._check_divisor(divisor_override)
    windows = _pool_windows(grad_output, x, kernel_size, stride, padding, 1, ceil_mode)
    grad_padded = torch.zeros_like(windows.frame(x))
    # As in the forward pass: the sum over each window of ones where a pixel counts.
    counted = pooling._counted(x, padding, tuple(grad_padded.shape[2:]), count_include_pad)
    divisor = sum(counted[:, :, rows, columns] for rows, columns in windows.places())
    share = grad_output / (divisor if divisor_override is None else divisor_override)
    for rows, columns in windows.places():
        grad_padded[:, :, rows, columns] += share
    return windows.unframe(grad_padded)


def normalize_backward(
    grad_output: Float[Tensor, "*shape"],
    x: Float[Tensor, "*shape"],
    dims: Sequence[int],
    eps: float = 1e-5,
) -> Float[Tensor, "*shape"]:
    """Return the gradient of ``normalize(x, dims, eps)``, the core of every normalization.

    With ``xhat = (x - mean) / sigma``, ``sigma = sqrt(var + eps)``, g = ``grad_output`` and all
    means taken over ``dims``::

        dL/dx = (g - mean(g) - xhat * mean(g * xhat)) / sigma

    The two means are what g loses because ``mean`` and ``sigma`` depend on ``x`` themselves.

    Parameters
    ----------
    grad_output : Tensor
        Gradient of the loss with respect to xhat, of the shape, dtype and device of ``x``.
    x : Tensor
        The values that were normalized; any floating-point dtype and device.
    dims : sequence of int
        The axes that share a mean and a variance.
    eps : float, default 1e-5
        What was added to the variance.

    Returns
    -------
    Tensor
        Of the shape, dtype and device of ``x``.

    Raises
    ------
    TypeError
        If an argument is not a floating-point tensor, or the dtypes differ.
    ValueError
        If the shapes or the devices differ, or ``dims`` names an axis twice or one that ``x`` does
        not have.

    Notes
    -----
    Ioffe and Szegedy (2015), Batch Normalization, section 3, with the three paths through
    x, mean and variance added up.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[-1.0, 1.0]])
    >>> normalize_backward(torch.tensor([[1.0, 0.0]]), x, dims=[1], eps=3.0)
    tensor([[ 0.1875, -0.1875]])
    """
    _check_dims(x, dims)
    _check_grad_output(grad_output, x.shape, x)
    mean, var = _moments(x, tuple(dims))
    g, xhat = grad_output, _standardize(x, mean, var, eps)
    mean_g, mean_g_xhat = (t.mean(tuple(dims), keepdim=True) for t in (g, g * xhat))
    return (g - mean_g - xhat * mean_g_xhat) * torch.rsqrt(var + eps)


def _check_dims(x: Tensor, dims: Sequence[int]) -> None:
    """Require axes that a floating-point tensor has, each named once."""
    _check_float("x", x)
    allowed = range(-x.ndim, x.ndim)
    if any(d not in allowed for d in dims) or len({d % x.ndim for d in dims}) != len(dims):
        raise ValueError(
            f"`dims` must be different axes from {-x.ndim} to {x.ndim - 1}, got {tuple(dims)}"
        )


def _scale_backward(
    grad_output: Tensor, xhat: Tensor, weight: Tensor | None, axes: Sequence[int]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the gradients of ``weight * xhat + bias``, where the weight runs along ``axes``.

    Along every other axis one weight is shared, and its gradient is the sum.
    """
    if weight is None:
        return grad_output, None, None
    spread = [size if axis in axes else 1 for axis, size in enumerate(xhat.shape)]
    grad_weight, grad_bias = (
        t.sum_to_size(spread).reshape(weight.shape) for t in (grad_output * xhat, grad_output)
    )
    return grad_output * weight.reshape(spread), grad_weight, grad_bias


def batch_norm_backward(
    grad_output: Float[Tensor, "n c *spatial"],
    x: Float[Tensor, "n c *spatial"],
    weight: Float[Tensor, " c"] | None = None,
    eps: float = 1e-5,
) -> NormGradients:
    """Return the gradients of ``batch_norm`` in training mode for the input, scale and shift.

    Parameters
    ----------
    grad_output : Tensor of shape (n, c, ...)
        Gradient of the loss with respect to the output, of the dtype and device of ``x``.
    x : Tensor of shape (n, c, ...)
        Features or images; any floating-point dtype and device.
    weight : Tensor of shape (c,) or None
        The scale per channel; None where the layer has neither scale nor shift.
    eps : float, default 1e-5
        What was added to the variance; more than 0.

    Returns
    -------
    tuple
        ``(grad_x, grad_weight, grad_bias)`` of shapes (n, c, ...), (c,) and (c,); the last two are
        None without ``weight``.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of ``x``, the devices differ, or another argument
        is one that ``batch_norm`` refuses with ``training=True``.

    Notes
    -----
    :func:`normalize_backward` over the batch and all positions (Ioffe and Szegedy 2015, section 3).

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.tensor([[-1.0], [1.0]]), torch.tensor([2.0])
    >>> batch_norm_backward(torch.tensor([[1.0], [0.0]]), x, weight, eps=3.0)
    (tensor([[ 0.3750],
            [-0.3750]]), tensor([-0.5000]), tensor([1.]))
    """
    _check_call(grad_output, batch_norm, x, None, None, weight, None, True, 0.0, eps)
    dims = (0, *range(2, x.ndim))
    scaled = _scale_backward(grad_output, normalize(x, dims, eps), weight, axes=(1,))
    return normalize_backward(scaled[0], x, dims, eps), *scaled[1:]


def layer_norm_backward(
    grad_output: Float[Tensor, "*shape"],
    x: Float[Tensor, "*shape"],
    normalized_shape: int | Sequence[int],
    weight: Float[Tensor, "*normalized"] | None = None,
    eps: float = 1e-5,
) -> NormGradients:
    """Return the gradients of ``layer_norm`` for the input, the scale and the shift.

    Parameters
    ----------
    grad_output : Tensor
        Gradient of the loss with respect to the output, of the shape, dtype and device of ``x``.
    x : Tensor
        Any shape that ends in ``normalized_shape``; any floating-point dtype and device.
    normalized_shape : int or sequence of int
        The sizes of the last axes, which share a mean and a variance.
    weight : Tensor of shape ``normalized_shape`` or None
        The scale per element; None where the layer has neither scale nor shift.
    eps : float, default 1e-5
        What was added to the variance.

    Returns
    -------
    tuple
        ``(grad_x, grad_weight, grad_bias)`` of the shapes of ``x``, ``weight`` and ``weight``; the
        last two are None without ``weight``.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of ``x``, the devices differ, or another argument
        is one that ``layer_norm`` refuses.

    Notes
    -----
    :func:`normalize_backward` over the last axes (Ba, Kiros and Hinton 2016).

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.tensor([[-1.0, 1.0]]), torch.tensor([2.0, 2.0])
    >>> grad_x, grad_weight, _ = layer_norm_backward(torch.tensor([[1.0, 0.0]]), x, 2, weight, 3.0)
    >>> grad_x, grad_weight
    (tensor([[ 0.3750, -0.3750]]), tensor([-0.5000,  0.0000]))
    """
    _check_call(grad_output, layer_norm, x, normalized_shape, weight, None, eps)
    last = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    dims = tuple(range(x.ndim - last, x.ndim))
    scaled = _scale_backward(grad_output, normalize(x, dims, eps), weight, axes=dims)
    return normalize_backward(scaled[0], x, dims, eps), *scaled[1:]


def instance_norm_backward(
    grad_output: Float[Tensor, "n c *spatial"],
    x: Float[Tensor, "n c *spatial"],
    weight: Float[Tensor, " c"] | None = None,
    eps: float = 1e-5,
) -> NormGradients:
    """Return the gradients of ``instance_norm``, with the input's own statistics.

    Parameters
    ----------
    grad_output : Tensor of shape (n, c, ...)
        Gradient of the loss with respect to the output, of the dtype and device of ``x``.
    x : Tensor of shape (n, c, ...)
        Images; any floating-point dtype and device.
    weight : Tensor of shape (c,) or None
        The scale per channel; None where the layer has neither scale nor shift.
    eps : float, default 1e-5
        What was added to the variance; more than 0.

    Returns
    -------
    tuple
        ``(grad_x, grad_weight, grad_bias)`` of shapes (n, c, ...), (c,) and (c,); the last two are
        None without ``weight``.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of ``x``, the devices differ, or another argument
        is one that ``instance_norm`` refuses.

    Notes
    -----
    :func:`normalize_backward` over the positions of one channel (Ulyanov et al. 2016).

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[-1.0, 1.0]]])
    >>> instance_norm_backward(torch.tensor([[[1.0, 0.0]]]), x, eps=3.0)
    (tensor([[[ 0.1875, -0.1875]]]), None, None)
    """
    _check_call(grad_output, instance_norm, x, None, None, weight, None, True, 0.0, eps)
    dims = tuple(range(2, x.ndim))
    scaled = _scale_backward(grad_output, normalize(x, dims, eps), weight, axes=(1,))
    return normalize_backward(scaled[0], x, dims, eps), *scaled[1:]


def group_norm_backward(
    grad_output: Float[Tensor, "n c *spatial"],
    x: Float[Tensor, "n c *spatial"],
    num_groups: int,
    weight: Float[Tensor, " c"] | None = None,
    eps: float = 1e-5,
) -> NormGradients:
    """Return the gradients of ``group_norm`` for the input, the scale and the shift.

    Parameters
    ----------
    grad_output : Tensor of shape (n, c, ...)
        Gradient of the loss with respect to the output, of the dtype and device of ``x``.
    x : Tensor of shape (n, c, ...)
        Features or images; any floating-point dtype and device.
    num_groups : int
        How many groups of neighbouring channels; divides c.
    weight : Tensor of shape (c,) or None
        The scale per channel; None where the layer has neither scale nor shift.
    eps : float, default 1e-5
        What was added to the variance.

    Returns
    -------
    tuple
        ``(grad_x, grad_weight, grad_bias)`` of shapes (n, c, ...), (c,) and (c,); the last two are
        None without ``weight``.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of ``x``, the devices differ, or another argument
        is one that ``group_norm`` refuses.

    Notes
    -----
    :func:`normalize_backward` with the groups as an axis of their own (Wu and He 2018).

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[-1.0, 1.0]])
    >>> group_norm_backward(torch.tensor([[1.0, 0.0]]), x, num_groups=1, eps=3.0)
    (tensor([[ 0.1875, -0.1875]]), None, None)
    """
    _check_call(grad_output, group_norm, x, num_groups, weight, None, eps)
    grouped = x.unflatten(1, (num_groups, -1))
    dims = tuple(range(2, grouped.ndim))
    xhat = normalize(grouped, dims, eps).flatten(1, 2)
    grad_xhat, grad_weight, grad_bias = _scale_backward(grad_output, xhat, weight, axes=(1,))
    grad_x = normalize_backward(grad_xhat.reshape(grouped.shape), grouped, dims, eps)
    return grad_x.flatten(1, 2), grad_weight, grad_bias


def numeric_gradient(
    f: Callable[[Tensor], Tensor | float],
    x: Float[Tensor, "*shape"],
    grad_output: Float[Tensor, "*out"] | None = None,
    step: float = 6e-6,
) -> Float[Tensor, "*shape"]:
    """Measure the gradient of ``f`` at ``x`` by central differences, one element at a time.

    ``dL/dx[m] = sum((f(x + step * e_m) - f(x - step * e_m)) * grad_output) / (2 * step)``, where
    e_m is 1 at element m and 0 elsewhere.

    Parameters
    ----------
    f : callable
        Takes a tensor of the shape of ``x``; returns a number, or a tensor if ``grad_output`` says
        how the loss depends on it. Called twice for each element of ``x``.
    x : Tensor
        Where to differentiate; float64, since float32 leaves a central difference few digits.
        Not changed.
    grad_output : Tensor of the shape of ``f(x)``, or None
        Gradient of the loss with respect to ``f(x)``; None where f returns the loss itself.
    step : float, default 6e-6
        Half the distance between the two points; more than 0. The default is the cube root of
        float64's eps, which balances the two errors below.

    Returns
    -------
    Tensor
        Of the shape, dtype and device of ``x``. It means nothing within ``step`` of a kink.

    Raises
    ------
    TypeError
        If ``x`` is not a float64 tensor.
    ValueError
        If ``step`` is not above 0, or the shape of ``f(x)`` is not that of ``grad_output``; without
        ``grad_output``, if ``f(x)`` does not have one element.

    Notes
    -----
    The error is about step^2 / 6 times the third derivative, plus eps |f| / step.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    >>> numeric_gradient(lambda t: (t**2).sum(), x).round(decimals=6)
    tensor([2., 4., 6.], dtype=torch.float64)
    """
    _check_numeric(x, step)
    grad_x = torch.zeros(x.shape, dtype=x.dtype, device=x.device)
    with torch.no_grad():
        for index in product(*map(range, x.shape)):
            bump = torch.zeros_like(grad_x)
            bump[index] = step
            # The dtype matters where f returns a Python number: the default would round it.
            ahead, behind = (torch.as_tensor(f(t), dtype=x.dtype) for t in (x + bump, x - bump))
            change = (ahead - behind) * _upstream(grad_output, ahead)
            grad_x[index] = change.sum() / (2 * step)
    return grad_x


def _check_numeric(x: Tensor, step: float) -> None:
    """Require a float64 tensor and a positive step."""
    if not isinstance(x, Tensor) or x.dtype != torch.float64:
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"`x` must be a tensor of dtype torch.float64, got {got}")
    if not step > 0:
        raise ValueError(f"`step` must be more than 0, got {step}")


def _upstream(grad_output: Tensor | None, output: Tensor) -> Tensor | float:
    """Return the gradient of the loss with respect to an output: 1 where the output is the loss."""
    if grad_output is None and output.numel() == 1:
        return 1.0
    got = None if grad_output is None else tuple(grad_output.shape)
    if got != tuple(output.shape):
        raise ValueError(
            f"`grad_output` must have the shape of f(x), {tuple(output.shape)}, got {got}"
        )
    return grad_output


def relative_error(a: Float[Tensor, "*shape"], b: Float[Tensor, "*shape"]) -> float:
    """Return the largest relative difference between two tensors, element by element.

    ``max |a - b| / max(1e-8, |a| + |b|)``: 0 for equal tensors, at most 1.

    Parameters
    ----------
    a, b : Tensor
        Two tensors of one shape, dtype and device; any floating-point dtype.

    Returns
    -------
    float
        Between 0 and 1; 0 for empty tensors, NaN if a value is NaN.

    Raises
    ------
    TypeError
        If ``a`` or ``b`` is not a floating-point tensor, or the dtypes differ.
    ValueError
        If the shapes or the devices differ.

    Notes
    -----
    The measure of the gradient checks in Stanford's CS231n.

    Examples
    --------
    >>> import torch
    >>> relative_error(torch.tensor([1.0, 100.0]), torch.tensor([1.0, 300.0]))
    0.5
    """
    _check_float("a", a)
    _check_float("b", b)
    check_alike("b", b, "a", a)
    if a.shape != b.shape:
        raise ValueError(
            f"`a` and `b` must have the same shape, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if a.numel() == 0:
        return 0.0
    return ((a - b).abs() / (a.abs() + b.abs()).clamp(min=1e-8)).max().item()
