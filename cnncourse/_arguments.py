"""Argument checks shared by every operator: each error names the argument, its value and the range.

The checks look at shapes, dtypes and integers only, never at the values of a tensor, so they cost
nothing beside the work they guard and never wait for a GPU.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

# Each dimension name is a letter of the formulas, so an error reads like the text of the chapter.
IMAGES = "n c h w"
IntOrPair = int | tuple[int, int] | list[int]  # a list must hold two, like a tuple


def check_tensor(name: str, value: Tensor, dims: str) -> None:
    """Require a floating-point tensor with the axes ``dims``; ``...`` is any number of axes."""
    if not isinstance(value, Tensor):
        raise TypeError(f"`{name}` must be a torch.Tensor, got {type(value).__name__}")
    if not value.is_floating_point():
        raise TypeError(f"`{name}` must have a floating-point dtype, got {value.dtype}")
    axes, more = dims.split(), "..." in dims
    rank = len(axes) - more
    if value.ndim < rank if more else value.ndim != rank:
        raise ValueError(
            f"`{name}` must have {'at least ' if more else ''}{rank} dimensions "
            f"({', '.join(axes)}), got shape {tuple(value.shape)}"
            + (f"; {name}[None] makes one image a batch of one" if one_image(value, dims) else "")
        )


def one_image(value: Tensor, dims: str) -> bool:
    """Tell an image without the batch axis that ``dims`` asks for."""
    return dims == IMAGES and value.ndim == 3


def check_not_empty(name: str, value: Tensor) -> None:
    """Require at least one element."""
    if value.numel() == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {tuple(value.shape)}")


def check_alike(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Require that two tensors share dtype and device."""
    if value.dtype != other.dtype:
        raise TypeError(
            f"`{name}` and `{other_name}` must have the same dtype, "
            f"got {value.dtype} and {other.dtype}"
        )
    if value.device != other.device:
        raise ValueError(
            f"`{name}` and `{other_name}` must be on the same device, "
            f"got {value.device} and {other.device}"
        )


def check_integer(name: str, value: int, minimum: int) -> int:
    """Require an integer of at least ``minimum``; booleans are not integers here."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` must be an integer, got {value!r}")
    if value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}, got {value}")
    return value


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Require one of the choices."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}")


def pair(name: str, value: IntOrPair, minimum: int) -> tuple[int, int]:
    """Read an int or a (height, width) pair of ints, each at least ``minimum``."""
    if not isinstance(value, (tuple, list)):
        side = check_integer(name, value, minimum)
        return side, side
    if len(value) != 2:
        raise ValueError(f"`{name}` must be an int or a (height, width) pair, got {value!r}")
    height, width = value
    return check_integer(name, height, minimum), check_integer(name, width, minimum)
