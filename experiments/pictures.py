"""The pictures that explorers show, and the order in which a page shuffles their pixels.

Ten pictures of a test split, one of each class in the order of the classes, chosen by eye, as bytes
row by row. The eight is the one that chapter 7 moves. The order is that of `permute_pixels` with
seed 0, as unsigned numbers of 16 bits, the low byte first: pixel k of a shuffled picture is pixel
``order[k]`` of the picture.
"""

from __future__ import annotations

from pathlib import Path

import torch

import cnncourse
from cnncourse.datasets import Split, load_fashion_mnist, load_mnist
from cnncourse.invariance import permute_pixels

OUT = Path(cnncourse.__file__).parent / "explore" / "data"
DIGITS = (10, 5, 35, 32, 19, 15, 21, 17, 61, 12)
GARMENTS = (19, 2, 55, 13, 6, 82, 7, 9, 30, 0)


def write(out: Path = OUT) -> None:
    """Write digits.bin, garments.bin and order.bin."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "digits.bin").write_bytes(as_bytes(load_mnist().test, DIGITS))
    (out / "garments.bin").write_bytes(as_bytes(load_fashion_mnist().test, GARMENTS))
    order = permute_pixels(torch.arange(28 * 28).view(28, 28), seed=0)
    (out / "order.bin").write_bytes(order.numpy().astype("<u2").tobytes())


def as_bytes(split: Split, chosen: tuple[int, ...]) -> bytes:
    """Return the pixels of the chosen pictures, 0 to 255."""
    pixels = split.images[list(chosen)] * 255
    return pixels.round().to(torch.uint8).numpy().tobytes()
