"""The model card of the capstone says what the record, the file and the network say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from cnncourse.records import load_record, load_trained, standard_error, trained
from cnncourse.records.stored import read_about
from experiments import capstone

CARD = " ".join(Path(capstone.__file__).with_suffix(".md").read_text("utf-8").split())
FILE = Path(trained.__file__).parent / trained.WEIGHTS / trained.path_of("capstone/long")
RECORD = load_record("capstone")
FORMS = {"": "weights of the last step", "mean_": "mean of the weights", "mirrored_": "mean, asked"}
GARMENTS = [0, 2, 3, 4, 6]  # t-shirt, pullover, dress, coat, shirt


@pytest.mark.parametrize("form", FORMS)
def test_accuracies_are_those_of_the_record(form: str) -> None:
    values = [RECORD.final("long", f"{form}{split}_accuracy") for split in capstone.SPLITS]
    assert [len(seeds) for seeds in values] == [1, 1]
    row = CARD[CARD.index(f"| {FORMS[form]}") + 2 :]
    assert row.split(" | ")[1:3] == [f"{value:.4f}" for (value,) in values]


def test_the_file_is_what_the_card_says() -> None:
    about = read_about(FILE)
    row = f"half precision | {about['validation_accuracy']:.4f} | {about['test_accuracy']:.4f} |"
    assert row in CARD
    assert f"The file has {FILE.stat().st_size / 1000:.0f} kB" in CARD


def test_the_network_has_the_parameters_and_multiply_adds_of_the_card() -> None:
    net, counts = load_trained("capstone", "long"), []

    def count(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        places = output[0, 0].numel() if output.ndim == 4 else 1
        counts.append(layer.weight.numel() * places)  # each weight once at each place

    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    net.eval()(torch.zeros(1, 1, 28, 28))
    assert f"{sum(counts):,} multiply-adds" in CARD
    assert f"{sum(p.numel() for p in net.parameters()):,} parameters" in CARD


def test_mistakes_are_those_of_the_record() -> None:
    counts = torch.tensor(RECORD.confusion("long"))
    wrong = counts - counts.diag().diag()
    assert f"Of the {wrong.sum()} mistakes of the third form" in CARD
    assert f"{wrong[GARMENTS][:, GARMENTS].sum()} are among t-shirt" in CARD
    assert f"finds {counts[6, 6]} of {counts[6].sum()} shirts; {wrong[6, 0]} of them" in CARD
    assert f"and {wrong[0, 6]} t-shirts for shirts" in CARD
    assert wrong[6].argmax() == 0
    assert wrong.max() == wrong[0, 6]


def test_the_course_of_the_training_is_that_of_the_record() -> None:
    accuracy, loss = RECORD.curve("long"), RECORD.curve("long", "train_loss")
    assert f"{accuracy[1]:.4f} after the second epoch, {accuracy[3]:.4f} after the fourth," in CARD
    assert f"{accuracy[15]:.4f} after the sixteenth" in CARD
    labels = torch.tensor([0.91] + [0.01] * 9)  # a tenth spread over all ten classes
    assert f"is {loss[-1]:.4f}, where labels" in CARD
    assert f"allow {-(labels * labels.log()).sum():.4f} at best" in CARD


def test_the_recipe_is_that_of_the_card() -> None:
    recipe = capstone.RECIPES["long"]
    for words in (
        f"for {recipe.epochs} epochs, in batches of {recipe.batch_size}",
        f"momentum {recipe.momentum}",
        f"peak at {recipe.lr}, weight decay {recipe.weight_decay}",
        f"smoothed by {recipe.smoothing}",
        f"up to {recipe.moved} pixels",
        f"in {recipe.precision}",
        f"forgets {1 - recipe.memory:.1%} a step".replace("%", " %"),
    ):
        assert words in CARD


def test_the_trials_are_those_of_the_record() -> None:
    names = ("trial_smooth_0.2", "trial_smooth_0.1", "trial_decay")
    chosen, half, decay = (f"{RECORD.final(name)[0]:.4f}" for name in names)
    assert f"{chosen} as trained here, {half} with half the rate, {decay} with a tenth" in CARD
    error = standard_error(RECORD.final(names[0])[0], 5000)
    assert f"a standard error of {error:.3f}" in CARD
    norm, residual = (f"{RECORD.final(name)[0]:.4f}" for name in ("norm", "residual"))
    assert f"with normalization has {norm} and the one with residual blocks {residual}," in CARD
