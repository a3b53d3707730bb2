"""Shifts, equivariance and invariance: where they hold and where not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck

from cnncourse.invariance import (
    digit_reader,
    equivariance_error,
    invariance_error,
    permute_pixels,
    translate,
)
from cnncourse.shift import shift_consistency
from tests.package.compare import random_tensor

steps = st.integers(-7, 7)
modes = st.sampled_from(["zeros", "circular"])
# Exact functions differ in the last digits of float64 only, because sums run in another order.
EXACT = 1e-12
# A broken symmetry shows at the border rows, a few per cent of the norm at least.
BROKEN = 1e-2


def conv(stride=1, padding_mode="zeros", padding=1):
    torch.manual_seed(0)
    return nn.Conv2d(2, 3, 3, stride, padding, padding_mode=padding_mode).double()


def image(h=12, w=16):
    return random_tensor(2, 2, h, w).detach()


def test_translate_gives_the_picture_drawn_by_hand():
    x = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert translate(x, 1, 0).tolist() == [[0, 0, 0], [1, 2, 3]]
    assert translate(x, 0, -1).tolist() == [[2, 3, 0], [5, 6, 0]]
    assert translate(x, -1, 1, mode="circular").tolist() == [[6, 4, 5], [3, 1, 2]]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), steps, steps, modes)
def test_translate_is_the_formula_pixel_by_pixel(h, w, dy, dx, mode):
    x = torch.arange(1, 2 * h * w + 1).reshape(2, h, w)
    y = translate(x, dy, dx, mode)
    for i in range(h):
        for j in range(w):
            inside = 0 <= i - dy < h and 0 <= j - dx < w
            expected = (
                x[:, (i - dy) % h, (j - dx) % w] if inside or mode == "circular" else 0 * x[:, 0, 0]
            )
            assert torch.equal(y[:, i, j], expected)


@pytest.mark.parametrize(("dy", "dx"), [(4, 0), (0, -5), (9, 9), (-100, 0)])
def test_translate_beyond_the_border_leaves_zeros_even_of_nan(dy, dx):
    x = torch.full((1, 2, 4, 5), torch.nan)
    assert torch.equal(translate(x, dy, dx), torch.zeros(1, 2, 4, 5))


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.float64, torch.uint8, torch.int64, torch.bool]
)
@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_translate_keeps_dtype_shape_and_argument(dtype, mode):
    x = torch.ones(3, 1, 4, 5).to(dtype)
    y = translate(x[..., ::2], 1, 1, mode)
    assert (y.dtype, y.shape) == (dtype, (3, 1, 4, 3))
    assert x.to(torch.int64).sum() == 60


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_translate_passes_gradcheck(mode):
    assert gradcheck(lambda x: translate(x, 1, -2, mode), (random_tensor(2, 3, 4),))


@settings(max_examples=25, deadline=None)
@given(steps, steps)
def test_circular_convolution_is_equivariant_to_every_shift(dy, dx):
    f = conv(padding_mode="circular")
    assert equivariance_error(f, image(), (dy, dx)) < EXACT


def test_zero_padding_breaks_equivariance_at_the_border_only():
    f, x = conv(), image()
    assert equivariance_error(f, x, (2, 0)) > BROKEN
    assert equivariance_error(f, x, (2, 0), margin=0) > BROKEN
    for mode in ("zeros", "circular"):
        assert equivariance_error(f, x, (2, -3), mode=mode, margin=1) < EXACT


def test_interior_of_two_padded_layers_starts_after_the_padding_of_both():
    f = nn.Sequential(conv(), nn.Conv2d(3, 2, 5, padding=2).double())
    assert equivariance_error(f, image(), (1, 1), margin=3) < EXACT
    assert equivariance_error(f, image(), (1, 1), margin=2) > 1e-6


def test_convolution_without_padding_needs_no_margin():
    f = conv(padding=0)
    assert equivariance_error(f, image(), (3, -2), margin=0) < EXACT
    assert equivariance_error(f, image(), (3, -2)) > BROKEN


def test_stride_is_equivariant_to_its_multiples_only():
    f, x = conv(stride=2, padding_mode="circular"), image()
    assert equivariance_error(f, x, (4, -2), output_shift=(2, -1)) < EXACT
    for moved in ((0, 0), (1, 0)):
        assert equivariance_error(f, x, (1, 0), output_shift=moved) > BROKEN


def test_global_pooling_over_a_circular_convolution_is_invariant():
    f = nn.Sequential(conv(padding_mode="circular"), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert invariance_error(f, image(), (5, 3)) < EXACT
    assert invariance_error(conv(padding_mode="circular"), image(), (5, 3)) > BROKEN
    assert invariance_error(f, image(), (5, 3), mode="zeros") > BROKEN  # some pixels have left


def test_invariance_error_is_relative_and_worked_by_hand():
    x = torch.tensor([[3.0, 4.0]])
    # The left pixel twice, and 1: f(T x) = (8, 1), f(x) = (6, 1); the norms are 2 and sqrt(37).
    f = lambda x: torch.stack([2 * x[0, 0], torch.tensor(1.0)])  # noqa: E731
    assert invariance_error(f, x, (0, 1)) == pytest.approx(2 / 37**0.5)
    assert invariance_error(f, x, (0, 1), mode="zeros") == pytest.approx(6 / 37**0.5)
    assert invariance_error(f, x, [0, 0]) == 0
    assert invariance_error(torch.sum, x, (0, 1)) == 0  # a number, without any axis


def test_invariance_error_is_equivariance_error_with_an_output_that_stays():
    f, x = conv(), image()
    stays = equivariance_error(f, x, (2, -1), output_shift=(0, 0))
    assert invariance_error(f, x, (2, -1)) == pytest.approx(stays, abs=EXACT)


def test_equivariance_error_is_relative_and_worked_by_hand():
    x = torch.tensor([[3.0, 4.0]])
    # f adds (0, 1): f(T x) = (4, 4), T f(x) = (5, 3); the norms are sqrt(2) and sqrt(34).
    add = lambda x: x + torch.tensor([[0.0, 1.0]])  # noqa: E731
    assert equivariance_error(add, x, (0, 1)) == pytest.approx((2 / 34) ** 0.5)
    assert equivariance_error(lambda x: 1000 * add(x), x, (0, 1)) == pytest.approx((2 / 34) ** 0.5)


def test_equivariance_error_of_zero_outputs():
    x = torch.tensor([[1.0, 0.0]])
    assert equivariance_error(lambda x: 0 * x, x, (0, 1)) == 0
    assert equivariance_error(lambda x: x * torch.tensor([0.0, 1.0]), x, (0, 1)) == float("inf")


def snapshot(model):
    """Write down what a measurement may not change."""
    gradients = [p.grad for p in model.parameters()]
    return str(model.state_dict()), str(gradients), [m.training for m in model.modules()]


@pytest.mark.parametrize(
    "measure",
    [
        lambda f, x: equivariance_error(f, x, (1, 0), output_shift=(0, 0)),
        lambda f, x: invariance_error(f, x, (1, 0)),
        lambda f, x: shift_consistency(f, x, 1),
    ],
    ids=["equivariance_error", "invariance_error", "shift_consistency"],
)
def test_measurement_leaves_the_model_as_it_was(measure):
    model = nn.Sequential(conv(), nn.BatchNorm2d(3).double(), nn.Dropout(), nn.Flatten())
    model[1].eval()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = snapshot(model)
    assert measure(model, image()) == measure(model, image())  # dropout is off
    assert snapshot(model) == before


def test_ends_of_the_digit_reader_see_mean_largest_and_all_places():
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for end, seen in {
        "mean": lambda maps: maps.mean(dim=(2, 3)),
        "max": lambda maps: maps.amax(dim=(2, 3)),
        "places": lambda maps: maps.flatten(1),
    }.items():
        model = digit_reader(end)
        maps = model[:8](x)
        assert maps.shape == (3, 32, 7, 7)
        assert torch.allclose(model(x), model[-1](seen(maps)), atol=1e-6)


def test_digit_reader_refuses_an_unknown_end():
    with pytest.raises(ValueError, match=r"`end` must be one of mean, max, places, got 'sum'"):
        digit_reader("sum")


GOOD = {
    translate: {"x": torch.ones(3, 4), "dy": 1, "dx": 1},
    equivariance_error: {"f": torch.relu, "x": torch.ones(3, 4), "shift": (1, 1)},
    invariance_error: {"f": torch.relu, "x": torch.ones(3, 4), "shift": (1, 1)},
}
BAD_CALLS = [
    (translate, {"x": [[1.0]]}, TypeError, ["`x`", "torch.Tensor", "list"]),
    (translate, {"x": torch.ones(3)}, ValueError, ["`x`", "at least 2", "(3,)"]),
    (translate, {"dy": 0.5}, TypeError, ["`dy`", "whole number", "0.5"]),
    (translate, {"dx": True}, TypeError, ["`dx`", "whole number", "True"]),
    (translate, {"mode": "reflect"}, ValueError, ["`mode`", "'zeros'", "'reflect'"]),
    *(
        (f, *case)
        for f in (equivariance_error, invariance_error)
        for case in (
            ({"x": [1.0]}, TypeError, ["`x`", "torch.Tensor", "list"]),
            ({"x": torch.ones(3, 4).int()}, TypeError, ["`x`", "floating", "int32"]),
            ({"x": torch.ones(3)}, ValueError, ["`x`", "at least 2", "(3,)"]),
            ({"shift": 1}, ValueError, ["`shift`", "(dy, dx)", "1"]),
            ({"shift": (1, 2, 3)}, ValueError, ["`shift`", "(1, 2, 3)"]),
            ({"shift": (1, 0.5)}, TypeError, ["`shift[1]`", "0.5"]),
            ({"mode": "same"}, ValueError, ["`mode`", "'same'"]),
        )
    ),
    (equivariance_error, {"output_shift": (0.5, 1)}, TypeError, ["`output_shift[0]`", "0.5"]),
    (equivariance_error, {"margin": -1}, ValueError, ["`margin`", "at least 0", "-1"]),
    (equivariance_error, {"margin": 2}, ValueError, ["`margin`", "2", "(1, 1)", "3x4"]),
    (equivariance_error, {"f": lambda x: x.sum()}, ValueError, ["`f(x)`", "at least 2", "()"]),
]


@pytest.mark.parametrize(("f", "bad", "error", "words"), BAD_CALLS)
@pytest.mark.usefixtures("as_installed")
def test_bad_call_names_the_argument_and_the_value(f, bad, error, words):
    with pytest.raises(error) as caught:
        f(**GOOD[f] | bad)
    for word in words:
        assert word in str(caught.value)


def test_permute_pixels_moves_all_images_alike_and_loses_nothing():
    numbers = torch.arange(35).reshape(5, 7)
    order = permute_pixels(numbers, seed=3)
    assert not torch.equal(order, numbers)
    assert order.flatten().sort().values.tolist() == list(range(35))
    x = torch.rand(4, 2, 5, 7)
    for picture, moved in zip(x.flatten(0, 1), permute_pixels(x, 3).flatten(0, 1), strict=True):
        assert torch.equal(moved, picture.flatten()[order])
    assert not torch.equal(permute_pixels(numbers, seed=4), order)
    with pytest.raises(ValueError, match="`seed` must be at least 0, got -1"):
        permute_pixels(numbers, seed=-1)
