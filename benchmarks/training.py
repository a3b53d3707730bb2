"""Time one epoch of `fit`, plain and with its switches, beside d2l's trainer and a DataLoader.

All train the same network, d2l's LeNet with its recipe, on the 60,000 pictures of
Fashion-MNIST's training file and then measure the 10,000 of its test file; the table counts the
pictures that went through the network. A repeat does one epoch of each in turn, so that a slow
moment of the machine meets all. One thread, and its CPU time, which leaves out the waiting for a
busy core.

Why the loops differ: `fit` takes a batch out of a tensor by one indexing operation. A DataLoader
asks its dataset for one picture after the other and puts them together. d2l's FashionMNIST also
makes an image of each picture's bytes, scales it to the size it has, and makes a tensor again, in
every epoch.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.report import machine, table
from cnncourse.datasets import Split, load_fashion_mnist
from cnncourse.lenet import LeNet, init_xavier
from cnncourse.training import Switches, fit, seed_everything
from experiments import textbook

DESCRIPTION = (
    """Time one epoch of LeNet by `fit`, by a loop over a DataLoader and by d2l.Trainer."""
)
RATE, BATCH = 0.1, 128
D2L, TARGET = "d2l.Trainer", 4  # times as long as `fit` with its best switches, or more
SWITCHES = {
    "fit": Switches(),
    "fit, channels last": Switches(channels_last=True),
    "fit, bfloat16": Switches(precision="bfloat16"),
    "fit, both": Switches(channels_last=True, precision="bfloat16"),
}
Ready = tuple[nn.Module, Callable[[], object]]  # a new network, and what trains it for one epoch


class Epoch(NamedTuple):
    """What one epoch took: CPU seconds, and the pictures in training and in evaluation mode."""

    seconds: float
    trained: int
    validated: int


def pictures() -> tuple[Split, Split]:
    """Join the two parts of the training file again; d2l validates on the test file."""
    data = load_fashion_mnist()
    joined = (torch.cat(pair) for pair in zip(data.train, data.validation, strict=True))
    return Split(*joined), data.test


def by_fit(train: Split, validation: Split, switches: Switches = SWITCHES["fit"]) -> Ready:
    """Train by our loop."""
    model, settings = init_xavier(LeNet()), {"epochs": 1, "batch_size": BATCH, "device": "cpu"}
    return model, lambda: fit(
        model, train, validation, switches=switches, progress=False, **settings
    )


def by_loader(train: Split, validation: Split) -> Ready:
    """Train by the loop that most courses write."""
    model = init_xavier(LeNet())
    descent = torch.optim.SGD(model.parameters(), lr=RATE)

    def epoch() -> None:
        model.train()
        for x, y in DataLoader(TensorDataset(*train), BATCH, shuffle=True):
            descent.zero_grad()
            cross_entropy(model(x), y).backward()
            descent.step()
        model.eval()
        with torch.no_grad():
            for x, y in DataLoader(TensorDataset(*validation), BATCH):
                cross_entropy(model(x), y).item()

    return model, epoch


def by_d2l(d2l: ModuleType, data: object) -> Ready:
    """Train by d2l's trainer, as it is."""
    model = textbook.lenet(d2l, data, RATE)
    return model.net, lambda: d2l.Trainer(max_epochs=1).fit(model, data)


def measure(prepare: Callable[[], Ready]) -> Epoch:
    """Build a network, and time one epoch while counting the pictures that go through it."""
    seed_everything(0)
    model, epoch = prepare()
    count = Counter()
    model.register_forward_pre_hook(lambda net, x: count.update({net.training: len(x[0])}))
    start = time.process_time()
    epoch()
    return Epoch(time.process_time() - start, count[True], count[False])


def line(name: str, epochs: Sequence[Epoch], ours: float) -> list[str]:
    """Write one row: median and spread of the seconds, what they come to, and the work done."""
    seconds = [epoch.seconds for epoch in epochs]
    median = statistics.median(seconds)
    trained, validated = epochs[0].trained, epochs[0].validated
    spread = f"{min(seconds):.1f} to {max(seconds):.1f}"
    speed = f"{trained / median:,.0f}"
    return [
        name,
        f"{median:.1f}",
        spread,
        f"{median / ours:.2f}",
        speed,
        f"{trained:,}",
        f"{validated:,}",
    ]


def verdict(medians: Mapping[str, float]) -> str:
    """Say whether `fit` reaches the target beside d2l, with the switches that serve it best."""
    best = min(SWITCHES.keys() & medians, key=medians.__getitem__)
    ratio = medians[D2L] / medians[best]
    met = "met" if ratio >= TARGET else "MISSED"
    target = f"{D2L} takes at least {TARGET} times as long as `fit`"
    return f"Target: {target}. {met}: {ratio:.2f} ({best})."


def report(ways: dict[str, Callable[[], Ready]], repeats: int) -> str:
    """Measure everything and write it as markdown."""
    rounds = [{name: measure(way) for name, way in ways.items()} for _ in range(repeats)]
    epochs = {name: [one[name] for one in rounds] for name in ways}
    medians = {name: statistics.median(one.seconds for one in own) for name, own in epochs.items()}
    head = ("loop", "s an epoch", "spread", "ratio", "pictures a s", "trained on", "validated on")
    lines = [line(name, of_one, medians["fit"]) for name, of_one in epochs.items()]
    return f"""# An epoch of LeNet beside d2l, {datetime.datetime.now(datetime.UTC).date()}

CPU time of one epoch on one thread, validation included: the median over {repeats} repeats,
with the smallest and the largest. Batches of {BATCH}, plain gradient descent. Ratio: time through
that of `fit`, which looks at a few pictures before it starts.
{machine()}
Why the loops differ stands at the top of benchmarks/training.py.

{table(head, lines)}

{verdict(medians)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, measure, print, and write the file that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=DESCRIPTION)
    parser.add_argument("--repeats", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there, too")
    chosen = parser.parse_args(arguments)
    if chosen.repeats < 1:
        parser.error(f"--repeats must be at least 1, got {chosen.repeats}")
    from cnncourse.reference import d2l

    torch.set_num_threads(1)
    splits, theirs = pictures(), textbook.fashion_mnist(d2l, BATCH)
    ways = {
        **{name: lambda on=on: by_fit(*splits, on) for name, on in SWITCHES.items()},
        "a loop over torch's DataLoader": lambda: by_loader(*splits),
        D2L: lambda: by_d2l(d2l, theirs),
    }
    text = report(ways, chosen.repeats)
    print(text, end="")
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
