"""Sizes, padding and usage against torch's own layers."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncourse.cross_correlation import corr2d
from cnncourse.padding_stride import (
    conv_output_size,
    corr2d_strided,
    same_padding,
    usage_count,
)
from tests.package.compare import assert_same_as_torch, random_tensor

pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
borders = st.tuples(st.integers(0, 3), st.integers(0, 3))
images = st.tuples(st.integers(1, 12), st.integers(1, 12))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((3, 2), 2),
        ((28, 5, 1, 2), 28),
        ((240, 5), 236),
        ((8, 3, 2, 1), 4),
        ((7, 3, 2, 0, 2), 2),  # spans 5; starts at 0 and 2
        (((8, 10), (3, 5), (3, 4), (0, 1)), (2, 2)),
        ((8, (3, 5)), (6, 4)),
        ((torch.Size([8, 9]), 3), (6, 7)),
    ],
)
def test_conv_output_size_gives_the_numbers_worked_by_hand(arguments, expected):
    assert conv_output_size(*arguments) == expected


@settings(max_examples=150, deadline=None)
@given(images, pairs, pairs, borders, pairs)
def test_conv_output_size_is_the_size_that_comes_out(size, kernel, stride, padding, dilation):
    x, weight = torch.zeros(1, 1, *size), torch.zeros(1, 1, *kernel)
    try:
        y = F.conv2d(x, weight, None, stride, padding, dilation)
    except RuntimeError:
        with pytest.raises(ValueError, match="must not exceed"):
            conv_output_size(size, kernel, stride, padding, dilation)
    else:
        assert conv_output_size(size, kernel, stride, padding, dilation) == tuple(y.shape[2:])


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_conv_output_size_follows_the_rounding_of_pooling(ceil_mode):
    """Every small pooling on one axis, the rule about the last window's start included."""
    seen = 0
    for n, k, s, d in product(range(1, 9), range(1, 5), range(1, 5), range(1, 3)):
        for p in range(k // 2 + 1):
            x = torch.zeros(1, 1, n, n)
            try:
                expected = F.max_pool2d(x, k, s, p, d, ceil_mode=ceil_mode).shape[-1]
            except RuntimeError:
                with pytest.raises(ValueError, match="must not exceed"):
                    conv_output_size(n, k, s, p, d, ceil_mode)
            else:
                seen += 1
                assert conv_output_size(n, k, s, p, d, ceil_mode) == expected, (n, k, s, p, d)
    assert seen > 400  # the grid is not made of errors


def test_ten_layers_of_five_by_five_leave_200_of_240():
    size = (240, 240)
    for _ in range(10):
        size = conv_output_size(size, 5)
    assert size == (200, 200)


@settings(max_examples=60, deadline=None)
@given(pairs, pairs)
def test_same_padding_is_that_of_torch(kernel, dilation):
    x, weight = torch.randn(1, 1, 13, 14), torch.randn(1, 1, *kernel)
    (top, bottom), (left, right) = same_padding(kernel, dilation)
    y = F.conv2d(F.pad(x, (left, right, top, bottom)), weight, dilation=dilation)
    if any(sum(side) % 2 for side in ((top, bottom), (left, right))):
        with pytest.warns(UserWarning, match="even kernel lengths"):
            expected = torch_same(x, weight, dilation)
    else:
        expected = torch_same(x, weight, dilation)
    assert y.shape == x.shape
    # float32 sums of at most 16 products
    assert torch.allclose(y, expected, rtol=0, atol=1e-4)


def torch_same(x, weight, dilation):
    torch.set_warn_always(True)  # torch warns about even kernels only once in a process
    try:
        return F.conv2d(x, weight, padding="same", dilation=dilation)
    finally:
        torch.set_warn_always(False)


def test_same_padding_gives_one_axis_for_ints():
    assert same_padding(4) == (1, 2)
    assert same_padding(4, (1, 2)) == ((1, 2), (3, 3))


def test_usage_count_gives_the_numbers_worked_by_hand():
    assert usage_count(3, 2).tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    padded = usage_count((3, 3), 3, padding=1)
    assert padded.tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]
    # The second window would need a sixth row and a fifth column: both leftovers count 0.
    assert (
        usage_count((5, 5), (3, 2), stride=(3, 2)).tolist() == [[1, 1, 1, 1, 0]] * 3 + [[0] * 5] * 2
    )


