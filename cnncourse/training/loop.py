"""The training loop: shuffle, forward, loss, backward, step, and nothing else.

The data fit in memory, so they move to the device once and a batch is an indexing operation. The
shuffle comes from a generator on the CPU, so a CPU and a GPU see the same batches in one order.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from cnncourse._arguments import check_integer, check_tensor
from cnncourse.training import fast, shared
from cnncourse.training.checkpoint import Run, keeper, recipe_of
from cnncourse.training.fast import Forward, Scores, Step, Switches
from cnncourse.training.history import DivergenceError, Epoch, Evaluation, History, Pair
from cnncourse.training.shared import Place

SGD = partial(torch.optim.SGD, lr=0.1)


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's random generators, those of every GPU included.

    Equal seeds give equal weights and equal batches. They do not make a GPU's sums bit for bit
    equal: some of its kernels add in an order that changes from run to run. ``seed`` is 0 to
    2**32 - 1, the range NumPy accepts.

    Examples
    --------
    >>> seed_everything(0); first = torch.rand(3)
    >>> seed_everything(0); torch.equal(first, torch.rand(3))
    True
    """
    check_integer("seed", seed, 0)
    if seed >= 2**32:
        raise ValueError(f"`seed` must be at most 2**32 - 1, got {seed}")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 -- libraries of the reader may draw from this generator
    torch.manual_seed(seed)


