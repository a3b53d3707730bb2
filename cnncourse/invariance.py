"""Shifting images, and measuring how a function answers when its input is shifted.

Shifts are whole pixels along the last two axes. Equivariance (the output moves with the input) and
invariance (the output stays) are measured on the pixel grid; rotations, scale and fractions of a
pixel are left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from cnncourse._arguments import check_integer

Shift = tuple[int, int] | list[int]  # (dy, dx)


def _check_shift(name: str, value: int) -> int:
    """Require an integer of either sign."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` must be a whole number of pixels, got {value!r}")
    return value


def _shift_pair(name: str, value: Shift) -> tuple[int, int]:
    """Read a (dy, dx) pair of integers of either sign."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"`{name}` must be a pair (dy, dx), got {value!r}")
    return _check_shift(f"{name}[0]", value[0]), _check_shift(f"{name}[1]", value[1])


def translate(
    x: Shaped[Tensor, "*lead h w"], dy: int, dx: int, mode: str = "zeros"
) -> Shaped[Tensor, "*lead h w"]:
    """Move the content of an image down by ``dy`` and to the right by ``dx`` pixels.

    ``y[..., i, j] = x[..., i - dy, j - dx]``

    Parameters
    ----------
    x : Tensor of shape (..., h, w)
        Images; any dtype, any number of leading axes.
    dy, dx : int
        Pixels down and to the right; negative values move up and to the left.
    mode : {"zeros", "circular"}, default "zeros"
        What comes in at the border: zeros, or the pixels that left on the other side.

    Returns
    -------
    Tensor of shape (..., h, w)
        Same dtype and device as ``x``. With "zeros", a shift of a whole height or width or more
        leaves nothing but zeros.

    Raises
    ------
    TypeError
        If ``x`` is not a tensor, or ``dy`` or ``dx`` is not an integer.
    ValueError
        If ``x`` has fewer than two axes, or ``mode`` is neither of the two.

    Examples
    --------
    >>> import torch
    >>> translate(torch.tensor([[1, 2], [3, 4]]), 0, 1)
    tensor([[0, 1],
            [0, 3]])
    >>> translate(torch.tensor([[1, 2], [3, 4]]), 0, 1, mode="circular")
    tensor([[2, 1],
            [4, 3]])
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"`x` must be a torch.Tensor, got {type(x).__name__}")
    if x.ndim < 2:
        raise ValueError(f"`x` must have at least 2 dimensions (h, w), got shape {tuple(x.shape)}")
    dy, dx = _check_shift("dy", dy), _check_shift("dx", dx)
    if mode == "circular":
        return x.roll((dy, dx), dims=(-2, -1))
    if mode != "zeros":
        raise ValueError(f"`mode` must be 'zeros' or 'circular', got {mode!r}")
    h, w = x.shape[-2:]
    dy, dx = max(-h, min(dy, h)), max(-w, min(dx, w))
    # A negative pad crops: what leaves on one side makes room for the zeros on the other.
    return F.pad(x, (dx, -dx, dy, -dy))


def permute_pixels(x: Shaped[Tensor, "*lead h w"], seed: int = 0) -> Shaped[Tensor, "*lead h w"]:
    """Put the pixels of every image in one random order, the same for all of them.

    Parameters
    ----------
    x : Tensor of shape (..., h, w)
        Images; any dtype, any number of leading axes.
    seed : int
        Of the order, 0 or larger; one seed gives one order on every machine.

    Returns
    -------
    Tensor of shape (..., h, w)
        Same dtype and device as ``x``.

    Examples
    --------
    >>> import torch
    >>> permute_pixels(torch.arange(6).reshape(2, 3)).sort().values.shape
    torch.Size([2, 3])
    """
    check_integer("seed", seed, 0)
    h, w = x.shape[-2:]
    order = torch.randperm(h * w, generator=torch.Generator().manual_seed(seed)).to(x.device)
    return x.flatten(-2)[..., order].unflatten(-1, (h, w))


