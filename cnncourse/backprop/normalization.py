"""How the gradient flows back through the normalizations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from cnncourse.backprop._upstream import check_call, check_float, check_grad_output
from cnncourse.normalization import (
    _moments,
    _standardize,
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    normalize,
)

NormGradients = tuple[
    Float[Tensor, "*shape"], Float[Tensor, "*weight"] | None, Float[Tensor, "*weight"] | None
]


def normalize_backward(
    grad_output: Float[Tensor, "*shape"],
    x: Float[Tensor, "*shape"],
    dims: Sequence[int],
    eps: float = 1e-5,
) -> Float[Tensor, "*shape"]:
    """Return the gradient of ``normalize(x, dims, eps)``, the core of every normalization.

    With ``xhat = (x - mean) / sigma``, ``sigma = sqrt(var + eps)``, g = ``grad_output`` and all
    means taken over ``dims``::

        dL/dx = (g - mean(g) - xhat * mean(g * xhat)) / sigma

    The two means are what g loses because ``mean`` and ``sigma`` depend on ``x`` themselves.

    Parameters
    ----------
    grad_output : Tensor
        Gradient of the loss with respect to xhat, of the shape, dtype and device of ``x``.
    x : Tensor
        The values that were normalized; any floating-point dtype and device.
    dims : sequence of int
        The axes that share a mean and a variance.
    eps : float, default 1e-5
        What was added to the variance.

    Returns
    -------
    Tensor
        Of the shape, dtype and device of ``x``.

    Raises
    ------
    TypeError
        If an argument is not a floating-point tensor, or the dtypes differ.
    ValueError
        If the shapes or the devices differ, or ``dims`` names an axis twice or one that ``x`` does
        not have.

    Notes
    -----
    Ioffe and Szegedy (2015), Batch Normalization, section 3, with the three paths through
    x, mean and variance added up.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[-1.0, 1.0]])
    >>> normalize_backward(torch.tensor([[1.0, 0.0]]), x, dims=[1], eps=3.0)
    tensor([[ 0.1875, -0.1875]])
    """
    _check_dims(x, dims)
    check_grad_output(grad_output, x.shape, x)
    mean, var = _moments(x, tuple(dims))
    g, xhat = grad_output, _standardize(x, mean, var, eps)
    mean_g, mean_g_xhat = (t.mean(tuple(dims), keepdim=True) for t in (g, g * xhat))
    return (g - mean_g - xhat * mean_g_xhat) * torch.rsqrt(var + eps)


def _check_dims(x: Tensor, dims: Sequence[int]) -> None:
    """Require axes that a floating-point tensor has, each named once."""
    check_float("x", x)
    allowed = range(-x.ndim, x.ndim)
    if any(d not in allowed for d in dims) or len({d % x.ndim for d in dims}) != len(dims):
        raise ValueError(
            f"`dims` must be different axes from {-x.ndim} to {x.ndim - 1}, got {tuple(dims)}"
        )


def _scale_backward(
    grad_output: Tensor, xhat: Tensor, weight: Tensor | None, axes: Sequence[int]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the gradients of ``weight * xhat + bias``, where the weight runs along ``axes``.

    Along every other axis one weight is shared, and its gradient is the sum.
    """
    if weight is None:
        return grad_output, None, None
    spread = [size if axis in axes else 1 for axis, size in enumerate(xhat.shape)]
    grad_weight, grad_bias = (
        t.sum_to_size(spread).reshape(weight.shape) for t in (grad_output * xhat, grad_output)
    )
    return grad_output * weight.reshape(spread), grad_weight, grad_bias


def batch_norm_backward(
    grad_output: Float[Tensor, "n c *spatial"],
    x: Float[Tensor, "n c *spatial"],
    weight: Float[Tensor, " c"] | None = None,
    eps: float = 1e-5,
) -> NormGradients:
    """Return the gradients of ``batch_norm`` in training mode for the input, scale and shift.

    Parameters
    ----------
    grad_output : Tensor of shape (n, c, ...)
        Gradient of the loss with respect to the output, of the dtype and device of ``x``.
    x : Tensor of shape (n, c, ...)
        Features or images; any floating-point dtype and device.
    weight : Tensor of shape (c,) or None
        The scale per channel; None where the layer has neither scale nor shift.
    eps : float, default 1e-5
        What was added to the variance; more than 0.

    Returns
    -------
    tuple
        ``(grad_x, grad_weight, grad_bias)`` of shapes (n, c, ...), (c,) and (c,); the last two are
        None without ``weight``.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of ``x``, the devices differ, or another argument
        is one that ``batch_norm`` refuses with ``training=True``.

    Notes
    -----
    :func:`normalize_backward` over the batch and all positions (Ioffe and Szegedy 2015, section 3).

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.tensor([[-1.0], [1.0]]), torch.tensor([2.0])
    >>> batch_norm_backward(torch.tensor([[1.0], [0.0]]), x, weight, eps=3.0)
    (tensor([[ 0.3750],
            [-0.3750]]), tensor([-0.5000]), tensor([1.]))
    """
    check_call(grad_output, batch_norm, x, None, None, weight, None, True, 0.0, eps)
    dims = (0, *range(2, x.ndim))
    scaled = _scale_backward(grad_output, normalize(x, dims, eps), weight, axes=(1,))
    return normalize_backward(scaled[0], x, dims, eps), *scaled[1:]


