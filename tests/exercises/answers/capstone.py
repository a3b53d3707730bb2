"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from cnncourse.capstone import Residual, from_text, small_net, to_text
from cnncourse.datasets import load_part
from cnncourse.records import load_trained

# small_network

SHIPPED = load_trained("capstone", "long")
LENET = load_trained("lenet", "one_cycle")


@cache
@torch.no_grad()
def fitted(count=10_000, *more):
    """Random convolutions that are never trained, and a dense layer by least squares."""
    torch.manual_seed(0)
    x, y = load_part("fashion_mnist", 0, count)
    stack = [nn.Conv2d(1, 24, 5, padding=2), nn.ReLU(), *more, nn.AvgPool2d(4), nn.Flatten()]
    features = torch.cat([nn.Sequential(*stack).eval()(part) for part in x.split(500)])
    a = torch.cat([features, torch.ones(count, 1)], 1)
    solved = torch.linalg.solve(a.T @ a + torch.eye(a.shape[1]), a.T @ F.one_hot(y, 10).float())
    last = nn.Linear(a.shape[1] - 1, 10)
    last.weight.copy_(solved[:-1].T)
    last.bias.copy_(solved[-1])
    return nn.Sequential(*stack, last)


def network_by_least_squares():
    return fitted()


def network_from_text():
    def layers():
        return nn.Sequential(
            *(nn.Conv2d(1, 24, 5, padding="same"), nn.ReLU(), nn.AvgPool2d((4, 4))),
            *(nn.Dropout(0.1), nn.Flatten(), nn.Linear(24 * 49, 10)),
        )

    return layered(layers(), fitted())


def layered(net, of):
    """Hand weights over through a text, by their order, as the names may differ."""
    names = dict(zip(net.state_dict(), of.state_dict().values(), strict=True))
    net.load_state_dict(names)
    return from_text(net, to_text(net))


def network_nested():
    return fitted(10_000, Residual(nn.Identity(), nn.BatchNorm2d(24)))


def network_lenet():
    return nn.Sequential(*LENET)


def network_untrained():
    return small_net()


def network_few_pictures():
    return fitted(60)


def network_too_large():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def network_too_slow():
    wide = [layer for _ in range(3) for layer in (nn.Conv2d(36, 36, 3, padding=1), nn.ReLU())]
    return nn.Sequential(
        *(nn.Conv2d(1, 36, 3, padding=1), *wide, nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(36, 10),
    )


def network_too_wide():
    return nn.Sequential(
        *(nn.Conv2d(1, 2000, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2000, 10)),
    )


class Block(nn.Module):
    def forward(self, x):
        return x.relu()


def network_own_layer():
    return nn.Sequential(nn.Conv2d(1, 8, 3), Block(), nn.Flatten(), nn.Linear(8 * 26 * 26, 10))


def network_no_flatten():
    return nn.Sequential(nn.Conv2d(1, 10, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))


def network_wrong_side():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(8 * 28 * 28, 10))


def network_nothing():
    fitted()


def network_class_itself():
    return nn.Sequential


def network_empty():
    return nn.Sequential()


def network_copied():
    return from_text(small_net(), SHIPPED_TEXT)


SHIPPED_TEXT = to_text(SHIPPED)


def network_batch_statistics():
    return nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), *fitted())


def network_not_finite():
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.constant_(net[1].bias, math.nan)
    return net


# smoothed_loss


def smoothed_full(logits, labels, smoothing):
    target = torch.full_like(logits, smoothing / logits.shape[1])
    target[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(target * torch.log_softmax(logits, dim=1)).sum(1).mean()


def smoothed_two_terms(logits, labels, smoothing):
    logp = logits - logits.logsumexp(1, keepdim=True)
    right = logp.gather(1, labels[:, None]).mean()
    return -(1 - smoothing) * right - smoothing * logp.mean()


def smoothed_loops(logits, labels, smoothing):
    n, classes = logits.shape
    total = logits.new_zeros(())
    for row, label in zip(logits, labels, strict=True):
        logp = row - row.max()
        logp = logp - logp.exp().sum().log()
        for k in range(classes):
            weight = smoothing / classes + (1 - smoothing if k == label else 0)
            total = total - weight * logp[k]
    return total / n


def smoothed_eye(logits, labels, smoothing):
    classes = logits.shape[1]
    target = torch.eye(classes, dtype=logits.dtype)[labels].lerp(
        torch.full((classes,), 1 / classes, dtype=logits.dtype), smoothing
    )
    return torch.einsum("nk,nk->", target, -F.log_softmax(logits, -1)) / len(labels)


def smoothed_library(logits, labels, smoothing):
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def smoothed_others(logits, labels, smoothing):
    classes = logits.shape[1]
    target = torch.full_like(logits, smoothing / (classes - 1))
    target[torch.arange(len(labels)), labels] = 1 - smoothing
    return -(target * logits.log_softmax(1)).sum(1).mean()


def smoothed_not_at_all(logits, labels, smoothing):
    return -logits.log_softmax(1)[torch.arange(len(labels)), labels].mean()


def smoothed_sum(logits, labels, smoothing):
    return smoothed_full(logits, labels, smoothing) * len(labels)


def smoothed_mean_over_all(logits, labels, smoothing):
    target = torch.full_like(logits, smoothing / logits.shape[1])
    target[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(target * logits.log_softmax(1)).mean()


def smoothed_sign(logits, labels, smoothing):
    return -smoothed_full(logits, labels, smoothing)


def smoothed_axis(logits, labels, smoothing):
    target = torch.full_like(logits, smoothing / logits.shape[1])
    target[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(target * torch.log_softmax(logits, dim=0)).sum(1).mean()


def smoothed_overflow(logits, labels, smoothing):
    target = torch.full_like(logits, smoothing / logits.shape[1])
    target[torch.arange(len(labels)), labels] += 1 - smoothing
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    return -(target * p.log()).sum(1).mean()


def smoothed_twice(logits, labels, smoothing):
    return smoothed_full(logits.softmax(1), labels, smoothing)


RIGHT = {
    "small_network": [
        *(network_by_least_squares, network_from_text, network_nested, network_lenet),
    ],
    "smoothed_loss": [smoothed_full, smoothed_two_terms, smoothed_loops, smoothed_eye],
}

WRONG = {
    "small_network": [
        (network_untrained, "hardly more than guessing"),
        (network_few_pictures, "80% are the least"),
        (network_too_large, "101,770 parameters; 100,000 are allowed"),
        (network_too_slow, "multiply-adds; 20,000,000"),
        (network_too_wide, "bytes for a picture"),
        (network_own_layer, "Block` is not among"),
        (network_no_flatten, "logits of shape (10,); here it is (10, 1, 1)"),
        (network_wrong_side, "cannot take the shape (5408,)"),
        (network_nothing, "`return` missing"),
        (network_class_itself, "where a network is expected"),
        (network_empty, "cannot be built and asked"),
        (network_copied, "weights that the course ships"),
        (network_batch_statistics, "cannot be built and asked"),
        (network_not_finite, "holds NaN"),
    ],
    "smoothed_loss": [
        (smoothed_library, "cross_entropy"),
        (smoothed_others, "over the wrong classes alone"),
        (smoothed_not_at_all, "The smoothing is not there"),
        (smoothed_sum, "Take their mean"),
        (smoothed_mean_over_all, "divided by the number of classes too"),
        (smoothed_sign, "The sign is wrong"),
        (smoothed_axis, "over the pictures of the batch"),
        (smoothed_overflow, "NaN"),
        (smoothed_twice, "one of them is too many"),
    ],
}
