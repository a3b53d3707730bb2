"""Batch, layer, instance and group normalization: one function that differs by its axes.

``normalize(x, dims, eps)`` is the whole idea. The four named functions choose the axes and end with
a scale and a shift; batch and instance normalization can also remember what they saw.

Not handled: mixed precision (every tensor has the dtype of ``x``), distributed statistics.
"""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cnncourse._arguments import IMAGES, check_alike, check_integer, check_tensor


def normalize(
    x: Float[Tensor, "*shape"], dims: tuple[int, ...] | list[int], eps: float | int = 1e-5
) -> Float[Tensor, "*shape"]:
    """Shift and scale ``x`` so that over ``dims`` its mean is 0 and its variance nearly 1.

    The variance divides by the number m of values, not by m - 1. What comes out has the variance
    var / (var + eps).

    Parameters
    ----------
    dims : tuple or list of int
        The axes that share one mean and one variance.
    eps : float, default 1e-5
        0 or more: keeps the division possible where all values are equal.

    Examples
    --------
    >>> normalize(torch.tensor([[1.0, 3.0], [10.0, 30.0]]), (1,), eps=0.0)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    _check_axes(x, dims)
    mean = x.mean(dims, keepdim=True)
    var = (x - mean).square().mean(dims, keepdim=True)
    return (x - mean) / torch.sqrt(var + eps)


def batch_norm(
    x: Float[Tensor, "n c *spatial"],
    running_mean: Float[Tensor, " c"] | None,
    running_var: Float[Tensor, " c"] | None,
    weight: Float[Tensor, " c"] | None = None,
    bias: Float[Tensor, " c"] | None = None,
    training: bool = False,
    momentum: float | int = 0.1,
    eps: float | int = 1e-5,
) -> Float[Tensor, "n c *spatial"]:
    """Normalize each channel over the batch and all positions (Ioffe and Szegedy 2015).

    Parameters
    ----------
    x : Tensor of shape (n, c, ...)
        Features (n, c) or images (n, c, h, w).
    running_mean, running_var : Tensor of shape (c,), or None for both
        What was seen so far; updated in place while training, used afterwards. An empty batch
        leaves them as they are.
    training : bool, default False
        Use the statistics of ``x``, which then needs two values a channel or more.
    momentum : float, default 0.1
        The share of the new statistic in the running one, 0 to 1.
    eps : float, default 1e-5
        More than 0 while training.

    Examples
    --------
    >>> mean, var = torch.zeros(1), torch.ones(1)
    >>> batch_norm(torch.tensor([[1.0], [3.0]]), mean, var, training=True, eps=1e-12).flatten()
    tensor([-1.,  1.])
    >>> mean, var
    (tensor([0.2000]), tensor([1.1000]))
    """
    _check_batch_norm(x, running_mean, running_var, weight, bias, training, eps)
    x = x.movedim(1, -1)  # (n, ..., c): what has one number a channel now fits every pixel
    if training:
        dims = tuple(range(x.ndim - 1))  # the batch and all positions
        mean = x.mean(dims)
        var = (x - mean).square().mean(dims)
        m = x.shape[:-1].numel()
        if running_mean is not None and m > 0:
            _move_towards(running_mean, mean, momentum)
            _move_towards(running_var, var * m / (m - 1), momentum)  # unbiased, as in torch
    else:
        mean, var = running_mean, running_var
    y = (x - mean) / torch.sqrt(var + eps)
    return _scale_and_shift(y, weight, bias).movedim(-1, 1)


def instance_norm(
    x: Float[Tensor, "n c *spatial"],
    running_mean: Float[Tensor, " c"] | None = None,
    running_var: Float[Tensor, " c"] | None = None,
    weight: Float[Tensor, " c"] | None = None,
    bias: Float[Tensor, " c"] | None = None,
    use_input_stats: bool = True,
    momentum: float | int = 0.1,
    eps: float | int = 1e-5,
) -> Float[Tensor, "n c *spatial"]:
    """Normalize each channel of each image over its own positions (Ulyanov et al. 2016).

    ``use_input_stats`` is what ``training`` is in ``batch_norm``. The running statistics take the
    mean over the images of the batch.

    Examples
    --------
    >>> x = torch.tensor([1.0, 3.0, 10.0, 30.0]).reshape(2, 1, 1, 2)
    >>> instance_norm(x).flatten().round(decimals=3)
    tensor([-1.,  1., -1.,  1.])
    """
    _check_instance_norm(x, running_mean, running_var, weight, bias, use_input_stats, eps)
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    dims = tuple(range(2, x.ndim))
    if running_mean is not None and x.numel() > 0:
        _move_towards(running_mean, x.mean(dims).mean(0), momentum)
        _move_towards(running_var, x.var(dims).mean(0), momentum)  # var divides by m - 1
    return _scale_channels(normalize(x, dims, eps), weight, bias)


def layer_norm(
    x: Float[Tensor, "*shape"],
    normalized_shape: int | tuple[int, ...] | list[int],
    weight: Float[Tensor, " ..."] | None = None,
    bias: Float[Tensor, " ..."] | None = None,
    eps: float | int = 1e-5,
) -> Float[Tensor, "*shape"]:
    """Normalize each example over its last axes, alone, in training as in test (Ba et al. 2016).

    ``normalized_shape`` are the last sizes of ``x``; ``weight`` and ``bias`` have that shape.

    Examples
    --------
    >>> layer_norm(torch.tensor([[1.0, 3.0], [10.0, 30.0]]), (2,)).round(decimals=3)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    axes = _check_layer_norm(x, normalized_shape, weight, bias)
    return _scale_and_shift(normalize(x, axes, eps), weight, bias)


