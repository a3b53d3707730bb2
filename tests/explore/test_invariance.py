"""A digit that is moved and shuffled, and the networks that read it in either order."""

from __future__ import annotations

import base64

import pytest
import torch

from cnncourse import explore
from cnncourse.datasets import load_mnist
from cnncourse.explore.invariance import NETWORKS, InvarianceExplorer, network
from cnncourse.invariance import permute_pixels, translate
from cnncourse.training import predict
from tests.explore.stage import Modules
from tests.explore.test_shift import panel_of

READ = """([text, bytes, order, places, isTwin]) => {
    const decoded = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const file = modules.network.readNetwork(new DataView(decoded.buffer));
    const net = isTwin ? modules.invariance.twin(file, order) : file;
    return places.map(([down, right, shuffled]) => {
        const seen = [bytes, down, right, ...(shuffled ? [order] : [])];
        const outputs = modules.network.forward(net, modules.invariance.seenPicture(...seen));
        return Array.from(outputs.at(-1).values);
    });
}"""
PLACES = [(-4, -4), (-4, 4), (4, -4), (4, 4), (0, 0), (1, -3)]
SAID = {"conv_mean": "conv mean", "conv_max": "conv largest", "conv_mean_shuffled": "conv mean"}


def pixels_of(explorer: InvarianceExplorer) -> list[int]:
    first = 784 * explorer.digit
    return list(explorer.digits[first : first + 784])


def order() -> list[int]:
    return permute_pixels(torch.arange(784).reshape(28, 28)).flatten().tolist()


def said_of(explorer: InvarianceExplorer) -> str:
    """Say in the page's words what Python's networks answer."""
    names = {"dense": "dense", "dense_twin": "dense weights shuffled"} | SAID
    read = [f"{names[name]} {answer}" for name, answer in explorer.answers.items()]
    return (
        f"The networks get {'shuffled pixels' if explorer.shuffled else 'pixels in order'}. "
        f"Those made for pixels in order read: {', '.join(read[:3])}. "
        f"Those made for shuffled pixels read: {', '.join(read[3:])}."
    )


def test_digits_are_digits_of_the_test_split() -> None:
    images, labels = load_mnist().test
    found = (images == explore.invariance(4).x).all(dim=(1, 2, 3)).nonzero().flatten()
    assert labels[found].tolist() == [4]


@pytest.mark.parametrize("shuffled", [False, True])
def test_page_moves_and_then_shuffles_as_the_package_does(modules: Modules, shuffled) -> None:
    explorer = explore.invariance(5)
    image = torch.tensor(pixels_of(explorer)).reshape(28, 28) / 255
    for place in PLACES:
        asked = (pixels_of(explorer), *place, *([order()] if shuffled else []))
        found = torch.tensor(modules.call("invariance", "seenPicture", *asked)["values"])
        moved = translate(image, *place)
        wanted = permute_pixels(moved) if shuffled else moved
        torch.testing.assert_close(found.reshape(28, 28), wanted, atol=1e-5, rtol=0)
        explorer = explore.invariance(5, place[1], place[0], shuffled=shuffled)
        assert torch.equal(explorer.x, wanted)


@pytest.mark.parametrize("name", NETWORKS)
def test_page_gives_the_scores_of_torch(modules: Modules, name) -> None:
    explorer = explore.invariance(3)
    modules.call("network", "spread", [0])  # loads the module
    modules.call("invariance", "told", False, {})
    text = base64.b64encode(getattr(explorer, name.removesuffix("_twin"))).decode()
    both = [(*place, shuffled) for shuffled in (False, True) for place in PLACES]
    asked = [text, pixels_of(explorer), order(), both, name == "dense_twin"]
    found = torch.tensor(modules.page.evaluate(READ, asked))
    images = explorer.images_at(PLACES)
    with torch.no_grad():
        wanted = network(name)(torch.cat([images, permute_pixels(images)]))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_twin_gives_for_shuffled_pixels_what_dense_gives_for_those_in_order() -> None:
    images = load_mnist().test.images[:100]
    twin = predict(network("dense_twin"), permute_pixels(images))
    torch.testing.assert_close(twin, predict(network("dense"), images), atol=1e-4, rtol=0)


