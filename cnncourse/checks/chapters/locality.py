"""A convolution as a matrix, how far a stack sees, what sharing saves, a stack under a budget."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from cnncourse.checks.exercise import Case, Exercise, Mistake, decimals, whole_numbers
from cnncourse.locality import conv_matrix
from cnncourse.receptive_field import receptive_field

# Kernel, then height and width of the picture.
KERNELS = [
    ((1, 2), (2, 3)),
    ((2, 1), (3, 2)),
    ((2, 2), (3, 3)),
    ((2, 2), (3, 4)),
    ((2, 3), (4, 5)),
    ((3, 2), (5, 3)),
    # Kernels as large as the picture, or as its height: one output, and one row of them.
    ((2, 3), (2, 3)),
    ((3, 2), (3, 4)),
    ((4, 2), (5, 6)),
]


def kernels(random: Generator) -> list[Case]:
    """Draw kernels of whole numbers in float32, then three of decimals."""
    small = [Case(whole_numbers(random, *shape), *size) for shape, size in KERNELS]
    fine = [
        Case(decimals(random, *shape, dtype=dtype), *size)
        for shape, size, dtype in (
            ((3, 3), (5, 5), torch.float64),
            ((2, 3), (6, 4), torch.float64),
            ((2, 2), (4, 3), torch.float32),
        )
    ]
    return small + fine


def dense_matrix(kernel: Tensor, h: int, w: int) -> Tensor:
    """Return the package's sparse matrix with its zeros written out."""
    return conv_matrix(kernel, (h, w)).to_dense()


def _filled(
    kernel: Tensor,
    h: int,
    w: int,
    row: Callable[[int, int], int] | None = None,
    pixel: Callable[[int, int], int] | None = None,
    rows: int = 0,
) -> Tensor:
    """Fill the matrix with other numbers for the rows or for the pixels; None: the right ones."""
    (kh, kw), matrix = kernel.shape, dense_matrix(kernel, h, w)
    row = row or (lambda i, j: i * (w - kw + 1) + j)
    pixel = pixel or (lambda i, j: i * w + j)
    matrix = matrix.new_zeros(rows or len(matrix), h * w)
    for i, j, a, b in itertools.product(*map(range, (h - kh + 1, w - kw + 1, kh, kw))):
        matrix[row(i, j), pixel(i + a, j + b)] = kernel[a, b]
    return matrix


def _rolled(kernel: Tensor, h: int, w: int) -> Tensor:
    """Make every row of the matrix from the one above, one step to the right."""
    matrix = dense_matrix(kernel, h, w)
    return torch.stack([matrix[0].roll(r) for r in range(len(matrix))])


def _close_together(kernel: Tensor, h: int, w: int) -> Tensor:
    """Put all weights of the kernel in neighbouring columns."""
    matrix = torch.zeros_like(dense_matrix(kernel, h, w))
    for i, j in itertools.product(range(h - kernel.shape[0] + 1), range(w - kernel.shape[1] + 1)):
        first = i * w + j
        matrix[i * (w - kernel.shape[1] + 1) + j, first : first + kernel.numel()] = kernel.flatten()
    return matrix


def _without_last(kernel: Tensor, h: int, w: int) -> Tensor:
    """Leave out the last row and the last column of outputs."""
    out_h, out_w = h - kernel.shape[0] + 1, w - kernel.shape[1] + 1
    return dense_matrix(kernel, h, w).reshape(out_h, out_w, -1)[:-1, :-1].flatten(0, 1)


def _row_for_every_pixel(kernel: Tensor, h: int, w: int) -> Tensor:
    """Let the window hang over the lower and the right border."""
    (kh, kw), wide = kernel.shape, conv_matrix(kernel, (h, w), padding=tuple(kernel.shape))
    outputs = wide.to_dense().reshape(h + kh + 1, w + kw + 1, -1)
    return outputs[kh : kh + h, kw : kw + w].flatten(0, 1)


