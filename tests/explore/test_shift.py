"""A digit that is moved, and the seven networks that read it."""

from __future__ import annotations

import base64

import pytest
import torch

from cnncourse import explore
from cnncourse.datasets import load_mnist
from cnncourse.invariance import translate
from cnncourse.records.trained import load_trained
from cnncourse.shift import NETWORKS, on_canvas
from tests.explore.stage import Modules

READ = """([text, bytes, places, name]) => {
    const decoded = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const net = modules.network.readNetwork(new DataView(decoded(text).buffer));
    return places.map(([down, right]) => {
        const outputs = modules.network.forward(net, modules.shift.onCanvas(bytes, down, right));
        return Array.from(outputs[outputs.length - 1].values);
    });
}"""
CORNERS = [(-7, -7), (-7, 7), (7, -7), (7, 7), (0, 0), (1, 2), (-3, 4)]


def test_first_digit_is_the_eight_that_the_chapter_moves() -> None:
    images, labels = load_mnist().test
    eight = on_canvas(images[:500])[labels[:500] == 8][:1]
    assert torch.allclose(explore.shift().image, eight)


def test_page_lays_digits_on_the_canvas_and_moves_them_as_the_package_does(modules: Modules):
    explorer = explore.shift(5)
    pixels = list(explorer.digits[5 * 784 : 6 * 784])
    for down, right in CORNERS:
        found = modules.call("shift", "onCanvas", pixels, down, right)["values"]
        wanted = translate(explorer.image, down, right).flatten()
        torch.testing.assert_close(torch.tensor(found), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_page_gives_the_scores_of_torch_wherever_the_digit_is(modules: Modules, name) -> None:
    explorer = explore.shift()
    modules.call("network", "spread", [0])  # loads the module
    modules.call("shift", "told", 8, {})
    pixels = list(explorer.digits[8 * 784 : 9 * 784])
    text = base64.b64encode(getattr(explorer, name)).decode()
    found = torch.tensor(modules.page.evaluate(READ, [text, pixels, CORNERS, name]))
    moved = torch.cat([translate(explorer.image, *place) for place in CORNERS])
    with torch.no_grad():
        torch.testing.assert_close(found, load_trained("shift", name)(moved), atol=1e-4, rtol=0)


def test_words_name_who_is_right_and_what_the_others_say(modules: Modules) -> None:
    answers = {"circular": 8, "max_pool": 3}
    told = modules.call("shift", "told", 8, answers)
    assert told == "Right: circular. Wrong: max-pool says 3."
    assert modules.call("shift", "told", 8, {"zeros": 8}) == "All seven read 8."


def said_of(explorer) -> str:
    """Say in the page's words what Python's networks answer."""
    names = {"max_pool": "max-pool", "blur_pool": "blur-pool", "dense": "dense end"}
    right = [names.get(n, n) for n, a in explorer.answers.items() if a == explorer.digit]
    wrong = [
        f"{names.get(n, n)} says {a}" for n, a in explorer.answers.items() if a != explorer.digit
    ]
    return f"Right: {', '.join(right) or 'none'}. Wrong: {', '.join(wrong)}."


def panel_of(stage, label: str):
    """Return the map of a network."""
    cards = stage.page.locator(".explorer-networks .explorer-picture")
    name = stage.page.locator("figcaption", has_text=label)
    return cards.filter(has=name).locator(".explorer-panel")


def test_keyboard_moves_the_digit_and_a_finger_chooses_a_place_on_a_map(opened) -> None:
    stage = opened(explore.shift(), phone=True)
    stage.wait_for_words(said_of(explore.shift()))
    canvas = stage.page.get_by_label("Drag the digit")
    canvas.press("ArrowDown")
    stage.wait_for_state(down="1")
    stage.wait_for_words(said_of(explore.shift(down=1)))
    box = panel_of(stage, "circular").bounding_box()
    stage.page.touchscreen.tap(box["x"] + box["width"] - 3, box["y"] + 3)
    stage.wait_for_state(down="-7", right="7")
    stage.wait_for_words(said_of(explore.shift(right=7, down=-7)))


def test_keyboard_stops_once_and_reads_below_each_map_what_it_shows(opened) -> None:
    stage = opened(explore.shift())
    assert stage.page.get_by_role("application").count() == 1
    assert stage.page.locator(".explorer-networks [tabindex]").count() == 0
    answer = stage.page.locator(".explorer-networks .explorer-answer").first
    answer.filter(has_text="wrong: ").wait_for()
    assert not answer.evaluate("e => Boolean(e.closest('[aria-hidden]'))")


def test_colours_of_the_maps_are_explained_below_them(opened) -> None:
    stage = opened(explore.shift())
    words = stage.page.locator(".explorer-networks > .explorer-legend").inner_text()
    for colour in ("white where", "orange where", "grey where"):
        assert colour in words


def test_words_are_replaced_by_dots_as_long_as_they_are_old(opened) -> None:
    stage = opened(explore.shift())
    stage.wait_for_words(said_of(explore.shift()))
    line = stage.page.locator(".explorer-said")
    assert line.get_attribute("aria-busy") is None
    seen = stage.page.evaluate(
        """() => new Promise(resolve => {
            const line = document.querySelector(".explorer-said");
            const old = line.textContent;
            new MutationObserver(() => {
                const dots = getComputedStyle(line, "::before").content;
                resolve([line.textContent === old, line.ariaBusy, dots.includes("…")]);
            }).observe(line, { attributes: true });
            const input = document.querySelector("input[type=range]:not([aria-label=Digit])");
            input.value = 3;
            input.dispatchEvent(new Event("input", { bubbles: true }));
        })"""
    )
    assert seen == [True, "true", True]
    stage.page.locator(".explorer-said:not([aria-busy])").wait_for()


def test_words_that_are_said_again_and_again_do_not_wait_for_the_end(modules: Modules) -> None:
    modules.call("parts", "clamp", 1, 0, 2)
    said = modules.page.evaluate(
        """() => new Promise(resolve => {
            const [model, el] = [{ get: () => "shift" }, document.createElement("div")];
            const { say } = window.modules.parts.frame({ model, el }, { keys: [] });
            const line = el.querySelector(".explorer-said");
            line.textContent = "old";
            const again = setInterval(() => say("new"), 20); // as each piece of the maps does
            const seen = () => clearInterval(again) || resolve(line.textContent);
            new MutationObserver(seen).observe(line, { childList: true });
        })"""
    )
    assert said == "new"


def test_drag_takes_the_digit_along_from_where_it_was_held(opened) -> None:
    stage = opened(explore.shift(), "right=-2")
    box = stage.page.get_by_label("Drag the digit").bounding_box()
    pixel, mouse = box["width"] / 28, stage.page.mouse
    middle = box["x"] + 14.5 * pixel, box["y"] + 14.5 * pixel
    mouse.move(*middle)
    mouse.down()
    mouse.move(middle[0] + 3 * pixel, middle[1] - pixel)
    mouse.up()
    stage.wait_for_state(right="1", down="-1")


def test_python_refuses_places_outside_of_the_canvas() -> None:
    with pytest.raises(ValueError, match=r"'right' trait .* should not be greater than 7"):
        explore.shift(right=8)
    with pytest.raises(ValueError, match="`network` must be one of"):
        explore.shift().right_at("linear")
