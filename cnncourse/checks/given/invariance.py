"""Functions that move or change pictures, given to an answer: pictures in, pictures out."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def filter_with(kernel: Tensor, mode: str) -> nn.Module:
    """Return a layer with one kernel; ``mode`` says how it fills the border."""
    layer = nn.Conv2d(
        *(1, 1, tuple(kernel.shape)),
        padding=tuple(side // 2 for side in kernel.shape),
        padding_mode=mode,
        bias=False,
        dtype=kernel.dtype,
    )
    layer.weight.data = kernel[None, None]
    return layer.requires_grad_(False)


def brighten_by_row(step: float) -> Callable[[Tensor], Tensor]:
    """Return a function that multiplies row i by 1 + i * step."""

    def brighten(x: Tensor) -> Tensor:
        rows = x.new_ones(x.shape[-2]).cumsum(0) - 1
        return x * (1 + step * rows)[:, None]

    return brighten


def clip_negative() -> Callable[[Tensor], Tensor]:
    """Return a function that sets what is negative to 0."""
    return F.relu


def filter_and_read(kernel: Tensor, mode: str, end: str) -> Callable[[Tensor], Tensor]:
    """Return a function: `filter_with`, then each map's ``end``, its "mean" or its "largest"."""
    layer = filter_with(kernel, mode)

    def read(x: Tensor) -> Tensor:
        y = layer(x)
        return y.mean(dim=(-2, -1)) if end == "mean" else y.amax(dim=(-2, -1))

    return read


def weigh_pixels(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a dense layer without bias: each row of ``weight`` weighs all numbers of a picture."""

    def weigh(x: Tensor) -> Tensor:
        return x.flatten(1) @ weight.T

    return weigh
