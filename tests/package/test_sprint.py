"""The fast recipe: each part against torch, slicing or a number worked by hand."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnncourse.lenet import ModernLeNet
from cnncourse.sprint import (
    PLAN,
    Descent,
    Plan,
    RandomCrop,
    build,
    hardest,
    losses_of,
    orthogonalize,
    random_batches,
    rates_of,
    small_reader,
    sprint,
    steps_of,
)


def digits(n: int = 96) -> tuple[Tensor, Tensor]:
    """Draw pictures of two classes that differ in where they are bright."""
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(n, 1, 28, 28, generator=generator) / 4, torch.arange(n) % 2
    images[labels == 1, :, 8:14] += 0.7
    return images, labels


def test_random_crop_is_a_slice_at_one_of_all_places() -> None:
    torch.manual_seed(0)
    x, crop = torch.rand(3, 2, 6, 5), RandomCrop(4)
    slices = [x[:, :, top : top + 4, left : left + 4] for top in range(3) for left in range(2)]
    found = [[torch.equal(y, s) for s in slices].index(True) for y in map(crop, [x] * 100)]
    assert set(found) == set(range(6))
    assert torch.equal(crop.eval()(x), x[:, :, 1:5, 0:4])


def test_random_crop_names_pictures_that_are_too_small() -> None:
    with pytest.raises(ValueError, match=r"`x` must be at least 7 high and wide, got .*6, 9"):
        RandomCrop(7)(torch.zeros(1, 1, 6, 9))
    with pytest.raises(ValueError, match=r"`side` must be at least 1, got 0"):
        RandomCrop(0)


def test_small_reader_by_hand_and_undecided_at_first() -> None:
    norm = 2 * (16 + 32 + 128)
    convolutions = 16 * 25 + 32 * 16 * 9 + 128 * 32 * 9
    for side, places in ((24, 2 * 2), (28, 3 * 3)):
        net = small_reader(side)
        size = sum(p.numel() for p in net.parameters())
        assert size == convolutions + norm + 128 * places * 10 + 10
        assert torch.equal(net(torch.rand(2, 1, 28, 28)), torch.zeros(2, 10))


@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (5, 5)])
def test_orthogonalize_changes_the_singular_values_alone(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    s = s / matrix.norm()
    for _ in range(3):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    torch.testing.assert_close(orthogonalize(matrix), u @ s.diag() @ vh, rtol=1e-5, atol=1e-6)


def test_orthogonalize_brings_singular_values_near_one() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(16, 144), steps=5))
    assert values.min() > 0.6
    assert values.max() < 1.3


@pytest.mark.parametrize("rule", ["plain", "momentum"])
def test_descent_is_the_rule_of_torch(rule: str) -> None:
    momentum = {"plain": {}, "momentum": {"momentum": 0.9, "nesterov": True}}[rule]
    torch.manual_seed(0)
    start = [torch.randn(2, 1, 3, 3), torch.randn(4)]
    ours, theirs = ([nn.Parameter(w.clone()) for w in start] for _ in range(2))
    descent, optimizer = Descent(ours, rule), torch.optim.SGD(theirs, lr=1.0, **momentum)
    for rate in (0.1, 0.3, 0.2):
        optimizer.param_groups[0]["lr"] = rate
        for weights, step in ((ours, partial(descent, rate)), (theirs, optimizer.step)):
            sum((w**3).sum() for w in weights).backward()
            step()
        optimizer.zero_grad()
        assert all(w.grad is None for w in ours)
    torch.testing.assert_close(ours, theirs)


def test_descent_orthogonalizes_the_step_of_filters_alone() -> None:
    torch.manual_seed(0)
    filters, dense = nn.Parameter(torch.randn(4, 2, 3, 3)), nn.Parameter(torch.randn(4, 5))
    filters.grad, dense.grad = torch.randn(4, 2, 3, 3), torch.randn(4, 5)
    moved = filters - 0.5 * orthogonalize(1.6 * filters.grad.view(4, 18)).view_as(filters)
    expected = moved * filters.norm() / moved.norm(), dense - 0.5 * 1.9 * dense.grad
    Descent(weights := [filters, dense], "orthogonal")(0.5)
    torch.testing.assert_close(weights, list(expected))
    assert not torch.allclose(moved, filters)


def test_rates_rise_and_fall() -> None:
    rates = rates_of(Plan(lr=2.0), 200)
    assert rates[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert rates[4:] == pytest.approx([2 * (200 - k) / 196 for k in range(4, 200)])
    assert rates_of(Plan(lr=2.0, falling=False), 3) == [2.0] * 3
    assert rates_of(Plan(lr=2.0), 1) == [2.0]


def test_random_batches_use_each_picture_once_a_pass() -> None:
    batches = random_batches(10, 4, 5)
    assert [len(batch) for batch in batches] == [4] * 5
    order = torch.cat(batches)
    assert all(sorted(part.tolist()) == list(range(10)) for part in order.split(10))


def test_hardest_takes_the_same_number_out_of_each_batch() -> None:
    batches, losses = torch.arange(12).split(4), torch.rand(12).split(4)
    found = hardest(batches, losses, steps=2)
    assert [len(batch) for batch in found] == [4, 4]
    places = torch.cat(found)
    for batch, loss in zip(batches, losses, strict=True):
        mine = [p for p in places.tolist() if p in batch.tolist()]
        assert batch[loss.argmin()] not in mine
    assert hardest(batches, losses, steps=0) == ()


def test_losses_are_cross_entropies_with_smoothed_labels() -> None:
    x, y = torch.randn(3, 1, 1, 10), torch.tensor([1, 0, 9])
    plan = Plan(precision="float32", smoothing=0.2)
    target = 0.8 * nn.functional.one_hot(y, 10) + 0.02
    expected = -(target * x.flatten(1).log_softmax(1)).sum(1)
    torch.testing.assert_close(losses_of(nn.Flatten(), x, y, plan), expected)


def test_bfloat16_multiplies_with_few_digits() -> None:
    torch.manual_seed(0)
    net, (x, y) = ModernLeNet(), digits()
    exact, rough = (losses_of(net, x, y, Plan(precision=p)) for p in ("float32", "bfloat16"))
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    torch.testing.assert_close(exact, rough, atol=0.1, rtol=0)


def test_steps_count_passes_and_hard_passes() -> None:
    assert steps_of(Plan(batch_size=100, passes=0.5, hard=0.25), 1000) == (5, 2)
    assert steps_of(Plan(passes=1e-6), 1000)[0] == 1


@pytest.mark.parametrize("hard", [0.0, 2.0])
def test_sprint_learns_and_a_seed_repeats(hard: float) -> None:
    train, plan = digits(), Plan(passes=10.0, hard=hard, batch_size=16, lr=0.02)
    net, again, other = (sprint(train, plan, seed) for seed in (3, 3, 4))
    images, labels = train
    assert not net.training
    with torch.no_grad():
        scores = net(images)
    assert cross_entropy(scores, labels) < 1.2  # at first it is log(10) = 2.3
    assert (scores.argmax(1) == labels).float().mean() > 0.9
    weights, same, others = (list(n.state_dict().values()) for n in (net, again, other))
    assert all(map(torch.equal, weights, same))
    assert not all(map(torch.equal, weights, others))


@pytest.mark.parametrize("rule", ["plain", "momentum", "orthogonal"])
def test_sprint_trains_lenet_with_every_rule(rule: str) -> None:
    plan = Plan(
        network="lenet", rule=rule, lr=0.02, passes=8.0, hard=0.0, smoothing=0.0, batch_size=16
    )
    images, labels = digits()
    net = sprint((images, labels), plan)
    with torch.no_grad():
        assert cross_entropy(net(images), labels) < 0.3


def test_build_lays_weights_out_as_the_plan_says() -> None:
    for on in (True, False):
        for network in ("small", "lenet"):
            net = build(Plan(network=network, channels_last=on))
            (weight,) = [
                w for name, w in net.named_parameters() if w.shape[:2] in {(32, 16), (16, 6)}
            ]
            assert weight.is_contiguous(memory_format=torch.channels_last) is on


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("network", "resnet", "must be one of small, lenet, got 'resnet'"),
        ("precision", "int8", "must be one of float32, bfloat16, got 'int8'"),
        ("rule", "adam", "must be one of plain, momentum, orthogonal, got 'adam'"),
        ("lr", 0.0, "must be above 0, got 0.0"),
        ("passes", -1.0, "must be above 0, got -1.0"),
        ("batch_size", 1, "must be at least 2, got 1"),
    ],
)
def test_plan_names_bad_input(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` {message}"):
        Plan(**{name: value})


def test_the_plan_uses_less_than_half_of_the_pictures() -> None:
    first, second = steps_of(PLAN, 55_000)
    assert (first + second) * PLAN.batch_size < 55_000
