"""A small network that is handed in trained, and the loss that expects some labels to be wrong."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import log_softmax, one_hot

from cnncourse.capstone import LIMIT
from cnncourse.checks.exercise import Case, Exercise, Measured, Mistake, decimals
from cnncourse.checks.given import capstone as given
from cnncourse.datasets import Split, load_fashion_mnist
from cnncourse.layer_table import LayerTable, layer_table
from cnncourse.records import load_trained
from cnncourse.training import evaluate

HIDDEN = 5000  # of the 10,000 test pictures, drawn by the secret
MULTIPLY_ADDS, ACTIVATIONS = 20_000_000, 4_000_000  # a picture; bytes
# Accuracy -> share of the points. Of 5,000 pictures, 0.92 has a standard error of 0.004.
STEPS = {0.80: 0.3, 0.85: 0.5, 0.88: 0.7, 0.90: 0.8, 0.91: 0.9, 0.92: 1.0}
LEAST = min(STEPS)
COPIED = 1e-3  # of each weight: twice what half precision loses


def hidden_pictures(random: Generator) -> list[Case]:
    """Draw which of the test pictures a network is asked about."""
    return [Case("test", torch.randint(2**31, (), generator=random).item())]


def validation_pictures(random: Generator) -> list[Case]:
    """Ask about all validation pictures, whatever the seed: the choice is made by these."""
    return [Case("validation", 0)]


def pictures(split: str, seed: int) -> Split:
    """Return the validation split, or a random half of the test split."""
    data = load_fashion_mnist()
    if split == "validation":
        return data.validation
    chosen = torch.randperm(len(data.test.labels), generator=torch.Generator().manual_seed(seed))
    return Split(*(part[chosen[:HIDDEN]] for part in data.test))


def judge_network(result: object, split: str, seed: int) -> str:
    """Say which of the requirements a network that was handed in misses first."""
    if not (isinstance(result, tuple) and len(result) == 2):
        missing_return = " Is `return` missing?" if result == "NoneType" else ""
        kind = f"a {result[:30]}" if isinstance(result, str) else "something else"
        return f"The answer returned {kind} where a network is expected.{missing_return}"
    try:
        return _too_large(_table(result)) or _copied(result) or _too_poor(result, split, seed)
    # Out of a sandbox may come anything that looks like a network.
    except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError) as error:
        return f"This network cannot be built and asked: {str(error)[:300]}"


def _table(result: tuple) -> LayerTable:
    """Count on a copy without numbers, which costs no memory, whatever its size."""
    with torch.device("meta"):
        return layer_table(given.build(result[0]), (1, 28, 28))


def _too_large(table: LayerTable) -> str:
    if (shape := table.rows[-1].output_shape) != (10,):
        return f"A picture must give logits of shape (10,); here it is {shape}."
    if table.parameters > LIMIT:
        return f"The network has {table.parameters:,} parameters; {LIMIT:,} are allowed."
    if table.multiply_adds > MULTIPLY_ADDS:
        return f"A picture takes {table.multiply_adds:,} multiply-adds; {MULTIPLY_ADDS:,} may be."
    if table.activation_bytes > ACTIVATIONS:
        return (
            f"The outputs of all layers have {table.activation_bytes:,} bytes for a picture; "
            f"{ACTIVATIONS:,} are allowed."
        )
    return ""


def _copied(result: tuple) -> str:
    ours = load_trained("capstone", "long")
    if result[0] != given.describe(ours):
        return ""
    pairs = zip(ours.state_dict().values(), result[1], strict=True)
    if all(torch.allclose(own, one.to(own.dtype), atol=COPIED) for own, one in pairs):
        return "These are the weights that the course ships. Train a network of your own."
    return ""


def _too_poor(result: tuple, split: str, seed: int) -> str:
    reached = accuracy(result, split, seed)
    if reached >= LEAST:
        return ""
    right = f"Of the {split} pictures {reached:.1%} are right; {LEAST:.0%} are the least."
    if reached >= 0.2:
        return right
    return f"{right} That is hardly more than guessing: are the trained weights in it?"


@lru_cache(maxsize=4)  # asked for the verdict, then for the measurement; a tensor is its own key
def accuracy(result: tuple, split: str, seed: int) -> float:
    """Build a network from data, and measure it."""
    net = given.with_weights(given.build(result[0]), result[1])
    return evaluate(net, pictures(split, seed)).accuracy


def measure_network(result: tuple, split: str, seed: int) -> Measured:
    """Count and measure a network that passes."""
    reached, table = accuracy(result, split, seed), _table(result)
    share = max(share for least, share in STEPS.items() if reached >= least)
    facts = (
        (f"{split} accuracy", f"{reached:.4f}"),
        ("parameters", f"{table.parameters:,}"),
        ("multiply-adds", f"{table.multiply_adds:,}"),
    )
    return Measured(share, facts)


def small_network() -> nn.Module:
    """Return the network that the course ships: what an answer is compared with by a reader."""
    return load_trained("capstone", "long")


SMALL_NETWORK = Exercise(
    name="small_network",
    signature="small_network()",
    title="The best network of 100,000 parameters",
    minutes=180,
    difficulty="hard",
    points=10,
    prerequisites=("a training loop", "batch normalization", "a validation split"),
    graded="parameters, and the accuracy on test pictures that you do not know, in steps",
    reference=small_network,
    cases=hidden_pictures,
    practice=validation_pictures,
    probe=given.hand_in,
    accepts=judge_network,
    measures=measure_network,
    hints=(
        "First make the way from the training to the check work, with a network that is trained "
        "for one epoch. Then make it better, one change at a time.",
        "Change one thing, train with two seeds or more, and look at the validation accuracy. A "
        "gain that is smaller than the difference between two seeds may be none.",
        "Batch normalization behind each convolution, a one-cycle schedule, and the mean of each "
        "channel before one dense layer. With these, a network of the chapter passes 0.92.",
    ),
)


def smoothed(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """Write labels as rows of shares: most for the right class, a little for every class."""
    return (1 - smoothing) * one_hot(labels, classes).double() + smoothing / classes


def mean_loss(logits: Tensor, target: Tensor, dim: int = 1) -> Tensor:
    """Compute the mean cross-entropy with rows of shares; another axis is a usual mistake."""
    return -(target * log_softmax(logits, dim)).sum(1).mean()


def smoothed_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Compute the mean cross-entropy with smoothed labels."""
    return mean_loss(logits, smoothed(labels, logits.shape[1], smoothing))


