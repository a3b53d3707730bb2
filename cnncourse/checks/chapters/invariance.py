"""Moving a picture, and measuring whether a function is equivariant."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from cnncourse.checks.exercise import Call, Case, Exercise, Mistake, decimals, whole_numbers
from cnncourse.checks.given import invariance as given
from cnncourse.invariance import equivariance_error, invariance_error, translate

# Shape of the pictures, and how far they move down and to the right. The first ones move on one
# axis only, one does not move at all, and four leave no pixel in sight: by one side or more, and by
# more than two.
MOVES = [
    ((1, 1, 2, 3), (0, 1)),
    ((1, 1, 3, 2), (1, 0)),
    ((1, 1, 3, 3), (1, 1)),
    ((1, 1, 2, 4), (1, -2)),
    ((1, 1, 4, 3), (-1, 1)),
    ((1, 2, 3, 4), (-2, -1)),
    ((2, 1, 3, 4), (0, 0)),
    ((2, 3, 4, 5), (2, 3)),
    ((1, 1, 4, 6), (-4, 0)),
    ((1, 1, 4, 3), (5, 0)),
    ((3, 1, 3, 4), (0, -6)),
    ((1, 1, 5, 3), (1, 7)),
]


def moves(random: Generator) -> list[Case]:
    """Draw pictures of whole numbers in float32, then two of decimals in float64."""
    small = [Case(whole_numbers(random, *shape), *shift) for shape, shift in MOVES]
    # Infinity leaves in the lower left corner, and stays in the middle.
    bright = whole_numbers(random, 1, 1, 3, 3)
    bright[..., -1, 0] = bright[..., 1, 1] = torch.inf
    fine = [
        Case(decimals(random, *shape), *shift)
        for shape, shift in (((1, 1, 4, 4), (1, 2)), ((2, 3, 5, 4), (-2, 1)))
    ]
    return [*small, Case(bright, 1, -1), *fine]


def _with_border(x: Tensor, dy: int, dx: int) -> Tensor:
    """Continue a picture by its border pixels where it has moved away."""
    h, w = x.shape[-2:]
    rows = (torch.arange(h) - dy).clamp(0, h - 1)
    columns = (torch.arange(w) - dx).clamp(0, w - 1)
    return x[..., rows, :][..., columns]


def _shorter(x: Tensor, dy: int, dx: int) -> Tensor:
    """Cut off what leaves, and put nothing in its place."""
    h, w = x.shape[-2:]
    return x[..., max(-dy, 0) : max(h - dy, 0), max(-dx, 0) : max(w - dx, 0)]


TRANSLATE = Exercise(
    name="translate",
    signature="translate(x, dy, dx)",
    title="Move a picture",
    minutes=15,
    difficulty="easy",
    points=2,
    prerequisites=("slicing a tensor",),
    graded="values, shape and dtype for shifts of any size and sign",
    reference=translate,
    cases=moves,
    mistakes=(
        Mistake(
            "The picture has not moved.",
            lambda x, dy, dx: x,
        ),
        Mistake(
            "What leaves on one side comes in on the other. Zeros should come in.",
            lambda x, dy, dx: translate(x, dy, dx, mode="circular"),
        ),
        Mistake(
            "The picture moves the wrong way: a positive dy moves it down, a positive dx to the "
            "right.",
            lambda x, dy, dx: translate(x, -dy, -dx),
        ),
        Mistake(
            "The picture moves the wrong way, and what leaves comes in on the other side.",
            lambda x, dy, dx: translate(x, -dy, -dx, mode="circular"),
        ),
        Mistake(
            "dy and dx are swapped: dy counts rows, the axis before the last; dx counts columns, "
            "the last axis.",
            lambda x, dy, dx: translate(x, dx, dy),
        ),
        Mistake(
            "Up and down are exchanged: row 0 is at the top, so a positive dy leads to larger row "
            "numbers.",
            lambda x, dy, dx: translate(x, -dy, dx),
        ),
        Mistake(
            "Left and right are exchanged: a positive dx leads to larger column numbers.",
            lambda x, dy, dx: translate(x, dy, -dx),
        ),
        Mistake(
            "The picture moves from left to right only; dy is not used.",
            lambda x, dy, dx: translate(x, 0, dx),
        ),
        Mistake(
            "The picture moves up and down only; dx is not used.",
            lambda x, dy, dx: translate(x, dy, 0),
        ),
        Mistake(
            "A negative shift is taken for a positive one: -1 should move up or to the left.",
            lambda x, dy, dx: translate(x, abs(dy), abs(dx)),
        ),
        Mistake(
            "A negative shift does not move the picture: -1 should move it up or to the left.",
            lambda x, dy, dx: translate(x, max(dy, 0), max(dx, 0)),
        ),
        Mistake(
            "The border pixels are repeated where the picture has moved away. Zeros should come "
            "in.",
            _with_border,
        ),
        Mistake(
            "What leaves is cut off, but no zeros come in: the result must be as large as x.",
            _shorter,
        ),
        Mistake(
            "Zeros come in, but nothing leaves: the result must be as large as x.",
            lambda x, dy, dx: F.pad(x, (max(dx, 0), max(-dx, 0), max(dy, 0), max(-dy, 0))),
        ),
        Mistake(
            "The pictures of the batch and their channels have moved; rows and columns are the "
            "last two axes.",
            lambda x, dy, dx: x.roll((dy, dx), (0, 1)),
        ),
    ),
    hints=(
        "Where does the pixel at row i and column j of the result come from? Write it with dy and "
        "dx, and ask when there is no such pixel.",
        "y[..., i, j] = x[..., i - dy, j - dx] where 0 <= i - dy < h and 0 <= j - dx < w, and 0 "
        "elsewhere. Python takes a negative index for a place counted from the end: test for it.",
        "y = torch.zeros_like(x), a loop over the rows i and one over the columns j, and in them "
        "the test of the second hint before y[..., i, j] = x[..., i - dy, j - dx].",
    ),
)


def functions_and_moves(random: Generator) -> list[Case]:
    """Draw pictures with equivariant functions, and with others."""

    def numbers(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return whole_numbers(random, *shape, dtype=dtype)

    fine = torch.float64
    return [
        Case(Call("brighten_by_row", 1.0), numbers(1, 1, 2, 3), 1, 0),
        Case(Call("brighten_by_row", 0.5), numbers(1, 1, 3, 2), 1, 1),
        Case(Call("brighten_by_row", 1.0), numbers(1, 1, 3, 3), -1, 1),
        Case(Call("filter_with", numbers(1, 3), "zeros"), numbers(1, 1, 2, 4), 0, 1),
        Case(Call("filter_with", numbers(3, 1), "zeros"), numbers(1, 1, 4, 3), -1, 2),
        Case(Call("filter_with", numbers(3, 3), "zeros"), numbers(2, 1, 4, 5), 2, -1),
        Case(Call("filter_with", numbers(3, 3), "circular"), numbers(1, 1, 4, 5), 1, 2),
        Case(Call("clip_negative"), numbers(2, 3, 3, 4), 1, 1),
        Case(Call("brighten_by_row", 0.25), numbers(2, 2, 5, 3, dtype=fine), 2, 1),
        Case(
            Call("filter_with", numbers(3, 3, dtype=fine), "zeros"),
            numbers(2, 1, 6, 4, dtype=fine),
            *(1, -1),
        ),
    ]


def relative_error(
    f: Callable[[Tensor], Tensor], x: Tensor, dy: int, dx: int, mode: str = "circular"
) -> float:
    """Return ||f(T x) - T f(x)|| / ||T f(x)||: the package's function, called as in the text."""
    return equivariance_error(f, x, (dy, dx), mode)


