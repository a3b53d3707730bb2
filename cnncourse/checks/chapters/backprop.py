"""Gradients by hand, and a measurement to hold them against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from cnncourse import backprop, cross_correlation
from cnncourse.checks.exercise import (
    Call,
    Case,
    Exercise,
    Mistake,
    decimals,
    distinct_numbers,
    whole_numbers,
)
from cnncourse.checks.given import backprop as given
from cnncourse.padding_stride import conv_output_size

# Parts of the names by which torch differentiates: backward, and forward with dual numbers.
LIBRARY = ("autograd", "backward", "_make_dual")


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
            "Only the first output counts. A shared weight acts in every output: add over j.",
            lambda x, delta: delta[0] * x[: len(x) - len(delta) + 1],
        ),
        Mistake(
            "Only the last output counts: add over j with `+=` or `.sum()`.",
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


def conv2d_grad_bias(grad_output: Tensor) -> Tensor:
    """Add up over images and places: the package's function."""
    x = grad_output.new_zeros(len(grad_output), 1, *grad_output.shape[2:])
    return backprop.conv2d_backward(grad_output, x, x.new_zeros(grad_output.shape[1], 1, 1, 1))[2]


def conv2d_grad_weight(
    grad_output: Tensor, x: Tensor, kernel_size: tuple[int, int], stride: int, padding: int
) -> Tensor:
    """Correlate the padded images with the gradient: the package's function."""
    weight = x.new_zeros(grad_output.shape[1], x.shape[1], *kernel_size)
    return backprop.conv2d_backward(grad_output, x, weight, stride, padding)[1]


def conv2d_grad_x(
    grad_output: Tensor, weight: Tensor, size: tuple[int, int], stride: int, padding: int
) -> Tensor:
    """Send the gradient back through the kernels: the package's function."""
    x = weight.new_zeros(len(grad_output), weight.shape[1], *size)
    return backprop.conv2d_backward(grad_output, x, weight, stride, padding)[0]


def gradients_of_outputs(random: Generator) -> list[Case]:
    """Draw gradients of outputs with one and with many images, channels and places."""
    shapes = [(1, 1, 1, 1), (1, 1, 1, 3), (1, 2, 2, 1), (2, 1, 1, 2), (2, 3, 2, 4), (3, 2, 4, 3)]
    fine = [(2, 4, 3, 5), (4, 3, 2, 2)]
    return [Case(whole_numbers(random, *shape)) for shape in shapes] + [
        Case(decimals(random, *shape)) for shape in fine
    ]


def layers_for_weight(random: Generator) -> list[Case]:
    """Draw gradients and images, and give the kernels' size in their place."""
    cases = (layer.arguments for layer in conv_layers(random))
    return [
        Case(delta, x, tuple(weight.shape[2:]), *numbers) for delta, x, weight, *numbers in cases
    ]


