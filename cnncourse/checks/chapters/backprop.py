"""Gradients by hand, and a measurement to hold them against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from cnncourse import backprop, cross_correlation
from cnncourse.checks.exercise import Call, Case, Exercise, Mistake, decimals, whole_numbers
from cnncourse.checks.given import backprop as given
from cnncourse.padding_stride import conv_output_size

# Parts of the names by which torch differentiates: backward, and forward with dual numbers.
LIBRARY = ("autograd", "backward", "_make_dual")

Gradients = tuple[Tensor, Tensor, Tensor]


def conv1d_kernel_gradient(x: Tensor, delta: Tensor) -> Tensor:
    """Correlate the signal with delta: the package's function."""
    return cross_correlation.corr1d(x, delta)


def signals(random: Generator) -> list[Case]:
    """Draw signals, and gradients of the outputs of kernels of one to nine weights."""
    small = [(2, 1), (3, 3), (3, 2), (4, 3), (5, 2), (5, 4), (6, 1)]
    whole = [Case(*(whole_numbers(random, size) for size in sizes)) for sizes in small]
    fine = [Case(*(decimals(random, size) for size in sizes)) for sizes in ((9, 5), (12, 4))]
    return whole + fine


CONV1D_KERNEL_GRADIENT = Exercise(
    name="conv1d_kernel_gradient",
    signature="conv1d_kernel_gradient(x, delta)",
    title="The gradient of a shared weight",
    minutes=20,
    difficulty="easy",
    points=2,
    prerequisites=("cross-correlation in one dimension", "the chain rule"),
    graded="values, length and dtype for any signal, without torch's derivatives",
    reference=conv1d_kernel_gradient,
    cases=signals,
    forbidden=("conv", "correlate", *LIBRARY),
    mistakes=(
        Mistake(
            "delta runs backwards: the first output read x[b] through weight b, the second "
            "x[b + 1].",
            lambda x, delta: cross_correlation.corr1d(x, delta.flip(0)),
        ),
        Mistake(
            "The result runs backwards: entry b belongs to the weight that reads x[j + b].",
            lambda x, delta: cross_correlation.corr1d(x, delta).flip(0),
        ),
        Mistake(
            "The products are averaged; what a weight does in several places is added.",
            lambda x, delta: cross_correlation.corr1d(x, delta) / len(delta),
        ),
        Mistake(
            "Only the first output counts. A shared weight acts in every output: add over i.",
            lambda x, delta: delta[0] * x[: len(x) - len(delta) + 1],
        ),
        Mistake(
            "Only the last output counts: add over i with `+=` or `.sum()`.",
            lambda x, delta: delta[-1] * x[len(delta) - 1 :],
        ),
        Mistake(
            "The last weight is missing: len(x) - len(delta) + 1 of them made this output.",
            lambda x, delta: cross_correlation.corr1d(x, delta)[:-1],
        ),
        Mistake(
            "The last weight's entry was never filled: the loop stops one step early.",
            lambda x, delta: F.pad(cross_correlation.corr1d(x, delta)[:-1], (0, 1)),
        ),
        Mistake(
            "The windows of x are added without delta.",
            lambda x, delta: cross_correlation.corr1d(x, torch.ones_like(delta)),
        ),
        Mistake(
            "This is the full convolution of x and delta; count the places where delta fits in x.",
            lambda x, delta: cross_correlation.convolve1d(x, delta),
        ),
        Mistake(
            "The gradient has one entry a weight, and the length of x here: is it the gradient "
            "with respect to x?",
            lambda x, delta: _as_long_as(x, delta),
        ),
    ),
    hints=(
        "How many weights has a kernel that makes len(delta) numbers out of len(x)?",
        "Weight b reads x[j + b] for output j, so output j adds delta[j] * x[j + b] to its "
        "gradient. For each b, add over all j.",
        "For each b from 0 to len(x) - len(delta): (delta * x[b : b + len(delta)]).sum(). Have "
        "you seen this sum before?",
    ),
)


def _as_long_as(x: Tensor, delta: Tensor) -> Tensor:
    """Correlate with zeros behind the signal."""
    return cross_correlation.corr1d(F.pad(x, (0, len(delta) - 1)), delta)


