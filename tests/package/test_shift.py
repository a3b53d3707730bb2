"""Shift consistency against every pair of shifts, counted one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from cnncourse.invariance import translate
from cnncourse.shift import (
    NETWORKS,
    BlurMaxPool2d,
    RandomShift,
    on_canvas,
    shift_consistency,
    shift_curve,
    shift_net,
)
from tests.package.compare import random_tensor

# Shares differ in the last digits of float64 only, because sums run in another order.
EXACT = 1e-12


def test_shift_consistency_is_the_share_of_agreeing_pairs():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 5 * 6, 4)).double()
    images, m = random_tensor(3, 2, 5, 6).detach(), 2
    moves = [(dy, dx) for dy in range(-m, m + 1) for dx in range(-m, m + 1)]
    classes = [model(translate(images, *move)).argmax(1) for move in moves]
    pairs = [(a == b).double().mean().item() for a in classes for b in classes]
    share = shift_consistency(model, images, m)
    assert share == pytest.approx(sum(pairs) / len(pairs), abs=EXACT)
    assert 0.2 < share < 0.95  # a case in which something can go wrong


def test_shift_consistency_of_an_invariant_model_is_one():
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
    model = nn.Sequential(conv, nn.ReLU(), *head).double()
    assert shift_consistency(model, random_tensor(2, 2, 12, 16).detach(), 3, mode="circular") == 1


def test_shift_consistency_without_shift_is_one():
    assert shift_consistency(lambda x: x.flatten(1), random_tensor(2, 2, 4, 5).detach(), 0) == 1


def test_shift_consistency_does_not_depend_on_the_batch_size():
    images = random_tensor(5, 2, 4, 4).detach()
    shares = [shift_consistency(lambda x: x.flatten(1), images, 1, batch_size=b) for b in (1, 2, 9)]
    assert shares == pytest.approx([shares[0]] * 3, abs=EXACT)


GOOD = {"model": nn.Flatten(), "images": torch.ones(2, 1, 3, 4), "max_shift": 1}
BAD_CALLS = [
    ({"images": [1]}, TypeError, ["`images`", "torch.Tensor", "list"]),
    ({"images": torch.ones(3, 4)}, ValueError, ["`images`", "n, c, h, w"]),
    ({"images": torch.ones(0, 1, 3, 4)}, ValueError, ["`images`", "(0, 1"]),
    ({"max_shift": -1}, ValueError, ["`max_shift`", "at least 0", "-1"]),
    ({"max_shift": 1.0}, TypeError, ["`max_shift`", "1.0"]),
    ({"batch_size": 0}, ValueError, ["`batch_size`", "at least 1", "0"]),
    ({"mode": "wrap"}, ValueError, ["`mode`", "'wrap'"]),
    ({"model": torch.relu}, ValueError, ["`model`", "(2, classes)", "(2, 1, 3"]),
]


@pytest.mark.parametrize(("bad", "error", "words"), BAD_CALLS)
@pytest.mark.usefixtures("as_installed")
def test_shift_consistency_names_the_bad_argument(bad, error, words):
    with pytest.raises(error) as caught:
        shift_consistency(**GOOD | bad)
    for word in words:
        assert word in str(caught.value)


# The networks of chapter 7.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_circular_network_gives_every_circular_shift_the_same_bits(dtype):
    torch.manual_seed(0)
    model = shift_net().to(dtype)
    x = torch.rand(3, 1, 28, 28).to(dtype)
    scores = model(x)
    assert scores.std(0).min() > 0  # it tells images apart
    for dy, dx in [(0, 1), (1, 0), (-1, 2), (5, 9), (14, 14), (-13, 27)]:
        assert torch.equal(model(translate(x, dy, dx, "circular")), scores)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "circular"])
def test_every_other_network_changes_its_scores_at_some_shift(name):
    torch.manual_seed(0)
    model, x = NETWORKS[name](), torch.rand(3, 1, 28, 28)
    assert not torch.allclose(model(translate(x, 1, 3, "circular")), model(x))


@pytest.mark.parametrize("name", ["stride", "max_pool"])
def test_a_stride_of_two_leaves_the_shifts_by_two(name):
    torch.manual_seed(0)
    model, x = NETWORKS[name](), torch.rand(3, 1, 28, 28)
    assert torch.equal(model(translate(x, 4, -6, "circular")), model(x))
    assert not torch.allclose(model(translate(x, 0, 1, "circular")), model(x))


def test_networks_differ_in_one_thing():
    counts = {name: sum(p.numel() for p in make().parameters()) for name, make in NETWORKS.items()}
    convolutions, linear = 8 * (25 + 1) + 16 * (8 * 25 + 1), 10 * (16 + 1)
    same = ("circular", "zeros", "stride", "max_pool", "blur_pool")
    assert {counts[name] for name in same} == {convolutions + linear}
    assert counts["dense"] == convolutions + 10 * (16 * 28 * 28 + 1)
    assert counts["perceptron"] == 203_530


def test_blur_max_pool_is_max_pooling_with_a_blur_before_the_stride():
    x = random_tensor(2, 3, 28, 28).detach()
    dense = F.max_pool2d(x, 2, stride=1)
    kernel = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype) / 4
    blurred = F.conv2d(dense, kernel.outer(kernel).expand(3, 1, 3, 3), groups=3)[..., 1::2, 1::2]
    torch.testing.assert_close(BlurMaxPool2d()(x)[..., 1:-1, 1:-1], blurred[..., :12, :12])
    assert torch.equal(dense[..., ::2, ::2], F.max_pool2d(x, 2))


def test_on_canvas_halves_and_centres():
    x = torch.rand(2, 1, 28, 28)
    y = on_canvas(x)
    assert y[1, 0, 7, 20] == pytest.approx(x[1, 0, :2, 26:].mean().item())
    assert y.sum().item() == pytest.approx(x.sum().item() / 4, rel=1e-5)
    assert torch.equal(translate(translate(y, 7, -7), -7, 7), y)


def test_random_shift_moves_each_image_by_its_own_shift_while_training():
    torch.manual_seed(0)
    x = on_canvas(torch.rand(200, 1, 28, 28))
    y = RandomShift(2)(x)
    steps = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
    found = [
        next(step for step in steps if torch.equal(translate(before, *step), after))
        for before, after in zip(x, y, strict=True)
    ]
    assert set(found) == set(steps)


@pytest.mark.parametrize("mode", ["circular", "zeros"])
def test_random_shift_fills_the_border_as_it_is_told(mode):
    torch.manual_seed(0)
    x = torch.rand(300, 2, 6, 5)
    y = RandomShift(2, mode)(x)
    steps = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
    found = [
        next(step for step in steps if torch.equal(translate(before, *step, mode), after))
        for before, after in zip(x, y, strict=True)
    ]
    assert set(found) == set(steps)
    with pytest.raises(ValueError, match="`mode` must be one of circular, zeros, got 'reflect'"):
        RandomShift(2, "reflect")


def test_random_shift_is_seeded_and_rests_in_evaluation():
    x, layer = torch.rand(9, 2, 6, 5), RandomShift(3)
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match="`max_shift` must be at least 0, got -1"):
        RandomShift(-1)


def test_shift_curve_by_hand():
    class Columns(nn.Module):
        def forward(self, x):
            return x.sum((1, 2))

    x = torch.zeros(2, 1, 5, 5)
    x[:, 0, 2, 2] = 3
    curve = shift_curve(Columns(), x, torch.tensor([2, 3]), 2)
    # Up and down change no column; left and right move the dot by s columns.
    assert curve.accuracy == [0.5, (0.5 + 0.5 + 0.5 + 0) / 4, 0.25]
    assert curve.consistency == [1, 0.5, 0.5]
    assert curve.change == [0, 3, 3]


def test_shift_curve_of_the_circular_network_is_flat_to_the_bit():
    torch.manual_seed(0)
    images = on_canvas(torch.rand(4, 1, 28, 28))
    curve = shift_curve(shift_net().train(), images, torch.arange(4), 7)
    assert curve.consistency == [1] * 8
    assert curve.change == [0] * 8
    assert len(set(curve.accuracy)) == 1
