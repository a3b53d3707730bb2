"""The reference library of the course, imported so that it works beside any torch.

``from cnncourse.reference import d2l`` stands for ``from d2l import torch as d2l``. Released d2l
pins versions that no current Python has, so it is installed without its dependencies. And it
imports torchvision, which stops where its compiled operators were built for another torch; the
course uses none of them, so they are declared, without code, and the import goes on.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch

INSTALL = (
    "The comparisons of this course need d2l 1.0.3 and the packages it imports. Install them with\n"
    "    pip install --no-deps d2l==1.0.3\n"
    "    pip install torchvision pandas scipy requests ipython matplotlib-inline\n"
    "`--no-deps` keeps d2l's pins (numpy 1.23.5, pandas 2.0.3, ...) from replacing your packages."
)
# The two that torchvision looks up while it is imported.
OPERATORS = ("torchvision::nms", "torchvision::qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_d2l() -> ModuleType:
    """Import ``d2l.torch``, past torchvision's compiled operators where they are missing.

    Calling such an operator still fails. Without d2l, or a package that it imports, the ImportError
    says what to install.

    Examples
    --------
    >>> d2l = import_d2l()
    >>> d2l.corr2d(torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2))
    tensor([[19., 25.],
            [37., 43.]])
    """
    try:
        _import_torchvision()
        return importlib.import_module("d2l.torch")
    except ModuleNotFoundError as error:
        raise ImportError(f"{error.name} is not installed. {INSTALL}", name=error.name) from error


def _import_torchvision() -> None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if not any(operator in str(error) for operator in OPERATORS):
            raise
        for operator in OPERATORS:
            torch.library.define(operator, SCHEMA)
        importlib.import_module("torchvision")


def __getattr__(name: str) -> ModuleType:
    # Only who asks for d2l pays its import, and needs it installed.
    if name == "d2l":
        return import_d2l()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
