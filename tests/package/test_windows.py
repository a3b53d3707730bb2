"""A window as a value: against brute force on one axis, and against torch on images."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from itertools import product

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnncourse import _arguments
from cnncourse.windows import Axis, Window, windows
from tests.package.compare import assert_same_as_torch, random_tensor
from tests.package.test_bad_calls import GOOD

AXES = [
    (Axis(k, s, before, after, d), n)
    for k, s, d, before, after, n in product(
        (1, 2, 3), (1, 2, 3), (1, 2), (0, 1), (0, 1, 2), (1, 4, 7)
    )
]
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
borders = st.tuples(st.integers(0, 2), st.integers(0, 2))
images = st.tuples(st.integers(1, 8), st.integers(1, 8))


def windows_one_by_one(axis: Axis, n: int) -> list[list[int]]:
    """Slide a window over the pixels of a padded axis until it no longer fits."""
    pixels, found, first = range(-axis.before, n + axis.after), [], -axis.before
    while all(first + a * axis.dilation in pixels for a in range(axis.kernel)):
        found.append([first + a * axis.dilation for a in range(axis.kernel)])
        first += axis.stride
    return found


def test_axis_equals_a_window_moved_by_hand():
    for axis, n in AXES:
        expected = windows_one_by_one(axis, n)
        assert max(axis.out(n), 0) == len(expected)
        if not expected:
            continue
        assert axis.seen(n).tolist() == expected
        padded = list(range(-axis.before, n + axis.after))
        assert [padded[axis.at(i)] for i in range(axis.out(n))] == expected
        through = [padded[axis.through(a, n)] for a in range(axis.kernel)]
        assert through == [list(column) for column in zip(*expected, strict=True)]


def test_axis_of_the_worked_example():
    # Eight pixels, three places, two apart: windows at 0, 2 and 4; pixel 7 is left over.
    axis = Axis(3, stride=2)
    assert axis.seen(8).tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    # Rounded up, a fourth window hangs over the end by one pixel.
    assert axis.ceil(8) == Axis(3, stride=2, after=1)
    assert axis.ceil(8).seen(8)[3].tolist() == [6, 7, 8]


@pytest.mark.parametrize(("k", "d"), [(1, 1), (2, 1), (3, 1), (4, 1), (2, 3), (3, 2), (4, 3)])
def test_same_keeps_the_size_and_puts_the_odd_pixel_after(k, d):
    axis = Axis(k, dilation=d).same()
    assert axis.out(9) == 9
    assert axis.after - axis.before == d * (k - 1) % 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "layer", [(2,), ((3, 2), (2, 1)), ((1, 3), 2, (1, 2)), (2, 1, 1, (2, 3))], ids=str
)
def test_windows_equals_unfold(layer, dtype):
    kernel, stride, padding, dilation = (*layer, *(1, 0, 1)[len(layer) - 1 :])

    def ours(x):
        return windows(x, *layer).permute(0, 1, 4, 5, 2, 3).flatten(1, 3).flatten(2)

    x = random_tensor(2, 3, 6, 7, dtype=dtype)
    assert_same_as_torch(ours, lambda x: F.unfold(x, kernel, dilation, padding, stride), x)


def test_windows_shares_the_memory_of_the_image():
    x = torch.arange(24.0).reshape(1, 1, 4, 6)
    view = windows(x, (2, 3), stride=(1, 2), dilation=(2, 1))
    assert view.data_ptr() == x.data_ptr()
    assert view[0, 0, 1, 1].tolist() == [[8.0, 9.0, 10.0], [20.0, 21.0, 22.0]]


@settings(max_examples=60, deadline=None)
@given(images, pairs, pairs, borders, pairs, st.booleans())
def test_view_places_and_at_show_the_same_pixels(size, kernel, stride, padding, dilation, ceil):
    window = Window.read(kernel, stride, padding, dilation)
    window = window.ceil(size) if ceil else window
    assume(window.rows.out(size[0]) >= 1 and window.columns.out(size[1]) >= 1)
    padded = window.pad(random_tensor(2, *size).detach())
    view = window.view(padded)
    assert view.shape == (2, *window.out(size), *kernel)
    for (a, b), place in zip(product(*map(range, kernel)), window.places(size), strict=True):
        assert torch.equal(view[..., a, b], padded[:, *place])
    for i, j in product(*map(range, window.out(size))):
        assert torch.equal(view[:, i, j], padded[:, *window.at(i, j)])


@settings(max_examples=60, deadline=None)
@given(images, pairs, pairs, borders, st.booleans())
def test_crop_takes_off_what_pad_put_on(size, kernel, stride, padding, ceil):
    window = Window.read(kernel, stride, padding)
    window = window.ceil(size) if ceil else window
    assume(window.rows.out(size[0]) >= 1 and window.columns.out(size[1]) >= 1)
    x = random_tensor(2, *size).detach()
    restored = window.crop(window.pad(x, 7.0))
    # What a rounded-up window never reaches is cut off, and comes back as zeros.
    reached = torch.ones(size, dtype=torch.bool)
    reached[size[0] + min(window.rows.after, 0) :] = False
    reached[:, size[1] + min(window.columns.after, 0) :] = False
    assert torch.equal(restored, x * reached)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [(3, 5), (1, 3)])
def test_of_conv_reads_padding_by_name_as_torch(padding, kernel):
    expected = F.conv2d(torch.zeros(1, 1, 6, 8), torch.zeros(1, 1, *kernel), padding=padding)
    assert Window.of_conv(kernel, padding=padding).out((6, 8)) == expected.shape[2:]


@pytest.mark.parametrize(("n", "k", "s", "p"), [*product((4, 5, 7), (2, 3), (1, 2, 4), (0, 1))])
def test_ceil_counts_the_windows_of_torch(n, k, s, p):
    expected = F.max_pool2d(torch.zeros(1, 1, n, n), k, s, p, ceil_mode=True)
    assert Window.of_pool(k, s, p).ceil((n, n)).out((n, n)) == expected.shape[2:]


def test_of_pool_lays_windows_side_by_side_and_refuses_much_padding():
    assert Window.of_pool((3, 2)).stride == (3, 2)
    assert Window.of_pool(3, 1, 1).stride == (1, 1)
    with pytest.raises(ValueError, match=r"`padding` must be at most half .* \(3, 2\), got 2"):
        Window.of_pool((3, 2), padding=2)


def test_window_is_a_value():
    window = Window.read(3, (1, 2), 1)
    assert window == Window.read((3, 3), [1, 2], (1, 1), 1)
    assert hash(window) == hash(Window.read(3, (1, 2), 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        window.rows = Axis(2)


def test_window_says_why_none_fits():
    words = (
        r"`kernel_size` \(=3, spanning 5 with dilation 2\) must not exceed the padded input of 4"
    )
    with pytest.raises(ValueError, match=words):
        Window.read(3, padding=(1, 0), dilation=2).out((2, 9))
    with pytest.raises(ValueError, match=r"=9.* \(size 5, padding 0 before and 0 after\)"):
        Window.read(9, stride=3).ceil((5, 5)).out((5, 5))


# Functions with a window among their arguments, each with its good call.
WITH_WINDOW = {f: call for f, call in GOOD.items() if {"stride", "kernel_size"} & set(call)}


@pytest.fixture
def read(monkeypatch) -> Counter:
    """Count, by name, how often a call reads an argument that holds numbers."""
    count = Counter()

    def counting(original):
        def reader(name, *rest):
            count[name] += 1
            return original(name, *rest)

        return reader

    users = [m for name, m in sys.modules.items() if name.startswith("cnncourse.")]
    for name in ("pair", "check_integer"):
        original = getattr(_arguments, name)
        for module in users:
            if module is not _arguments and vars(module).get(name) is original:
                monkeypatch.setattr(module, name, counting(original))
    return count


@pytest.mark.parametrize("f", WITH_WINDOW, ids=lambda f: f.__name__)
def test_every_number_of_a_layer_is_read_once(f, read):
    f(**WITH_WINDOW[f])
    assert set(read.values()) == {1}, read
    numbers = {"size", "kernel_size", "stride", "padding", "dilation", "groups"}
    assert numbers & set(WITH_WINDOW[f]) <= set(read)
