"""How often a classifier gives the same answer to two shifts of one image.

Not handled: shifts by a fraction of a pixel, and the crops that others shift by.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import IMAGES, check_integer, check_not_empty, check_tensor
from cnncourse.invariance import evaluation_copy, translate


@torch.no_grad()
def shift_consistency(
    model: Callable[[Tensor], Tensor],
    images: Float[Tensor, "n c h w"],
    max_shift: int,
    mode: str = "zeros",
    batch_size: int = 256,
) -> float:
    """Measure how often a classifier gives the same class to two shifts of one image.

    Each of the two is drawn from all (2 max_shift + 1)^2 shifts by at most ``max_shift`` pixels up,
    down, left and right (Zhang 2019 estimates this from random pairs). Here it is exact: every
    image is classified once under every shift, and where a share p_k of the shifts gets class k,
    two of them agree with probability ``sum_k p_k^2``. 1 means that no shift changes any class.

    Parameters
    ----------
    model : callable
        From images to class scores (n, classes). A module is measured as a copy in evaluation mode.
    mode : {"zeros", "circular"}, default "zeros"
        What comes in at the border, as in ``translate``.
    batch_size : int, default 256
        Images classified at a time; it changes the memory used, not the result.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 5, 5)
    >>> image[0, 0, 2, 2] = 1
    >>> column_of_the_dot = lambda x: x.sum(dim=(1, 2))
    >>> round(shift_consistency(column_of_the_dot, image, max_shift=1), 3)
    0.333
    """
    _check_consistency(images, max_shift, batch_size)
    model = evaluation_copy(model)
    pixels = range(-max_shift, max_shift + 1)
    shifts = [(dy, dx) for dy in pixels for dx in pixels]
    agreement = 0.0
    for batch in images.split(batch_size):
        votes = sum(_votes(model, translate(batch, dy, dx, mode)) for dy, dx in shifts)
        share = votes / len(shifts)  # p_k of every image, (n, classes)
        agreement += share.square().sum().item()
    return agreement / len(images)


def _votes(
    model: Callable[[Tensor], Tensor], images: Float[Tensor, "n c h w"]
) -> Float[Tensor, "n classes"]:
    """Return a one in the column of the predicted class and zeros elsewhere."""
    scores = model(images)
    if scores.ndim != 2 or len(scores) != len(images):
        raise ValueError(
            f"`model` must return scores of shape ({len(images)}, classes), "
            f"got {tuple(scores.shape)}"
        )
    return F.one_hot(scores.argmax(dim=1), scores.shape[1]).double()


def _check_consistency(images: Tensor, max_shift: int, batch_size: int) -> None:
    """Require images, and two numbers in their ranges."""
    check_tensor("images", images, IMAGES)
    check_not_empty("images", images)
    check_integer("max_shift", max_shift, 0)
    check_integer("batch_size", batch_size, 1)
