"""A kernel that the reader shapes."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from cnncourse import explore
from cnncourse.cross_correlation import convolve2d, corr2d
from cnncourse.explore.modules import joined
from tests.explore.stage import Modules


def grid(x: torch.Tensor) -> dict[str, object]:
    return {"values": x.flatten().tolist(), "h": x.shape[0], "w": x.shape[1]}


def tensor(found: dict[str, object]) -> torch.Tensor:
    return torch.tensor(found["values"]).reshape(found["h"], found["w"])


@pytest.mark.parametrize("sizes", [((5, 7), (2, 3)), ((3, 3), (3, 3)), ((28, 28), (5, 5))])
def test_page_computes_what_the_package_computes(modules: Modules, sizes) -> None:
    generator = torch.Generator().manual_seed(0)
    x, kernel = (torch.randn(size, generator=generator) for size in sizes)
    found = tensor(modules.call("arithmetic", "corr2d", grid(x), grid(kernel)))
    torch.testing.assert_close(found, corr2d(x, kernel), atol=1e-5, rtol=0)
    flipped = modules.call("arithmetic", "flip", grid(kernel))
    found = tensor(modules.call("arithmetic", "corr2d", grid(x), flipped))
    torch.testing.assert_close(found, convolve2d(x, kernel, "valid"), atol=1e-5, rtol=0)


def test_products_under_the_window_add_up_to_the_output(modules: Modules) -> None:
    x, kernel = torch.randn(4, 6), torch.randn(3, 2)
    found = modules.call("kernel", "products", grid(x), grid(kernel), 1, 2)
    assert found["pairs"][1] == pytest.approx([x[1, 3].item(), kernel[0, 1].item()])
    assert found["sum"] == pytest.approx(corr2d(x, kernel)[1, 2].item(), abs=1e-5)


def test_keyboard_moves_the_window_and_changes_a_weight(opened) -> None:
    stage = opened(explore.kernel())
    assert stage.said() == "Row 0, column 0: 1 × 1 + 3 × 2 + 4 × 3 = 19."
    stage.page.get_by_label("Picture: arrow").press("ArrowRight")
    stage.wait_for_words("= 25.")
    weight = stage.page.get_by_role("slider", name="Weight, row 0, column 0")
    weight.press("ArrowUp")
    stage.wait_for_words("1 × 0.5 + 2 × 1 + 4 × 2 + 5 × 3 = 25.5.")
    stage.wait_for_state(kernel="[[0.5,1],[2,3]]", column="1")


def test_finger_moves_the_window(opened) -> None:
    stage = opened(explore.kernel(), phone=True)
    box = stage.page.get_by_label("Map: arrow").bounding_box()
    stage.page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + 0.75 * box["height"])
    stage.wait_for_words("= 43.")


def test_mouse_shows_the_products_without_being_pressed(opened) -> None:
    stage = opened(explore.kernel())
    stage.page.get_by_label("Map: arrow").hover(position={"x": 5, "y": 5})
    stage.page.get_by_label("Map: arrow").hover(position={"x": 150, "y": 5})
    stage.wait_for_words("= 25.")
    assert stage.page.get_by_text("Products, in all 25").is_visible()


def test_mouse_that_points_writes_nothing_until_something_is_done(opened) -> None:
    stage = opened(explore.kernel())
    panel = stage.page.get_by_label("Map: arrow")
    panel.hover(position={"x": 150, "y": 5})
    stage.wait_for_words("Row 0, column 1: ")
    stage.page.wait_for_timeout(500)  # longer than the address waits
    assert stage.state() == {}
    stage.page.get_by_role("button", name="Reset").click()
    stage.wait_for_words("Row 0, column 0: ")
    panel.hover(position={"x": 150, "y": 5})
    stage.wait_for_words("Row 0, column 1: ")
    stage.page.get_by_label("turn the kernel").check()
    stage.wait_for_state(column="1", turned="true")
    panel.click(position={"x": 5, "y": 150})
    stage.wait_for_state(row="1", turned="true")


def test_weight_is_a_slider_with_all_its_keys(opened) -> None:
    stage = opened(explore.kernel())
    weight = stage.page.get_by_role("slider", name="Weight, row 0, column 0")
    for key, value in (("End", "9"), ("PageDown", "7"), ("Home", "−9"), ("PageUp", "−7")):
        weight.press(key)
        stage.page.locator(f".explorer-weight[aria-valuetext='{value}']").wait_for()
    assert stage.page.evaluate("scrollY") == 0


def test_mean_holds_ninths_and_rounds_only_their_label(opened) -> None:
    stage = opened(explore.kernel(torch.full((3, 3), 9.0)))
    stage.page.get_by_label("Kernels").select_option("mean")
    stage.wait_for_words("= 9.")
    weight = stage.page.get_by_role("slider", name="Weight, row 0, column 0")
    assert weight.inner_text() == "0.111"
    assert stage.page.locator("output").count() == 0


def test_number_that_is_none_is_a_dash(modules: Modules) -> None:
    assert modules.page.evaluate(
        """async text => {
            const blob = new Blob([text], {type: "text/javascript"});
            const { number } = await import(URL.createObjectURL(blob));
            return [NaN, 0, -0.5].map((value) => number(value));
        }""",
        joined("parts"),
    ) == ["–", "0", "−0.5"]


def test_white_pixel_draws_the_kernel_turned(opened) -> None:
    kernel = torch.arange(1.0, 10.0).reshape(3, 3)
    stage = opened(explore.kernel(torch.eye(3), kernel), "picture=one white pixel&row=3&column=3")
    stage.wait_for_words("Row 3, column 3: 1 × 5 = 5.")
    stage.page.get_by_label("turn the kernel").check()
    stage.page.get_by_label("Map: arrow").press("ArrowUp")
    stage.wait_for_words("Row 2, column 3: 1 × 2 = 2.")


def test_finger_and_keyboard_draw(opened) -> None:
    kernel = torch.arange(1.0, 10.0).reshape(3, 3)
    stage = opened(explore.kernel(torch.zeros(5, 5), kernel), "picture=yours", phone=True)
    sheet = stage.page.get_by_label("Picture: arrow")
    box = sheet.bounding_box()
    stage.page.touchscreen.tap(box["x"] + 0.3 * box["width"], box["y"] + 0.55 * box["height"])
    stage.wait_for_words("Row 5, column 2: 1 × 5 = 5.")
    stage.wait_for_words("Pen at row 6, column 3, white. Row 5, column 2: ")
    assert "arrow keys move the pen, space draws" in sheet.get_attribute("aria-label")
    sheet.press("ArrowRight")
    stage.wait_for_words("Pen at row 6, column 4, black. Row 5, column 3: ")
    sheet.press("Space")
    stage.wait_for_words("Row 5, column 3: 1 × 4 + 1 × 5 = 9.")
    drawn = torch.zeros(12, 12)
    drawn[6, 3] = drawn[6, 4] = 1
    stage.wait_for_state(drawn=str(drawn.int().tolist()).replace(" ", ""))
    sheet.press("Enter")
    stage.wait_for_words("Row 5, column 3: 1 × 4 = 4.")


def test_file_of_the_reader_stays_and_is_seen_in_grey(opened, tmp_path) -> None:
    stage = opened(explore.kernel(), "picture=yours&kernel=[[1]]")
    Image.new("RGB", (60, 40), (0, 255, 0)).save(tmp_path / "green.png")
    stage.page.locator("input[type=file]").set_input_files(tmp_path / "green.png")
    stage.wait_for_words("Row 0, column 0: 0.59 × 1 = 0.59.")
    (tmp_path / "words.png").write_text("no picture")
    stage.page.locator("input[type=file]").set_input_files(tmp_path / "words.png")
    stage.wait_for_words("This file is not a picture that the browser can read.")
    stage.page.locator("input[type=file]").set_input_files([])  # as one who cancels
    assert stage.errors == []


def test_kernel_larger_than_the_picture_is_cut_and_not_offered(opened) -> None:
    stage = opened(
        explore.kernel(), "kernel=[[9,9,9,9,9],[9,1,1,1,9],[9,1,1,1,9],[9,1,1,1,9],[9,9,9,9,9]]"
    )
    stage.wait_for_words("7 × 1 + 8 × 1 = 36.")
    stage.page.get_by_role("button", name="3 × 3 weights").click()
    assert stage.page.get_by_role("button", name="5 × 5 weights").is_disabled()
    assert stage.errors == []


def test_pictures_are_the_same_in_python_and_on_the_page(modules: Modules) -> None:
    explorer = explore.kernel()
    explorer.picture = "one white pixel"
    assert explorer.x.tolist() == modules.call("kernel", "square", 9, 1)
    explorer.picture = "a white square"
    assert explorer.x.tolist() == modules.call("kernel", "square", 16, 8)
    explorer.picture = "a garment"
    assert explorer.x.shape == (28, 28)
    assert explorer.x[14, 14] == explorer.garments[14 * 28 + 14] / 255


def test_python_reads_and_sets_picture_and_map() -> None:
    explorer = explore.kernel()
    explorer.turned = True
    assert explorer.y.tolist() == [[5, 11], [23, 29]]  # 0*3 + 1*2 + 3*1 + 4*0
    explorer.picture = "yours"
    assert explorer.x.shape == (12, 12)
    explorer.x = torch.eye(4)
    assert torch.equal(explorer.x, torch.eye(4))
    assert explorer.picture == "given"


def test_python_refuses_what_the_explorer_cannot_show() -> None:
    with pytest.raises(ValueError, match=r"`kernel` must hold numbers from -9 to 9, got 0 to 10"):
        explore.kernel(torch.zeros(3, 3), torch.tensor([[0.0, 10.0]]))
    with pytest.raises(ValueError, match=r"`x` must be a tensor \(h, w\) of 1 to 28 rows"):
        explore.kernel(torch.zeros(29, 3), torch.zeros(2, 2))


def test_hint_follows_the_picture(modules: Modules) -> None:
    framed = torch.nn.functional.pad(torch.ones(3, 3), (1, 1, 1, 1))
    white = torch.zeros(5, 5)
    white[2, 2] = 1
    pictures = (torch.arange(9.0).reshape(3, 3), white, framed)
    hints = [modules.call("kernel", "hint", picture.tolist()) for picture in pictures]
    for hint, word in zip(hints, ("change a weight", "white pixel", "frame of zeros"), strict=True):
        assert word in hint


def test_python_prints_the_state() -> None:
    explorer = explore.kernel(torch.eye(3), torch.eye(2))
    explorer.row = 1
    lines = str(explorer).splitlines()
    assert lines[0] == "An explorer, kernel"
    assert "row = 1" in lines
    assert repr(explorer).startswith("An explorer, kernel: it needs a notebook")