def _parts(f: Callable[[Tensor], Tensor], x: Tensor, dy: int, dx: int) -> tuple[Tensor, Tensor]:
    """Return f(T x) and T f(x)."""
    with torch.no_grad():
        moved = translate(x, dy, dx, mode="circular")
        return f(moved), translate(f(x), dy, dx, mode="circular")


def _compare(compare: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., float]:
    """Make a mistake: compare f(T x) and T f(x) in another way."""
    return lambda *arguments: compare(*_parts(*arguments)).item()


def _of_other(select: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., float]:
    """Make a mistake: compare two other tensors in the right way."""

    def wrong(f: Callable[[Tensor], Tensor], x: Tensor, dy: int, dx: int) -> float:
        with torch.no_grad():
            a, b = select(f, x, lambda y: translate(y, dy, dx, mode="circular"))
        return ((a - b).norm() / b.norm()).item()

    return wrong


EQUIVARIANCE_ERROR = Exercise(
    name="equivariance_error",
    signature="equivariance_error(f, x, dy, dx)",
    title="Does the output move with the input?",
    minutes=15,
    difficulty="medium",
    points=2,
    prerequisites=("`torch.roll`", "the length of a vector"),
    graded="one number, for equivariant functions and layers and for others",
    reference=relative_error,
    cases=functions_and_moves,
    functions={
        "filter_with": given.filter_with,
        "brighten_by_row": given.brighten_by_row,
        "clip_negative": given.clip_negative,
    },
    mistakes=(
        Mistake(
            "The length of the difference is not divided by the length of T f(x).",
            _compare(lambda a, b: (a - b).norm()),
        ),
        Mistake(
            "A root is missing: this is the ratio of the squared lengths.",
            _compare(lambda a, b: (a - b).square().sum() / b.square().sum()),
        ),
        Mistake(
            "This is a mean squared error: take the length of the difference, and divide it by "
            "the length of T f(x).",
            _compare(lambda a, b: (a - b).square().mean()),
        ),
        Mistake(
            "Absolute values are added up. A length is the root of the sum of the squares.",
            _compare(lambda a, b: (a - b).abs().sum() / b.abs().sum()),
        ),
        Mistake(
            "This is the largest difference. All differences count: take the root of the sum of "
            "their squares.",
            _compare(lambda a, b: (a - b).abs().max()),
        ),
        Mistake(
            "This is the mean of the absolute differences: take the length of the difference, and "
            "divide it by the length of T f(x).",
            _compare(lambda a, b: (a - b).abs().mean()),
        ),
        Mistake(
            "The difference of two lengths is not the length of the difference: subtract the "
            "pictures first.",
            _compare(lambda a, b: (a.norm() - b.norm()).abs() / b.norm()),
        ),
        Mistake(
            "f(T x) is compared with f(x): that asks whether the output stays, which is "
            "invariance. Move f(x) too.",
            _of_other(lambda f, x, move: (f(move(x)), f(x))),
        ),
        Mistake(
            "f(x) is compared with T f(x): f never sees the moved picture.",
            _of_other(lambda f, x, move: (f(x), move(f(x)))),
        ),
        Mistake(
            "f(T x) is compared with T x: the second term is the moved output, T f(x).",
            _of_other(lambda f, x, move: (f(move(x)), move(x))),
        ),
        Mistake(
            "f is not used: T x is compared with x.",
            _of_other(lambda f, x, move: (move(x), x)),
        ),
        Mistake(
            "The output is moved twice: f(T x) as it is, and f(x) moved once, belong together.",
            _of_other(lambda f, x, move: (f(move(x)), move(move(f(x))))),
        ),
        Mistake(
            "Zeros come in at the border. Here T lets what leaves come in on the other side.",
            lambda f, x, dy, dx: relative_error(f, x, dy, dx, mode="zeros"),
        ),
        Mistake(
            "dy and dx are swapped: dy moves rows, the axis before the last.",
            lambda f, x, dy, dx: relative_error(f, x, dx, dy),
        ),
        Mistake(
            "The picture moves the wrong way: a positive dy moves down, a positive dx to the "
            "right.",
            lambda f, x, dy, dx: relative_error(f, x, -dy, -dx),
        ),
        Mistake(
            "The length of the difference is divided by that of x. Divide by the length of T f(x).",
            lambda f, x, dy, dx: _compare(lambda a, b: (a - b).norm() / x.norm())(f, x, dy, dx),
        ),
        Mistake(
            "The length of the difference is divided by that of f(T x). Divide by the length of "
            "T f(x).",
            _compare(lambda a, b: (a - b).norm() / a.norm()),
        ),
    ),
    hints=(
        "Two pictures are compared. One is moved before f, the other is moved after f. Write both "
        "down before you subtract.",
        "torch.roll(x, (dy, dx), dims=(-2, -1)) moves the last two axes and lets what leaves come "
        "in on the other side. The length of a tensor, all its numbers together, is .norm().",
        "move = lambda t: torch.roll(t, (dy, dx), dims=(-2, -1)), a = f(move(x)), b = move(f(x)), "
        "and the result is ((a - b).norm() / b.norm()).item().",
    ),
)


