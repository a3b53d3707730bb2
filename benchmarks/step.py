"""One step of `fit` on LeNet and its larger relatives, and where its time goes.

A step is that of `fit` with its switches, on random pictures. Its parts are told apart inside the
step, by a stopwatch that hooks press: before and after each convolution and pooling, on the way
forward (hooks of the layers) and on the way back (hooks of their nodes in autograd's graph), and
around the optimizer's update. So every moment belongs to one part, and the parts add up to the step
that was watched. The same step is also timed without any hook: the two must agree within a few
percent, or the stopwatch disturbs what it measures.

On a GPU the clock waits for the device at each press, so that the parts are true and the watched
step is slower than the free one. That way never ran: it was written without a GPU at hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Optimizer

from cnncourse.layer_table import layer_table
from cnncourse.training import Switches, fast

Clock = Callable[[], float]
KINDS = {nn.Conv2d: "convolution", nn.MaxPool2d: "pooling"}
PARTS = (
    *("convolution forward", "pooling forward", "other forward"),
    *("convolution backward", "pooling backward", "other backward"),
    "update",
)
BLOCK = 0.05  # seconds: a shorter step is repeated until it fills them
PICTURES = 2048  # random ones, from which batches are taken


@dataclass(frozen=True)
class Setting:
    """What a step is measured for; the defaults are LeNet in a plain step.

    Attributes
    ----------
    channels : int
        Times the channels of LeNet's two convolutions, 6 and 16.
    kernel, side : int
        Rows and columns of a kernel, and of a picture.
    """

    batch: int = 128
    channels: int = 1
    precision: str = "float32"
    channels_last: bool = False
    kernel: int = 5
    side: int = 28
    threads: int = field(default_factory=torch.get_num_threads)
    device: str = "cpu"


class Step(NamedTuple):
    """What is needed to make a step, with any function for its forward pass."""

    model: nn.Sequential
    optimizer: Optimizer
    build: Callable[[Callable], Callable[[Tensor], object]]
    batch: Tensor  # places of its pictures


class Sample(NamedTuple):
    """Seconds of one free step, and of the parts of a watched one."""

    seconds: float
    parts: dict[str, float]


def lenet(channels: int = 1, kernel: int = 5, side: int = 28) -> nn.Sequential:
    """Build the modern LeNet with more channels, another kernel, or for larger pictures."""
    narrow, wide = 6 * channels, 16 * channels
    pixels = ((side // 2 - kernel + 1) // 2) ** 2
    return nn.Sequential(
        *(nn.Conv2d(1, narrow, kernel, padding=kernel // 2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(narrow, wide, kernel), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(wide * pixels, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, 10),
    )


def step_flop(setting: Setting) -> int:
    """Count the floating-point operations of a step: two for each multiply-add.

    A layer multiplies as often for the gradient of its weights as in the forward pass, and as often
    again for the gradient of its input, which the first layer does not need.
    """
    net = lenet(setting.channels, setting.kernel, setting.side)
    rows = layer_table(net, (1, setting.side, setting.side)).rows
    costs = [row.multiply_adds for row in rows if row.multiply_adds]
    return 2 * setting.batch * (3 * sum(costs) - costs[0])


def clock_of(device: str, threads: int) -> Clock:
    """Return the clock that fits: CPU time for one thread, which leaves out the wait for a core.

    For several threads, whose CPU times add up, it is the time on the wall; and for a GPU, too,
    read when the device has done what it was asked for.
    """
    if device == "cpu":
        return time.process_time if threads == 1 else time.perf_counter

    def clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return clock


def step_of(setting: Setting) -> Step:
    """Build network, pictures and optimizer of a setting."""
    torch.manual_seed(0)
    order = torch.channels_last if setting.channels_last else torch.contiguous_format
    model = lenet(setting.channels, setting.kernel, setting.side)
    model = model.to(setting.device, memory_format=order)
    images = torch.rand(PICTURES, 1, setting.side, setting.side, device=setting.device)
    labels = torch.randint(10, (PICTURES,), device=setting.device)
    train = images.to(memory_format=order), labels
    optimizer = SGD(model.parameters(), lr=0.001)
    switches = Switches(channels_last=setting.channels_last, precision=setting.precision)
    scaler = fast.scaler_for(model, switches)

    def build(forward: Callable) -> Callable[[Tensor], object]:
        return fast.faster(switches, forward, model, train, optimizer, scaler, setting.batch)

    batch = torch.randperm(PICTURES)[: setting.batch].to(setting.device)
    return Step(model, optimizer, build, batch)


def scores(model: nn.Module, train: tuple[Tensor, Tensor], batch: Tensor) -> fast.Scores:
    """Do what `fit` does on the way forward: take a batch, the loss, and the hits."""
    x, y = (whole.index_select(0, batch) for whole in train)
    logits = model(x)
    return cross_entropy(logits, y), (logits.argmax(1) == y).sum()


class Stopwatch:
    """Gives the time since it was last pressed to a part."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.seconds = clock, dict.fromkeys(PARTS, 0.0)
        self.last = clock()

    def press(self, part: str) -> None:
        """End a part."""
        now = self.clock()
        self.seconds[part] += now - self.last
        self.last = now


@contextmanager
def watched(step: Step, watch: Stopwatch) -> Iterator[Callable[[], None]]:
    """Yield the step with a stopwatch in it; afterwards the hooks are gone."""

    def forward(*arguments: object) -> fast.Scores:
        found = scores(*arguments)
        watch.press("other forward")
        return found

    hooks = [
        step.optimizer.register_step_pre_hook(lambda *_: watch.press("other backward")),
        step.optimizer.register_step_post_hook(lambda *_: watch.press("update")),
    ]
    for layer in step.model:
        if kind := KINDS.get(type(layer)):
            hooks.append(layer.register_forward_pre_hook(lambda *_: watch.press("other forward")))
            hooks.append(layer.register_forward_hook(partial(_after, watch, kind)))
    try:
        yield partial(step.build(forward), step.batch)
    finally:
        for hook in hooks:
            hook.remove()


def _after(watch: Stopwatch, kind: str, layer: nn.Module, inputs: object, output: Tensor) -> None:
    """End the forward part of a layer, and ask its node to end the backward part."""
    watch.press(f"{kind} forward")
    output.grad_fn.register_prehook(lambda *_: watch.press("other backward"))
    output.grad_fn.register_hook(lambda *_: watch.press(f"{kind} backward"))


def sample(step: Step, clock: Clock) -> Sample:
    """Time a step alone and with the stopwatch in it, each as the mean over a block."""
    free = partial(step.build(scores), step.batch)
    count = calls_in_block(free, clock)
    alone = seconds(free, count, clock)
    watch = Stopwatch(clock)
    with watched(step, watch) as call:
        for _ in range(count):
            call()
    return Sample(alone, {part: total / count for part, total in watch.seconds.items()})


def calls_in_block(call: Callable[[], object], clock: Clock) -> int:
    """Count the calls that fill a block, after a first one that finds cold caches."""
    call()
    return max(1, round(BLOCK / seconds(call, 1, clock)))


def seconds(call: Callable[[], object], count: int, clock: Clock) -> float:
    """Time one call as the mean of some in a row."""
    start = clock()
    for _ in range(count):
        call()
    return (clock() - start) / count
