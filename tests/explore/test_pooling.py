"""A pattern under the windows of five poolings."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from cnncourse import explore
from cnncourse.explore.pooling import PICTURES, WAYS, pattern
from cnncourse.invariance import equivariance_error, translate
from tests.explore.stage import Modules
from tests.explore.test_kernel import grid, tensor

STRIPES = "every second pixel 1.00; largest 0.46; mean 0.20; blurred 0.04; largest, blurred 0.34"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("size", "layers"), [((12, 13), 3), ((32, 28), 1), ((17, 30), 2)])
def test_page_computes_what_the_package_computes(modules: Modules, way, size, layers) -> None:
    x = torch.randn(size, generator=torch.Generator().manual_seed(0))
    explorer = explore.pooling(x)
    explorer.picture, explorer.layers, explorer.right, explorer.down = "given", layers, 3, -2
    found = tensor(modules.call("pooling", "moved", grid(x), -2, 3))
    torch.testing.assert_close(found, translate(x, -2, 3, "circular"))
    before, after = (
        modules.call("pooling", "pooled", grid(y), way, layers) for y in (x, explorer.seen)
    )
    torch.testing.assert_close(tensor(after), explorer.maps[way], atol=1e-5, rtol=0)
    change = modules.call("pooling", "changeOf", after, before)
    assert change == pytest.approx(explorer.change[way], abs=1e-5)
    contrast = modules.call("pooling", "contrast", after, grid(x))
    assert contrast == pytest.approx(explorer.contrast[way], abs=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("layers", "down", "margin"), [(1, 2, 0), (1, -4, 1), (2, 4, 2), (1, 1, 0)]
)
def test_shift_by_the_stride_is_judged_as_the_package_judges(
    modules: Modules, way, layers, down, margin
) -> None:
    explorer = explore.pooling()
    explorer.picture, explorer.layers = "rings", layers
    state = {"layers": layers, "down": down, "right": 0, "margin": margin}
    found = modules.call("pooling", "distanceFromMoved", grid(explorer.seen), way, state)
    if down % 2**layers:
        assert found is None  # infinite, which JSON cannot say
        return
    error = equivariance_error(
        lambda x: explorer.pool(way, x),
        explorer.seen[None, None],
        (down, 0),
        margin=margin or None,
        output_shift=(down // 2**layers, 0),
    )
    assert (found < 1e-9) == (error < 1e-6)
    assert (error == 0) == (margin > 0 or "blurred" not in way)


def test_ways_are_those_of_torch() -> None:
    x = torch.randn(1, 1, 9, 12)
    weights = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])) / 16

    def blurred(x):
        return F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), weights[None, None], stride=2)

    expected = {
        "every second pixel": F.max_pool2d(x, 1, 2),
        "largest": F.max_pool2d(x, 2),
        "mean": F.avg_pool2d(x, 2),
        "blurred": blurred(x),
        "largest, blurred": blurred(F.max_pool2d(x, 2, 1)),
    }
    assert list(WAYS) == list(expected)
    for way, y in expected.items():
        torch.testing.assert_close(WAYS[way](x), y)


@pytest.mark.parametrize("name", PICTURES[1:])
def test_page_draws_the_patterns_of_the_package(modules: Modules, name) -> None:
    found = tensor(modules.call("pooling", "pattern", name))
    torch.testing.assert_close(found.float(), pattern(name), atol=1e-5, rtol=0)


def test_keyboard_moves_the_picture(opened) -> None:
    stage = opened(explore.pooling())
    assert stage.said() == f"Not moved. Contrast left: {STRIPES}."
    picture = stage.page.get_by_label("Picture: arrow")
    picture.press("ArrowRight")
    stage.wait_for_words("Moved 1 to the right. Change: every second pixel 1.13;")
    stage.wait_for_state(right="1")
    picture.press("ArrowRight")
    stage.wait_for_words("Moved along exactly away from the border: all maps.")
    picture.press("ArrowUp")
    stage.wait_for_words("Moved 2 to the right and 1 up.")
    assert "exactly" not in stage.said()


def test_finger_drags_the_picture(opened) -> None:
    stage = opened(explore.pooling(), "picture=checkerboard", phone=True)
    picture = stage.page.get_by_label("Picture: arrow")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    pixel, middle = box["width"] / 32, (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    touch = stage.page.context.new_cdp_session(stage.page)
    for kind, right in (("touchStart", 0), ("touchMove", 3 * pixel), ("touchEnd", None)):
        points = [] if right is None else [{"x": middle[0] + right, "y": middle[1]}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    stage.wait_for_words("Moved 3 to the right. Change: every second pixel 1.00; largest 0.00;")
    stage.wait_for_state(right="3", picture="checkerboard")


def test_link_leads_to_a_state_where_a_skipped_pixel_comes_from_nothing(opened) -> None:
    x = torch.zeros(12, 16)
    x[5, 5] = 1
    explorer = explore.pooling(x)
    stage = opened(explorer, "picture=given&right=3&down=-5&layers=2")
    explorer.picture, explorer.layers, explorer.right, explorer.down = "given", 2, 3, -5
    change = explorer.change
    assert change.pop("every second pixel") == float("inf")
    words = "; ".join(f"{way} {share:.2f}" for way, share in change.items())
    stage.wait_for_words("Moved 3 to the right and 5 up. Change: every second pixel from nothing; ")
    assert f"from nothing; {words}." in stage.said()


def test_small_picture_in_a_link_is_not_pooled(opened) -> None:
    explorer = explore.pooling()
    stage = opened(explorer, "picture=given&x=[[1]]")
    explorer.picture = "given"
    words = "; ".join(f"{way} {share:.2f}" for way, share in explorer.contrast.items())
    stage.wait_for_words(words)  # of the dress, which stays
    assert stage.errors == []


@pytest.mark.parametrize(
    ("name", "part"), [("pooling", ".explorer-bar span"), ("channels", ".explorer-part")]
)
def test_bars_keep_a_colour_where_colours_are_forced(opened, name, part) -> None:
    stage = opened(getattr(explore, name)(), forced_colors="active")
    bar = stage.page.locator(part).first
    assert bar.evaluate("bar => getComputedStyle(bar).forcedColorAdjust") == "none"
    ground = "bar => [bar, document.body].map(e => getComputedStyle(e).backgroundColor)"
    assert len(set(bar.evaluate(ground))) == 2


def test_python_refuses_what_the_explorer_cannot_show() -> None:
    with pytest.raises(ValueError, match=r"`x` must have at least 12 rows.*got \(11, 20\)"):
        explore.pooling(torch.zeros(11, 20))
    with pytest.raises(ValueError, match=r"`x` must be a tensor \(h, w\) of 1 to 32 rows"):
        explore.pooling(torch.zeros(33, 20))
