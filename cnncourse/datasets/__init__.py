"""Fashion-MNIST and MNIST, shipped with the course: no download, no network, under a second.

The 60,000 training images of both sets are split once and for all into 55,000 to train on and
5,000 to choose with; the 10,000 test images are for the last cell of an experiment. Not handled
here: data augmentation, colour, any file format but idx.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

__all__ = ["Dataset", "Split", "load_fashion_mnist", "load_mnist", "load_part", "unpack"]

SHIPPED = Path(__file__).parent
IMAGES_FILE, LABELS_FILE = "{}-images-idx3-ubyte", "{}-labels-idx1-ubyte"  # "train" or "t10k"

FASHION_CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
DIGIT_CLASSES = tuple("0123456789")
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049  # 0x00000803 and 0x00000801: unsigned bytes, 3 axes and 1
ONE_IN = 12  # every 12th image validates: 5,000 of 60,000


class Split(NamedTuple):
    """Images and labels that belong together."""

    images: Float[Tensor, "n 1 h w"]
    labels: Int64[Tensor, " n"]


class Dataset(NamedTuple):
    """The three splits of a dataset and the names of its classes."""

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]


def load_fashion_mnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Load Fashion-MNIST: 28 x 28 grey pictures of ten kinds of clothing.

    Images are float32 of shape (n, 1, 28, 28) in [0, 1], labels int64 in 0..9. The validation split
    is stratified and the same on every machine: the training images are sorted by label, ties in
    the order of the file, and every 12th one validates.

    Parameters
    ----------
    data_dir
        Folder with the four idx files (``train-images-idx3-ubyte`` and so on, with or without
        ``.gz``). Default: ``$CNNCOURSE_DATA/fashion_mnist`` if that variable is set, else the files
        shipped with the package.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing; if one is truncated, corrupt, or does not match its partner.

    Notes
    -----
    Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms", 2017. MIT licence.

    Examples
    --------
    >>> data = load_fashion_mnist()
    >>> [len(split.labels) for split in data[:3]]
    [55000, 5000, 10000]
    >>> data.classes[data.train.labels[0]], tuple(data.train.images.shape)
    ('t-shirt', (55000, 1, 28, 28))
    """
    return _load("fashion_mnist", data_dir, FASHION_CLASSES)


def load_mnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Load MNIST: 28 x 28 grey pictures of handwritten digits.

    All is as in ``load_fashion_mnist``; the variable's folder is ``$CNNCOURSE_DATA/mnist``.

    Notes
    -----
    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition",
    1998. CC BY-SA 3.0.

    Examples
    --------
    >>> load_mnist().validation.labels.bincount().tolist()
    [494, 562, 496, 511, 487, 452, 493, 522, 488, 495]
    """
    return _load("mnist", data_dir, DIGIT_CLASSES)


def load_part(name: str, first: int, count: int, file: str = "train") -> Split:
    """Load some of the shipped images in the order of the file, and unpack no more.

    Parameters
    ----------
    name : str
        ``fashion_mnist`` or ``mnist``.
    first, count : int
        The place of the first image in the file, from 0, and how many.
    file : str
        ``train``, or ``t10k`` for the test images.

    Returns
    -------
    Split
        As in :func:`load_fashion_mnist`.

    Examples
    --------
    >>> load_part("mnist", 1, 3).labels
    tensor([0, 4, 1])
    """
    images, labels = (
        _read_part(_find(SHIPPED / name, stem.format(file)), magic, first, count)
        for stem, magic in ((IMAGES_FILE, IMAGES_MAGIC), (LABELS_FILE, LABELS_MAGIC))
    )
    return _as_floats(Split(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels)))


def unpack(name: str, folder: Path) -> None:
    """Write the shipped files of a dataset into a folder, unpacked, for a library that reads them.

    Parameters
    ----------
    name : str
        ``fashion_mnist`` or ``mnist``.
    folder : Path
        Made if it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for packed in (SHIPPED / name).glob("*.gz"):
        (folder / packed.stem).write_bytes(_read_bytes(packed))


