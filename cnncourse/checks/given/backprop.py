"""Functions whose gradient is measured, and layers with a way back that may have a fault."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def weighted_sum(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """Return f(x) = sum of weights * x."""
    return lambda x: (weights * x).sum()


def weighted_squares(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """Return f(x) = sum of weights * x**2."""
    return lambda x: (weights * x**2).sum()


def weighted_cubes(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """Return f(x) = sum of weights * x**3."""
    return lambda x: (weights * x**3).sum()


def neighbours(weight: float) -> Callable[[Tensor], Tensor]:
    """Return f(x) = weight * (x0**2 * x1 + x1**2 * x2 + ...), over x row by row."""

    def f(x: Tensor) -> Tensor:
        row = x.flatten()
        return weight * (row[:-1] ** 2 * row[1:]).sum()

    return f


def layer(kernel: Tensor, stride: int, padding: int) -> Callable[[Tensor], Tensor]:
    """Return the function that cross-correlates a picture (h, w) with a kernel."""

    def forward(x: Tensor) -> Tensor:
        padded = F.pad(x, [padding] * 4)
        kh, kw = kernel.shape
        return (padded.unfold(0, kh, stride).unfold(1, kw, stride) * kernel).sum((2, 3))

    return forward


def way_back(
    kernel: Tensor, stride: int, padding: int, size: tuple[int, int], fault: str
) -> Callable[[Tensor], Tensor]:
    """Return a function from delta to the gradient of a picture; ``fault`` may be "nothing"."""
    kernel = KERNEL_FAULTS.get(fault, lambda k: k)(kernel)
    matrix = _matrix(layer(kernel, stride, padding), size)
    matrix = MATRIX_FAULTS.get(fault, lambda m: m)(matrix)

    def backward(delta: Tensor) -> Tensor:
        grad_x = (delta.reshape(-1) @ matrix).reshape(size)
        return RESULT_FAULTS.get(fault, lambda g: g)(grad_x)

    return backward


def _matrix(forward: Callable[[Tensor], Tensor], size: tuple[int, int]) -> Tensor:
    """Write a linear function of a picture as a matrix, one column a pixel."""
    pixels = torch.eye(size[0] * size[1], dtype=torch.float64)
    return torch.stack([forward(pixel.reshape(size)).reshape(-1) for pixel in pixels], 1)


def _nudged(kernel: Tensor) -> Tensor:
    """Change the first weight by a hundredth."""
    kernel = kernel.clone()
    kernel[0, 0] += 0.01
    return kernel


def _last_alone(matrix: Tensor) -> Tensor:
    """Keep, of the outputs that read a pixel, the last one."""
    later = matrix.ne(0).flip(0).cumsum(0).flip(0) - matrix.ne(0).long()
    return matrix * (later == 0)


def _without_last_row(matrix: Tensor) -> Tensor:
    """Forget the last output."""
    return torch.cat([matrix[:-1], torch.zeros_like(matrix[-1:])])


KERNEL_FAULTS = {"turned": lambda kernel: kernel.flip(0, 1), "one weight": _nudged}
MATRIX_FAULTS = {"overwritten": _last_alone, "last output": _without_last_row}
RESULT_FAULTS = {
    "moved": lambda grad_x: grad_x.roll(1, 1),
    "halved": lambda grad_x: grad_x / 2,
    "frame": lambda grad_x: F.pad(grad_x, [1] * 4),
}
