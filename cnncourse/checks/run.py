"""The only place that calls a learner's answer: it hands out copies and brings back data.

Nothing here decides what is right. In a sandbox this module runs beside the answer, so what it
returns is a statement of the answer's side, not a grade.

Not handled: an answer that never returns (the sandbox has a clock), and one that hides a forbidden
call in another thread or process.
"""

from __future__ import annotations

import linecache
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType, NoneType, TracebackType

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from cnncourse.checks.exercise import Case, Interface, fresh, is_strided, same

# Modules of the course that an answer may call, here and where it is graded: they solve nothing.
HELPERS = (
    *("_arguments", "capstone", "claims", "datasets", "plots", "training"),
    *("checks.cells", "checks.exercise", "checks.given", "checks.report", "checks.run"),
)
HELPING = tuple(f"cnncourse.{name}." for name in HELPERS)
LONGEST_ERROR = 400  # characters
MOST_FRAMES = 4
NOT_THE_LEARNERS = tuple(
    f"{Path(folder).resolve()}/"
    for folder in (
        Path(__file__).parent.parent,
        Path(torch.__file__).parent,
        Path(np.__file__).parent,
        sysconfig.get_path("stdlib"),
    )
)


@dataclass(frozen=True)
class Outcome:
    """What one call gave, as data only.

    Attributes
    ----------
    value
        Tensor, number, bool, str, None, or a tuple or list of these.
    returned : str
        Type of what was returned, where it is nothing of the above; the value is then None.
    error : str
        Type and message of the exception, where there was one; the value is then None.
    traceback : tuple of str
        The learner's own lines that led to the error, outermost first.
    changed : tuple of int
        Places of the arguments that the answer changed.
    forbidden : tuple of str
        Forbidden operators and functions that were called, and solutions of the course, in order.
    """

    value: object = None
    returned: str = ""
    error: str = ""
    traceback: tuple[str, ...] = ()
    changed: tuple[int, ...] = ()
    forbidden: tuple[str, ...] = ()


def as_function(answer: object) -> Callable:
    """Let a value, or a model, stand for the function that returns it."""
    # A model is callable too, but where nothing is handed in it is the answer itself.
    is_function = callable(answer) and not isinstance(answer, nn.Module)
    return answer if is_function else lambda: answer


class NotDataError(TypeError):
    """What the answer returned holds something that is not data; the message is its type."""


def run(exercise: Interface, answer: Callable, cases: Sequence[Case]) -> list[Outcome]:
    """Call the answer once a case.

    Parameters
    ----------
    exercise
        How to call it.
    answer
        The learner's function.
    cases
        What to call it with; every call gets its own copies.

    Returns
    -------
    list of Outcome
        One a case.

    Raises
    ------
    NotImplementedError
        If the answer itself is still the stub, which raises it without a message.
    """
    return [_call(exercise, answer, case, is_strided(i)) for i, case in enumerate(cases)]


def _call(exercise: Interface, answer: Callable, case: Case, strided: bool) -> Outcome:
    given = fresh(case.arguments, exercise.functions, strided)
    forbidden: list[str] = []
    try:
        value = _watched(exercise, answer, given, forbidden)
        result = {"value": plain(value)}
    except NotDataError as error:
        result = {"returned": str(error)}
    except (Exception, SystemExit) as error:
        if _is_stub(error):
            raise
        result = {"error": _describe(error), "traceback": _own_lines(error.__traceback__)}
    changed = [i for i, one in enumerate(case.arguments) if not same(given[i], one)]
    return Outcome(**result, changed=tuple(changed), forbidden=tuple(dict.fromkeys(forbidden)))


def _watched(exercise: Interface, answer: Callable, given: tuple, forbidden: list[str]) -> object:
    """Call the answer with torch's random numbers fixed and the forbidden names watched."""
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        # torch.manual_seed would keep the stack of every call for GPUs that may come.
        torch.default_generator.manual_seed(0)
        stack.enter_context(_solutions_refused(forbidden.append))
        if exercise.forbidden:
            note = partial(_note, exercise.forbidden, forbidden)
            stack.enter_context(Operators(note))
            stack.enter_context(_Functions(note))
        return exercise.call(answer, *given)


class Operators(TorchDispatchMode):
    """Notes every operator where every alias of torch ends: nn.Conv2d, F.conv2d, ...

    Attributes
    ----------
    note : callable
        Takes the operator's name, such as "aten::convolution".
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch's own switch. Left on, the first operator would import the compiler: 2.5 seconds.
        return False

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self.note = note

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.note(func._schema.name)
        return func(*args, **(kwargs or {}))


class _Functions(TorchFunctionMode):
    """Notes every function of torch, also what is no operator: ``torch.autograd.grad``."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self.note = note

    def __torch_function__(self, func, types, args=(), kwargs=None):
        module = getattr(func, "__module__", None) or "torch"
        self.note(f"{module}.{getattr(func, '__name__', '')}")
        return func(*args, **(kwargs or {}))