CONV_MATRIX = Exercise(
    name="conv_matrix",
    signature="conv_matrix(kernel, h, w)",
    title="Convolution is a matrix",
    minutes=30,
    difficulty="hard",
    points=3,
    prerequisites=("matrix times vector",),
    graded="every entry, the shape and the dtype of the matrix, for any kernel and picture size",
    forbidden=("conv",),
    reference=dense_matrix,
    cases=kernels,
    mistakes=(
        Mistake(
            "The kernel looks flipped: entry (0, 0) of the matrix is kernel[0, 0].",
            lambda kernel, h, w: dense_matrix(kernel.flip(0, 1), h, w),
        ),
        Mistake(
            "Each row is the row above, moved by one. At the end of a picture row the window "
            "jumps: the last output of a row and the first of the next are kw pixels apart.",
            _rolled,
        ),
        Mistake(
            "The columns are numbered with h where w belongs: pixel (i, j) is number i * w + j.",
            lambda kernel, h, w: _filled(kernel, h, w, pixel=lambda i, j: i * h + j),
        ),
        Mistake(
            "The pixels are numbered column by column. x.reshape(-1) goes row by row: pixel (i, j) "
            "is number i * w + j.",
            lambda kernel, h, w: _filled(kernel, h, w, pixel=lambda i, j: j * h + i),
        ),
        Mistake(
            "The rows are numbered with out_h where out_w belongs: output (i, j) is number "
            "i * out_w + j.",
            lambda kernel, h, w: _filled(
                kernel, h, w, row=lambda i, j: i * (h - kernel.shape[0] + 1) + j
            ),
        ),
        Mistake(
            "The outputs are numbered column by column: output (i, j) is number i * out_w + j.",
            lambda kernel, h, w: _filled(
                kernel, h, w, row=lambda i, j: j * (h - kernel.shape[0] + 1) + i
            ),
        ),
        Mistake(
            "The weights of the kernel stand side by side. Row a of the kernel belongs a * w "
            "columns further on, because a picture row holds w pixels.",
            _close_together,
        ),
        Mistake(
            "There are ones where the weights belong.",
            lambda kernel, h, w: dense_matrix(torch.ones_like(kernel), h, w),
        ),
        Mistake(
            "The window hangs over the border. Keep only the places where the kernel fits: "
            "out_h * out_w rows, with out_h = h - kh + 1 and out_w = w - kw + 1.",
            _row_for_every_pixel,
        ),
        Mistake(
            "There is a row for every pixel, and output (i, j) stands in row i * w + j. Only "
            "out_w = w - kw + 1 outputs fit side by side, so it is number i * out_w + j.",
            lambda kernel, h, w: _filled(kernel, h, w, row=lambda i, j: i * w + j, rows=h * w),
        ),
        Mistake(
            "The last row and the last column of outputs are missing: a side of h pixels holds "
            "h - kh + 1 places, not h - kh.",
            _without_last,
        ),
    ),
    hints=(
        "Take a kernel of one row, (1, 2), and a picture of 2 rows and 3 columns. Write down the "
        "four outputs, each as a sum over all six pixels, most of them times 0.",
        "Pixel (i, j) of the picture is number i * w + j of x.reshape(-1). Output (i, j) is number "
        "i * out_w + j, with out_w = w - kw + 1. Which pixel does weight (a, b) meet there?",
        "M = kernel.new_zeros(out_h * out_w, h * w), four loops over i, j, a and b, and in them "
        "M[i * out_w + j, (i + a) * w + j + b] = kernel[a, b].",
    ),
)


# Kernel sizes and strides, the first layer first. The fourth is LeNet before its dense layers.
STACKS = [
    ([3], [1]),
    ([2], [3]),
    ([3, 3], [1, 1]),
    ([3, 2], [2, 1]),
    ([2, 4], [3, 2]),
    ([1, 3], [2, 1]),
    ([3, 3, 3], [2, 2, 2]),
    ([5, 2, 5, 2], [1, 2, 1, 2]),
    ([7, 3, 3, 1, 5], [2, 2, 1, 3, 1]),
]


def stacks(random: Generator) -> list[Case]:
    """List stacks to work out by hand, then draw two of 4 and 6 layers."""

    def draw(layers: int, largest: int) -> list[int]:
        return torch.randint(1, largest + 1, (layers,), generator=random).tolist()

    drawn = [(draw(layers, 5), [2, *draw(layers - 2, 3), 1]) for layers in (4, 6)]
    return [Case(list(sizes), list(strides)) for sizes, strides in STACKS + drawn]


def field_size(kernel_sizes: Sequence[int], strides: Sequence[int]) -> int:
    """Return the side of the package's receptive field."""
    return receptive_field(zip(kernel_sizes, strides, strict=True)).size[0]


def _sum_of_steps(kernel_sizes: Sequence[int], jumps: Sequence[int]) -> int:
    """Return 1 + sum of (k - 1) * jump: right with the right jumps."""
    return 1 + sum((k - 1) * jump for k, jump in zip(kernel_sizes, jumps, strict=True))


