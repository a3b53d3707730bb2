"""Many channels in, many channels out, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor, nn

from cnncourse.channels import conv1x1, conv2d, im2col
from cnncourse.checks.exercise import Call, Case, Exercise, Mistake, decimals, whole_numbers
from cnncourse.checks.given import channels as given
from cnncourse.cross_correlation import convolve2d
from cnncourse.layer_table import layer_table
from cnncourse.windows import windows

# Shapes of x and weight, stride, padding: one thing more in each, then all of it together, and at
# last a kernel as large as the picture, more padding than kernel, and large kernels.
WHOLE_LAYERS = [
    ((1, 1, 4, 2), (1, 1, 2, 1), 1, 0),
    ((1, 1, 2, 5), (1, 1, 1, 2), 1, 0),
    ((1, 2, 3, 3), (1, 2, 2, 2), 1, 0),
    ((1, 1, 3, 5), (2, 1, 2, 2), 1, 0),
    ((1, 1, 4, 6), (1, 1, 3, 2), 2, 0),
    ((1, 1, 3, 5), (1, 1, 3, 2), 1, 1),
    ((2, 2, 5, 6), (3, 2, 3, 2), 2, 1),
    ((1, 1, 2, 3), (1, 1, 2, 3), 1, 0),
    ((3, 1, 3, 2), (2, 1, 1, 2), 1, 3),
    ((1, 1, 6, 7), (1, 1, 4, 5), 1, 0),
]
FINE_LAYERS = [
    ((2, 3, 7, 9), (4, 3, 3, 2), 3, 2),
    ((1, 2, 5, 5), (2, 2, 3, 3), 1, 0),
]
ROUGH_LAYER = ((1, 2, 4, 3), (2, 2, 2, 2), 1, 1)


def layers(random: Generator) -> list[Case]:
    """Draw layers of whole numbers in float32, then of decimals: two in float64, one in float32."""
    single = partial(decimals, dtype=torch.float32)
    layers = [(whole_numbers, *layer) for layer in WHOLE_LAYERS]
    layers += [(decimals, *layer) for layer in FINE_LAYERS] + [(single, *ROUGH_LAYER)]
    return [
        Case(*(draw(random, *shape) for shape in (x, weight, weight[:1])), *steps)
        for draw, x, weight, *steps in layers
    ]


CONV2D = Exercise(
    name="conv2d",
    signature="conv2d(x, weight, bias, stride, padding)",
    title="A convolutional layer",
    minutes=40,
    difficulty="medium",
    points=4,
    prerequisites=("`corr2d` of [chapter](cross_correlation)", "stride and padding"),
    graded="values, shape and dtype for any number of channels, without torch's convolution",
    reference=conv2d,
    cases=layers,
    forbidden=("conv",),
    mistakes=(
        Mistake(
            "This is what convolution gives: the kernels look flipped. A layer takes them as they "
            "are.",
            lambda x, weight, *rest: conv2d(x, weight.flip(2, 3), *rest),
        ),
        Mistake(
            "The bias is missing: add bias[o] to every number of output channel o.",
            lambda x, weight, bias, *rest: conv2d(x, weight, None, *rest),
        ),
        Mistake(
            "The bias is added once for every input channel; it belongs outside of that sum.",
            lambda x, weight, bias, *rest: conv2d(x, weight, bias * weight.shape[1], *rest),
        ),
        Mistake(
            "The bias is added to every product; it belongs outside of the sum.",
            lambda x, weight, bias, *rest: conv2d(x, weight, bias * weight[0].numel(), *rest),
        ),
        Mistake(
            "Only the first input channel counts: add up all of them.",
            lambda x, weight, *rest: conv2d(x[:, :1], weight[:, :1], *rest),
        ),
        Mistake(
            "Only the last input channel counts: add up the channels with `+=` or `.sum()`.",
            lambda x, weight, *rest: conv2d(x[:, -1:], weight[:, -1:], *rest),
        ),
        Mistake(
            "The input channels are averaged; they should be added.",
            lambda x, weight, *rest: conv2d(x, weight / weight.shape[1], *rest),
        ),
        Mistake(
            "Every output channel uses the first kernel: channel o needs weight[o].",
            lambda x, weight, *rest: conv2d(x, weight[:1].expand_as(weight), *rest),
        ),
        Mistake(
            "The padding is missing.",
            lambda x, weight, bias, stride, padding: conv2d(x, weight, bias, stride),
        ),
        Mistake(
            "The padding counts as a total; it is per side: `padding` rows above and below, and as "
            "many columns left and right.",
            lambda x, weight, bias, stride, padding: conv2d(
                F.pad(x, (padding // 2, padding - padding // 2) * 2), weight, bias, stride
            ),
        ),
        Mistake(
            "The padding lies only above and to the left: the other two sides need it too.",
            lambda x, weight, bias, stride, padding: conv2d(
                F.pad(x, (padding, 0, padding, 0)), weight, bias, stride
            ),
        ),
        Mistake(
            "The padding lies only below and to the right: the other two sides need it too.",
            lambda x, weight, bias, stride, padding: conv2d(
                F.pad(x, (0, padding, 0, padding)), weight, bias, stride
            ),
        ),
        Mistake(
            "The padding is doubled: it is `padding` rows above and `padding` below already.",
            lambda x, weight, bias, stride, padding: conv2d(x, weight, bias, stride, 2 * padding),
        ),
        Mistake(
            "Only rows are padded; columns need it too.",
            lambda x, weight, bias, stride, padding: conv2d(x, weight, bias, stride, (padding, 0)),
        ),
        Mistake(
            "Only columns are padded; rows need it too.",
            lambda x, weight, bias, stride, padding: conv2d(x, weight, bias, stride, (0, padding)),
        ),
        Mistake(
            "The padding repeats the border of the picture; it should be zeros.",
            lambda x, weight, bias, stride, padding: conv2d(
                F.pad(x, (padding,) * 4, mode="replicate"), weight, bias, stride
            ),
        ),
        Mistake(
            "The stride is ignored.",
            lambda x, weight, bias, stride, padding: conv2d(x, weight, bias, 1, padding),
        ),
        Mistake(
            "The shape is right, but the windows lie one step apart: window (i, j) starts at row "
            "i * stride and column j * stride.",
            lambda x, weight, bias, stride, padding: _crowded(x, weight, bias, stride, padding),
        ),
        Mistake(
            "The stride counts for rows only.",
            lambda x, weight, bias, stride, padding: conv2d(x, weight, bias, (stride, 1), padding),
        ),
        Mistake(
            "The stride counts for columns only.",
            lambda x, weight, bias, stride, padding: conv2d(x, weight, bias, (1, stride), padding),
        ),
        Mistake(
            "A last window hangs over the edge: where the division by the stride leaves a "
            "remainder, round down.",
            lambda x, weight, bias, stride, padding: conv2d(
                F.pad(x, (padding, padding + stride - 1) * 2), weight, bias, stride
            ),
        ),
    ),
    hints=(
        "Begin with stride 1 and no padding. Which numbers of x does one output see, and how many "
        "are they? Their products are all added, over channels too.",
        "Pad first and forget about it: padded = x.new_zeros(n, c, h + 2 * padding, w + 2 * "
        "padding), with x in the middle. Then (h + 2 * padding - kh) // stride + 1 windows fit "
        "one below the other.",
        "Two loops over i and j: window = padded[:, :, i * stride : i * stride + kh, j * stride : "
        "j * stride + kw], and y[:, o, i, j] = (window * weight[o]).sum((1, 2, 3)) + bias[o] for "
        "every o.",
    ),
)


def _crowded(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    """Convolve with windows one step apart, as many as the stride leaves."""
    out_h, out_w = conv2d(x, weight, bias, stride, padding).shape[2:]
    return conv2d(x, weight, bias, 1, padding)[..., :out_h, :out_w]


def mixtures(random: Generator) -> list[Case]:
    """Draw images and 1x1 kernels of whole numbers in float32, then two in float64."""
    whole = [
        *(((1, 2, 1, 3), 2), ((1, 2, 4, 1), 3), ((1, 3, 2, 2), 2), ((2, 2, 3, 4), 2)),
        # One channel out, one in, and one of each.
        *(((1, 2, 3, 2), 1), ((2, 1, 2, 3), 2), ((1, 1, 3, 2), 1), ((3, 2, 2, 3), 4)),
    ]
    fine = [((2, 4, 3, 5), 3), ((1, 3, 4, 4), 3)]
    return [
        Case(draw(random, *shape), draw(random, o, shape[1], 1, 1))
        for draw, sizes in ((whole_numbers, whole), (decimals, fine))
        for shape, o in sizes
    ]


CONV1X1 = Exercise(
    name="conv1x1",
    signature="conv1x1(x, weight)",
    title="A dense layer in every pixel",
    minutes=15,
    difficulty="easy",
    points=2,
    prerequisites=("matrix products or `torch.einsum`",),
    graded="values, shape and dtype, without torch's convolution",
    reference=conv1x1,
    cases=mixtures,
    forbidden=("conv",),
    mistakes=(
        Mistake(
            "The weights are read in the wrong order: the output channel is the first axis of "
            "weight, so the matrix has o rows and c columns.",
            lambda x, weight: conv1x1(x, weight.reshape(weight.shape[1], -1).T),
        ),
        Mistake(
            "The channels are averaged; they should be added.",
            lambda x, weight: conv1x1(x, weight / weight.shape[1]),
        ),
        Mistake(
            "The channels are added without their weights.",
            lambda x, weight: conv1x1(x, torch.ones_like(weight)),
        ),
        Mistake(
            "Only the first channel of x counts.",
            lambda x, weight: conv1x1(x[:, :1], weight[:, :1]),
        ),
        Mistake(
            "Only the last channel of x counts: add up the channels with `+=` or `.sum()`.",
            lambda x, weight: conv1x1(x[:, -1:], weight[:, -1:]),
        ),
        Mistake(
            "Every output channel uses the first row of weights.",
            lambda x, weight: conv1x1(x, weight[:1].expand_as(weight)),
        ),
        Mistake(
            "x is cut into pixels by `reshape` alone, which mixes channels with places: bring the "
            "channels to the end first, with `permute(0, 2, 3, 1)`.",
            lambda x, weight: conv1x1(_cut(x), weight),
        ),
        Mistake(
            "The values are right, but the channels come last: the result has shape (n, o, h, w).",
            lambda x, weight: conv1x1(x, weight).permute(0, 2, 3, 1),
        ),
        Mistake(
            "The values are right, but a `reshape` put them in wrong places: move the channels "
            "back with `permute(0, 3, 1, 2)`.",
            lambda x, weight: _scrambled(conv1x1(x, weight)),
        ),
    ),
    hints=(
        "Take a single pixel. It has c numbers, one a channel, and should get o numbers. Which "
        "kind of layer does that?",
        "For one image: a matrix of shape (o, c) times a matrix of shape (c, h * w). The first is "
        "weight without its last two axes. Where is the second?",
        'torch.einsum("oc,nchw->nohw", weight[:, :, 0, 0], x), or weight[:, :, 0, 0] @ x.flatten(2)'
        " and back to (n, o, h, w).",
    ),
)


def _cut(x: Tensor) -> Tensor:
    """Read an image (n, c, h, w) as if its channels lay last in memory."""
    n, c, h, w = x.shape
    return x.reshape(n, h, w, c).permute(0, 3, 1, 2)


def _scrambled(y: Tensor) -> Tensor:
    """Give channels that lie last the shape of an image without moving them."""
    return y.permute(0, 2, 3, 1).reshape(y.shape)


def windowed(random: Generator) -> list[Case]:
    """Draw images of whole numbers and window sizes, one square, then two in float64."""
    whole = [
        ((1, 1, 2, 4), (1, 2)),
        ((1, 1, 4, 2), (2, 1)),
        ((1, 1, 3, 3), (2, 2)),
        ((1, 2, 2, 3), (1, 2)),
        ((1, 2, 4, 5), (2, 3)),
        ((2, 3, 5, 4), (3, 2)),
        # One window, and one row of windows; larger ones; three images.
        ((1, 1, 2, 3), (2, 3)),
        ((1, 2, 3, 4), (3, 2)),
        ((1, 1, 6, 5), (4, 2)),
        ((3, 1, 3, 4), (2, 2)),
    ]
    fine = [((1, 2, 4, 4), (2, 2)), ((2, 2, 4, 6), (3, 2))]
    return [
        Case(draw(random, *shape), *size)
        for draw, sizes in ((whole_numbers, whole), (decimals, fine))
        for shape, size in sizes
    ]


IM2COL = Exercise(
    name="im2col",
    signature="im2col(x, kh, kw)",
    title="Windows as columns",
    minutes=25,
    difficulty="medium",
    points=3,
    prerequisites=("`reshape` and `permute`",),
    graded="values, shape and dtype for windows of any size, without torch's unfold function",
    reference=lambda x, kh, kw: im2col(x, (kh, kw)),
    cases=windowed,
    forbidden=("im2col", "conv"),
    mistakes=(
        Mistake(
            "The window is kw by kh: its height is the second argument, its width the third.",
            lambda x, kh, kw: im2col(x, (kw, kh)),
        ),
        Mistake(
            "The right numbers, cut wrongly: `reshape` keeps the order of memory, so `permute` the "
            "axes to (n, c, kh, kw, rows, columns) before.",
            lambda x, kh, kw: windows(x, (kh, kw)).reshape(_shape(x, kh, kw)),
        ),
        Mistake(
            "In a column the window is read column by column; read it row by row.",
            lambda x, kh, kw: _reorder(x, kh, kw, (0, 1, 3, 2, 4, 5)),
        ),
        Mistake(
            "In a column the channels come last; a whole window of the first channel comes first.",
            lambda x, kh, kw: _reorder(x, kh, kw, (0, 2, 3, 1, 4, 5)),
        ),
        Mistake(
            "The windows are taken down first; take them row by row: the second column is the "
            "window one step to the right.",
            lambda x, kh, kw: _reorder(x, kh, kw, (0, 1, 2, 3, 5, 4)),
        ),
        Mistake(
            "The windows jump by their own size; they should overlap, one step apart.",
            lambda x, kh, kw: im2col(x, (kh, kw), stride=(kh, kw)),
        ),
        Mistake(
            "The channels are kept apart: one column holds the window of every channel, "
            "c * kh * kw numbers.",
            lambda x, kh, kw: im2col(x, (kh, kw)).unflatten(1, (x.shape[1], -1)),
        ),
        Mistake(
            "The places are kept apart: put rows and columns of windows in one axis.",
            lambda x, kh, kw: im2col(x, (kh, kw)).unflatten(2, (x.shape[2] - kh + 1, -1)),
        ),
        Mistake(
            "The windows of the last row and the last column are missing.",
            lambda x, kh, kw: im2col(x[..., :-1, :-1], (kh, kw)),
        ),
        Mistake(
            "The windows are read backwards: a column begins with the window's top left number.",
            lambda x, kh, kw: _backwards(im2col(x, (kh, kw)), x.shape[1]),
        ),
    ),
    hints=(
        "For a picture with 3 rows and 4 columns and windows of 2 by 2, how many windows are "
        "there, and how many numbers has one? Write down the first two columns by hand.",
        "x.unfold(2, kh, 1).unfold(3, kw, 1) gives every window, with axes (n, c, rows, columns, "
        "kh, kw). The result wants (n, c, kh, kw, rows, columns), some of them merged.",
        "windows.permute(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, rows * columns). With loops: "
        "column i * columns + j is x[:, :, i : i + kh, j : j + kw].flatten(1).",
    ),
)


def _shape(x: Tensor, kh: int, kw: int) -> tuple[int, ...]:
    return im2col(x, (kh, kw)).shape


def _reorder(x: Tensor, kh: int, kw: int, order: tuple[int, ...]) -> Tensor:
    """Exchange axes of (n, c, kh, kw, rows, columns), then merge them into columns."""
    right = windows(x, (kh, kw)).permute(0, 1, 4, 5, 2, 3)
    return right.permute(order).reshape(_shape(x, kh, kw))


def _backwards(columns: Tensor, channels: int) -> Tensor:
    """Rotate every window by 180°, inside its column."""
    return columns.unflatten(1, (channels, -1)).flip(2).flatten(1, 2)


def count(c_in: int, c_out: int, kh: int, kw: int, h_out: int, w_out: int) -> tuple[int, int]:
    """Ask the course's table of layers."""
    layer = nn.Sequential(nn.Conv2d(c_in, c_out, (kh, kw), device="meta"))
    table = layer_table(layer, (c_in, h_out + kh - 1, w_out + kw - 1))
    return table.parameters, table.multiply_adds


