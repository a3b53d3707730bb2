"""Pictures, models to train, a short training that shows what one is worth, loops with a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnncourse.checks.run import Operators
from cnncourse.datasets import Split, load_part

TRAINED, HELD_BACK, TESTS = 800, 500, 10_000
EPOCHS, BATCH, RATE, MOMENTUM, WARM_UP = 3, 20, 0.02, 0.9, 0.4


def pictures(first: int, count: int) -> Tensor:
    """Load pictures of Fashion-MNIST, (count, 1, 28, 28); to load all takes most of a second."""
    return load_part("fashion_mnist", first, count).images


def labels(first: int, count: int) -> Tensor:
    """Load the labels of these pictures, (count,) in 0..9."""
    return load_part("fashion_mnist", first, count).labels


def held_back(first: int) -> Split:
    """Load pictures of the test images: where a notebook is graded, their labels are not there."""
    return load_part("fashion_mnist", first, HELD_BACK, "t10k")


def try_model(answer: Callable, first: int) -> object:
    """Build a model, look at its forward pass, train it briefly and ask it about new pictures.

    Parameters
    ----------
    answer : callable
        Gives the model.
    first : int
        Place of the new pictures among the test images.

    Returns
    -------
    tuple, or str where there is no model, the type of what came instead
        Number of parameters, shape of the logits of two pictures, names of the operators that
        made them, predicted labels of the pictures held back.
    """
    model = answer()
    if not isinstance(model, nn.Module):
        return type(model).__name__
    model.eval()
    used: list[str] = []
    with torch.no_grad(), Operators(used.append):
        logits = model(pictures(0, 2))
    parameters = sum(weight.numel() for weight in model.parameters())
    if tuple(logits.shape) == (2, 10):
        _train_briefly(model)
    return parameters, tuple(logits.shape), tuple(map(_short, used)), _predict(model, first)


def _short(operator: str) -> str:
    """Name an operator without its namespace and the marks of its variants."""
    return operator.removeprefix("aten::").strip("_")


def _train_briefly(model: nn.Module) -> None:
    """Descend with Nesterov's momentum; the size of the steps rises, then falls to nothing.

    Written out, because the first use of ``torch.optim`` in a process takes seconds.
    """
    x, y = pictures(0, TRAINED), labels(0, TRAINED)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    speeds = [torch.zeros_like(weight) for weight in weights]
    batches = _shuffled()
    model.train()
    for step, batch in enumerate(batches):
        model.zero_grad()
        cross_entropy(model(x[batch]), y[batch]).backward()
        done = (step + 1) / len(batches)
        _descend(weights, speeds, RATE * min(done / WARM_UP, (1 - done) / (1 - WARM_UP)))


def _shuffled() -> list[Tensor]:
    shuffle = torch.Generator().manual_seed(0)
    epochs = [torch.randperm(TRAINED, generator=shuffle).split(BATCH) for _ in range(EPOCHS)]
    return [batch for epoch in epochs for batch in epoch]


@torch.no_grad()
def _descend(weights: list[nn.Parameter], speeds: list[Tensor], rate: float) -> None:
    for weight, speed in zip(weights, speeds, strict=True):
        if weight.grad is not None:
            speed.mul_(MOMENTUM).add_(weight.grad)
            weight.sub_(rate * (weight.grad + MOMENTUM * speed))


def _predict(model: nn.Module, first: int) -> Tensor:
    model.eval()
    with torch.no_grad():
        return model(held_back(first).images).argmax(1)


def perceptron(
    height: int, width: int, hidden: int, classes: int, seed: int, *more: nn.Module
) -> nn.Module:
    """Build a network with one hidden layer; ``more`` layers, if any, work on its units."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, last = nn.Linear(height * width, hidden), nn.Linear(hidden, classes)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), *more, last)


def forgetful(height: int, width: int, hidden: int, classes: int, seed: int) -> nn.Module:
    """Build a network that drops a fifth of its hidden units while it is trained."""
    return perceptron(height, width, hidden, classes, seed, nn.Dropout(0.2))


def train_on(answer: Callable, model: nn.Module, x: Tensor, y: Tensor) -> tuple:
    """Hand a model to the answer, and look at what became of it.

    Parameters
    ----------
    answer : callable
        ``answer(model, x, y)`` trains the model in place; what it returns does not matter.
    model : nn.Module
        Maps pictures to logits.
    x, y : Tensor
        Pictures and labels.

    Returns
    -------
    tuple
        Whether a weight changed, whether all logits are finite, predicted labels.
    """
    before = [weight.detach().clone() for weight in model.parameters()]
    answer(model, x, y)
    pairs = zip(before, model.parameters(), strict=True)
    changed = not all(torch.equal(old, new) for old, new in pairs)
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return changed, bool(logits.isfinite().all()), logits.argmax(1)


Pairs = tuple[Tensor, Tensor]


class Parts(NamedTuple):
    """What a training loop is made of."""

    weights: Callable[[nn.Module], list[nn.Parameter]]
    batches: Callable[[Tensor, Tensor, int], Iterator[Pairs]]
    clear: Callable[[nn.Module], None]
    loss: Callable[[Tensor, Tensor], Tensor]
    measure: Callable[[nn.Module, Tensor, Tensor], float]
    report: Callable[[list[float]], float]


def _accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return (model(x).argmax(1) == y).double().mean().item()


def _evaluated(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    return _accuracy(model, x, y)


def _together(x: Tensor, y: Tensor, size: int) -> Iterator[Pairs]:
    for batch in torch.randperm(len(x)).split(size):
        yield x[batch], y[batch]


def _apart(x: Tensor, y: Tensor, size: int) -> Iterator[Pairs]:
    orders = torch.randperm(len(x)).split(size), torch.randperm(len(y)).split(size)
    for one, other in zip(*orders, strict=True):
        yield x[one], y[other]


RIGHT = Parts(
    weights=lambda model: list(model.parameters()),
    batches=_together,
    clear=nn.Module.zero_grad,
    loss=cross_entropy,
    measure=_evaluated,
    report=lambda accuracies: accuracies[-1],
)
FAULTY = {
    "nothing": RIGHT,
    "gradients": RIGHT._replace(clear=lambda model: None),
    "softmax": RIGHT._replace(loss=lambda logits, y: cross_entropy(logits.softmax(1), y)),
    "labels": RIGHT._replace(batches=_apart),
    "layers": RIGHT._replace(weights=lambda model: list(model[-1].parameters())),
    "mode": RIGHT._replace(measure=_accuracy),
    "choice": RIGHT._replace(report=max),
}


def loop(fault: str, rate: float, batch_size: int, training: bool) -> Callable[..., float]:
    """Return a training loop with one fault; ``fault`` may be "nothing".

    The mode in which it leaves the model is ``training``: it says nothing of the fault.
    """
    parts = FAULTY[fault]

    def train(model: nn.Module, data: Pairs, test: Pairs, epochs: int) -> float:
        weights, accuracies = parts.weights(model), []
        speeds = [torch.zeros_like(weight) for weight in weights]
        for _ in range(epochs):
            model.train()
            for x, y in parts.batches(*data, batch_size):
                parts.clear(model)
                parts.loss(model(x), y).backward()
                _descend(weights, speeds, rate)
            accuracies.append(parts.measure(model, *test))
        model.train(training)
        return parts.report(accuracies)

    return train
