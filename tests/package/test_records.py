"""Reading a record: every seed in order, and a clear error for what is not there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from safetensors.torch import load_file

from cnncourse.capstone import Residual
from cnncourse.datasets import Split, load_fashion_mnist, load_mnist
from cnncourse.invariance import permute_pixels
from cnncourse.lenet import LeNet, mlp
from cnncourse.records import (
    Record,
    load_record,
    load_trained,
    paired_t,
    standard_error,
    trained,
    trained_networks,
    two_sided_p,
)
from cnncourse.records.stored import (
    describe,
    pack,
    read_about,
    save_network,
    set_weights,
    shrink,
    unpack,
)
from cnncourse.shift import NETWORKS, on_canvas
from cnncourse.training import evaluate

RUNS = [
    {"recipe": "a", "seed": 1, "validation_accuracy": [0.1, 0.4], "test_accuracy": 0.3},
    {"recipe": "b", "seed": 0, "validation_accuracy": [0.9]},
    {"recipe": "a", "seed": 0, "validation_accuracy": [0.1, 0.2], "test_accuracy": 0.5},
]


def test_final_is_the_last_epoch_of_each_seed_in_order():
    record = Record([], RUNS)
    assert record.final("a") == [0.2, 0.4]
    assert record.final("a", "test_accuracy") == [0.5, 0.3]


def test_summary_is_mean_and_sample_deviation_by_hand():
    # 0.2 and 0.4: mean 0.3, deviation sqrt((0.1^2 + 0.1^2) / 1) = 0.1414.
    assert Record([], RUNS).summary("a") == "0.300 ± 0.141"
    assert Record([], RUNS).summary("b") == "0.900"


@pytest.mark.parametrize(
    ("recipe", "measure", "message"),
    [
        ("c", "validation_accuracy", "`recipe` must be one of a, b, got 'c'"),
        ("a", "speed", "`measure` must be one the runs have, got 'speed'"),
        ("b", "test_accuracy", "`measure` must be one the runs have, got 'test_accuracy'"),
    ],
)
def test_final_names_what_the_record_does_not_have(recipe, measure, message):
    with pytest.raises(ValueError, match=message):
        Record([], RUNS).final(recipe, measure)


def test_load_record_names_the_records_there_are():
    with pytest.raises(ValueError, match=r"`name` must be one of .*lenet.*, got 'alexnet'"):
        load_record("alexnet")


def test_curve_holds_every_epoch_of_one_seed():
    assert Record([], RUNS).curve("a", seed=1) == [0.1, 0.4]


@pytest.mark.parametrize(
    ("seed", "measure", "message"),
    [
        (2, "validation_accuracy", r"`seed` must be one of \[0, 1\], got 2"),
        (0, "test_accuracy", "`measure` must be one of every epoch, got 'test_accuracy'"),
        (0, "speed", "`measure` must be one of every epoch, got 'speed'"),
    ],
)
def test_curve_names_what_the_record_does_not_have(seed, measure, message):
    with pytest.raises(ValueError, match=message):
        Record([], RUNS).curve("a", measure, seed)


# Comparisons over seeds.


PAIRED = [
    {"recipe": name, "seed": seed, "validation_accuracy": [0.0, value]}
    for name, values in {"a": [0.1, 0.2, 0.3], "b": [0.2, 0.1, 0.5], "c": [0.3, 0.2, 0.6]}.items()
    for seed, value in enumerate(values)
]


def test_steps_pair_the_seeds_of_neighbours() -> None:
    steps = Record([], PAIRED).steps(["a", "b", "c"])
    first, second = steps.rows
    assert first.gains == pytest.approx((0.1, -0.1, 0.2))
    assert (first.before, first.after, first.won) == ("a", "b", 2)
    # By hand: mean 0.2 / 3, squares of the deviations 1/900 + 25/900 + 16/900, t = 0.7559.
    assert first.gain == pytest.approx(0.2 / 3)
    assert first.t == pytest.approx((0.2 / 3) / ((42 / 900 / 2) ** 0.5 / 3**0.5))
    assert steps["c"] is second
    with pytest.raises(ValueError, match="`after` must be one of b, c, got 'a'"):
        steps["a"]


def test_steps_do_not_depend_on_the_order_of_the_runs() -> None:
    assert Record([], PAIRED[::-1]).steps(["a", "b"]) == Record([], PAIRED).steps(["a", "b"])


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 9])
def test_t_and_p_are_those_of_scipy(n: int) -> None:
    gains = [0.01 * (((7 * i) % 5) - 1.3) for i in range(n)]
    expected = scipy.stats.ttest_1samp(gains, 0)
    t = paired_t(gains)
    assert t == pytest.approx(expected.statistic)
    assert two_sided_p(t, n - 1) == pytest.approx(expected.pvalue)


def test_equal_gains_have_an_infinite_t_and_none_at_all_has_zero() -> None:
    assert paired_t([0.5, 0.5]) == float("inf")
    assert paired_t([-0.5, -0.5]) == -float("inf")
    assert paired_t([0.0, 0.0]) == 0
    assert two_sided_p(float("inf"), 4) == pytest.approx(0, abs=1e-12)
    assert two_sided_p(0.0, 4) == 1


def test_steps_show_labels_and_a_true_minus_sign() -> None:
    shown = repr(Record([], PAIRED).steps({"b": "ReLU", "a": "sigmoid"}))
    head, row = (line.split("  ") for line in shown.splitlines())
    assert [cell.strip() for cell in head if cell] == ["step", "mean gain", "seeds won", "t", "p"]
    assert [cell.strip() for cell in row if cell] == [
        "ReLU → sigmoid", "−0.0667", "1 of 3", "−0.8", "0.529",
    ]  # fmt: skip


@pytest.mark.parametrize("recipes", [["a"], ["a", "once"]])
def test_steps_need_two_recipes_with_the_same_seeds(recipes) -> None:
    once = {"recipe": "once", "seed": 0, "validation_accuracy": [0.5]}
    with pytest.raises(ValueError, match="`recipes` must be two or more with the same seeds"):
        Record([], [*PAIRED, once]).steps(recipes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_t([0.1]), "`gains` must hold at least 2, got 1"),
        (lambda: two_sided_p(1.0, 0), "`freedom` must be at least 1, got 0"),
        (lambda: standard_error(1.1, 10), r"`accuracy` must be in \[0, 1\], got 1.1"),
        (lambda: standard_error(0.5, 0), "`n` must be at least 1, got 0"),
        (lambda: Record([], PAIRED).confusion("a"), "`measure` must be .* got 'confusion'"),
    ],
)
def test_comparisons_name_the_bad_argument(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_standard_error_is_the_spread_of_a_share() -> None:
    draws = np.random.default_rng(0).binomial(400, 0.8, size=20_000) / 400
    # The deviation of 20,000 draws is itself known to half a per cent.
    assert standard_error(0.8, 400) == pytest.approx(draws.std(), rel=0.02)


def test_confusion_adds_the_seeds_and_keeps_rows_and_columns() -> None:
    runs = [{"recipe": "a", "seed": s, "confusion": [[1, s], [10 * s, 4]]} for s in (1, 2)]
    assert Record([], runs).confusion("a") == [[2, 3], [30, 8]]


def test_record_shows_its_size_and_not_its_numbers() -> None:
    shown = repr(Record([], RUNS, "make record"))
    assert shown == "Record of 3 runs of 2 recipes by `make record`"


def test_table_summarizes_validation_and_test() -> None:
    table = Record([], RUNS).table({"a": "network A"})
    assert table.headings == ("recipe", "validation", "test")
    assert table.rows == (("network A", "0.300 ± 0.141", "0.400 ± 0.141"),)


def test_steps_of_the_shipped_ladder_are_those_of_scipy() -> None:
    record = load_record("lenet")
    steps = record.steps(["lenet_sigmoid", "relu", "max_pool", "he", "momentum", "one_cycle"])
    for step in steps.rows:
        expected = scipy.stats.ttest_rel(record.final(step.after), record.final(step.before))
        assert (step.t, step.p) == pytest.approx((expected.statistic, expected.pvalue))


@cache
def small_digits() -> Split:
    images, labels = load_mnist().test
    return Split(on_canvas(images[:500]), labels[:500])


@cache
def shuffled_digits() -> Split:
    images, labels = load_mnist().test
    return Split(permute_pixels(images, seed=0), labels)


TESTS = {
    **dict.fromkeys(
        ["long", "lenet_sigmoid", "relu", "one_cycle"], lambda: load_fashion_mnist().test
    ),
    **dict.fromkeys(["lenet_modern_mnist", "conv_mean", "conv_max"], lambda: load_mnist().test),
    "conv_mean_shuffled": shuffled_digits,
    **dict.fromkeys([f"shift/{name}" for name in NETWORKS], small_digits),
    "invariance/dense": lambda: load_mnist().test,
}
KEPT = Path(trained.__file__).parent / trained.WEIGHTS
ENDS = [f"{record}/{recipe}" for record, recipes in trained.NETWORKS.items() for recipe in recipes]
EARLIER = [(name, epoch) for name, epochs in trained.EPOCHS.items() for epoch in epochs]


def reached(name: str, epoch: int | None = None) -> tuple[float, int]:
    """Return a kept network's share of right answers to its test pictures, and their number."""
    record, recipe = name.split("/")
    test = (TESTS.get(name) or TESTS[recipe])()
    return evaluate(load_trained(record, recipe, epoch), test).accuracy, len(test.labels)