def group_norm(
    x: Float[Tensor, "n c *spatial"],
    num_groups: int,
    weight: Float[Tensor, " c"] | None = None,
    bias: Float[Tensor, " c"] | None = None,
    eps: float | int = 1e-5,
) -> Float[Tensor, "n c *spatial"]:
    """Normalize each example over its positions and a group of channels (Wu and He 2018).

    ``num_groups`` divides c: 1 is layer normalization over (c, h, w), c is instance normalization.

    Examples
    --------
    >>> group_norm(torch.tensor([[1.0, 3.0, 10.0, 30.0]]), 2).round(decimals=3)
    tensor([[-1.,  1., -1.,  1.]])
    """
    _check_group_norm(x, num_groups, weight, bias)
    grouped = x.unflatten(1, (num_groups, -1))  # (n, groups, c / groups, ...)
    y = normalize(grouped, tuple(range(2, grouped.ndim)), eps).flatten(1, 2)
    return _scale_channels(y, weight, bias)


class BatchNorm2d(nn.Module):
    """Batch normalization of images that learns a scale and a shift and remembers its statistics.

    Arguments and state are those of ``torch.nn.BatchNorm2d``: either loads what the other saved.

    Parameters
    ----------
    num_features : int
        c, the number of channels; 1 or more.
    momentum : float or None, default 0.1
        None: every batch counts the same, a cumulative average.
    affine : bool, default True
        Whether to learn ``weight`` and ``bias``.
    track_running_stats : bool, default True
        Without running statistics the batch's own are used at all times.

    Examples
    --------
    >>> bn = BatchNorm2d(3)
    >>> bn(torch.arange(24.0).reshape(2, 3, 2, 2)).mean((0, 2, 3)).abs().max() < 1e-6
    tensor(True)
    >>> bn.running_mean
    tensor([0.7500, 1.1500, 1.5500])
    """

    def __init__(
        self,
        num_features: int,
        eps: float | int = 1e-5,
        momentum: float | int | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        c = self.num_features = check_integer("num_features", num_features, 1)
        self.eps, self.momentum = eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", nn.Parameter(torch.ones(c)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(c)) if affine else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", torch.zeros(c) if tracked else None)
        self.register_buffer("running_var", torch.ones(c) if tracked else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if tracked else None)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalize with the batch's statistics while training, with the running ones after."""
        check_tensor("x", x, IMAGES)
        if x.shape[1] != self.num_features:
            raise ValueError(
                f"`x` must have {self.num_features} channels, got shape {tuple(x.shape)}"
            )
        use_batch = self.training or self.running_mean is None
        momentum = self._count_batch() if self.training else 0.0
        statistics = (self.running_mean, self.running_var)
        return batch_norm(x, *statistics, self.weight, self.bias, use_batch, momentum, self.eps)

    def _count_batch(self) -> float | int:
        """Count one batch and return its share in the running statistics."""
        if self.num_batches_tracked is None:
            return 0.0
        self.num_batches_tracked.add_(1)
        return self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.item()


