"""Correlation and convolution against hand-worked numbers, torch, numpy, scipy and d2l."""

from __future__ import annotations

from timeit import repeat

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from cnncourse.cross_correlation import (
    convolve1d,
    convolve2d,
    corr1d,
    corr1d_windows,
    corr2d,
    corr2d_windows,
    corr3d,
)
from tests.package.compare import assert_same_as_torch, random_tensor, relative_error

CORRELATIONS = {1: (corr1d, corr1d_windows), 2: (corr2d, corr2d_windows), 3: (corr3d,)}
EVERY_CORR = [f for forms in CORRELATIONS.values() for f in forms]
TORCH = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
SHAPES = [
    ((7,), (3,)),
    ((5,), (5,)),
    ((4,), (1,)),
    ((6, 8), (3, 2)),
    ((7, 5), (1, 4)),
    ((4, 5), (4, 5)),
    ((3, 4, 5), (2, 3, 1)),
    ((2, 4, 3), (1, 2, 3)),
]
CASES = [
    pytest.param(corr, x, kernel, id=f"{corr.__name__}-{x}-{kernel}")
    for x, kernel in SHAPES
    for corr in CORRELATIONS[len(x)]
]
# Sums of a few products of numbers around 1 in float64 agree to 1e-12 in any order.
CLOSE = 1e-12
sizes = st.integers(1, 7)
seeds = st.integers(0, 2**31)


def by_torch(x, kernel):
    return TORCH[x.ndim](x[None, None], kernel[None, None])[0, 0]


@pytest.mark.parametrize("corr", [corr2d, corr2d_windows])
def test_corr2d_gives_the_numbers_worked_by_hand(corr):
    y = corr(torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2))
    assert y.tolist() == [[19, 25], [37, 43]]


@pytest.mark.parametrize("corr", [corr1d, corr1d_windows])
def test_corr1d_gives_the_numbers_worked_by_hand(corr):
    # 0*1 + 1*2, 1*1 + 2*2, 2*1 + 5*2: a flipped kernel would give 1 4 9.
    assert corr(torch.tensor([0.0, 1, 2, 5]), torch.tensor([1.0, 2])).tolist() == [2, 5, 12]


def test_corr3d_gives_the_numbers_worked_by_hand():
    # Two 2x2 frames; the kernel takes the right column of the second minus that of the first.
    kernel = torch.tensor([[[0.0, -1]], [[0, 1]]])
    x = torch.tensor([[[1.0, 2], [3, 4]], [[10, 30], [50, 90]]])
    assert corr3d(x, kernel).tolist() == [[[28], [86]]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("corr", "x", "kernel"), CASES)
def test_corr_has_the_values_and_gradients_of_torch(corr, x, kernel, dtype):
    inputs = random_tensor(*x, dtype=dtype), random_tensor(*kernel, dtype=dtype, seed=1)
    assert_same_as_torch(corr, by_torch, *inputs)


@pytest.mark.parametrize(("corr", "x", "kernel"), CASES)
def test_corr_passes_gradcheck(corr, x, kernel):
    assert gradcheck(corr, (random_tensor(*x), random_tensor(*kernel, seed=1)))


@pytest.mark.parametrize("corr", EVERY_CORR)
def test_corr_reads_a_strided_view_and_leaves_its_arguments_alone(corr):
    rank = int(corr.__name__[4])
    x, kernel = random_tensor(*range(8, 8 + rank)).detach(), random_tensor(*[3] * rank).detach()
    view = x[(slice(None, None, 2),) * rank].movedim(0, -1)
    before, kernel_before = x.clone(), kernel.clone()
    assert relative_error(corr(view, kernel), by_torch(view.contiguous(), kernel)) < CLOSE
    assert torch.equal(x, before)
    assert torch.equal(kernel, kernel_before)


@pytest.mark.parametrize("corr", EVERY_CORR)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_corr_keeps_a_small_dtype(corr, dtype):
    rank = int(corr.__name__[4])
    y = corr(torch.ones([3] * rank, dtype=dtype), torch.ones([2] * rank, dtype=dtype))
    assert y.dtype == dtype
    assert y.unique().tolist() == [2**rank]


def test_corr2d_agrees_with_d2l():
    from cnncourse.reference import d2l

    x, kernel = random_tensor(28, 28, dtype=torch.float32), random_tensor(5, 4, dtype=torch.float32)
    expected = d2l.corr2d(x.detach(), kernel.detach())
    for corr in (corr2d, corr2d_windows):
        # float32: the sum of 20 products may differ in the last digits.
        assert relative_error(corr(x, kernel), expected) < 1e-5


@pytest.mark.usefixtures("as_installed")
def test_corr2d_windows_is_many_times_faster_than_loops():
    x, kernel = torch.randn(28, 28), torch.randn(5, 5)
    slow = min(repeat(lambda: corr2d(x, kernel), number=1, repeat=5))
    fast = min(repeat(lambda: corr2d_windows(x, kernel), number=50, repeat=20)) / 50
    # The measured ratio is above 100 without jaxtyping. A busy machine must not turn this red.
    assert slow > 40 * fast


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, sizes, seeds)
def test_corr2d_is_linear_in_both_arguments(dh, dw, kh, kw, seed):
    x, z = random_tensor(2, kh + dh, kw + dw, seed=seed).detach()
    k, m = random_tensor(2, kh, kw, seed=seed + 1).detach()
    for corr in (corr2d, corr2d_windows):
        left = corr(2 * x - 3 * z, k)
        assert torch.allclose(left, 2 * corr(x, k) - 3 * corr(z, k), rtol=0, atol=1e-10)
        assert torch.allclose(corr(x, k + 5 * m), corr(x, k) + 5 * corr(x, m), rtol=0, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, sizes, seeds)
