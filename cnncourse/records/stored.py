"""A network in a file: its layers in words, its weights in few bytes.

The file is one of safetensors: numbers and words, and no code that loading it would run. The weight
of a large dense layer is kept as whole numbers, with one scale a row: 8 bits a weight, or 5 where
the file would else have more than 150 kB, the perceptron with its 200,000 weights. All other
weights are kept in half precision. Half precision for all would be twice as large. What this costs
in accuracy stands in each file, as what the network reached before and after: at most 0.002 of the
answers to the test split.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cnncourse.shift import BlurMaxPool2d

LARGE = 10_000  # weights: a smaller layer would save little
WIDE, NARROW = 8, 5  # bits a weight
MANY = 140_000  # weights of a network: with 8 bits each it would have more than 150 kB
PAIRS = {"kernel_size", "stride", "padding", "dilation"}
SCALE = ".scale"  # behind the name of a weight that is kept as whole numbers

# What a page must know of a layer beside its weights.
WORDS: Mapping[type[nn.Module], tuple[str, ...]] = {
    nn.Conv2d: (
        "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode",
    ),
    nn.Linear: ("in_features", "out_features"),
    nn.MaxPool2d: ("kernel_size", "stride", "padding"),
    nn.AvgPool2d: ("kernel_size", "stride", "padding"),
    nn.AdaptiveMaxPool2d: (),
    nn.AdaptiveAvgPool2d: (),
    nn.BatchNorm2d: ("eps",),
    BlurMaxPool2d: (),
    **dict.fromkeys((nn.ReLU, nn.Sigmoid, nn.Tanh, nn.Flatten, nn.Identity), ()),
}  # fmt: skip


def save_network(model: nn.Sequential, about: Mapping[str, object], path: Path) -> None:
    """Write a network and what is said of it; the same network gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {**about, "bits": bits_of(model), "layers": describe(model)}
    partial = path.with_suffix(".part")  # so that no half of a file is ever read
    # One entry: the library writes several in an order that changes.
    save_file(shrink(model), partial, metadata={"network": json.dumps(told)})
    partial.chmod(0o644)  # the library's files are for their owner alone
    partial.replace(path)


def read_about(path: Path) -> dict[str, Any]:
    """Read what a file says of its network: ``layers``, ``bits`` and what was given to write."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["network"])


def set_weights(model: nn.Module, stored: Mapping[str, Tensor]) -> nn.Module:
    """Give a network, in place and in float32, exactly the weights of a file.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 1, bias=False))
    >>> set_weights(model, {"0.weight": torch.tensor([[0.5, 2.0]]).half()})[0].weight.tolist()
    [[0.5, 2.0]]
    """
    bits, weights = bits_of(model), dict(stored)
    for name, value in model.state_dict().items():
        if (scale := weights.pop(name + SCALE, None)) is not None:
            weights[name] = unpack(weights[name], scale, value.shape[1], bits)
    model.load_state_dict(weights)
    return model


def shrink(model: nn.Module) -> dict[str, Tensor]:
    """Return a network's weights as its file holds them."""
    bits, stored = bits_of(model), {}
    for name, value in model.state_dict().items():
        value = value.contiguous()  # `channels_last` has another order
        if value.ndim == 2 and value.numel() > LARGE:
            stored[name], stored[name + SCALE] = pack(value, bits)
        else:
            stored[name] = value.half() if value.is_floating_point() else value
    return stored


def bits_of(model: nn.Module) -> int:
    """Return the bits that a weight of a large dense layer gets in this network."""
    return WIDE if sum(p.numel() for p in model.parameters()) <= MANY else NARROW


def pack(
    weight: Float[Tensor, "o _"], bits: int
) -> tuple[UInt8[Tensor, "o _"], Float[Tensor, " o"]]:
    """Write each row as whole numbers times its own scale, in ``bits`` bits a number.

    The scale makes the largest weight of the row 2^(bits - 1) - 1. This number is added to each, so
    that none is negative. The bits of a row stand one after the other, the highest of a number
    first, and zeros fill its last byte.

    Examples
    --------
    >>> pack(torch.tensor([[-3.0, 0.0, 1.0]]), bits=3)  # 0, 3 and 4: 000 011 100, then seven zeros
    (tensor([[14,  0]], dtype=torch.uint8), tensor([1.]))
    """
    largest = 2 ** (bits - 1) - 1
    scale = weight.abs().amax(1) / largest
    scale[scale == 0] = 1  # of a row of zeros
    whole = (weight / scale[:, None]).round().int().numpy() + largest
    places = np.arange(bits)[::-1]
    digits = whole[:, :, None] >> places & 1
    return torch.from_numpy(np.packbits(digits.reshape(len(whole), -1), axis=1)), scale


def unpack(
    codes: UInt8[Tensor, "o _"], scale: Float[Tensor, " o"], columns: int, bits: int
) -> Float[Tensor, "o _"]:
    """Read what `pack` wrote.

    Examples
    --------
    >>> unpack(torch.tensor([[14, 0]], dtype=torch.uint8), torch.tensor([2.0]), columns=3, bits=3)
    tensor([[-6.,  0.,  2.]])
    """
    digits = np.unpackbits(codes.numpy(), axis=1, count=columns * bits)
    places = np.arange(bits)[::-1]
    whole = (digits.reshape(-1, columns, bits).astype(np.int32) << places).sum(2)
    return torch.from_numpy(whole - (2 ** (bits - 1) - 1)).float() * scale[:, None]


def describe(model: nn.Sequential) -> list[dict[str, Any]]:
    """Say of each layer its name, its type and the numbers that it works with, for a page.

    Examples
    --------
    >>> describe(nn.Sequential(nn.MaxPool2d(2), nn.ReLU()))[0]
    {'name': '0', 'type': 'MaxPool2d', 'kernel_size': (2, 2), 'stride': (2, 2), 'padding': (0, 0)}
    """
    return [_in_words(name, layer) for name, layer in model.named_children()]


def _in_words(name: str, layer: nn.Module) -> dict[str, Any]:
    """Describe a layer; a size that both axes share is written twice."""
    if isinstance(layer, nn.Sequential):
        return {"name": name, "type": type(layer).__name__, "layers": describe(layer)}
    if type(layer) not in WORDS:
        raise TypeError(f"`model` must have layers that a page knows, got {layer} as {name}")
    words = {word: _twice(word, getattr(layer, word)) for word in WORDS[type(layer)]}
    return {"name": name, "type": type(layer).__name__, **words}


def _twice(word: str, value: object) -> object:
    return (value, value) if word in PAIRS and isinstance(value, int) else value