@pytest.mark.parametrize("name", ENDS)
def test_kept_weights_reach_what_their_file_says_and_the_record_said(name: str) -> None:
    about = read_about(KEPT / trained.path_of(name))
    record, recipe = name.split("/")
    assert (about["record"], about["recipe"], about["seed"]) == (record, recipe, 0)
    accuracy, n = reached(name)
    # Another processor adds in another order: no more than two answers differ.
    assert accuracy == pytest.approx(about["test_accuracy"], abs=2 / n)
    # Another machine rounds otherwise, and so takes another way: the record's is not met exactly.
    recorded = load_record(record).final(recipe, "test_accuracy")[0]
    assert accuracy == pytest.approx(recorded, abs=3 * standard_error(recorded, n))


def test_the_list_of_networks_has_each_with_its_numbers() -> None:
    rows = {f"{row[0]}/{row[1]}": row[2:] for row in trained_networks().rows}
    assert list(rows) == ENDS
    assert rows["lenet/one_cycle"][0] == "61,706"
    for name, (_, kilobytes, validation, test) in rows.items():
        about, size = (
            read_about(KEPT / trained.path_of(name)),
            (KEPT / trained.path_of(name)).stat().st_size,
        )
        assert kilobytes == f"{size / 1000:.0f}"
        assert (float(validation), float(test)) == pytest.approx(
            (about["validation_accuracy"], about["test_accuracy"]), abs=5e-4
        )