def fit(
    model: nn.Module,
    train: Pair,
    validation: Pair | None = None,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    optimizer: Callable[..., Optimizer] = SGD,
    schedule: Callable[..., LRScheduler] | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    progress: bool | None = None,
    after_epoch: Callable[[Epoch], object] | None = None,
    switches: Switches = fast.OFF,
    checkpoint: str | Path | None = None,
) -> History:
    """Train a classifier in place by minibatch descent on the cross-entropy.

    Each step draws a batch B without replacement and updates the weights w by
    ``w <- w - lr * grad (1/|B|) sum_{i in B} -log softmax(model(x_i))[y_i]``
    (or by the rule of another optimizer). The last batch of an epoch may be short; it is kept.
    Ctrl-C stops early and returns the finished epochs; the model keeps the weights it has.

    Parameters
    ----------
    model : nn.Module
        From images to logits (n, classes). Afterwards it is on ``device``, in the mode it was in.
        Wrapped in ``DistributedDataParallel``, it is trained by several processes.
    train, validation : pair of tensors
        Images, float, (n, ...); labels, int64, (n,), 0 <= label < classes.
    optimizer : callable
        Called as ``optimizer(model.parameters())``. Default: plain gradient descent, step 0.1.
    schedule : callable, optional
        Called as ``schedule(optimizer, total_steps=...)`` and stepped after every batch, for
        example ``partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1)``.
    device : str or torch.device, optional
        Default: the GPU where there is one, else the CPU.
    seed : int
        Seeds the shuffle alone; ``seed_everything`` before the model is built seeds the rest.
    progress : bool, optional
        Default: a bar on the terminal, none in a notebook, a test or a log file.
    after_epoch : callable, optional
        Called with each `Epoch` when it ends.
    switches : Switches
        What makes a step faster. One that the device lacks stays off, with a warning.
    checkpoint : path, optional
        A file that is written after each epoch. If it is there already, the same call goes on
        where it ends: with the same model, data and settings, the weights are those of a run that
        was never stopped, bit for bit on a CPU.

    Raises
    ------
    CheckpointError
        If the file is damaged or belongs to another run. It stays as it is.
    DivergenceError
        If the loss is no longer a finite number; looked at once an epoch, because each look waits
        for the GPU.

    Examples
    --------
    >>> seed_everything(0)
    >>> images = torch.randn(200, 1, 4, 4)
    >>> labels = (images.mean(dim=(1, 2, 3)) > 0).long()
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    >>> history = fit(model, (images, labels), epochs=20, batch_size=20, device="cpu")
    >>> history.train_accuracy[-1] > 0.95
    True
    """
    check_integer("epochs", epochs, 1)
    check_integer("seed", seed, 0)
    check_integer("batch_size", batch_size, 1)
    device = _device(device)
    _check_model(model, optimizer, schedule, switches)
    model.to(device)
    place, net = shared.place_of(model), shared.unwrapped(model)
    train = _prepare("train", train, net, device)
    validation = validation and _prepare("validation", validation, net, device)
    switches = fast.usable(switches, net, train[0], place.size)
    with fast.laid_out(net, train, switches.channels_last) as train:
        steps = -(-len(train[0]) // batch_size)
        run = _begin(net, optimizer, schedule, epochs * steps, seed, switches, place)
        step = _step_of(run, model, train, switches, batch_size)
        settings = {"epochs": epochs, "batch_size": batch_size, "seed": seed, **asdict(switches)}
        keep = keeper(checkpoint, run, recipe_of(run, train, validation, settings), steps)
        shared.draw_apart(place)
        with _stoppable(run, epochs * steps, progress) as bar:
            bar.update(len(run.history.epochs) * steps)
            while len(run.history.epochs) < epochs:
                order = torch.randperm(len(train[0]), generator=run.generator).to(device)
                epoch = _one_epoch(run, step, train, validation, order.split(batch_size), bar)
                run.history.epochs.append(epoch)
                keep()
                bar.set_postfix(_summary(run.history))
                if after_epoch is not None:
                    after_epoch(epoch)
    return run.history


def _begin(
    model: nn.Module,
    optimizer: Callable[..., Optimizer],
    schedule: Callable[..., LRScheduler] | None,
    total: int,
    seed: int,
    switches: Switches,
    place: Place,
) -> Run:
    descent = optimizer(model.parameters())
    return Run(
        model,
        descent,
        schedule(descent, total_steps=total) if schedule else None,
        fast.scaler_for(model, switches),
        torch.Generator().manual_seed(seed),
        History(),
        place,
    )


@contextmanager
def _stoppable(run: Run, total: int, progress: bool | None) -> Iterator[tqdm]:
    """Show a bar, let Ctrl-C end the loop, and leave the model in the mode it was in."""
    mode = run.model.training
    # With disable=None tqdm itself stays silent where standard error is not a terminal.
    bar = tqdm(total=total, unit="step", disable=None if progress is None else not progress)
    try:
        yield bar
    except KeyboardInterrupt:
        run.history.interrupted = True
    finally:
        run.model.train(mode)
        bar.close()


def _one_epoch(
    run: Run,
    step: Step,
    train: Pair,
    validation: Pair | None,
    batches: tuple[Int64[Tensor, " _n"], ...],
    bar: tqdm,
) -> Epoch:
    start = time.perf_counter()
    losses, rates, right = _train_epoch(run, step, batches, bar)
    losses, right = shared.together(run.place, losses, right)
    measured = validation and _score(predict(run.model, validation[0]), validation[1])
    # The first number that is read waits for the GPU; then all the others are there too.
    means, sizes = losses.cpu(), torch.tensor([len(batch) for batch in batches])
    _check_finite(means, rates, train[0], run.history)
    n = len(train[0])
    trained = Evaluation((means * sizes).sum().item() / n, right.item() / n)
    validated = measured and _read(*measured, len(validation[0]))
    return Epoch(trained, validated, time.perf_counter() - start)


def _train_epoch(
    run: Run, step: Step, batches: tuple[Int64[Tensor, " _n"], ...], bar: tqdm
) -> tuple[Float[Tensor, " steps"], list[float | Tensor], Int64[Tensor, ""]]:
    """Update the weights once a batch; return the losses and rates met on the way, and the hits."""
    run.model.train()
    # Kept as tensors: reading a number here would make every step wait for the GPU.
    losses, rates, right = [], [], torch.zeros((), dtype=torch.int64, device=batches[0].device)
    for batch in batches:
        rates.append(run.optimizer.param_groups[0]["lr"])
        loss, hits = step(batch)
        if run.scheduler is not None:
            run.scheduler.step()
        losses.append(loss)
        right += hits
        bar.update()
    return torch.stack(losses), rates, right


def _step_of(run: Run, model: nn.Module, train: Pair, switches: Switches, batch_size: int) -> Step:
    """Return what updates the weights on one batch, given as a list of places in the split."""
    forward = _forward if run.place.size == 1 else shared.forward
    if switches == replace(fast.OFF, channels_last=switches.channels_last):
        return partial(_step, partial(forward, model, train), run.optimizer)
    return fast.faster(switches, forward, model, train, run.optimizer, run.scaler, batch_size)


def _step(forward: Forward, optimizer: Optimizer, batch: Int64[Tensor, " n"]) -> Scores:
    """Make one plain step."""
    loss, hits = forward(batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach(), hits


def _forward(model: nn.Module, train: Pair, batch: Int64[Tensor, " n"]) -> Scores:
    """Return the mean loss of a batch, and how many of its images are answered right."""
    images, labels = train
    x, y = images.index_select(0, batch), labels.index_select(0, batch)
    return _score(model(x), y)


def predict(
    model: nn.Module, images: Float[Tensor, "n ..."], *, batch_size: int = 1000
) -> Float[Tensor, "n classes"]:
    """Compute the logits of many images, batch by batch, in evaluation mode and without gradients.

    Each batch moves to the device of ``model``, and the logits back to that of ``images``.
    ``batch_size`` bounds the memory; the logits do not depend on it beyond rounding.

    Examples
    --------
    >>> predict(nn.Flatten(), torch.zeros(5, 1, 2, 3), batch_size=2).shape
    torch.Size([5, 6])
    """
    check_integer("batch_size", batch_size, 1)
    _check_images("images", images)
    parameter = next(model.parameters(), images)
    mode = model.training
    model.eval()
    try:
        with torch.no_grad():
            parts = [model(x.to(parameter.device)) for x in images.split(batch_size)]
    finally:
        model.train(mode)
    return torch.cat(parts).to(images.device)


def evaluate(model: nn.Module, split: Pair, *, batch_size: int = 1000) -> Evaluation:
    """Measure the mean cross-entropy and the accuracy of a classifier on a split.

    ``loss = (1/n) sum_i -log softmax(model(x_i))[y_i]``; on a tie between logits the lowest class
    counts as the answer. ``split`` is a pair of images and labels as in ``fit``.

    Examples
    --------
    >>> images, labels = torch.eye(4).reshape(4, 1, 2, 2), torch.tensor([0, 1, 2, 0])
    >>> evaluate(nn.Flatten(), (images, labels)).accuracy
    0.75
    """
    images, labels = _check_split("split", split)
    logits = predict(model, images, batch_size=batch_size)
    _check_logits("split", logits, labels)
    return _read(*_score(logits, labels), len(labels))


def _score(
    logits: Float[Tensor, "n classes"], labels: Int64[Tensor, " n"]
) -> tuple[Float[Tensor, ""], Int64[Tensor, ""]]:
    """Return mean loss and hits, as tensors so that nothing waits for the GPU."""
    return cross_entropy(logits, labels), (logits.argmax(dim=1) == labels).sum()


def _read(loss: Float[Tensor, ""], hits: Int64[Tensor, ""], n: int) -> Evaluation:
    return Evaluation(loss.item(), hits.item() / n)


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device)
    except RuntimeError:  # whose message lists every device of every vendor
        raise ValueError(f"`device` must be cpu, cuda or cuda:1, say, got {device!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"`device` must be one this machine has, got {device} without a GPU")
    return device


def _summary(history: History) -> dict[str, int | float]:
    last = history.epochs[-1]
    name, shown = ("validation", last.validation) if last.validation else ("train", last.train)
    return {"epoch": len(history.epochs), f"{name} accuracy": round(shown.accuracy, 3)}


def _check_model(model: nn.Module, optimizer: object, schedule: object, switches: object) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"`model` must be a torch.nn.Module, got {type(model).__name__}")
    for name, value in {"optimizer": optimizer, "schedule": schedule}.items():
        if not (callable(value) or (name == "schedule" and value is None)):
            raise TypeError(
                f"`{name}` must be a callable that builds one, such as "
                f"functools.partial(torch.optim.SGD, lr=0.1), got a {type(value).__name__}"
            )
    if not isinstance(switches, Switches):
        raise TypeError(f"`switches` must be Switches, got {type(switches).__name__}")


def _check_images(name: str, images: Tensor) -> None:
    check_tensor(name, images, "...")
    if images.ndim < 2 or len(images) == 0:
        raise ValueError(
            f"`{name}` must have shape (n, ...) with n at least 1, got {tuple(images.shape)}"
        )


def _check_split(name: str, split: Pair) -> Pair:
    if not isinstance(split, (tuple, list)) or len(split) != 2:
        raise TypeError(f"`{name}` must be a pair (images, labels), got {type(split).__name__}")
    images, labels = split
    _check_images(f"{name} images", images)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        kind = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"`{name} labels` must be an int64 torch.Tensor, got {kind}")
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"`{name}` must hold one label for each image: labels of shape ({len(images)},), "
            f"got {tuple(labels.shape)}"
        )
    return images, labels