def _others_only(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Spread the smoothing over the other classes alone."""
    right = one_hot(labels, logits.shape[1]).double()
    others = smoothing / (logits.shape[1] - 1) * (1 - right)
    return mean_loss(logits, (1 - smoothing) * right + others)


def _own_term(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Leave out the terms of the other classes."""
    right = one_hot(labels, logits.shape[1])
    return mean_loss(logits, smoothed(labels, logits.shape[1], smoothing) * right)


def batches(random: Generator) -> list[Case]:
    """Draw logits for few and for many classes, some of them so large that exp overflows."""
    shapes = [(1, 2, 0.5), (2, 3, 0.3), (3, 5, 0.1), (7, 10, 0.2), (4, 10, 0.0), (5, 4, 1.0)]
    cases = [_batch(random, *one) for one in shapes]
    return [*cases, _batch(random, 3, 4, 0.1, scale=2000.0)]


def _batch(random: Generator, n: int, classes: int, smoothing: float, scale: float = 1.0) -> Case:
    labels = torch.randint(classes, (n,), generator=random)
    return Case(scale * decimals(random, n, classes), labels, smoothing)


SMOOTHED_LOSS = Exercise(
    name="smoothed_loss",
    signature="smoothed_loss(logits, labels, smoothing)",
    title="A loss that is never sure",
    minutes=25,
    difficulty="medium",
    points=3,
    prerequisites=("softmax and cross-entropy", "the logarithm of a sum of exponentials"),
    graded="the loss for batches of several sizes, also with logits in the thousands",
    reference=smoothed_loss,
    forbidden=("cross_entropy", "nll_loss", "kl_div", "CrossEntropyLoss"),
    cases=batches,
    mistakes=(
        Mistake(
            "The smoothing is spread over the wrong classes alone. The right class gets its share "
            "too: a tenth over ten classes leaves 0.91 for it.",
            _others_only,
        ),
        Mistake(
            "The smoothing is not there: this is the plain cross-entropy.",
            lambda logits, labels, smoothing: smoothed_loss(logits, labels, 0.0),
        ),
        Mistake(
            "The losses of the pictures are added. Take their mean.",
            lambda logits, labels, smoothing: (
                smoothed_loss(logits, labels, smoothing) * len(labels)
            ),
        ),
        Mistake(
            "Only the label's own part is there. The other classes have labels above 0 now, and "
            "their terms count.",
            _own_term,
        ),
        Mistake(
            "A softmax is applied before the logarithm of softmax: one of them is too many.",
            lambda logits, labels, smoothing: smoothed_loss(logits.softmax(1), labels, smoothing),
        ),
        Mistake(
            "The softmax runs over the pictures of the batch. It belongs over the classes, axis 1.",
            lambda logits, labels, smoothing: mean_loss(
                logits, smoothed(labels, logits.shape[1], smoothing), dim=0
            ),
        ),
        Mistake(
            "The sign is wrong: a loss falls when the right class becomes more probable.",
            lambda logits, labels, smoothing: -smoothed_loss(logits, labels, smoothing),
        ),
        Mistake(
            "Each picture's loss is divided by the number of classes too. Add over the classes, "
            "and take the mean over the pictures alone.",
            lambda logits, labels, smoothing: (
                smoothed_loss(logits, labels, smoothing) / logits.shape[1]
            ),
        ),
    ),
    hints=(
        "Write the smoothed labels first, a row for each picture: one minus the smoothing for the "
        "right class, and then the smoothing, divided by the number of classes, for every class.",
        "The loss of a picture is minus the sum, over the classes, of its smoothed label times the "
        "logarithm of the softmax. torch.log_softmax(logits, dim=1) stays finite.",
        "target = torch.full_like(logits, smoothing / logits.shape[1]); then "
        "target[torch.arange(len(labels)), labels] += 1 - smoothing.",
    ),
)

EXERCISES = (SMALL_NETWORK, SMOOTHED_LOSS)
