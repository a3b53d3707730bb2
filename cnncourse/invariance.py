"""Shifting images, and measuring how a function answers when its input is shifted.

Shifts are whole pixels along the last two axes. Equivariant means that the output moves with the
input, invariant that it stays. Not handled: rotations, scale, fractions of a pixel.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from cnncourse._arguments import check_choice, check_integer, check_tensor
from cnncourse.lenet import init_he

Shift = tuple[int, int] | list[int]  # (dy, dx)


def translate(
    x: Shaped[Tensor, "*lead h w"], dy: int, dx: int, mode: str = "zeros"
) -> Shaped[Tensor, "*lead h w"]:
    """Move the content of an image down by ``dy`` and to the right by ``dx`` pixels.

    ``y[..., i, j] = x[..., i - dy, j - dx]``, for any dtype. What comes in at the border is zero,
    or with ``mode="circular"`` the pixels that left on the other side.

    Examples
    --------
    >>> translate(torch.tensor([[1, 2], [3, 4]]), 0, 1)
    tensor([[0, 1],
            [0, 3]])
    >>> translate(torch.tensor([[1, 2], [3, 4]]), 0, 1, mode="circular")
    tensor([[2, 1],
            [4, 3]])
    """
    _check_translate(x, dy, dx, mode)
    if mode == "circular":
        return x.roll((dy, dx), dims=(-2, -1))
    h, w = x.shape[-2:]
    dy, dx = max(-h, min(dy, h)), max(-w, min(dx, w))
    # A negative pad crops: what leaves on one side makes room for the zeros on the other.
    return F.pad(x, (dx, -dx, dy, -dy))


def permute_pixels(x: Shaped[Tensor, "*lead h w"], seed: int = 0) -> Shaped[Tensor, "*lead h w"]:
    """Put the pixels of every image in one random order, the same for all of them.

    For any dtype. One ``seed`` gives one order on every machine.

    Examples
    --------
    >>> permute_pixels(torch.tensor([[1, 2, 3], [4, 5, 6]]))
    tensor([[3, 6, 4],
            [1, 2, 5]])
    """
    check_integer("seed", seed, 0)
    h, w = x.shape[-2:]
    order = torch.randperm(h * w, generator=torch.Generator().manual_seed(seed)).to(x.device)
    return x.flatten(-2)[..., order].unflatten(-1, (h, w))


ENDS = {
    "mean": lambda: nn.AdaptiveAvgPool2d(1),
    "max": lambda: nn.AdaptiveMaxPool2d(1),
    "places": nn.Identity,
}


def digit_reader(end: str = "mean") -> nn.Sequential:
    """Build three convolutions and a linear layer for images of 28 x 28, with He's weights.

    The linear layer gets the mean of each of the 32 feature maps, their largest number ("max"), or
    the numbers at all 7 x 7 places ("places").

    Examples
    --------
    >>> sum(p.numel() for p in digit_reader("mean").parameters())
    6218
    """
    check_choice("end", end, ENDS)
    places = 7 * 7 if end == "places" else 1
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        ENDS[end](),
        nn.Flatten(),
        nn.Linear(32 * places, 10),
    )
    return init_he(model)


@torch.no_grad()
def invariance_error(
    f: Callable[[Tensor], Tensor],
    x: Float[Tensor, "*lead h w"],
    shift: Shift,
    mode: str = "circular",
) -> float:
    """Measure how far the output of ``f`` is from staying where its input moves.

    ``||f(T x) - f(x)|| / ||f(x)||``, where T moves by ``shift``, (dy, dx): 0 where ``f`` is
    invariant for this ``x`` and this shift. A module is measured as a copy in evaluation mode.

    Examples
    --------
    >>> x = torch.arange(16.0).reshape(4, 4)
    >>> invariance_error(torch.sum, x, (1, 2))
    0.0
    >>> round(invariance_error(torch.sum, x, (1, 2), mode="zeros"), 3)  # 27 of 120 are left
    0.775
    """
    check_tensor("x", x, "... h w")
    dy, dx = _read_shift("shift", shift)
    f = evaluation_copy(f)
    return _relative_distance(f(translate(x, dy, dx, mode)), f(x))


@torch.no_grad()
def equivariance_error(
    f: Callable[[Tensor], Tensor],
    x: Float[Tensor, "*lead h w"],
    shift: Shift,
    mode: str = "circular",
    margin: int | None = None,
    output_shift: Shift | None = None,
) -> float:
    """Measure how far the output of ``f`` is from moving along with its input.

    ``||f(T x) - T' f(x)|| / ||T' f(x)||``, where T moves by ``shift`` and T' by ``output_shift``
    (Cohen and Welling 2016): 0 where ``f`` is equivariant for this ``x`` and this shift. A module
    is measured as a copy in evaluation mode.

    Parameters
    ----------
    mode : {"zeros", "circular"}, default "circular"
        What T and T' bring in at the border.
    margin : int, optional
        None compares every output. A number compares the interior only: it leaves out the strip
        that T' brings in and, at each border, this many further outputs. Padding reaches
        ``padding`` outputs far through one layer of stride 1, and their sum through several.
    output_shift : (int, int), optional
        (dy, dx) in outputs; ``shift`` where not given. Where ``f`` halves the size, a shift by
        (4, 2) should move the output by (2, 1).

    Examples
    --------
    >>> x = torch.arange(16.0).reshape(4, 4)
    >>> equivariance_error(torch.relu, x, (1, 0))
    0.0
    >>> round(equivariance_error(lambda x: x.cumsum(-1), x, (0, 1)), 2)
    0.66
    """
    check_tensor("x", x, "... h w")
    dy, dx = _read_shift("shift", shift)
    moved = (dy, dx) if output_shift is None else _read_shift("output_shift", output_shift)
    f = evaluation_copy(f)
    actual, y = f(translate(x, dy, dx, mode)), f(x)
    check_tensor("f(x)", y, "... h w")
    expected = translate(y, *moved, mode)
    if margin is not None:
        actual, expected = _interior(actual, moved, margin), _interior(expected, moved, margin)
    return _relative_distance(actual, expected)


def evaluation_copy(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return a module's copy in evaluation mode, and any other function as it is.

    A measurement works on the copy, so the model stays in its mode, with its running statistics.
    """
    return copy.deepcopy(f).eval() if isinstance(f, nn.Module) else f


