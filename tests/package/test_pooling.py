"""Pooling against torch, against numbers worked by hand, and against its laws."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from cnncourse.invariance import invariance_error
from cnncourse.padding_stride import conv_output_size
from cnncourse.pooling import (
    avg_pool2d,
    avg_pool2d_loops,
    blur_pool2d,
    lp_pool2d,
    max_pool2d,
    max_pool2d_loops,
)
from tests.package.compare import assert_same_as_torch, random_tensor

DOUBLE, SINGLE = torch.float64, torch.float32

SHAPES = [(2, 3, 9, 11), (1, 1, 8, 7), (3, 2, 5, 10)]
KERNELS = [2, (3, 2), (2, 4)]
STRIDES = [None, (2, 3), 1]
CEIL = [False, True]


def dtype_of(case: int) -> torch.dtype:
    """Take single precision in every fourth case of a grid."""
    return SINGLE if case % 4 == 3 else DOUBLE


MAX_GRID = list(product(SHAPES, KERNELS, STRIDES, [0, 1], [1, (1, 2)], CEIL))
AVG_GRID = list(product(SHAPES, KERNELS, STRIDES, [0, 1], CEIL, [True, False]))


@pytest.mark.parametrize("case", range(len(MAX_GRID)))
def test_max_pool2d_equals_torch(case):
    shape, *options = MAX_GRID[case]
    x = random_tensor(*shape, dtype=dtype_of(case // 4))
    assert_same_as_torch(lambda x: max_pool2d(x, *options), lambda x: F.max_pool2d(x, *options), x)


@pytest.mark.parametrize("case", range(len(AVG_GRID)))
def test_avg_pool2d_equals_torch(case):
    shape, *options = AVG_GRID[case]
    x = random_tensor(*shape, dtype=dtype_of(case // 4))
    assert_same_as_torch(lambda x: avg_pool2d(x, *options), lambda x: F.avg_pool2d(x, *options), x)


@pytest.mark.parametrize("divisor", [1, 5, -2])
@pytest.mark.parametrize("case", range(3, len(AVG_GRID), 31))
def test_avg_pool2d_divides_by_the_override_as_torch(divisor, case):
    (n, c, _, _), *options = AVG_GRID[case]
    assert_same_as_torch(
        lambda x: avg_pool2d(x, *options, divisor),
        lambda x: F.avg_pool2d(x, *options, divisor),
        random_tensor(n, c, 5, 7),
    )


# What the loops handle: no ceil_mode, and the whole window as divisor.
LOOPS = list(product([(2, 3), (1, 1)], KERNELS, STRIDES, [0, 1]))


@pytest.mark.parametrize("dilation", [1, (1, 2)])
@pytest.mark.parametrize(("images", "kernel", "stride", "padding"), LOOPS)
def test_max_pool2d_loops_equals_torch(images, kernel, stride, padding, dilation):
    layer = kernel, stride, padding, dilation
    assert_same_as_torch(
        lambda x: max_pool2d_loops(x, *layer),
        lambda x: F.max_pool2d(x, *layer),
        random_tensor(*images, 5, 7),
    )


@pytest.mark.parametrize(("images", "kernel", "stride", "padding"), LOOPS)
def test_avg_pool2d_loops_equals_torch(images, kernel, stride, padding):
    assert_same_as_torch(
        lambda x: avg_pool2d_loops(x, kernel, stride, padding),
        lambda x: F.avg_pool2d(x, kernel, stride, padding),
        random_tensor(*images, 5, 7),
    )


@pytest.mark.parametrize("form", [max_pool2d, max_pool2d_loops])
@pytest.mark.parametrize("kernel", [2, (3, 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_max_pool2d_sends_the_gradient_of_a_tie_where_torch_does(form, kernel, stride):
    # Only three values in 70 pixels, so that nearly every window holds its largest number twice.
    x = torch.randint(0, 3, (2, 1, 5, 7)).to(DOUBLE).requires_grad_()
    assert_same_as_torch(
        lambda x: form(x, kernel, stride, 1), lambda x: F.max_pool2d(x, kernel, stride, 1), x
    )


@pytest.mark.parametrize("form", [max_pool2d, max_pool2d_loops])
def test_max_pool2d_gives_the_first_of_equals_the_whole_gradient(form):
    x = torch.ones(1, 1, 2, 2, requires_grad=True)
    form(x, 2).backward()
    assert x.grad.flatten().tolist() == [1, 0, 0, 0]


def test_max_pool2d_hands_nan_and_infinity_on_as_torch():
    x = torch.randn(1, 1, 6, 8)
    x[0, 0, 2, 3], x[0, 0, 0, 0], x[0, 0, 5, 7] = torch.nan, torch.inf, -torch.inf
    actual, expected = max_pool2d(x, 2, 1, 1), F.max_pool2d(x, 2, 1, 1)
    assert expected.isnan().sum() == 4
    assert torch.equal(actual.nan_to_num(1e9), expected.nan_to_num(1e9))


@pytest.mark.parametrize("form", [max_pool2d, max_pool2d_loops])
def test_max_pool2d_padding_never_wins(form):
    x = torch.full((1, 1, 2, 3), -7.0)
    assert form(x, 2, 1, 1).eq(-7).all()


# -inf twice, so that whole windows hold nothing else, with and without padding beside them.
SPECIAL = torch.tensor([torch.nan, torch.inf, -torch.inf, -torch.inf, 0.0, 1.0], dtype=DOUBLE)


@pytest.mark.parametrize("values", [SPECIAL, SPECIAL[1:], SPECIAL[2:4]], ids=["nan", "inf", "-inf"])
@pytest.mark.parametrize("case", range(0, len(MAX_GRID), 5))
def test_max_pool2d_sends_the_gradient_of_special_values_where_torch_does(values, case):
    (n, c, h, w), *options = MAX_GRID[case]
    generator = torch.Generator().manual_seed(case)
    x = values[torch.randint(len(values), (n, c, h, w), generator=generator)].requires_grad_()
    y, expected = max_pool2d(x, *options), F.max_pool2d(x, *options)
    torch.testing.assert_close(y, expected, rtol=0, atol=0, equal_nan=True)
    # Different whole numbers: their sums are exact, and a gradient in the wrong place shows.
    upstream = torch.arange(1.0, y.numel() + 1, dtype=DOUBLE).view(y.shape)
    grads = [torch.autograd.grad(out, x, upstream)[0] for out in (y, expected)]
    assert torch.equal(*grads)
    assert grads[0].sum() == upstream.sum()  # nothing is lost in the padding


def test_avg_pool2d_counts_by_hand():
    # A 3x3 image of ones, window 2, stride 2, one pixel of padding: windows of 1, 2, 2, 4 pixels.
    x = torch.ones(1, 1, 3, 3)
    for form in (avg_pool2d, avg_pool2d_loops):
        assert form(x, 2, 2, 1).flatten().tolist() == [0.25, 0.5, 0.5, 1]
    assert avg_pool2d(x, 2, 2, 1, count_include_pad=False).eq(1).all()
    # Without padding the last windows of ceil_mode hang over; what is outside never counts.
    assert avg_pool2d(x, 2, 2, ceil_mode=True).eq(1).all()
    assert avg_pool2d(x, 2, 2, ceil_mode=True, divisor_override=4)[0, 0].tolist() == [
        [1, 0.5],
        [0.5, 0.25],
    ]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("stride", [None, (2, 3)])
@pytest.mark.parametrize("ceil_mode", CEIL)
@pytest.mark.parametrize("p", [1, 2, 3.0])
def test_lp_pool2d_equals_torch(shape, kernel, stride, ceil_mode, p):
    # Odd and fractional powers of negative numbers have no root: there, positive pixels only.
    x = random_tensor(*shape)
    x = x if p == 2 else x.detach().abs().requires_grad_()
    assert_same_as_torch(
        lambda x: lp_pool2d(x, p, kernel, stride, ceil_mode),
        lambda x: F.lp_pool2d(x, p, kernel, stride, ceil_mode),
        x,
    )


def test_lp_pool2d_of_a_negative_sum_is_nan_as_in_torch():
    x = random_tensor(1, 2, 6, 8)
    actual, expected = lp_pool2d(x, 3, 2), F.lp_pool2d(x, 3, 2)
    assert 0 < expected.isnan().sum() < expected.numel()
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=0, equal_nan=True)


@pytest.mark.parametrize("p", [-1, -2, -2.5, 0.5])
@pytest.mark.parametrize("layer", [(2,), ((3, 2), (1, 2), True)], ids=str)
def test_lp_pool2d_of_a_negative_or_small_power_equals_torch(p, layer):
    x = random_tensor(2, 2, 5, 7)
    x = x if p == -2 else x.detach().abs().requires_grad_()
    assert_same_as_torch(lambda x: lp_pool2d(x, p, *layer), lambda x: F.lp_pool2d(x, p, *layer), x)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pool2d_of_zeros_has_gradient_zero_as_in_torch(p):
    x = torch.zeros(1, 1, 2, 4, dtype=DOUBLE)
    x[..., 2:] = 2.0  # one window of zeros, one not
    x.requires_grad_()
    assert_same_as_torch(lambda x: lp_pool2d(x, p, 2), lambda x: F.lp_pool2d(x, p, 2), x)


POOLS = {
    "max": lambda x: max_pool2d(x, (2, 3), (1, 2), 1),
    "max_loops": lambda x: max_pool2d_loops(x, (2, 3), (1, 2), 1),
    "avg": lambda x: avg_pool2d(x, (2, 3), (1, 2), 1),
    "avg_loops": lambda x: avg_pool2d_loops(x, (2, 3), (1, 2), 1),
    "lp": lambda x: lp_pool2d(x, 2, (2, 3), (1, 2)),
}


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_pooling_passes_gradcheck(pool):
    assert torch.autograd.gradcheck(pool, random_tensor(2, 2, 4, 5))


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_pooling_leaves_its_argument_alone_and_takes_any_memory_layout(pool):
    x = torch.randn(6, 2, 5, 2, dtype=DOUBLE).permute(3, 1, 2, 0)
    before = x.clone()
    # Another layout may add the pixels of a window in another order: one rounding step.
    torch.testing.assert_close(pool(x), pool(x.contiguous()), rtol=1e-15, atol=1e-15)
    assert torch.equal(x, before)


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_pooling_of_an_empty_batch_is_empty(pool):
    assert pool(torch.zeros(0, 2, 4, 5)).shape == (0, *pool(torch.zeros(1, 2, 4, 5)).shape[1:])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), rise=st.floats(0, 2))
@pytest.mark.parametrize("name", ["max", "avg"])
def test_pooling_is_monotone(name, seed, rise):
    x: Tensor = random_tensor(1, 2, 5, 6, seed=seed).detach()
    higher = x + rise * random_tensor(1, 2, 5, 6, seed=seed + 1).detach().abs()
    # Averaging rounds: one step of float64 at numbers of size 10.
    assert (POOLS[name](higher) - POOLS[name](x)).min() >= -1e-15


AXIS = st.tuples(st.integers(3, 9), st.integers(1, 3), st.integers(1, 4))


@settings(max_examples=60, deadline=None)
@given(rows=AXIS, columns=AXIS, padded=st.booleans(), ceil_mode=st.booleans())
def test_pooling_has_the_size_of_the_law_and_both_forms_agree(rows, columns, padded, ceil_mode):
    size, kernel, stride = zip(rows, columns, strict=True)
    padding = tuple(k // 2 * padded for k in kernel)
    x = random_tensor(1, 1, *size).detach()
    fast = max_pool2d(x, kernel, stride, padding, ceil_mode=ceil_mode)
    law = conv_output_size(size, kernel, stride, padding, ceil_mode=ceil_mode)
    assert tuple(fast.shape[2:]) == law
    assert torch.equal(fast, F.max_pool2d(x, kernel, stride, padding, 1, ceil_mode))
    averages = [
        pool(x, kernel, stride, padding, ceil_mode, False) for pool in (avg_pool2d, F.avg_pool2d)
    ]
    # Nine numbers added in another order: a few rounding steps.
    assert (averages[0] - averages[1]).abs().max() < 1e-14
    if not ceil_mode:
        assert torch.equal(fast, max_pool2d_loops(x, kernel, stride, padding))
        clear = avg_pool2d_loops(x, kernel, stride, padding)
        assert (clear - avg_pool2d(x, kernel, stride, padding)).abs().max() < 1e-14


def binomial_pool(x, kernel_size, stride):
    """Zhang's pooling by its definition: reflect, then a depthwise convolution."""
    rows = {1: [1.0], 2: [1.0, 1], 3: [1.0, 2, 1], 4: [1.0, 3, 3, 1], 5: [1.0, 4, 6, 4, 1]}
    rows |= {6: [1.0, 5, 10, 10, 5, 1], 7: [1.0, 6, 15, 20, 15, 6, 1]}
    row = torch.tensor(rows[kernel_size], dtype=x.dtype)
    kernel = row[:, None] * row[None, :]
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    padded = F.pad(x, (before, after, before, after), mode="reflect")
    weight = (kernel / kernel.sum()).repeat(x.shape[1], 1, 1, 1)
    return F.conv2d(padded, weight, stride=stride, groups=x.shape[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("stride", [1, 2, (2, 3)])
@pytest.mark.parametrize("kernel_size", range(1, 8))
def test_blur_pool2d_has_the_values_and_gradients_of_its_definition(kernel_size, stride, dtype):
    x = random_tensor(2, 3, 7, 10, dtype=dtype)
    ours = lambda x: blur_pool2d(x, kernel_size, stride)  # noqa: E731
    assert_same_as_torch(ours, lambda x: binomial_pool(x, kernel_size, stride), x)
    sh, sw = (stride, stride) if isinstance(stride, int) else stride
    assert ours(x).shape == (2, 3, -(-7 // sh), -(-10 // sw))


def test_blur_pool2d_gives_the_numbers_worked_by_hand():
    # A row reads 2 4 2 0 2 once reflected: (2 + 2*4 + 2)/4 = 3 and (2 + 2*0 + 2)/4 = 1.
    x = torch.tensor([4.0, 2.0, 0.0]).expand(1, 1, 3, 3)
    assert blur_pool2d(x).tolist() == [[[[3, 1], [3, 1]]]]


def test_blur_pool2d_passes_gradcheck():
    assert gradcheck(lambda x: blur_pool2d(x, 4), (random_tensor(1, 2, 4, 5),))


def test_blur_pool2d_keeps_a_constant_image():
    assert torch.allclose(blur_pool2d(torch.ones(1, 2, 6, 7), 5), torch.ones(1, 2, 3, 4))


def test_blur_pool2d_changes_less_than_subsampling_when_the_image_moves():
    x = random_tensor(1, 1, 32, 32).detach()
    plain = invariance_error(lambda x: x[..., ::2, ::2], x, (1, 0))
    blurred = invariance_error(lambda x: blur_pool2d(x, 5), x, (1, 0))
    assert blurred < plain / 2


@pytest.mark.usefixtures("as_installed")
def test_blur_pool2d_accepts_the_largest_kernel_its_message_allows():
    assert blur_pool2d(torch.ones(1, 1, 3, 4), kernel_size=5).shape == (1, 1, 2, 2)


X = torch.zeros(1, 2, 5, 6)
BOTH_FORMS = [
    (
        (X[0], 2),
        {},
        ValueError,
        r"`x` must have 4 dimensions \(n, c, h, w\), got shape \(2, 5, 6\); x\[None\] makes one",
    ),
    ((X.long(), 2), {}, TypeError, "`x` must have a floating-point dtype, got torch.int64"),
    ((None, 2), {}, TypeError, "`x` must be a torch.Tensor, got NoneType"),
    ((X[:, :0], 2), {}, ValueError, "`x` must have at least 1 channel, got shape"),
    ((X, 0), {}, ValueError, "`kernel_size` must be at least 1, got 0"),
    ((X, (2, 2, 2)), {}, ValueError, "`kernel_size` must be an int or a .* pair"),
    ((X, 2.0), {}, TypeError, "`kernel_size` must be an integer, got 2.0"),
    ((X, 6), {}, ValueError, "`kernel_size` .*=6.* must not exceed the padded input of 5"),
    ((X, 2, 0), {}, ValueError, "`stride` must be at least 1, got 0"),
    ((X, 2, 1, -1), {}, ValueError, "`padding` must be at least 0, got -1"),
    ((X, 3, 1, 2), {}, ValueError, r"`padding` must be at most half of `kernel_size` .* got 2"),
]
BAD_CALLS = [
    *[(form, *call) for form in (max_pool2d, max_pool2d_loops) for call in BOTH_FORMS],
    *[(form, *call) for form in (avg_pool2d, avg_pool2d_loops) for call in BOTH_FORMS],
    *[(lp_pool2d, (x, 2, *more), *rest) for (x, *more), *rest in BOTH_FORMS if len(more) < 3],
    *[
        (form, (X, 2), {"dilation": 0}, ValueError, "`dilation` must be at least 1, got 0")
        for form in (max_pool2d, max_pool2d_loops)
    ],
    *[
        (
            form,
            (X, 2),
            {"divisor_override": value},
            error,
            f"`divisor_override` must .* got {value}",
        )
        for form in (avg_pool2d,)
        for value, error in ((0, ValueError), (1.5, TypeError))
    ],
    *[
        (lp_pool2d, (X, p, 2), {}, ValueError, f"`norm_type` must be a finite .* than 0, got {p}")
        for p in (0, torch.inf, -torch.inf, torch.nan)
    ],
    (lp_pool2d, (X, "2", 2), {}, TypeError, "`norm_type` must be a number, got '2'"),
    *[
        (blur_pool2d, (torch.ones(2, 1, 3, 4), *args), {}, error, words)
        for *args, error, words in [
            (0, ValueError, "`kernel_size` must be at least 1, got 0"),
            (6, ValueError, r"`kernel_size` must be at most 5 .* \(3, 4\), got 6"),
            ((3, 3), TypeError, r"`kernel_size` must be an integer, got \(3, 3\)"),
            (3, 0, ValueError, "`stride` must be at least 1, got 0"),
        ]
    ],
    (blur_pool2d, (X[0],), {}, ValueError, r"`x` must have 4 dimensions \(n, c, h, w\)"),
    (blur_pool2d, (X.int(),), {}, TypeError, "`x` must have a floating-point dtype, .*int32"),
]


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(("pool", "args", "options", "error", "words"), BAD_CALLS)
def test_pooling_names_the_bad_argument(pool, args, options, error, words):
    with pytest.raises(error, match=words):
        pool(*args, **options)
