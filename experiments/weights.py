"""Train once more, with seed 0, the networks whose weights ship with the package, and keep them.

    python -m experiments.weights              those whose file is missing
    python -m experiments.weights one_cycle    these, anew

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
from experiments.recipe import load, train
from experiments.runner import say

OUT = Path(cnncourse.__file__).parent / "records" / WEIGHTS


def keep(recipe: str, out: Path = OUT) -> None:
    """Train a recipe with seed 0, and write its weights in one step."""
    record = "shift" if recipe in shift.NETWORKS else "lenet"
    topic = {"lenet": lenet, "shift": shift}[record]
    chosen = topic.RECIPES[recipe]
    data = load(chosen) if record == "lenet" else shift.drawn(chosen, seed=0)
    model, _ = train(chosen, lambda: topic.build(chosen), data, seed=0)
    model = model.half().float()  # what a reader will have
    reached = {split: evaluate(model, getattr(data, split)) for split in ("validation", "test")}
    about = {f"{split}_accuracy": f"{score.accuracy:.4f}" for split, score in reached.items()}
    write(model, {"record": record, "recipe": recipe, "seed": "0"} | about, out)
    say(f"{recipe}: {about}")


def write(model: nn.Module, about: dict[str, str], out: Path) -> None:
    """Write the file under another name first, so that no half of it is ever read."""
    out.mkdir(parents=True, exist_ok=True)
    halves = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    partial = out / f"{about['recipe']}.part"
    save_file(halves, partial, metadata=about)
    partial.chmod(0o644)  # the library's files are for their owner alone
    partial.replace(out / f"{about['recipe']}.safetensors")


def main(names: Sequence[str]) -> int:
    """Keep the weights that are named, or those that are missing."""
    if unknown := set(names) - set(NETWORKS):
        say(f"no network of {', '.join(NETWORKS)}: {', '.join(sorted(unknown))}")
        return 2
    torch.set_num_threads(1)
    for name in names or [n for n in NETWORKS if not (OUT / f"{n}.safetensors").exists()]:
        keep(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