@pytest.mark.parametrize(("name", "epoch"), EARLIER)
def test_weights_of_an_epoch_reach_what_their_file_says_and_the_record_said(
    name: str, epoch: int
) -> None:
    about = read_about(KEPT / trained.path_of(name, epoch))
    assert (f"{about['record']}/{about['recipe']}", about["epoch"]) == (name, epoch)
    accuracy, n = reached(name, epoch)
    assert accuracy == pytest.approx(about["test_accuracy"], abs=2 / n)
    # Untrained, each of the three gives nearly every picture one and the same class of ten.
    recorded = [0.1, *load_record(about["record"]).curve(about["recipe"])][epoch]
    # 5,000 pictures each.
    error = 3 * standard_error(recorded, 5000)
    assert about["validation_accuracy"] == pytest.approx(recorded, abs=error)


@pytest.mark.parametrize(("name", "epoch"), [*((name, None) for name in ENDS), *EARLIER])
def test_a_file_is_small_and_costs_hardly_an_answer(name: str, epoch: int | None) -> None:
    path = KEPT / trained.path_of(name, epoch)
    # No page loads the capstone's network.
    assert path.stat().st_size < (250_000 if name.startswith("capstone/") else 150_000)
    about = read_about(path)
    for split in ("validation", "test"):
        before, after = about[f"trained_{split}_accuracy"], about[f"{split}_accuracy"]
        assert abs(after - before) < 0.0021  # one answer of 500


def test_the_networks_of_the_shift_test_fit_on_one_page() -> None:
    sizes = [path.stat().st_size for path in KEPT.glob("shift/*.safetensors")]
    assert len(sizes) == 7
    assert sum(sizes) < 600_000


def test_a_network_is_kept_for_every_file_and_in_float32():
    found = {path.relative_to(KEPT) for path in KEPT.rglob("*.safetensors")}
    assert found == {
        trained.path_of(*kept) for kept in [*((name, None) for name in ENDS), *EARLIER]
    }
    model = load_trained("lenet", "one_cycle")
    assert {value.dtype for value in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("record", "recipe", "epoch", "message"),
    [
        ("pooling", "max", None, "`record` must be one of capstone, .*, got 'pooling'"),
        ("lenet", "he", None, r"`recipe` must be one of lenet_sigmoid, .*, got 'he'"),
        ("lenet", "relu", 7, "`epoch` must be None or one of 0, 1, 2, 5, got 7"),
        ("shift", "zeros", 1, "`epoch` must be None, got 1"),
    ],
)
def test_load_trained_names_what_is_kept(record, recipe, epoch, message):
    with pytest.raises(ValueError, match=message):
        load_trained(record, recipe, epoch)


