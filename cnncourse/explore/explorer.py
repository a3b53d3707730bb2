"""What all explorers share: a figure that answers when it is touched, in a notebook and on a page.

An explorer is a script, ``<name>.js``, and a class of its name here that holds what a reader can
change. In JupyterLab and Colab, anywidget joins the two, and Python can read what the reader made.
On a page of the book no Python runs: the output keeps the state beside a still picture, and the
page gives both to the same script.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, ClassVar

import anywidget
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from cnncourse.explore.modules import joined, rules

PACKAGE = files("cnncourse")
ABOUT = ("kind", "limits")  # what the script is told besides the state


class Explorer(anywidget.AnyWidget):
    """A figure that answers.

    A subclass names its script, has a trait for each thing that moves, and draws itself once with
    `still`, for paper and for pages without a script. A trait is an `Int`, a `Float`, an `Enum`, a
    `Bool` or a `Matrix`; what is large and never changes is a `File`.
    """

    script: ClassVar[str]
    limits = traitlets.Dict(read_only=True).tag(sync=True)
    kind = traitlets.Unicode(read_only=True).tag(sync=True)  # which rules of style it has

    def __init_subclass__(cls, **options: Any) -> None:
        if "script" in vars(cls):  # and not in the class that a widget makes of itself
            cls._esm = joined(cls.script)
            cls._css = rules("explore") + rules(cls.script)
        super().__init_subclass__(**options)

    def __init__(self, **state: Any) -> None:
        try:
            super().__init__(**state)
        except traitlets.TraitError as error:
            raise ValueError(str(error)) from None
        self.set_trait("kind", self.script)
        self.set_trait("limits", {name: _limits(self.traits()[name]) for name in self.moved()})
        for file in self.files():
            self.observe(lambda _, file=file: file.read(self), file.words)

    def still(self) -> Figure:
        """Draw the first look."""
        raise NotImplementedError

    @classmethod
    def own(cls) -> list[str]:
        """Name what this kind of explorer adds to a widget."""
        names = (name for name in cls.class_traits(sync=True) if not name.startswith("_"))
        return [name for name in names if name not in _WIDGET]

    @classmethod
    def moved(cls) -> list[str]:
        """Name what a reader can change."""
        return [name for name in cls.own() if not isinstance(getattr(cls, name), File)]

    @classmethod
    def files(cls) -> list[File]:
        """List the traits that are files."""
        return [trait for trait in cls.class_traits().values() if isinstance(trait, File)]

    def page(self) -> dict[str, Any]:
        """Return what the script needs on a page: state, limits and names of files."""
        kept = {file.name: file.path for file in self.files()}
        state = self.get_state([*self.moved(), *ABOUT])
        return {"script": self.script, "state": state, "files": kept}

    def __repr__(self) -> str:
        return f"An explorer, {self.script}: it needs a notebook with widgets, or the book's page."

    def __str__(self) -> str:
        lines = (f"{name} = {getattr(self, name)}" for name in self.moved())
        return "\n".join([f"An explorer, {self.script}", *lines])

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        picture, size = self.still()._repr_png_()
        data = {**data, "image/png": picture}
        return data, {**metadata, "image/png": size, "explorer": self.page()}


class File(traitlets.Bytes):
    """A file of the package; a page fetches it when the explorer comes near the window.

    A name in braces stands for the word that another trait has: the file of ``"{net}.bin"`` is
    another one when ``net`` changes, and a page fetches it then.
    """

    def __init__(self, path: str) -> None:
        super().__init__(read_only=True)
        self.path = path
        self.words = re.findall(r"\{(\w+)\}", path)
        self.tag(sync=True)

    def default(self, explorer: Explorer | None = None) -> bytes:
        """Return the file when a widget first asks for it."""
        words = {word: getattr(explorer, word) for word in self.words}
        return PACKAGE.joinpath(self.path.format(**words)).read_bytes()

    def read(self, explorer: Explorer) -> None:
        """Give an explorer the file that its words name now."""
        explorer.set_trait(self.name, self.default(explorer))


class Matrix(traitlets.TraitType[Tensor, Tensor]):
    """A tensor of rank 2, float32, from nested lists on the page's side.

    It has ``least`` to ``side`` rows and columns. A link may change the size of one that is not
    ``fixed``.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[float]],
        *,
        side: int,
        low: int,
        high: int,
        fixed: bool = False,
        least: int = 1,
    ) -> None:
        super().__init__(torch.tensor(rows, dtype=torch.float32))
        self.least, self.side, self.low, self.high = least, side, low, high
        self.fixed = fixed
        self.tag(sync=True, to_json=_rows, from_json=lambda rows, _: torch.tensor(rows))

    def validate(self, explorer: Explorer, value: object) -> Tensor:
        """Refuse what is no matrix, has a wrong size, or numbers out of range."""
        if isinstance(value, (list, tuple)):
            value = torch.tensor(value, dtype=torch.float32)
        if (
            not isinstance(value, Tensor)
            or value.ndim != 2
            or not self.least <= min(value.shape) <= max(value.shape) <= self.side
        ):
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            sizes = f"{self.least} to {self.side} rows and columns"
            raise traitlets.TraitError(
                f"`{self.name}` must be a tensor (h, w) of {sizes}, got {shape}"
            )
        if not ((value >= self.low) & (value <= self.high)).all():
            allowed = f"numbers from {self.low:g} to {self.high:g}"
            found = f"{value.min():g} to {value.max():g}"
            raise traitlets.TraitError(f"`{self.name}` must hold {allowed}, got {found}")
        return value.detach().to("cpu", torch.float32)


def _rows(value: Tensor, _: object) -> list[list[float]]:
    return [[float(f"{number:.6g}") for number in row] for row in value.tolist()]


def _limits(trait: traitlets.TraitType) -> list[Any]:
    """Return smallest and largest number, or all words; nothing for true and false.

    A third word tells numbers with a fraction, and matrices whose size a link may not change.
    """
    if isinstance(trait, Matrix):
        return [trait.low, trait.high, *["fixed"] * trait.fixed]
    if isinstance(trait, traitlets.Enum):
        return list(trait.values)
    kind = ["float"] * isinstance(trait, traitlets.Float)
    return [getattr(trait, "min", None), getattr(trait, "max", None), *kind]


_WIDGET = {*anywidget.AnyWidget.class_traits(sync=True), *ABOUT}