def _load(name: str, data_dir: str | os.PathLike[str] | None, classes: tuple[str, ...]) -> Dataset:
    folder = _folder(name, data_dir)
    training = _read_pair(folder, "train", len(classes))
    order = training.labels.argsort(stable=True)
    chosen = torch.zeros(len(order), dtype=torch.bool)
    chosen[order[::ONE_IN]] = True
    test = _read_pair(folder, "t10k", len(classes))
    parts = (_select(training, ~chosen), _select(training, chosen), test)
    return Dataset(*(_as_floats(part) for part in parts), classes)


def _select(split: Split, mask: Tensor) -> Split:
    return Split(split.images[mask], split.labels[mask])


def _as_floats(split: Split) -> Split:
    """Scale bytes to [0, 1]; done last, because floats take four times the memory to move."""
    return Split(split.images.to(torch.float32).div_(255), split.labels.to(torch.int64))


def _folder(name: str, data_dir: str | os.PathLike[str] | None) -> Path:
    shared = os.environ.get("CNNCOURSE_DATA")
    if data_dir is not None:
        folder, origin = Path(data_dir), "`data_dir`"
    elif shared:
        folder, origin = Path(shared) / name, "the environment variable CNNCOURSE_DATA"
    else:
        folder, origin = SHIPPED / name, "the installed package"
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder (from {origin})")
    return folder


def _read_pair(folder: Path, prefix: str, num_classes: int) -> Split:
    images_file = _find(folder, IMAGES_FILE.format(prefix))
    labels_file = _find(folder, LABELS_FILE.format(prefix))
    images = _read_idx(images_file, IMAGES_MAGIC)
    labels = _read_idx(labels_file, LABELS_MAGIC)
    if len(images) != len(labels):
        raise ValueError(
            f"{images_file} holds {len(images)} images but {labels_file} holds {len(labels)} labels"
        )
    if len(labels) and labels.max() >= num_classes:
        raise ValueError(
            f"{labels_file} holds the label {labels.max()}; labels must be 0 to {num_classes - 1}"
        )
    return Split(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels))


def _find(folder: Path, stem: str) -> Path:
    for candidate in (folder / f"{stem}.gz", folder / stem):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(f"{folder} holds neither {stem}.gz nor {stem}")


def _read_idx(path: Path, magic: int) -> np.ndarray:
    """Read one idx file: its header, then a byte for each number."""
    content = _read_bytes(path)
    shape, header = _read_header(path, content, magic), _header_bytes(magic)
    expected = math.prod(shape)
    if len(content) - header != expected:
        kind = "truncated" if len(content) - header < expected else "too long"
        raise ValueError(
            f"{path} is {kind}: {len(content) - header} bytes of data, "
            f"its header announces {expected} ({' x '.join(map(str, shape))})"
        )
    # A copy, because torch needs memory that it may write to.
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


def _read_part(path: Path, magic: int, first: int, count: int) -> np.ndarray:
    """Read some entries of a packed idx file."""
    with gzip.open(path) as stream:
        _, *entry = _read_header(path, stream.read(_header_bytes(magic)), magic)
        stream.seek(first * math.prod(entry), os.SEEK_CUR)
        content = stream.read(count * math.prod(entry))
    return np.frombuffer(content, np.uint8).reshape(count, *entry).copy()


def _header_bytes(magic: int) -> int:
    """Count the header's bytes: the last byte of the magic number is the number of axes."""
    return 4 * (1 + (magic & 0xFF))


def _read_header(path: Path, content: bytes, magic: int) -> list[int]:
    """Read the magic number and the sizes, big-endian integers of 32 bits, and give the sizes."""
    size = _header_bytes(magic)
    if len(content) < size:
        raise ValueError(f"{path} is truncated: {len(content)} bytes, its header takes {size}")
    found, *shape = struct.unpack(f">{size // 4}I", content[:size])
    if found != magic:
        raise ValueError(f"{path} starts with the magic number {found}, expected {magic}")
    return shape


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except EOFError as error:
        raise ValueError(f"{path} is truncated: the compressed data end too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is corrupt: {error}") from error
