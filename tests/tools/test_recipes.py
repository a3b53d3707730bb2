"""The recipes of each experiment: what a comparison changes, and which networks it trains."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from cnncourse.capstone import RandomFlip, Residual
from cnncourse.datasets import Dataset, Split
from cnncourse.invariance import permute_pixels
from cnncourse.records import load_record
from cnncourse.shift import BlurMaxPool2d, RandomShift, on_canvas
from cnncourse.sprint import PLAN
from experiments import capstone, invariance, ladder, lenet, normalization, pooling, shift
from experiments.runner import definition

LADDER = ["lenet_sigmoid", "relu", "max_pool", "he", "momentum", "one_cycle"]


def changes(recipes, names: list[str]) -> list[set[str]]:
    """Name the fields in which each recipe differs from the one before it."""
    fields = [definition(recipes[name]) for name in names]
    return [{key for key in old if old[key] != new[key]} for old, new in itertools.pairwise(fields)]


def test_lenet_ladder_changes_one_thing_at_a_time() -> None:
    steps = changes(lenet.RECIPES, LADDER)
    # A new optimizer or schedule needs a rate of its own; the trials choose it.
    assert steps[:3] == [{"activation"}, {"pool"}, {"init"}]
    assert steps[3] == {"momentum", "nesterov", "lr"}
    assert steps[4] - {"lr"} == {"one_cycle"}


@pytest.mark.parametrize("name", ["softmax", "mlp"])
def test_baselines_end_at_the_recipe_of_lenet(name: str) -> None:
    rungs = [name, *(f"{name}_{rung}" for rung in ("batch", "he", "momentum", "one_cycle"))]
    steps = changes(lenet.RECIPES, rungs)
    assert steps[:2] == [{"batch_size"}, {"init"}]
    assert steps[2] == {"momentum", "nesterov", "lr"}
    assert steps[3] - {"lr"} == {"one_cycle"}
    (last,) = changes(lenet.RECIPES, ["one_cycle", rungs[-1]])
    assert last - {"activation"} <= {"model", "pool", "lr"}


@pytest.mark.parametrize(
    "rung", ["momentum", "one_cycle", *(f"{m}_{r}" for m in ("softmax", "mlp")
                                        for r in ("momentum", "one_cycle"))],
)  # fmt: skip
def test_the_chosen_rate_won_its_trials_and_is_not_the_largest(rung: str) -> None:
    assert best_rate(f"trial_{rung}_") == lenet.RECIPES[rung].lr < 0.3


def test_the_rate_on_mnist_won_its_trials() -> None:
    assert best_rate("trial_mnist_") == lenet.RECIPES["lenet_modern_mnist"].lr


def best_rate(prefix: str) -> float:
    trials = {r.lr: name for name, r in lenet.RECIPES.items() if name.startswith(prefix)}
    record = load_record("lenet")
    return max(trials, key=lambda lr: record.final(trials[lr])[0])


@pytest.mark.parametrize("name", lenet.RECIPES)
def test_every_lenet_recipe_builds_a_network_for_ten_classes(name: str) -> None:
    torch.manual_seed(0)
    model = lenet.build(lenet.RECIPES[name])
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    sizes = {"softmax_regression": 7850, "mlp": 203530, "LeNet": 61706}
    assert sum(p.numel() for p in model.parameters()) == sizes[lenet.RECIPES[name].model]


def tiny() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    parts = (
        Split(torch.rand(n, 1, 28, 28, generator=generator), torch.arange(n) % 10)
        for n in (40, 20, 30)
    )
    return Dataset(*parts, tuple("0123456789"))


def test_lenet_run_counts_what_was_taken_for_what(monkeypatch) -> None:
    monkeypatch.setattr(lenet, "load", lambda recipe: tiny())
    recipe = replace(lenet.RECIPES["softmax"], epochs=1, batch_size=16)
    result = lenet.run(recipe, 0)
    confusion = torch.tensor(result["confusion"])
    assert confusion.sum(1).tolist() == [2] * 10  # two pictures of each class
    assert confusion.trace().item() / 20 == pytest.approx(result["validation_accuracy"][-1])
    assert "confusion" not in lenet.run(replace(recipe, trial=True), 0)


def test_confusion_has_the_class_in_the_row_and_the_answer_in_the_column() -> None:
    always_three = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 10))
    with torch.no_grad():
        always_three[1].weight.zero_()
        always_three[1].bias.copy_(torch.eye(10)[3])
    split = Split(torch.rand(3, 1, 2, 2), torch.tensor([7, 7, 1]))
    counts = lenet.confusion(always_three, split)
    assert counts[7][3] == 2
    assert counts[1][3] == 1
    assert sum(map(sum, counts)) == 3


def test_d2l_trainer_is_not_our_loop() -> None:
    loops = {name: recipe.loop for name, recipe in lenet.RECIPES.items()}
    assert [name for name, loop in loops.items() if loop != "cnncourse.training.fit"] == [
        "d2l_trainer"
    ]


def test_pooling_networks_differ_in_the_layer_that_halves_and_its_rate() -> None:
    for names in (list(pooling.HALVES), [f"{halve}_random" for halve in pooling.HALVES]):
        assert all(step - {"lr"} == {"halve"} for step in changes(pooling.RECIPES, names))
    for halve in pooling.HALVES:
        assert changes(pooling.RECIPES, [halve, f"{halve}_random"]) == [{"random_labels"}]


@pytest.mark.parametrize("halve", pooling.HALVES)
def test_the_rate_of_a_pooling_won_its_trials_and_lies_between_others(halve: str) -> None:
    record = load_record("pooling")
    won = max(
        pooling.RATES, key=lambda lr: record.final(f"trial_{halve}_{lr:g}", "validation_accuracy")
    )
    assert won == pooling.RECIPES[halve].lr
    assert min(pooling.RATES) < won < max(pooling.RATES)


def test_pooling_networks_without_weights_of_their_own_are_of_one_size() -> None:
    models = {halve: pooling.build(pooling.RECIPES[halve]) for halve in pooling.HALVES}
    sizes = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
    assert sizes["second"] == sizes["mean"] == sizes["max"] == 208 + 3216 + 7850
    assert sizes["none"] == 208 + 3216 + 125450
    assert sizes["learned"] == sizes["max"] + 8 * (8 * 4 + 1) + 16 * (16 * 4 + 1)
    for model in models.values():
        assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_pooling_networks_get_the_same_pictures_also_with_random_labels() -> None:
    train = tiny().train
    few = replace(pooling.RECIPES["max"], pictures=30)
    drawn, again = (pooling.draw(train, few, seed) for seed in (0, 1))
    random = pooling.draw(train, replace(few, random_labels=True, halve="none"), 0)
    assert torch.equal(drawn.images, random.images)
    assert not torch.equal(drawn.images, again.images)
    assert not torch.equal(drawn.labels, random.labels)
    places = [(train.images == image).all((1, 2, 3)).nonzero().item() for image in drawn.images]
    assert len(set(places)) == 30
    assert torch.equal(train.labels[places], drawn.labels)


def test_a_trial_of_a_pooling_never_sees_the_test_split(monkeypatch) -> None:
    monkeypatch.setattr(pooling, "load", tiny)
    recipe = replace(pooling.RECIPES["mean"], pictures=20, epochs=1)
    assert pooling.run(recipe, 0).keys() >= {"train_accuracy", "test_accuracy"}
    assert "test_accuracy" not in pooling.run(replace(recipe, trial=True), 0)
    assert pooling.run(replace(recipe, random_labels=True), 0).keys() == {
        "parameters",
        "train_accuracy",
    }


@pytest.mark.parametrize("model", invariance.MODELS)
def test_shuffling_changes_the_order_of_the_pixels_and_a_rate_of_its_own(model: str) -> None:
    (change,) = changes(invariance.RECIPES, [model, f"{model}_shuffled"])
    assert change - {"lr"} == {"shuffled"}


def test_the_longer_run_changes_the_epochs_alone() -> None:
    names = ["conv_mean_shuffled", "conv_mean_shuffled_longer"]
    assert changes(invariance.RECIPES, names) == [{"epochs"}]


@pytest.mark.parametrize("name", invariance.CHOSEN)
def test_the_rate_for_an_order_won_its_trials_and_is_not_at_their_end(name: str) -> None:
    record = load_record("invariance")
    rates = invariance.RATES[name.removesuffix("_shuffled")]
    best = max(rates, key=lambda lr: record.final(f"trial_{name}_{lr:g}")[0])
    chosen = "conv_max_fast" if name == "conv_max" else name
    assert min(rates) < best == invariance.RECIPES[chosen].lr < max(rates)


def test_a_rate_is_lowered_only_where_a_seed_does_not_learn() -> None:
    record = load_record("invariance")
    assert min(record.final("conv_max_fast")) < 0.2 < 0.9 < min(record.final("conv_max"))
    assert changes(invariance.RECIPES, ["conv_max", "conv_max_fast"]) == [{"lr"}]


@pytest.mark.parametrize("model", invariance.MODELS)
def test_every_network_of_invariance_reads_ten_digits(model: str) -> None:
    torch.manual_seed(0)
    network = invariance.MODELS[model]()
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    sizes = {"dense": 203530, "conv_mean": 6218, "conv_max": 6218, "conv_places": 21578}
    assert sum(p.numel() for p in network.parameters()) == sizes[model]


def test_arrange_takes_the_first_pictures_and_shuffles_every_split_by_the_seed() -> None:
    data = tiny()
    plain = replace(invariance.RECIPE, pictures=7)
    kept = invariance.arrange(data, plain, 3)
    assert torch.equal(kept.train.images, data.train.images[:7])
    assert torch.equal(kept.test.images, data.test.images)
    moved = invariance.arrange(data, replace(plain, shuffled=True), 3)
    assert torch.equal(moved.train.images, permute_pixels(data.train.images[:7], 3))
    for old, new in zip(data[1:3], moved[1:3], strict=True):
        assert torch.equal(new.images, permute_pixels(old.images, 3))
        assert torch.equal(new.labels, old.labels)


def test_pictures_in_order_are_moved_after_the_training(monkeypatch) -> None:
    monkeypatch.setattr(invariance, "load", lambda recipe: tiny())
    recipe = replace(invariance.RECIPE, epochs=1, batch_size=16)
    result = invariance.run(recipe, 0)
    assert len(result["moved_accuracy"]) == invariance.FAR + 1
    assert result["moved_accuracy"][0] == pytest.approx(result["test_accuracy"], abs=1e-4)
    assert "moved_accuracy" not in invariance.run(replace(recipe, shuffled=True), 0)
    assert "test_accuracy" not in invariance.run(replace(recipe, trial=True), 0)


def test_networks_of_the_shift_test_differ_in_one_thing() -> None:
    steps = changes(shift.RECIPES, list(shift.PLAIN))
    assert steps == [{"model", "lr"}] + [{"model"}] * 5
    for name in ("perceptron", "dense"):
        assert changes(shift.RECIPES, [name, f"{name}_moved"]) == [{"moved"}]
    assert changes(shift.RECIPES, ["max_pool", "max_pool_fast"]) == [{"lr"}]
    long = ["perceptron_moved", "perceptron_moved_long"]
    assert changes(shift.RECIPES, long) == [{"epochs"}]


@pytest.mark.parametrize("name", shift.PLAIN)
def test_the_best_rate_of_the_shift_test_lies_between_others(name: str) -> None:
    record = load_record("shift")
    prefix = f"trial_{name}_"
    trials = {r.lr: trial for trial, r in shift.RECIPES.items() if trial.startswith(prefix)}
    won = max(trials, key=lambda lr: record.final(trials[lr], "validation_accuracy"))
    assert won == {"perceptron": 0.3, "dense": 0.03}.get(name, 0.1)
    assert min(trials) < won < max(trials)
    assert shift.CHOSEN[name] in (won, 0.03)


def test_the_faster_rate_lost_a_seed_and_the_chosen_one_none() -> None:
    record = load_record("shift")
    assert min(record.final("max_pool_fast", "test_accuracy")) < 0.2
    assert min(min(record.final(name, "test_accuracy")) for name in shift.PLAIN) > 0.85


def test_the_shift_test_draws_by_seed_and_lays_digits_on_a_canvas(monkeypatch) -> None:
    monkeypatch.setattr(shift, "load_mnist", tiny)
    shift.canvases.cache_clear()
    recipe = replace(shift.PLAIN["stride"], pictures=15)
    drawn, again, other = (shift.drawn(recipe, seed).train for seed in (0, 0, 1))
    shift.canvases.cache_clear()
    assert drawn.images.shape == (15, 1, 28, 28)
    assert torch.equal(drawn.images, again.images)
    assert not torch.equal(drawn.images, other.images)
    assert drawn.images[..., :7, :].count_nonzero() == 0
    canvases = on_canvas(tiny().train.images)
    places = [(canvases == image).all((1, 2, 3)).nonzero().item() for image in drawn.images]
    assert torch.equal(tiny().train.labels[places], drawn.labels)


def test_a_trial_of_the_shift_test_never_sees_the_test_split(monkeypatch) -> None:
    monkeypatch.setattr(shift, "load_mnist", tiny)
    shift.canvases.cache_clear()
    recipe = replace(shift.MOVED["perceptron_moved"], pictures=20, epochs=1)
    result = shift.run(recipe, 0)
    trial = shift.run(replace(recipe, trial=True), 0)
    shift.canvases.cache_clear()
    assert result.keys() >= {"test_accuracy", "shifted_accuracy", "consistency", "change"}
    assert result["shifted_accuracy"][0] == pytest.approx(result["test_accuracy"])
    assert not trial.keys() & {"test_accuracy", "shifted_accuracy", "consistency", "change"}


def test_networks_of_the_map_differ_in_their_normalization_at_every_rate() -> None:
    recipes = normalization.RECIPES
    for lr in normalization.RATES:
        for name in normalization.PLAIN:
            assert changes(recipes, [f"{name}_{lr:g}", f"{name}_batch_{lr:g}"]) == [{"norm"}]
        assert changes(recipes, [f"deep_batch_{lr:g}", f"deep_layer_{lr:g}"]) == [{"norm"}]
        assert changes(recipes, [f"deep_{lr:g}", f"he_{lr:g}"]) == [{"init"}]
        assert recipes[f"deep_{lr:g}"].lr == lr


def test_watched_networks_differ_in_normalization_and_noise_and_parts_in_their_size() -> None:
    steps = changes(normalization.RECIPES, list(normalization.WATCHED))
    assert steps == [{"norm"}, {"noise"}, {"noise"}, {"noise"}]
    assert all(
        step == {"part"} for step in changes(normalization.RECIPES, list(normalization.PARTS))
    )
    whole = normalization.RECIPES["part_64"]
    assert whole.part == whole.batch_size  # as if there were no parts


def test_normalized_networks_start_from_the_weights_of_those_without() -> None:
    for name in normalization.PLAIN:
        nets = []
        for recipe in (f"{name}_0.1", f"{name}_batch_0.1"):
            torch.manual_seed(0)
            nets.append(normalization.build(normalization.RECIPES[recipe]))
        assert all(torch.equal(w, nets[1].get_parameter(n)) for n, w in nets[0].named_parameters())


def test_noise_and_parts_stand_where_the_recipe_says() -> None:
    kinds = {
        name: [type(module).__name__ for module in normalization.build(recipe).modules()]
        for name, recipe in normalization.RECIPES.items()
    }
    assert kinds["watched_noise_1"].count("Shaken") == kinds["part_2"].count("InParts") == 10
    assert kinds["alone_group"].count("GroupNorm") == kinds["watched_batch"].count("BatchNorm2d")
    assert "Shaken" not in kinds["watched_batch"]
    assert "BatchNorm2d" not in kinds["watched_plain"]


def test_a_loss_that_is_no_number_counts_as_a_guess(monkeypatch) -> None:
    monkeypatch.setattr(normalization, "load", lambda recipe: tiny())
    normalization.pictures.cache_clear()
    recipe = replace(normalization.RECIPES["he_10"], lr=1e20, batch_size=8)
    result = normalization.run(recipe, 0)
    normalization.pictures.cache_clear()
    assert result == {"validation_accuracy": [0.1], "test_accuracy": 0.1, "diverged": 1}


def test_watching_changes_no_training(monkeypatch) -> None:
    """The weights after a watched training are those of plain descent without a look."""
    data = tiny()
    recipe = replace(normalization.WATCHED["watched_batch"], batch_size=5, epochs=2)
    losses = {}
    for every in (1, 3):
        monkeypatch.setattr(normalization, "EVERY", every)
        losses[every] = normalization.watch(recipe, data, 0)["loss"]
    assert len(losses[1]) == 15  # of 16 steps, all but the first
    assert losses[3] == losses[1][2::3]


def test_moved_counts_the_means_of_channels_in_standard_deviations() -> None:
    before = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1).repeat(50, 2, 3, 3)
    after = before.clone()
    after[:, 1] += 0.2
    assert normalization.moved(before, after) == pytest.approx(0.1, rel=0.02)


def test_apart_is_the_distance_as_a_share_of_the_first() -> None:
    a, b = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 1.5])
    assert normalization.apart(a, b) == pytest.approx(0.5)


def test_the_middle_layer_is_asked_again_after_the_layers_before_it_alone() -> None:
    torch.manual_seed(0)
    net = normalization.build(normalization.RECIPES["he_0.1"])
    x, y = tiny().train.images[:8], tiny().train.labels[:8]
    _, _, gradients = normalization.look(net, x, y)
    assert normalization.asked(net, x, y, gradients, 0.0) == 0
    before = tuple(f"conv{i}." for i in range(1, normalization.MIDDLE))
    wild = {
        n: g if n.startswith((*before, "conv6.weight")) else 1e9 * g for n, g in gradients.items()
    }
    assert normalization.asked(net, x, y, wild, 0.1) == pytest.approx(
        normalization.asked(net, x, y, gradients, 0.1)
    )


RUNGS = ["trial_plain_0.05", "norm", "residual", "flipped", "long"]


def test_rungs_of_the_capstone_differ_in_one_thing() -> None:
    steps = changes(capstone.RECIPES, RUNGS)
    # A network without normalization needs a rate of its own; the trials choose it.
    assert steps[0] == {"norm", "lr", "trial"}
    assert steps[1:] == [{"residual"}, {"flipped"}, {"epochs"}]
    for name, change in {"blur": "pool", "separable": "layer", "long_residual": "epochs"}.items():
        assert changes(capstone.RECIPES, ["trial_residual", f"trial_{name}"]) == [{change}]
    for name in ("residual", "long_residual", "long_flipped"):
        rung = {"long_flipped": "long"}.get(name, "residual")
        longer = {"epochs"} if name == "long_residual" else set()
        assert changes(capstone.RECIPES, [rung, f"trial_{name}"]) == [{"trial"} | longer]


@pytest.mark.parametrize("name", capstone.RECIPES)
def test_every_network_of_the_capstone_has_the_parts_of_its_recipe(name: str) -> None:
    recipe = capstone.RECIPES[name]
    net = capstone.build(recipe)
    assert sum(p.numel() for p in net.parameters()) <= 100_000
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    kinds = [type(module) for module in net.modules()]
    assert (nn.BatchNorm2d in kinds) == recipe.norm
    assert (Residual in kinds) == recipe.residual
    assert (BlurMaxPool2d in kinds) == (recipe.pool == "blur")
    groups = {module.groups for module in net.modules() if isinstance(module, nn.Conv2d)}
    assert (groups != {1}) == (recipe.layer == "separable")


def test_the_capstone_changes_pictures_as_its_recipe_says() -> None:
    x = torch.rand(50, 1, 6, 5)
    kinds = {
        recipe.change: [type(layer) for layer in capstone.pictures_of(recipe)]
        for recipe in (capstone.RESIDUAL, capstone.FLIPPED, capstone.MOVED)
    }
    assert list(kinds.values()) == [[], [RandomFlip], [RandomFlip, RandomShift]]
    assert torch.equal(capstone.pictures_of(capstone.PLAIN)(x), x)
    moved = capstone.pictures_of(capstone.MOVED)[-1]
    assert (moved.max_shift, moved.border) == (2, 2)


def test_the_loss_of_the_capstone_by_hand() -> None:
    batch = Split(torch.rand(4, 1, 28, 28), torch.tensor([3, 1, 4, 1]))
    scores = torch.randn(4, 10)
    plain, smooth = (replace(capstone.RESIDUAL, smoothing=share) for share in (0.0, 0.1))
    logs = scores.log_softmax(1)
    right = -logs[torch.arange(4), batch.labels].mean()
    found = capstone.loss_of(lambda x: scores, plain, batch)
    torch.testing.assert_close(found, right)
    # A tenth of the weight goes to all ten classes alike.
    found = capstone.loss_of(lambda x: scores, smooth, batch)
    torch.testing.assert_close(found, 0.9 * right - 0.1 * logs.mean())


SHORT = replace(capstone.SMOOTH, epochs=2, batch_size=16)


def test_a_run_of_the_capstone_repeats_and_a_trial_never_sees_the_test_split(monkeypatch) -> None:
    monkeypatch.setattr(capstone, "load", lambda recipe: tiny())
    first, again = (capstone.run(SHORT, 3) for _ in range(2))
    assert {**first, "seconds": 0} == {**again, "seconds": 0}
    assert first["train_loss"] != capstone.run(SHORT, 4)["train_loss"]
    assert torch.tensor(first["confusion"]).sum(1).tolist() == [2] * 10
    forms = ("", "mean_", "mirrored_")
    assert first.keys() >= {
        f"{form}{split}_accuracy" for form in forms for split in capstone.SPLITS
    }
    trial = capstone.run(replace(SHORT, trial=True), 3)
    assert not [name for name in trial if "test" in name or name == "confusion"]


def test_the_mean_of_the_weights_forgets_as_its_recipe_says() -> None:
    def after_two_steps(memory: float) -> tuple[torch.Tensor, torch.Tensor]:
        recipe = replace(SHORT, epochs=1, batch_size=20, memory=memory)
        (net, mean), _ = capstone.train(recipe, lambda: capstone.build(recipe), tiny(), 0)
        return net.fc.weight, mean.fc.weight

    last, first = after_two_steps(1.0)  # which never forgets the weights after the first step
    torch.testing.assert_close(after_two_steps(0.0)[1], last, atol=0, rtol=0)
    torch.testing.assert_close(after_two_steps(0.75)[1], 0.75 * first + 0.25 * last)
    assert not torch.equal(first, last)


def test_those_who_watch_see_the_mean_before_the_first_epoch_and_after_each() -> None:
    seen = []
    (_, mean), course = capstone.train(
        SHORT,
        lambda: capstone.build(SHORT),
        tiny(),
        0,
        watch=lambda model: seen.append(model.fc.weight.detach().clone()),
    )
    assert len(seen) == 1 + SHORT.epochs == 1 + len(course["train_loss"])
    torch.manual_seed(0)
    assert torch.equal(seen[0], capstone.build(SHORT).fc.weight)
    assert torch.equal(seen[-1], mean.fc.weight)


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    images, labels = tiny().train
    broken = tiny()._replace(train=Split(images * torch.nan, labels))
    with pytest.raises(FloatingPointError, match="the training loss is nan: try a lower rate"):
        capstone.train(SHORT, lambda: capstone.build(SHORT), broken, 0)


def test_the_ladder_of_seconds_changes_one_thing_at_a_time() -> None:
    rungs = [*ladder.RUNGS]
    steps = dict(zip(rungs[1:], changes(ladder.RECIPES, rungs), strict=True))
    # A rule or a schedule needs a rate of its own; the last rung shares out the same passes.
    assert steps.pop("momentum") == {"rule", "lr"}
    assert steps.pop("falling") == {"falling", "lr"}
    assert steps.pop("small") == {"network", "side"}
    assert steps.pop("end") == {"passes", "hard"}
    assert all(len(step) == 1 for step in steps.values())
    assert ladder.SHORT.passes == pytest.approx(ladder.END.passes + ladder.END.hard)


def test_the_end_of_the_ladder_is_what_a_reader_runs() -> None:
    ends = definition(ladder.END)
    assert {name: ends.pop(name) for name in vars(PLAN)} == vars(PLAN)
    assert ends == {"trial": False}


def test_each_run_beside_the_end_lacks_one_part() -> None:
    for name in ladder.WITHOUT:
        ((part,),) = changes(ladder.RECIPES, ["end", name])
        assert part in vars(PLAN)


def test_a_rung_is_measured_by_two_clocks_and_a_trial_sees_no_test(monkeypatch) -> None:
    monkeypatch.setattr(ladder, "pictures", tiny)
    ladder.warm_up.cache_clear()
    rung = replace(ladder.END, batch_size=8)
    result, trial = (ladder.run(replace(rung, trial=trial), 0) for trial in (False, True))
    assert set(result) == {"seconds", "cpu_seconds", "validation_accuracy", "test_accuracy"}
    assert set(result) - set(trial) == {"test_accuracy"}
    assert result["seconds"] > 0
    ladder.warm_up.cache_clear()
