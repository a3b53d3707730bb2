"""Time how long `cnncourse.sprint` needs for 99 % of the digits: a fresh process for each seed.

The clock runs from the first call after the imports until the network is trained, so it counts what
only a first call needs. Left out are the imports, reading the pictures, and measuring the test
split. The recipe was chosen on the validation split, see experiments/ladder.py.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.report import machine, table
from cnncourse.datasets import load_mnist
from cnncourse.sprint import sprint
from cnncourse.training import evaluate

DESCRIPTION = "Time how long the fast recipe needs for 99 % of MNIST's test split."
GOAL = 0.99


def one(seed: int) -> dict[str, float]:
    """Train in this process, and measure."""
    data = load_mnist()
    start = time.perf_counter()
    net = sprint(data.train, seed=seed)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "accuracy": evaluate(net, data.test).accuracy}


def afresh(seed: int, threads: int) -> dict[str, float]:
    """Train in a new process."""
    command = [sys.executable, "-m", "benchmarks.sprint", "--one", str(seed)]
    done = subprocess.run(
        [*command, "--threads", str(threads)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def report(runs: Sequence[dict[str, float]], threads: int) -> str:
    """Write the runs as markdown, and say what reached the goal."""
    seconds, accuracies = ([run[name] for run in runs] for name in ("seconds", "accuracy"))
    reached = sum(accuracy >= GOAL for accuracy in accuracies)
    lines = [
        [str(seed), f"{run['seconds']:.2f}", f"{100 * run['accuracy']:.2f} %"]
        for seed, run in enumerate(runs)
    ]
    return f"""# Seconds to 99 % of the digits, {datetime.datetime.now(datetime.UTC).date()}

{reached} of {len(runs)} seeds reached {GOAL:.0%} of the test split.
Seconds: mean {statistics.mean(seconds):.2f}, median {statistics.median(seconds):.2f}, \
{min(seconds):.2f} to {max(seconds):.2f}. Threads: {threads}.
What the clock counts stands at the top of benchmarks/sprint.py.
{machine()}

{table(("seed", "seconds", "test accuracy"), lines)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, measure, print, and write the file that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sprint", description=DESCRIPTION)
    parser.add_argument("--seeds", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="(default: all cores)")
    parser.add_argument("--one", type=int, metavar="SEED", help="do one run in this process")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there, too")
    chosen = parser.parse_args(arguments)
    for name in ("seeds", "threads"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(chosen, name)}")
    if chosen.one is not None:
        torch.set_num_threads(chosen.threads)
        print(json.dumps(one(chosen.one)))
        return 0
    runs = []
    for seed in range(chosen.seeds):
        runs.append(afresh(seed, chosen.threads))
        print(f"seed {seed}: {runs[-1]}", file=sys.stderr, flush=True)
    text = report(runs, chosen.threads)
    print(text, end="")
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