@settings(max_examples=80, deadline=None)
@given(images, pairs, pairs, borders, pairs)
def test_usage_count_is_the_gradient_of_the_sum_of_all_outputs(
    size, kernel, stride, padding, dilation
):
    x = torch.zeros(1, 1, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.ones(1, 1, *kernel, dtype=torch.float64)
    try:
        F.conv2d(x, weight, None, stride, padding, dilation).sum().backward()
    except RuntimeError:
        with pytest.raises(ValueError, match="must not exceed"):
            usage_count(size, kernel, stride, padding, dilation)
    else:
        # Sums of ones are exact.
        count = usage_count(size, kernel, stride, padding, dilation)
        assert count.dtype == torch.int64
        assert count.tolist() == x.grad[0, 0].long().tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("stride", [1, (2, 3)])
@pytest.mark.parametrize("padding", [0, (1, 2)])
@pytest.mark.parametrize("dilation", [1, (2, 1)])
def test_corr2d_strided_equals_torch(stride, padding, dilation, dtype):
    layer = stride, padding, dilation
    assert_same_as_torch(
        lambda x, k: corr2d_strided(x, k, *layer),
        lambda x, k: F.conv2d(x[None, None], k[None, None], None, *layer)[0, 0],
        random_tensor(7, 8, dtype=dtype),
        random_tensor(3, 2, dtype=dtype, seed=1),
    )


def test_corr2d_strided_of_one_step_is_corr2d():
    x, kernel = random_tensor(5, 6).detach(), random_tensor(2, 3, seed=1).detach()
    assert torch.equal(corr2d_strided(x, kernel), corr2d(x, kernel))


GOOD = {
    conv_output_size: {"size": 8, "kernel_size": 3},
    usage_count: {"size": 8, "kernel_size": 3},
    same_padding: {"kernel_size": 3},
}


BAD_CALLS = [
    (same_padding, {"kernel_size": 0}, ValueError, ["`kernel_size`", "at least 1", "0"]),
    (same_padding, {"dilation": 0}, ValueError, ["`dilation`", "at least 1", "0"]),
    (same_padding, {"kernel_size": "3"}, TypeError, ["`kernel_size`", "integer", "'3'"]),
]
for _f in (conv_output_size, usage_count):
    BAD_CALLS += [
        (_f, {"size": 0}, ValueError, ["`size`", "at least 1", "0"]),
        (_f, {"size": 8.0}, TypeError, ["`size`", "integer", "8.0"]),
        (_f, {"size": (8, 8, 8)}, ValueError, ["`size`", "pair", "(8, 8, 8)"]),
        (_f, {"kernel_size": 0}, ValueError, ["`kernel_size`", "at least 1", "0"]),
        (_f, {"stride": 0}, ValueError, ["`stride`", "at least 1", "0"]),
        (_f, {"stride": True}, TypeError, ["`stride`", "integer", "True"]),
        (_f, {"padding": -1}, ValueError, ["`padding`", "at least 0", "-1"]),
        (_f, {"padding": "same"}, TypeError, ["`padding`", "integer", "'same'"]),
        (_f, {"dilation": (1, 0)}, ValueError, ["`dilation`", "at least 1", "0"]),
        (_f, {"kernel_size": 9}, ValueError, ["`kernel_size`", "9", "padded input of 8"]),
        (_f, {"dilation": 4}, ValueError, ["spanning 9", "dilation 4", "padded input of 8"]),
    ]


@pytest.mark.parametrize(("f", "bad", "error", "words"), BAD_CALLS)
@pytest.mark.usefixtures("as_installed")
def test_bad_call_names_the_argument_and_the_value(f, bad, error, words):
    with pytest.raises(error) as caught:
        f(**GOOD[f] | bad)
    for word in words:
        assert word in str(caught.value)