def _products(strides: Sequence[int]) -> list[int]:
    """Multiply strides up, each with those before it."""
    return list(itertools.accumulate(strides, operator.mul))


def _before(strides: Sequence[int]) -> list[int]:
    """Return the jump that each layer meets: the strides before it, multiplied."""
    return [1, *_products(strides)][:-1]


def _backwards(kernel_sizes: Sequence[int], strides: Sequence[int], size: Callable) -> int:
    """Go from the output to the picture with a step of its own: size(r, k, s)."""
    r = 1
    for k, s in zip(reversed(kernel_sizes), reversed(strides), strict=True):
        r = size(r, k, s)
    return r


def _met(kernel_sizes: Sequence[int], strides: Sequence[int]) -> set[int]:
    """Return the pixels that meet a weight."""
    pixels = {0}
    for k, s in zip(reversed(kernel_sizes), reversed(strides), strict=True):
        pixels = {pixel * s + a for pixel in pixels for a in range(k)}
    return pixels


RECEPTIVE_FIELD = Exercise(
    name="receptive_field",
    signature="receptive_field(kernel_sizes, strides)",
    title="How far does a stack see?",
    minutes=25,
    difficulty="medium",
    points=2,
    prerequisites=("kernel size, stride, the pair of size and jump",),
    graded="one integer for stacks of one to six layers",
    reference=field_size,
    cases=stacks,
    mistakes=(
        Mistake(
            "The strides are not used: behind a stride of 2, neighbours lie two pixels apart.",
            lambda k, s: _sum_of_steps(k, [1] * len(k)),
        ),
        Mistake(
            "The stride of a layer counts too early: it spreads the layers after it, not itself.",
            lambda k, s: _sum_of_steps(k, _products(s)),
        ),
        Mistake(
            "Only the stride of the layer before is used. The strides of all layers before "
            "multiply.",
            lambda k, s: _sum_of_steps(k, [1, *s][:-1]),
        ),
        Mistake(
            "Each layer is spread by its own stride only: use the strides of all layers before it, "
            "multiplied.",
            lambda k, s: _sum_of_steps(k, s),
        ),
        Mistake(
            "The strides are added up; they multiply.",
            lambda k, s: _sum_of_steps(k, [max(1, sum(s[:i])) for i in range(len(s))]),
        ),
        Mistake(
            "The layers are taken in the wrong order: the first one sees the picture itself.",
            lambda k, s: field_size(k[::-1], s[::-1]),
        ),
        Mistake(
            "The result is one too small: before the first layer a unit sees one pixel, not none.",
            lambda k, s: field_size(k, s) - 1,
        ),
        Mistake(
            "Each layer adds k steps; it should add k - 1, because windows of neighbours overlap.",
            lambda k, s: 1 + sum(a * b for a, b in zip(k, _before(s), strict=True)),
        ),
        Mistake(
            "Each layer adds k steps to nothing; it should add k - 1 steps to the first pixel.",
            lambda k, s: sum(a * b for a, b in zip(k, _before(s), strict=True)),
        ),
        Mistake(
            "Pixels that lie between two others and meet no weight count too: last - first + 1.",
            lambda k, s: len(_met(k, s)),
        ),
        Mistake("The kernel sizes are multiplied.", lambda k, s: math.prod(k)),
        Mistake("The kernel sizes are added up.", lambda k, s: sum(k)),
        Mistake(
            "This is how far apart two neighbours of the last layer look, not how much one sees.",
            lambda k, s: math.prod(s),
        ),
        Mistake(
            "The last layer is not counted.",
            lambda k, s: field_size(k[:-1], s[:-1]),
        ),
        Mistake(
            "The first layer is not counted.",
            lambda k, s: field_size(k[1:], s[1:]),
        ),
        Mistake(
            "Going backwards, r units see (r - 1) * s + k inputs, not r * s + k - 1.",
            lambda k, s: _backwards(k, s, lambda r, k, s: r * s + k - 1),
        ),
        Mistake(
            "This is the area of the field. One side is asked for.",
            lambda k, s: field_size(k, s) ** 2,
        ),
    ),
    hints=(
        "Start at the picture. Two layers of kernel 3 and stride 1: draw five pixels, the three "
        "units above them and the one unit above those. How much did the second layer add?",
        "Keep two numbers: how much one unit sees, and how many pixels lie between the fields of "
        "two neighbours. A layer adds k - 1 times the second to the first. What does its stride "
        "change, and when?",
        "size, jump = 1, 1; for each layer: size += (k - 1) * jump, and after that jump *= s.",
    ),
)