def sizes_of_layers(random: Generator) -> list[Case]:
    """Two layers to count by hand, one of the chapter, three drawn ones."""
    drawn = torch.randint(2, 10, (3, 6), generator=random).tolist()
    # Different prime numbers: no factor can stand for another.
    return [
        Case(1, 2, 2, 3, 1, 1),
        Case(2, 3, 1, 2, 2, 4),
        Case(3, 10, 5, 5, 32, 32),
        Case(3, 5, 2, 7, 11, 13),
        *(Case(*sizes) for sizes in drawn),
    ]


def _otherwise(item: int, formula: Callable) -> Callable:
    """Make an answer that gets one of the two numbers by another formula."""

    def wrong(*sizes: int) -> tuple:
        numbers = list(count(*sizes))
        numbers[item] = formula(*sizes)
        return tuple(numbers)

    return wrong


CONV_COST = Exercise(
    name="conv_cost",
    signature="conv_cost(c_in, c_out, kh, kw, h_out, w_out)",
    returns=("parameters", "multiply_adds"),
    title="What a layer costs",
    minutes=10,
    difficulty="easy",
    points=2,
    prerequisites=("the shape of a layer's weights",),
    graded="both integers, for any sizes",
    reference=count,
    cases=sizes_of_layers,
    mistakes=(
        Mistake(
            "The bias is missing: one more number for each output channel.",
            _otherwise(0, lambda i, o, kh, kw, h, w: i * o * kh * kw),
        ),
        Mistake(
            "There is a bias for each input channel; it is one for each output channel.",
            _otherwise(0, lambda i, o, kh, kw, h, w: i * o * kh * kw + i),
        ),
        Mistake(
            "There is one bias for the whole layer; it is one for each output channel.",
            _otherwise(0, lambda i, o, kh, kw, h, w: i * o * kh * kw + 1),
        ),
        Mistake(
            "There is a bias for each pair of channels; it is one for each output channel.",
            _otherwise(0, lambda i, o, kh, kw, h, w: i * o * (kh * kw + 1)),
        ),
        Mistake(
            "There is a bias for each place of the output; all places share it, as they share the "
            "weights.",
            _otherwise(0, lambda i, o, kh, kw, h, w: i * o * kh * kw + o * h * w),
        ),
        Mistake(
            "The input channels are missing: each kernel has c_in layers of kh * kw weights.",
            _otherwise(0, lambda i, o, kh, kw, h, w: o * kh * kw + o),
        ),
        Mistake(
            "The output channels are missing: there are c_out kernels, each with its bias.",
            _otherwise(0, lambda i, o, kh, kw, h, w: i * kh * kw + 1),
        ),
        Mistake(
            "The kernel counts as kh * kh; it has kw columns.",
            _otherwise(0, lambda i, o, kh, kw, h, w: i * o * kh * kh + o),
        ),
        Mistake(
            "Every weight counts at each place of the output; the places share the weights.",
            _otherwise(0, lambda i, o, kh, kw, h, w: (i * kh * kw + 1) * o * h * w),
        ),
        Mistake(
            "The bias counts as a multiply-add; nothing is multiplied there.",
            _otherwise(1, lambda i, o, kh, kw, h, w: (i * kh * kw + 1) * o * h * w),
        ),
        Mistake(
            "Products and sums count as two; a product that is added is one multiply-add.",
            _otherwise(1, lambda i, o, kh, kw, h, w: 2 * i * o * kh * kw * h * w),
        ),
        Mistake(
            "The input channels are missing: each output adds up c_in * kh * kw products.",
            _otherwise(1, lambda i, o, kh, kw, h, w: o * kh * kw * h * w),
        ),
        Mistake(
            "The output channels are missing: there are c_out * h_out * w_out outputs.",
            _otherwise(1, lambda i, o, kh, kw, h, w: i * kh * kw * h * w),
        ),
        Mistake(
            "The places are missing: every weight is used h_out * w_out times.",
            _otherwise(1, lambda i, o, kh, kw, h, w: i * o * kh * kw),
        ),
        Mistake(
            "The window is missing: each output adds up c_in * kh * kw products.",
            _otherwise(1, lambda i, o, kh, kw, h, w: i * o * h * w),
        ),
    ),
    hints=(
        "Count the numbers in weight, whose shape is (c_out, c_in, kh, kw), and those in bias.",
        "How many products does one output add up? How many outputs are there, over all channels "
        "and places?",
        "parameters = c_out * (c_in * kh * kw + 1), and multiply_adds = (c_in * kh * kw) for each "
        "of c_out * h_out * w_out outputs.",
    ),
)


