"""Operators, training loop, data and checks of the course on convolutional networks.

One module per chapter; ``windows``, ``receptive_field`` and ``layer_table`` serve several, and
``deep`` builds the network that the chapter on normalization trains. Each function uses the names,
argument order, defaults and NCHW layout of ``torch.nn.functional``, so that what you learn here
carries over. The letters of shapes and formulas are those of the page "Notation",
``book/notation.md``.

What holds for every function stands here and in no other docstring. Tensors have a floating-point
dtype; those of one call share dtype and device, and the result has both. Numbers are ints, or
(height, width) pairs where a layer has two; padding is per side. A wrong type or dtype is a
TypeError, a wrong shape, device or range a ValueError, and each names the argument, its value and
what is allowed; ``Raises`` in a docstring is for what is special. No function changes its
arguments, but for the running statistics of a normalization. Gradients flow through every operator.
A function whose name ends in ``_loops`` is for reading: slow, and equal to torch on what its module
handles.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnncourse.checks import check, hint

__all__ = ["check", "hint"]
__version__ = "0.1.0"


def __getattr__(name: str) -> "Callable":
    # Only who checks an answer pays for the import of torch and of the exercises.
    if name in __all__:
        return getattr(import_module("cnncourse.checks"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
