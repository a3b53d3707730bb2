"""Time what an explorer does while it is dragged, in the browser that the tests use.

Every control is moved through its whole range, a step a frame, and the time is that of the scripts
and of the layout between the event and the end of the frame's work. A screen shows sixty frames a
second, so that all of it should fit into 16 milliseconds. What the graphics processor does after
that is not in it.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import sys
import tempfile
import textwrap
from pathlib import Path

from playwright.sync_api import Locator

from benchmarks.report import machine, table
from cnncourse import explore
from tests.book.chromium import started
from tests.explore.stage import opener

DESCRIPTION = "Time the frames of every explorer while each of its controls is dragged."
STEPS, TARGET = 60, 16.0  # frames a control, milliseconds a frame
CONTROLS = ".explorer-box input[type=range], .explorer-box .explorer-drag"
DRAG = """async ([element, steps]) => {
    const frame = () => new Promise(done => requestAnimationFrame(done));
    const [low, high] = [Number(element.min), Number(element.max)];
    const [busy, box] = [[], element.getBoundingClientRect()];
    const pointer = (type, k) => new PointerEvent(type, {
        bubbles: true, buttons: 1, pointerId: 1, pointerType: "mouse",
        clientX: box.left + box.width * (k + 0.5) / steps,
        clientY: box.top + box.height * (0.5 + 0.45 * Math.sin(k / 3)),
    });
    element.setPointerCapture = () => {};
    if (element.type !== "range") element.dispatchEvent(pointer("pointerdown", 0));
    for (let k = 0; k < steps; k++) {
        await frame();
        const start = performance.now();
        if (element.type === "range") {
            element.value = low + (high - low) * k / (steps - 1);
            element.dispatchEvent(new Event("input", {bubbles: true}));
        } else {
            element.dispatchEvent(pointer("pointermove", k));
        }
        const handled = performance.now() - start;
        const began = await frame();  // asked for after the explorer's own, so it runs after it
        document.body.offsetHeight;   // which lays the page out
        busy.push(handled + performance.now() - began);
    }
    return busy;
}"""


def drag(control: Locator) -> list[float]:
    """Move a control through its range; return the milliseconds of each frame."""
    control.scroll_into_view_if_needed()
    return control.page.evaluate(DRAG, [control.element_handle(), STEPS])


def name_of(control: Locator) -> str:
    """Name a control as a reader of the screen hears it."""
    read = "e => e.ariaLabel || e.closest('label')?.textContent || e.getAttribute('class')"
    return textwrap.shorten(control.evaluate(read), 40, placeholder=" …")


def measure(names: list[str]) -> list[list[str]]:
    """Drag every control of the explorers; return the rows of the table."""
    rows = []
    with started() as browser, tempfile.TemporaryDirectory() as folder:
        opened = opener(browser, Path(folder))
        for name in names:
            page = opened(getattr(explore, name)()).page
            # Controls that are alike, as the weights of a kernel, are measured once.
            kinds = {
                name_of(c).rstrip("0123456789, column"): c for c in page.locator(CONTROLS).all()
            }
            for control in kinds.values():
                if control.is_visible():
                    rows.append(row(name, name_of(control), drag(control)))
    return rows


def row(name: str, control: str, busy: list[float]) -> list[str]:
    """Write one row: median, the slowest of twenty, the slowest, and whether it is fast enough."""
    often = statistics.quantiles(busy, n=20)[-1]
    verdict = "met" if often <= TARGET else "missed"
    return [
        name,
        control,
        *(f"{ms:.1f}" for ms in (statistics.median(busy), often, max(busy))),
        verdict,
    ]


def report(names: list[str]) -> str:
    """Measure and write it as markdown."""
    head = ["explorer", "dragged", "median, ms", "19 of 20 under", "slowest", f"{TARGET:g} ms"]
    rows = measure(names)
    return f"""# Frames of the explorers, {datetime.date.today()}

Milliseconds of scripts and layout a frame, {STEPS} frames a control, headless Chromium.
{machine()}

{table(head, rows)}
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.explorers", description=DESCRIPTION, epilog=__doc__
    )
    parser.add_argument("names", nargs="*", help="explorers (default: all)")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    chosen = parser.parse_args(arguments)
    text = report(chosen.names or sorted(explore.__all__))
    print(text, end="")
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
