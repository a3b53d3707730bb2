"""The network that is handed in: what is measured is built anew, and runs none of its code."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cnncourse.capstone import Residual, small_net
from cnncourse.checks import find
from cnncourse.checks.chapters import capstone
from cnncourse.checks.exercise import generator
from cnncourse.checks.given import capstone as given
from cnncourse.checks.judge import judge
from cnncourse.checks.run import run
from cnncourse.datasets import Split, load_fashion_mnist

pytestmark = pytest.mark.usefixtures("as_installed")
EXERCISE = find("small_network")


def layers() -> nn.Sequential:
    """One layer of every kind, with numbers that are not torch's own choice."""
    torch.manual_seed(0)
    block = Residual(nn.BatchNorm2d(6, eps=0.1), nn.SiLU(), nn.Conv2d(6, 6, 3, padding="same"))
    return nn.Sequential(
        *(nn.Conv2d(1, 4, (3, 5), stride=(1, 2), padding=1, padding_mode="reflect"), nn.Tanh()),
        *(nn.Conv2d(4, 6, 3, dilation=2, groups=2, bias=False), nn.ReLU(), block, nn.Sigmoid()),
        *(nn.MaxPool2d(2, 3, 1, dilation=1, ceil_mode=True), nn.Dropout(0.5), nn.Identity()),
        *(nn.AvgPool2d(3, 1, 1, count_include_pad=False), nn.AdaptiveMaxPool2d((4, 3))),
        *(nn.AdaptiveAvgPool2d([2, 3]), nn.Flatten(), nn.Linear(36, 10, bias=False)),
    )


def test_what_is_built_anew_answers_as_the_network_that_was_handed_in() -> None:
    net = layers().eval()
    net[4][0].running_mean.uniform_()
    words, weights = given.hand_in(lambda: net)
    again = given.with_weights(given.build(words), weights).eval()
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(again(x), net(x), rtol=0, atol=0)
    assert {type(layer) for layer in net.modules()} == set(given.NAMES)


class Cheat(nn.Sequential):
    """Another forward pass behind a known name."""

    def forward(self, x):
        return super().forward(x) + 1


@pytest.mark.parametrize("cheat", [Cheat(), nn.Sequential(Cheat()), Residual(Cheat())])
def test_code_of_a_submission_is_not_built(cheat: nn.Module) -> None:
    with pytest.raises(ValueError, match="Cheat` is not among"):
        given.build(given.describe(cheat))


HOSTILE = {
    "text": ("Sequential", "weights"),
    "nothing": (),
    "no words": 7,
    "unknown": (("Sequential", ("os.system", "ls")), ()),
    "huge": (("Sequential", ("Flatten", 1, -1), ("Linear", 784, 10**12, True)), ()),
    "negative": (("Sequential", ("Linear", -3, 10, True)), ()),
    "fractions": (("Sequential", ("Linear", 0.5, 10, True)), ()),
    "empty": (("Sequential",), ()),
    "too few words": (("Sequential", ("Linear", 784)), ()),
    "a list": (["Sequential", ["Flatten", 1, -1], ["Linear", 784, 10, True]], ()),
    "no weights": (("Sequential", ("Flatten", 1, -1), ("Linear", 784, 10, True)), ()),
    "no tensors": (("Sequential", ("Flatten", 1, -1), ("Linear", 784, 10, True)), (1.0, "a")),
    "other shapes": (
        ("Sequential", ("Flatten", 1, -1), ("Linear", 784, 10, True)),
        (torch.ones(10), torch.ones(10)),
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_network_gives_is_refused_in_words(name: str) -> None:
    assert capstone.judge_network(HOSTILE[name], "validation", 0) != ""


def test_a_grade_asks_about_half_of_the_test_pictures_and_a_check_about_validation() -> None:
    data = load_fashion_mnist()
    (grade,), (check,) = (
        draw(generator("secret", "small_network")) for draw in (EXERCISE.cases, EXERCISE.practice)
    )
    assert check.arguments == ("validation", 0)
    split, seed = grade.arguments
    drawn = capstone.pictures(split, seed)
    assert len(drawn.labels) == 5000
    # Pictures of the test split, each with its label, none twice.
    keys = {
        (picture.numpy().tobytes(), label.item()) for picture, label in zip(*drawn, strict=True)
    }
    of_test = {(p.numpy().tobytes(), label.item()) for p, label in zip(*data.test, strict=True)}
    assert keys <= of_test
    assert len(keys) >= 4990  # the file holds a few pictures twice
    other = EXERCISE.cases(generator("another", "small_network"))[0].arguments
    assert not torch.equal(capstone.pictures(*other).labels, drawn.labels)


# 100 pictures of which a network that always says 0 gets as many right as there are zeros.
@pytest.mark.parametrize(
    ("zeros", "points"), [(79, 0), (80, 3), (84, 3), (85, 5), (91, 9), (92, 10)]
)
def test_points_come_in_the_steps_of_the_table(zeros: int, points: int, monkeypatch) -> None:
    labels = (torch.arange(100) >= zeros).long()
    monkeypatch.setattr(capstone, "pictures", lambda *_: Split(torch.rand(100, 1, 28, 28), labels))
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    net[1].weight.data.zero_()
    net[1].bias.data.copy_(-torch.arange(10.0))
    cases = EXERCISE.cases(generator(0, "small_network"))
    report = judge(EXERCISE, cases, run(EXERCISE, lambda: net, cases))
    assert report.score * EXERCISE.points == pytest.approx(points)
    assert report.passed is (points > 0)
    if points:
        assert report.facts[:2] == (
            ("test accuracy", f"{zeros / 100:.4f}"),
            ("parameters", "7,850"),
        )
        assert f"worth {points}0% of the points" in report.feedback
    else:
        assert "79.0% are right" in report.diagnosis


def test_smoothed_loss_is_that_of_torch() -> None:
    for case in find("smoothed_loss").cases(generator(0, "smoothed_loss")):
        logits, labels, smoothing = case.arguments
        expected = nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        torch.testing.assert_close(capstone.smoothed_loss(*case.arguments), expected)


def test_multiply_adds_are_those_of_the_network() -> None:
    # Each weight of a kernel once at each place: first 28 x 28 of them, then 14 x 14, then 7 x 7.
    early, middle, late = 16 * 9, (16 * 32 + 2 * 32 * 32) * 9, (32 * 56 + 2 * 56 * 56) * 9
    by_hand = early * 28**2 + middle * 14**2 + late * 7**2 + 56 * 10
    assert capstone._table(given.hand_in(small_net)).multiply_adds == by_hand == 8_185_520
