"""A batch with one changed spot, under four normalizations."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from cnncourse import explore
from cnncourse.explore.normalization import NORMS, features
from cnncourse.normalization import normalize
from tests.explore.stage import Modules

SHAPE = (-1, 4, 13, 13)
AXES = {"batch": (0, 2, 3), "layer": (1, 2, 3), "instance": (2, 3)}


def batch(values: list[float]) -> torch.Tensor:
    return torch.tensor(values).reshape(SHAPE)


def random_batch(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0, 3.0, 0.2, 1.0])[:, None, None]
    return torch.randn(n, 4, 13, 13, generator=generator) * scale + 2 * scale


def of_torch(x: torch.Tensor, norm: str) -> torch.Tensor:
    return {
        "batch": lambda: F.batch_norm(x, None, None, training=True),
        "layer": lambda: F.layer_norm(x, x.shape[1:]),
        "instance": lambda: F.instance_norm(x),
        "group": lambda: F.group_norm(x, 2),
    }[norm]()


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_page_and_package_normalize_as_torch_does(modules: Modules, norm, n) -> None:
    x = random_batch(n)
    y = batch(modules.call("normalization", "normalize", x.flatten().tolist(), norm))
    torch.testing.assert_close(y, of_torch(x, norm), atol=1e-5, rtol=0)
    explorer = explore.normalization(norm, n)
    torch.testing.assert_close(explorer.normalize(x), y, atol=1e-5, rtol=0)
    if norm in AXES:
        torch.testing.assert_close(normalize(x, AXES[norm]), y, atol=1e-5, rtol=0)


def test_page_makes_and_changes_the_batch_of_the_package(modules: Modules) -> None:
    explorer = explore.normalization(n=8)
    explorer.picture, explorer.channel, explorer.added = 2, 3, -4
    found = modules.call("normalization", "features", list(explorer.garments), 8)
    torch.testing.assert_close(batch(found), features(8), atol=1e-5, rtol=0)
    found = modules.call("normalization", "spotted", found, 2 * 4 + 3, -4)
    torch.testing.assert_close(batch(found), explorer.x, atol=1e-5, rtol=0)
    assert (explorer.x - features(8)).sum() == pytest.approx(-4 * 25, abs=1e-3)


@pytest.mark.parametrize("seen", [0, 1, 10])
def test_page_remembers_what_torch_remembers(modules: Modules, seen) -> None:
    explorer = explore.normalization(n=3, training=False)
    explorer.seen = seen
    bn = torch.nn.BatchNorm2d(4, affine=False)
    for _ in range(seen):
        bn(features(3))
    found = modules.call("normalization", "running", features(3).flatten().tolist(), seen)
    mean, var = (torch.tensor([s[key] for s in found]) for key in ("mean", "variance"))
    for remembered in ((mean, var), explorer.running):
        for ours, theirs in zip(remembered, (bn.running_mean, bn.running_var), strict=True):
            torch.testing.assert_close(ours.float(), theirs, atol=1e-5, rtol=0)
    y = modules.call("normalization", "evaluated", explorer.x.flatten().tolist(), found)
    torch.testing.assert_close(batch(y), bn.eval()(explorer.x), atol=1e-5, rtol=0)
    torch.testing.assert_close(explorer.y, batch(y), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("norm", "training", "expected"),
    [
        ("batch", True, [(0, 2), (1, 2), (2, 2)]),
        ("batch", False, [(1, 2)]),
        ("layer", True, [(1, 0), (1, 1), (1, 2), (1, 3)]),
        ("group", False, [(1, 2), (1, 3)]),
        ("instance", True, [(1, 2)]),
    ],
)
def test_outputs_move_where_the_mean_is_shared(modules: Modules, norm, training, expected) -> None:
    explorer = explore.normalization(norm, 3, training)
    explorer.picture, explorer.channel = 1, 2
    assert [tuple(place) for place in explorer.differs.nonzero().tolist()] == expected
    before = explorer.normalize(features(3))
    pair = [y.flatten().tolist() for y in (explorer.y, before)]
    found = torch.tensor(modules.call("normalization", "moves", *pair)).reshape(3, 4)
    torch.testing.assert_close(found, (explorer.y - before).abs().mean((2, 3)))


def test_histogram_counts_every_number_once(modules: Modules) -> None:
    found = modules.call("normalization", "histogram", [-9, -6, -0.1, 0, 0.4, 7], 6, 4)
    assert found == pytest.approx([2 / 6, 1 / 6, 2 / 6, 1 / 6])


def test_keyboard_changes_another_picture_and_mode(opened) -> None:
    stage = opened(explore.normalization())
    explorer = explore.normalization()
    distance = (explorer.y - explorer.normalize(features(4))).abs()[1:, 0].mean().item()
    words = f"In the other pictures they moved by {round(distance, 2):g} on average. 676 numbers"
    assert words in stage.said()
    stage.page.get_by_label("x: arrow").press("ArrowDown")
    stage.page.get_by_label("y: arrow").press("ArrowRight")
    stage.wait_for_words("changed: second picture, second channel. Moved: 4 of 16 tiles, in 4 of 4")
    stage.page.get_by_label("training mode").press("Space")
    stage.wait_for_words("Moved: 1 of 16 tiles, in 1 of 4 pictures. No other picture moved.")
    stage.wait_for_state(training="false", picture="1", channel="1")


def test_finger_chooses_a_tile(opened) -> None:
    stage = opened(explore.normalization("layer"), phone=True)
    panel = stage.page.get_by_label("x: arrow")
    panel.scroll_into_view_if_needed()
    box = panel.bounding_box()
    stage.page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + 0.6 * box["height"])
    stage.wait_for_words("changed: third picture, fourth channel. Moved: 4 of 16 tiles, in 1 of 4")


def test_link_leads_to_a_state(opened) -> None:
    stage = opened(explore.normalization(), "training=false&n=2&picture=7&seen=3&added=-2")
    explorer = explore.normalization(n=2, training=False)
    explorer.seen = 3
    mean, var = (values[0].item() for values in explorer.running)
    stage.wait_for_words(f"Running mean {round(mean, 2):g}, running std {round(var**0.5, 2):g}.")
    assert "changed: second picture, first channel" in stage.said()
    assert stage.page.get_by_label("Batches seen").is_enabled()
    stage.page.get_by_label("Normalization").select_option("group")
    stage.wait_for_words("Moved: 2 of 8 tiles, in 1 of 2 pictures. No other picture moved. 338")
    assert not stage.page.get_by_label("Batches seen").is_enabled()
    assert stage.errors == []


def test_one_picture_is_not_called_pictures(opened) -> None:
    stage = opened(explore.normalization(n=1))
    assert "Moved: 1 of 4 tiles, in 1 of 1 picture. " in stage.said()


def test_python_refuses_what_the_explorer_cannot_show() -> None:
    with pytest.raises(ValueError, match="`norm` must be one of batch, layer"):
        explore.normalization("weight")
    with pytest.raises(ValueError, match="`n` must be at most 8, got 9"):
        explore.normalization(n=9)
