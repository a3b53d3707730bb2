"""The cone below a unit of a stack."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from cnncourse import explore
from cnncourse.receptive_field import receptive_field
from tests.explore.stage import Modules

PIXELS = 33


def random_layers(seed: int) -> list[tuple[int, int, int]]:
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(5, 3, generator=generator)
    return [(1 + int(4.99 * k), 1 + int(1.99 * s), 1 + int(2.99 * d)) for k, s, d in draws]


def by_torch(layers, weight, unit: int) -> torch.Tensor:
    """Ask autograd, with layers that know "same" where torch has it, and padded by hand else."""
    parts = []
    for (k, s, d), row in zip(layers, weight, strict=True):
        reach = (k - 1) * d
        conv = nn.Conv1d(1, 1, k, s, dilation=d, bias=False)
        conv.weight.data = row[None, None, :k]
        parts += [nn.ConstantPad1d((reach // 2, reach - reach // 2), 0.0), conv]
    x = torch.zeros(1, 1, PIXELS, requires_grad=True)
    nn.Sequential(*parts)(x)[0, 0, unit].backward()
    return x.grad[0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_page_finds_the_gradient_that_autograd_finds(modules: Modules, seed) -> None:
    layers = random_layers(seed)
    weight = torch.randn(5, 5, generator=torch.Generator().manual_seed(seed))
    read = modules.call("receptive_field", "readLayers", layers)
    counts = [level["count"] for level in modules.call("receptive_field", "levels", read, PIXELS)]
    for unit in (0, counts[-1] // 2, counts[-1] - 1):
        arguments = read, weight.tolist(), len(layers), unit, PIXELS
        found = torch.tensor(modules.call("receptive_field", "gradients", *arguments)[0])
        torch.testing.assert_close(found, by_torch(layers, weight, unit), atol=1e-5, rtol=1e-5)
        explorer = explore.receptive_field(layers)
        explorer.weight, explorer.unit = weight.clamp(-2, 2), unit
        expected = by_torch(layers, weight.clamp(-2, 2), unit)
        torch.testing.assert_close(explorer.gradient, expected)


def test_page_computes_the_field_that_the_formula_gives(modules: Modules) -> None:
    for seed in range(8):
        layers = [(k | 1, s, d) for k, s, d in random_layers(seed)]  # odd: padding is per side
        read = modules.call("receptive_field", "readLayers", layers)
        found = modules.call("receptive_field", "levels", read, PIXELS)
        for depth in range(1, 6):
            padded = [(k, s, d * (k - 1) // 2, d) for k, s, d in layers[:depth]]
            field, level = receptive_field(padded), found[depth]
            assert (level["size"], level["jump"]) == (field.size[0], field.jump[0])
            assert level["start"] == field.start[0] == 0
        assert explore.receptive_field(layers).field == field


def test_widest_field_and_the_pixels_that_hold_most(modules: Modules) -> None:
    read = modules.call("receptive_field", "readLayers", [[2, 1, 2**depth] for depth in range(5)])
    field = modules.call("receptive_field", "levels", read, PIXELS)[-1]
    assert (field["size"], field["start"]) == (32, 0.5)
    ways = [1, 3, 6, 7, 6, 3, 1]
    assert modules.call("receptive_field", "hold", 0.95, ways) == 6
    assert modules.call("receptive_field", "hold", 0.2, ways) == 1


def test_keyboard_chooses_a_unit_and_a_layer(opened) -> None:
    stage = opened(explore.receptive_field())
    assert stage.said().startswith("Unit 8 of layer 4: 1 + 2 · 1 + 2 · 1 + 2 · 2 + 2 · 2 = 13 ")
    drawing = stage.page.get_by_role("application")
    drawing.press("ArrowRight")
    stage.wait_for_words(
        "Unit 9 of layer 4: 1 + 2 · 1 + 2 · 1 + 2 · 2 + 2 · 2 = 13 pixels, from 12"
    )
    drawing.press("ArrowDown")
    drawing.press("ArrowDown")
    drawing.press("ArrowDown")
    stage.wait_for_words("Unit 18 of layer 1: 1 + 2 · 1 = 3 pixels, from 17 to 19.")
    stage.wait_for_state(level="1", unit="18")


def test_stride_below_widens_what_lies_above(opened) -> None:
    stage = opened(explore.receptive_field())
    stage.page.get_by_label("Layer 1: stride").select_option("2")
    stage.wait_for_words("1 + 2 · 1 + 2 · 2 + 2 · 4 + 2 · 4 = 23 pixels, from 5 to 27.")
    stage.page.get_by_role("button", name="Remove the top layer").click()
    stage.wait_for_words("of layer 3: 1 + 2 · 1 + 2 · 2 + 2 · 4 = 15 pixels")
    stage.wait_for_state(layers="[[3,2,1],[3,2,1],[3,1,1]]", level="3", unit="4")
    sizes = stage.page.locator("tbody tr:visible td:nth-child(5)").all_inner_texts()
    assert sizes == ["15", "7", "3"]


def test_holes_are_counted_and_a_border_cuts(opened) -> None:
    stage = opened(explore.receptive_field([(3, 1, 2)] * 4), "unit=1")
    stage.wait_for_words("from −7 to 9. 10 of them are in the row. The gradient is zero at 5 of")
    assert stage.page.locator("rect.explorer-seen").count() == 5


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([1, 1, 1, 1, 1], "from 7 to 9. 3 pixels hold 95 % of the gradient."),
        ([0, 1, 0, 0, 0], "at 2 of these pixels. 1 pixel holds 95 % of the gradient."),
        ([0, 0, 0, 0, 0], "from 7 to 9. The gradient is zero everywhere."),
    ],
)
def test_words_fit_the_number_of_pixels_that_count(opened, row, words) -> None:
    explorer = explore.receptive_field([(3, 1, 1)])
    stage = opened(explorer, f"weight={json.dumps([row] * 5)}&unit=8")
    stage.wait_for_words(words)
    assert "0 pixels" not in stage.said()


def test_finger_chooses_a_unit(opened) -> None:
    stage = opened(explore.receptive_field(), phone=True)
    drawing = stage.page.get_by_role("application")
    unit = drawing.locator("g").nth(2).locator("circle").nth(3)  # pixels, layer 1, layer 2
    unit.scroll_into_view_if_needed()
    box = unit.bounding_box()
    stage.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    stage.wait_for_words("Unit 3 of layer 2: 1 + 2 · 1 + 2 · 1 = 5 pixels, from 4 to 8.")


def test_random_weights_change_what_counts_and_not_the_field(opened) -> None:
    stage = opened(explore.receptive_field())
    heights = "all => all.map(bar => Number(bar.getAttribute('height')))"
    before = stage.page.locator(".explorer-bar").evaluate_all(heights)
    stage.page.get_by_role("button", name="Random weights").click()
    stage.page.wait_for_function("() => location.hash.includes('weight')")
    after = stage.page.locator(".explorer-bar").evaluate_all(heights)
    assert before != after
    assert [h > 0 for h in before] == [h > 0 for h in after]


def test_python_refuses_what_the_explorer_cannot_show() -> None:
    with pytest.raises(
        ValueError, match=r"`layers` must hold whole numbers, kernel 1 to 5, stride"
    ):
        explore.receptive_field([(7, 1)])
    with pytest.raises(ValueError, match=r"`layers` must hold pairs or triples"):
        explore.receptive_field([(3,)])
    with pytest.raises(ValueError, match=r"`layers` must be a tensor \(h, w\) of 1 to 5 rows"):
        explore.receptive_field([(3, 1)] * 6)
