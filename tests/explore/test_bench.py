"""The benchmark of the frames: it sees a frame that takes long."""

from __future__ import annotations

import pytest

from benchmarks.explorers import CONTROLS, TARGET, drag, row

SLOW = """<div class="explorer-box"><label>slow <input type="range" min="0" max="9"></label></div>
<script>
document.querySelector("input").oninput = event => {
  const work = () => { const end = performance.now() + 30; while (performance.now() < end); };
  event.target.dataset.late ? requestAnimationFrame(work) : work();
};
</script>"""


@pytest.mark.parametrize("late", [False, True], ids=["in the event", "in the frame"])
def test_benchmark_sees_slow_frames(browser, late) -> None:
    page = browser.new_page()
    page.set_content(SLOW)
    control = page.locator(CONTROLS)
    control.evaluate("(e, late) => { if (late) e.dataset.late = 'yes'; }", late)
    busy = drag(control)
    page.close()
    assert min(busy) >= 29 > TARGET  # its clock has steps of a tenth of a millisecond
    assert row("slow", "slow", busy)[-1] == "missed"
    assert row("fast", "fast", [1.0] * len(busy))[-1] == "met"