# Images (n, c, h, w), kernels (o, kh, kw), stride and padding. Rows or columns are left over in
# the third, the sixth and the last two; in the fourth the windows leave gaps.
LAYERS = [
    ((1, 1, 1, 2), (1, 1, 1), 1, 0),
    ((1, 1, 3, 2), (1, 2, 1), 1, 0),
    ((1, 1, 3, 4), (1, 2, 2), 2, 0),
    ((1, 1, 2, 5), (2, 1, 2), 3, 0),
    ((2, 1, 2, 3), (1, 2, 2), 1, 1),
    ((2, 2, 4, 5), (3, 3, 2), 2, 1),
    ((1, 2, 5, 5), (2, 3, 3), 3, 0),
    # One output; three images; a frame wider than the kernel.
    ((1, 2, 2, 3), (2, 2, 3), 1, 0),
    ((3, 1, 2, 3), (2, 2, 2), 1, 0),
    ((1, 1, 2, 3), (1, 1, 2), 1, 3),
]


def conv_layers(random: Generator) -> list[Case]:
    """Draw images and kernels of whole numbers in float32, then two of decimals in float64."""
    fine = [((2, 3, 6, 5), (2, 2, 3), 2, 1), ((2, 2, 3, 5), (3, 3, 2), 1, 2)]
    return [_conv_case(random, *layer, whole_numbers) for layer in LAYERS] + [
        _conv_case(random, *layer, decimals) for layer in fine
    ]


def _conv_case(
    random: Generator,
    shape: tuple[int, int, int, int],
    kernels: tuple[int, int, int],
    stride: int,
    padding: int,
    draw: Callable[..., Tensor],
) -> Case:
    (n, c, *image), (o, *kernel) = shape, kernels
    out = conv_output_size(tuple(image), tuple(kernel), stride, padding)
    delta, x, weight = (draw(random, *size) for size in ((n, o, *out), shape, (o, c, *kernel)))
    return Case(delta, x, weight, stride, padding)


def _with(place: int, item: Callable[..., Tensor]) -> Callable[..., Gradients]:
    """Put another item in one place of the three right gradients."""

    def wrong(*arguments: object) -> Gradients:
        gradients = list(backprop.conv2d_backward(*arguments))
        gradients[place] = item(*arguments, gradients[place])
        return tuple(gradients)

    return wrong


GRAD_X, GRAD_WEIGHT, GRAD_BIAS = range(3)


def _unflipped(delta, x, weight, stride, padding, right):
    return backprop.conv2d_backward(delta, x, weight.flip(2, 3), stride, padding)[GRAD_X]


def _not_cut(delta, x, weight, stride, padding, right):
    framed = F.pad(x, [padding] * 4)
    return backprop.conv2d_backward(delta, framed, weight, stride, 0)[GRAD_X]


def _cropped(delta, x, weight, stride, padding, right):
    """Leave out the rows and columns that no window reaches."""
    rows, columns = _reach(delta, weight.shape[2:], stride)
    return right[:, :, : rows - 2 * padding, : columns - 2 * padding]


def _reach(delta: Tensor, kernel: Sequence[int], stride: int) -> tuple[int, int]:
    """Say how many rows and columns the windows reach, from the first on."""
    out_h, out_w = delta.shape[2:]
    return (out_h - 1) * stride + kernel[0], (out_w - 1) * stride + kernel[1]


def _overwritten(delta, x, weight, stride, padding, right):
    """Let the last window that covers a pixel have it alone."""
    grad = torch.zeros_like(F.pad(x, [padding] * 4))
    kh, kw = weight.shape[2:]
    for i, j in product(*map(range, delta.shape[2:])):
        window = torch.einsum("no,ocab->ncab", delta[:, :, i, j], weight)
        grad[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] = window
    h, w = x.shape[2:]
    return grad[:, :, padding : padding + h, padding : padding + w]


def _close_together(delta, x, weight, stride, padding, right):
    """Send the gradients back as if the windows lay one step apart."""
    seen = _seen_close_together(delta, x, weight, padding)
    (h, w), (rows, columns) = x.shape[2:], seen.shape[2:]
    grad = backprop.conv2d_backward(delta, seen, weight)[GRAD_X]
    return F.pad(grad, (-padding, w + padding - columns, -padding, h + padding - rows))


def _weights_close_together(delta, x, weight, stride, padding, right):
    seen = _seen_close_together(delta, x, weight, padding)
    return backprop.conv2d_backward(delta, seen, weight)[GRAD_WEIGHT]