# How weights are stored.


@pytest.mark.parametrize("bits", [8, 5])
def test_packed_numbers_are_those_of_plain_rounding(bits: int) -> None:
    weight = torch.randn(7, 61, generator=torch.Generator().manual_seed(bits))
    weight[3] = 0
    codes, scale = pack(weight, bits)
    assert codes.shape == (7, -(-61 * bits // 8))
    assert scale[3] == 1  # a row of zeros is not divided by zero
    found = unpack(codes, scale, 61, bits)
    largest = 2 ** (bits - 1) - 1
    for row, stored in zip(weight.tolist(), found.tolist(), strict=True):
        step = max(map(abs, row)) / largest
        expected = [round(w / step) * step if step else 0.0 for w in row]
        assert stored == pytest.approx(expected, rel=1e-6)


def test_bits_of_a_row_stand_in_the_order_that_a_page_reads() -> None:
    codes, scale = pack(torch.tensor([[15.0, -15.0, 1.0]]), bits=5)
    # 30, 0 and 16: 11110 00000 10000, and one zero to the end of the byte.
    assert [f"{byte:08b}" for byte in codes[0].tolist()] == ["11110000", "00100000"]
    assert scale.item() == 1


def test_a_saved_network_is_the_one_that_is_loaded_and_always_the_same_bytes(tmp_path) -> None:
    torch.manual_seed(0)
    model = LeNet()
    other_order = LeNet().to(memory_format=torch.channels_last)
    other_order.load_state_dict(model.state_dict())
    files = [tmp_path / "a", tmp_path / "b"]
    for one, file in zip([model, other_order], files, strict=True):
        save_network(one, {"test_accuracy": 0.5}, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert read_about(files[0])["test_accuracy"] == 0.5
    stored = load_file(files[0])
    assert stored["fc1.weight"].shape == (120, 400)  # a byte a weight
    assert stored["fc1.weight"].dtype == torch.uint8
    assert stored["fc3.weight"].dtype == stored["conv2.weight"].dtype == torch.float16
    loaded = set_weights(LeNet(), stored).state_dict()
    again = set_weights(LeNet(), shrink(model)).state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded[name], again[name])
        # Half a step of a row of 8 bits, or of half precision.
        assert (loaded[name] - value).abs().max() <= 0.51 * value.abs().max() / 127
    assert torch.equal(loaded["conv1.weight"], model.conv1.weight.half().float())


def test_describe_looks_into_blocks_of_layers() -> None:
    (block,) = describe(torch.nn.Sequential(Residual(torch.nn.ReLU())))
    assert block == {
        "name": "0", "type": "Residual", "layers": [{"name": "0", "type": "ReLU"}],
    }  # fmt: skip


def test_a_perceptron_gets_fewer_bits_so_that_its_file_is_small(tmp_path) -> None:
    model = mlp()
    save_network(model, {}, tmp_path / "network")
    assert read_about(tmp_path / "network")["bits"] == 5
    assert (tmp_path / "network").stat().st_size < 150_000
    loaded = set_weights(mlp(), load_file(tmp_path / "network"))
    step = model[1].weight.abs().amax(1, keepdim=True) / 15
    assert ((loaded[1].weight - model[1].weight).abs() <= 0.501 * step).all()


def test_describe_names_a_layer_that_no_page_knows() -> None:
    with pytest.raises(TypeError, match="`model` must have layers that a page knows, got GELU"):
        describe(torch.nn.Sequential(torch.nn.GELU()))


def test_layers_of_a_file_are_those_of_the_network() -> None:
    conv1, _, pool1, *_, fc3 = read_about(KEPT / "lenet/one_cycle.safetensors")["layers"]
    assert conv1 == {
        "name": "conv1", "type": "Conv2d", "out_channels": 6, "kernel_size": [5, 5],
        "stride": [1, 1], "padding": [2, 2], "dilation": [1, 1], "groups": 1,
        "padding_mode": "zeros",
    }  # fmt: skip
    assert (pool1["type"], pool1["kernel_size"], pool1["stride"]) == ("MaxPool2d", [2, 2], [2, 2])
    assert fc3 == {"name": "fc3", "type": "Linear", "in_features": 84, "out_features": 10}
