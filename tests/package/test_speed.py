"""The recorded grid of a training step: it is whole, and its parts add up."""

from __future__ import annotations

import itertools
from statistics import median

import pytest

from cnncourse.records import load_record, load_speed
from cnncourse.records.speed import Speed, StepTime

AXES = ((32, 128, 512), (1, 2, 4), ("float32", "bfloat16"), (False, True))


@pytest.fixture(scope="module")
def speed() -> Speed:
    return load_speed()


def test_grid_is_whole(speed: Speed) -> None:
    steps = [speed.step(*values) for values in itertools.product(*AXES)]
    assert set(map(id, steps)) == set(map(id, speed.steps))
    assert len(steps) == 36


def test_parts_add_up_to_the_step(speed: Speed) -> None:
    ratios = [sum(step.parts.values()) / step.seconds for step in speed.steps]
    # They were measured in other steps than the whole, with a stopwatch inside.
    assert median(ratios) == pytest.approx(1, abs=0.05)
    assert ratios == pytest.approx([1] * len(ratios), abs=0.12)


def test_operations_are_counted_for_the_batch(speed: Speed) -> None:
    # Forward, and twice as many backward, without the gradient of the pictures.
    once = 2 * (3 * 416_520 - 6 * 28 * 28 * 25)
    assert [speed.step(n).operations for n in AXES[0]] == [n * once for n in AXES[0]]


def test_step_and_share_are_arithmetic() -> None:
    step = StepTime(32, 1, "float32", False, 0.5, 0.4, 0.6, 100, {"update": 0.5})
    assert step.pictures_per_second == 64
    assert Speed("a", 1, {"float32": 800.0}, (step,)).share(step) == 0.25


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"batch": 64}, r"`batch` must be one of \[32, 128, 512\], got 64"),
        (
            {"precision": "int8"},
            r"`precision` must be one of \['bfloat16', 'float32'\], got 'int8'",
        ),
    ],
)
def test_step_names_what_was_not_measured(speed: Speed, asked, message) -> None:
    with pytest.raises(ValueError, match=message):
        speed.step(**asked)


def test_other_devices_and_records_are_named() -> None:
    with pytest.raises(ValueError, match="`device` must be one of cpu, got 'abacus'"):
        load_speed("abacus")
    with pytest.raises(ValueError, match=r"`name` must be one of .*, got 'speed'"):
        load_record("speed")
