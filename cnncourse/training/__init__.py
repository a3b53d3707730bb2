"""The training loop, and one file for each thing that complicates it.

``loop`` is what a reader reads: shuffle, forward, loss, backward, step. ``fast`` makes the step
faster, ``checkpoint`` lets a run go on after its process died, ``shared`` lets several processes
share each batch, ``history`` is what comes back.

Not handled, on purpose: data larger than memory, and any task but classification.
"""

from cnncourse.training.checkpoint import CheckpointError
from cnncourse.training.fast import Switches
from cnncourse.training.history import DivergenceError, Epoch, Evaluation, History, Pair
from cnncourse.training.loop import SGD, evaluate, fit, predict, seed_everything

__all__ = [
    "SGD",
    "CheckpointError",
    "DivergenceError",
    "Epoch",
    "Evaluation",
    "History",
    "Pair",
    "Switches",
    "evaluate",
    "fit",
    "predict",
    "seed_everything",
]