# Height, width, channels, kernel size. The last is the picture of the chapter: 10^12 weights.
LAYERS = [
    (2, 3, 1, 1),
    (3, 3, 1, 3),
    (3, 4, 2, 3),
    (5, 4, 3, 2),
    (28, 28, 6, 3),
    (1000, 1000, 1, 21),
]


def layers(random: Generator) -> list[Case]:
    """List layers to work out by hand, then draw two whose window is smaller than the picture."""
    drawn = torch.randint(2, 9, (2, 4), generator=random) + torch.tensor([8, 17, 0, 0])
    return [Case(*numbers) for numbers in LAYERS + drawn.tolist()]


def weights(height: int, width: int, channels: int, kernel_size: int) -> tuple[int, int, int]:
    """Count the weights of three layers from one grey picture to ``channels`` maps of its size."""
    pixels, window = height * width, kernel_size * kernel_size
    return pixels * channels * pixels, channels * pixels * window, channels * window


def _without_border(
    height: int, width: int, channels: int, kernel_size: int
) -> tuple[int, int, int]:
    """Count for maps that hold only the places where the kernel fits."""
    places = (height - kernel_size + 1) * (width - kernel_size + 1)
    window = kernel_size * kernel_size
    return height * width * channels * places, channels * places * window, channels * window


def _plus(counts: tuple[int, ...], more: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(counts, more, strict=True))


PARAMETER_COUNT = Exercise(
    name="parameter_count",
    signature="parameter_count(height, width, channels, kernel_size)",
    title="What looking nearby saves",
    minutes=10,
    difficulty="easy",
    points=2,
    prerequisites=("dense, locally connected and convolutional layers",),
    graded="three integers for pictures of any size",
    returns=("dense", "locally_connected", "convolutional"),
    reference=weights,
    cases=layers,
    mistakes=(
        Mistake(
            "The picture is taken for a square: height is used twice, width never.",
            lambda h, w, c, k: weights(h, h, c, k),
        ),
        Mistake(
            "The picture is taken for a square: width is used twice, height never.",
            lambda h, w, c, k: weights(w, w, c, k),
        ),
        Mistake(
            "A bias for every output is counted too. Count weights only.",
            lambda h, w, c, k: _plus(weights(h, w, c, k), (h * w * c, h * w * c, c)),
        ),
        Mistake(
            "The channels are missing: there are that many maps, and each has weights of its own.",
            lambda h, w, c, k: weights(h, w, 1, k),
        ),
        Mistake(
            "The channels are counted twice: one grey picture comes in, and channels maps go out.",
            lambda h, w, c, k: weights(h, w, c * c, k),
        ),
        Mistake(
            "The dense layer has one output for every map; it should have height * width outputs "
            "for every map.",
            lambda h, w, c, k: (h * w * c, *weights(h, w, c, k)[1:]),
        ),
        Mistake(
            "The kernel is a square of kernel_size times kernel_size weights.",
            lambda h, w, c, k: (h * w * c * h * w, c * h * w * k, c * k),
        ),
        Mistake(
            "The maps are counted without their border. Here they are as large as the picture.",
            _without_border,
        ),
        Mistake(
            "The three numbers are in the wrong order: dense, locally connected, convolutional.",
            lambda h, w, c, k: weights(h, w, c, k)[::-1],
        ),
        Mistake(
            "The weights of the convolution are counted for every pixel; all places of a map use "
            "the same ones.",
            lambda h, w, c, k: (*weights(h, w, c, k)[:2], c * h * w * k * k),
        ),
        Mistake(
            "The locally connected layer is counted as if its weights were shared: every place has "
            "weights of its own.",
            lambda h, w, c, k: (weights(h, w, c, k)[0], c * k * k, c * k * k),
        ),
    ),
    hints=(
        "Count the outputs first: channels maps, each as large as the picture. How many weights "
        "does one output have in a dense layer, and how many when it sees one window?",
        "Dense: every output has a weight for every pixel. Locally connected: every output has a "
        "weight for every pixel of its window. Convolutional: all outputs of a map use the same.",
        "With p = height * width and k = kernel_size: p * channels * p, p * channels * k * k, and "
        "channels * k * k.",
    ),
)

