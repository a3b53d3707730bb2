"""Poolings to be measured: functions from images (n, c, h, w) to smaller ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def largest(kernel_size: int, stride: int) -> Callable[[Tensor], Tensor]:
    """Return torch's max-pooling."""
    return partial(F.max_pool2d, kernel_size=kernel_size, stride=stride)


def mean(kernel_size: int, stride: int) -> Callable[[Tensor], Tensor]:
    """Return torch's average pooling."""
    return partial(F.avg_pool2d, kernel_size=kernel_size, stride=stride)


def every_second() -> Callable[[Tensor], Tensor]:
    """Return a function that skips every other row and column."""
    return lambda x: x[..., ::2, ::2]