def fold_batch_norm(conv: nn.Conv2d, bn: BatchNorm2d | nn.BatchNorm2d) -> nn.Conv2d:
    """Return the one convolution that equals ``conv`` followed by ``bn`` at test time.

    With s = gamma / sqrt(var + eps) per output channel:
    ``s * (w * x + b - mean) + beta = (s * w) * x + (s * (b - mean) + beta)``. Both layers stay as
    they are; ``bn``, ours or torch's, has running statistics.

    Examples
    --------
    >>> conv, bn = torch.nn.Conv2d(3, 8, 3), BatchNorm2d(8).eval()
    >>> x = torch.ones(1, 3, 5, 5)
    >>> torch.allclose(fold_batch_norm(conv, bn)(x), bn(conv(x)), atol=1e-6)
    True
    """
    _check_foldable(conv, bn)
    with torch.no_grad():
        gamma = torch.ones_like(bn.running_var) if bn.weight is None else bn.weight
        beta = torch.zeros_like(bn.running_mean) if bn.bias is None else bn.bias
        bias = torch.zeros_like(bn.running_mean) if conv.bias is None else conv.bias
        scale = gamma / torch.sqrt(bn.running_var + bn.eps)
        folded = copy.deepcopy(conv)
        folded.weight = nn.Parameter(scale[:, None, None, None] * conv.weight)
        folded.bias = nn.Parameter(scale * (bias - bn.running_mean) + beta)
    return folded


