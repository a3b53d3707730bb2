"""The shipped data are the canonical files; any other file is read or refused by name."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import pytest
import torch

import cnncourse.datasets as datasets
from cnncourse.datasets import load_fashion_mnist, load_mnist, load_part

# MNIST: MD5 of the unpacked files as published; Fashion-MNIST: of the files of Debian's package.
MD5 = {
    "mnist/train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "mnist/train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "mnist/t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "mnist/t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    "fashion_mnist/t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "fashion_mnist/t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    "fashion_mnist/train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "fashion_mnist/train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
}
LOADERS = {"fashion_mnist": load_fashion_mnist, "mnist": load_mnist}


@pytest.mark.parametrize("name", MD5)
def test_shipped_file_is_canonical(name):
    content = (Path(datasets.__file__).parent / f"{name}.gz").read_bytes()
    assert hashlib.md5(gzip.decompress(content)).hexdigest() == MD5[name]


@pytest.fixture(scope="module", params=LOADERS)
def loaded(request):
    return LOADERS[request.param]()


def test_load_gives_three_splits_in_nchw(loaded):
    assert [tuple(split.images.shape) for split in loaded[:3]] == [
        (55000, 1, 28, 28),
        (5000, 1, 28, 28),
        (10000, 1, 28, 28),
    ]
    for split in loaded[:3]:
        assert split.images.dtype == torch.float32
        assert split.labels.dtype == torch.int64
        assert (split.images.min(), split.images.max()) == (0, 1)
        assert set(split.labels.tolist()) == set(range(10))
    assert len(loaded.classes) == 10


def test_split_is_stratified_and_keeps_every_image(loaded):
    train, validation, _, _ = loaded
    share = validation.labels.bincount() / (train.labels.bincount() + validation.labels.bincount())
    # Every 12th of the sorted labels: a class can be off by one image at each of its two ends.
    assert (share - 1 / 12).abs().max() < 1 / 5000
    mean = torch.cat([train.images, validation.images]).double().mean().item()
    assert round(mean, 4) in (0.2860, 0.1307)  # the published means of the two training sets


def test_split_is_the_same_on_every_machine(loaded):
    indices = loaded.validation.labels.numpy().tobytes()
    pixels = (loaded.validation.images * 255).round().to(torch.uint8).numpy().tobytes()
    digest = hashlib.sha256(indices + pixels).hexdigest()[:16]
    assert digest == {"t-shirt": "2baa12b6b8ad9267", "0": "72faf8af674074bb"}[loaded.classes[0]]


def write_idx(folder: Path, images: bytes, labels: bytes, prefix: str, packed: bool = True) -> None:
    for stem, content in (
        (f"{prefix}-images-idx3-ubyte", images),
        (f"{prefix}-labels-idx1-ubyte", labels),
    ):
        path = folder / (f"{stem}.gz" if packed else stem)
        path.write_bytes(gzip.compress(content) if packed else content)


def idx(count: int, axes: int, *, magic: int | None = None, size: int | None = None) -> bytes:
    shape = (count, 4, 3)[:axes]
    total = count * (12 if axes == 3 else 1) if size is None else size
    header = struct.pack(f">{1 + axes}I", 2048 + axes if magic is None else magic, *shape)
    return header + bytes(i % 10 for i in range(total))


@pytest.fixture
def folder(tmp_path):
    for prefix, count in (("train", 24), ("t10k", 5)):
        write_idx(tmp_path, idx(count, 3), idx(count, 1), prefix)
    return tmp_path


@pytest.mark.parametrize("packed", [True, False])
def test_data_dir_reads_other_files(tmp_path, packed):
    for prefix, count in (("train", 24), ("t10k", 5)):
        write_idx(tmp_path, idx(count, 3), idx(count, 1), prefix, packed)
    data = load_mnist(data_dir=tmp_path)
    assert [tuple(split.images.shape) for split in data[:3]] == [
        (22, 1, 4, 3),
        (2, 1, 4, 3),
        (5, 1, 4, 3),
    ]


def test_environment_variable_names_the_folder(folder, monkeypatch, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / "mnist").symlink_to(folder)
    monkeypatch.setenv("CNNCOURSE_DATA", str(root))
    assert len(load_mnist().test.labels) == 5
    with pytest.raises(FileNotFoundError, match=r"fashion_mnist is not a folder.*CNNCOURSE_DATA"):
        load_fashion_mnist()


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
BROKEN = {
    "cut gzip": (IMAGES, lambda: gzip.compress(idx(24, 3))[:-20], "is truncated: the compressed"),
    "not gzip": (IMAGES, lambda: b"<html>404</html>", "is corrupt: Not a gzipped file"),
    "bad checksum": (LABELS, lambda: gzip.compress(idx(24, 1))[:-8] + bytes(8), "is corrupt: CRC"),
    "bad stream": (
        IMAGES,
        lambda: gzip.compress(idx(24, 3))[:10] + b"\xff" * 40,
        "is corrupt: Error -3",
    ),
    "empty": (LABELS, lambda: gzip.compress(b""), "is truncated: 0 bytes, its header takes 8"),
    "short data": (IMAGES, lambda: gzip.compress(idx(24, 3, size=287)), "is truncated: 287 .* 288"),
    "long data": (IMAGES, lambda: gzip.compress(idx(24, 3, size=289)), "is too long: 289"),
    "labels for images": (
        IMAGES,
        lambda: gzip.compress(idx(24, 3, magic=2049)),
        "2049, expected 2051",
    ),
    "wrong magic": (LABELS, lambda: gzip.compress(idx(24, 1, magic=7)), "7, expected 2049"),
    "mismatch": (LABELS, lambda: gzip.compress(idx(23, 1)), "24 images but .* 23 labels"),
    "label 200": (
        LABELS,
        lambda: gzip.compress(idx(24, 1)[:-1] + b"\xc8"),
        "label 200; labels must be 0 to 9",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_is_named_with_what_is_wrong(folder, case):
    name, content, words = BROKEN[case]
    (folder / name).write_bytes(content())
    with pytest.raises(ValueError, match=words) as caught:
        load_mnist(data_dir=folder)
    assert str(folder / name) in str(caught.value)


def test_missing_file_and_folder_are_named(folder):
    (folder / LABELS).unlink()
    with pytest.raises(FileNotFoundError, match="holds neither train-labels-idx1"):
        load_mnist(data_dir=folder)
    with pytest.raises(FileNotFoundError, match=r"nowhere is not a folder \(from `data_dir`\)"):
        load_mnist(data_dir=folder / "nowhere")


@pytest.mark.parametrize("file", ["train", "t10k"])
def test_load_part_is_a_part_of_the_file_in_its_order(file):
    images, labels = load_part("fashion_mnist", 700, 30, file)
    path = Path(datasets.__file__).parent / "fashion_mnist" / IMAGES.replace("train", file)
    content = gzip.decompress(path.read_bytes())
    # The layout by hand: 16 bytes of header, then 784 for each picture.
    expected = torch.frombuffer(
        bytearray(content[16 + 784 * 700 : 16 + 784 * 730]), dtype=torch.uint8
    )
    assert torch.equal((images * 255).round().byte(), expected.reshape(30, 1, 28, 28))
    assert images.max() <= 1
    path = path.with_name(LABELS.replace("train", file))
    kept = gzip.decompress(path.read_bytes())[8 + 700 : 8 + 730]
    assert labels.tolist() == list(kept)


def test_unpack_writes_the_four_files_as_published(tmp_path):
    datasets.unpack("mnist", tmp_path / "new")
    written = {f"mnist/{p.name}": hashlib.md5(p.read_bytes()) for p in (tmp_path / "new").iterdir()}
    assert {name: md5.hexdigest() for name, md5 in written.items()} == {
        name: md5 for name, md5 in MD5.items() if name.startswith("mnist/")
    }
