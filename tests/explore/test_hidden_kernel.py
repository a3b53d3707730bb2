"""Two hidden weights: the error over both of them, and the descent."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from cnncourse import explore
from tests.explore.stage import Modules
from tests.explore.test_kernel import grid

PLACES = [(data, shape) for data in ("stripes", "noise", "a sneaker") for shape in ((2, 1), (1, 2))]


def explorer_for(data: str, shape: tuple[int, int], **state: float):
    explorer = explore.hidden_kernel()
    explorer.data = data
    explorer.shape = "side by side" if shape == (1, 2) else "one over the other"
    for name, value in state.items():
        setattr(explorer, name, value)
    return explorer


@pytest.mark.parametrize(("data", "shape"), PLACES)
def test_error_gradient_and_path_are_those_of_torch(modules: Modules, data, shape) -> None:
    explorer = explorer_for(data, shape, first=-0.75, second=2.25, rate=0.35, steps=40)
    x, hidden = explorer.x.double(), torch.tensor([2.0, -1.5]).double()
    wanted = F.conv2d(x[None, None], hidden.reshape(1, 1, *shape))
    weights = torch.tensor([-0.75, 2.25], dtype=torch.float64, requires_grad=True)
    over = modules.call("hidden_kernel", "landscape", grid(explorer.x), grid(hidden.reshape(shape)))
    path = [weights.tolist()]
    for k in range(40):
        made = F.conv2d(x[None, None], weights.reshape(1, 1, *shape))
        error = (made - wanted).square().mean()
        (slope,) = torch.autograd.grad(error, weights)
        if k == 0:
            found = modules.call("hidden_kernel", "error", over, path[0])
            assert found == pytest.approx(error.item(), abs=1e-5)
            found = modules.call("hidden_kernel", "gradient", over, path[0])
            assert found == pytest.approx(slope.tolist(), abs=1e-5)
        weights = (weights - 0.35 * slope).detach().requires_grad_()
        path.append(weights.tolist())
    found = modules.call("hidden_kernel", "descend", over, path[0], 0.35, 40)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(path), atol=1e-5, rtol=0)
    torch.testing.assert_close(explorer.path, torch.tensor(path), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("data", "shape"), PLACES)
def test_page_calls_data_blind_where_the_windows_have_rank_one(
    modules: Modules, data, shape
) -> None:
    x = explorer_for(data, shape).x
    windows = F.unfold(x[None, None], shape)[0]
    over = modules.call(
        "hidden_kernel", "landscape", grid(x), grid(torch.tensor([[2.0, -1.5]]).reshape(shape))
    )
    rank = torch.linalg.matrix_rank(windows)
    assert modules.call("hidden_kernel", "isBlind", over) == (rank == 1)
    assert (rank == 1) == (data == "stripes" and shape == (2, 1))


def test_descent_ends_upside_down_and_python_says_the_same(opened) -> None:
    stage = opened(explore.hidden_kernel())
    stage.page.get_by_role("button", name="Let it descend").click()
    stage.wait_for_words(": −1.5 over 2. The error is 0.0000.")
    stage.page.get_by_role("button", name="Reveal").click()
    stage.wait_for_words("The hidden one: 2 over −1.5. All kernels on the dashed line fit")
    explorer = explore.hidden_kernel()
    explorer.steps = int(stage.state()["steps"])
    assert explorer.kernel.flatten().tolist() == pytest.approx([-1.5, 2], abs=1e-3)
    stage.wait_for_words(f"the error of yours is {explorer.unseen_error:.4f}.")
    assert stage.errors == []


def test_keyboard_moves_the_start_and_takes_a_step(opened) -> None:
    explorer = explorer_for("a sneaker", (1, 2))
    stage = opened(explorer, "rate=0.5")
    stage.page.get_by_label("Error of each kernel").press("ArrowUp")
    stage.page.get_by_label("Error of each kernel").press("ArrowRight")
    stage.wait_for_words("Your kernel: −2.15 beside 1.35.")
    stage.page.get_by_label("Steps").press("ArrowRight")
    explorer.first, explorer.second, explorer.rate, explorer.steps = -2.15, 1.35, 0.5, 1
    stage.wait_for_words("after 1 step: ")
    stage.wait_for_words(f"The error is {explorer.error:.4f}.")
    stage.wait_for_state(first="-2.15", second="1.35", steps="1", rate="0.5")


def test_finger_puts_the_kernel_on_the_hidden_one(opened) -> None:
    stage = opened(explore.hidden_kernel(), "data=noise&revealed=true", phone=True)
    ground = stage.page.get_by_label("Error of each kernel")
    side = ground.bounding_box()["width"]  # weights from -3 to 3, the second one upwards
    ground.tap(position={"x": (2 + 3) / 6 * side, "y": (1.5 + 3) / 6 * side})
    stage.wait_for_words("Your kernel: 2 over −1.5. The error is 0.0000.")
    stage.wait_for_words("No other fits these data.")


def test_descent_can_be_watched_and_stopped(opened) -> None:
    stage = opened(explore.hidden_kernel(), "data=a sneaker", reduced_motion="no-preference")
    stage.page.get_by_role("button", name="Let it descend").click()
    stage.page.wait_for_function(
        "() => document.querySelectorAll('.explorer-footprint').length > 2"
    )
    stage.page.get_by_role("button", name="Stop").click()
    assert stage.page.get_by_role("button", name="Let it descend").is_visible()
    stage.wait_for_words("after ")
    stage.page.wait_for_function("() => location.hash.includes('steps=')")
    assert 2 < int(stage.state()["steps"]) < 300


def test_link_to_a_state_leads_to_the_top_of_the_explorer(opened) -> None:
    stage = opened(explore.hidden_kernel(), "data=noise&revealed=true", phone=True)
    assert stage.said()
    assert abs(stage.page.locator(".explorer-box").bounding_box()["y"]) < 60


def test_too_long_steps_are_named(opened) -> None:
    stage = opened(explore.hidden_kernel(), "rate=1.25&steps=30")
    stage.wait_for_words("The steps are too long: the error grows.")


def test_descent_that_leads_upwards_ends_where_the_error_is_too_large_to_tell(opened) -> None:
    explorer = explorer_for("noise", (1, 2), rate=1.25, steps=300)
    stage = opened(explore.hidden_kernel(), "data=noise&shape=side by side&rate=1.25&steps=300")
    stage.wait_for_words("The error is more than 10,000.")
    stage.wait_for_words("The descent ends here.")
    steps = int(re.search(r"after (\d+) steps", stage.said())[1])
    assert stage.page.locator(".explorer-meter").inner_text().endswith("more than 10,000")
    explorer.steps = steps
    assert explorer.error > 10_000
    explorer.steps = steps - 1
    assert explorer.error <= 10_000
    assert "e+" not in stage.page.locator(".explorer-box").inner_text()


def test_one_zero_is_written_one_way(opened) -> None:
    stage = opened(explore.hidden_kernel(), "first=2&second=-1.5&revealed=true")
    stage.wait_for_words("The error is 0.0000.")
    stage.wait_for_words("the error of yours is 0.0000.")
    assert stage.page.locator(".explorer-meter").inner_text().endswith("0.0000")


def test_python_refuses_what_is_no_kernel_of_two() -> None:
    with pytest.raises(ValueError, match=r"`hidden` must be a tensor of two weights, got \(3,\)"):
        explore.hidden_kernel(torch.zeros(3))
    with pytest.raises(ValueError, match=r"`hidden` must hold numbers from -3 to 3, got 0 to 4"):
        explore.hidden_kernel(torch.tensor([0.0, 4.0]))