def _scale_and_shift(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Return weight * y + bias along the last axes, where None stands for 1 and 0."""
    y = y if weight is None else weight * y
    return y if bias is None else y + bias


def _scale_channels(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Return weight * y + bias along the channels of (n, c, ...)."""
    return _scale_and_shift(y.movedim(1, -1), weight, bias).movedim(-1, 1)


@torch.no_grad()
def _move_towards(running: Tensor, new: Tensor, momentum: float | int) -> None:
    """Let a share of the new statistic into the running one, in place."""
    running.copy_((1 - momentum) * running + momentum * new)


def _check_axes(x: Tensor, dims: tuple[int, ...] | list[int]) -> None:
    """Require axes that a floating-point tensor has, at least one, each named once."""
    check_tensor("x", x, "...")
    allowed = range(-x.ndim, x.ndim)
    known = all(axis in allowed for axis in dims)
    if not dims or not known or len({axis % x.ndim for axis in dims}) < len(dims):
        raise ValueError(
            f"`dims` must be one or more different axes from {-x.ndim} to {x.ndim - 1}, "
            f"got {tuple(dims)}"
        )


def _check_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    eps: float | int,
) -> None:
    """Check all that ``batch_norm`` is given."""
    _check_channels(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    _check_running(running_mean, running_var, "training", needed=not training)
    if training:
        _check_count(x, "channel", x.shape[0] * x.shape[2:].numel())
        _check_eps(eps)


def _check_instance_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    use_input_stats: bool,
    eps: float | int,
) -> None:
    """Check all that ``instance_norm`` is given."""
    _check_channels(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    _check_running(running_mean, running_var, "use_input_stats", needed=not use_input_stats)
    if use_input_stats:
        _check_count(x, "channel of an image", x.shape[2:].numel())
        _check_eps(eps)


def _check_layer_norm(
    x: Tensor,
    normalized_shape: int | tuple[int, ...] | list[int],
    weight: Tensor | None,
    bias: Tensor | None,
) -> tuple[int, ...]:
    """Check all that ``layer_norm`` is given; return the axes of ``normalized_shape``."""
    several = isinstance(normalized_shape, (tuple, list))
    shape = tuple(normalized_shape) if several else (normalized_shape,)
    check_tensor("x", x, "...")
    if not shape or tuple(x.shape[-len(shape) :]) != shape:
        raise ValueError(
            f"`normalized_shape` must be the last sizes of the shape {tuple(x.shape)} of `x`, "
            f"got {normalized_shape!r}"
        )
    _check_parameters(x, shape, weight=weight, bias=bias)
    return tuple(range(-len(shape), 0))


def _check_group_norm(
    x: Tensor, num_groups: int, weight: Tensor | None, bias: Tensor | None
) -> None:
    """Check all that ``group_norm`` is given."""
    _check_channels(x, weight=weight, bias=bias)
    n, c = x.shape[:2]
    if c % check_integer("num_groups", num_groups, 1):
        raise ValueError(f"`num_groups` must divide the {c} channels of `x`, got {num_groups}")
    _check_count(x, "group", n * (c // num_groups) * x.shape[2:].numel())


def _check_channels(x: Tensor, **parameters: Tensor | None) -> None:
    """Require x of shape (n, c, ...) and parameters of shape (c,)."""
    check_tensor("x", x, "n c ...")
    _check_parameters(x, tuple(x.shape[1:2]), **parameters)


def _check_parameters(x: Tensor, shape: tuple[int, ...], **parameters: Tensor | None) -> None:
    """Require that every parameter given has this shape and the dtype and device of ``x``."""
    for name, value in parameters.items():
        if value is None:
            continue
        check_tensor(name, value, "...")
        check_alike(name, value, "x", x)
        if tuple(value.shape) != shape:
            raise ValueError(f"`{name}` must have shape {shape}, got {tuple(value.shape)}")


def _check_running(mean: Tensor | None, var: Tensor | None, flag: str, needed: bool) -> None:
    """Require both running statistics or none, and both where the batch's own are not used."""
    if (mean is None) != (var is None):
        raise ValueError("`running_mean` and `running_var` must be both None or both tensors")
    if needed and mean is None:
        raise ValueError(
            f"`running_mean` and `running_var` must be tensors when `{flag}` is False, got None"
        )


def _check_count(x: Tensor, whose: str, count: int) -> None:
    """Require more than one value per mean: one value minus its own mean is always 0."""
    if count == 1:
        raise ValueError(
            f"`x` must have more than one value per {whose}, got shape {tuple(x.shape)}"
        )


def _check_eps(eps: float | int) -> None:
    """Require eps > 0, as torch does where the input's own variance may be 0."""
    if not eps > 0:
        raise ValueError(f"`eps` must be more than 0 when training, got {eps}")


def _check_foldable(conv: nn.Conv2d, bn: BatchNorm2d | nn.BatchNorm2d) -> None:
    """Require a convolution and a batch normalization that fit each other."""
    if not isinstance(conv, nn.Conv2d):
        raise TypeError(f"`conv` must be a torch.nn.Conv2d, got {type(conv).__name__}")
    if not isinstance(bn, (BatchNorm2d, nn.BatchNorm2d)):
        raise TypeError(f"`bn` must be a BatchNorm2d, got {type(bn).__name__}")
    if bn.running_mean is None:
        raise ValueError("`bn` must have running statistics, got track_running_stats=False")
    if bn.num_features != conv.out_channels:
        raise ValueError(
            f"`bn` must have the {conv.out_channels} channels that `conv` puts out, "
            f"got {bn.num_features}"
        )
    check_alike("bn.running_var", bn.running_var, "conv.weight", conv.weight)
