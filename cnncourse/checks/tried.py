"""Says in words what a check has tried, read off its cases."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cnncourse.checks.exercise import Call, Case, Exercise, is_strided


def tried(exercise: Exercise, cases: Sequence[Case]) -> str:
    """Describe cases: sizes, dtypes, numbers.

    Parameters
    ----------
    exercise
        Its parameters name the arguments.
    cases
        At least one.

    Returns
    -------
    str
        Without a full stop; empty for an exercise without arguments.

    Examples
    --------
    >>> from cnncourse.checks import find
    >>> corr2d = find("corr2d")
    >>> tried(corr2d, [Case(torch.ones(2, 3), torch.ones(1, 2))])
    'x of shape (2, 3), kernel of shape (1, 2); not only squares; float32'
    """
    columns = zip(*(case.arguments for case in cases), strict=True)
    pairs = zip(exercise.parameters, columns, strict=False)
    arguments = ", ".join(_argument(name, values) for name, values in pairs)
    tensors = [leaf for case in cases for leaf in case.leaves() if isinstance(leaf, Tensor)]
    notes = [note for note, holds in NOTES.items() if any(map(holds, tensors))]
    return "; ".join(filter(None, [arguments, *notes, _dtypes(tensors), _memory(cases)]))


def _argument(name: str, values: Sequence[object]) -> str:
    kinds = {type(value) for value in values} - {type(None)}
    optional = ", also None" if None in [v for v in values if not isinstance(v, Tensor)] else ""
    for kind, describe in DESCRIBED.items():
        if kinds and all(issubclass(one, kind) for one in kinds):
            return name + describe([value for value in values if value is not None]) + optional
    return name + optional


def _shapes(values: Sequence[Tensor]) -> str:
    shapes = sorted(
        {tuple(value.shape) for value in values}, key=lambda s: (torch.Size(s).numel(), s)
    )
    if len(shapes) == 1:
        return f" of shape {shapes[0]}"
    return f" of {len(shapes)} shapes, {shapes[0]} to {shapes[-1]}"


def _range(values: Sequence[int | float]) -> str:
    return f" {min(values):g}" + (f" to {max(values):g}" if len(set(values)) > 1 else "")


def _names(values: Sequence[Call | str]) -> str:
    names = [value.name if isinstance(value, Call) else value for value in values]
    return f": {', '.join(dict.fromkeys(names))}"


def _count(values: Sequence[tuple | list]) -> str:
    return f" with {len(set(map(tuple, values)))} values"


# Type of an argument -> how its values are described.
DESCRIBED = {
    Tensor: _shapes,
    (int, float): _range,
    (Call, str): _names,
    (tuple, list): _count,
}


def _is_oblong(tensor: Tensor) -> bool:
    return tensor.ndim > 1 and tensor.shape[-1] != tensor.shape[-2]


NOTES = {
    "not only squares": _is_oblong,
    "infinite numbers too": lambda tensor: bool(tensor.isinf().any()),
}


def _dtypes(tensors: Sequence[Tensor]) -> str:
    dtypes = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors}
    return " and ".join(sorted(dtypes))


def _memory(cases: Sequence[Case]) -> str:
    """Say whether a tensor was laid out in memory in another order."""
    handed = [leaf for i, case in enumerate(cases) if is_strided(i) for leaf in case.leaves()]
    is_strange = any(isinstance(leaf, Tensor) and leaf.ndim > 1 for leaf in handed)
    return "memory in any order" if is_strange else ""
