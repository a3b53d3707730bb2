"""The way there and the way back of a convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import traitlets

from cnncourse import explore
from tests.explore.stage import Modules
from tests.explore.test_kernel import grid, tensor

LAYERS = (
    (1, 0, 1),
    (2, 0, 1),
    (2, 1, 1),
    (1, 2, 2),
    (3, 2, 2),
    (3, 0, 1),
)  # stride, padding, dilation


def gradients(explorer, x=None, kernel=None, delta=None):
    """Ask autograd: map, gradient of the framed picture, gradient of the kernel."""
    x, kernel = (explorer.x if x is None else x), (explorer.kernel if kernel is None else kernel)
    framed = F.pad(x, [explorer.padding] * 4)[None, None].requires_grad_()
    weight = kernel.clone()[None, None].requires_grad_()
    y = F.conv2d(framed, weight, stride=explorer.stride, dilation=explorer.dilation)
    y.backward((explorer.delta if delta is None else delta).expand_as(y))
    return y[0, 0].detach(), framed.grad[0, 0], weight.grad[0, 0]


def test_page_computes_what_autograd_computes(modules: Modules) -> None:
    generator = torch.Generator().manual_seed(0)
    for stride, padding, dilation in LAYERS:
        x, kernel = torch.randn(6, 5, generator=generator), torch.randn(3, 2, generator=generator)
        explorer = explore.backprop()
        explorer.set_trait("x", x)
        explorer.kernel = kernel
        explorer.stride, explorer.padding, explorer.dilation = stride, padding, dilation
        delta = torch.randn(explorer.y.shape, generator=generator)
        y, framed, weights = gradients(explorer, delta=delta)
        layer = {"stride": stride, "padding": padding, "dilation": dilation}
        found = tensor(modules.call("backprop", "forward", grid(x), grid(kernel), layer))
        torch.testing.assert_close(found, y, atol=1e-5, rtol=0)
        torch.testing.assert_close(explorer.y, y, atol=1e-5, rtol=0)
        found = modules.call("backprop", "backward", grid(delta), grid(x), grid(kernel), layer)
        torch.testing.assert_close(tensor(found["framed"]), framed, atol=1e-5, rtol=0)
        torch.testing.assert_close(tensor(found["weights"]), weights, atol=1e-5, rtol=0)
        h, w = y.shape
        assert torch.equal(tensor(modules.call("backprop", "deltas", h, w)).float(), explorer.delta)


@pytest.mark.parametrize("layer", [(1, 0, 1), (2, 1, 1), (3, 2, 2)])
def test_python_gives_the_gradients_of_what_is_shown(layer) -> None:
    explorer = explore.backprop()
    explorer.stride, explorer.padding, explorer.dilation = layer
    p = layer[1]
    _, framed, weights = gradients(explorer)
    torch.testing.assert_close(explorer.grad_x, framed[p : p + 5, p : p + 6])
    torch.testing.assert_close(explorer.grad_kernel, weights)


def test_keyboard_points_at_a_pixel_and_at_one_that_receives_nothing(opened) -> None:
    stage = opened(explore.backprop())
    assert stage.said().startswith("Output (0, 1) has δ = 2.")
    assert stage.said().endswith("pixel (0, 2) receives 2 × 1, weight (0, 0) 2 × 1.")
    stage.page.get_by_label("Point at").select_option("a pixel")
    pixels = stage.page.get_by_label("gradient of x: arrow")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        pixels.press(key)
    stage.wait_for_words("Pixel (2, 2) lies in 4 windows: 1 × 9 + 2 × 7 + 3 × 3 + 4 × 1 = 36.")
    for _ in range(3):
        pixels.press("ArrowRight")
    stage.wait_for_words("Pixel (2, 5) lies in no window: its gradient is 0.")
    stage.wait_for_state(target="a pixel", row="2", column="5")


def test_first_arrow_in_another_panel_chooses_it_and_moves(opened) -> None:
    stage = opened(explore.backprop())  # points at output (0, 1)
    stage.page.get_by_label("of the kernel: arrow").press("ArrowDown")
    stage.wait_for_state(target="a weight", row="1")
    stage.wait_for_words("Weight (1, 1) is used in ")


def test_mouse_and_finger_point(opened) -> None:
    for phone in (False, True):
        stage = opened(explore.backprop(), phone=phone)
        panel = stage.page.get_by_label("of the kernel: arrow")
        side = panel.bounding_box()["width"]
        place = {"x": side / 6, "y": side / 6}
        panel.tap(position=place) if phone else panel.hover(position=place)
        stage.wait_for_words(
            "Weight (0, 0) is used in 4 windows: 1 × 0 + 2 × 1 + 3 × 0 + 4 × 1 = 6."
        )


def test_frame_gets_a_gradient_that_is_cut_off(opened) -> None:
    stage = opened(explore.backprop(), "target=a pixel&padding=1&row=-1&column=-1")
    stage.wait_for_words("Pixel (−1, −1) of the frame lies in 1 window: 1 × 1 = 1, and is cut off.")
    stage.page.get_by_label("padding").press("ArrowLeft")
    stage.wait_for_words("Pixel (0, 0) lies in 1 window: 1 × 1 = 1.")


@pytest.mark.parametrize("size", [(4, 6), (5, 0), (1, 1), (5, 7)])
def test_python_refuses_a_picture_in_which_a_kernel_has_no_place(size) -> None:
    refused = (
        rf"`x` must be a tensor \(h, w\) of 5 to 6 rows and columns, got \({size[0]}, {size[1]}\)"
    )
    with pytest.raises(ValueError, match=refused):
        explore.backprop(torch.zeros(size))
    explorer = explore.backprop()
    with pytest.raises(traitlets.TraitError, match=refused):
        explorer.x = torch.zeros(size)
    assert explorer.x.shape == (5, 6)


def test_python_refuses_a_kernel_that_is_empty_or_too_large_and_a_long_stride() -> None:
    for size in ((0, 2), (4, 1)):
        with pytest.raises(ValueError, match=r"`kernel` must be .* of 1 to 3 rows and columns"):
            explore.backprop(kernel=torch.zeros(size))
    with pytest.raises(ValueError, match="'stride'"):
        explore.backprop(stride=4)


def test_every_kernel_and_dilation_fit_into_the_smallest_picture() -> None:
    explorer = explore.backprop(torch.ones(5, 5))
    explorer.dilation = 2
    assert explorer.y.shape == (1, 1)


def test_picture_that_is_too_small_in_the_address_changes_nothing(opened) -> None:
    stage = opened(explore.backprop(), "x=[[1,2],[3,4]]&dilation=2&stride=1")
    stage.wait_for_state(x="[[1,2],[3,4]]", dilation="2")
    stage.page.get_by_label("padding").press("ArrowRight")
    stage.page.wait_for_function("() => !location.hash.includes('x=')")
    assert stage.errors == []
