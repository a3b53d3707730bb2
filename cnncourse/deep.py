"""A deep plain network, and any network with a normalization behind its layers.

No normalization draws a random number when it is built: with one seed, a network with it and the
same one without it start from the same weights.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cnncourse._arguments import check_integer


def deep_net(depth: int = 10, channels: int = 8) -> nn.Sequential:
    """Build a plain network for 28x28 pixels: ``depth`` convolutions of 3x3, a ReLU behind each.

    Mean pooling halves the picture at the start and in the middle; a dense layer gives ten scores.

    Examples
    --------
    >>> sum(isinstance(layer, nn.Conv2d) for layer in deep_net())
    10
    """
    check_integer("depth", depth, 2)
    check_integer("channels", channels, 1)
    layers = OrderedDict(pool0=nn.AvgPool2d(2))
    for i in range(1, depth + 1):
        c = channels if i > 1 else 1
        layers[f"conv{i}"] = nn.Conv2d(c, channels, 3, padding=1)
        layers[f"act{i}"] = nn.ReLU()
        if i == depth // 2:
            layers[f"pool{i}"] = nn.AvgPool2d(2)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(channels * 7 * 7, 10)
    return nn.Sequential(layers)


def batch(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """Build the batch normalization that fits behind a layer."""
    if isinstance(layer, nn.Conv2d):
        return nn.BatchNorm2d(layer.out_channels)
    return nn.BatchNorm1d(layer.out_features)


def group(layer: nn.Conv2d | nn.Linear, groups: int = 1) -> nn.Module:
    """Build a group normalization; one group is layer normalization over all channels."""
    c = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features
    return nn.GroupNorm(groups, c)


def with_norm(
    net: nn.Sequential, norm: Callable[[nn.Conv2d | nn.Linear], nn.Module]
) -> nn.Sequential:
    """Put a normalization behind every convolution and every dense layer but the last.

    Examples
    --------
    >>> [name for name, _ in with_norm(deep_net(2), batch).named_children()][:4]
    ['pool0', 'conv1', 'norm_conv1', 'act1']
    """
    layers = OrderedDict()
    *inner, last = net.named_children()
    for name, layer in inner:
        layers[name] = layer
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layers[f"norm_{name}"] = norm(layer)
    return nn.Sequential(layers | dict([last]))


class Shaken(nn.Module):
    """In training, a new scale and a new shift for every channel at every step.

    All pictures of a batch get the same ones. ``strength`` is the standard deviation of the shift,
    and twice that of the scale's logarithm. In evaluation nothing happens.
    """

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Multiply each channel by its scale and add its shift."""
        if not self.training:
            return x
        noise = self.strength * torch.randn(2, 1, x.shape[1], 1, 1)
        shift, log_scale = noise.to(x.device)
        return x * (log_scale / 2).exp() + shift


class InParts(nn.Module):
    """In training, normalize every part of the batch with statistics of its own."""

    def __init__(self, norm: nn.Module, size: int) -> None:
        super().__init__()
        self.norm, self.size = norm, check_integer("size", size, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalize ``size`` pictures at a time."""
        if not self.training:
            return self.norm(x)
        return torch.cat([self.norm(part) for part in x.split(self.size)])
