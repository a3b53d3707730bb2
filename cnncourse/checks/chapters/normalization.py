"""Batch normalization in both modes, group normalization, and a layer that disappears."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from cnncourse import normalization
from cnncourse.checks.exercise import Case, Exercise, Mistake, decimals, whole_numbers

# Names of the functions of torch that would do the work.
DONE_ALREADY = ("batch_norm", "group_norm", "layer_norm", "instance_norm")
POSITIONS = (0, 2, 3)


def standardize(
    x: Tensor, dims: Sequence[int], eps: float, correction: int = 0, outside: bool = False
) -> Tensor:
    """Standardize in the right way or, with the options, in one of two usual wrong ones.

    Parameters
    ----------
    x : Tensor
        Any shape.
    dims : sequence of int
        Axes that share a mean and a variance.
    eps : float
        Added to the variance.
    correction : int
        The variance divides by the count less this.
    outside : bool
        Add ``eps`` to the standard deviation instead.

    Returns
    -------
    Tensor
        Of the shape of ``x``.
    """
    var, mean = torch.var_mean(x, dim=tuple(dims), correction=correction, keepdim=True)
    return (x - mean) / (var.sqrt() + eps if outside else (var + eps).sqrt())


def scaled(xhat: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return weight * xhat + bias, channel by channel."""
    return weight[:, None, None] * xhat + bias[:, None, None]


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Normalize with the statistics of the batch: the package's function, as in training."""
    return normalization.batch_norm(x, None, None, weight, bias, training=True, eps=eps)


# Shape (n, c, h, w) and eps. In some, c = w: there a weight laid along the width goes unnoticed.
BATCHES = [
    ((2, 1, 1, 2), 1.0),
    ((1, 2, 1, 2), 0.5),
    ((2, 2, 2, 2), 2.0),
    ((3, 2, 1, 2), 1.0),
    ((1, 3, 4, 2), 1e-5),
    ((4, 3, 2, 3), 0.1),
    ((1, 3, 2, 4), 1.0),
]


def batches(random: Generator) -> list[Case]:
    """Draw batches with a scale and a shift per channel; one lies far from zero in float32."""
    small = [
        Case(_varied(random, *shape), *_per_channel(random, shape[1]), eps)
        for shape, eps in BATCHES
    ]
    far = Case(_thousands(random, 3, 3, 2, 3), *_per_channel(random, 3), 1e-3)
    return [*small, far] + [
        Case(_far_from_zero(random, *shape), *_per_channel(random, shape[1], torch.float64), eps)
        for shape, eps in (((5, 2, 3, 4), 1e-5), ((2, 4, 5, 3), 1e-3))
    ]


def _varied(random: Generator, *shape: int) -> Tensor:
    """Draw whole numbers of which no row is constant: without eps, 0 / 0 would hide the rest."""
    x = whole_numbers(random, *shape)
    x[..., -1] = x[..., 0] + 3
    return x