def _relative_distance(actual: Tensor, expected: Tensor) -> float:
    """Return ``||actual - expected|| / ||expected||``; 0 of 0 is 0, and more than 0 infinite."""
    error, scale = (actual - expected).norm().item(), expected.norm().item()
    return error / scale if scale > 0 else (0.0 if error == 0 else float("inf"))


def _interior(y: Tensor, shift: tuple[int, int], margin: int) -> Tensor:
    """Cut ``margin`` outputs from every border, and the strip that ``shift`` brought in."""
    check_integer("margin", margin, 0)
    (dy, dx), (h, w) = shift, y.shape[-2:]
    top, bottom = margin + max(dy, 0), h - margin - max(-dy, 0)
    left, right = margin + max(dx, 0), w - margin - max(-dx, 0)
    if top >= bottom or left >= right:
        raise ValueError(
            f"`margin` (={margin}) and the output shift {shift} leave no interior "
            f"in an output of {h}x{w}"
        )
    return y[..., top:bottom, left:right]


def _read_shift(name: str, value: Shift) -> tuple[int, int]:
    """Read a (dy, dx) pair of integers of either sign."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"`{name}` must be a pair (dy, dx), got {value!r}")
    for axis in (0, 1):
        _check_whole(f"{name}[{axis}]", value[axis])
    return tuple(value)


def _check_whole(name: str, value: int) -> None:
    """Require an integer of either sign."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` must be a whole number of pixels, got {value!r}")


def _check_translate(x: Tensor, dy: int, dx: int, mode: str) -> None:
    """Require images of any dtype, a shift in whole pixels, and one of the two borders."""
    if not isinstance(x, Tensor):
        raise TypeError(f"`x` must be a torch.Tensor, got {type(x).__name__}")
    if x.ndim < 2:
        raise ValueError(f"`x` must have at least 2 dimensions (h, w), got shape {tuple(x.shape)}")
    _check_whole("dy", dy)
    _check_whole("dx", dx)
    if mode not in ("zeros", "circular"):
        raise ValueError(f"`mode` must be 'zeros' or 'circular', got {mode!r}")
