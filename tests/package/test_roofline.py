"""The chapter's module on speed: work against torch and by hand, and clocks that tests turn."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from cnncourse.fast import (
    Machine,
    Work,
    attainable,
    conv2d_work,
    interleaved,
    least_seconds,
    measure_machine,
    speedup,
)
from cnncourse.layer_table import layer_table


@pytest.mark.parametrize("stride", [1, (2, 3)])
@pytest.mark.parametrize("padding", [0, (2, 1)])
@pytest.mark.parametrize("n", [1, 3])
def test_work_is_that_of_the_layer(n: int, padding, stride) -> None:
    layer = nn.Conv2d(2, 5, (3, 4), stride, padding, bias=False)
    x = torch.zeros(n, 2, 8, 9)
    tensors = x, layer.weight, layer(x)
    work = conv2d_work(n, 2, 5, (8, 9), (3, 4), stride, padding)
    assert work.bytes == sum(tensor.nbytes for tensor in tensors)
    assert work.multiply_adds == n * layer_table(nn.Sequential(layer), x.shape[1:]).multiply_adds
    assert work.intensity == work.multiply_adds / work.bytes


def test_work_by_hand() -> None:
    assert conv2d_work(1, 1, 1, size=3, kernel_size=2) == (16, 68)
    assert conv2d_work(1, 400, 120, size=1, kernel_size=1) == (48_000, 4 * 48_520)


@pytest.mark.parametrize("name", ["n", "c", "o", "size", "kernel_size", "stride"])
def test_work_names_bad_input(name: str) -> None:
    good = {"n": 1, "c": 1, "o": 1, "size": 3, "kernel_size": 2}
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        conv2d_work(**good | {name: 0})


def test_a_layer_waits_for_the_slower_of_two() -> None:
    machine = Machine(multiply_adds=10.0, bytes=1.0)
    assert least_seconds(Work(100, 20), machine) == 20
    assert least_seconds(Work(400, 20), machine) == 40
    for work in (Work(100, 20), Work(400, 20)):
        speed = attainable(work.intensity, machine)
        assert speed == pytest.approx(work.multiply_adds / least_seconds(work, machine))


def test_interleaved_takes_turns_after_a_warm_up() -> None:
    calls, ticks = [], itertools.count()
    ways = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = interleaved(ways, rounds=3, clock=lambda: float(next(ticks) ** 2))
    assert "".join(calls) == "ab" + "ab" * 3
    # The clock shows 0, 1, 4, 9, ...; a call lies between two of its readings.
    assert seconds == {"a": [1.0, 9.0, 17.0], "b": [5.0, 13.0, 21.0]}
    with pytest.raises(ValueError, match="`rounds` must be at least 1, got 0"):
        interleaved(ways, rounds=0)


def test_speedup_is_the_median_of_ratios() -> None:
    assert speedup([9.0, 4.0, 8.0, 4.0], [3.0, 2.0, 4.0, 8.0]) == 2
    assert speedup([2.0, 100.0, 2.0], [1.0, 50.0, 1.0]) == 2  # a slow round changes nothing
    assert speedup([6.0, 1.0], [2.0, 1.0]) == 2
    for after in ([1.0], []):
        with pytest.raises(ValueError, match=f"the same rounds, got 2 and {len(after)}"):
            speedup([1.0, 2.0], after)
    with pytest.raises(ValueError, match="got 0 and 0"):
        speedup([], [])


def test_measured_machine_multiplies_and_copies(monkeypatch) -> None:
    def told(ways, rounds):
        assert rounds == 4
        for way in ways.values():
            way()
        return {"multiply": [2.0, 1.0], "copy": [0.5, 4.0]}

    monkeypatch.setattr("cnncourse.fast.interleaved", told)
    machine = measure_machine(side=10, megabytes=3, rounds=4)
    assert machine.multiply_adds == 10**3
    assert machine.bytes == 2 * 3e6 / 0.5