def _seen_close_together(delta: Tensor, x: Tensor, weight: Tensor, padding: int) -> Tensor:
    """Cut out of the padded images what windows one step apart would reach."""
    rows, columns = _reach(delta, weight.shape[2:], 1)
    return F.pad(x, [padding] * 4)[:, :, :rows, :columns]


def _without_frame(delta, x, weight, stride, padding, right):
    """Roll the frame's zeros away: the window of output (0, 0) starts at pixel (0, 0)."""
    rolled = F.pad(x, [0, 2 * padding] * 2)
    return backprop.conv2d_backward(delta, rolled, weight, stride)[GRAD_WEIGHT]


def _of_one_image(place: int) -> Callable[..., Tensor]:
    return lambda delta, x, weight, stride, padding, right: backprop.conv2d_backward(
        delta[:1], x[:1], weight, stride, padding
    )[place]


def _mean_over_images(delta, x, weight, stride, padding, right):
    return right / len(x)


CONV2D_BACKWARD = Exercise(
    name="conv2d_backward",
    signature="conv2d_backward(grad_output, x, weight, stride, padding)",
    returns=("grad_x", "grad_weight", "grad_bias"),
    title="Backward through a convolution",
    minutes=60,
    difficulty="hard",
    points=5,
    prerequisites=("your `conv1d_kernel_gradient`", "stride and padding", "channels"),
    graded="all three gradients, for any shape, stride and padding, without torch's derivatives",
    reference=backprop.conv2d_backward,
    cases=conv_layers,
    forbidden=("conv", *LIBRARY),
    mistakes=(
        Mistake(
            "The kernel is rotated by 180°. Window by window it goes back as it came; in a "
            "correlation of grad_output it must be flipped.",
            _with(GRAD_X, _unflipped),
        ),
        Mistake(
            "The frame of the padding is still there: cut it off, so that the shape is that of x.",
            _with(GRAD_X, _not_cut),
        ),
        Mistake(
            "The rows and columns that no window reaches are missing. Their gradient is 0: start "
            "from zeros of the shape of x.",
            _with(GRAD_X, _cropped),
        ),
        Mistake(
            "Where windows overlap, the last one counts alone: add with `+=`.",
            _with(GRAD_X, _overwritten),
        ),
        Mistake(
            "The stride is not used: the window of output (i, j) starts at (i * stride, j * "
            "stride).",
            _with(GRAD_X, _close_together),
        ),
        Mistake(
            "The stride is not used: the window of output (i, j) starts at (i * stride, j * "
            "stride).",
            _with(GRAD_WEIGHT, _weights_close_together),
        ),
        Mistake(
            "x is not padded: the windows start in the frame.",
            _with(GRAD_WEIGHT, _without_frame),
        ),
        Mistake(
            "The kernel's gradient is rotated by 180°.",
            _with(GRAD_WEIGHT, lambda *rest: rest[-1].flip(2, 3)),
        ),
        Mistake(
            "Only the first image counts; all images use the same weights: add over them.",
            _with(GRAD_WEIGHT, _of_one_image(GRAD_WEIGHT)),
        ),
        Mistake(
            "It is averaged over the images; add over them. The mean, if any, is in the loss.",
            _with(GRAD_WEIGHT, _mean_over_images),
        ),
        Mistake(
            "Only the first image counts; all images use the same bias: add over them.",
            _with(GRAD_BIAS, _of_one_image(GRAD_BIAS)),
        ),
        Mistake(
            "It is averaged over the images; add over them. The mean, if any, is in the loss.",
            _with(GRAD_BIAS, _mean_over_images),
        ),
        Mistake(
            "It is averaged over images and positions; add over them.",
            _with(GRAD_BIAS, lambda delta, *rest: delta.mean((0, 2, 3))),
        ),
        Mistake(
            "The positions are added, the images are not: one number a channel is asked for.",
            _with(GRAD_BIAS, lambda delta, *rest: delta.sum((2, 3))),
        ),
        Mistake(
            "The images are added, the positions are not: one number a channel is asked for.",
            _with(GRAD_BIAS, lambda delta, *rest: delta.sum(0)),
        ),
        Mistake(
            "All channels are added up: one number a channel is asked for.",
            _with(GRAD_BIAS, lambda delta, *rest: delta.sum()),
        ),
    ),
    hints=(
        "Start with the bias: it is added to every number of its channel, so its gradient is the "
        "sum of grad_output over all axes but the second. Then look at one weight as in the last "
        "exercise.",
        "Pad x. For each place (a, b) of the kernel, the pixels it reads are seen = padded[:, :, "
        "a : a + (out_h - 1) * stride + 1 : stride, and the same with b]. It has the height and "
        "width of grad_output.",
        "grad_weight[:, :, a, b] = einsum('noij,ncij->oc', grad_output, seen), and the same pixels "
        "of the padded gradient get += einsum('noij,oc->ncij', grad_output, weight[:, :, a, b]). "
        "Cut the frame off at the end.",
    ),
)


