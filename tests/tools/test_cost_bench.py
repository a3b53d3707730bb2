"""The benchmark of a step: its parts are told apart rightly, and what is slowed shows as slower."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import cost, measured, step
from benchmarks.step import PARTS, Sample, Setting, Stopwatch, sample, step_flop, step_of, watched
from cnncourse.lenet import ModernLeNet
from cnncourse.records import StepTime

SMALL = Setting(batch=4)


class FakeTime:
    """Time that passes only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def slow(self, seconds: float):
        """Return a hook that takes this long."""
        return lambda *_: setattr(self, "now", self.now + seconds)


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def slow_backward(layer: nn.Module, hook) -> None:
    """Let the node of a layer take time on the way back."""
    layer.register_forward_hook(lambda _, x, y: y.grad_fn.register_prehook(hook) and None)


def test_lenet_is_the_modern_lenet_of_the_book() -> None:
    ours, book = step.lenet(), ModernLeNet()
    ours.load_state_dict(dict(zip(ours.state_dict(), book.state_dict().values(), strict=True)))
    x = torch.rand(3, 1, 28, 28)
    assert torch.equal(ours(x), book(x))


@pytest.mark.parametrize(
    "setting", [SMALL, Setting(batch=3, channels=2), Setting(batch=2, kernel=3, side=36)]
)
def test_operations_are_those_that_torch_counts(setting: Setting) -> None:
    made = step_of(setting)
    with FlopCounterMode(display=False) as counter:
        made.build(step.scores)(made.batch)
    assert step_flop(setting) == counter.get_total_flops()


def test_large_convolution_does_the_operations_that_torch_counts(monkeypatch) -> None:
    monkeypatch.setattr(measured, "LARGE", (2, 3, 5, 7))
    with FlopCounterMode(display=False) as counter:
        measured.large_convolution("cpu", "float32", False)()
    assert measured.large_flop() == counter.get_total_flops()


def test_each_part_gets_the_time_that_it_takes(clock: FakeTime) -> None:
    made = step_of(SMALL)
    conv, pool, dense = made.model[3], made.model[5], made.model[7]
    watch = Stopwatch(clock)
    with watched(made, watch) as call:
        for seconds, layer in ((1, conv), (2, pool), (4, dense)):
            forward = layer.forward
            layer.forward = lambda x, f=forward, s=seconds: (clock.slow(s)(), f(x))[1]
        for seconds, layer in ((8, conv), (16, pool), (32, dense)):
            slow_backward(layer, clock.slow(seconds))
        update = made.optimizer.register_step_pre_hook(clock.slow(64))
        call()
    update.remove()
    assert watch.seconds == dict(zip(PARTS, (1, 2, 4, 8, 16, 32, 64), strict=True))
    assert sum(watch.seconds.values()) == clock.now


def test_loss_and_batch_belong_to_other(clock: FakeTime, monkeypatch) -> None:
    monkeypatch.setattr(step, "cross_entropy", lambda *x: (clock.slow(3)(), loss(*x))[1])
    loss, made = nn.functional.cross_entropy, step_of(SMALL)
    watch = Stopwatch(clock)
    with watched(made, watch) as call:
        call()
    assert {part: s for part, s in watch.seconds.items() if s} == {"other forward": 3}


def test_slowed_pooling_shows_in_the_step_and_in_its_part(clock: FakeTime, monkeypatch) -> None:
    monkeypatch.setattr(step, "BLOCK", 3)

    def measure(seconds: float) -> Sample:
        made = step_of(SMALL)
        made.model[0].register_forward_pre_hook(clock.slow(0.5))
        made.model[2].forward = lambda x: (clock.slow(seconds)(), nn.functional.max_pool2d(x, 2))[1]
        return sample(made, clock)

    plain, slowed = measure(0.5), measure(1.5)
    assert slowed.seconds == plain.seconds + 1 == 2
    assert slowed.parts["pooling forward"] == plain.parts["pooling forward"] + 1 == 1.5
    for one in (plain, slowed):
        assert sum(one.parts.values()) == pytest.approx(one.seconds)


