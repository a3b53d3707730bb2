"""What a training gives back: numbers of each epoch, or the step at which it failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor

# The letter n is local to a split, so training and validation may differ in length.
Pair = tuple[Float[Tensor, "_n ..."], Int64[Tensor, " _n"]]


class Evaluation(NamedTuple):
    """Mean cross-entropy in nats, and the fraction of right answers in [0, 1]."""

    loss: float
    accuracy: float


class Epoch(NamedTuple):
    """What one pass over the training split gave: two evaluations and the wall time in seconds."""

    train: Evaluation
    validation: Evaluation | None
    seconds: float


@dataclass
class History:
    """The epochs of one training run, oldest first.

    The training numbers are means over the epoch's batches, each taken before that batch's update:
    they cost nothing, and they lag behind what the final weights of the epoch would give.
    The validation lists are empty when ``fit`` had no validation split. ``seconds`` is the wall
    time of each epoch, validation included.
    """

    epochs: list[Epoch] = field(default_factory=list)
    interrupted: bool = False

    @property
    def train_loss(self) -> list[float]:
        """Mean training loss in nats, one number an epoch."""
        return [epoch.train.loss for epoch in self.epochs]

    @property
    def train_accuracy(self) -> list[float]:
        """Training accuracy in [0, 1], one number an epoch."""
        return [epoch.train.accuracy for epoch in self.epochs]

    @property
    def validation_loss(self) -> list[float]:
        """Validation loss in nats after each epoch."""
        return [epoch.validation.loss for epoch in self.epochs if epoch.validation]

    @property
    def validation_accuracy(self) -> list[float]:
        """Validation accuracy in [0, 1] after each epoch."""
        return [epoch.validation.accuracy for epoch in self.epochs if epoch.validation]

    @property
    def seconds(self) -> list[float]:
        """Wall time of each epoch in seconds."""
        return [epoch.seconds for epoch in self.epochs]


class DivergenceError(RuntimeError):
    """The training loss is no longer a finite number; ``history`` holds the epochs before it."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history