# Images (n, c, h, w), window, stride: windows side by side, overlapping, with gaps, and with rows
# or columns left over.
POOLS = [
    ((1, 1, 1, 2), 1, 1),
    ((1, 1, 2, 3), 2, 1),
    ((1, 1, 3, 4), 2, 2),
    ((1, 1, 4, 3), 3, 1),
    ((2, 2, 5, 7), 2, 3),
    ((2, 3, 6, 5), 3, 2),
    ((3, 1, 4, 5), 4, 1),
]


def pooled_images(random: Generator) -> list[Case]:
    """Draw images with many ties, images below zero, and two of decimals in float64."""
    draws = [_ties, _negative, _ties, _ties, _negative, _ties, _far_below_zero]
    small = [_pool_case(random, *pool, draw) for pool, draw in zip(POOLS, draws, strict=True)]
    fine = [((2, 2, 7, 5), 3, 2), ((1, 3, 4, 8), 2, 2)]
    return small + [_pool_case(random, *pool, decimals) for pool in fine]


def _ties(random: Generator, *shape: int) -> Tensor:
    return torch.randint(1, 3, shape, generator=random).float()


def _negative(random: Generator, *shape: int) -> Tensor:
    return -whole_numbers(random, *shape).abs()


def _far_below_zero(random: Generator, *shape: int) -> Tensor:
    """Go lower than where a search may start that does not start at minus infinity."""
    return 1e12 * _negative(random, *shape)


def _pool_case(
    random: Generator,
    shape: tuple[int, int, int, int],
    kernel_size: int,
    stride: int,
    draw: Callable[..., Tensor],
) -> Case:
    x = draw(random, *shape)
    out = conv_output_size(shape[2:], kernel_size, stride)
    delta = whole_numbers(random, *shape[:2], *out, dtype=x.dtype)
    return Case(delta, x, kernel_size, stride)


def _pool_backward(
    delta: Tensor, x: Tensor, kernel_size: int, stride: int, share: Callable, add: bool = True
) -> Tensor:
    """Send each output's gradient back to its window in the shares that ``share`` gives.

    Parameters
    ----------
    delta, x, kernel_size, stride
        As the exercise has them.
    share : callable
        Window (n, c, k, k) -> shares of that shape.
    add : bool
        False: a later window overwrites an earlier one.

    Returns
    -------
    Tensor
        Of the shape of ``x``.
    """
    grad = torch.zeros_like(x)
    for i, j in product(*map(range, delta.shape[2:])):
        rows, columns = (slice(p * stride, p * stride + kernel_size) for p in (i, j))
        part = share(x[:, :, rows, columns]) * delta[:, :, i, j, None, None]
        # Only what won is written: the zeros beside it would erase other winners.
        old = grad[:, :, rows, columns]
        grad[:, :, rows, columns] = old + part if add else torch.where(part == 0, old, part)
    return grad


def _all_winners(window: Tensor) -> Tensor:
    return (window == window.amax((2, 3), keepdim=True)).to(window.dtype)


def _fair_winners(window: Tensor) -> Tensor:
    winners = _all_winners(window)
    return winners / winners.sum((2, 3), keepdim=True)


def _first_winner(window: Tensor) -> Tensor:
    flat = _all_winners(window).flatten(2)
    return (flat * (flat.cumsum(2) == 1)).reshape(window.shape)


def _last_winner(window: Tensor) -> Tensor:
    return _first_winner(window.flip(2, 3)).flip(2, 3)


def _average(window: Tensor) -> Tensor:
    return torch.full_like(window, 1 / window[0, 0].numel())


def _largest_size(window: Tensor) -> Tensor:
    return _first_winner(window.abs())