def _per_channel(
    random: Generator, c: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Draw a scale that is never 1 and a shift that is never 0."""
    weight = whole_numbers(random, c, dtype=dtype)
    return weight + weight.sign(), whole_numbers(random, c, dtype=dtype)


def _far_from_zero(random: Generator, *shape: int) -> Tensor:
    return 3 + 2 * decimals(random, *shape)


def _thousands(random: Generator, *shape: int) -> Tensor:
    """Draw numbers whose squares in float32 have no digits left for their variance."""
    return 1000 + _varied(random, *shape)


BATCH_NORM = Exercise(
    name="batch_norm",
    signature="batch_norm(x, weight, bias, eps)",
    title="Batch normalization in training",
    minutes=20,
    difficulty="medium",
    points=2,
    prerequisites=("mean and variance over several axes", "broadcasting"),
    graded="values, shape and dtype, for any batch and any eps, without torch's normalizations",
    reference=batch_norm,
    cases=batches,
    forbidden=DONE_ALREADY,
    mistakes=(
        Mistake(
            "The variance is divided by m - 1; divide by the count m (`correction=0`).",
            lambda x, w, b, eps: scaled(standardize(x, POSITIONS, eps, correction=1), w, b),
        ),
        Mistake(
            "eps is added to the standard deviation; add it to the variance, under the root.",
            lambda x, w, b, eps: scaled(standardize(x, POSITIONS, eps, outside=True), w, b),
        ),
        Mistake(
            "eps is missing: add it to the variance, under the root.",
            lambda x, w, b, eps: scaled(standardize(x, POSITIONS, 0.0), w, b),
        ),
        Mistake(
            "The square root is missing: divide by sqrt(var + eps), not by var + eps.",
            lambda x, w, b, eps: scaled(_mean_removed(x) / (_variance(x) + eps), w, b),
        ),
        Mistake(
            "Each image has statistics of its own: that is instance normalization. The mean and "
            "the variance of a channel run over all images of the batch too.",
            lambda x, w, b, eps: scaled(standardize(x, (2, 3), eps), w, b),
        ),
        Mistake(
            "All channels of an image share their statistics: that is layer normalization. Here "
            "each channel has its own, over the whole batch.",
            lambda x, w, b, eps: scaled(standardize(x, (1, 2, 3), eps), w, b),
        ),
        Mistake(
            "All channels share one mean and one variance; each channel has its own.",
            lambda x, w, b, eps: scaled(standardize(x, (0, 1, 2, 3), eps), w, b),
        ),
        Mistake(
            "Each pixel has statistics of its own; the positions of a channel share them, because "
            "the convolution's weights are shared there too.",
            lambda x, w, b, eps: scaled(standardize(x, (0,), eps), w, b),
        ),
        Mistake(
            "x passes as if its mean were 0 and its variance 1: these are the running statistics "
            "of a new layer in evaluation mode. Use those of the batch.",
            lambda x, w, b, eps: scaled(x / (1 + eps) ** 0.5, w, b),
        ),
        Mistake(
            "The mean is not subtracted.",
            lambda x, w, b, eps: scaled(x / (_variance(x) + eps).sqrt(), w, b),
        ),
        Mistake(
            "The variance is the mean of x * x; take the mean away from x before you square.",
            lambda x, w, b, eps: scaled(
                _mean_removed(x) / (x.square().mean(POSITIONS, keepdim=True) + eps).sqrt(), w, b
            ),
        ),
        Mistake(
            "Weight and bias are missing: scale and shift each channel at the end.",
            lambda x, w, b, eps: standardize(x, POSITIONS, eps),
        ),
        Mistake(
            "The weight is missing.",
            lambda x, w, b, eps: scaled(standardize(x, POSITIONS, eps), torch.ones_like(w), b),
        ),
        Mistake(
            "The bias is missing.",
            lambda x, w, b, eps: scaled(standardize(x, POSITIONS, eps), w, torch.zeros_like(b)),
        ),
        Mistake(
            "Weight and bias are mixed up: the weight multiplies, the bias is added.",
            lambda x, w, b, eps: scaled(standardize(x, POSITIONS, eps), b, w),
        ),
        Mistake(
            "The bias is scaled too: add it after the weight has multiplied.",
            lambda x, w, b, eps: scaled(standardize(x, POSITIONS, eps), w, w * b),
        ),
        Mistake(
            "Weight and bias run along the width: give them the shape (c, 1, 1) first.",
            lambda x, w, b, eps: w * standardize(x, POSITIONS, eps) + b,
        ),
    ),
    hints=(
        "A channel has one mean and one variance. Over which axes of (n, c, h, w) do they run?",
        "x.mean(dim=(0, 2, 3), keepdim=True) has shape (1, c, 1, 1) and broadcasts against x. The "
        "variance is the mean of the squared differences.",
        "xhat = (x - mean) / torch.sqrt(var + eps); return weight.reshape(1, -1, 1, 1) * xhat + "
        "bias.reshape(1, -1, 1, 1).",
    ),
)


def _mean_removed(x: Tensor) -> Tensor:
    return x - x.mean(POSITIONS, keepdim=True)


def _variance(x: Tensor) -> Tensor:
    return x.var(POSITIONS, correction=0, keepdim=True)


def standardize_splits(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Standardize both splits with the training split's mean and deviation of each channel."""
    std, mean = torch.std_mean(train, POSITIONS, correction=0, keepdim=True)
    return (train - mean) / std, (test - mean) / std


def splits(random: Generator) -> list[Case]:
    """Draw two splits of different sizes; the channels differ in scale, the splits in mean."""
    shapes = [(2, 1, 1, 2), (3, 2, 1, 2), (2, 3, 2, 2), (4, 2, 3, 2), (3, 3, 2, 4)]
    small = [
        Case(_channels(random, *shape), _channels(random, n, *shape[1:]) + 4)
        for shape, n in zip(shapes, (1, 2, 3, 5, 1), strict=True)
    ]
    fine = [_far_from_zero(random, 6, 2, 3, 4), 1 + _far_from_zero(random, 4, 2, 3, 4)]
    return [*small, Case(*fine)]


def _channels(random: Generator, *shape: int) -> Tensor:
    """Draw whole numbers that spread more from channel to channel; no pixel is constant."""
    x = _varied(random, *shape)
    x[0] += 20
    return x * 2.0 ** torch.arange(shape[1])[:, None, None]


def _by(statistics: Callable[[Tensor, Tensor], Tensor], **wrong: object) -> Callable:
    """Standardize both splits with the statistics of other numbers, or over other axes."""
    dims = wrong.get("dims", POSITIONS)

    def answer(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
        std, mean = torch.std_mean(
            statistics(train, test), dims, correction=wrong.get("correction", 0), keepdim=True
        )
        return (train - mean) / std, (test - mean) / std

    return answer


STANDARDIZE = Exercise(
    name="standardize",
    signature="standardize(train, test)",
    returns=("train", "test"),
    title="Standardized inputs",
    minutes=15,
    difficulty="easy",
    points=1,
    prerequisites=("mean and standard deviation over several axes",),
    graded="both splits, for any number of pictures and channels",
    reference=standardize_splits,
    cases=splits,
    forbidden=DONE_ALREADY,
    mistakes=(
        Mistake(
            "The test pictures are standardized with their own mean and deviation; use the ones of "
            "the training pictures.",
            lambda train, test: (standardize(train, POSITIONS, 0), standardize(test, POSITIONS, 0)),
        ),
        Mistake(
            "Mean and deviation come from both splits together; the test split must not be asked.",
            _by(lambda train, test: torch.cat([train, test])),
        ),
        Mistake(
            "All channels share one mean and one deviation; each channel has its own.",
            _by(lambda train, test: train, dims=(0, 1, 2, 3)),
        ),
        Mistake(
            "Each pixel has a mean and a deviation of its own; all places of a channel share them.",
            lambda train, test: (
                (train - train.mean(0)) / train.std(0, correction=0),
                (test - train.mean(0)) / train.std(0, correction=0),
            ),
        ),
        Mistake(
            "Each picture has a mean and a deviation of its own; all training pictures share them.",
            lambda train, test: (standardize(train, (2, 3), 0), standardize(test, (2, 3), 0)),
        ),
        Mistake(
            "The deviation comes from the variance divided by m - 1; divide by m (`correction=0`).",
            _by(lambda train, test: train, correction=1),
        ),
        Mistake(
            "It is divided by the variance; divide by its root.",
            lambda train, test: tuple(
                (x - train.mean(POSITIONS, keepdim=True)) / _variance(train) for x in (train, test)
            ),
        ),
        Mistake(
            "The mean is not subtracted.",
            lambda train, test: (train / _variance(train).sqrt(), test / _variance(train).sqrt()),
        ),
        Mistake(
            "It is not divided by the standard deviation.",
            lambda train, test: (
                _mean_removed(train),
                test - train.mean(POSITIONS, keepdim=True),
            ),
        ),
        Mistake(
            "The test pictures are left as they are; they get the same mean and deviation.",
            lambda train, test: (standardize(train, POSITIONS, 0), test),
        ),
    ),
    hints=(
        "Two numbers for each channel are all that is kept of the training pictures. Over which "
        "axes of (n, c, h, w) do they run?",
        "mean = train.mean(dim=(0, 2, 3), keepdim=True) has shape (1, c, 1, 1); the deviation in "
        "the same way, with correction=0. Both splits are shifted and divided by them.",
    ),
)


Running = tuple[Tensor, Tensor, Tensor]  # the output, and the two running statistics afterwards


def batch_norm_running(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool,
    momentum: float,
    eps: float,
) -> Running:
    """Normalize in either mode with the package's function, on copies of the running statistics."""
    mean, var = running_mean.clone(), running_var.clone()
    y = normalization.batch_norm(x, mean, var, None, None, training, momentum, eps)
    return y, mean, var


# Shape, mode, momentum and eps. Where a channel has few numbers, m and m - 1 differ most.
MODES = [
    ((2, 1, 1, 2), True, 0.25, 1.0),
    ((1, 2, 1, 1), False, 0.25, 1.0),
    ((2, 2, 1, 2), True, 0.1, 0.5),
    ((3, 2, 2, 2), False, 0.5, 2.0),
    ((2, 3, 1, 3), True, 1.0, 0.5),
    ((2, 3, 3, 2), True, 0.0, 1.0),
    ((1, 3, 2, 4), True, 0.75, 1e-5),
]


def modes(random: Generator) -> list[Case]:
    """Draw batches in both modes with running statistics that are not those of a new layer."""
    small = [_mode(random, *mode, torch.float32) for mode in MODES]
    fine = [((5, 2, 3, 4), True, 0.1, 1e-5), ((4, 3, 2, 3), False, 0.1, 1e-3)]
    return small + [_mode(random, *mode, torch.float64) for mode in fine]


def _mode(
    random: Generator,
    shape: tuple[int, ...],
    training: bool,
    momentum: float,
    eps: float,
    dtype: torch.dtype,
) -> Case:
    x = _varied(random, *shape).to(dtype) if shape[-1] > 1 else whole_numbers(random, *shape)
    mean, var = (whole_numbers(random, shape[1], dtype=dtype) for _ in range(2))
    return Case(x, mean + mean.sign(), var.abs() + 2, training, momentum, eps)


def _statistics(x: Tensor, correction: int = 0) -> tuple[Tensor, Tensor]:
    var, mean = torch.var_mean(x, POSITIONS, correction=correction)
    return mean, var


def _normalized(x: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    return (x - mean[:, None, None]) / (var + eps).sqrt()[:, None, None]


def _in_two_modes(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    training: bool,
    momentum: float,
    eps: float,
    *,
    kept: int = 1,
    used: int = 0,
) -> Running:
    """Do it right or, with the options, with a wrong correction of one of the two variances."""
    if not training:
        return _normalized(x, mean, var, eps), mean, var
    y = _normalized(x, *_statistics(x, used), eps)
    new_mean, new_var = _statistics(x, kept)
    return y, torch.lerp(mean, new_mean, momentum), torch.lerp(var, new_var, momentum)


def _with_output(mode: bool, output: Callable[..., Tensor]) -> Callable[..., Running]:
    """Take another output in one of the modes, and the right statistics."""

    def wrong(
        x: Tensor, mean: Tensor, var: Tensor, training: bool, momentum: float, eps: float
    ) -> Running:
        right = _in_two_modes(x, mean, var, training, momentum, eps)
        return (output(x, right, mean, var, eps), *right[1:]) if training == mode else right

    return wrong


def _with_statistics(
    mode: bool, new: Callable[..., tuple[Tensor, Tensor]]
) -> Callable[..., Running]:
    """Keep other statistics in one of the modes, with the right output."""

    def wrong(
        x: Tensor, mean: Tensor, var: Tensor, training: bool, momentum: float, eps: float
    ) -> Running:
        right = _in_two_modes(x, mean, var, training, momentum, eps)
        return (right[0], *new(x, mean, var, momentum)) if training == mode else right

    return wrong


def _updated(x: Tensor, mean: Tensor, var: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    new_mean, new_var = _statistics(x, min(1, x[:, 0].numel() - 1))
    return torch.lerp(mean, new_mean, momentum), torch.lerp(var, new_var, momentum)


def _std_updated(x: Tensor, mean: Tensor, var: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    new_mean, new_var = _updated(x, mean, var.sqrt(), 1.0)
    return torch.lerp(mean, new_mean, momentum), torch.lerp(var, new_var.sqrt(), momentum)


def _with_eps_kept(
    x: Tensor, mean: Tensor, var: Tensor, training: bool, momentum: float, eps: float
) -> Running:
    y, new_mean, new_var = _in_two_modes(x, mean, var, training, momentum, eps)
    return y, new_mean, new_var + (momentum * eps if training else 0)


BATCH_NORM_RUNNING = Exercise(
    name="batch_norm_running",
    signature="batch_norm_running(x, running_mean, running_var, training, momentum, eps)",
    returns=("y", "running_mean", "running_var"),
    title="Batch normalization in two modes",
    minutes=25,
    difficulty="medium",
    points=3,
    prerequisites=("your `batch_norm`", "running statistics"),
    graded="the output and both running statistics, in both modes, without torch's normalizations",
    reference=batch_norm_running,
    cases=modes,
    forbidden=DONE_ALREADY,
    mistakes=(
        Mistake(
            "The running variance gets the variance divided by m; PyTorch keeps the unbiased one, "
            "divided by m - 1.",
            lambda *a: _in_two_modes(*a, kept=0),
        ),
        Mistake(
            "The output is divided by the unbiased standard deviation; that one is only kept. The "
            "output uses the variance divided by m.",
            lambda *a: _in_two_modes(*a, used=1),
        ),
        Mistake(
            "The momentum is the share of the old value here; it is to be that of the new batch.",
            lambda x, m, v, training, momentum, eps: _in_two_modes(
                x, m, v, training, 1 - momentum, eps
            ),
        ),
        Mistake(
            "Evaluation uses the statistics of the batch; use the running ones.",
            _with_output(False, lambda x, right, m, v, eps: _normalized(x, *_statistics(x), eps)),
        ),
        Mistake(
            "Training uses the running statistics for its output; use those of the batch.",
            _with_output(True, lambda x, right, m, v, eps: _normalized(x, m, v, eps)),
        ),
        Mistake(
            "Training normalizes with the new running statistics; use those of the batch alone.",
            _with_output(True, lambda x, right, m, v, eps: _normalized(x, *right[1:], eps)),
        ),
        Mistake(
            "Evaluation changes the running statistics; they only change in training.",
            _with_statistics(False, _updated),
        ),
        Mistake(
            "Training leaves the running statistics as they were.",
            _with_statistics(True, lambda x, m, v, momentum: (m, v)),
        ),
        Mistake(
            "The new statistics take the place of the old ones; only a share of them, the "
            "momentum, comes in.",
            _with_statistics(True, lambda x, m, v, momentum: _updated(x, m, v, 1.0)),
        ),
        Mistake(
            "The share of the new batch is added, but the old value keeps its full weight; it "
            "keeps 1 - momentum.",
            _with_statistics(
                True,
                lambda x, m, v, momentum: tuple(
                    old + momentum * new
                    for old, new in zip((m, v), _updated(x, m, v, 1.0), strict=True)
                ),
            ),
        ),
        Mistake(
            "A standard deviation goes into the running variance; the variance belongs there.",
            _with_statistics(True, _std_updated),
        ),
        Mistake(
            "eps goes into the running variance; it belongs under the root of the output alone.",
            _with_eps_kept,
        ),
        Mistake(
            "eps is missing: add it to the variance, under the root, in both modes.",
            lambda x, m, v, training, momentum, eps: _in_two_modes(
                x, m, v, training, momentum, 0.0
            ),
        ),
    ),
    hints=(
        "In training the batch's mean and its variance divided by m make the output. In evaluation "
        "the running ones do, and they come back as they were.",
        "x.var(dim=(0, 2, 3)) divides by m - 1. That is the one for the running variance; "
        "correction=0 gives the one for the output.",
        "running_mean = (1 - momentum) * running_mean + momentum * mean makes a new tensor; the "
        "argument stays as it is. The same with the unbiased variance.",
    ),
)


def batch_norm_lite(x: Tensor, part: str, eps: float) -> Tensor:
    """Subtract the batch's mean, or divide by its standard deviation: one right answer."""
    return _mean_removed(x) if part == "mean" else x / (_variance(x) + eps).sqrt()


def lite_batches(random: Generator) -> list[Case]:
    """Draw batches, and which half of the normalization is wanted."""
    parts = ["mean", "variance", "mean", "variance", "mean", "variance", "mean"]
    small = [
        Case(_varied(random, *shape), part, eps)
        for (shape, eps), part in zip(BATCHES, parts, strict=True)
    ]
    small.append(Case(_thousands(random, 3, 3, 2, 3), "variance", 1e-3))
    fine = [Case(_far_from_zero(random, 3, 2, 4, 5), part, 1e-3) for part in ("mean", "variance")]
    return small + fine


BATCH_NORM_LITE = Exercise(
    name="batch_norm_lite",
    signature="batch_norm_lite(x, part, eps)",
    title="Half a batch normalization",
    minutes=10,
    difficulty="easy",
    points=1,
    prerequisites=("your `batch_norm`",),
    graded="values, shape and dtype of both halves, without torch's normalizations",
    reference=batch_norm_lite,
    cases=lite_batches,
    forbidden=DONE_ALREADY,
    mistakes=(
        Mistake(
            "With 'variance' the mean is lost: divide x itself, not x less its mean.",
            lambda x, part, eps: (
                _mean_removed(x) if part == "mean" else standardize(x, POSITIONS, eps)
            ),
        ),
        Mistake(
            "Both halves are done at once: 'mean' keeps the variance, 'variance' keeps the mean.",
            lambda x, part, eps: standardize(x, POSITIONS, eps),
        ),
        Mistake(
            "The two halves are exchanged.",
            lambda x, part, eps: batch_norm_lite(x, "variance" if part == "mean" else "mean", eps),
        ),
        Mistake(
            "The variance is measured around 0; it is to be measured around the mean, also when "
            "the mean stays in x.",
            lambda x, part, eps: (
                _mean_removed(x)
                if part == "mean"
                else x / (x.square().mean(POSITIONS, keepdim=True) + eps).sqrt()
            ),
        ),
        Mistake(
            "The variance is divided by m - 1; divide by the count m (`correction=0`).",
            lambda x, part, eps: (
                _mean_removed(x)
                if part == "mean"
                else x / (x.var(POSITIONS, keepdim=True) + eps).sqrt()
            ),
        ),
        Mistake(
            "The square root is missing: divide by sqrt(var + eps), not by var + eps.",
            lambda x, part, eps: _mean_removed(x) if part == "mean" else x / (_variance(x) + eps),
        ),
        Mistake(
            "Each image has statistics of its own; those of the batch are asked for.",
            lambda x, part, eps: (
                x - x.mean((2, 3), keepdim=True)
                if part == "mean"
                else x / (x.var((2, 3), correction=0, keepdim=True) + eps).sqrt()
            ),
        ),
    ),
    hints=(
        "Take your batch_norm without weight and bias and write its formula as two steps. Which "
        "of them does part == 'mean' keep?",
        "For 'variance', x is divided by sqrt(var + eps) and nothing is subtracted; var is still "
        "the mean squared distance from the mean.",
    ),
)


def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Normalize within groups of channels: the package's function."""
    return normalization.group_norm(x, groups, weight, bias, eps)


# Shape and number of groups: 1, the number of channels, and some where groups and channels per
# group differ.
GROUPED = [
    ((1, 2, 1, 2), 1, 1.0),
    ((2, 2, 1, 2), 2, 1.0),
    ((1, 4, 2, 2), 2, 0.5),
    ((2, 6, 1, 3), 3, 2.0),
    ((2, 6, 2, 3), 2, 0.1),
    ((1, 6, 3, 2), 6, 0.5),
    ((3, 8, 1, 2), 4, 1.0),
]


def grouped_batches(random: Generator) -> list[Case]:
    """Draw batches, with one group, as many groups as channels, and numbers between."""
    small = [
        Case(_varied(random, *shape), groups, *_per_channel(random, shape[1]), eps)
        for shape, groups, eps in GROUPED
    ]
    small.append(Case(_thousands(random, 2, 4, 3, 3), 2, *_per_channel(random, 4), 1e-3))
    fine = [((2, 4, 3, 5), 1, 1e-3), ((3, 6, 2, 3), 2, 1e-5)]
    return small + [
        Case(
            _far_from_zero(random, *shape),
            groups,
            *_per_channel(random, shape[1], torch.float64),
            eps,
        )
        for shape, groups, eps in fine
    ]


def _grouped(x: Tensor, groups: int, eps: float, **wrong: int) -> Tensor:
    grouped = x.unflatten(1, (groups, -1))
    return standardize(grouped, (2, 3, 4), eps, **wrong).flatten(1, 2)


def _interleaved(x: Tensor, groups: int, eps: float) -> Tensor:
    """Put channel 0, groups, 2 * groups, ... into the first group."""
    return standardize(x.unflatten(1, (-1, groups)), (1, 3, 4), eps).flatten(1, 2)


GROUP_NORM = Exercise(
    name="group_norm",
    signature="group_norm(x, groups, weight, bias, eps)",
    title="Group normalization",
    minutes=20,
    difficulty="medium",
    points=2,
    prerequisites=("your `batch_norm`", "reshaping a tensor"),
    graded="values, shape and dtype, for any number of groups, without torch's normalizations",
    reference=group_norm,
    cases=grouped_batches,
    forbidden=DONE_ALREADY,
    mistakes=(
        Mistake(
            "The variance is divided by m - 1; divide by the count m (`correction=0`).",
            lambda x, g, w, b, eps: scaled(_grouped(x, g, eps, correction=1), w, b),
        ),
        Mistake(
            "eps is added to the standard deviation; add it to the variance, under the root.",
            lambda x, g, w, b, eps: scaled(_grouped(x, g, eps, outside=True), w, b),
        ),
        Mistake(
            "The images of the batch share their statistics; here each image stands alone.",
            lambda x, g, w, b, eps: scaled(
                standardize(x.unflatten(1, (g, -1)), (0, 2, 3, 4), eps).flatten(1, 2), w, b
            ),
        ),
        Mistake(
            "This is batch normalization: the groups are not used, and the images mix.",
            lambda x, g, w, b, eps: scaled(standardize(x, POSITIONS, eps), w, b),
        ),
        Mistake(
            "`groups` is used as the number of channels in a group; it is the number of groups.",
            lambda x, g, w, b, eps: scaled(_grouped(x, x.shape[1] // g, eps), w, b),
        ),
        Mistake(
            "The groups are made of every other channel; a group is a block of neighbours.",
            lambda x, g, w, b, eps: scaled(_interleaved(x, g, eps), w, b),
        ),
        Mistake(
            "Each channel has statistics of its own, whatever the number of groups.",
            lambda x, g, w, b, eps: scaled(standardize(x, (2, 3), eps), w, b),
        ),
        Mistake(
            "All channels share their statistics, whatever the number of groups.",
            lambda x, g, w, b, eps: scaled(standardize(x, (1, 2, 3), eps), w, b),
        ),
        Mistake(
            "Each position has statistics of its own; they run over the channels of the group and "
            "all positions.",
            lambda x, g, w, b, eps: scaled(
                standardize(x.unflatten(1, (g, -1)), (2,), eps).flatten(1, 2), w, b
            ),
        ),
        Mistake(
            "Weight and bias are missing: scale and shift each channel at the end.",
            lambda x, g, w, b, eps: _grouped(x, g, eps),
        ),
        Mistake(
            "eps is missing: add it to the variance, under the root.",
            lambda x, g, w, b, eps: scaled(_grouped(x, g, 0.0), w, b),
        ),
        Mistake(
            "The first channel's weight and bias are used for its whole group; each channel has "
            "its own.",
            lambda x, g, w, b, eps: scaled(_grouped(x, g, eps), *(_first_of(p, g) for p in (w, b))),
        ),
        Mistake(
            "Weight and bias run along the width: give them the shape (c, 1, 1) first.",
            lambda x, g, w, b, eps: w * _grouped(x, g, eps) + b,
        ),
    ),
    hints=(
        "Give the groups an axis of their own: (n, c, h, w) becomes (n, groups, c // groups, h, w)."
        " Over which of these axes does a mean run?",
        "After x.reshape(n, groups, -1) each row is one group of one image. Standardize along the "
        "last axis, then reshape back to (n, c, h, w).",
        "Weight and bias belong to the channels, not to the groups: apply them after reshaping "
        "back, as weight.reshape(1, c, 1, 1) and bias.reshape(1, c, 1, 1).",
    ),
)


def _first_of(parameter: Tensor, groups: int) -> Tensor:
    """Repeat the first channel of each group."""
    size = len(parameter) // groups
    return parameter[::size].repeat_interleave(size)


def fold_batch_norm(
    weight: Tensor,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    gamma: Tensor,
    beta: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """Fold with the package's function, which takes and gives layers."""
    o, i, *kernel_size = weight.shape
    conv = nn.Conv2d(i, o, kernel_size, bias=bias is not None, dtype=weight.dtype)
    bn = normalization.BatchNorm2d(o, eps).to(weight.dtype)
    conv.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))
    statistics = {"running_mean": mean, "running_var": var, "weight": gamma, "bias": beta}
    bn.load_state_dict(bn.state_dict() | statistics)
    folded = normalization.fold_batch_norm(conv, bn)
    return folded.weight.detach(), folded.bias.detach()


# Shape (o, i, kh, kw), whether there is a bias, eps. In some, o = i or o = kw: there a scale laid
# along the wrong axis goes unnoticed.
LAYERS = [
    ((1, 1, 1, 2), True, 1.0),
    ((2, 1, 1, 2), True, 2.0),
    ((2, 2, 2, 2), True, 0.5),
    ((2, 3, 1, 2), False, 1.0),
    ((3, 2, 1, 3), True, 0.1),
    ((3, 3, 2, 1), True, 1e-3),
]


def layers(random: Generator) -> list[Case]:
    """Draw a convolution and the statistics of the batch normalization behind it."""
    small = [_layer(random, *layer, torch.float32) for layer in LAYERS]
    fine = [((4, 2, 3, 2), True, 1e-5), ((2, 4, 1, 3), False, 1e-3)]
    return small + [_layer(random, *layer, torch.float64) for layer in fine]


def _layer(
    random: Generator, shape: tuple[int, ...], has_bias: bool, eps: float, dtype: torch.dtype
) -> Case:
    def per_channel() -> Tensor:
        return whole_numbers(random, shape[0], dtype=dtype)

    bias = per_channel() if has_bias else None
    var, gamma = per_channel().abs(), per_channel()
    # A variance or a scale of 1 would hide that it is not used.
    return Case(
        whole_numbers(random, *shape, dtype=dtype),
        *(bias, per_channel(), var + 1, gamma + gamma.sign(), per_channel(), eps),
    )


def _scale(gamma: Tensor, var: Tensor, eps: float) -> Tensor:
    return gamma / (var + eps).sqrt()


def _fold(
    weight: Tensor, bias: Tensor | None, mean: Tensor, scale: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor]:
    """Fold with any scale."""
    return _fold_bias(weight, bias, scale, lambda b, s: (b - mean) * s + beta)


def _fold_bias(
    weight: Tensor, bias: Tensor | None, scale: Tensor, new: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Scale the weight, and make the bias by any formula of the old one and the scale."""
    old = torch.zeros_like(scale) if bias is None else bias
    return weight * scale[:, None, None, None], new(old, scale)


FOLD_BATCH_NORM = Exercise(
    name="fold_batch_norm",
    signature="fold_batch_norm(weight, bias, mean, var, gamma, beta, eps)",
    returns=("weight", "bias"),
    title="A layer that disappears",
    minutes=25,
    difficulty="medium",
    points=3,
    prerequisites=("batch normalization at test time", "a convolution is linear"),
    graded="weight and bias of the one convolution that does the work of both layers",
    reference=fold_batch_norm,
    cases=layers,
    mistakes=(
        Mistake(
            "eps is missing: the scale is gamma / sqrt(var + eps).",
            lambda w, b, m, v, g, beta, eps: _fold(w, b, m, g / v.sqrt(), beta),
        ),
        Mistake(
            "eps is added to the standard deviation; add it to the variance, under the root.",
            lambda w, b, m, v, g, beta, eps: _fold(w, b, m, g / (v.sqrt() + eps), beta),
        ),
        Mistake(
            "The square root is missing: the scale is gamma / sqrt(var + eps).",
            lambda w, b, m, v, g, beta, eps: _fold(w, b, m, g / (v + eps), beta),
        ),
        Mistake(
            "gamma is missing: the scale is gamma / sqrt(var + eps).",
            lambda w, b, m, v, g, beta, eps: _fold(w, b, m, 1 / (v + eps).sqrt(), beta),
        ),
        Mistake(
            "It is not scaled at all: multiply by gamma / sqrt(var + eps).",
            lambda w, b, m, v, g, beta, eps: _fold(w, b, m, torch.ones_like(g), beta),
        ),
        Mistake(
            "The old bias is not scaled: the batch normalization scales all that comes in, the "
            "bias too.",
            lambda w, b, m, v, g, beta, eps: _fold_bias(
                w, b, _scale(g, v, eps), lambda b, s: b - m * s + beta
            ),
        ),
        Mistake(
            "The mean is not scaled: it is subtracted before the scaling.",
            lambda w, b, m, v, g, beta, eps: _fold_bias(
                w, b, _scale(g, v, eps), lambda b, s: b * s - m + beta
            ),
        ),
        Mistake(
            "beta is scaled too; it is added after the scaling.",
            lambda w, b, m, v, g, beta, eps: _fold_bias(
                w, b, _scale(g, v, eps), lambda b, s: (b - m + beta) * s
            ),
        ),
        Mistake(
            "The mean is missing.",
            lambda w, b, m, v, g, beta, eps: _fold(
                w, b, torch.zeros_like(m), _scale(g, v, eps), beta
            ),
        ),
        Mistake(
            "The mean is added; take it away.",
            lambda w, b, m, v, g, beta, eps: _fold(w, b, -m, _scale(g, v, eps), beta),
        ),
        Mistake(
            "beta is missing.",
            lambda w, b, m, v, g, beta, eps: _fold(
                w, b, m, _scale(g, v, eps), torch.zeros_like(beta)
            ),
        ),
        Mistake(
            "The old bias is missing.",
            lambda w, b, m, v, g, beta, eps: _fold(w, None, m, _scale(g, v, eps), beta),
        ),
        Mistake(
            "The scale runs along the input channels; it belongs to the output channels, the "
            "first axis.",
            lambda w, b, m, v, g, beta, eps: (
                w * _scale(g, v, eps)[:, None, None],
                _fold(w, b, m, _scale(g, v, eps), beta)[1],
            ),
        ),
        Mistake(
            "The scale runs along the width of the kernel; it belongs to the output channels: "
            "give it the shape (o, 1, 1, 1).",
            lambda w, b, m, v, g, beta, eps: (
                w * _scale(g, v, eps),
                _fold(w, b, m, _scale(g, v, eps), beta)[1],
            ),
        ),
    ),
    hints=(
        "Write down what one output channel becomes: gamma * (w * x + b - mean) / sqrt(var + eps) "
        "+ beta. Which part of it stands in front of x?",
        "With s = gamma / sqrt(var + eps) it is (s w) * x + s (b - mean) + beta. There is one s "
        "for each output channel.",
        "Return weight * s.reshape(-1, 1, 1, 1) and s * (bias - mean) + beta, with 0 for a bias "
        "that is None.",
    ),
)

EXERCISES = (
    STANDARDIZE,
    BATCH_NORM,
    BATCH_NORM_RUNNING,
    BATCH_NORM_LITE,
    GROUP_NORM,
    FOLD_BATCH_NORM,
)