def test_corr2d_moves_with_its_input(dh, dw, kh, kw, seed):
    """A crop one pixel further on gives the outputs one pixel further on."""
    x = random_tensor(kh + dh + 1, kw + dw + 1, seed=seed).detach()
    k = random_tensor(kh, kw, seed=seed + 1).detach()
    assert torch.allclose(corr2d(x[1:, 1:], k), corr2d(x, k)[1:, 1:], rtol=0, atol=CLOSE)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, st.sampled_from(["full", "same", "valid"]), seeds)
def test_convolve1d_is_numpy_convolve_and_commutes(n, k, mode, seed):
    x, kernel = random_tensor(n, seed=seed).detach(), random_tensor(k, seed=seed + 1).detach()
    y = convolve1d(x, kernel, mode)
    assert y.shape == np.convolve(x, kernel, mode).shape
    np.testing.assert_allclose(y, np.convolve(x, kernel, mode), rtol=0, atol=CLOSE)
    assert torch.allclose(convolve1d(kernel, x, mode), y, rtol=0, atol=CLOSE)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, sizes, sizes, st.sampled_from(["full", "same", "valid"]), seeds)
def test_convolve2d_is_scipy_convolve2d(h, w, kh, kw, mode, seed):
    x, k = random_tensor(h, w, seed=seed).detach(), random_tensor(kh, kw, seed=seed + 1).detach()
    if mode == "valid" and not ((kh <= h and kw <= w) or (kh >= h and kw >= w)):
        with pytest.raises(ValueError, match="no larger than"):
            convolve2d(x, k, mode)
        return
    expected = scipy.signal.convolve2d(x, k, mode)
    y = convolve2d(x, k, mode)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=0, atol=CLOSE)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, sizes, seeds)
def test_convolve2d_commutes(h, w, kh, kw, seed):
    x, k = random_tensor(h, w, seed=seed).detach(), random_tensor(kh, kw, seed=seed + 1).detach()
    assert torch.allclose(convolve2d(x, k), convolve2d(k, x), rtol=0, atol=CLOSE)


def test_corr2d_does_not_commute():
    x, kernel = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    assert corr2d(x, kernel).item() == 1
    padded_x, padded_kernel = F.pad(x, (2, 2)), F.pad(kernel, (2, 2))
    assert not torch.equal(corr2d(padded_x, kernel), corr2d(padded_kernel, x))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolve_passes_gradcheck(mode):
    assert gradcheck(lambda x, k: convolve1d(x, k, mode), (random_tensor(6), random_tensor(3)))
    inputs = random_tensor(4, 5), random_tensor(3, 2, seed=1)
    assert gradcheck(lambda x, k: convolve2d(x, k, mode), inputs)


NOT_TENSORS = [
    ({"x": [1.0, 2.0]}, TypeError, ["`x`", "torch.Tensor", "list"]),
    ({"kernel": 3.0}, TypeError, ["`kernel`", "torch.Tensor", "float"]),
]
BAD_VALUES = [
    (lambda n: {"x": torch.ones([4] * n).long()}, TypeError, ["`x`", "floating", "int64"]),
    (lambda n: {"kernel": torch.ones([2] * n).double()}, TypeError, ["float64", "float32"]),
    (lambda n: {"x": torch.ones([4] * (n + 1))}, ValueError, ["`x`", "dimensions"]),
    (lambda n: {"kernel": torch.ones([2] * (n + 1))}, ValueError, ["`kernel`", "dimensions"]),
    (lambda n: {"kernel": torch.ones([0] * n)}, ValueError, ["`kernel`", "empty", "(0"]),
    (lambda n: {"x": torch.ones([0] * n)}, ValueError, ["`x`", "empty", "(0"]),
    (lambda n: {"kernel": torch.ones([2] * n, device="meta")}, ValueError, ["device", "meta"]),
]
BAD_CALLS = [
    (f, rank, bad if isinstance(bad, dict) else bad(rank), error, words)
    for f, rank in [(f, int(f.__name__[4])) for f in EVERY_CORR]
    + [(convolve1d, 1), (convolve2d, 2)]
    for bad, error, words in NOT_TENSORS + BAD_VALUES
]
for _f in EVERY_CORR:
    _n = int(_f.__name__[4])
    _large = {"kernel": torch.ones([2] * (_n - 1) + [5])}
    BAD_CALLS.append((_f, _n, _large, ValueError, ["no larger", "5)" if _n > 1 else "(5,)", "4"]))
for _f, _n in ((convolve1d, 1), (convolve2d, 2)):
    BAD_CALLS.append((_f, _n, {"mode": "Same"}, ValueError, ["`mode`", "'full'", "'Same'"]))


@pytest.mark.parametrize(("f", "rank", "bad", "error", "words"), BAD_CALLS)
@pytest.mark.usefixtures("as_installed")
def test_bad_call_names_the_argument_and_the_value(f, rank, bad, error, words):
    arguments = {"x": torch.ones([4] * rank), "kernel": torch.ones([2] * rank)} | bad
    with pytest.raises(error) as caught:
        f(**arguments)
    for word in words:
        assert word in str(caught.value)
