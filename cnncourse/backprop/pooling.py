"""How the gradient flows back through max and average pooling."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cnncourse import pooling
from cnncourse._arguments import IntOrPair, pair
from cnncourse.backprop._upstream import check_grad_output
from cnncourse.backprop.convolution import Windows, lay_windows


def _pool_windows(
    grad_output: Tensor,
    x: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: IntOrPair,
    dilation: IntOrPair,
    ceil_mode: bool,
) -> Windows:
    """Check the arguments of a pooling's backward pass and say where its windows lie."""
    layer = (kernel_size, stride, padding, dilation, ceil_mode)
    padded, *geometry = pooling._prepare(x, *layer, fill=0.0)
    windows = lay_windows(x, padded, pair("padding", padding, 0), *geometry)
    check_grad_output(grad_output, (*x.shape[:2], *windows.out), x)
    return windows


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


def _winning_place(x: Tensor, windows: Windows) -> Tensor:
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
