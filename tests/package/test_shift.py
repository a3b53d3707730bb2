"""Shifts, equivariance, shift consistency and blur-pooling: where they hold and where not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck

from cnncourse.invariance import equivariance_error, permute_pixels, translate
from cnncourse.pooling import blur_pool2d
from cnncourse.shift import (
    NETWORKS,
    BlurMaxPool2d,
    RandomShift,
    on_canvas,
    shift_consistency,
    shift_curve,
    shift_net,
)
from tests.package.compare import assert_same_as_torch, random_tensor

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
    assert equivariance_error(f, image(), (5, 3), output_shift=(0, 0)) < EXACT
    assert (
        equivariance_error(conv(padding_mode="circular"), image(), (5, 3), output_shift=(0, 0))
        > BROKEN
    )


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
        lambda f, x: shift_consistency(f, x, 1),
    ],
    ids=["equivariance_error", "shift_consistency"],
)
def test_measurement_leaves_the_model_as_it_was(measure):
    model = nn.Sequential(conv(), nn.BatchNorm2d(3).double(), nn.Dropout(), nn.Flatten())
    model[1].eval()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = snapshot(model)
    assert measure(model, image()) == measure(model, image())  # dropout is off
    assert snapshot(model) == before


def test_shift_consistency_is_the_share_of_agreeing_pairs():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 5 * 6, 4)).double()
    images, m = random_tensor(3, 2, 5, 6).detach(), 2
    moves = [(dy, dx) for dy in range(-m, m + 1) for dx in range(-m, m + 1)]
    classes = [model(translate(images, *move)).argmax(1) for move in moves]
    pairs = [(a == b).double().mean().item() for a in classes for b in classes]
    share = shift_consistency(model, images, m)
    assert share == pytest.approx(sum(pairs) / len(pairs), abs=EXACT)
    assert 0.2 < share < 0.95  # a case in which something can go wrong


def test_shift_consistency_of_an_invariant_model_is_one():
    torch.manual_seed(0)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5).double())
    model = nn.Sequential(conv(padding_mode="circular"), nn.ReLU(), *head)
    assert shift_consistency(model, image(), 3, mode="circular") == 1


def test_shift_consistency_without_shift_is_one():
    assert shift_consistency(lambda x: x.flatten(1), image(), 0) == 1


def test_shift_consistency_does_not_depend_on_the_batch_size():
    images = random_tensor(5, 2, 4, 4).detach()
    shares = [shift_consistency(lambda x: x.flatten(1), images, 1, batch_size=b) for b in (1, 2, 9)]
    assert shares == pytest.approx([shares[0]] * 3, abs=EXACT)


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
    plain = equivariance_error(lambda x: x[..., ::2, ::2], x, (1, 0), output_shift=(0, 0))
    blurred = equivariance_error(lambda x: blur_pool2d(x, 5), x, (1, 0), output_shift=(0, 0))
    assert blurred < plain / 2


GOOD = {
    translate: {"x": torch.ones(3, 4), "dy": 1, "dx": 1},
    equivariance_error: {"f": torch.relu, "x": torch.ones(3, 4), "shift": (1, 1)},
    shift_consistency: {"model": nn.Flatten(), "images": torch.ones(2, 1, 3, 4), "max_shift": 1},
    blur_pool2d: {"x": torch.ones(2, 1, 3, 4)},
}
BAD_CALLS = [
    (translate, {"x": [[1.0]]}, TypeError, ["`x`", "torch.Tensor", "list"]),
    (translate, {"x": torch.ones(3)}, ValueError, ["`x`", "at least 2", "(3,)"]),
    (translate, {"dy": 0.5}, TypeError, ["`dy`", "whole number", "0.5"]),
    (translate, {"dx": True}, TypeError, ["`dx`", "whole number", "True"]),
    (translate, {"mode": "reflect"}, ValueError, ["`mode`", "'zeros'", "'reflect'"]),
    (equivariance_error, {"x": [1.0]}, TypeError, ["`x`", "floating", "list"]),
    (equivariance_error, {"x": torch.ones(3, 4).int()}, TypeError, ["`x`", "floating", "int32"]),
    (equivariance_error, {"x": torch.ones(3)}, ValueError, ["`x`", "at least 2", "(3,)"]),
    (equivariance_error, {"shift": 1}, ValueError, ["`shift`", "(dy, dx)", "1"]),
    (equivariance_error, {"shift": (1, 2, 3)}, ValueError, ["`shift`", "(1, 2, 3)"]),
    (equivariance_error, {"shift": (1, 0.5)}, TypeError, ["`shift[1]`", "0.5"]),
    (equivariance_error, {"output_shift": (0.5, 1)}, TypeError, ["`output_shift[0]`", "0.5"]),
    (equivariance_error, {"mode": "same"}, ValueError, ["`mode`", "'same'"]),
    (equivariance_error, {"margin": -1}, ValueError, ["`margin`", "at least 0", "-1"]),
    (equivariance_error, {"margin": 2}, ValueError, ["`margin`", "2", "(1, 1)", "3x4"]),
    (equivariance_error, {"f": lambda x: x.sum()}, ValueError, ["`f`", "at least 2", "()"]),
    (shift_consistency, {"images": [1]}, TypeError, ["`images`", "torch.Tensor", "list"]),
    (shift_consistency, {"images": torch.ones(3, 4)}, ValueError, ["`images`", "n, c, h, w"]),
    (shift_consistency, {"images": torch.ones(0, 1, 3, 4)}, ValueError, ["`images`", "(0, 1"]),
    (shift_consistency, {"max_shift": -1}, ValueError, ["`max_shift`", "at least 0", "-1"]),
    (shift_consistency, {"max_shift": 1.0}, TypeError, ["`max_shift`", "1.0"]),
    (shift_consistency, {"batch_size": 0}, ValueError, ["`batch_size`", "at least 1", "0"]),
    (shift_consistency, {"mode": "wrap"}, ValueError, ["`mode`", "'wrap'"]),
    (shift_consistency, {"model": torch.relu}, ValueError, ["`model`", "(2, classes)", "(2, 1, 3"]),
    (blur_pool2d, {"x": torch.ones(3, 4)}, ValueError, ["`x`", "n, c, h, w", "(3, 4)"]),
    (blur_pool2d, {"x": torch.ones(1, 1, 3, 4).int()}, TypeError, ["`x`", "floating", "int32"]),
    (blur_pool2d, {"kernel_size": 0}, ValueError, ["`kernel_size`", "at least 1", "0"]),
    (blur_pool2d, {"kernel_size": 6}, ValueError, ["`kernel_size`", "at most 5", "6"]),
    (blur_pool2d, {"kernel_size": (3, 3)}, TypeError, ["`kernel_size`", "integer", "(3, 3)"]),
    (blur_pool2d, {"stride": 0}, ValueError, ["`stride`", "at least 1", "0"]),
]


@pytest.mark.parametrize(("f", "bad", "error", "words"), BAD_CALLS)
@pytest.mark.usefixtures("as_installed")
def test_bad_call_names_the_argument_and_the_value(f, bad, error, words):
    with pytest.raises(error) as caught:
        f(**GOOD[f] | bad)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.usefixtures("as_installed")
def test_blur_pool2d_accepts_the_largest_kernel_its_message_allows():
    assert blur_pool2d(torch.ones(1, 1, 3, 4), kernel_size=5).shape == (1, 1, 2, 2)


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


# The networks of chapter 7.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_circular_network_gives_every_circular_shift_the_same_bits(dtype):
    torch.manual_seed(0)
    model = shift_net().to(dtype)
    x = torch.rand(3, 1, 28, 28).to(dtype)
    scores = model(x)
    assert scores.std(0).min() > 0  # it tells images apart
    for dy, dx in [(0, 1), (1, 0), (-1, 2), (5, 9), (14, 14), (-13, 27)]:
        assert torch.equal(model(translate(x, dy, dx, "circular")), scores)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "circular"])
def test_every_other_network_changes_its_scores_at_some_shift(name):
    torch.manual_seed(0)
    model, x = NETWORKS[name](), torch.rand(3, 1, 28, 28)
    assert not torch.allclose(model(translate(x, 1, 3, "circular")), model(x))


@pytest.mark.parametrize("name", ["stride", "max_pool"])
def test_a_stride_of_two_leaves_the_shifts_by_two(name):
    torch.manual_seed(0)
    model, x = NETWORKS[name](), torch.rand(3, 1, 28, 28)
    assert torch.equal(model(translate(x, 4, -6, "circular")), model(x))
    assert not torch.allclose(model(translate(x, 0, 1, "circular")), model(x))


def test_networks_differ_in_one_thing():
    counts = {name: sum(p.numel() for p in make().parameters()) for name, make in NETWORKS.items()}
    convolutions, linear = 8 * (25 + 1) + 16 * (8 * 25 + 1), 10 * (16 + 1)
    same = ("circular", "zeros", "stride", "max_pool", "blur_pool")
    assert {counts[name] for name in same} == {convolutions + linear}
    assert counts["dense"] == convolutions + 10 * (16 * 28 * 28 + 1)
    assert counts["perceptron"] == 203_530


def test_blur_max_pool_is_max_pooling_with_a_blur_before_the_stride():
    x = random_tensor(2, 3, 28, 28).detach()
    dense = F.max_pool2d(x, 2, stride=1)
    kernel = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype) / 4
    blurred = F.conv2d(dense, kernel.outer(kernel).expand(3, 1, 3, 3), groups=3)[..., 1::2, 1::2]
    torch.testing.assert_close(BlurMaxPool2d()(x)[..., 1:-1, 1:-1], blurred[..., :12, :12])
    assert torch.equal(dense[..., ::2, ::2], F.max_pool2d(x, 2))


def test_on_canvas_halves_and_centres():
    x = torch.rand(2, 1, 28, 28)
    y = on_canvas(x)
    assert y[1, 0, 7, 20] == pytest.approx(x[1, 0, :2, 26:].mean().item())
    assert y.sum().item() == pytest.approx(x.sum().item() / 4, rel=1e-5)
    assert torch.equal(translate(translate(y, 7, -7), -7, 7), y)


def test_random_shift_moves_each_image_by_its_own_shift_while_training():
    torch.manual_seed(0)
    x = on_canvas(torch.rand(200, 1, 28, 28))
    y = RandomShift(2)(x)
    steps = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
    found = [
        next(step for step in steps if torch.equal(translate(before, *step), after))
        for before, after in zip(x, y, strict=True)
    ]
    assert set(found) == set(steps)


def test_random_shift_is_seeded_and_rests_in_evaluation():
    x, layer = torch.rand(9, 2, 6, 5), RandomShift(3)
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match="`max_shift` must be at least 0, got -1"):
        RandomShift(-1)


def test_shift_curve_by_hand():
    class Columns(nn.Module):
        def forward(self, x):
            return x.sum((1, 2))

    x = torch.zeros(2, 1, 5, 5)
    x[:, 0, 2, 2] = 3
    curve = shift_curve(Columns(), x, torch.tensor([2, 3]), 2)
    # Up and down change no column; left and right move the dot by s columns.
    assert curve.accuracy == [0.5, (0.5 + 0.5 + 0.5 + 0) / 4, 0.25]
    assert curve.consistency == [1, 0.5, 0.5]
    assert curve.change == [0, 3, 3]


def test_shift_curve_of_the_circular_network_is_flat_to_the_bit():
    torch.manual_seed(0)
    images = on_canvas(torch.rand(4, 1, 28, 28))
    curve = shift_curve(shift_net().train(), images, torch.arange(4), 7)
    assert curve.consistency == [1] * 8
    assert curve.change == [0] * 8
    assert len(set(curve.accuracy)) == 1
