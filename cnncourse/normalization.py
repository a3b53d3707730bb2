"""Batch, layer, instance and group normalization: one function that differs by its axes.

``normalize(x, dims, eps)`` is the whole idea. The four named functions choose the axes, batch and
instance normalization can remember what they saw, and each ends with a scale and a shift.

Not handled: mixed precision (every tensor has the dtype of ``x``), distributed statistics.
"""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cnncourse._arguments import IMAGES, check_alike, check_integer, check_tensor


def normalize(
    x: Float[Tensor, "*shape"], dims: tuple[int, ...], eps: float | int = 1e-5
) -> Float[Tensor, "*shape"]:
    """Shift and scale ``x`` so that over ``dims`` its mean is 0 and its variance nearly 1.

    Parameters
    ----------
    x : Tensor of any shape
        A floating-point dtype.
    dims : tuple of int
        The axes that share one mean and one variance.
    eps : float, default 1e-5
        Added to the variance; 0 or more.

    Returns
    -------
    Tensor of the shape of ``x``
        Its variance over ``dims`` is var / (var + eps).

    Notes
    -----
    y = (x - mean) / sqrt(var + eps), where the variance divides by the count m and not by m - 1
    (Ioffe and Szegedy 2015, algorithm 1).

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[1.0, 3.0], [10.0, 30.0]])
    >>> normalize(x, (1,), eps=0.0)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    mean, var = _moments(x, dims)
    return _standardize(x, mean, var, eps)


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
    """Normalize each channel over the batch and all positions, or with the running statistics.

    Parameters
    ----------
    x : Tensor of shape (n, c, ...)
        Features (n, c) or images (n, c, h, w); all axes after c are positions.
    running_mean, running_var : Tensor of shape (c,), or None for both
        With ``training=True`` they are updated in place:
        running = (1 - momentum) * running + momentum * batch statistic.
    weight, bias : Tensor of shape (c,), optional
        Scale and shift per channel.
    training : bool, default False
        True: use the statistics of ``x``. False: use the running ones.
    momentum : float, default 0.1
        How much of the new statistic enters the running one, 0 to 1.
    eps : float, default 1e-5
        Added to the variance; more than 0 when training.

    Returns
    -------
    Tensor of the shape of ``x``
        In its dtype and on its device.

    Raises
    ------
    TypeError
        A tensor is not floating-point or differs in dtype from ``x``.
    ValueError
        A per-channel tensor is not of shape (c,); only one running statistic is given, or none
        with ``training=False``; ``training=True`` with a single value per channel.

    Notes
    -----
    The batch is normalized with the variance that divides by m, but the running variance receives
    the unbiased one, m / (m - 1) times larger, as in torch (Ioffe and Szegedy 2015, algorithm 2).
    An empty batch has no statistics, so it leaves the running ones alone.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> mean, var = torch.zeros(1), torch.ones(1)
    >>> batch_norm(x, mean, var, training=True, eps=1e-12).flatten()
    tensor([-1.,  1.])
    >>> mean, var
    (tensor([0.2000]), tensor([1.1000]))
    """
    _check_channels(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    _check_running(running_mean, running_var, "training", needed=not training)
    if not training:
        y = _standardize(x, _per_channel(running_mean, x), _per_channel(running_var, x), eps)
        return _scale_and_shift(y, _per_channel(weight, x), _per_channel(bias, x))
    _check_count(x, "channel", _positions(x) * x.shape[0])
    _check_eps(eps)
    dims = (0, *range(2, x.ndim))
    if running_mean is not None and x.numel() > 0:
        _update(running_mean, running_var, x, dims, momentum)
    return _scale_and_shift(normalize(x, dims, eps), _per_channel(weight, x), _per_channel(bias, x))


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
    """Normalize each channel of each image over its own positions.

    Parameters
    ----------
    x : Tensor of shape (n, c, ...)
        Images (n, c, h, w), or any shape with more than one position.
    running_mean, running_var : Tensor of shape (c,), or None for both
        With ``use_input_stats=True`` they are updated in place with the statistics of the images,
        averaged over the batch.
    weight, bias : Tensor of shape (c,), optional
        Scale and shift per channel.
    use_input_stats : bool, default True
        True: use the statistics of each image. False: use the running ones.
    momentum : float, default 0.1
        How much of the new statistic enters the running one, 0 to 1.
    eps : float, default 1e-5
        Added to the variance; more than 0 when the input's statistics are used.

    Returns
    -------
    Tensor of the shape of ``x``
        In its dtype and on its device.

    Raises
    ------
    TypeError
        A tensor is not floating-point or differs in dtype from ``x``.
    ValueError
        A per-channel tensor is not of shape (c,); only one running statistic is given, or none
        with ``use_input_stats=False``; ``use_input_stats=True`` with a single position.

    Notes
    -----
    The mean and variance of batch normalization, taken over (h, w) only (Ulyanov et al. 2016).

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([1.0, 3.0, 10.0, 30.0]).reshape(2, 1, 1, 2)
    >>> instance_norm(x).flatten().round(decimals=3)
    tensor([-1.,  1., -1.,  1.])
    """
    if not use_input_stats:
        _check_running(running_mean, running_var, "use_input_stats", needed=True)
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    _check_channels(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    _check_running(running_mean, running_var, "use_input_stats", needed=False)
    _check_count(x, "channel of an image", _positions(x))
    _check_eps(eps)
    dims = tuple(range(2, x.ndim))
    if running_mean is not None and x.numel() > 0:
        _update(running_mean, running_var, x, dims, momentum)
    return _scale_and_shift(normalize(x, dims, eps), _per_channel(weight, x), _per_channel(bias, x))


def layer_norm(
    x: Float[Tensor, "*shape"],
    normalized_shape: int | tuple[int, ...] | list[int],
    weight: Float[Tensor, "*normalized"] | None = None,
    bias: Float[Tensor, "*normalized"] | None = None,
    eps: float | int = 1e-5,
) -> Float[Tensor, "*shape"]:
    """Normalize each example over its last axes, alone.

    Parameters
    ----------
    x : Tensor
        Any shape that ends in ``normalized_shape``.
    normalized_shape : int or tuple of int
        The sizes of the axes that share one mean and one variance.
    weight, bias : Tensor of shape ``normalized_shape``, optional
        Scale and shift per element.
    eps : float, default 1e-5
        Added to the variance; 0 or more.

    Returns
    -------
    Tensor of the shape of ``x``
        In its dtype and on its device.

    Raises
    ------
    TypeError
        A tensor is not floating-point or differs in dtype from ``x``.
    ValueError
        ``normalized_shape`` is empty or not the end of the shape of ``x``; ``weight`` or ``bias``
        has another shape.

    Notes
    -----
    No value of another example enters, so training and test do the same (Ba et al. 2016).

    Examples
    --------
    >>> import torch
    >>> layer_norm(torch.tensor([[1.0, 3.0], [10.0, 30.0]]), (2,)).round(decimals=3)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    check_tensor("x", x, _letters(x, at_least=1))
    if not shape or tuple(x.shape[-len(shape) :]) != shape:
        raise ValueError(
            f"`normalized_shape` must be the last sizes of the shape {tuple(x.shape)} of `x`, "
            f"got {normalized_shape!r}"
        )
    _check_parameters(x, shape, weight=weight, bias=bias)
    return _scale_and_shift(normalize(x, tuple(range(-len(shape), 0)), eps), weight, bias)


