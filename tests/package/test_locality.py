"""Convolution as a matrix, and without shared weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from cnncourse.locality import conv_matrix, locally_connected2d
from cnncourse.padding_stride import conv_output_size
from tests.package.compare import assert_same_as_torch, random_tensor, relative_error

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
borders = st.tuples(st.integers(0, 2), st.integers(0, 2))
images = st.tuples(st.integers(1, 9), st.integers(1, 9))
# stride, padding, dilation; (7, 10) leaves rows over in the second and third
GRID = [(1, 0, 1), (2, 1, 1), ((2, 3), (0, 2), 1), (1, (2, 0), (2, 3)), ((3, 1), (1, 2), (1, 2))]
# Sums of a few products in float64 agree to 1e-12 in any order.
CLOSE = 1e-12


def test_conv_matrix_gives_the_numbers_worked_by_hand():
    matrix = conv_matrix(torch.arange(4.0).reshape(2, 2), (3, 3))
    assert matrix.to_dense().tolist() == [
        [0, 1, 0, 2, 3, 0, 0, 0, 0],
        [0, 0, 1, 0, 2, 3, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 2, 3, 0],
        [0, 0, 0, 0, 0, 1, 0, 2, 3],
    ]
    assert (matrix @ torch.arange(9.0)).tolist() == [19, 25, 37, 43]


def test_conv_matrix_is_sparse_with_one_entry_a_tap():
    matrix = conv_matrix(torch.ones(3, 2), (10, 11))
    assert (matrix.layout, matrix.is_coalesced()) == (torch.sparse_coo, True)
    assert matrix.values().numel() == 8 * 10 * 6


@settings(max_examples=80, deadline=None)
@given(images, pairs, pairs, borders, pairs, st.integers(0, 2**31))
def test_conv_matrix_times_the_image_is_the_convolution(
    size, kernel, stride, padding, dilation, seed
):
    x, k = random_tensor(*size, seed=seed).detach(), random_tensor(*kernel, seed=seed + 1).detach()
    try:
        expected = F.conv2d(x[None, None], k[None, None], None, stride, padding, dilation)
    except RuntimeError:
        with pytest.raises(ValueError, match="must not exceed the padded input"):
            conv_matrix(k, size, stride, padding, dilation)
    else:
        matrix = conv_matrix(k, size, stride, padding, dilation)
        assert matrix.shape == (expected.numel(), x.numel())
        assert torch.allclose(matrix @ x.flatten(), expected.flatten(), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("stride", "padding", "dilation"), GRID)
def test_conv_matrix_has_the_gradients_of_torch(stride, padding, dilation, dtype):
    def ours(x, kernel):
        return conv_matrix(kernel, (7, 10), stride, padding, dilation) @ x.reshape(-1)

    def theirs(x, kernel):
        return F.conv2d(
            x[None, None], kernel[None, None], None, stride, padding, dilation
        ).flatten()

    inputs = random_tensor(7, 10, dtype=dtype), random_tensor(3, 2, dtype=dtype, seed=1)
    assert_same_as_torch(ours, theirs, *inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("stride", "padding", "dilation"), GRID)
@pytest.mark.parametrize(("n", "c", "o"), [(2, 3, 4), (1, 1, 1)])
def test_locally_connected2d_with_equal_kernels_is_conv2d(
    n, c, o, stride, padding, dilation, dtype
):
    out_h, out_w = conv_output_size((7, 10), (3, 2), stride, padding, dilation)

    def ours(x, weight, bias):
        untied = weight.expand(out_h, out_w, *weight.shape), bias.expand(out_h, out_w, o)
        return locally_connected2d(x, *untied, stride, padding, dilation)

    def theirs(x, weight, bias):
        return F.conv2d(x, weight, bias, stride, padding, dilation)

    shapes = (n, c, 7, 10), (o, c, 3, 2), (o,)
    inputs = [random_tensor(*shape, dtype=dtype, seed=i) for i, shape in enumerate(shapes)]
    assert_same_as_torch(ours, theirs, *inputs)


def test_locally_connected2d_uses_each_kernel_at_its_own_place():
    x = random_tensor(2, 3, 5, 6).detach()
    weight, bias = random_tensor(2, 2, 4, 3, 2, 3, seed=1).detach(), random_tensor(2, 2, 4).detach()
    y = locally_connected2d(x, weight, bias, stride=(3, 2), padding=(0, 0))
    for i in range(2):
        for j in range(2):
            patch = x[:, :, 3 * i : 3 * i + 2, 2 * j : 2 * j + 3]
            expected = F.conv2d(patch, weight[i, j], bias[i, j])[:, :, 0, 0]
            assert relative_error(y[:, :, i, j], expected) < CLOSE


def test_locally_connected2d_passes_gradcheck():
    inputs = random_tensor(1, 2, 4, 5), random_tensor(2, 3, 2, 2, 3, 2), random_tensor(2, 3, 2)
    assert gradcheck(lambda x, w, b: locally_connected2d(x, w, b, (2, 2), (1, 1)), inputs)


ones = torch.ones
GOOD = {
    conv_matrix: {"kernel": ones(3, 3), "input_size": (5, 6)},
    locally_connected2d: {"x": ones(1, 2, 5, 6), "weight": ones(3, 4, 7, 2, 3, 3)},
}
BAD_CALLS = [
    (conv_matrix, {"kernel": [[1.0]]}, TypeError, ["`kernel`", "torch.Tensor", "list"]),
    (conv_matrix, {"kernel": ones(3, 3).int()}, TypeError, ["`kernel`", "floating", "int32"]),
    (conv_matrix, {"kernel": ones(1, 1, 3, 3)}, ValueError, ["`kernel`", "2 dim", "(1, 1, 3, 3)"]),
    (conv_matrix, {"kernel": ones(0, 3)}, ValueError, ["`kernel`", "empty", "(0, 3)"]),
    (conv_matrix, {"input_size": 0}, ValueError, ["`input_size`", "at least 1", "0"]),
    (conv_matrix, {"input_size": (2, 6)}, ValueError, ["`kernel_size` (=3", "padded input of 2"]),
    (conv_matrix, {"stride": 0}, ValueError, ["`stride`", "at least 1", "0"]),
    (conv_matrix, {"padding": -1}, ValueError, ["`padding`", "at least 0", "-1"]),
    (conv_matrix, {"padding": "same"}, TypeError, ["`padding`", "integer", "'same'"]),
    (conv_matrix, {"dilation": 3}, ValueError, ["spanning 7", "dilation 3", "padded input of 5"]),
    (locally_connected2d, {"x": ones(2, 5, 6)}, ValueError, ["`x`", "n, c, h, w", "(2, 5, 6)"]),
    (
        locally_connected2d,
        {"x": ones(1, 3, 5, 6)},
        ValueError,
        ["`weight`", "(3, 4, o, 3, kh, kw)"],
    ),
    (
        locally_connected2d,
        {"weight": ones(7, 2, 3, 3)},
        ValueError,
        ["`weight`", "6 dim", "out_h, out_w"],
    ),
    (locally_connected2d, {"weight": ones(2, 4, 7, 2, 3, 3)}, ValueError, ["(3, 4, o", "(2, 4, 7"]),
    (locally_connected2d, {"weight": ones(3, 4, 7, 2, 0, 3)}, ValueError, ["`weight`", "empty"]),
    (locally_connected2d, {"weight": ones(3, 4, 7, 2, 3, 3).double()}, TypeError, ["float64"]),
    (locally_connected2d, {"bias": ones(7)}, ValueError, ["`bias`", "3 dim", "(7,)"]),
    (
        locally_connected2d,
        {"bias": ones(3, 4, 1)},
        ValueError,
        ["`bias`", "(3, 4, 7)", "(3, 4, 1)"],
    ),
    (locally_connected2d, {"bias": ones(3, 4, 7).half()}, TypeError, ["`bias`", "float16"]),
    (locally_connected2d, {"stride": (0, 1)}, ValueError, ["`stride`", "at least 1", "0"]),
    (
        locally_connected2d,
        {"dilation": 4},
        ValueError,
        ["spanning 9", "dilation 4", "padded input of 5"],
    ),
]


@pytest.mark.parametrize(("f", "bad", "error", "words"), BAD_CALLS)
@pytest.mark.usefixtures("as_installed")
def test_bad_call_names_the_argument_and_the_value(f, bad, error, words):
    with pytest.raises(error) as caught:
        f(**GOOD[f] | bad)
    for word in words:
        assert word in str(caught.value)
