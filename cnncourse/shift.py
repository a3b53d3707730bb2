"""How often a classifier gives the same answer to two shifts of one image."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor, nn

from cnncourse._arguments import IMAGES, check_integer, check_tensor
from cnncourse.invariance import translate


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
    model = copy.deepcopy(model).eval() if isinstance(model, nn.Module) else model
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