def test_places_are_all_places_from_the_middle_outwards(modules: Modules) -> None:
    found = [tuple(place) for place in modules.call("where", "places", 4)]
    assert sorted(found) == [(i, j) for i in range(-4, 5) for j in range(-4, 5)]
    reach = [max(map(abs, place)) for place in found]
    assert reach == sorted(reach)
    assert modules.call("where", "highest", [1, 3, 3, -5]) == 1


def test_keyboard_moves_and_shuffles(opened) -> None:
    stage = opened(explore.invariance(), "right=-2")
    digit = stage.page.get_by_label("Drag the digit")
    digit.press("ArrowLeft")
    digit.press("ArrowDown")
    stage.wait_for_state(right="-3", down="1")
    stage.wait_for_words(said_of(explore.invariance(right=-3, down=1)))
    stage.page.get_by_label("shuffle the pixels").press("Space")
    stage.wait_for_state(shuffled="true")
    stage.wait_for_words(said_of(explore.invariance(right=-3, down=1, shuffled=True)))
    for _ in range(9):
        digit.press("ArrowRight")
    stage.wait_for_state(right="4")  # and no further
    assert stage.page.get_by_role("application").count() == 1  # which moves it for all maps
    assert stage.errors == []


def test_finger_chooses_a_place_on_a_map(opened) -> None:
    stage = opened(explore.invariance(1), "shuffled=true", phone=True)
    panel = panel_of(stage, "conv, largest")
    panel.scroll_into_view_if_needed()
    box = panel.bounding_box()
    stage.page.touchscreen.tap(box["x"] + box["width"] - 3, box["y"] + 3)
    stage.wait_for_state(right="4", down="-4")
    stage.wait_for_words(said_of(explore.invariance(1, right=4, down=-4, shuffled=True)))


def test_drag_takes_the_digit_along_from_where_it_was_held(opened) -> None:
    stage = opened(explore.invariance(), "right=-2")
    box = stage.page.get_by_label("Drag the digit").bounding_box()
    pixel, mouse = box["width"] / 28, stage.page.mouse
    middle = box["x"] + 14.5 * pixel, box["y"] + 14.5 * pixel
    mouse.move(*middle)
    mouse.down()
    mouse.move(middle[0] + 3 * pixel, middle[1] - pixel)
    mouse.up()
    stage.wait_for_state(right="1", down="-1")


@pytest.mark.parametrize("shuffled", [False, True])
def test_maps_and_their_counts_are_those_of_the_package(opened, shuffled) -> None:
    explorer = explore.invariance(7, shuffled=shuffled)
    stage = opened(explorer)
    cards = stage.page.locator(".explorer-networks .explorer-picture")
    for k, name in enumerate(NETWORKS):
        right = explorer.right_at(name)
        count = f"wrong: {(~right).sum()} / 81"
        cards.nth(k).get_by_text(count).wait_for()
        white = (
            cards.nth(k)
            .locator("canvas")
            .evaluate(
                "c => Array.from(c.getContext('2d').getImageData(0, 0, 9, 9).data)"
                ".filter((_, k) => k % 4 === 2).map(blue => blue === 255)"
            )
        )
        assert white == right.flatten().tolist()
    assert stage.page.get_by_text("(not what they get)").filter(visible=True).count() == 1


def test_python_refuses_what_is_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"'right' trait .* should not be greater than 4"):
        explore.invariance(right=5)
    with pytest.raises(ValueError, match="`digit` must be"):
        explore.invariance(-1)
    with pytest.raises(ValueError, match="`name` must be one of"):
        explore.invariance().right_at("twin")
