"""What every backward pass requires of the gradient it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cnncourse._arguments import check_alike, check_tensor


def check_grad_output(grad_output: Tensor, expected: Sequence[int], x: Tensor) -> None:
    """Require a gradient with the shape, dtype and device of the operator's output."""
    check_tensor("grad_output", grad_output, "...")
    if tuple(grad_output.shape) != tuple(expected):
        raise ValueError(
            f"`grad_output` must have the shape of the output, {tuple(expected)}, "
            f"got {tuple(grad_output.shape)}"
        )
    check_alike("grad_output", grad_output, "x", x)


def check_call(
    grad_output: Tensor, operator: Callable[..., Tensor], x: Tensor, *arguments: object
) -> None:
    """Require arguments that the operator itself accepts, and the gradient of its output.

    On the meta device an operator checks its arguments and finds the shape, and computes nothing.
    """
    given = [(value, isinstance(value, Tensor)) for value in (x, *arguments)]
    with torch.no_grad():
        output = operator(*(value.to("meta") if tensor else value for value, tensor in given))
    check_grad_output(grad_output, output.shape, x)
    for value, tensor in given:
        if tensor:
            check_alike("weight", value, "x", x)