def layer_norm_backward(
    grad_output: Float[Tensor, "*shape"],
    x: Float[Tensor, "*shape"],
    normalized_shape: int | Sequence[int],
    weight: Float[Tensor, "*normalized"] | None = None,
    eps: float = 1e-5,
) -> NormGradients:
    """Return the gradients of ``layer_norm`` for the input, the scale and the shift.

    Parameters
    ----------
    grad_output : Tensor
        Gradient of the loss with respect to the output, of the shape, dtype and device of ``x``.
    x : Tensor
        Any shape that ends in ``normalized_shape``; any floating-point dtype and device.
    normalized_shape : int or sequence of int
        The sizes of the last axes, which share a mean and a variance.
    weight : Tensor of shape ``normalized_shape`` or None
        The scale per element; None where the layer has neither scale nor shift.
    eps : float, default 1e-5
        What was added to the variance.

    Returns
    -------
    tuple
        ``(grad_x, grad_weight, grad_bias)`` of the shapes of ``x``, ``weight`` and ``weight``; the
        last two are None without ``weight``.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of ``x``, the devices differ, or another argument
        is one that ``layer_norm`` refuses.

    Notes
    -----
    :func:`normalize_backward` over the last axes (Ba, Kiros and Hinton 2016).

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.tensor([[-1.0, 1.0]]), torch.tensor([2.0, 2.0])
    >>> grad_x, grad_weight, _ = layer_norm_backward(torch.tensor([[1.0, 0.0]]), x, 2, weight, 3.0)
    >>> grad_x, grad_weight
    (tensor([[ 0.3750, -0.3750]]), tensor([-0.5000,  0.0000]))
    """
    check_call(grad_output, layer_norm, x, normalized_shape, weight, None, eps)
    last = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    dims = tuple(range(x.ndim - last, x.ndim))
    scaled = _scale_backward(grad_output, normalize(x, dims, eps), weight, axes=dims)
    return normalize_backward(scaled[0], x, dims, eps), *scaled[1:]


def instance_norm_backward(
    grad_output: Float[Tensor, "n c *spatial"],
    x: Float[Tensor, "n c *spatial"],
    weight: Float[Tensor, " c"] | None = None,
    eps: float = 1e-5,
) -> NormGradients:
    """Return the gradients of ``instance_norm``, with the input's own statistics.

    Parameters
    ----------
    grad_output : Tensor of shape (n, c, ...)
        Gradient of the loss with respect to the output, of the dtype and device of ``x``.
    x : Tensor of shape (n, c, ...)
        Images; any floating-point dtype and device.
    weight : Tensor of shape (c,) or None
        The scale per channel; None where the layer has neither scale nor shift.
    eps : float, default 1e-5
        What was added to the variance; more than 0.

    Returns
    -------
    tuple
        ``(grad_x, grad_weight, grad_bias)`` of shapes (n, c, ...), (c,) and (c,); the last two are
        None without ``weight``.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of ``x``, the devices differ, or another argument
        is one that ``instance_norm`` refuses.

    Notes
    -----
    :func:`normalize_backward` over the positions of one channel (Ulyanov et al. 2016).

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[-1.0, 1.0]]])
    >>> instance_norm_backward(torch.tensor([[[1.0, 0.0]]]), x, eps=3.0)
    (tensor([[[ 0.1875, -0.1875]]]), None, None)
    """
    check_call(grad_output, instance_norm, x, None, None, weight, None, True, 0.0, eps)
    dims = tuple(range(2, x.ndim))
    scaled = _scale_backward(grad_output, normalize(x, dims, eps), weight, axes=(1,))
    return normalize_backward(scaled[0], x, dims, eps), *scaled[1:]


def group_norm_backward(
    grad_output: Float[Tensor, "n c *spatial"],
    x: Float[Tensor, "n c *spatial"],
    num_groups: int,
    weight: Float[Tensor, " c"] | None = None,
    eps: float = 1e-5,
) -> NormGradients:
    """Return the gradients of ``group_norm`` for the input, the scale and the shift.

    Parameters
    ----------
    grad_output : Tensor of shape (n, c, ...)
        Gradient of the loss with respect to the output, of the dtype and device of ``x``.
    x : Tensor of shape (n, c, ...)
        Features or images; any floating-point dtype and device.
    num_groups : int
        How many groups of neighbouring channels; divides c.
    weight : Tensor of shape (c,) or None
        The scale per channel; None where the layer has neither scale nor shift.
    eps : float, default 1e-5
        What was added to the variance.

    Returns
    -------
    tuple
        ``(grad_x, grad_weight, grad_bias)`` of shapes (n, c, ...), (c,) and (c,); the last two are
        None without ``weight``.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or the dtypes differ.
    ValueError
        If ``grad_output`` does not have the shape of ``x``, the devices differ, or another argument
        is one that ``group_norm`` refuses.

    Notes
    -----
    :func:`normalize_backward` with the groups as an axis of their own (Wu and He 2018).

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[-1.0, 1.0]])
    >>> group_norm_backward(torch.tensor([[1.0, 0.0]]), x, num_groups=1, eps=3.0)
    (tensor([[ 0.1875, -0.1875]]), None, None)
    """
    check_call(grad_output, group_norm, x, num_groups, weight, None, eps)
    grouped = x.unflatten(1, (num_groups, -1))
    dims = tuple(range(2, grouped.ndim))
    xhat = normalize(grouped, dims, eps).flatten(1, 2)
    grad_xhat, grad_weight, grad_bias = _scale_backward(grad_output, xhat, weight, axes=(1,))
    grad_x = normalize_backward(grad_xhat.reshape(grouped.shape), grouped, dims, eps)
    return grad_x.flatten(1, 2), grad_weight, grad_bias
