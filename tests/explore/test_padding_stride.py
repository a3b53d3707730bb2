"""Windows over a row of pixels."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from cnncourse import explore, plots
from cnncourse.padding_stride import conv_output_size
from tests.explore.stage import Modules

AXES = [
    {"n": n, "k": k, "p": p, "s": s, "d": d}
    for n, k, p, s, d in itertools.product(
        (1, 5, 8, 20), (1, 2, 3, 7), (0, 1, 6), (1, 2, 5), (1, 3)
    )
    if n + 2 * p > d * (k - 1)
]
KEYS = ("n", "k", "s", "p", "d")


def by_torch(n: int, k: int, s: int, p: int, d: int) -> tuple[int, list[float]]:
    """Count outputs, and uses as the gradient of their sum with a kernel of ones."""
    x = torch.zeros(1, 1, n, requires_grad=True)
    y = F.conv1d(x, torch.ones(1, 1, k), stride=s, padding=p, dilation=d)
    y.sum().backward()
    return y.shape[2], x.grad[0, 0].tolist()


def test_page_counts_what_torch_counts(modules: Modules) -> None:
    assert len(AXES) > 100
    for axis in AXES:
        found = modules.call("padding_stride", "windows", axis)
        numbers = [axis[key] for key in KEYS]
        assert (found["out"], found["used"]) == by_torch(*numbers)
        assert found["out"] == conv_output_size(*numbers)


def test_law_ends_in_what_the_package_computes(modules: Modules) -> None:
    for axis in AXES[::7]:
        numbers = [axis[key] for key in KEYS]
        assert modules.call("padding_stride", "law", axis)[1].endswith(
            f" {conv_output_size(*numbers)}"
        )
    first = modules.call("padding_stride", "law", {"n": 8, "k": 3, "p": 0, "s": 2, "d": 1})
    assert first == [
        "⌊(n + 2p − k) / s⌋ + 1",
        "⌊(8 + 2·0 − 3) / 2⌋ + 1 = ⌊5 / 2⌋ + 1 = ⌊2.5⌋ + 1 = 3",
    ]
    title = plots.window_rows(8, 3, stride=3, padding=1, dilation=2).axes[0].get_title()
    dilated = modules.call("padding_stride", "law", {"n": 8, "k": 3, "p": 1, "s": 3, "d": 2})
    assert dilated[0] == "⌊(n + 2p − d·(k − 1) − 1) / s⌋ + 1"
    assert dilated[1].split(" = ")[:2] == title.split(" = ")[:2]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (
            (8, 3, 0, 2, 1),
            "8 pixels, 3 windows. No window sees pixel 7. "
            "Each of the others is used 1 to 2 times. Left over at the end: 1.",
        ),
        (
            (8, 2, 0, 3, 1),
            "8 pixels, 3 windows. No window sees pixels 2 and 5. "
            "Each of the others is used once. Left over at the end: 0.",
        ),
        (
            (6, 3, 2, 1, 1),
            "6 pixels, 8 windows. Every pixel is used 3 times. Left over at the end: 0.",
        ),
        ((3, 7, 1, 1, 2), "No window fits: the kernel spans 13 pixels, the padded row has 5."),
        ((1, 1, 3, 2, 1), "1 pixel, 4 windows. No window sees pixel 0. Left over at the end: 0."),
    ],
)
def test_words_say_what_is_seen(modules: Modules, numbers, said) -> None:
    axis = dict(zip(("n", "k", "p", "s", "d"), numbers, strict=True))
    assert modules.call("padding_stride", "words", axis) == said


def test_keyboard_moves_a_slider_and_the_drawing_follows(opened) -> None:
    stage = opened(explore.padding_stride())
    assert stage.said().startswith("8 pixels, 3 windows. No window sees pixel 7.")
    assert stage.page.locator(".explorer-unseen").count() == 1
    stage.page.get_by_label("pixels n").press("ArrowRight")
    stage.wait_for_words("9 pixels, 4 windows.")
    assert stage.page.locator(".explorer-unseen").count() == 0
    assert stage.page.locator(".explorer-seen").count() == 4 * 3
    stage.page.get_by_label("padding p").press("ArrowRight")
    stage.wait_for_words("9 pixels, 5 windows.")
    assert "= ⌊8 / 2⌋ + 1" in stage.page.locator(".explorer-law").inner_text()
    stage.wait_for_state(size="9", padding="1")


def test_link_of_a_teacher_opens_its_state(opened) -> None:
    stage = opened(explore.padding_stride(), "stride=3&dilation=2&padding=1")
    stage.wait_for_words("8 pixels, 2 windows. No window sees pixels 0, 5 and 7.")
    assert stage.page.locator(".explorer-on-padding").count() == 1
    stage.page.get_by_role("button", name="Reset").click()
    stage.wait_for_words("8 pixels, 3 windows.")


def test_finger_sets_a_slider_until_no_window_fits(opened) -> None:
    stage = opened(explore.padding_stride(), phone=True)
    for name in ("kernel k", "dilation d"):
        box = stage.page.get_by_label(name).bounding_box()
        stage.page.touchscreen.tap(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    stage.wait_for_words("No window fits: the kernel spans 25 pixels, the padded row has 8.")
    assert stage.page.locator(".explorer-law").inner_text().endswith("but the difference is −17")


def test_python_reads_and_refuses() -> None:
    explorer = explore.padding_stride(6, 3, stride=1, padding=1)
    assert explorer.out == 6
    assert explorer.used.tolist() == [2, 3, 3, 3, 3, 2]
    explorer.kernel_size, explorer.padding = 7, 0
    with pytest.raises(ValueError, match="must not exceed the padded input of 6"):
        explorer.used  # noqa: B018
    with pytest.raises(ValueError, match="must not exceed the padded input of 3"):
        explore.padding_stride(3, 5)
    with pytest.raises(ValueError, match=r"'size' trait of a PaddingStrideExplorer"):
        explore.padding_stride(21)
