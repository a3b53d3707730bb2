"""Read the command line of ``python -m experiments``, and do the runs that are missing."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

import cnncourse
import experiments
from experiments.runner import Experiment, record, say

OUT = Path(cnncourse.__file__).parent / "records"
DESCRIPTION = """Train what the chapters compare, and write the records that they read.

A run is one recipe with one seed. A record is rewritten after every run, so ctrl-c loses the
current run only. Start the same command again and it goes on: a run is skipped when the record
holds it with the same definition. To measure a run afresh, delete it from the record."""


def topics() -> dict[str, Experiment]:
    """Find every file of recipes in this folder."""
    names = sorted(module.name for module in pkgutil.iter_modules(experiments.__path__))
    modules = {n: importlib.import_module(f"experiments.{n}") for n in names if n != "__main__"}
    return {n: module.EXPERIMENT for n, module in modules.items() if hasattr(module, "EXPERIMENT")}


def described(found: dict[str, Experiment]) -> str:
    """List the experiments with their recipes."""
    lines = []
    for topic, experiment in found.items():
        lines.append(f"\n{topic}: {experiment.about}")
        lines += [f"  {name:24} {recipe.change}" for name, recipe in experiment.recipes.items()]
    return "\n".join(lines)


def parser(found: dict[str, Experiment]) -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description=DESCRIPTION,
        epilog=f"experiments and their recipes:\n{described(found)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    recipes = [name for experiment in found.values() for name in experiment.recipes]
    parser.add_argument("topics", nargs="*", metavar="EXPERIMENT", help="(default: all)")
    parser.add_argument("--only", nargs="+", metavar="RECIPE", choices=recipes, default=recipes)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 .. N-1 (default: 5)")
    parser.add_argument(
        "--threads", type=int, default=1, help="of torch (default: 1; the last digits depend on it)"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder (default: %(default)s)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Record, and say how to go on after ctrl-c."""
    found = topics()
    command = parser(found)
    chosen = command.parse_args(arguments)
    for name in ("seeds", "threads"):
        if getattr(chosen, name) < 1:
            command.error(f"--{name} must be at least 1, got {getattr(chosen, name)}")
    for topic in chosen.topics:
        if topic not in found:
            command.error(f"EXPERIMENT must be one of {', '.join(found)}, got {topic}")
    torch.set_num_threads(chosen.threads)
    try:
        for topic in chosen.topics or found:
            names = [name for name in found[topic].recipes if name in chosen.only]
            record(topic, found[topic], names, chosen.seeds, chosen.out / f"{topic}.json")
    except KeyboardInterrupt:
        say("stopped; the finished runs are in the record, the same command goes on from there")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
