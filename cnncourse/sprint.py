"""Training in a second: a small network for digits, and a loop in which each shortcut has a switch.

With the defaults of `Plan`, two CPU cores need about a second until 99 of 100 digits are read. What
a switch is worth, a run without it tells: ``experiments/ladder.py`` has those runs.

Not handled: pictures of another size than 28 x 28, and a GPU.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnncourse._arguments import check_choice, check_integer, check_tensor
from cnncourse.lenet import ModernLeNet
from cnncourse.training import Pair, seed_everything

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
RULES = ("plain", "momentum", "orthogonal")
MOMENTUM = {"plain": 0.0, "momentum": 0.9, "orthogonal": 0.9}
FILTER_MOMENTUM = 0.6  # of steps that are orthogonalized
WARM_UP = 0.02  # of the steps
NORM_MEMORY = 0.2  # how fast running statistics follow: there are few steps


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does; the defaults are the fastest plan found.

    Parameters
    ----------
    network : str
        ``small`` is `small_reader`, ``lenet`` is LeNet with ReLU, max-pooling and He's weights.
    side : int
        Height and width of what the small network sees of 28 x 28 pixels; see `RandomCrop`.
    channels_last : bool
        Whether the numbers of one pixel stand side by side in memory.
    precision : str
        In which layers multiply: ``float32`` or ``bfloat16``.
    rule : str
        Of the step: ``plain``, Nesterov's ``momentum``, or ``orthogonal``; see `Descent`.
    lr : float
        The largest rate of a step.
    falling : bool
        Whether the rate rises for 2 % of the steps and then falls to zero, or stays.
    smoothing : float
        The part of the right answer that the loss spreads over all ten.
    batch_size : int
        Pictures a step.
    passes, hard : float
        Steps, in passes over the data: over all pictures in random order, then over those that had
        the largest losses of their batches.
    """

    network: str = "small"
    side: int = 24
    channels_last: bool = True
    precision: str = "bfloat16"
    rule: str = "orthogonal"
    lr: float = 0.1
    falling: bool = True
    smoothing: float = 0.1
    batch_size: int = 128
    passes: float = 0.45
    hard: float = 0.15

    def __post_init__(self) -> None:
        check_choice("network", self.network, ("small", "lenet"))
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("rule", self.rule, RULES)
        check_integer("batch_size", self.batch_size, 2)
        for name in ("lr", "passes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be above 0, got {getattr(self, name)}")


PLAN = Plan()


