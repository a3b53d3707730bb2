"""The gradient measured instead of derived, and how far two gradients are apart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import check_alike
from cnncourse.backprop._upstream import check_float


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
    check_float("a", a)
    check_float("b", b)
    check_alike("b", b, "a", a)
    if a.shape != b.shape:
        raise ValueError(
            f"`a` and `b` must have the same shape, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if a.numel() == 0:
        return 0.0
    return ((a - b).abs() / (a.abs() + b.abs()).clamp(min=1e-8)).max().item()
