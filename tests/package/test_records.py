"""Reading a record: every seed in order, and a clear error for what is not there."""

from __future__ import annotations

import pytest

from cnncourse.records import Record, load_record

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