class RandomCrop(nn.Module):
    """Cut one square out of all images of a batch: at a random place, in evaluation in the middle.

    Examples
    --------
    >>> x = torch.arange(16.0).view(1, 1, 4, 4)
    >>> RandomCrop(2).eval()(x)
    tensor([[[[ 5.,  6.],
              [ 9., 10.]]]])
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = check_integer("side", side, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c out_h out_w"]:
        """Crop."""
        free = [size - self.side for size in x.shape[2:]]
        if min(free) < 0:
            raise ValueError(f"`x` must be at least {self.side} high and wide, got {x.shape}")
        top, left = (self.offset(room) for room in free)
        return x[:, :, top : top + self.side, left : left + self.side]

    def offset(self, room: int) -> int:
        """Choose how many pixels to leave out before the square."""
        return int(torch.randint(room + 1, ())) if self.training else room // 2


def small_reader(side: int = 24) -> nn.Sequential:
    """Build a network for digits of 28 x 28 pixels: 47,354 parameters for a side of 24.

    ======  ==========================================  =========
    name    layers                                      output
    ======  ==========================================  =========
    crop    a square of the picture                     1 24 24
    conv1   5x5 with stride 2, norm, ReLU               16 10 10
    conv2   3x3, norm, ReLU, max-pooling                32 4 4
    conv3   3x3, norm, ReLU                             128 2 2
    fc      dense, starts at zero                       10
    ======  ==========================================  =========

    Examples
    --------
    >>> net = small_reader()
    >>> net(torch.zeros(2, 1, 28, 28)).shape, sum(p.numel() for p in net.parameters())
    (torch.Size([2, 10]), 47354)
    """
    left = ((side - 5) // 2 + 1 - 2) // 2 - 2  # rows of the last output
    fc = nn.Linear(128 * left * left, 10)
    for weight in fc.parameters():
        nn.init.zeros_(weight)  # at first all answers are equally likely
    layers = OrderedDict(
        crop=RandomCrop(side),
        conv1=normed(1, 16, kernel_size=5, stride=2),
        conv2=nn.Sequential(*normed(16, 32), nn.MaxPool2d(2)),
        conv3=normed(32, 128),
        flatten=nn.Flatten(),
        fc=fc,
    )
    return nn.Sequential(layers)


def normed(c: int, o: int, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """Build a convolution without padding, its normalization and ReLU.

    Examples
    --------
    >>> normed(1, 16, kernel_size=5, stride=2)(torch.zeros(2, 1, 24, 24)).shape
    torch.Size([2, 16, 10, 10])
    """
    conv = nn.Conv2d(c, o, kernel_size, stride, bias=False)  # the normalization adds its own
    return nn.Sequential(conv, nn.BatchNorm2d(o, momentum=NORM_MEMORY), nn.ReLU())


def orthogonalize(matrix: Float[Tensor, "o _"], steps: int = 3) -> Float[Tensor, "o _"]:
    """Bring all singular values of a matrix near one, and keep its directions.

    The matrix is divided by its norm. Then come steps of Newton and Schulz, ``x = a x + b (x x^T) x
    + c (x x^T)^2 x``, which need products of matrices and no decomposition. With the coefficients
    of Jordan (2024) small values grow fast, and all end somewhere about one.

    Examples
    --------
    >>> orthogonalize(torch.diag(torch.tensor([3.0, 1.0])), steps=5).svd().S > 0.6
    tensor([True, True])
    """
    check_tensor("matrix", matrix, "rows columns")
    if len(matrix) > matrix.shape[1]:  # the smaller of the two products
        return orthogonalize(matrix.T, steps).T
    x = matrix / (matrix.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x


class Descent:
    """Update weights by a rule that is written out; a rate comes with each step.

    ``v = momentum v + g`` and ``weight -= rate (g + momentum v)``, which is Nesterov's momentum as
    torch.optim has it, and plain descent for a momentum of zero. Under the orthogonal rule the step
    of filters goes through `orthogonalize`, as a matrix with one row a filter. Then they get their
    length back: in front of a normalization only the direction counts, and a step turns short
    weights further than long ones.

    The first optimizer of torch.optim in a process loads the compiler of torch, which takes longer
    than the training here; hence this one.
    """

    def __init__(self, weights: Iterable[nn.Parameter], rule: str) -> None:
        check_choice("rule", rule, RULES)
        self.weights = list(weights)
        self.filters = [rule == "orthogonal" and weight.ndim == 4 for weight in self.weights]
        self.momentum = [FILTER_MOMENTUM if on else MOMENTUM[rule] for on in self.filters]
        self.velocities = [torch.zeros_like(weight) for weight in self.weights]
        self.lengths = [weight.detach().norm() for weight in self.weights]

    @torch.no_grad()
    def __call__(self, rate: float) -> None:
        """Make a step with the gradients that are there, and take them away."""
        for k, weight in enumerate(self.weights):
            self.velocities[k].mul_(self.momentum[k]).add_(weight.grad)
            step = weight.grad + self.momentum[k] * self.velocities[k]
            if self.filters[k]:
                weight -= rate * orthogonalize(step.flatten(1)).view_as(step)
                weight *= self.lengths[k] / weight.norm()
            else:
                weight -= rate * step
            weight.grad = None


def rate_at(step: int, steps: int) -> float:
    """Return the part of the largest rate: it rises over the first steps and falls to zero.

    Examples
    --------
    >>> [rate_at(step, 100) for step in (0, 1, 51, 99)]
    [0.5, 1.0, 0.5, 0.01...]
    """
    rising = max(1, round(WARM_UP * steps))
    return min((step + 1) / rising, (steps - step) / max(1, steps - rising))


def sprint(train: Pair, plan: Plan = PLAN, seed: int = 0) -> nn.Sequential:
    """Train a new network by a plan, on the CPU.

    Examples
    --------
    >>> from cnncourse.datasets import load_mnist
    >>> net = sprint(load_mnist().train, Plan(passes=0.02, hard=0.0))
    >>> net(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    images, labels = train
    seed_everything(seed)
    net = build(plan).train()
    first, second = steps_of(plan, len(labels))
    rates = iter(rates_of(plan, first + second))
    descent = Descent(net.parameters(), plan.rule)

    def step(batch: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
        losses = losses_of(net, images[batch], labels[batch], plan)
        losses.mean().backward()
        descent(next(rates))
        return losses.detach()

    batches = random_batches(len(labels), plan.batch_size, first)
    losses = [step(batch) for batch in batches]
    for batch in hardest(batches, losses, second):
        step(batch)
    return net.to(memory_format=torch.contiguous_format).eval()


def build(plan: Plan) -> nn.Sequential:
    """Build the network of a plan, its weights in the order that the plan asks for."""
    net = ModernLeNet() if plan.network == "lenet" else small_reader(plan.side)
    return net.to(memory_format=torch.channels_last) if plan.channels_last else net


def steps_of(plan: Plan, pictures: int) -> tuple[int, int]:
    """Return the number of steps of the first part of a run and of the second."""
    whole = pictures / plan.batch_size
    return max(1, round(plan.passes * whole)), round(plan.hard * whole)


def rates_of(plan: Plan, steps: int) -> list[float]:
    """Return the rate of every step."""
    return [plan.lr * (rate_at(step, steps) if plan.falling else 1) for step in range(steps)]


def random_batches(pictures: int, size: int, steps: int) -> tuple[Int64[Tensor, " n"], ...]:
    """Shuffle the pictures anew for each pass, and cut the passes into batches.

    Examples
    --------
    >>> [len(batch) for batch in random_batches(pictures=5, size=2, steps=4)]
    [2, 2, 2, 2]
    """
    passes = -(-steps * size // pictures)
    order = torch.cat([torch.randperm(pictures) for _ in range(passes)])
    return order.split(size)[:steps]


def losses_of(
    net: nn.Module, x: Float[Tensor, "n 1 h w"], y: Int64[Tensor, " n"], plan: Plan
) -> Float[Tensor, " n"]:
    """Return the cross-entropy of each picture, with smoothed labels."""
    kind = PRECISIONS[plan.precision]
    with torch.autocast("cpu", kind, enabled=kind is not torch.float32):
        scores = net(x)
    return cross_entropy(scores.float(), y, reduction="none", label_smoothing=plan.smoothing)


def hardest(
    batches: Sequence[Int64[Tensor, " n"]], losses: Sequence[Float[Tensor, " n"]], steps: int
) -> tuple[Int64[Tensor, " n"], ...]:
    """Take the pictures with the largest losses out of every batch, and mix them to new batches.

    Examples
    --------
    >>> batches = [torch.tensor([0, 1]), torch.tensor([2, 3])]
    >>> losses = [torch.tensor([0.3, 0.1]), torch.tensor([0.2, 5.0])]
    >>> sorted(hardest(batches, losses, steps=1)[0].tolist())
    [0, 3]
    """
    size = len(batches[0])
    few = min(size, -(-steps * size // len(batches)))
    hard = [batch[loss.topk(few).indices] for batch, loss in zip(batches, losses, strict=True)]
    mixed = torch.cat(hard)
    return mixed[torch.randperm(len(mixed))].split(size)[:steps]
