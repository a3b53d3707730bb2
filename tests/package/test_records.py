"""Reading a record: every seed in order, and a clear error for what is not there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from safetensors import safe_open

from cnncourse.datasets import Split, load_fashion_mnist, load_mnist
from cnncourse.records import (
    Record,
    load_record,
    load_trained,
    paired_t,
    standard_error,
    trained,
    two_sided_p,
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


TESTS = {
    ("lenet", "one_cycle"): lambda: load_fashion_mnist().test,
    ("lenet", "lenet_modern_mnist"): lambda: load_mnist().test,
    **{("shift", name): small_digits for name in NETWORKS},
}
KEPT = Path(trained.__file__).parent / trained.WEIGHTS


@pytest.mark.parametrize(("record", "recipe"), TESTS)
def test_kept_weights_reach_what_their_file_says_and_the_record_said(record, recipe):
    with safe_open(KEPT / record / f"{recipe}.safetensors", "pt") as file:
        about = file.metadata()
    assert (about["record"], about["recipe"], about["seed"]) == (record, recipe, "0")
    test = TESTS[record, recipe]()
    reached = evaluate(load_trained(record, recipe), test).accuracy
    # Half precision is what the file's number was measured with: no more than two answers differ.
    assert reached == pytest.approx(float(about["test_accuracy"]), abs=2 / len(test.labels))
    # Another machine rounds otherwise, and so takes another way: the record's is not met exactly.
    recorded = load_record(record).final(recipe, "test_accuracy")[0]
    assert reached == pytest.approx(recorded, abs=3 * standard_error(recorded, len(test.labels)))


def test_a_network_is_kept_for_every_file_and_in_float32():
    found = {(path.parent.name, path.stem) for path in KEPT.rglob("*.safetensors")}
    assert found == {
        (record, recipe) for record, kept in trained.NETWORKS.items() for recipe in kept
    }
    assert found == set(TESTS)
    model = load_trained("lenet", "one_cycle")
    assert {value.dtype for value in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("record", "recipe", "message"),
    [
        ("pooling", "max", r"`record` must be one of lenet, shift, got 'pooling'"),
        ("lenet", "max_pool", r"`recipe` must be one of one_cycle, .*, got 'max_pool'"),
    ],
)
def test_load_trained_names_what_is_kept(record, recipe, message):
    with pytest.raises(ValueError, match=message):
        load_trained(record, recipe)
