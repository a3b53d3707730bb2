"""Shift consistency against every pair of shifts, counted one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cnncourse.invariance import translate
from cnncourse.shift import shift_consistency
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
