"""Shifting images, and measuring how a function answers when its input is shifted.

Shifts are whole pixels along the last two axes. Equivariance (the output moves with the input) and
invariance (the output stays) are measured on the pixel grid; rotations, scale and fractions of a
pixel are left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import product
from math import comb

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from cnncourse._arguments import IMAGES, IntOrPair, check_integer, check_tensor, pair

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


@torch.no_grad()
def shift_consistency(
    model: Callable[[Tensor], Tensor],
    images: Float[Tensor, "n c h w"],
    max_shift: int,
    mode: str = "zeros",
    batch_size: int = 256,
) -> float:
    """Measure how often a classifier gives the same class to two shifts of one image.

    ``E[argmax model(T_1 x) = argmax model(T_2 x)]`` over the images x and over two independent
    shifts, each uniform on the (2 max_shift + 1)^2 shifts of at most ``max_shift`` pixels up, down,
    left and right. The expectation is exact: every image is classified under every shift once, and
    where a share p_k of the shifts gets class k, two of them agree with probability sum_k p_k^2.

    Parameters
    ----------
    model : callable
        From images (n, c, h, w) to class scores (n, classes). A module is copied and used in
        evaluation mode.
    images : Tensor of shape (n, c, h, w)
        n >= 1 images on the device of ``model``.
    max_shift : int
        Largest shift in pixels, 0 or larger. The cost is (2 max_shift + 1)^2 passes.
    mode : {"zeros", "circular"}, default "zeros"
        What comes in at the border, as in :func:`translate`.
    batch_size : int, default 256
        Images classified at a time; it changes the memory used, not the result.

    Returns
    -------
    float
        Share in (0, 1]; 1 means that no shift changes the class of any image.

    Raises
    ------
    TypeError
        If ``images`` is not a floating-point tensor, or a number is not an integer.
    ValueError
        If ``images`` is empty or not 4-D, ``max_shift`` < 0, ``batch_size`` < 1, ``mode`` is
        neither of the two, or the scores are not of shape (n, classes).

    Notes
    -----
    Classification consistency of Zhang (2019), Making convolutional networks shift-invariant
    again, who estimates the expectation from random pairs of crops.

    Examples
    --------
    >>> import torch
    >>> image = torch.zeros(1, 1, 5, 5)
    >>> image[0, 0, 2, 2] = 1
    >>> column_of_the_dot = lambda x: x.sum(dim=(1, 2))
    >>> round(shift_consistency(column_of_the_dot, image, max_shift=1), 3)
    0.333
    """
    check_tensor("images", images, IMAGES)
    check_integer("max_shift", max_shift, 0)
    check_integer("batch_size", batch_size, 1)
    if len(images) == 0:
        raise ValueError(f"`images` must hold at least one image, got shape {tuple(images.shape)}")
    model = _frozen(model)
    shifts = list(product(range(-max_shift, max_shift + 1), repeat=2))
    agreement = 0.0
    for batch in images.split(batch_size):
        share = sum(_votes(model, translate(batch, dy, dx, mode)) for dy, dx in shifts) / len(
            shifts
        )
        agreement += share.square().sum().item()
    return agreement / len(images)


def _votes(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return a one in the column of the predicted class and zeros elsewhere, (n, classes)."""
    scores = model(images)
    if scores.ndim != 2 or len(scores) != len(images):
        raise ValueError(
            f"`model` must return scores of shape ({len(images)}, classes), "
            f"got {tuple(scores.shape)}"
        )
    return F.one_hot(scores.argmax(dim=1), scores.shape[1]).double()


def blur_pool2d(
    x: Float[Tensor, "n c h w"], kernel_size: int = 3, stride: IntOrPair = 2
) -> Float[Tensor, "n c _ _"]:
    """Blur each channel with a binomial filter, then keep every ``stride``-th pixel.

    ``kernel[a, b] = C(k - 1, a) C(k - 1, b) / 4^(k - 1)``; the image is first continued by
    reflection, floor((k - 1) / 2) pixels before and ceil((k - 1) / 2) after each axis.

    Parameters
    ----------
    x : Tensor of shape (n, c, h, w)
        Images; any floating-point dtype and device; h and w larger than ceil((k - 1) / 2).
    kernel_size : int, default 3
        Side k of the filter, 1 or larger; 1 does not blur. Zhang uses 2 to 7.
    stride : int or (int, int), default 2
        Step, 1 or larger.

    Returns
    -------
    Tensor of shape (n, c, ceil(h / sh), ceil(w / sw))
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError
        If ``x`` is not a floating-point tensor, or a size is not an integer.
    ValueError
        If ``x`` is not 4-D, a size is < 1, or ``kernel_size`` is too large to reflect ``x``.

    Notes
    -----
    Zhang (2019), Making convolutional networks shift-invariant again.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[[[0.0, 4.0, 0.0, 4.0], [0.0, 4.0, 0.0, 4.0]]]])
    >>> x[..., ::2, ::2], blur_pool2d(x)  # subsampling sees black, blur-pooling sees grey
    (tensor([[[[0., 0.]]]]), tensor([[[[2., 2.]]]]))
    """
    check_tensor("x", x, IMAGES)
    k = check_integer("kernel_size", kernel_size, 1)
    before, after = (k - 1) // 2, k // 2
    if after >= min(x.shape[2:]):
        raise ValueError(
            f"`kernel_size` must be at most {2 * min(x.shape[2:]) - 1} to reflect "
            f"images of shape {tuple(x.shape[2:])}, got {k}"
        )
    row = x.new_tensor([comb(k - 1, a) / 2 ** (k - 1) for a in range(k)])
    kernel = row.outer(row).expand(x.shape[1], 1, k, k)
    padded = F.pad(x, (before, after, before, after), mode="reflect")
    return F.conv2d(padded, kernel, stride=pair("stride", stride, 1), groups=x.shape[1])
