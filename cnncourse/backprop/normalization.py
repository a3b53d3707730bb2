"""How the gradient flows back through the normalizations: one function, and four choices of axes.

``normalize_backward`` is the derivation. The four named functions undo the scale and the shift and
hand it their axes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cnncourse.backprop._upstream import check_call
from cnncourse.normalization import batch_norm, group_norm, instance_norm, layer_norm, normalize

Scale = Float[Tensor, " ..."] | None  # without a weight there is no gradient for it
NormGradients = tuple[Float[Tensor, " ..."], Scale, Scale]


def normalize_backward(
    grad_output: Float[Tensor, "*shape"],
    x: Float[Tensor, "*shape"],
    dims: tuple[int, ...] | list[int],
    eps: float | int = 1e-5,
) -> Float[Tensor, "*shape"]:
    """Return the gradient of ``normalize(x, dims, eps)``, the core of every normalization.

    ``xhat = (x - mean) / sigma`` with ``sigma = sqrt(var + eps)`` depends on x in three ways:
    directly, through the mean (``d mean / dx = 1 / m``, ``d xhat / d mean = -1 / sigma``), and
    through sigma (``d sigma / dx = xhat / m``, ``d xhat / d sigma = -xhat / sigma``). The mean and
    sigma serve all m values, so their gradients are sums over ``dims``; with the 1 / m, means.

    Examples
    --------
    >>> x = torch.tensor([[-1.0, 1.0]])
    >>> normalize_backward(torch.tensor([[1.0, 0.0]]), x, dims=[1], eps=3.0)
    tensor([[ 0.1875, -0.1875]])
    """
    check_call(grad_output, normalize, x, dims, eps)
    mean = x.mean(dims, keepdim=True)
    sigma = torch.sqrt((x - mean).square().mean(dims, keepdim=True) + eps)
    xhat = (x - mean) / sigma
    direct = grad_output
    through_mean = -grad_output.mean(dims, keepdim=True)
    through_sigma = -xhat * (grad_output * xhat).mean(dims, keepdim=True)
    return (direct + through_mean + through_sigma) / sigma


def batch_norm_backward(
    grad_output: Float[Tensor, "n c *spatial"],
    x: Float[Tensor, "n c *spatial"],
    weight: Float[Tensor, " c"] | None = None,
    eps: float | int = 1e-5,
) -> NormGradients:
    """Return the gradients of ``batch_norm`` in training: of ``x``, of the scale, of the shift.

    Without ``weight`` the last two are None, here and in the three functions below.

    Examples
    --------
    >>> x, weight = torch.tensor([[-1.0], [1.0]]), torch.tensor([2.0])
    >>> batch_norm_backward(torch.tensor([[1.0], [0.0]]), x, weight, eps=3.0)
    (tensor([[ 0.3750],
            [-0.3750]]), tensor([-0.5000]), tensor([1.]))
    """
    check_call(grad_output, batch_norm, x, None, None, weight, None, True, 0.0, eps)
    dims = (0, *range(2, x.ndim))
    grad_xhat, *others = _channels_backward(grad_output, normalize(x, dims, eps), weight)
    return normalize_backward(grad_xhat, x, dims, eps), *others


def instance_norm_backward(
    grad_output: Float[Tensor, "n c *spatial"],
    x: Float[Tensor, "n c *spatial"],
    weight: Float[Tensor, " c"] | None = None,
    eps: float | int = 1e-5,
) -> NormGradients:
    """Return the gradients of ``instance_norm`` with the statistics of ``x``.

    Examples
    --------
    >>> x = torch.tensor([[[-1.0, 1.0]]])
    >>> instance_norm_backward(torch.tensor([[[1.0, 0.0]]]), x, eps=3.0)
    (tensor([[[ 0.1875, -0.1875]]]), None, None)
    """
    check_call(grad_output, instance_norm, x, None, None, weight, None, True, 0.0, eps)
    dims = tuple(range(2, x.ndim))
    grad_xhat, *others = _channels_backward(grad_output, normalize(x, dims, eps), weight)
    return normalize_backward(grad_xhat, x, dims, eps), *others


def layer_norm_backward(
    grad_output: Float[Tensor, "*shape"],
    x: Float[Tensor, "*shape"],
    normalized_shape: int | tuple[int, ...] | list[int],
    weight: Float[Tensor, " ..."] | None = None,
    eps: float | int = 1e-5,
) -> NormGradients:
    """Return the gradients of ``layer_norm``.

    Examples
    --------
    >>> x, weight = torch.tensor([[-1.0, 1.0]]), torch.tensor([2.0, 2.0])
    >>> grad_x, grad_weight, _ = layer_norm_backward(torch.tensor([[1.0, 0.0]]), x, 2, weight, 3.0)
    >>> grad_x, grad_weight
    (tensor([[ 0.3750, -0.3750]]), tensor([-0.5000,  0.0000]))
    """
    check_call(grad_output, layer_norm, x, normalized_shape, weight, None, eps)
    axes = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    dims = tuple(range(-axes, 0))
    grad_xhat, *others = _scale_and_shift_backward(grad_output, normalize(x, dims, eps), weight)
    return normalize_backward(grad_xhat, x, dims, eps), *others


def group_norm_backward(
    grad_output: Float[Tensor, "n c *spatial"],
    x: Float[Tensor, "n c *spatial"],
    num_groups: int,
    weight: Float[Tensor, " c"] | None = None,
    eps: float | int = 1e-5,
) -> NormGradients:
    """Return the gradients of ``group_norm``.

    Examples
    --------
    >>> x = torch.tensor([[-1.0, 1.0]])
    >>> group_norm_backward(torch.tensor([[1.0, 0.0]]), x, num_groups=1, eps=3.0)
    (tensor([[ 0.1875, -0.1875]]), None, None)
    """
    check_call(grad_output, group_norm, x, num_groups, weight, None, eps)
    grouped = x.unflatten(1, (num_groups, -1))  # (n, groups, c / groups, ...)
    dims = tuple(range(2, grouped.ndim))
    xhat = normalize(grouped, dims, eps).flatten(1, 2)
    grad_xhat, *others = _channels_backward(grad_output, xhat, weight)
    grad_x = normalize_backward(grad_xhat.unflatten(1, (num_groups, -1)), grouped, dims, eps)
    return grad_x.flatten(1, 2), *others


def _scale_and_shift_backward(
    grad_output: Tensor, xhat: Tensor, weight: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the gradients of ``weight * xhat + bias``, the weight along the last axes.

    Along all other axes one weight is shared, and its gradient is the sum.
    """
    if weight is None:
        return grad_output, None, None
    grad_weight = (grad_output * xhat).sum_to_size(weight.shape)
    grad_bias = grad_output.sum_to_size(weight.shape)
    return grad_output * weight, grad_weight, grad_bias


def _channels_backward(
    grad_output: Tensor, xhat: Tensor, weight: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the gradients of ``weight * xhat + bias``, the weight along the channels."""
    grad_output, xhat = grad_output.movedim(1, -1), xhat.movedim(1, -1)
    grad_xhat, *others = _scale_and_shift_backward(grad_output, xhat, weight)
    return grad_xhat.movedim(-1, 1), *others
