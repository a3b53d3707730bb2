"""How the gradient flows back through max and average pooling."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import IntOrPair
from cnncourse.backprop._upstream import check_grad_output
from cnncourse.pooling import avg_divisor, pool_window, winners


def max_pool2d_backward(
    grad_output: Float[Tensor, "n c out_h out_w"],
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Float[Tensor, "n c h w"]:
    """Return the gradient of ``max_pool2d``: all of it goes to the pixel that won the window.

    A pixel that won several windows gets the sum. ``y = max(a, b)`` has dy/da = 1 where a > b and 0
    where a < b; at a tie any value between is a subgradient, and the rule of the forward pass,
    :func:`cnncourse.pooling.takes_over`, chooses one.

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 5.0, 5.0, 0.0], [2.0, 3.0, 4.0, 1.0]]]])
    >>> max_pool2d_backward(torch.tensor([[[[10.0, 20.0, 40.0]]]]), x, 2, stride=1)
    tensor([[[[ 0., 30., 40.,  0.],
              [ 0.,  0.,  0.,  0.]]]])
    """
    window = pool_window(x, kernel_size, stride, padding, dilation, ceil_mode)
    winner = winners(x, window)
    check_grad_output(grad_output, winner.shape, x)
    grad_padded = torch.zeros_like(window.pad(x))
    grads = grad_padded.flatten(2).scatter_add(2, winner.flatten(2), grad_output.flatten(2))
    return window.crop(grads.view(grad_padded.shape))


def avg_pool2d_backward(
    grad_output: Float[Tensor, "n c out_h out_w"],
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Float[Tensor, "n c h w"]:
    """Return the gradient of ``avg_pool2d``: every pixel of a window gets the same share.

    ``dL/dx[m] = sum over the windows that hold m of grad_output / divisor``; of x only the shape
    matters, since the average is linear.

    Examples
    --------
    >>> x = torch.zeros(1, 1, 2, 3)
    >>> avg_pool2d_backward(torch.tensor([[[[4.0, 8.0]]]]), x, 2, stride=1)
    tensor([[[[1., 3., 2.],
              [1., 3., 2.]]]])
    """
    window, size = pool_window(x, kernel_size, stride, padding, 1, ceil_mode), x.shape[2:]
    check_grad_output(grad_output, (*x.shape[:2], *window.out(size)), x)
    share = grad_output / avg_divisor(x, window, count_include_pad, divisor_override)
    grad_padded = torch.zeros_like(window.pad(x))
    for rows, columns in window.places(size):
        grad_padded[:, :, rows, columns] += share
    return window.crop(grad_padded)