def group_norm(
    x: Float[Tensor, "n c *spatial"],
    num_groups: int,
    weight: Float[Tensor, " c"] | None = None,
    bias: Float[Tensor, " c"] | None = None,
    eps: float | int = 1e-5,
) -> Float[Tensor, "n c *spatial"]:
    """Normalize each example over its positions and the channels of one group.

    Parameters
    ----------
    x : Tensor of shape (n, c, ...)
        Features (n, c) or images (n, c, h, w); all axes after c are positions.
    num_groups : int
        How many groups of neighbouring channels; divides c. 1 is layer normalization over
        (c, h, w), c is instance normalization.
    weight, bias : Tensor of shape (c,), optional
        Scale and shift per channel.
    eps : float, default 1e-5
        Added to the variance; 0 or more.

    Returns
    -------
    Tensor of the shape of ``x``
        In its dtype and on its device.

    Raises
    ------
    TypeError
        A tensor is not floating-point or differs in dtype from ``x``.
    ValueError
        ``num_groups`` is below 1 or does not divide c; a per-channel tensor is not of shape (c,);
        one example with a single value per group.

    Notes
    -----
    The groups become an axis of their own: (n, c, h, w) -> (n, groups, c / groups, h, w), and the
    mean and variance run over the last three (Wu and He 2018).

    Examples
    --------
    >>> import torch
    >>> group_norm(torch.tensor([[1.0, 3.0, 10.0, 30.0]]), 2).round(decimals=3)
    tensor([[-1.,  1., -1.,  1.]])
    """
    _check_channels(x, weight=weight, bias=bias)
    n, c = x.shape[:2]
    if c % check_integer("num_groups", num_groups, 1):
        raise ValueError(f"`num_groups` must divide the {c} channels of `x`, got {num_groups}")
    _check_count(x, "group", n * (c // num_groups) * _positions(x))
    grouped = x.unflatten(1, (num_groups, c // num_groups))
    y = normalize(grouped, tuple(range(2, grouped.ndim)), eps).flatten(1, 2)
    return _scale_and_shift(y, _per_channel(weight, x), _per_channel(bias, x))


class BatchNorm2d(nn.Module):
    """Batch normalization of images that learns a scale and a shift and remembers its statistics.

    The arguments below and the state dictionary are those of ``torch.nn.BatchNorm2d``, so either
    loads what the other saved.

    Parameters
    ----------
    num_features : int
        c, the number of channels; 1 or more.
    eps : float, default 1e-5
        Added to the variance; more than 0.
    momentum : float or None, default 0.1
        How much of a batch enters the running statistics, 0 to 1. None: every batch counts the
        same, a cumulative average.
    affine : bool, default True
        Whether to learn ``weight`` and ``bias``.
    track_running_stats : bool, default True
        Whether to keep running statistics. Without them the batch's own are used at all times.

    Raises
    ------
    TypeError, ValueError
        ``num_features`` is no integer, or below 1.

    Examples
    --------
    >>> import torch
    >>> bn = BatchNorm2d(3)
    >>> x = torch.arange(24.0).reshape(2, 3, 2, 2)
    >>> bn(x).mean((0, 2, 3)).abs().max() < 1e-6
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
        """Normalize with the batch's statistics while training, with the running ones after.

        Parameters
        ----------
        x : Tensor of shape (n, c, h, w)
            Images, c = ``num_features``.

        Returns
        -------
        Tensor of the shape of ``x``
        In its dtype and on its device.

        Raises
        ------
        TypeError, ValueError
            As ``batch_norm``, and where ``x`` is not four-dimensional or has not c channels.
        """
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

    Parameters
    ----------
    conv : torch.nn.Conv2d
        The convolution; left as it is.
    bn : BatchNorm2d or torch.nn.BatchNorm2d
        The batch normalization behind it, ours or torch's, with running statistics; left as it is.

    Returns
    -------
    torch.nn.Conv2d
        A new layer with a bias, in the dtype and on the device of ``conv``.

    Raises
    ------
    TypeError
        ``conv`` or ``bn`` is no such layer, or their dtypes differ.
    ValueError
        ``bn`` has no running statistics, or not as many channels as ``conv`` puts out.

    Notes
    -----
    With s = gamma / sqrt(var + eps) per output channel:
    s (w * x + b - mean) + beta = (s w) * x + (s (b - mean) + beta).

    Examples
    --------
    >>> import torch
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


def _moments(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return mean and variance over ``dims``, kept as axes of size 1."""
    mean = x.mean(dims, keepdim=True)
    return mean, (x - mean).square().mean(dims, keepdim=True)


def _standardize(x: Tensor, mean: Tensor, var: Tensor, eps: float | int) -> Tensor:
    """Return (x - mean) / sqrt(var + eps)."""
    return (x - mean) * torch.rsqrt(var + eps)


def _scale_and_shift(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Return weight * y + bias, where None stands for 1 and 0."""
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _update(
    running_mean: Tensor,
    running_var: Tensor,
    x: Tensor,
    dims: tuple[int, ...],
    momentum: float | int,
) -> None:
    """Move the running statistics towards those of ``x``; images count alike where n is kept."""
    mean, var = _moments(x.detach(), dims)
    m = x.numel() // mean.numel()
    for running, batch in (running_mean, mean), (running_var, var * m / (m - 1)):
        running.mul_(1 - momentum).add_(momentum * batch.flatten(1).mean(0))


def _per_channel(value: Tensor | None, x: Tensor) -> Tensor | None:
    """View a tensor of shape (c,) so that it broadcasts over (n, c, ...)."""
    return None if value is None else value.reshape(-1, *[1] * (x.ndim - 2))


def _positions(x: Tensor) -> int:
    """Count the positions of (n, c, ...): h * w of images, 1 of features."""
    return x.shape[2:].numel()


def _letters(x: Tensor, at_least: int) -> str:
    """Name the axes that ``check_tensor`` asks for: its own rank, or the smallest allowed."""
    rank = x.ndim if isinstance(x, Tensor) else at_least
    return " ".join(["n", "c", *["spatial"] * (rank - 2)][: max(rank, at_least)])


def _check_channels(x: Tensor, **parameters: Tensor | None) -> None:
    """Require x of shape (n, c, ...) and parameters of shape (c,)."""
    check_tensor("x", x, _letters(x, at_least=2))
    _check_parameters(x, tuple(x.shape[1:2]), **parameters)


def _check_parameters(x: Tensor, shape: tuple[int, ...], **parameters: Tensor | None) -> None:
    """Require that every parameter given has this shape and the dtype and device of ``x``."""
    for name, value in parameters.items():
        if value is None:
            continue
        check_tensor(name, value, " ".join(["c"] if len(shape) == 1 else ["size"] * len(shape)))
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