LAYER = Call("one_group")
# Shapes of x and weight, groups; one image, one channel a group, then more of each.
GROUPED = [
    ((1, 2, 1, 3), (2, 1, 1, 2), 2),
    ((1, 2, 2, 2), (4, 1, 1, 1), 2),
    ((1, 4, 2, 3), (2, 2, 1, 2), 2),
    ((1, 4, 3, 2), (4, 2, 2, 1), 2),
    ((1, 2, 3, 4), (3, 2, 2, 2), 1),
    ((2, 3, 4, 3), (3, 1, 2, 3), 3),
    ((1, 6, 3, 5), (9, 2, 3, 2), 3),
    ((3, 4, 3, 4), (8, 1, 2, 2), 4),
]
FINE_GROUPED = [((2, 6, 5, 4), (4, 3, 2, 3), 2), ((1, 6, 4, 4), (6, 2, 3, 3), 3)]


def layers_in_groups(random: Generator) -> list[Case]:
    """Draw layers of whole numbers in float32, then two of decimals in float64."""
    return [
        Case(draw(random, *x), draw(random, *weight), groups, LAYER)
        for draw, sizes in ((whole_numbers, GROUPED), (decimals, FINE_GROUPED))
        for x, weight, groups in sizes
    ]


def _grouped(x: Tensor, weight: Tensor, groups: int, layer: object = None) -> Tensor:
    return conv2d(x, weight, groups=groups)


