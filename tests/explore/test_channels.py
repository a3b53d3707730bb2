"""Which channels a layer joins, and what that costs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cnncourse import explore
from cnncourse.layer_table import layer_table
from tests.explore.stage import Modules

LAYERS = [(6, 6, 2, 3), (3, 10, 1, 5), (16, 32, 4, 3), (64, 48, 16, 7), (8, 8, 8, 1), (1, 1, 1, 3)]


def conv(c: int, o: int, g: int, k: int) -> nn.Conv2d:
    return nn.Conv2d(c, o, k, padding=k // 2, groups=g, bias=False)


@pytest.mark.parametrize("numbers", LAYERS)
def test_page_counts_what_the_package_counts(modules: Modules, numbers) -> None:
    c, o, g, k = numbers
    ways = modules.call("channels", "stacks", dict(zip("cogk", numbers, strict=True)))
    expected = {
        "grouped": [conv(c, o, g, k)],
        "full": [conv(c, o, 1, k)],
        "separable": [conv(c, c, c, k), conv(c, o, 1, 1)],
    }
    for name, layers in expected.items():
        table = layer_table(nn.Sequential(*layers), (c, 14, 14))
        found = modules.call("channels", "price", ways[name], 14)
        assert found["parameters"] == sum(layer.weight.numel() for layer in layers)
        assert found["parameters"] == table.parameters
        assert found["multiplyAdds"] == table.multiply_adds
        assert found["bytes"] == table.activation_bytes


@pytest.mark.parametrize("numbers", LAYERS)
def test_output_sees_what_gives_it_a_gradient(modules: Modules, numbers) -> None:
    c, o, *_ = numbers
    layer = conv(*numbers)
    nn.init.ones_(layer.weight)
    for output in {0, o // 2, o - 1}:
        x = torch.zeros(1, c, 3, 3, requires_grad=True)
        layer(x)[0, output, 1, 1].backward()
        found = modules.call("channels", "sees", dict(zip("cogk", numbers, strict=True)), output)
        channels = x.grad[0].any(dim=2).any(dim=1).nonzero().flatten().tolist()
        assert channels == list(range(found["first"], found["first"] + found["count"]))


def test_groups_divide_both_numbers_of_channels(modules: Modules) -> None:
    assert modules.call("channels", "divisors", 12, 8) == [1, 2, 4]
    assert modules.call("channels", "divisors", 6, 6) == [1, 2, 3, 6]
    explorer = explore.channels(6, 6, groups=6)
    assert explorer.layer.groups == 6
    explorer.in_channels = 4
    assert explorer.layer.groups == 2  # the largest up to 6 that divides 4 and 6


def test_keyboard_chooses_an_output_and_its_channels(opened) -> None:
    stage = opened(explore.channels())
    assert stage.said().startswith("Output 0 sees input channels 0 to 2. Its kernel has 3 × 3 × 3")
    output = stage.page.get_by_role("slider", name="Output channel", exact=True)
    for _ in range(4):
        output.press("ArrowDown")
    stage.wait_for_words("Output 4 sees input channels 3 to 5.")
    stage.wait_for_state(output="4")
    marked = stage.page.locator(".explorer-joined").first.locator(".explorer-dot-seen")
    assert marked.count() == 3 + 1


def test_six_groups_cut_the_price_and_the_view(opened) -> None:
    stage = opened(explore.channels())
    stage.page.get_by_label("Groups").select_option("6")
    stage.wait_for_words("Output 0 sees input channel 0. Its kernel has 1 × 3 × 3 weights")
    stage.wait_for_words(
        "takes 0.17 of the multiply-adds of one without groups, the pair takes 0.28."
    )
    weights = stage.page.locator(".explorer-prices tbody tr").first.locator("td").all_inner_texts()
    assert [int(text) for text in weights] == [54, 324, 90]
    stage.page.get_by_label("Input channels").press("ArrowRight")  # 8, and 6 outputs
    stage.wait_for_words("Its kernel has 4 × 3 × 3 weights")
    stage.wait_for_state(groups="6", in_channels="8")


def test_other_keys_of_a_slider_go_further(opened) -> None:
    stage = opened(explore.channels())
    output = stage.page.get_by_role("slider", name="Output channel", exact=True)
    last = output.get_attribute("aria-valuemax")
    output.press("End")
    stage.wait_for_state(output=last)
    output.press("PageUp")
    stage.wait_for_state(output=str(max(0, int(last) - 4)))
    output.press("Home")
    stage.page.locator("[role=slider][aria-valuenow='0']").first.wait_for()


def test_finger_chooses_an_output_and_a_kernel(opened) -> None:
    stage = opened(explore.channels(), phone=True)
    box = stage.page.get_by_role("slider", name="Output channel of the pair").bounding_box()
    stage.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] - 20)
    stage.wait_for_words("Output 5 sees")
    kernel = stage.page.get_by_label("Kernel")
    kernel.scroll_into_view_if_needed()
    box = kernel.bounding_box()
    stage.page.touchscreen.tap(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    stage.wait_for_words("Its kernel has 3 × 7 × 7 weights")


def test_one_by_one_pair_costs_more_than_the_layer(opened) -> None:
    stage = opened(explore.channels(groups=1), "kernel_size=1")
    stage.wait_for_words("takes 1 of the multiply-adds of one without groups, the pair takes 1.2.")


def test_python_reads_and_refuses() -> None:
    explorer = explore.channels(6, 6, groups=6)
    assert explorer.price(explorer.layer).parameters == 54
    assert explorer.price(*explorer.separable).multiply_adds == 92_160
    with pytest.raises(ValueError, match=r"`groups` must divide `in_channels` \(=6\) and `out_cha"):
        explore.channels(6, 8, groups=3)
    with pytest.raises(ValueError, match=r"`kernel_size` must be odd, got 2"):
        explore.channels(kernel_size=2)
    with pytest.raises(ValueError, match=r"'in_channels' trait of a ChannelsExplorer"):
        explore.channels(65, 65)