MAX_POOL2D_BACKWARD = Exercise(
    name="max_pool2d_backward",
    signature="max_pool2d_backward(grad_output, x, kernel_size, stride)",
    title="Backward through max-pooling",
    minutes=30,
    difficulty="medium",
    points=3,
    prerequisites=("max-pooling", "`torch.argmax`"),
    graded="values, shape and dtype, with ties, overlaps and rows left over, without torch's own",
    reference=backprop.max_pool2d_backward,
    cases=pooled_images,
    forbidden=("pool", *LIBRARY),
    mistakes=(
        Mistake(
            "At a tie all equal pixels get the whole gradient; the first of them gets it alone.",
            lambda d, x, k, s: _pool_backward(d, x, k, s, _all_winners),
        ),
        Mistake(
            "At a tie the gradient is shared out; the first of the equal pixels gets it alone.",
            lambda d, x, k, s: _pool_backward(d, x, k, s, _fair_winners),
        ),
        Mistake(
            "At a tie the last of the equal pixels wins; the first one should, row by row.",
            lambda d, x, k, s: _pool_backward(d, x, k, s, _last_winner),
        ),
        Mistake(
            "A pixel that wins several windows keeps the gradient of the last one: add with `+=`.",
            lambda d, x, k, s: _pool_backward(d, x, k, s, _first_winner, add=False),
        ),
        Mistake(
            "Every pixel of a window gets a share: that is average pooling.",
            lambda d, x, k, s: _pool_backward(d, x, k, s, _average),
        ),
        Mistake(
            "The winners are marked with 1; they get the gradient of their output.",
            lambda d, x, k, s: _pool_backward(torch.ones_like(d), x, k, s, _first_winner),
        ),
        Mistake(
            "The winner's value is a factor; the derivative of the maximum is 1, whatever it is.",
            lambda d, x, k, s: x * _pool_backward(d, x, k, s, _first_winner),
        ),
        Mistake(
            "The winner is the pixel of the largest size, without its sign.",
            lambda d, x, k, s: _pool_backward(d, x, k, s, _largest_size),
        ),
        Mistake(
            "The search for the largest pixel starts at 0, so no pixel below 0 is found: start "
            "at minus infinity.",
            lambda d, x, k, s: _pool_backward(d, x.clamp(min=0), k, s, _first_winner),
        ),
        Mistake(
            "The windows lie side by side, whatever the stride.",
            lambda d, x, k, s: _pool_backward(d, x, k, k, _first_winner),
        ),
        Mistake(
            "The windows lie one step apart, whatever the stride.",
            lambda d, x, k, s: _pool_backward(d, x, k, 1, _first_winner),
        ),
        Mistake(
            "The smallest pixel wins.",
            lambda d, x, k, s: _pool_backward(d, -x, k, s, _first_winner),
        ),
        Mistake(
            "The rows and columns that no window reaches are missing. Their gradient is 0: start "
            "from zeros of the shape of x.",
            lambda d, x, k, s: _reached(d, x, k, s),
        ),
    ),
    hints=(
        "Start from zeros of the shape of x. Each number of grad_output goes to one pixel of its "
        "window. To which?",
        "For one window, window.flatten().argmax() is the place of the largest pixel, and of the "
        "first one where several are equal. divmod(place, kernel_size) gives its row and column.",
        "Loop over images, channels and outputs (i, j): window = x[n, c, i * stride : i * stride + "
        "kernel_size, and the same with j], then grad[n, c, i * stride + row, j * stride + column] "
        "+= grad_output[n, c, i, j].",
    ),
)


def _reached(delta: Tensor, x: Tensor, kernel_size: int, stride: int) -> Tensor:
    rows, columns = _reach(delta, (kernel_size, kernel_size), stride)
    return backprop.max_pool2d_backward(delta, x, kernel_size, stride)[:, :, :rows, :columns]


def numeric_gradient(f: Callable[[Tensor], Tensor], x: Tensor, step: float) -> Tensor:
    """Measure by central differences: the package's function."""
    return backprop.numeric_gradient(f, x, step=step)


