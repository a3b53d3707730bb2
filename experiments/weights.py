"""Train once more, with seed 0, the networks whose weights ship with the package, and keep them.

    python -m experiments.weights                    those whose file is missing
    python -m experiments.weights lenet/one_cycle    these, anew

The weights are written in half precision. The file names the run and what the network reaches with
the weights that it holds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

import cnncourse
from cnncourse.records.trained import NETWORKS, WEIGHTS
from cnncourse.training import evaluate
from experiments import lenet, shift
from experiments.recipe import train
from experiments.runner import say

OUT = Path(cnncourse.__file__).parent / "records" / WEIGHTS
TOPICS = {"lenet": lenet, "shift": shift}
NAMES = [f"{record}/{recipe}" for record, recipes in NETWORKS.items() for recipe in recipes]


def keep(name: str, out: Path = OUT) -> None:
    """Train a recipe of a record with seed 0, and write its weights."""
    record, _, recipe = name.partition("/")
    topic, chosen = TOPICS[record], TOPICS[record].RECIPES[recipe]
    data = topic.drawn(chosen, seed=0)
    model, _ = train(chosen, lambda: topic.build(chosen), data, seed=0)
    model = model.half().float()  # what a reader will have
    reached = {split: evaluate(model, getattr(data, split)) for split in ("validation", "test")}
    about = {f"{split}_accuracy": f"{score.accuracy:.4f}" for split, score in reached.items()}
    about |= {"record": record, "recipe": recipe, "seed": "0"}
    write(model, about, out / f"{name}.safetensors")
    say(f"{name}: {about}")


def write(model: nn.Module, about: dict[str, str], path: Path) -> None:
    """Write the file under another name first, so that no half of it is ever read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    partial = path.with_suffix(".part")
    save_file(halves, partial, metadata=about)
    partial.chmod(0o644)  # the library's files are for their owner alone
    partial.replace(path)


def main(names: Sequence[str]) -> int:
    """Keep the weights that are named, or those that are missing."""
    if unknown := set(names) - set(NAMES):
        say(f"no network of {', '.join(NAMES)}: {', '.join(sorted(unknown))}")
        return 2
    torch.set_num_threads(1)
    for name in names or [name for name in NAMES if not (OUT / f"{name}.safetensors").exists()]:
        keep(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