# Pixels to be seen, weights and jump allowed. The last two budgets are met by kernels of 2 alone.
BUDGETS = [
    (3, 9, 1),
    (7, 27, 1),
    (15, 36, 2),
    (28, 36, 8),
    (28, 60, 4),
    (101, 130, 4),
    (9, 32, 1),
    (16, 16, 8),
]


def budgets(random: Generator) -> list[Case]:
    """List budgets to work out by hand, then draw three that kernels of 3 just meet."""
    drawn = torch.randint(20, 90, (3,), generator=random).tolist()
    costs = [
        (field, jump, 9 * len(threes(field, jump)[0]))
        for field, jump in zip(drawn, (1, 2, 4), strict=True)
    ]
    return [
        Case(*budget) for budget in BUDGETS + [(field, cost, jump) for field, jump, cost in costs]
    ]


def threes(field: int, jump: int) -> tuple[list[int], list[int]]:
    """Stack kernels of 3: strides of 2 first, as many as the jump allows."""
    strides, size, step = [], 1, 1
    while size < field:
        size += 2 * step
        strides.append(2 if 2 * step <= jump else 1)
        step *= strides[-1]
    return [3] * len(strides), strides


def twos(field: int, jump: int) -> tuple[list[int], list[int]]:
    """Stack kernels of 2 in the same way: 4 weights for a step of 1, where 3 takes 9 for 2."""
    strides, size, step = [], 1, 1
    while size < field:
        size += step
        strides.append(2 if 2 * step <= jump else 1)
        step *= strides[-1]
    return [2] * len(strides), strides


def cheapest(field: int, weights: int, jump: int) -> tuple[list[int], list[int]]:
    """Return the stack of equal kernels, of 2 or of 3, that has fewer weights."""
    return min(
        (threes(field, jump), twos(field, jump)), key=lambda stack: sum(k * k for k in stack[0])
    )


def judge_stack(stack: Sequence, field: int, weights: int, jump: int) -> str:
    """Say which of the three demands a stack misses, the first one first."""
    if refusal := _refuse_stack(*stack):
        return refusal
    kernel_sizes, strides = stack
    seen, cost = field_size(kernel_sizes, strides), sum(k * k for k in kernel_sizes)
    if seen < field:
        return f"A unit of the last layer sees {seen} pixels along an axis; {field} are asked for."
    if cost > weights:
        return (
            f"The stack has {cost} weights (k * k for each layer); at most {weights} are allowed."
        )
    if math.prod(strides) > jump:
        return f"Neighbours lie {math.prod(strides)} pixels apart; at most {jump} are allowed."
    return ""


def _refuse_stack(kernel_sizes: object, strides: object) -> str:
    for name, numbers in (("kernel_sizes", kernel_sizes), ("strides", strides)):
        if not isinstance(numbers, (list, tuple)) or any(
            type(n) is not int or n < 1 for n in numbers
        ):
            return f"`{name}` must be a list of integers, each 1 or more."
    if len(kernel_sizes) != len(strides) or not kernel_sizes:
        return "The two lists must have the same length, one number each for at least one layer."
    for layer, (k, s) in enumerate(zip(kernel_sizes, strides, strict=True), 1):
        if s > k:
            return f"Layer {layer} has stride {s} and kernel {k}: no unit reads what it skips."
    return ""


DESIGN_STACK = Exercise(
    name="design_stack",
    signature="design_stack(field, weights, jump)",
    returns=("kernel_sizes", "strides"),
    title="A network under a budget",
    minutes=30,
    difficulty="hard",
    points=4,
    prerequisites=("your `receptive_field`",),
    graded="the field, the weights and the jump of your stack; any stack that keeps them is right",
    reference=cheapest,
    cases=budgets,
    accepts=judge_stack,
    hints=(
        "Begin without strides. How many layers with a kernel of 3 see 15 pixels, and how many "
        "weights are that? What would one layer with a kernel of 15 cost?",
        "A stride multiplies what every layer behind it adds, and costs no weight. So where in the "
        "stack should the strides stand?",
        "Add layers until the field is large enough: stride 2 as long as the product of the "
        "strides stays within the jump, then stride 1. Which costs less for the same growth, a "
        "kernel of 3 or two kernels of 2?",
    ),
)


EXERCISES = (CONV_MATRIX, RECEPTIVE_FIELD, PARAMETER_COUNT, DESIGN_STACK)
