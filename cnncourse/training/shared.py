"""Several processes train one model, by torch's DistributedDataParallel: each takes its part.

Whoever starts the processes, such as ``torchrun``, wraps the model and calls `fit` in each of them.
A batch is that of one process: its size counts the pictures of all, and its gradient is the same
but for the order of the sum. A normalization over the batch sees the own part alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from cnncourse.training.fast import Scores
from cnncourse.training.history import Pair


class Place(NamedTuple):
    """Which of how many processes this one is."""

    rank: int
    size: int


ALONE = Place(0, 1)


def place_of(model: nn.Module) -> Place:
    """Tell which process this is of those that train the model."""
    if not isinstance(model, DistributedDataParallel):
        return ALONE
    return Place(dist.get_rank(model.process_group), dist.get_world_size(model.process_group))


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network itself."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def forward(model: nn.Module, train: Pair, batch: Int64[Tensor, " n"]) -> Scores:
    """Return loss and hits of this process's part of a batch.

    Parts differ in size, and the gradient is a mean over processes: a sum of losses, times the
    number of processes, over the size of the whole batch makes it the gradient of that batch.
    """
    rank, size = place_of(model)
    images, labels = train
    part = batch.tensor_split(size)[rank]
    x, y = images.index_select(0, part), labels.index_select(0, part)
    logits = model(x)
    loss = cross_entropy(logits, y, reduction="sum") * (size / len(batch))
    return loss, (logits.argmax(dim=1) == y).sum()


def together(
    place: Place, losses: Float[Tensor, " steps"], hits: Int64[Tensor, ""]
) -> tuple[Float[Tensor, " steps"], Int64[Tensor, ""]]:
    """Add up what the processes have found in an epoch: the mean losses, and all hits."""
    if place.size == 1:
        return losses, hits
    dist.all_reduce(losses)
    dist.all_reduce(hits)
    return losses / place.size, hits


def from_first(place: Place, data: bytes | None, device: torch.device) -> bytes | None:
    """Give every process the bytes that the first one has read."""
    if place.size == 1:
        return data
    length = torch.tensor(-1 if data is None else len(data), device=device)
    dist.broadcast(length, 0)
    if length < 0:
        return None
    content = torch.zeros(int(length), dtype=torch.uint8, device=device)
    if place.rank == 0:
        content.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    dist.broadcast(content, 0)
    return content.cpu().numpy().tobytes()


def draw_apart(place: Place) -> None:
    """Give each process but the first dropout of its own, which another start draws anew."""
    if place.rank:
        torch.manual_seed(int(torch.randint(2**62, ())) + place.rank)