def layers_for_x(random: Generator) -> list[Case]:
    """Draw gradients and kernels, and give the images' size in their place."""
    cases = (layer.arguments for layer in conv_layers(random))
    return [
        Case(delta, weight, tuple(x.shape[2:]), *numbers) for delta, x, weight, *numbers in cases
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


CONV2D_GRAD_BIAS = Exercise(
    name="conv2d_grad_bias",
    signature="conv2d_grad_bias(grad_output)",
    title="Backward through a convolution: the bias",
    minutes=5,
    difficulty="easy",
    points=1,
    prerequisites=("the sum of a convolutional layer",),
    graded="values, shape and dtype, for any number of images, channels and places",
    reference=conv2d_grad_bias,
    cases=gradients_of_outputs,
    forbidden=("conv", *LIBRARY),
    mistakes=(
        Mistake(
            "Only the first image counts; all images use the same bias: add over them.",
            lambda delta: delta[0].sum((1, 2)),
        ),
        Mistake(
            "It is averaged over images and places; add over them. The mean, if any, is in the "
            "loss.",
            lambda delta: delta.mean((0, 2, 3)),
        ),
        Mistake(
            "It is averaged over the images; add over them. The mean, if any, is in the loss.",
            lambda delta: delta.sum((2, 3)).mean(0),
        ),
        Mistake(
            "The places are added, the images are not: one number a channel is asked for.",
            lambda delta: delta.sum((2, 3)),
        ),
        Mistake(
            "The images are added, the places are not: one number a channel is asked for.",
            lambda delta: delta.sum(0),
        ),
        Mistake(
            "All channels are added up: one number a channel is asked for.",
            lambda delta: delta.sum(),
        ),
    ),
    hints=(
        "The bias of a channel is added to every number of this channel.",
        "Add over all axes of grad_output but the second.",
    ),
)


def _weight_close_together(delta, x, kernel_size, stride, padding):
    """Read as if the windows lay one step apart."""
    rows, columns = _reach(delta, kernel_size, 1)
    seen = F.pad(x, [padding] * 4)[:, :, :rows, :columns]
    return conv2d_grad_weight(delta, seen, kernel_size, 1, 0)


def _weight_without_frame(delta, x, kernel_size, stride, padding):
    """Roll the frame's zeros away: the window of output (0, 0) starts at pixel (0, 0)."""
    return conv2d_grad_weight(delta, F.pad(x, [0, 2 * padding] * 2), kernel_size, stride, 0)


def _reach(delta: Tensor, kernel: Sequence[int], stride: int) -> tuple[int, int]:
    """Say how many rows and columns the windows reach, from the first on."""
    out_h, out_w = delta.shape[2:]
    return (out_h - 1) * stride + kernel[0], (out_w - 1) * stride + kernel[1]


STRIDE_UNUSED = (
    "The stride is not used: the window of output (i, j) starts at (i * stride, j * stride)."
)

CONV2D_GRAD_WEIGHT = Exercise(
    name="conv2d_grad_weight",
    signature="conv2d_grad_weight(grad_output, x, kernel_size, stride, padding)",
    title="Backward through a convolution: the weights",
    minutes=35,
    difficulty="medium",
    points=3,
    prerequisites=("your `conv1d_kernel_gradient`", "stride and padding", "channels"),
    graded="values, shape and dtype, for any stride and padding, without torch's derivatives",
    reference=conv2d_grad_weight,
    cases=layers_for_weight,
    forbidden=("conv", *LIBRARY),
    mistakes=(
        Mistake(STRIDE_UNUSED, _weight_close_together),
        Mistake("x is not padded: the windows start in the frame.", _weight_without_frame),
        Mistake(
            "The kernel's gradient is rotated by 180°.",
            lambda *arguments: conv2d_grad_weight(*arguments).flip(2, 3),
        ),
        Mistake(
            "Input and output channels are exchanged: the shape is (o, c, kh, kw).",
            lambda *arguments: conv2d_grad_weight(*arguments).transpose(0, 1),
        ),
        Mistake(
            "Only the first image counts; all images use the same weights: add over them.",
            lambda delta, x, *layer: conv2d_grad_weight(delta[:1], x[:1], *layer),
        ),
        Mistake(
            "It is averaged over the images; add over them. The mean, if any, is in the loss.",
            lambda delta, x, *layer: conv2d_grad_weight(delta, x, *layer) / len(x),
        ),
        Mistake(
            "The pixels that a weight saw are added without grad_output.",
            lambda delta, *rest: conv2d_grad_weight(torch.ones_like(delta), *rest),
        ),
    ),
    hints=(
        "Look at one weight, as in one dimension: which pixel does it meet for output (i, j)?",
        "Pad x. For each place (a, b) of the kernel, the pixels it reads are seen = padded[:, :, "
        "a : a + (out_h - 1) * stride + 1 : stride, and the same with b]. It has the height and "
        "width of grad_output.",
        "grad_weight[:, :, a, b] = einsum('noij,ncij->oc', grad_output, seen).",
    ),
)


def _x_framed(delta, weight, size, stride, padding):
    return conv2d_grad_x(delta, weight, tuple(n + 2 * padding for n in size), stride, 0)


def _x_cropped(delta, weight, size, stride, padding):
    """Leave out the rows and columns that no window reaches."""
    rows, columns = _reach(delta, weight.shape[2:], stride)
    right = conv2d_grad_x(delta, weight, size, stride, padding)
    return right[:, :, : rows - 2 * padding, : columns - 2 * padding]


def _x_overwritten(delta, weight, size, stride, padding):
    """Let the last window that covers a pixel have it alone."""
    (h, w), (kh, kw) = size, weight.shape[2:]
    grad = weight.new_zeros(len(delta), weight.shape[1], h + 2 * padding, w + 2 * padding)
    for i, j in product(*map(range, delta.shape[2:])):
        window = torch.einsum("no,ocab->ncab", delta[:, :, i, j], weight)
        grad[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] = window
    return grad[:, :, padding : padding + h, padding : padding + w]


def _x_close_together(delta, weight, size, stride, padding):
    """Send the gradients back as if the windows lay one step apart."""
    (h, w), (rows, columns) = size, _reach(delta, weight.shape[2:], 1)
    grad = conv2d_grad_x(delta, weight, (rows, columns), 1, 0)
    return F.pad(grad, (-padding, w + padding - columns, -padding, h + padding - rows))


CONV2D_GRAD_X = Exercise(
    name="conv2d_grad_x",
    signature="conv2d_grad_x(grad_output, weight, size, stride, padding)",
    title="Backward through a convolution: the images",
    minutes=40,
    difficulty="hard",
    points=4,
    prerequisites=("your `conv2d_grad_weight`", "where a window lies with stride and padding"),
    graded="values, shape and dtype, for any stride and padding, without torch's derivatives",
    reference=conv2d_grad_x,
    cases=layers_for_x,
    forbidden=("conv", *LIBRARY),
    mistakes=(
        Mistake(
            "The kernel is rotated by 180°. Window by window it goes back as it came; in a "
            "correlation of grad_output it must be flipped.",
            lambda delta, weight, *layer: conv2d_grad_x(delta, weight.flip(2, 3), *layer),
        ),
        Mistake(
            "The frame of the padding is still there: cut it off, so that the shape is that of x.",
            _x_framed,
        ),
        Mistake(
            "The rows and columns that no window reaches are missing. Their gradient is 0: start "
            "from zeros of the shape of x.",
            _x_cropped,
        ),
        Mistake("Where windows overlap, the last one counts alone: add with `+=`.", _x_overwritten),
        Mistake(STRIDE_UNUSED, _x_close_together),
        Mistake(
            "Only the first output channel counts: a pixel is read by all of them. Add over o.",
            lambda delta, weight, *layer: conv2d_grad_x(delta[:, :1], weight[:1], *layer),
        ),
    ),
    hints=(
        "Which outputs read a pixel, and through which weight? Go the other way round: give each "
        "output's gradient back to the pixels of its window.",
        "Start from zeros of the padded shape, (n, c, h + 2 * padding, w + 2 * padding). For each "
        "place (a, b) of the kernel, the pixels it reads are rows a : a + (out_h - 1) * stride + 1 "
        ": stride, and the same with b.",
        "These pixels get += einsum('noij,oc->ncij', grad_output, weight[:, :, a, b]). Cut the "
        "frame off at the end.",
    ),
)


def conv_transpose2d(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Paint copies of the kernels: the package's function."""
    return backprop.conv_transpose2d(x, weight, None, stride)


# Images (n, c, h, w), kernels (o, kh, kw), stride: copies that overlap, that touch, with gaps.
PAINTINGS = [
    ((1, 1, 1, 1), (1, 2, 3), 1),
    ((1, 1, 1, 2), (1, 1, 2), 1),
    ((1, 1, 2, 2), (1, 2, 3), 2),
    ((1, 1, 3, 2), (1, 1, 2), 3),
    ((1, 2, 2, 3), (2, 3, 2), 2),
    ((2, 2, 3, 2), (3, 2, 2), 1),
    ((2, 3, 2, 3), (1, 3, 4), 2),
]


def paintings(random: Generator) -> list[Case]:
    """Draw small images and kernels of integers in float32, then two of decimals in float64."""
    fine = [((2, 2, 3, 4), (3, 3, 2), 2), ((1, 3, 4, 3), (2, 2, 4), 3)]
    return [_painting(random, *one, distinct_numbers) for one in PAINTINGS] + [
        _painting(random, *one, decimals) for one in fine
    ]


def _painting(
    random: Generator,
    shape: tuple[int, int, int, int],
    kernels: tuple[int, int, int],
    stride: int,
    draw: Callable[..., Tensor],
) -> Case:
    o, *kernel = kernels
    return Case(draw(random, *shape), draw(random, shape[1], o, *kernel), stride)


def _painted_over(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Let the last copy that covers a place have it alone."""
    y, (kh, kw) = torch.zeros_like(conv_transpose2d(x, weight, stride)), weight.shape[2:]
    for i, j in product(*map(range, x.shape[2:])):
        copy = torch.einsum("nc,coab->noab", x[:, :, i, j], weight)
        y[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] = copy
    return y


CONV_TRANSPOSE2D = Exercise(
    name="conv_transpose2d",
    signature="conv_transpose2d(x, weight, stride)",
    title="Every pixel paints a copy of the kernel",
    minutes=30,
    difficulty="hard",
    points=3,
    prerequisites=("your `conv2d_grad_x`", "channels"),
    graded="values, shape and dtype, for any stride, without torch's convolutions",
    reference=conv_transpose2d,
    cases=paintings,
    forbidden=("conv", *LIBRARY),
    mistakes=(
        Mistake(
            "The kernels are rotated by 180°: a copy is painted as it is.",
            lambda x, weight, stride: conv_transpose2d(x, weight.flip(2, 3), stride),
        ),
        Mistake(
            "Where copies overlap, the last one counts alone: add with `+=`.",
            _painted_over,
        ),
        Mistake(
            "The stride is not used: the copy of pixel (i, j) starts at (i * stride, j * stride).",
            lambda x, weight, stride: conv_transpose2d(x, weight, 1),
        ),
        Mistake(
            "There is room for another step: the last copy ends at (h - 1) * stride + kh.",
            lambda x, weight, stride: F.pad(
                conv_transpose2d(x, weight, stride), (0, stride, 0, stride)
            ),
        ),
        Mistake(
            "The end of the last copy is cut off: the height is (h - 1) * stride + kh.",
            lambda x, weight, stride: conv_transpose2d(x, weight, stride)[
                :, :, : x.shape[2] * stride, : x.shape[3] * stride
            ],
        ),
        Mistake(
            "Only the first channel paints: add over the input channels.",
            lambda x, weight, stride: conv_transpose2d(x[:, :1], weight[:1], stride),
        ),
        Mistake(
            "The copies are painted without the values of the pixels.",
            lambda x, weight, stride: conv_transpose2d(torch.ones_like(x), weight, stride),
        ),
    ),
    hints=(
        "How large is the result? The copy of the last pixel starts at (h - 1) * stride.",
        "Start from zeros. For each pixel (i, j) the rows i * stride : i * stride + kh, and the "
        "same columns, get += a copy of the kernels times the pixel.",
        "The copy of pixel (i, j), for all images and channels at once: einsum('nc,coab->noab', "
        "x[:, :, i, j], weight).",
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


def is_adjoint(forward: Callable, backward: Callable, size: tuple[int, int]) -> bool:
    """Compare two sums for one random draw, in float64."""
    x = torch.randn(size, dtype=torch.float64)
    y = forward(x)
    delta = torch.randn(y.shape, dtype=torch.float64)
    grad_x = backward(delta)
    return grad_x.shape == x.shape and _agree((y * delta).sum(), (x * grad_x).sum())


def _agree(left: Tensor, right: Tensor) -> bool:
    return bool(abs(left - right) < 1e-8)


# Size of the image, of the kernel, stride, padding; and what is wrong with the way back.
PROGRAMS = [
    ((1, 3), (1, 2), 1, 0, "nothing"),
    ((3, 2), (2, 1), 1, 0, "turned"),
    ((3, 4), (2, 2), 1, 0, "overwritten"),
    ((4, 3), (2, 3), 1, 0, "nothing"),
    ((4, 4), (2, 2), 2, 0, "turned"),
    ((5, 4), (3, 2), 1, 1, "frame"),
    ((4, 5), (2, 3), 1, 0, "last output"),
    ((5, 6), (3, 3), 2, 0, "nothing"),
    ((5, 4), (2, 3), 1, 1, "moved"),
    ((4, 6), (3, 2), 1, 0, "halved"),
    ((6, 5), (3, 2), 1, 1, "one weight"),
    ((6, 7), (3, 2), 2, 1, "nothing"),
]


def programs(random: Generator) -> list[Case]:
    """Draw kernels without symmetry, and give a way there with a way back, right or wrong."""
    return [_program(random, *one) for one in PROGRAMS]


def _program(
    random: Generator,
    size: tuple[int, int],
    kernel_size: tuple[int, int],
    stride: int,
    padding: int,
    fault: str,
) -> Case:
    kernel = distinct_numbers(random, *kernel_size, dtype=torch.float64)
    layer = kernel, stride, padding
    return Case(Call("layer", *layer), Call("way_back", *layer, size, fault), size)


def _with_ones(forward: Callable, backward: Callable, size: tuple[int, int]) -> bool:
    """Compare the sums where x and delta are 1 everywhere."""
    x = torch.ones(size, dtype=torch.float64)
    y = forward(x)
    grad_x = backward(torch.ones_like(y))
    return grad_x.shape == x.shape and _agree(y.sum(), grad_x.sum())


def _shapes_only(forward: Callable, backward: Callable, size: tuple[int, int]) -> bool:
    y = forward(torch.ones(size, dtype=torch.float64))
    return tuple(backward(y).shape) == tuple(size)


IS_ADJOINT = Exercise(
    name="is_adjoint",
    signature="is_adjoint(forward, backward, size)",
    title="Check a gradient of which you know no value",
    minutes=20,
    difficulty="medium",
    points=2,
    prerequisites=("the adjoint test", "random tensors"),
    graded="the verdict on programs with and without a fault, without torch's derivatives",
    reference=is_adjoint,
    cases=programs,
    functions={"layer": given.layer, "way_back": given.way_back},
    forbidden=LIBRARY,
    mistakes=(
        Mistake("Every program is accepted.", lambda *arguments: True),
        Mistake(
            "Every program is refused. The sums of a right one agree but for rounding; and a way "
            "back is the transpose, not the inverse.",
            lambda *arguments: False,
        ),
        Mistake(
            "Only the shapes are compared; compare the two sums as well.",
            _shapes_only,
        ),
        Mistake(
            "A picture of ones looks the same to a kernel and to the turned one: draw x and delta "
            "at random.",
            _with_ones,
        ),
    ),
    hints=(
        "Draw x of the given size with torch.randn, in float64. What has the shape of delta?",
        "y = forward(x), delta = torch.randn(y.shape, dtype=torch.float64), g = backward(delta). "
        "Look at the shape of g first.",
        "Return True if (y * delta).sum() and (x * g).sum() agree but for rounding; "
        "torch.isclose(a, b).item() says so.",
    ),
)

EXERCISES = (
    NUMERIC_GRADIENT,
    CONV1D_KERNEL_GRADIENT,
    CONV2D_GRAD_BIAS,
    CONV2D_GRAD_WEIGHT,
    CONV2D_GRAD_X,
    CONV_TRANSPOSE2D,
    MAX_POOL2D_BACKWARD,
    IS_ADJOINT,
)
