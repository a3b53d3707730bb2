"""The convolutional layer against torch, against numbers worked by hand, and against its laws."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cnncourse.channels import (
    BLOCK,
    conv1x1,
    conv2d,
    conv2d_loops,
    corr2d_multi_in,
    corr2d_multi_in_out,
    im2col,
)
from cnncourse.padding_stride import conv_output_size
from tests.package.compare import FORWARD, assert_same_as_torch, random_tensor, relative_error

DOUBLE, SINGLE = torch.float64, torch.float32

# (n, c, h, w), (o, kh, kw), groups: h != w and kh != kw throughout; 11 and 8 leave rows over.
LAYERS = [
    ((2, 3, 9, 11), (4, 3, 2), 1),
    ((1, 1, 8, 7), (1, 2, 4), 1),
    ((3, 4, 10, 8), (6, 3, 2), 2),
    ((2, 3, 9, 8), (3, 2, 3), 3),  # depthwise
    ((1, 3, 11, 8), (6, 1, 3), 3),  # depthwise, two outputs per channel
]
STRIDES = [1, (2, 3), (3, 1)]
PADDINGS = [0, (1, 2), (3, 0)]
DILATIONS = [1, (2, 1), (1, 2)]
GRID = list(product(LAYERS, STRIDES, PADDINGS, DILATIONS))


def layer(shape: tuple, kernel: tuple, groups: int, dtype: torch.dtype = DOUBLE) -> list[Tensor]:
    o, kh, kw = kernel
    x = random_tensor(*shape, dtype=dtype, seed=1)
    weight = random_tensor(o, shape[1] // groups, kh, kw, dtype=dtype, seed=2)
    return [x, weight, random_tensor(o, dtype=dtype, seed=3)]


@pytest.mark.parametrize(("sizes", "stride", "padding", "dilation"), GRID)
def test_conv2d_equals_torch(sizes, stride, padding, dilation):
    shape, kernel, groups = sizes
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert_same_as_torch(
        lambda *tensors: conv2d(*tensors, **options),
        lambda *tensors: F.conv2d(*tensors, **options),
        *layer(shape, kernel, groups),
    )


@pytest.mark.parametrize(("sizes", "stride", "padding", "dilation"), GRID[::4])
def test_conv2d_equals_torch_in_single_precision(sizes, stride, padding, dilation):
    shape, kernel, groups = sizes
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert_same_as_torch(
        lambda *tensors: conv2d(*tensors, **options),
        lambda *tensors: F.conv2d(*tensors, **options),
        *layer(shape, kernel, groups, SINGLE),
    )


@pytest.mark.parametrize(("sizes", "stride", "padding", "dilation"), GRID[::7])
def test_conv2d_loops_equals_torch(sizes, stride, padding, dilation):
    (n, c, _, _), (o, kh, kw), groups = sizes
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert_same_as_torch(
        lambda *tensors: conv2d_loops(*tensors, **options),
        lambda *tensors: F.conv2d(*tensors, **options),
        *layer((n, c, 5, 6), (o, min(kh, 2), min(kw, 3)), groups),
    )


# torch warns that an even kernel makes it copy the image; the copy is not our subject.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("form", [conv2d, conv2d_loops])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dilation", [1, (1, 3), 2])
@pytest.mark.parametrize("kernel", [(3, 2), (2, 4), (1, 3)])
def test_conv2d_takes_padding_by_name(form, padding, dilation, kernel):
    if padding == "valid":
        dilation = 1
    options = {"padding": padding, "dilation": dilation}
    assert_same_as_torch(
        lambda *tensors: form(*tensors, **options),
        lambda *tensors: F.conv2d(*tensors, **options),
        *layer((2, 2, 5, 6), (2, *kernel), 1),
    )


@pytest.mark.parametrize("form", [conv2d, conv2d_loops])
def test_conv2d_of_two_channels_by_hand(form):
    # Channel 0: 19 25 37 43. Channel 1, one larger everywhere under a kernel one larger:
    # 1*1 + 2*2 + 4*3 + 5*4 = 37, then 47, 67, 77. Their sums are the example of the chapter.
    first, kernel = torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2)
    x = torch.stack([first, first + 1])[None]
    weight = torch.stack([kernel, kernel + 1])[None]
    expected = torch.tensor([[[[56.0, 72.0], [104.0, 120.0]]]])
    assert torch.equal(form(x, weight), expected)


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize(("c", "o", "kernel"), [(1, 1, (2, 3)), (3, 2, (3, 2)), (2, 4, (1, 5))])
def test_corr2d_of_many_channels_equals_torch(c, o, kernel, dtype):
    x, weight = random_tensor(c, 6, 5, dtype=dtype), random_tensor(o, c, *kernel, dtype=dtype)
    assert_same_as_torch(corr2d_multi_in_out, lambda x, w: F.conv2d(x[None], w)[0], x, weight)
    one_kernel = random_tensor(c, *kernel, dtype=dtype, seed=1)
    assert_same_as_torch(
        corr2d_multi_in, lambda x, k: F.conv2d(x[None], k[None])[0, 0], x, one_kernel
    )


def test_corr2d_of_many_channels_equals_d2l():
    # Its functions of these names stand in the book, not in its library.
    d2l = pytest.importorskip("cnncourse.reference").d2l
    x, weight = random_tensor(3, 5, 6, dtype=SINGLE), random_tensor(2, 3, 2, 3, dtype=SINGLE)
    x, weight = x.detach(), weight.detach()
    expected = torch.stack(
        [sum(map(d2l.corr2d, x, kernel)) for kernel in weight]  # d2l 7.4
    )
    assert relative_error(corr2d_multi_in_out(x, weight), expected) <= FORWARD[SINGLE]


@pytest.mark.parametrize("form", [conv2d, conv2d_loops])
def test_conv2d_equals_d2l(form):
    d2l = pytest.importorskip("cnncourse.reference").d2l
    x, weight = random_tensor(1, 1, 7, 6, dtype=SINGLE), random_tensor(1, 1, 3, 2, dtype=SINGLE)
    expected = d2l.corr2d(x[0, 0].detach(), weight[0, 0].detach())
    assert relative_error(form(x, weight)[0, 0], expected) <= FORWARD[SINGLE]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_conv2d_passes_gradcheck(bias, groups):
    x, weight, b = layer((2, 2, 4, 5), (2, 2, 3), groups)
    inputs = (x, weight, b) if bias else (x, weight)
    options = {"stride": (2, 1), "padding": (1, 0), "groups": groups}
    assert torch.autograd.gradcheck(lambda *tensors: conv2d(*tensors, **options), inputs)


def test_conv2d_passes_gradgradcheck():
    inputs = layer((1, 2, 3, 4), (2, 2, 3), 1)
    assert torch.autograd.gradgradcheck(lambda *tensors: conv2d(*tensors, padding=1), inputs)


@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_conv2d_joins_its_blocks_in_the_order_of_the_images(n):
    tensors = layer((n, 2, 4, 5), (3, 2, 3), 1)
    assert_same_as_torch(conv2d, F.conv2d, *tensors)
    assert conv2d(*tensors).is_contiguous()


@pytest.mark.parametrize("form", [conv2d, conv2d_loops])
def test_conv2d_of_an_empty_batch_is_empty(form):
    x = torch.zeros(0, 2, 5, 4, requires_grad=True)
    weight = torch.zeros(3, 2, 2, 3, requires_grad=True)
    y = form(x, weight, stride=2)
    assert y.shape == (0, 3, 2, 1)
    y.sum().backward()
    assert weight.grad.eq(0).all()


@pytest.mark.parametrize("form", [conv2d, conv2d_loops])
def test_conv2d_takes_any_memory_layout_and_returns_a_contiguous_tensor(form):
    x = torch.randn(7, 2, 6, 2, dtype=DOUBLE).permute(3, 1, 2, 0)
    weight = torch.randn(2, 3, 2, 3, dtype=DOUBLE)[..., ::2].transpose(0, 1)
    y = form(x, weight)
    assert y.is_contiguous()
    assert relative_error(y, F.conv2d(x, weight)) <= FORWARD[DOUBLE]


@pytest.mark.parametrize("form", [conv2d, conv2d_loops])
def test_conv2d_leaves_its_arguments_alone(form):
    tensors = [t.detach() for t in layer((1, 2, 5, 4), (2, 2, 3), 1)]
    before = [t.clone() for t in tensors]
    form(*tensors, padding=1)
    assert all(torch.equal(t, b) for t, b in zip(tensors, before, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_conv2d_keeps_a_half_precision_dtype(dtype):
    x, weight, bias = (t.detach().to(dtype) for t in layer((1, 2, 5, 4), (2, 2, 3), 1))
    y, expected = conv2d(x, weight, bias), F.conv2d(x, weight, bias)
    assert y.dtype == dtype
    # bfloat16 carries 8 bits, so about three of its steps at the size of the result.
    assert relative_error(y, expected) <= 1e-2


@settings(max_examples=30, deadline=None)
@given(a=st.floats(-3, 3), b=st.floats(-3, 3), seed=st.integers(0, 10_000))
def test_conv2d_is_linear_in_the_image_and_in_the_kernel(a, b, seed):
    x, z = random_tensor(1, 2, 5, 6, seed=seed), random_tensor(1, 2, 5, 6, seed=seed + 1)
    u, v = random_tensor(3, 2, 2, 3, seed=seed + 2), random_tensor(3, 2, 2, 3, seed=seed + 3)
    of_images = conv2d(a * x + b * z, u) - a * conv2d(x, u) - b * conv2d(z, u)
    of_kernels = conv2d(x, a * u + b * v) - a * conv2d(x, u) - b * conv2d(x, v)
    # Numbers of size 30 at most after twelve products: 1e-12 is a hundred of their rounding steps.
    assert of_images.abs().max() < 1e-12
    assert of_kernels.abs().max() < 1e-12


@settings(max_examples=30, deadline=None)
@given(
    steps=st.tuples(st.integers(-2, 2), st.integers(-2, 2)),
    stride=st.integers(1, 2),
    seed=st.integers(0, 10_000),
)
def test_conv2d_of_a_moved_image_is_the_moved_output(steps, stride, seed):
    # The object keeps away from the border, and moves by whole strides.
    small = random_tensor(1, 2, 3, 4, seed=seed).detach()
    image = F.pad(small, (6, 6, 6, 6))
    moved = image.roll([stride * step for step in steps], (2, 3))
    weight = random_tensor(2, 2, 3, 2, seed=seed + 1).detach()
    expected = conv2d(image, weight, stride=stride).roll(steps, (2, 3))
    assert relative_error(conv2d(moved, weight, stride=stride), expected) <= FORWARD[DOUBLE]


AXIS = st.tuples(st.integers(5, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))


@settings(max_examples=40, deadline=None)
@given(rows=AXIS, columns=AXIS, dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)))
def test_conv2d_has_the_size_of_the_law_and_both_forms_agree(rows, columns, dilation):
    size, kernel, stride, padding = zip(rows, columns, strict=True)
    x, weight = random_tensor(1, 1, *size).detach(), random_tensor(1, 1, *kernel, seed=1).detach()
    fast = conv2d(x, weight, None, stride, padding, dilation)
    assert tuple(fast.shape[2:]) == conv_output_size(size, kernel, stride, padding, dilation)
    clear = conv2d_loops(x, weight, None, stride, padding, dilation)
    assert relative_error(fast, clear) <= FORWARD[DOUBLE]


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 3, 2), (0, 2, 3, 3)])
def test_conv1x1_equals_torch(shape, dtype):
    x, weight, bias = layer(shape, (4, 1, 1), 1, dtype)
    assert_same_as_torch(conv1x1, F.conv2d, x, weight, bias)
    assert_same_as_torch(lambda x, w: conv1x1(x, w[:, :, 0, 0]), F.conv2d, x, weight)


def test_conv1x1_passes_gradcheck():
    assert torch.autograd.gradcheck(conv1x1, layer((2, 3, 2, 3), (2, 1, 1), 1))


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize("kernel", [2, (3, 2), (1, 4)])
@pytest.mark.parametrize("stride", [1, (2, 3)])
@pytest.mark.parametrize("padding", [0, (1, 2)])
@pytest.mark.parametrize("dilation", [1, (2, 1)])
def test_im2col_equals_unfold(dtype, kernel, stride, padding, dilation):
    x = random_tensor(2, 3, 7, 8, dtype=dtype)
    assert_same_as_torch(
        lambda x: im2col(x, kernel, stride, padding, dilation),
        lambda x: F.unfold(x, kernel, dilation, padding, stride),
        x,
    )


def test_im2col_times_the_kernels_is_the_convolution():
    x, weight, _ = layer((2, 3, 6, 5), (4, 3, 2), 1)
    y = (weight.flatten(1) @ im2col(x, (3, 2), padding="same")).unflatten(2, (6, 5))
    assert relative_error(y, conv2d(x, weight, padding="same")) <= FORWARD[DOUBLE]


def test_im2col_copies_even_where_a_view_would_do():
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    im2col(x, 1).zero_()
    assert x.flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_im2col_passes_gradcheck_and_takes_an_empty_batch():
    assert torch.autograd.gradcheck(lambda x: im2col(x, 2, 2, 1), random_tensor(1, 2, 3, 4))
    assert im2col(torch.zeros(0, 2, 5, 5), 3).shape == (0, 18, 9)


X, W = torch.zeros(1, 4, 5, 6), torch.zeros(6, 4, 3, 2)
BAD_CALLS = [
    (
        (X[0], W),
        {},
        ValueError,
        r"`x` must have 4 dimensions \(n, c, h, w\), got shape \(4, 5, 6\); x\[None\] makes one",
    ),
    ((X.long(), W), {}, TypeError, "`x` must have a floating-point dtype, got torch.int64"),
    (([[1.0]], W), {}, TypeError, "`x` must be a torch.Tensor, got list"),
    ((X, W[0]), {}, ValueError, r"`weight` must have 4 dimensions .* got shape \(4, 3, 2\)"),
    ((X, W.double()), {}, TypeError, "`weight` and `x` must have the same dtype"),
    ((X, W.to("meta")), {}, ValueError, "`weight` and `x` must be on the same device"),
    ((X, W[:, :3]), {}, ValueError, r"`weight` must have 4 input channels .* \(6, 3, 3, 2\)"),
    ((X, W), {"groups": 2}, ValueError, "`weight` must have 2 input channels"),
    ((X, W), {"groups": 3}, ValueError, "`groups` must divide the 4 channels of `x`, got 3"),
    ((X, W), {"groups": 4}, ValueError, "`groups` must divide the 6 output channels .* got 4"),
    ((X, W), {"groups": 0}, ValueError, "`groups` must be at least 1, got 0"),
    ((X, W[:0]), {}, ValueError, "the 0 output channels of `weight`"),
    ((X, W[:, :, :0]), {}, ValueError, "`kernel_size` must be at least 1, got 0"),
    ((X, W, torch.zeros(5)), {}, ValueError, r"`bias` must have shape \(6,\), got \(5,\)"),
    ((X, W, torch.zeros(6, 1)), {}, ValueError, "`bias` must have 1 dimensions"),
    ((X, W, torch.zeros(6).double()), {}, TypeError, "`bias` and `x` must have the same dtype"),
    ((X[:, :, :2], W), {}, ValueError, "`kernel_size` .*=3.* must not exceed .* padded input of 2"),
    ((X, W), {"dilation": 3}, ValueError, "`kernel_size` .* must not exceed the padded input of 5"),
    ((X, W), {"stride": 0}, ValueError, "`stride` must be at least 1, got 0"),
    ((X, W), {"stride": (1, -1)}, ValueError, "`stride` must be at least 1, got -1"),
    ((X, W), {"stride": 1.5}, TypeError, "`stride` must be an integer, got 1.5"),
    ((X, W), {"stride": (1, 1, 1)}, ValueError, "`stride` must be an int or a .* pair"),
    ((X, W), {"padding": -1}, ValueError, "`padding` must be at least 0, got -1"),
    ((X, W), {"padding": "full"}, ValueError, "`padding` must be .*'same' or 'valid', got 'full'"),
    ((X, W), {"padding": "same", "stride": 2}, ValueError, "`stride` must be 1 with .* got 2"),
    ((X, W), {"dilation": 0}, ValueError, "`dilation` must be at least 1, got 0"),
]


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize("form", [conv2d, conv2d_loops])
@pytest.mark.parametrize(("args", "options", "error", "words"), BAD_CALLS)
def test_conv2d_names_the_bad_argument(form, args, options, error, words):
    with pytest.raises(error, match=words):
        form(*args, **options)


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(
    ("function", "args", "error", "words"),
    [
        (conv1x1, (X, W), ValueError, r"`weight` must have shape \(o, c, 1, 1\)"),
        (conv1x1, (X, W[:, :3, 0, 0]), ValueError, "`weight` must have 4 input channels"),
        (conv1x1, (X, W[0, 0, 0]), ValueError, "`weight` must have 4 dimensions"),
        (im2col, (X[0], 2), ValueError, "`x` must have 4 dimensions"),
        (im2col, (X, 0), ValueError, "`kernel_size` must be at least 1, got 0"),
        (im2col, (X, 6), ValueError, "`kernel_size` .* must not exceed the padded input of 5"),
        (im2col, (X, 2, 0), ValueError, "`stride` must be at least 1, got 0"),
        (im2col, (X, 2, 1, -1), ValueError, "`padding` must be at least 0, got -1"),
        (im2col, (X, 2, 1, 0, 0), ValueError, "`dilation` must be at least 1, got 0"),
        (im2col, (X.int(), 2), TypeError, "`x` must have a floating-point dtype"),
        (corr2d_multi_in, (X[0], W[0, :3]), ValueError, "`kernel` must have the 4 input channels"),
        (
            corr2d_multi_in,
            (X[0, :0], W[0, :0]),
            ValueError,
            r"`x` must not be empty, .* \(0, 5, 6\)",
        ),
        (corr2d_multi_in, (X[0], W[0].double()), TypeError, "`kernel` and `x` must have the same"),
        (corr2d_multi_in, (X[0, :, :2], W[0]), ValueError, "`kernel` must be no larger than `x`"),
        (corr2d_multi_in_out, (X[0], W[:, :3]), ValueError, "`weight` must have the 4 input chan"),
        (corr2d_multi_in_out, (X[0], W[:0]), ValueError, r"`weight` must not be empty, .* \(0, 4"),
    ],
)
def test_the_other_forms_name_the_bad_argument(function, args, error, words):
    with pytest.raises(error, match=words):
        function(*args)
