"""A training step from the recorded grid: the page reads what Python reads, and says it."""

from __future__ import annotations

import itertools
import json
from decimal import ROUND_HALF_UP, Decimal

import pytest

from cnncourse import explore
from cnncourse.explore.explorer import PACKAGE, Explorer
from cnncourse.records import StepTime, load_speed
from tests.explore.stage import Modules

RECORD = json.loads(PACKAGE.joinpath("records/speed.json").read_text("utf-8"))["devices"]["cpu"]
ASKED = itertools.product(
    (32, 100, 128, 511, 512), (1, 3, 4), ("float32", "bfloat16"), (False, True)
)


def digits(value: float, count: int) -> str:
    """Round as a browser does, a half away from zero; Python rounds it to the even digit."""
    exact = Decimal(value)
    last = Decimal(1).scaleb(exact.adjusted() - count + 1)
    return f"{float(exact.quantize(last, ROUND_HALF_UP)):g}"


def words(step: StepTime) -> str:
    """Say a step that is not the plain one, from Python's side."""
    speed = load_speed()
    plain, whole = speed.step(), sum(step.kinds.values())
    longer = plain.pictures_per_second / step.pictures_per_second
    work = step.operations / step.batch / (plain.operations / plain.batch)
    shares = [digits(100 * step.kinds[kind] / whole, 2) for kind in ("convolution", "pooling")]
    return (
        f"{digits(1000 * step.seconds, 3)} ms a step, {step.pictures_per_second:,.0f} pictures a "
        f"second. A picture takes {digits(longer, 2)} times as long as in the plain step, for "
        f"{'as many' if work == 1 else f'{digits(work, 3)} times the'} multiply-adds. Convolutions "
        f"take {shares[0]} % of it, and pooling, which multiplies nothing, {shares[1]} %. As a "
        f"matrix product, all multiply-adds would take {digits(100 * speed.share(step), 2)} %."
    )


def test_page_reads_and_says_what_python_reads(modules: Modules) -> None:
    for batch, channels, precision, channels_last in ASKED:
        explorer = explore.speed(precision=precision, channels_last=channels_last)
        explorer.batch, explorer.channels = batch, channels
        step = explorer.step
        assert (step.batch <= batch, step.channels <= channels) == (True, True)
        asked = {key: getattr(explorer, key) for key in explorer.moved()}
        found = modules.call("speed", "chosen", RECORD, asked)
        assert StepTime(**found) == step
        times = {one["kind"]: one["whole"] for one in modules.call("speed", "times", found)}
        assert times == pytest.approx(step.kinds)
        if step != load_speed().step():
            # Objects of one record: the page knows the plain step by itself.
            assert modules.call("speed", "told", RECORD, found) == words(step)


def test_keyboard_widens_the_network(opened) -> None:
    stage = opened(explore.speed())
    assert "This is the plain step. Convolutions take" in stage.said()
    assert "needs 11.5 times the multiply-adds" in stage.page.locator(".explorer-hint").inner_text()
    stage.page.get_by_label("Channels").first.press("End")
    wide = explore.speed(channels=4).step
    stage.wait_for_words(words(wide))
    stage.wait_for_state(channels="4")
    cells = stage.page.locator(".explorer-times tbody tr").first.locator("td").all_inner_texts()
    parts = [wide.parts[f"convolution {way}"] for way in ("forward", "backward")]
    assert cells[:3] == [digits(1000 * s, 2) for s in (*parts, sum(parts))]


def test_bars_are_as_long_as_the_times(opened) -> None:
    stage = opened(explore.speed(channels=4))
    lengths = stage.page.locator(".explorer-kind").evaluate_all(
        "bars => bars.map(bar => Number(bar.getAttribute('width')))"
    )
    plain, wide = load_speed().step(), load_speed().step(channels=4)
    (floor,) = stage.page.locator(".explorer-floor").evaluate_all(
        "bars => bars.map(bar => Number(bar.getAttribute('width')))"
    )
    whole = sum(lengths[4:])
    assert sum(lengths[:4]) / whole == pytest.approx(plain.seconds / wide.seconds)
    shares = [seconds / sum(wide.kinds.values()) for seconds in wide.kinds.values()]
    assert [length / whole for length in lengths[4:]] == pytest.approx(shares)
    assert floor / whole == pytest.approx(load_speed().share(wide))


def test_finger_changes_order_and_precision(opened) -> None:
    stage = opened(explore.speed(), phone=True)
    stage.page.get_by_label("channels last").tap()
    stage.wait_for_words(words(explore.speed(channels_last=True).step))
    stage.page.get_by_label("Precision").select_option("bfloat16")
    stage.wait_for_words(words(explore.speed(precision="bfloat16", channels_last=True).step))
    table = stage.page.locator(".explorer-times")
    assert table.evaluate("t => t.getBoundingClientRect().right <= innerWidth - 16")


def test_link_leads_to_a_state(opened) -> None:
    stage = opened(explore.speed(), "batch=32&channels=2&channels_last=true&precision=int8")
    stage.wait_for_words(words(explore.speed(32, 2, channels_last=True).step))
    assert stage.errors == []


def test_still_picture_has_the_chosen_step_once() -> None:
    def names(explorer: Explorer) -> list[str]:
        return [tick.get_text() for tick in explorer.still().axes[0].get_yticklabels()]

    assert names(explore.speed()) == names(explore.speed(channels=4))
    assert names(explore.speed(512))[-1] == "chosen"


def test_python_refuses_what_was_not_measured() -> None:
    with pytest.raises(ValueError, match=r"`batch` must be one of \[32, 128, 512\], got 64"):
        explore.speed(64)
    with pytest.raises(ValueError, match="`precision` must be one of"):
        explore.speed(precision="float16")
