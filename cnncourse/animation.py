"""A kernel that slides over an image, step by step, in a notebook and on a page without a kernel.

The numbers are computed here. The script in the output adds the buttons and moves the mark; without
it the first step and a list of all steps remain. It loads nothing, and moves nothing before a
reader asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import product

from jaxtyping import Float
from torch import Tensor

from cnncourse.cross_correlation import corr2d

MAX_SIDE = 8  # columns and rows of an image that a phone shows without scrolling

STYLE = """
.sliding { border: 1px solid rgb(128 128 128 / 0.5); border-radius: 6px; padding: 0.8rem 1rem;
  font-family: var(--pst-font-family-base, system-ui, sans-serif); font-size: 1rem;
  line-height: 1.5; color: inherit }
.sliding .sliding-grids { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start }
.sliding .sliding-grids table { border-collapse: collapse; width: auto; margin: 0; border: 0;
  color: inherit; font-size: 1rem; table-layout: fixed }
.sliding .sliding-grids caption { caption-side: top; padding: 0 0 0.3rem; text-align: left;
  white-space: nowrap; color: inherit; font-size: 0.9rem }
.sliding .sliding-grids tbody tr { background: transparent; border: 0 }
.sliding .sliding-grids tbody td { border: 1px solid rgb(128 128 128 / 0.8); padding: 0;
  width: 2.1rem; min-width: 2.1rem; height: 2.5rem; text-align: center; vertical-align: middle;
  line-height: 1.1; color: inherit; background: transparent }
.sliding .sliding-grids td[data-weight]::after { content: "×" attr(data-weight); display: block;
  font-size: 0.75rem }
.sliding .sliding-grids td.sliding-on { outline: 3px solid; outline-offset: -3px; font-weight: bold;
  background: rgb(230 159 0 / 0.25) }
.sliding p { margin: 0.8rem 0; overflow-wrap: anywhere }
.sliding .sliding-controls { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center }
.sliding .sliding-controls button { font: inherit; color: inherit; background: transparent;
  border: 1px solid; border-radius: 6px; padding: 0.25rem 0.7rem; cursor: pointer }
.sliding .sliding-controls button[aria-disabled="true"] { border-style: dashed; cursor: default }
.sliding .sliding-controls :focus-visible { outline: 3px solid; outline-offset: 2px }
.sliding .sliding-controls label { display: flex; gap: 0.5rem; align-items: center }
.sliding .sliding-controls input { width: 8rem; min-height: 1.5rem }
.sliding details { margin-top: 0.6rem }
.sliding details ol { margin: 0.4rem 0 0; padding-left: 2rem }
@media (width < 30rem) { .sliding p { min-height: 3em } }
@media (prefers-reduced-motion: reduce) { .sliding .sliding-play { display: none } }
"""

# Without the attribute of its controls, JupyterLab takes the arrow keys for itself.
SCRIPT = """
for (const box of document.querySelectorAll(".sliding:not([data-ready])")) {
  box.dataset.ready = "";
  const find = (name) => box.querySelector(`.sliding-${name}`);
  const cells = (name) => [...find(name).rows].map((row) => [...row.cells]);
  const [image, kernel, output] = [cells("image"), cells("kernel"), cells("output").flat()];
  const words = [...box.querySelectorAll("li")].map((item) => item.textContent);
  const columns = image[0].length - kernel[0].length + 1, last = words.length - 1;
  const button = (text) => `<button type="button" class="sliding-${text.toLowerCase()}"
    data-lm-suppress-shortcuts="true">${text}</button>`;
  find("text").insertAdjacentHTML("afterend", `<div class="sliding-controls">
    ${button("Previous")}${button("Next")}${button("Play")}<label>Step <input type="range"
    class="sliding-range" max="${last}" data-lm-suppress-shortcuts="true"></label></div>`);
  const [text, play, range] = [find("text"), find("play"), find("range")];
  let step = 0, timer = null;

  function show(next) {
    step = Math.max(0, Math.min(last, next));
    const [top, left] = [Math.floor(step / columns), step % columns];
    image.forEach((row, i) => row.forEach((cell, j) => {
      const weight = kernel[i - top]?.[j - left]?.textContent;
      cell.classList.toggle("sliding-on", weight !== undefined);
      if (weight === undefined) delete cell.dataset.weight;
      else cell.dataset.weight = weight;
    }));
    output.forEach((cell, k) => {
      cell.textContent = k > step ? "" : words[k].split("= ").pop();
      cell.classList.toggle("sliding-on", k === step);
    });
    text.textContent = `Step ${step + 1} of ${last + 1}. ${words[step]}`;
    range.value = step;
    range.setAttribute("aria-valuetext", `${step + 1} of ${last + 1}`);
    find("previous").setAttribute("aria-disabled", step === 0);
    find("next").setAttribute("aria-disabled", step === last);
    if (step === last) stop();
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }
  function start() {
    if (step === last) show(0);
    timer = setInterval(() => (box.isConnected ? show(step + 1) : stop()), 1500);
    play.textContent = "Pause";
  }
  find("previous").onclick = () => { stop(); show(step - 1); };
  find("next").onclick = () => { stop(); show(step + 1); };
  range.oninput = () => { stop(); show(Number(range.value)); };
  play.onclick = () => (timer === null ? start() : stop());
  for (const mark of box.querySelectorAll("b")) mark.replaceWith(mark.textContent);
  show(0);
}
"""


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
{h} by {w}"><style>{STYLE}</style>
<div class="sliding-grids">
{_image(window)}
{_table("kernel", "Kernel", _cells(window.kernel))}
{_output(window)}
</div>
<p class="sliding-text" role="status">{escape(first)}</p>
<details><summary>All steps in words</summary><ol>{steps}</ol></details>
<script>{SCRIPT}</script></div>"""


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