FUNCTIONS = {
    "filter_with": given.filter_with,
    "filter_and_read": given.filter_and_read,
    "weigh_pixels": given.weigh_pixels,
}


def functions_to_stay(random: Generator) -> list[Case]:
    """Draw pictures with invariant functions, and with others; none gives zeros alone."""
    cases = _functions_and_pictures(random)
    while any(_value(case).norm() == 0 for case in cases):
        cases = _functions_and_pictures(random)
    return cases


def _value(case: Case) -> Tensor:
    """Return f(x) of a case."""
    f, x = case.arguments
    return FUNCTIONS[f.name](*f.data)(x)


def _functions_and_pictures(random: Generator) -> list[Case]:
    """Draw pictures with invariant functions, and with others."""

    def numbers(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return whole_numbers(random, *shape, dtype=dtype)

    fine = torch.float64
    return [
        Case(Call("weigh_pixels", numbers(1, 3)), numbers(1, 1, 1, 3)),
        Case(Call("weigh_pixels", numbers(2, 3)), numbers(1, 1, 3, 1)),
        Case(Call("weigh_pixels", numbers(2, 8)), numbers(1, 1, 2, 4)),
        Case(Call("weigh_pixels", numbers(3, 8)), numbers(2, 1, 4, 2)),
        Case(Call("filter_and_read", numbers(1, 3), "circular", "mean"), numbers(1, 1, 2, 4)),
        Case(Call("filter_and_read", numbers(3, 3), "circular", "largest"), numbers(2, 1, 3, 4)),
        Case(Call("filter_and_read", numbers(3, 3), "zeros", "mean"), numbers(2, 1, 4, 5)),
        Case(Call("filter_with", numbers(3, 3), "circular"), numbers(1, 1, 3, 5)),
        Case(Call("weigh_pixels", numbers(4, 30, dtype=fine)), numbers(2, 2, 5, 3, dtype=fine)),
        Case(
            Call("filter_and_read", numbers(3, 3, dtype=fine), "zeros", "largest"),
            numbers(2, 1, 3, 6, dtype=fine),
        ),
    ]


Function = Callable[[Tensor], Tensor]


def all_shifts(x: Tensor) -> list[tuple[int, int]]:
    """List the shifts on a circle, (0, 0) first."""
    return [(dy, dx) for dy in range(x.shape[-2]) for dx in range(x.shape[-1])]


def largest_change(f: Function, x: Tensor) -> float:
    """Return the largest ||f(T x) - f(x)|| / ||f(x)|| of all shifts on a circle."""
    return max(invariance_error(f, x, shift) for shift in all_shifts(x))


def _over_shifts(
    compare: Callable[[Tensor, Tensor], Tensor], mode: str = "circular"
) -> Callable[[Function, Tensor], float]:
    """Make a mistake: compare f(T x) and f(x) in another way."""

    def wrong(f: Function, x: Tensor) -> float:
        with torch.no_grad():
            moved = [f(translate(x, dy, dx, mode)) for dy, dx in all_shifts(x)]
            return max(compare(y, f(x)).item() for y in moved)

    return wrong


def _of_shifts(
    select: Callable[[Tensor], list[tuple[int, int]]],
) -> Callable[[Function, Tensor], float]:
    """Make a mistake: try other shifts."""
    return lambda f, x: max(invariance_error(f, x, shift) for shift in select(x))


def _with_moved_output(f: Function, x: Tensor) -> float:
    """Make a mistake: move the output too."""
    with torch.no_grad():
        y = f(x)
        errors = [
            (f(translate(x, *shift, "circular")) - translate(y, *shift, "circular")).norm()
            for shift in all_shifts(x)
        ]
    return (max(errors) / y.norm()).item()


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


INVARIANCE_ERROR = Exercise(
    name="largest_invariance_error",
    signature="largest_invariance_error(f, x)",
    title="Does the output stay?",
    minutes=20,
    difficulty="medium",
    points=2,
    prerequisites=("`equivariance_error`",),
    graded="one number, for invariant functions and for others, over all shifts",
    reference=largest_change,
    cases=functions_to_stay,
    functions=FUNCTIONS,
    mistakes=(
        Mistake(
            "The output is moved too, which asks for equivariance. Here f(T x) and f(x) are "
            "compared as they are.",
            _with_moved_output,
        ),
        Mistake(
            "This is the mean over the shifts. The worst shift counts: take the largest number.",
            lambda f, x: _mean([invariance_error(f, x, shift) for shift in all_shifts(x)]),
        ),
        Mistake(
            "The errors of all shifts are added up. Take the largest one.",
            lambda f, x: sum(invariance_error(f, x, shift) for shift in all_shifts(x)),
        ),
        Mistake(
            "One shift alone is tried, (1, 1). Try all of them.",
            _of_shifts(lambda x: [(1, 1)]),
        ),
        Mistake(
            "The picture moves from left to right only: try every dy with every dx.",
            _of_shifts(lambda x: [(0, dx) for dx in range(x.shape[-1])]),
        ),
        Mistake(
            "The picture moves up and down only: try every dy with every dx.",
            _of_shifts(lambda x: [(dy, 0) for dy in range(x.shape[-2])]),
        ),
        Mistake(
            "Shifts along one axis alone are left out: dy = 0 with dx = 1 is a shift too.",
            _of_shifts(lambda x: [(0, 0)] + [shift for shift in all_shifts(x) if all(shift)]),
        ),
        Mistake(
            "dy and dx are always equal: try every dy with every dx.",
            _of_shifts(lambda x: [(d, d) for d in range(max(x.shape[-2:]))]),
        ),
        Mistake(
            "Height and width are swapped: dy counts rows, the axis before the last.",
            _of_shifts(lambda x: all_shifts(x.mT)),
        ),
        Mistake(
            "Zeros come in at the border. Here T lets what leaves come in on the other side.",
            _over_shifts(lambda a, b: (a - b).norm() / b.norm(), mode="zeros"),
        ),
        Mistake(
            "The length of the difference is not divided by the length of f(x).",
            _over_shifts(lambda a, b: (a - b).norm()),
        ),
        Mistake(
            "The length of the difference is divided by that of f(T x). Divide by the length of "
            "f(x).",
            _over_shifts(lambda a, b: (a - b).norm() / a.norm()),
        ),
        Mistake(
            "A root is missing: this is the ratio of the squared lengths.",
            _over_shifts(lambda a, b: (a - b).square().sum() / b.square().sum()),
        ),
        Mistake(
            "Absolute values are added up. A length is the root of the sum of the squares.",
            _over_shifts(lambda a, b: (a - b).abs().sum() / b.abs().sum()),
        ),
        Mistake(
            "This is the largest difference of a single number. All numbers of f(T x) - f(x) "
            "count: take their length.",
            _over_shifts(lambda a, b: (a - b).abs().max()),
        ),
        Mistake(
            "The difference of two lengths is not the length of the difference: subtract the "
            "outputs first.",
            _over_shifts(lambda a, b: (a.norm() - b.norm()).abs() / b.norm()),
        ),
    ),
    hints=(
        "First write the error of one shift: f(T x) and f(x), subtracted, as a length, divided by "
        "the length of f(x). Nothing happens to f(x) itself.",
        "On a circle a picture of h rows and w columns has h times w shifts: dy from 0 to h - 1, "
        "dx from 0 to w - 1. Two loops, and the largest error so far.",
        "y = f(x), h, w = x.shape[-2:], and the result is the max over dy in range(h) and dx in "
        "range(w) of ((f(torch.roll(x, (dy, dx), (-2, -1))) - y).norm() / y.norm()).item().",
    ),
)

# Outputs and pixels of the layer.
LAYERS = [(1, 3), (2, 4), (3, 3), (1, 6), (4, 6), (5, 2), (6, 6), (3, 12)]


def layers_and_orders(random: Generator) -> list[Case]:
    """Draw weights of whole numbers, all different, with orders; the last ones are of float64."""

    def drawn(o: int, pixels: int, dtype: torch.dtype = torch.float32) -> Case:
        weight = torch.randperm(o * pixels, generator=random).reshape(o, pixels).to(dtype)
        order = torch.randperm(pixels, generator=random)
        return Case(weight + 1, order)

    # The smallest case must tell an order from its inverse: three pixels in a ring.
    ring = Case(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([2, 0, 1]))
    return [ring, *(drawn(*shape) for shape in LAYERS), drawn(4, 9, torch.float64)]


def weight_in_order(weight: Tensor, order: Tensor) -> Tensor:
    """Return the weight that answers to ``x[order]`` as ``weight`` answers to ``x``."""
    return weight[:, order]


REORDERED_WEIGHT = Exercise(
    name="reordered_weight",
    signature="reordered_weight(weight, order)",
    title="A dense layer for shuffled pictures",
    minutes=15,
    difficulty="easy",
    points=2,
    prerequisites=("a product of a matrix and a vector", "indexing a tensor by a list"),
    graded="values, shape and dtype for layers of several sizes",
    reference=weight_in_order,
    cases=layers_and_orders,
    mistakes=(
        Mistake("The weights have not changed.", lambda weight, order: weight),
        Mistake(
            "The weights went back instead of along: this is the order undone, torch.argsort("
            "order). Which pixel does weight 0 meet now?",
            lambda weight, order: weight[:, order.argsort()],
        ),
        Mistake(
            "The order is read from its end.",
            lambda weight, order: weight[:, order.flip(0)],
        ),
        Mistake(
            "The order is that of the weights' sizes: sort nothing, follow `order`.",
            lambda weight, order: weight.sort(dim=1).values,
        ),
        Mistake(
            "Only the first output follows the order: every row of the weight is a sum over the "
            "same pixels.",
            lambda weight, order: torch.cat([weight[:1, order], weight[1:]]),
        ),
        Mistake(
            "Only the first row is left: every output needs its weights.",
            lambda weight, order: weight[:1, order],
        ),
        Mistake(
            "The result is transposed: one row for each output.",
            lambda weight, order: weight[:, order].T,
        ),
    ),
    hints=(
        "Write the sum of one output for the picture in order. Now the pixels stand in other "
        "places: which weight has to wait in place 0?",
        "Place p of the shuffled picture shows pixel order[p], so the weight of pixel order[p] "
        "belongs into column p.",
        "weight[:, order] takes the columns of a matrix in a given order.",
    ),
)

EXERCISES = (TRANSLATE, EQUIVARIANCE_ERROR, INVARIANCE_ERROR, REORDERED_WEIGHT)