def test_stopwatch_changes_no_weight_and_leaves_no_hook() -> None:
    alone, seen = step_of(SMALL), step_of(SMALL)
    alone.build(step.scores)(alone.batch)
    watch = Stopwatch(step.clock_of("cpu", 1))
    with watched(seen, watch) as call:
        call()
    for a, b in zip(alone.model.parameters(), seen.model.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.grad is not None
    before = dict(watch.seconds)
    seen.build(step.scores)(seen.batch)
    assert watch.seconds == before


def test_switches_of_a_setting_reach_the_step() -> None:
    made, kinds = step_of(Setting(batch=2, precision="bfloat16", channels_last=True)), []
    made.model[3].register_forward_hook(lambda _, x, y: kinds.append((x[0], y)) or None)
    made.build(step.scores)(made.batch)
    ((x, y),) = kinds
    assert y.dtype == torch.bfloat16
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert made.model[0].weight.dtype == torch.float32


def test_everything_has_its_turn() -> None:
    asked = []
    measures = {k: lambda k=k: asked.append(k) or Sample(len(asked), {}) for k in "ab"}
    found = measured.in_turn(measures, repeats=3)
    assert asked == ["a", "b"] * 3
    assert [one.seconds for one in found["b"]] == [2, 4, 6]


def test_growth_changes_one_thing() -> None:
    plain = Setting(threads=1)
    for (name, value), setting in measured.growth("cpu", 1).items():
        differs = [k for k in vars(plain) if getattr(setting, k) != getattr(plain, k)]
        assert differs in ([], [name])
        assert getattr(setting, name) == value


def test_several_threads_are_timed_by_the_wall() -> None:
    clocks = {n: step.clock_of("cpu", n).__name__ for n in (1, 2)}
    assert clocks == {1: "process_time", 2: "perf_counter"}


@pytest.fixture
def small(monkeypatch) -> None:
    """Let everything be tiny: the tables are looked at, not the numbers."""
    for module in (measured, cost):
        monkeypatch.setattr(module, "MATRIX", 8)
        monkeypatch.setattr(module, "LARGE", (1, 2, 4, 4))
        monkeypatch.setattr(module, "ASKED", (1, 3))
        grid = {**measured.GRID, "batch": (2, 128), "channels": (1, 2)}
        monkeypatch.setattr(module, "GRID", grid)
    monkeypatch.setattr(measured, "GROWTH", {"threads": (1, 2), "kernel": (3, 5)})
    monkeypatch.setattr(measured, "COPIES", {"copy": 64, "copy in cache": 32})
    monkeypatch.setattr(step, "BLOCK", 0)


@pytest.mark.usefixtures("small")
def test_main_writes_tables_and_a_record_that_can_be_read(tmp_path: Path, capsys) -> None:
    out, kept = tmp_path / "new" / "cost.md", tmp_path / "speed.json"
    assert cost.main(["--repeats", "2", "--out", str(out), "--record", str(kept)]) == 0
    text = capsys.readouterr().out
    assert out.read_text() == text
    assert "The median over 2 repeats" in text
    assert f"torch {torch.__version__}" in text
    found = json.loads(kept.read_text())["devices"]["cpu"]
    steps = [StepTime(**one) for one in found["steps"]]
    rows = [line for line in text.splitlines() if line.startswith("| cpu")]
    forms = len(measured.precisions("cpu"))
    assert len(steps) == 2 * 2 * forms * 2
    assert len(rows) == len(steps) + 4 + (2 + 4) * forms + 2 + 2
    assert set(steps[0].parts) == set(PARTS)
    assert all(one.low <= one.seconds <= one.high for one in steps)
    assert set(found["floor"]) == {*measured.precisions("cpu"), "copy", "copy in cache"}


def test_floor_is_work_through_time() -> None:
    samples = {"float32": [Sample(0.5, {})], "copy": [Sample(2.0, {})]}
    found = measured.Found("cpu", 1, samples)
    assert measured.speed(found, "float32") == 2 * 1024**3 / 0.5
    assert measured.speed(found, "copy") == 2 * 2**28 / 2


@pytest.mark.parametrize("option", ["--repeats", "--threads"])
def test_main_refuses_a_number_below_1(option, capsys) -> None:
    with pytest.raises(SystemExit):
        cost.main([option, "0"])
    assert f"{option} must be at least 1, got 0" in capsys.readouterr().err
