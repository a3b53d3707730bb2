"""The animation in a browser: its first frame without a script, its controls, on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from cnncourse.animation import sliding_window
from tests.package.test_animation import KERNEL, WORDS, X

PHONE = {"width": 360, "height": 740}


@pytest.fixture
def open_page(browser) -> Iterator:
    """Open a page with two animations, each of them given twice."""
    contexts = []

    def build(**settings: object) -> Page:
        context = browser.new_context(viewport=PHONE, **settings)
        contexts.append(context)
        page, errors = context.new_page(), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        other = sliding_window(torch.eye(3, 8), torch.tensor([[1.0, -1.0]]))
        body = "".join(w._repr_html_() for w in (sliding_window(X, KERNEL), other))
        head = "<!doctype html><html lang=en><meta name=viewport content=width=device-width>"
        page.set_content(f"{head}<title>t</title><main><h1>t</h1>{body}{body}</main></html>")
        page.errors = errors
        return page

    yield build
    for context in contexts:
        context.close()


def state(page: Page, number: int = 0) -> dict[str, object]:
    return page.evaluate(
        """number => {
            const box = document.querySelectorAll(".sliding")[number];
            const texts = (cells) => [...cells].map(cell => cell.innerText.trim());
            return {
                text: box.querySelector("[role=status]").textContent,
                window: texts(box.querySelectorAll(".sliding-image .sliding-on")),
                weights: [...box.querySelectorAll(".sliding-image .sliding-on")]
                    .map(cell => cell.dataset.weight),
                output: texts(box.querySelectorAll(".sliding-output td")),
                now: texts(box.querySelectorAll(".sliding-output .sliding-on")),
            };
        }""",
        number,
    )


FIRST = {
    "text": f"Step 1 of 4. {WORDS[0]}",
    "window": ["0", "1", "3", "4"],
    "weights": ["0", "1", "2", "3"],
    "output": ["19", "", "", ""],
    "now": ["19"],
}
LAST = {
    "text": f"Step 4 of 4. {WORDS[3]}",
    "window": ["4", "5", "7", "8"],
    "weights": ["0", "1", "2", "3"],
    "output": ["19", "25", "37", "43"],
    "now": ["43"],
}


def test_first_frame_and_all_steps_remain_without_javascript(browser) -> None:
    page = sliding_window(X, KERNEL)._repr_html_()
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.set_content(page)
    assert tab.locator("[role=status]").inner_text() == f"Step 1 of 4. {WORDS[0]}"
    assert tab.locator(".sliding-image .sliding-on").all_inner_texts() == ["0", "1", "3", "4"]
    assert [t for t in tab.locator(".sliding-output td").all_inner_texts() if t] == ["19"]
    assert tab.locator("li").all_text_contents() == WORDS
    assert tab.locator("b").all_inner_texts() == ["0", "1", "3", "4", "19"]  # where no style is
    assert tab.locator("button, input").count() == 0
    context.close()


def test_keyboard_alone_reaches_every_step(open_page) -> None:
    page = open_page()
    assert state(page) == FIRST
    page.keyboard.press("Tab")  # Previous
    page.keyboard.press("Tab")  # Next
    for _ in range(3):
        page.keyboard.press("Enter")
    assert state(page) == LAST
    page.keyboard.press("Enter")
    assert state(page) == LAST
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert state(page)["text"] == f"Step 3 of 4. {WORDS[2]}"
    for _ in range(3):  # Next, Play, the slider
        page.keyboard.press("Tab")
    page.keyboard.press("Home")
    assert state(page) == FIRST
    page.keyboard.press("End")
    assert state(page) == LAST
    assert page.errors == []


def test_controls_keep_their_keys_from_jupyterlab(open_page) -> None:
    controls = open_page().locator(".sliding button, .sliding input")
    kept = controls.evaluate_all(
        "all => all.map(e => e.hasAttribute('data-lm-suppress-shortcuts'))"
    )
    assert kept == [True] * 16


def test_several_on_one_page_do_not_disturb_each_other(open_page) -> None:
    page = open_page()
    page.locator(".sliding").nth(2).get_by_role("button", name="Next").click()
    assert [state(page, number)["text"][5] for number in range(4)] == ["1", "1", "2", "1"]
    page.locator(".sliding").nth(1).get_by_label("Step").fill("8")
    assert state(page, 1)["window"] == ["1", "0"]
    assert state(page, 1)["weights"] == ["1", "−1"]
    assert state(page, 1)["text"] == "Step 9 of 21. y[1, 1] = 1 × 1 + 0 × −1 = 1"
    assert page.errors == []


def test_play_runs_to_the_end_and_stops_and_nothing_moves_before(open_page) -> None:
    page = open_page()
    page.clock.install()
    page.clock.run_for(10_000)
    assert state(page) == FIRST
    play = page.get_by_role("button", name="Play").first
    play.click()
    page.clock.run_for(1_600)
    assert state(page)["text"].startswith("Step 2")
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(10_000)
    assert state(page)["text"].startswith("Step 2")
    play.click()
    page.clock.run_for(10_000)
    assert state(page) == LAST
    assert page.get_by_role("button", name="Pause").count() == 0
    play.click()
    assert state(page) == FIRST


def test_play_is_not_offered_to_who_wants_less_motion(open_page) -> None:
    page = open_page(reduced_motion="reduce")
    assert page.get_by_role("button", name="Play").count() == 0
    assert page.get_by_role("button", name="Next").first.is_visible()


def test_controls_say_where_they_are(open_page) -> None:
    box = open_page().locator(".sliding").first
    slider = box.get_by_label("Step")

    def said() -> list[str | None]:
        buttons = [box.get_by_role("button", name=name) for name in ("Previous", "Next")]
        ends = [button.get_attribute("aria-disabled") for button in buttons]
        return [*ends, slider.input_value(), slider.get_attribute("aria-valuetext")]

    assert said() == ["true", "false", "0", "1 of 4"]
    box.get_by_role("button", name="Next").click()
    assert said() == ["false", "false", "1", "2 of 4"]
    slider.fill("3")
    assert said() == ["false", "true", "3", "4 of 4"]


def test_a_step_by_hand_or_a_removed_figure_stops_play(open_page) -> None:
    page = open_page()
    page.clock.install()
    boxes = [page.locator(".sliding").nth(n).element_handle() for n in (0, 2)]
    for box in boxes:
        box.query_selector(".sliding-play").click()
    boxes[0].query_selector(".sliding-next").click()
    boxes[1].evaluate("box => box.remove()")
    page.clock.run_for(10_000)
    texts = [box.query_selector("[role=status]").text_content() for box in boxes]
    assert [text[:6] for text in texts] == ["Step 2", "Step 1"]


@pytest.mark.parametrize(("colour", "ground"), [("#1d2530", "#fff"), ("#dde3ea", "#14181e")])
def test_page_is_accessible_and_fits_a_phone_in_light_and_dark(open_page, colour, ground) -> None:
    page = open_page()
    page.evaluate(
        """([colour, ground]) => {
            Object.assign(document.body.style, {color: colour, background: ground});
            document.querySelectorAll("details").forEach(box => { box.open = true; });
        }""",
        [colour, ground],
    )
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]] == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