def _dealt(x: Tensor, groups: int) -> Tensor:
    """Order channels as if they had been dealt out to the groups one by one."""
    return torch.cat([x[:, first::groups] for first in range(groups)], dim=1)


def _gathered(y: Tensor, groups: int) -> Tensor:
    """Order output channels by their place in the group first."""
    return y.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


GROUPED_CONV2D = Exercise(
    name="grouped_conv2d",
    signature="grouped_conv2d(x, weight, groups, layer)",
    title="A layer in groups",
    minutes=20,
    difficulty="medium",
    points=2,
    prerequisites=("`chunk` and `cat`, or slices",),
    graded="values, shape and dtype for any number of groups, without torch's convolution",
    reference=_grouped,
    cases=layers_in_groups,
    forbidden=("conv",),
    functions={"one_group": given.one_group},
    mistakes=(
        Mistake(
            "The channels are dealt out one by one; a group is a run of neighbours: channels 0, 1, "
            "... in the first one.",
            lambda x, weight, groups, layer: _grouped(_dealt(x, groups), weight, groups),
        ),
        Mistake(
            "Every output channel sees the first group of input channels.",
            lambda x, weight, groups, layer: _grouped(
                torch.cat([x[:, : weight.shape[1]]] * groups, dim=1), weight, groups
            ),
        ),
        Mistake(
            "Every group uses the kernels of the first one: group g has its own run of o / groups "
            "kernels.",
            lambda x, weight, groups, layer: _grouped(
                x, torch.cat([weight[: len(weight) // groups]] * groups), groups
            ),
        ),
        Mistake(
            "The kernels are dealt out to the groups one by one; the first o / groups kernels "
            "belong to the first group.",
            lambda x, weight, groups, layer: _grouped(x, _dealt(weight[None], groups)[0], groups),
        ),
        Mistake(
            "The results of the groups are added; put them behind each other, with `torch.cat`.",
            lambda x, weight, groups, layer: (
                _grouped(x, weight, groups).unflatten(1, (groups, -1)).sum(1)
            ),
        ),
        Mistake(
            "The output channels of the groups alternate; those of the first group come first, "
            "then those of the second.",
            lambda x, weight, groups, layer: _gathered(_grouped(x, weight, groups), groups),
        ),
        Mistake(
            "The groups are stacked on an axis of their own; put their channels into one axis, "
            "with `torch.cat`.",
            lambda x, weight, groups, layer: _grouped(x, weight, groups).unflatten(1, (groups, -1)),
        ),
        Mistake(
            "Only the first group is there.",
            lambda x, weight, groups, layer: _grouped(x, weight, groups)[
                :, : len(weight) // groups
            ],
        ),
    ),
    hints=(
        "With 4 channels, 2 groups and 6 kernels: which channels and which kernels belong to the "
        "first group? How many output channels does it give?",
        "Cut x along its channels into `groups` equal pieces, and weight along its first axis. "
        "Each piece of x goes with one piece of weight, as a layer of its own.",
        "pairs = zip(x.chunk(groups, dim=1), weight.chunk(groups)), then torch.cat([layer(*pair) "
        "for pair in pairs], dim=1).",
    ),
)


def separable(c_in: int, c_out: int, k: int, h_out: int, w_out: int) -> tuple[int, float]:
    """Ask the course's table of layers for a depthwise layer with a 1x1 layer behind it."""
    size = (c_in, h_out + k - 1, w_out + k - 1)
    full = nn.Sequential(nn.Conv2d(c_in, c_out, k, device="meta"))
    pair = nn.Sequential(
        nn.Conv2d(c_in, c_in, k, groups=c_in, device="meta"),
        nn.Conv2d(c_in, c_out, 1, device="meta"),
    )
    cost = layer_table(pair, size).multiply_adds
    return cost, cost / layer_table(full, size).multiply_adds


def sizes_of_pairs(random: Generator) -> list[Case]:
    """Give two pairs to count by hand, one that keeps its channels, one of primes, three drawn."""
    drawn = torch.randint(2, 10, (3, 5), generator=random).tolist()
    return [
        Case(1, 2, 2, 1, 1),
        Case(2, 3, 1, 2, 4),
        Case(8, 8, 3, 32, 32),
        Case(5, 7, 3, 11, 13),
        *(Case(*sizes) for sizes in drawn),
    ]


def _counted(cost: Callable) -> Callable:
    """Make an answer with another count."""
    return lambda *sizes: (cost(*sizes), separable(*sizes)[1])


def _shared(change: Callable) -> Callable:
    """Make an answer with another share."""

    def wrong(*sizes: int) -> tuple:
        count, share = separable(*sizes)
        return count, change(share)

    return wrong


SEPARABLE_COST = Exercise(
    name="separable_cost",
    signature="separable_cost(c_in, c_out, k, h_out, w_out)",
    returns=("multiply_adds", "share"),
    title="What a separable layer costs",
    minutes=15,
    difficulty="easy",
    points=2,
    prerequisites=("your `conv_cost`",),
    graded="both numbers, for any sizes",
    reference=separable,
    cases=sizes_of_pairs,
    mistakes=(
        Mistake(
            "The 1×1 layer is missing.",
            _counted(lambda i, o, k, h, w: i * k * k * h * w),
        ),
        Mistake(
            "The depthwise layer is missing.",
            _counted(lambda i, o, k, h, w: i * o * h * w),
        ),
        Mistake(
            "The depthwise layer has one kernel for each input channel, and gives c_in maps: there "
            "is no c_out in it.",
            _counted(lambda i, o, k, h, w: (o * k * k + i * o) * h * w),
        ),
        Mistake(
            "The first layer is a full one; a depthwise kernel sees one channel.",
            _counted(lambda i, o, k, h, w: (i * i * k * k + i * o) * h * w),
        ),
        Mistake(
            "The kernel counts as k; it has k rows and k columns.",
            _counted(lambda i, o, k, h, w: (i * k + i * o) * h * w),
        ),
        Mistake(
            "The places are missing: every weight is used h_out * w_out times.",
            _counted(lambda i, o, k, h, w: i * k * k + i * o),
        ),
        Mistake(
            "The two layers are multiplied; they follow each other, so their work adds up.",
            _counted(lambda i, o, k, h, w: i * k * k * i * o * h * w),
        ),
        Mistake(
            "These are the multiply-adds of the full layer.",
            _counted(lambda i, o, k, h, w: i * o * k * k * h * w),
        ),
        Mistake(
            "The share is upside down: divide the multiply-adds of the pair by those of the full "
            "layer.",
            _shared(lambda share: 1 / share),
        ),
        Mistake(
            "This is the share that is saved; return the one that is left.",
            _shared(lambda share: 1 - share),
        ),
        Mistake(
            "The share is in percent; return a number such as 0.25.",
            _shared(lambda share: 100 * share),
        ),
    ),
    hints=(
        "How many products does one output of the depthwise layer add up? How many outputs has it?",
        "The same two questions for the 1×1 layer. Then add the two counts.",
        "multiply_adds = h_out * w_out * c_in * (k * k + c_out); the full layer has h_out * w_out "
        "* c_in * c_out * k * k.",
    ),
)


def pairs_of_kernels(random: Generator) -> list[Case]:
    """Draw pairs of kernels of whole numbers in float32, then two of decimals in float64."""
    whole = [
        ((1, 2), (1, 2)),
        ((2, 1), (1, 3)),
        ((2, 2), (2, 2)),
        ((1, 3), (2, 2)),
        ((2, 3), (3, 2)),
        ((4, 2), (2, 3)),
    ]
    fine = [((3, 3), (2, 2)), ((2, 4), (3, 3))]
    return [
        Case(*(draw(random, *size) for size in pair))
        for draw, pairs in ((whole_numbers, whole), (decimals, fine))
        for pair in pairs
    ]


def _added(k1: Tensor, k2: Tensor) -> Tensor:
    """Add two kernels, each with zeros below and to the right up to the larger size."""
    h, w = (max(sizes) for sizes in zip(k1.shape, k2.shape, strict=True))
    return sum(F.pad(k, (0, w - k.shape[1], 0, h - k.shape[0])) for k in (k1, k2))


COMPOSE_KERNELS = Exercise(
    name="compose_kernels",
    signature="compose_kernels(k1, k2)",
    title="Two layers in one",
    minutes=20,
    difficulty="medium",
    points=2,
    prerequisites=("`corr2d` and `convolve2d` of [chapter](cross_correlation)",),
    graded="values, shape and dtype of the kernel, for any two sizes",
    reference=convolve2d,
    cases=pairs_of_kernels,
    mistakes=(
        Mistake(
            "k2 is rotated by 180°: two cross-correlations compose by a convolution of "
            "their kernels.",
            lambda k1, k2: convolve2d(k1, k2.flip(0, 1)),
        ),
        Mistake(
            "k1 is rotated by 180°: two cross-correlations compose by a convolution of "
            "their kernels.",
            lambda k1, k2: convolve2d(k1.flip(0, 1), k2),
        ),
        Mistake(
            "The kernel is rotated by 180°: flip both axes.",
            lambda k1, k2: convolve2d(k1, k2).flip(0, 1),
        ),
        Mistake(
            "The kernels are added; one layer after the other multiplies their weights.",
            _added,
        ),
        Mistake(
            "The kernel is as large as k1; two windows one after the other see more than one.",
            lambda k1, k2: convolve2d(k1, k2, mode="same"),
        ),
        Mistake(
            "The kernel is too small: it has h1 + h2 - 1 rows and w1 + w2 - 1 columns.",
            lambda k1, k2: convolve2d(k1, k2)[:-1, :-1],
        ),
        Mistake(
            "The kernel is one row and one column too large: it has h1 + h2 - 1 rows and "
            "w1 + w2 - 1 columns.",
            lambda k1, k2: F.pad(convolve2d(k1, k2), (0, 1, 0, 1)),
        ),
        Mistake(
            "This is the outer product of the kernels, cut into a matrix: products that meet the "
            "same pixel of the picture must be added.",
            torch.kron,
        ),
    ),
    hints=(
        "Do it in one dimension, with k1 = (a, b) and k2 = (c, d). Write out the two outputs of "
        "the first layer that the second one sees, and put them into it. What stands at x[1]?",
        "The weight k2[i, j] meets the first layer's output that lies (i, j) further on. So k1 "
        "contributes a copy of itself, shifted by (i, j) and multiplied by k2[i, j].",
        "k = zeros of shape (h1 + h2 - 1, w1 + w2 - 1), and for every i and j: "
        "k[i : i + h1, j : j + w1] += k2[i, j] * k1.",
    ),
)

EXERCISES = (
    *(CONV2D, CONV1X1, IM2COL, CONV_COST, GROUPED_CONV2D, SEPARABLE_COST),
    COMPOSE_KERNELS,
)
