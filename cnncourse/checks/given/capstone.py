"""A network as data: its layers in words and numbers, and its weights.

Whoever measures a network that was handed in builds it anew from these, and so runs none of the
code that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from cnncourse.capstone import Residual

STACKS = {"Sequential": nn.Sequential, "Residual": Residual}
_POOL = ("kernel_size", "stride", "padding")
# Type -> what its layers are built from.
LAYERS: Mapping[type[nn.Module], tuple[str, ...]] = {
    nn.Conv2d: (
        *("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation"),
        *("groups", "bias", "padding_mode"),
    ),
    nn.Linear: ("in_features", "out_features", "bias"),
    nn.BatchNorm2d: ("num_features", "eps"),
    nn.MaxPool2d: (*_POOL, "dilation", "ceil_mode"),
    nn.AvgPool2d: (*_POOL, "ceil_mode", "count_include_pad"),
    nn.AdaptiveAvgPool2d: ("output_size",),
    nn.AdaptiveMaxPool2d: ("output_size",),
    nn.Dropout: ("p",),
    nn.Flatten: ("start_dim", "end_dim"),
    **dict.fromkeys((nn.ReLU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Identity), ()),
}
KINDS = {kind.__name__: kind for kind in LAYERS}
NAMES = {kind: name for name, kind in (STACKS | KINDS).items()}


def hand_in(answer: Callable, *_: object) -> object:
    """Ask for a network, and write it as data; on which pictures it is measured does not matter.

    Returns
    -------
    tuple, or str where no network came, the type of what came instead
        The network in words, and its weights in the order of its ``state_dict``.
    """
    net = answer()
    if not isinstance(net, nn.Module):
        return type(net).__name__
    return describe(net), tuple(net.state_dict().values())


def describe(layer: nn.Module) -> tuple:
    """Write a layer as its name and its numbers; of a type that is not known the name alone.

    Examples
    --------
    >>> describe(nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU()))
    ('Sequential', ('Linear', 2, 1, False), ('ReLU',))
    """
    kind = type(layer)
    if kind in STACKS.values():
        return NAMES[kind], *map(describe, layer)
    if kind not in LAYERS:
        return (f"{kind.__module__}.{kind.__qualname__}",)
    return NAMES[kind], *(_value(layer, word) for word in LAYERS[kind])


def _value(layer: nn.Module, word: str) -> object:
    value = getattr(layer, word)
    if isinstance(value, list):
        return tuple(value)
    return value is not None if word == "bias" else value


def build(words: tuple) -> nn.Module:
    """Build what `describe` wrote.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        If no layer can be built from these words.

    Examples
    --------
    >>> build(("Sequential", ("Linear", 2, 1, False), ("ReLU",)))[0]
    Linear(in_features=2, out_features=1, bias=False)
    """
    name, *values = words
    if name in STACKS:
        return STACKS[name](*map(build, values))
    if name not in KINDS:
        raise ValueError(f"`{name}` is not among {', '.join(STACKS | KINDS)}")
    kind = KINDS[name]
    return kind(**dict(zip(LAYERS[kind], values, strict=True)))


def with_weights(net: nn.Module, weights: tuple[Tensor, ...]) -> nn.Module:
    """Give a network, in place, weights in the order of its ``state_dict``."""
    net.load_state_dict(dict(zip(net.state_dict(), weights, strict=True)))
    return net
