"""The gradient measured instead of derived, and how far two gradients are apart."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import check_alike, check_tensor


@torch.no_grad()
def numeric_gradient(
    f: Callable[[Tensor], Tensor | float],
    x: Float[Tensor, "*shape"],
    grad_output: Float[Tensor, " ..."] | None = None,
    step: float = 6e-6,
) -> Float[Tensor, "*shape"]:
    """Measure the gradient of ``f`` at ``x`` by central differences, one element m at a time.

    ``dL/dx[m] = sum((f(x + step * e_m) - f(x - step * e_m)) * grad_output) / (2 * step)``, where
    e_m is 1 at element m and 0 elsewhere. The error is about step^2 / 6 times the third derivative,
    plus eps |f| / step; the default step, the cube root of eps, balances the two. Within ``step``
    of a kink the result means nothing.

    Parameters
    ----------
    f : callable
        From a tensor like ``x`` to the loss, or to a tensor if ``grad_output`` says how the loss
        depends on it. Called twice for each element.
    x : Tensor
        float64, since float32 leaves a difference few digits.

    Examples
    --------
    >>> x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    >>> numeric_gradient(lambda t: (t**2).sum(), x).round(decimals=6)
    tensor([2., 4., 6.], dtype=torch.float64)
    """
    _check_numeric(x, step)
    grad_x = x.new_zeros(x.shape)
    for m in range(x.numel()):
        bump = x.new_zeros(x.shape)
        bump.view(-1)[m] = step
        # The dtype matters where f returns a Python number: the default would round it.
        ahead, behind = (torch.as_tensor(f(t), dtype=x.dtype) for t in (x + bump, x - bump))
        change = (ahead - behind) * _upstream(grad_output, ahead)
        grad_x.view(-1)[m] = change.sum() / (2 * step)
    return grad_x


def relative_error(a: Float[Tensor, "*shape"], b: Float[Tensor, "*shape"]) -> float:
    """Return the largest relative difference between two tensors, as Stanford's CS231n measures it.

    ``max |a - b| / max(1e-8, |a| + |b|)``: from 0, for equal or empty tensors, to 1.

    Examples
    --------
    >>> relative_error(torch.tensor([1.0, 100.0]), torch.tensor([1.0, 300.0]))
    0.5
    """
    _check_same_kind(a, b)
    if a.numel() == 0:
        return 0.0
    return ((a - b).abs() / (a.abs() + b.abs()).clamp(min=1e-8)).max().item()


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


def _check_numeric(x: Tensor, step: float) -> None:
    """Require a float64 tensor and a positive step."""
    if not isinstance(x, Tensor) or x.dtype != torch.float64:
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"`x` must be a tensor of dtype torch.float64, got {got}")
    if not step > 0:
        raise ValueError(f"`step` must be more than 0, got {step}")


def _check_same_kind(a: Tensor, b: Tensor) -> None:
    """Require two float tensors of one shape, dtype and device."""
    check_tensor("a", a, "...")
    check_tensor("b", b, "...")
    check_alike("b", b, "a", a)
    if a.shape != b.shape:
        raise ValueError(
            f"`a` and `b` must have the same shape, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
