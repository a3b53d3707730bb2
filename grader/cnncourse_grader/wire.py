"""Values as text and raw numbers: the one language between the grader and a sandbox.

A message is four bytes that name the format, the length of a JSON header, the header, and the
bytes of its tensors one after the other. Reading a message runs no code that the message brings,
which pickle and ``torch.load`` cannot promise, and every field is looked at before it is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from cnncourse.checks.exercise import Call

FORMAT = b"CNN1"
LARGEST_HEADER = 16 << 20  # bytes
MOST_AXES = 16
LARGEST_AXIS = 1 << 24
LARGEST_INTEGER = (1 << 63) - 1
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.bool,
    )
}


class MalformedError(ValueError):
    """A message that is not what `pack` writes."""


def pack(value: object) -> bytes:
    """Write a value as one message.

    Parameters
    ----------
    value
        Tensor of a dtype in ``DTYPES``, number, bool, str, None, :class:`Call`, or a tuple, list
        or dict (with str keys) of these.

    Returns
    -------
    bytes
        The message.

    Raises
    ------
    TypeError
        If the value holds anything else.

    Examples
    --------
    >>> unpack(pack({"x": torch.ones(2), "k": (3, None)}))
    {'x': tensor([1., 1.]), 'k': (3, None)}
    """
    tensors: list[bytes] = []
    header = json.dumps(_encode(value, tensors)).encode()
    length = len(header).to_bytes(4, "big")
    return b"".join([FORMAT, length, header, *tensors])


def _encode(value: object, tensors: list[bytes]) -> object:
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is dict:
        return {key: _encode(item, tensors) for key, item in value.items()}
    if kind in (list, tuple):
        return [kind.__name__, *(_encode(item, tensors) for item in value)]
    if kind is Call:
        return ["call", value.name, _encode(value.data, tensors)]
    if kind is Tensor:
        return _encode_tensor(value, tensors)
    raise TypeError(f"`value` must be data, got {kind.__name__}")


def _encode_tensor(value: Tensor, tensors: list[bytes]) -> list:
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise TypeError(f"`value` must have a dtype of {', '.join(DTYPES)}, got {dtype}")
    flat = value.detach().cpu().contiguous().flatten()
    tensors.append(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return ["tensor", dtype, list(value.shape)]


def unpack(message: bytes) -> object:
    """Read one message.

    Parameters
    ----------
    message : bytes
        What `pack` wrote, or anything else.

    Returns
    -------
    object
        The value, with tensors on the CPU.

    Raises
    ------
    MalformedError
        If ``message`` is anything else.
    """
    values = list(messages(message))
    if len(values) != 1:
        raise MalformedError(f"`message` must be one message, got {len(values)}")
    return values[0]


def messages(data: bytes) -> Iterator[object]:
    """Read messages that stand one after the other.

    Parameters
    ----------
    data : bytes
        Messages, or anything else.

    Yields
    ------
    object
        The value of each message, as long as they are well formed.

    Raises
    ------
    MalformedError
        At the first place that is not a message.
    """
    reader = _Reader(data)
    while reader.place < len(data):
        try:
            yield reader.message()
        # RuntimeError: brackets in brackets, and torch, as OverflowError, on shapes.
        except (ValueError, TypeError, OverflowError, RuntimeError) as error:
            raise MalformedError(f"no message at byte {reader.place}: {error}") from None


class _Reader:
    """Takes bytes from the front, and never more than there are."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = memoryview(data), 0

    def take(self, count: int) -> memoryview:
        if count > len(self.data) - self.place:
            raise MalformedError(f"{count} bytes announced, {len(self.data) - self.place} there")
        self.place += count
        return self.data[self.place - count : self.place]

    def message(self) -> object:
        if self.take(len(FORMAT)) != FORMAT:
            raise MalformedError("unknown format")
        length = int.from_bytes(self.take(4), "big")
        if length > LARGEST_HEADER:
            raise MalformedError(f"header of {length} bytes")
        return self.decode(json.loads(bytes(self.take(length))))

    def decode(self, value: object) -> object:
        if value is None or type(value) in (bool, float, str):
            return value
        if type(value) is int:
            return _bounded(value, -LARGEST_INTEGER, LARGEST_INTEGER)
        if type(value) is dict:
            return {key: self.decode(item) for key, item in value.items()}
        match value:
            case ["tuple", *items]:
                return tuple(map(self.decode, items))
            case ["list", *items]:
                return list(map(self.decode, items))
            case ["call", str(name), ["tuple", *items]]:
                return Call(name, *map(self.decode, items))
            case ["tensor", str(dtype), list(shape)] if dtype in DTYPES:
                return self.tensor(DTYPES[dtype], shape)
        raise MalformedError("unknown kind of value")

    def tensor(self, dtype: torch.dtype, shape: list) -> Tensor:
        if len(shape) > MOST_AXES:
            raise MalformedError(f"{len(shape)} axes")
        shape = [_bounded(size, 0, LARGEST_AXIS) for size in shape]
        data = bytearray(self.take(prod(shape) * dtype.itemsize))
        if dtype is torch.bool and max(data, default=0) > 1:
            raise MalformedError("a bool that is neither 0 nor 1")
        # frombuffer takes no empty buffer.
        flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return flat.reshape(shape)


def _bounded(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise MalformedError("a number out of range")
    return value
