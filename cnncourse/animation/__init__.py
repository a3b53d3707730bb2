"""A kernel that slides over an image, step by step, in a notebook and on a page without a kernel.

The numbers are computed here. The script in the output adds the buttons and moves the mark; without
it the first step and a list of all steps remain. It loads nothing, and moves nothing before a
reader asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import product

from jaxtyping import Float
from torch import Tensor

from cnncourse.cross_correlation import corr2d

MAX_SIDE = 8  # columns and rows of an image that a phone shows without scrolling

FOLDER = files(__name__)
STYLE = FOLDER.joinpath("sliding.css").read_text("utf-8")
# Without the attribute of its controls, JupyterLab takes the arrow keys for itself.
SCRIPT = FOLDER.joinpath("sliding.js").read_text("utf-8")


@dataclass(frozen=True)
class Step:
    """One place of the kernel.

    Attributes
    ----------
    row, column : int
        Top left corner of the window in the image, which is the place in the output.
    products : tuple of (float, float)
        Pixel and weight of each pair that lies on top of each other, row by row.
    value : float
        The output: the sum of the products.
    """

    row: int
    column: int
    products: tuple[tuple[float, float], ...]
    value: float

    def __str__(self) -> str:
        terms = " + ".join(f"{_number(x)} × {_number(weight)}" for x, weight in self.products)
        return f"y[{self.row}, {self.column}] = {terms} = {_number(self.value)}"


@dataclass(frozen=True, eq=False)
class SlidingWindow:
    """All steps of a cross-correlation, shown one at a time.

    Attributes
    ----------
    x, kernel, y : Tensor of shape (h, w), (kh, kw) and (h - kh + 1, w - kw + 1)
        Image, kernel and output.
    steps : tuple of Step
        In reading order, one for each output.
    """

    x: Tensor
    kernel: Tensor
    y: Tensor
    steps: tuple[Step, ...]

    def __repr__(self) -> str:
        return "\n".join(map(str, self.steps))

    def _repr_html_(self) -> str:
        return _page(self)


def sliding_window(x: Float[Tensor, "h w"], kernel: Float[Tensor, "kh kw"]) -> SlidingWindow:
    """Show a kernel that slides over an image, with the products and the sum at each place.

    Parameters
    ----------
    x : Tensor of shape (h, w)
        Image, at most 8 × 8; any floating-point dtype and device.
    kernel : Tensor of shape (kh, kw)
        Weights, of the dtype and device of ``x``; no larger than ``x``.

    Returns
    -------
    SlidingWindow
        In a notebook, a figure with buttons; elsewhere, its steps as text.

    Raises
    ------
    TypeError, ValueError
        As :func:`cnncourse.cross_correlation.corr2d`, and if ``x`` is larger than 8 × 8.

    Notes
    -----
    The output is that of :func:`~cnncourse.cross_correlation.corr2d`. Numbers are shown with three
    digits.

    Examples
    --------
    >>> import torch
    >>> sliding_window(torch.arange(6.0).reshape(2, 3), torch.tensor([[1.0], [-1.0]]))
    y[0, 0] = 0 × 1 + 3 × −1 = −3
    y[0, 1] = 1 × 1 + 4 × −1 = −3
    y[0, 2] = 2 × 1 + 5 × −1 = −3
    """
    y = corr2d(x, kernel)
    if max(x.shape) > MAX_SIDE:
        raise ValueError(f"`x` must have at most {MAX_SIDE} rows and columns, got {tuple(x.shape)}")
    steps = tuple(_step(x, kernel, y, i, j) for i, j in product(*map(range, y.shape)))
    return SlidingWindow(x, kernel, y, steps)


def _step(x: Tensor, kernel: Tensor, y: Tensor, i: int, j: int) -> Step:
    """Read what lies under the kernel at one place."""
    kh, kw = kernel.shape
    pixels = x[i : i + kh, j : j + kw].flatten().tolist()
    return Step(i, j, tuple(zip(pixels, kernel.flatten().tolist(), strict=True)), y[i, j].item())


def _number(value: float) -> str:
    """Write a number with three digits and a true minus sign."""
    return f"{value:.3g}".replace("-", "−")


def _page(window: SlidingWindow) -> str:
    """Write the first frame and all steps as HTML."""
    (h, w), (kh, kw) = window.x.shape, window.kernel.shape
    steps = "".join(f"<li>{escape(str(step))}</li>" for step in window.steps)
    first = f"Step 1 of {len(window.steps)}. {window.steps[0]}"
    return f"""\
<div class="sliding" role="group" aria-label="Sliding window: kernel of {kh} by {kw}, image of \
{h} by {w}"><style>
{STYLE}</style>
<div class="sliding-grids">
{_image(window)}
{_table("kernel", "Kernel", _cells(window.kernel))}
{_output(window)}
</div>
<p class="sliding-text" role="status">{escape(first)}</p>
<details><summary>All steps in words</summary><ol>{steps}</ol></details>
<script>
{SCRIPT}</script></div>"""


def _image(window: SlidingWindow) -> str:
    """Write the image with the kernel on its top left corner."""
    kh, kw = window.kernel.shape
    cells = _cells(window.x)
    for i, j in product(range(kh), range(kw)):
        pixel, weight = window.x[i, j].item(), window.kernel[i, j].item()
        cells[i][j] = _marked(pixel, f' data-weight="{_number(weight)}"')
    return _table("image", "Image", cells)


def _output(window: SlidingWindow) -> str:
    """Write the output with its first value alone."""
    cells = [["<td></td>"] * window.y.shape[1] for _ in window.y]
    cells[0][0] = _marked(window.y[0, 0].item())
    return _table("output", "Output", cells)


def _marked(value: float, attribute: str = "") -> str:
    """Write a table cell that is marked, in bold where the style is not applied."""
    return f'<td class="sliding-on"{attribute}><b>{_number(value)}</b></td>'


def _cells(values: Tensor) -> list[list[str]]:
    """Write each number of a matrix as a table cell."""
    return [[f"<td>{_number(value)}</td>" for value in row] for row in values.tolist()]


def _table(name: str, title: str, cells: list[list[str]]) -> str:
    rows = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    return f'<table class="sliding-{name}"><caption>{title}</caption><tbody>{rows}</tbody></table>'
