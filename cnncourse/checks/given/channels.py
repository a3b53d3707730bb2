"""A convolutional layer whose channels are one group."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def one_group() -> Callable[[Tensor, Tensor], Tensor]:
    """Return layer(x, weight): stride 1, no padding, no bias, and every kernel sees every channel.

    An exercise asks for groups: this is no answer to it. It calls no convolution of torch, which
    the exercise forbids.
    """
    return _layer


def _layer(x: Tensor, weight: Tensor) -> Tensor:
    c, (_, slices, kh, kw) = x.shape[1], weight.shape
    if slices != c:
        raise ValueError(f"`weight` has {slices} input channels, and `x` has {c}")
    windows = x.unfold(2, kh, 1).unfold(3, kw, 1)
    return torch.einsum("nchwab,ocab->nohw", windows, weight)