def measured_functions(random: Generator) -> list[Case]:
    """Draw functions and places; the large steps show by which formula a slope was measured."""

    def whole(*shape: int) -> Tensor:
        return whole_numbers(random, *shape, dtype=torch.float64)

    return [
        Case(Call("weighted_squares", whole(2)), whole(2), 0.5),
        Case(Call("weighted_sum", whole(2, 1)), whole(2, 1), 1.0),
        Case(Call("weighted_cubes", whole(3)), whole(3), 1.0),
        Case(Call("neighbours", 2.0), whole(4), 0.25),
        Case(Call("weighted_cubes", whole(2, 3)), whole(2, 3), 0.5),
        Case(Call("weighted_squares", whole(2, 1, 3)), whole(2, 1, 3), 2.0),
        Case(Call("neighbours", -1.0), decimals(random, 3, 2), 0.125),
    ]


def _slopes(
    f: Callable, x: Tensor, ahead: float, behind: float, divisor: float, grow: bool = False
) -> Tensor:
    """Measure a slope per element between x + ahead and x - behind.

    Parameters
    ----------
    f : callable
        Maps a tensor to a number.
    x : Tensor
        Where to measure.
    ahead, behind : float
        The two distances.
    divisor : float
        What the difference is divided by.
    grow : bool
        Keep each element moved ahead when the next one's turn comes.

    Returns
    -------
    Tensor
        Of the shape of ``x``.
    """
    here, grad = x.clone(), torch.zeros_like(x)
    for place in product(*map(range, x.shape)):
        up, down = here.clone(), here.clone()
        up[place] += ahead
        down[place] -= behind
        grad[place] = (f(up) - f(down)) / divisor
        here = up if grow else here
    return grad


NUMERIC_GRADIENT = Exercise(
    name="numeric_gradient",
    signature="numeric_gradient(f, x, step)",
    title="A gradient by measurement",
    minutes=20,
    difficulty="easy",
    points=2,
    prerequisites=("the definition of a derivative",),
    graded="values, shape and dtype for any function, place and step, without torch's derivatives",
    reference=numeric_gradient,
    functions={
        "weighted_sum": given.weighted_sum,
        "weighted_squares": given.weighted_squares,
        "weighted_cubes": given.weighted_cubes,
        "neighbours": given.neighbours,
    },
    cases=measured_functions,
    forbidden=LIBRARY,
    mistakes=(
        Mistake(
            "This is the forward difference, f(x + step) - f(x): go to both sides.",
            lambda f, x, step: _slopes(f, x, step, 0.0, step),
        ),
        Mistake(
            "This is the backward difference, f(x) - f(x - step): go to both sides.",
            lambda f, x, step: _slopes(f, x, 0.0, step, step),
        ),
        Mistake(
            "The two places are 2 * step apart: divide by 2 * step, not by step.",
            lambda f, x, step: _slopes(f, x, step, step, step),
        ),
        Mistake(
            "The difference is not divided by the distance 2 * step.",
            lambda f, x, step: _slopes(f, x, step, step, 1.0),
        ),
        Mistake(
            "The difference is halved, but not divided by the step.",
            lambda f, x, step: _slopes(f, x, step, step, 2.0),
        ),
        Mistake(
            "The difference is multiplied by the step instead of divided.",
            lambda f, x, step: _slopes(f, x, step, step, 2 / step),
        ),
        Mistake(
            "The forward difference is divided by 2 * step: go to both sides.",
            lambda f, x, step: _slopes(f, x, step, 0.0, 2 * step),
        ),
        Mistake(
            "The places are half a step away on each side; they should be a whole step away.",
            lambda f, x, step: _slopes(f, x, step / 2, step / 2, step),
        ),
        Mistake(
            "An element stays moved when the next one's turn comes: put it back first.",
            lambda f, x, step: _slopes(f, x, step, step, 2 * step, grow=True),
        ),
        Mistake(
            "All elements are moved at once: move one at a time.",
            lambda f, x, step: torch.full_like(x, float(f(x + step) - f(x - step))) / (2 * step),
        ),
        Mistake(
            "The result is one long row; it should have the shape of x.",
            lambda f, x, step: numeric_gradient(f, x, step).flatten(),
        ),
    ),
    hints=(
        "Move one element of x by step, and by step the other way. How far are the two places "
        "apart?",
        "Make two copies of x for each element: x.clone() and += step in one, -= step in the "
        "other. x itself must stay as it is.",
        "for place in itertools.product(*map(range, x.shape)): grad[place] = (f(up) - f(down)) / "
        "(2 * step).",
    ),
)

EXERCISES = (CONV1D_KERNEL_GRADIENT, CONV2D_BACKWARD, MAX_POOL2D_BACKWARD, NUMERIC_GRADIENT)