def _frozen(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return a module's copy in evaluation mode, so that the caller's one stays untouched."""
    return copy.deepcopy(f).eval() if isinstance(f, nn.Module) else f


def _kind(x: object) -> str:
    """Name the dtype of a tensor or the type of anything else."""
    return str(x.dtype) if isinstance(x, Tensor) else type(x).__name__


def _interior(y: Tensor, shift: tuple[int, int], margin: int) -> Tensor:
    """Cut ``margin`` outputs from every border, and the strip that ``shift`` brought in."""
    (dy, dx), (h, w) = shift, y.shape[-2:]
    top, bottom = margin + max(dy, 0), h - margin - max(-dy, 0)
    left, right = margin + max(dx, 0), w - margin - max(-dx, 0)
    if top >= bottom or left >= right:
        raise ValueError(
            f"`margin` (={margin}) and the output shift {shift} leave no interior "
            f"in an output of {h}x{w}"
        )
    return y[..., top:bottom, left:right]


@torch.no_grad()
def equivariance_error(
    f: Callable[[Tensor], Tensor],
    x: Float[Tensor, "*lead h w"],
    shift: Shift,
    mode: str = "circular",
    margin: int | None = None,
    output_shift: Shift | None = None,
) -> float:
    """Measure how far ``f`` is from moving its output along with its input.

    ``||f(T x) - T' f(x)|| / ||T' f(x)||``, where T moves by ``shift`` and T' by ``output_shift``.
    Zero means equivariant for this ``x`` and this shift; with ``output_shift=(0, 0)`` it means
    invariant.

    Parameters
    ----------
    f : callable
        From a tensor to a tensor. A module is copied and measured in evaluation mode.
    x : Tensor of shape (..., h, w)
        What ``f`` accepts.
    shift : (int, int)
        (dy, dx) of T in pixels, down and to the right.
    mode : {"zeros", "circular"}, default "circular"
        How both T and T' fill the border, as in :func:`translate`.
    margin : int, optional
        None compares every output. A number compares the interior only: it leaves out the strip
        that ``output_shift`` brings in and, at each border, this many further outputs. Padding
        reaches ``padding`` outputs far through one layer of stride 1, and their sum through
        several.
    output_shift : (int, int), optional
        (dy, dx) of T' in outputs; ``shift`` where not given. Where ``f`` halves the size, a shift
        by (4, 2) should move the output by (2, 1).

    Returns
    -------
    float
        Relative error, 0 or larger; infinite where T' f(x) is zero and f(T x) is not.

    Raises
    ------
    TypeError
        If ``x`` is not a floating-point tensor, or a shift or ``margin`` is not whole.
    ValueError
        If ``x`` has fewer than two axes, a shift is not a pair, ``mode`` is neither of the two,
        ``margin`` is negative or leaves no output, or f(x) has fewer than two axes.

    Notes
    -----
    The definition of Cohen and Welling (2016), Group equivariant convolutional networks, for
    the group of translations.

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(16.0).reshape(4, 4)
    >>> equivariance_error(torch.relu, x, (1, 0))
    0.0
    >>> round(equivariance_error(lambda x: x.cumsum(-1), x, (0, 1)), 2)
    0.66
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(f"`x` must be a floating-point torch.Tensor, got {_kind(x)}")
    dy, dx = _shift_pair("shift", shift)
    moved = (dy, dx) if output_shift is None else _shift_pair("output_shift", output_shift)
    f = _frozen(f)
    actual, y = f(translate(x, dy, dx, mode)), f(x)
    if y.ndim < 2:
        raise ValueError(f"`f` must return at least 2 dimensions, got shape {tuple(y.shape)}")
    expected = translate(y, *moved, mode)
    if margin is not None:
        check_integer("margin", margin, 0)
        actual, expected = _interior(actual, moved, margin), _interior(expected, moved, margin)
    error, scale = (actual - expected).norm().item(), expected.norm().item()
    return error / scale if scale > 0 else (0.0 if error == 0 else float("inf"))
