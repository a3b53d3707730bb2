"""Small classifiers: functions from images (n, c, h, w) to scores (n, classes)."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def brightest_column() -> Callable[[Tensor], Tensor]:
    """Score each column by the sum of its pixels: as sensitive to a shift as can be."""
    return lambda images: images.sum((1, 2))


def linear(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """Score with a dense layer; ``weight`` has shape (classes, c * h * w)."""
    return lambda images: images.flatten(1) @ weight.T


def patterns(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """Score each pattern by its best place: ``weight`` has shape (classes, c, kh, kw)."""
    return lambda images: F.conv2d(images, weight, stride=2).amax((2, 3))
