"""The one helper that holds an operator against torch: value and gradient of every input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# float64 carries 16 digits and float32 carries 7; a sum of up to a few thousand products loses
# about three of them, and a gradient runs through one more such sum.
FORWARD = {torch.float64: 1e-12, torch.float32: 1e-4}
BACKWARD = {torch.float64: 1e-10, torch.float32: 1e-3}


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Return ||actual - expected|| / ||expected||, or the plain norm where the latter is zero."""
    assert actual.shape == expected.shape, f"{tuple(actual.shape)} != {tuple(expected.shape)}"
    assert actual.dtype == expected.dtype, f"{actual.dtype} != {expected.dtype}"
    difference = (actual - expected).detach().double().norm().item()
    scale = expected.detach().double().norm().item()
    return difference / scale if scale > 0 else difference


def random_tensor(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Draw a standard normal tensor from its own generator, ready for autograd."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=dtype, generator=generator).requires_grad_()


def assert_same_as_torch(
    ours: Callable[..., Tensor], theirs: Callable[..., Tensor], *inputs: Tensor
) -> None:
    """Compare ``ours(*inputs)`` with ``theirs(*inputs)``: shape, dtype, value, every gradient."""
    actual, expected = ours(*inputs), theirs(*inputs)
    dtype = expected.dtype
    assert relative_error(actual, expected) <= FORWARD[dtype]
    # A seed that no input has: an upstream gradient equal to an input would hide a mixed-up pair.
    generator = torch.Generator().manual_seed(2**31 - 1)
    upstream = torch.randn(expected.shape, dtype=dtype, generator=generator)
    wanted = [x for x in inputs if x.requires_grad]
    ours_grads = torch.autograd.grad(actual, wanted, upstream, retain_graph=True)
    their_grads = torch.autograd.grad(expected, wanted, upstream)
    for ours_grad, their_grad in zip(ours_grads, their_grads, strict=True):
        assert relative_error(ours_grad, their_grad) <= BACKWARD[dtype]