def _check_logits(name: str, logits: Tensor, labels: Tensor) -> None:
    if logits.ndim != 2:
        raise ValueError(
            f"`model` must return logits of shape (n, classes), got {tuple(logits.shape)}"
        )
    classes, low, high = logits.shape[1], labels.min().item(), labels.max().item()
    if low < 0 or high >= classes:
        raise ValueError(
            f"`{name} labels` must be in 0..{classes - 1}, one for each of the model's {classes} "
            f"outputs, got {low}..{high}"
        )


def _prepare(name: str, split: Pair, model: nn.Module, device: torch.device) -> Pair:
    """Check a split against the model on one image, and move it to the device."""
    images, labels = _check_split(name, split)
    # One image also gives a model of lazy layers its weights, before the optimizer asks for them.
    _check_logits(name, predict(model, images[:1].to(device)), labels)
    return images.to(device), labels.to(device)


def _check_finite(
    losses: Float[Tensor, " steps"], rates: list[float | Tensor], images: Tensor, history: History
) -> None:
    """Name the first step of the epoch whose loss is not a finite number."""
    if losses.isfinite().all():
        return
    step, epoch = int(losses.isfinite().logical_not().nonzero()[0]), len(history.epochs) + 1
    if not images.isfinite().all():
        advice = "the training images hold values that are not finite; look at the data first"
    elif step == 0 and epoch == 1:
        advice = "no update came before it, so look at the initial weights and the model"
    else:
        advice = "try a tenth of the learning rate, or a warm-up schedule"
    raise DivergenceError(
        f"the loss is {losses[step]} at epoch {epoch}, step {step + 1} of {len(losses)}, "
        f"with learning rate {rates[step]:g}: {advice}",
        history,
    )
