"""What ``cnncourse train`` does, alone or as one of the processes that ``torchrun`` starts.

torchrun --nproc-per-node=2 -m cnncourse.train --out runs/a
"""

from __future__ import annotations

import argparse
import csv
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType

import torch
import torch.distributed as dist
from safetensors.torch import save
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from cnncourse import datasets, lenet, plots, training
from cnncourse.training import Epoch, History
from cnncourse.training.checkpoint import epochs_in, write_whole
from cnncourse.training.shared import ALONE, Place

MODELS = {
    "lenet": lenet.LeNet,
    "modern": lenet.ModernLeNet,
    "mlp": lenet.mlp,
    "softmax": lenet.softmax_regression,
}
CHECKPOINT = "checkpoint.safetensors"
MEASURES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds")
HEAD = "epoch  train loss  train acc  val loss  val acc  seconds"
WIDTH, HEIGHT = 60, 6  # of the curve on a terminal, in characters
LOST = (
    "another process of this training has died, so this one stops. With --out, the epochs that "
    "ended are kept: the same command with --resume goes on, with any number of processes"
)


def run(options: argparse.Namespace) -> int:
    """Train as the options say, print every epoch, and keep the results in a folder."""
    _check_folder(options.out, options.resume)
    with _joined(options.device) as place:
        load = {"mnist": datasets.load_mnist, "fashion-mnist": datasets.load_fashion_mnist}
        data = load[options.data]()
        training.seed_everything(options.seed)
        model = MODELS[options.model]()
        history = _fit(model, data, options, place)
        if place.rank == 0:
            _finish(model, data, history, options)
    return 0


def _check_folder(out: Path | None, resume: bool) -> None:
    """Refuse to write over a run, and to go on with one that is not there."""
    if out is None:
        if resume:
            raise ValueError("`--resume` needs `--out FOLDER`, the folder of the run to go on with")
        return
    if resume and not (out / CHECKPOINT).is_file():
        raise ValueError(f"`--resume` needs the file {out / CHECKPOINT}, and it is not there")
    if not resume and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ValueError(
            f"`--out` must be a new or empty folder, and {out} is there already; "
            "with --resume the run in it goes on"
        )


@contextmanager
def _joined(device: str | None) -> Iterator[Place]:
    """Join the other processes, where torchrun has started this one."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ALONE
        return
    gpu = torch.cuda.is_available() and device != "cpu"
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    signal.signal(signal.SIGTERM, _lost)  # which torchrun sends when another process has died
    dist.init_process_group("nccl" if gpu else "gloo")
    try:
        yield Place(dist.get_rank(), dist.get_world_size())
    except RuntimeError as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it says the same
        raise RuntimeError(LOST) if _is_of_a_peer(error) else error from None
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    dist.destroy_process_group()


def _lost(number: int, frame: FrameType | None) -> None:
    raise RuntimeError(LOST)


def _is_of_a_peer(error: RuntimeError) -> bool:
    """Tell the library's error about a connection that closed."""
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


def _fit(
    model: nn.Module, data: datasets.Dataset, options: argparse.Namespace, place: Place
) -> History:
    if place.size > 1:
        gpu = dist.get_backend() == "nccl"
        model = DistributedDataParallel(model.to("cuda" if gpu else "cpu"))
    path = options.out and options.out / CHECKPOINT
    show = _printer(epochs_in(path) if options.resume else []) if place.rank == 0 else None
    return training.fit(
        model,
        data.train,
        data.validation,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=partial(torch.optim.SGD, lr=options.lr),
        device=options.device,
        seed=options.seed,
        progress=None if place.rank == 0 else False,
        after_epoch=show,
        checkpoint=path,
    )


def _printer(done: Sequence[Epoch]) -> Callable[[Epoch], None]:
    """Print the head of the table and the epochs that are done; return what prints the others."""
    print(HEAD, flush=True)
    numbers = count(1)
    for epoch in done:
        _print_epoch(next(numbers), epoch)
    return lambda epoch: _print_epoch(next(numbers), epoch)


def _print_epoch(number: int, epoch: Epoch) -> None:
    train, validation, seconds = epoch
    tqdm.write(  # which leaves the bar below
        f"{number:5d}  {_number(train.loss):>10}  {train.accuracy:9.4f}"
        f"  {_number(validation.loss):>8}"
        f"  {validation.accuracy:7.4f}  {seconds:7.1f}"
    )
    sys.stdout.flush()  # a log file shows the epochs that are done


def _number(loss: float) -> str:
    return f"{loss:.4f}" if loss < 100 else f"{loss:.2g}"  # a column's width even if it explodes


def _finish(
    model: nn.Module, data: datasets.Dataset, history: History, options: argparse.Namespace
) -> None:
    if history.interrupted:
        more = "; the same command with --resume goes on" if options.out else ""
        print(f"interrupted after epoch {len(history.epochs)}{more}")
    elif options.epochs > 1:
        print(f"\n{terminal_curve(history.validation_accuracy)}")
    if options.out and not history.interrupted:
        _write(model, history, options)
    if options.test:
        result = training.evaluate(model, data.test)
        print(f"test: loss {result.loss:.4f}, accuracy {result.accuracy:.4f}")


def terminal_curve(values: Sequence[float], name: str = "validation accuracy") -> str:
    """Draw numbers against their epoch with characters, the largest at the top.

    Examples
    --------
    >>> print(terminal_curve([0.5, 0.8, 0.9]))
    validation accuracy
    0.900 |  o
          | o
          |
          |
          |
    0.500 |o
          +---
           epoch 1 to 3
    """
    low, high, width = min(values), max(values), min(len(values), WIDTH)
    shown = [values[(i + 1) * len(values) // width - 1] for i in range(width)]
    levels = [round((value - low) / ((high - low) or 1) * (HEIGHT - 1)) for value in shown]
    rows = ["".join("o" if at == row else " " for at in levels) for row in range(HEIGHT)]
    marks = [f"{low:.3f}", *[" " * 5] * (HEIGHT - 2), f"{high:.3f}"]
    lines = [f"{mark} |{row}".rstrip() for mark, row in zip(marks, rows, strict=True)]
    foot = [f"{'':5} +{'-' * width}", f"{'':7}epoch 1 to {len(values)}"]
    return "\n".join([name, *reversed(lines), *foot])


def _write(model: nn.Module, history: History, options: argparse.Namespace) -> None:
    """Write the history as a table and as a picture, and the weights."""
    with (options.out / "history.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["epoch", *MEASURES])
        columns = [getattr(history, name) for name in MEASURES]
        table.writerows(zip(count(1), *columns, strict=False))
    figure = plots.training_curves({options.model: history})
    figure.savefig(options.out / "curve.png")
    about = {name: str(getattr(options, name)) for name in ("model", "data", "epochs", "seed")}
    about["validation_accuracy"] = f"{history.validation_accuracy[-1]:.4f}"
    weights = {name: x.cpu().contiguous() for name, x in model.state_dict().items()}
    write_whole(options.out / "weights.safetensors", save(weights, metadata=about))
    print(f"\n{options.out} holds weights.safetensors, history.csv, curve.png and {CHECKPOINT}")


if __name__ == "__main__":
    from cnncourse import cli

    sys.exit(cli.main(["train", *sys.argv[1:]]))
