"""What an exercise is made of: data for its cases, a reference, and the mistakes it can name.

The arguments of a case are data only, so a case can cross into a sandbox as text and bytes. What
is not data, a function or a model, is named by a :class:`Call` and made where the answer runs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

# A correct sum of a few hundred products loses about three of the 7 or 16 digits of its dtype.
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}


@dataclass(frozen=True, init=False, eq=False)
class Call:
    """An argument that is a function or a model: the name of its factory and what that is given.

    Attributes
    ----------
    name : str
        Key of the exercise's ``functions``.
    data : tuple
        Arguments of the factory: data only.
    """

    name: str
    data: tuple

    def __init__(self, name: str, *data: object) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "data", data)


@dataclass(frozen=True, init=False, eq=False)
class Case:
    """One call of the answer.

    Attributes
    ----------
    arguments : tuple
        Positional arguments: tensors, numbers, booleans, strings, None, :class:`Call`, and tuples
        or lists of these.
    """

    arguments: tuple

    def __init__(self, *arguments: object) -> None:
        object.__setattr__(self, "arguments", arguments)

    @property
    def size(self) -> int:
        """How many numbers a reader has to look at."""
        return sum(value.numel() if isinstance(value, Tensor) else 1 for value in self.leaves())

    def leaves(self) -> list:
        """Return every tensor, number and word of the arguments."""
        return list(_leaves(self.arguments))


class Mistake(NamedTuple):
    """A mistake the check can name: what to say, and a function that makes the mistake."""

    diagnosis: str
    wrong: Callable


class Measured(NamedTuple):
    """What an accepted answer reaches: a share of the points, and facts with their names.

    The first fact is a number with as many digits for everybody; it orders a class's table.
    """

    share: float
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Interface:
    """How an answer is called. A sandbox needs this much of an exercise, and no more.

    Attributes
    ----------
    name : str
        Of the exercise and of the function that the learner writes.
    forbidden : tuple of str
        Parts of the names of operators and torch functions that the answer must not call:
        "conv" covers ``aten::convolution`` and ``torch.conv2d``.
    functions : mapping
        Name of a :class:`Call` -> factory, which makes the argument from the call's data.
    probe : callable or None
        ``probe(answer, *arguments) -> data``, where calling the answer does not yet give data.
    """

    name: str
    forbidden: tuple[str, ...] = ()
    functions: Mapping[str, Callable] = field(default_factory=dict)
    probe: Callable | None = None

    def call(self, answer: Callable, *arguments: object) -> object:
        """Call an answer, or let the probe do it."""
        return self.probe(answer, *arguments) if self.probe else answer(*arguments)


@dataclass(frozen=True, kw_only=True)
class Exercise(Interface):
    """An exercise: what the learner reads about it, and how its check decides.

    Attributes
    ----------
    signature : str
        As the learner writes it: ``"corr2d(x, kernel)"``.
    returns : tuple of str
        Names of the items, where the answer is a tuple.
    title : str
        Heading of the exercise.
    minutes, points : int
        Expected time; weight in a grade.
    difficulty : {"easy", "medium", "hard"}
        For a learner who has read the chapter.
    prerequisites : tuple of str
        What to know before.
    graded : str
        One sentence: what the check looks at.
    reference : callable
        A right answer; a function of the package where there is one.
    cases : callable
        ``cases(generator) -> list of Case``; all random numbers come from the generator.
    accepts : callable or None
        ``accepts(value, *arguments) -> str`` says what is wrong with a value, ``""`` if nothing
        is: for exercises with many right answers. The expected value is then never shown. The
        value has the type of the reference's, unless there is a probe.
    mistakes : tuple of Mistake
        Tried in order.
    hints : tuple of str
        From gentle to nearly the answer.
    tolerance : mapping
        dtype -> largest error accepted, relative to the largest number expected.
    practice : callable or None
        Cases of the public check, where those of a grade measure what nobody may choose by.
    measures : callable or None
        ``measures(value, *arguments) -> Measured``: what an accepted value reaches, where an
        exercise gives a part of its points. It has one case, whose value is never shown.
    chapter : int
        Number of the chapter; :func:`~cnncourse.checks.exercises` fills it in.
    """

    signature: str
    title: str
    minutes: int
    difficulty: str
    points: int
    prerequisites: tuple[str, ...]
    graded: str
    reference: Callable
    cases: Callable[[torch.Generator], list[Case]]
    hints: tuple[str, ...]
    mistakes: tuple[Mistake, ...] = ()
    returns: tuple[str, ...] = ()
    accepts: Callable[..., str] | None = None
    tolerance: Mapping[torch.dtype, float] = field(default_factory=lambda: TOLERANCE)
    practice: Callable[[torch.Generator], list[Case]] | None = None
    measures: Callable[..., Measured] | None = None
    chapter: int = 0

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the arguments."""
        names = self.signature.partition("(")[2].rstrip(")")
        return tuple(name.strip() for name in names.split(",") if name.strip())


def is_strided(index: int) -> bool:
    """Tell whether the tensors of case number ``index`` are handed out in a transposed memory."""
    return index % 3 == 1


def fresh(value: object, functions: Mapping[str, Callable], strided: bool = False) -> object:
    """Copy an argument, and make the functions and models it names.

    Parameters
    ----------
    value
        Data, as in :class:`Case`.
    functions
        Factories of the functions and models.
    strided
        Lay out tensors of two or more axes so that they are not contiguous in memory.

    Returns
    -------
    object
        Equal in value to what was given, and sharing no memory with it.
    """
    if isinstance(value, Call):
        return functions[value.name](*fresh(value.data, functions, strided))
    if isinstance(value, (tuple, list)):
        return type(value)(fresh(item, functions, strided) for item in value)
    if not isinstance(value, Tensor):
        return value
    if strided and value.ndim > 1:
        return value.mT.clone(memory_format=torch.contiguous_format).mT
    return value.clone(memory_format=torch.contiguous_format)


def same(a: object, b: object) -> bool:
    """Tell whether two arguments are exactly equal; what a :class:`Call` made is never compared."""
    if isinstance(b, Call):
        return True
    # An answer may have put anything into a list.
    if type(a) is not type(b):
        return False
    if isinstance(b, Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def generator(seed: int | str, name: str) -> torch.Generator:
    """Return the source of all random numbers of one exercise: exercises share no draws."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def whole_numbers(
    random: torch.Generator, *shape: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Draw integers from -4 to 4, none zero, so that a case can be checked by hand.

    No zeros: a product with zero would hide which of two numbers was multiplied.
    """
    size = torch.randint(1, 5, shape, generator=random)
    sign = torch.randint(0, 2, shape, generator=random) * 2 - 1
    return (size * sign).to(dtype)


def decimals(random: torch.Generator, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Draw normal numbers with all their digits: in float64 they show where an answer rounds."""
    return torch.randn(shape, generator=random, dtype=dtype)


def distinct_numbers(
    random: torch.Generator, *shape: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Draw the integers 1 to n in some order, each with a sign of its own.

    No two agree but for the sign, so turning, flipping or negating a kernel always shows.
    """
    order = torch.randperm(math.prod(shape), generator=random).reshape(shape) + 1
    sign = torch.randint(0, 2, shape, generator=random) * 2 - 1
    return (order * sign).to(dtype)


def _leaves(value: object) -> Iterable:
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, Call):
        yield from _leaves(value.data)
    else:
        yield value