@contextmanager
def _solutions_refused(refuse: Callable[[str], None]) -> Iterator[None]:
    """Note what an answer calls of the course's own solutions: torch does not see it."""
    before = sys.getprofile()
    # Called at every step of Python: a lambda, which the shape checks of the tests do not wrap.
    sys.setprofile(
        lambda frame, event, value: (
            event == "call"
            and str(frame.f_globals.get("__name__")).startswith("cnncourse.")
            and _look(frame, refuse)
        )
    )
    try:
        yield
    finally:
        sys.setprofile(before)


def _look(frame: FrameType, refuse: Callable[[str], None]) -> None:
    """Refuse what a frame of the course runs, unless it solves nothing."""
    module = str(frame.f_globals["__name__"])
    name = frame.f_code.co_qualname.removesuffix(".__init__")
    if not (_is_helper(module) or name.startswith("_") or "<" in name):
        refuse(f"{module}.{name}")


def _is_helper(module: str) -> bool:
    return f"{module}.".startswith(HELPING)


def _note(names: tuple[str, ...], seen: list[str], called: str) -> None:
    called = called.replace("::", ".")
    if any(name in called for name in names):
        seen.append(called)


def plain(value: object) -> object:
    """Turn what an answer returned into data of exact types.

    Parameters
    ----------
    value
        Anything.

    Returns
    -------
    object
        Tensor on the CPU without history, number, bool, str, None, or tuple or list of these.
        Arrays become tensors, and named tuples become tuples.

    Raises
    ------
    NotDataError
        If the value is or holds anything else, such as an object of a class of the learner's own.
    """
    kind = type(value)
    if kind in (NoneType, bool, int, float, str):
        return value
    if kind is list:
        return [plain(item) for item in value]
    if issubclass(kind, tuple):
        return tuple(plain(item) for item in tuple.__iter__(value))
    if kind in (Tensor, nn.Parameter):
        return _plain_tensor(value)
    if kind is np.ndarray or (issubclass(kind, np.generic) and kind.__module__ == "numpy"):
        return _plain_array(value)
    raise NotDataError(kind.__name__)


def _plain_tensor(value: Tensor) -> Tensor:
    if value.layout is not torch.strided or value.is_complex() or value.is_quantized:
        raise NotDataError(f"tensor of layout {value.layout} and dtype {value.dtype}")
    return value.detach().to("cpu").clone(memory_format=torch.contiguous_format)


def _plain_array(value: np.ndarray | np.generic) -> object:
    # torch has neither longdouble nor foreign byte orders.
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8 or not value.dtype.isnative:
        raise NotDataError(f"array of dtype {value.dtype}")
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value.item()


def _is_stub(error: BaseException) -> bool:
    """Tell the answer's own stub from that of a function it calls, and from an error of torch."""
    # torch's own NotImplementedError always has a message.
    is_bare = type(error) is NotImplementedError and not error.args
    return is_bare and len(_own_lines(error.__traceback__)) <= 1


def _describe(error: BaseException) -> str:
    """Write type and message in one short text, the same on every run."""
    try:
        message = str(error)
    except Exception:  # the learner's own class decides what str() does
        message = ""
    message = re.sub(r"0x[0-9a-f]+", "0x...", message).strip()
    if len(message) > LONGEST_ERROR:
        message = message[:LONGEST_ERROR] + " ..."
    return f"{type(error).__name__}: {message}".rstrip(": ")


def _own_lines(traceback: TracebackType | None) -> tuple[str, ...]:
    """Describe the frames of the learner's own code, the last few of them."""
    lines = []
    while traceback:
        code = traceback.tb_frame.f_code
        if _is_learners(code.co_filename):
            lines.append(_frame(code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return tuple(lines[-MOST_FRAMES:])


def _is_learners(file: str) -> bool:
    path = str(Path(file).resolve())
    installed = "site-packages" in path or "dist-packages" in path
    return not installed and not path.startswith(NOT_THE_LEARNERS)


def _frame(file: str, line: int, function: str) -> str:
    # A notebook's cell is a file with a number for a name, another one on every run.
    in_notebook = "ipykernel_" in file or file.startswith("<")
    place = "" if in_notebook else f"{Path(file).name}, "
    source = linecache.getline(file, line).strip()
    return f"{place}line {line}, in {function}" + (f": {source}" if source else "")
