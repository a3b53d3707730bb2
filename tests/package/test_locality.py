"""Convolution as a matrix, without shared weights, and the receptive field found in two ways."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck

from cnncourse.locality import (
    Box,
    ReceptiveField,
    conv_matrix,
    layer_window,
    locally_connected2d,
    measured_receptive_field,
    named_layers,
    receptive_field,
)
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
        with pytest.raises(ValueError, match="must span no more"):
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
    oh, ow = conv_output_size((7, 10), (3, 2), stride, padding, dilation)

    def ours(x, weight, bias):
        untied = weight.expand(oh, ow, *weight.shape), bias.expand(oh, ow, o)
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


def test_receptive_field_gives_the_numbers_worked_by_hand():
    lenet = receptive_field([(5, 1, 2), (2, 2), (5,), (2, 2)])
    assert lenet == ReceptiveField(size=(16, 16), jump=(4, 4), start=(5.5, 5.5))
    assert receptive_field([3] * 3).size == (7, 7)
    assert receptive_field([((3, 5), 1, 0, (1, 2))]).size == (3, 9)
    assert receptive_field([]) == ReceptiveField((1, 1), (1, 1), (0.0, 0.0))


def test_receptive_field_reads_modules_and_numbers_alike():
    stack = nn.Sequential(
        nn.Sequential(
            nn.Conv2d(1, 2, (3, 4), (2, 1), (0, 2), (1, 3)), nn.BatchNorm2d(2), nn.ReLU()
        ),
        *(nn.MaxPool2d(3, 2, 1, 2), nn.AvgPool2d((2, 3), padding=1), nn.LPPool2d(2, 2)),
        nn.Conv2d(2, 2, 4, padding="same", dilation=3),
    )
    numbers = [
        ((3, 4), (2, 1), (0, 2), (1, 3)),
        (3, 2, 1, 2),
        ((2, 3), (2, 3), 1),
        (2, 2),
        (4, 1, 4, 3),
    ]
    assert receptive_field(stack) == receptive_field(numbers)


def test_layer_window_knows_which_norms_look_at_one_pixel():
    assert layer_window(nn.BatchNorm2d(3)) == (1, 1, 0, 1)
    assert layer_window(nn.BatchNorm2d(3, track_running_stats=False)) is None
    assert layer_window(nn.InstanceNorm2d(3)) is None
    assert layer_window(nn.GroupNorm(1, 3)) is None


@pytest.mark.usefixtures("as_installed")
def test_named_layers_refuses_what_is_no_stack():
    with pytest.raises(TypeError, match=r"`model` must be an nn\.Sequential, got ReLU"):
        list(named_layers(nn.ReLU()))


def test_box_clips_and_finds_its_centre():
    box = Box(top=-2, left=3, height=5, width=4)
    assert box.centre == (0.0, 4.5)
    assert box.size == (5, 4)
    assert box.clip((10, 6)) == Box(0, 3, 3, 3)
    assert box.clip((10, 2)) == Box(0, 2, 3, 0)
    assert Box(-3, 0, 2, 1).clip(5) == Box(0, 0, 0, 1)


def build(layers, kinds, channels):
    """Make the stack of modules that has these windows."""
    stack = []
    for (kernel, stride, padding, dilation), kind in zip(layers, kinds, strict=True):
        if kind == "conv":
            stack += [nn.Conv2d(channels, channels, kernel, stride, padding, dilation), nn.Tanh()]
        else:
            padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
            stack.append(nn.MaxPool2d(kernel, stride, padding, dilation))
    return nn.Sequential(*stack)


windows = st.tuples(pairs, st.tuples(st.integers(1, 2), st.integers(1, 2)), borders, pairs)
stacks = st.lists(st.tuples(windows, st.sampled_from(["conv", "pool"])), min_size=1, max_size=3)
SIZE = (45, 52)


def both_fields(data, stack, near_border):
    """Return the field of one unit by the formula and, unless it is all padding, as measured."""
    torch.manual_seed(0)
    model = build(*zip(*stack, strict=True), channels=2)
    output = model(torch.zeros(1, 2, *SIZE)).shape[2:]
    lowest, highest = (0, 1) if near_border else (1 / 3, 2 / 3)
    position = tuple(
        data.draw(st.integers(int(lowest * (n - 1)), int(highest * (n - 1)))) for n in output
    )
    box = receptive_field(model).box(position)
    # Three poolings of 3x3 show their outermost row in 1 of 27 draws at worst.
    return box, lambda: measured_receptive_field(model, (2, *SIZE), position, draws=512)


@settings(max_examples=50, deadline=None)
@given(st.data(), stacks)
def test_receptive_field_formula_equals_what_autograd_measures(data, stack):
    box, measure = both_fields(data, stack, near_border=False)
    assume(box == box.clip(SIZE))
    assert measure() == box


@settings(max_examples=30, deadline=None)
@given(st.data(), stacks)
def test_measured_receptive_field_stays_inside_the_clipped_formula(data, stack):
    box, measure = both_fields(data, stack, near_border=True)
    try:
        measured = measure()
    except ValueError:
        reject()  # the unit sees nothing but padding
    clipped = box.clip(SIZE)
    assert clipped.top <= measured.top
    assert clipped.left <= measured.left
    assert measured.top + measured.height <= clipped.top + clipped.height
    assert measured.left + measured.width <= clipped.left + clipped.width


@pytest.mark.parametrize("position", [(0, 0), (0, 5), (10, 11), (9, 0)])
def test_measured_receptive_field_at_the_border_is_the_clipped_formula(position):
    # No dilation, and windows that overlap: nothing is skipped on the way to the border.
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Conv2d(2, 1, (5, 4), padding=2)
    )
    expected = receptive_field(model).box(position).clip((11, 12))
    assert measured_receptive_field(model, (1, 11, 12), position) == expected
    assert expected != receptive_field(model).box(position)


def test_measured_receptive_field_misses_the_rows_that_a_stride_leaves_over():
    model = nn.Sequential(nn.Conv2d(1, 1, 1, stride=2), nn.Conv2d(1, 1, 3, padding=1))
    assert receptive_field(model).box((4, 4)).clip(10) == Box(6, 6, 4, 4)
    assert measured_receptive_field(model, (1, 10, 10), (4, 4)) == Box(6, 6, 3, 3)


@pytest.mark.parametrize(
    ("kernel", "centre"), [(2, (3.5, 4.5)), (3, (4, 5)), ((2, 3), (3.5, 5)), ((4, 5), (4.5, 6))]
)
def test_measured_centre_may_fall_between_pixels(kernel, centre):
    model = nn.Sequential(nn.Conv2d(1, 1, kernel))
    box = measured_receptive_field(model, (1, 12, 13), position=(3, 4))
    assert box.centre == centre
    assert box == receptive_field(model).box((3, 4))


def test_measured_receptive_field_of_lenet():
    body = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2)),
    )
    # Unit (2, 2) is the middle one of 5x5: centre 5.5 + 2 * 4 = 13.5, so rows 6 to 21.
    assert measured_receptive_field(body, (1, 28, 28)) == Box(6, 6, 16, 16)
    # Unit (0, 0): centre 5.5, rows -2 to 13, of which the image has 0 to 13.
    assert measured_receptive_field(body, (1, 28, 28), (0, 0)) == Box(0, 0, 14, 14)


def test_measured_receptive_field_sees_through_relu_and_max_pooling():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 1, 3), nn.ReLU(inplace=True), nn.MaxPool2d(3)),
        *(nn.Conv2d(1, 1, 2), nn.ReLU(), nn.MaxPool2d(2)),
    )
    # Positive weights on top, so that the last ReLU is not off for every image.
    nn.init.uniform_(model[3].weight, 0.1, 1)
    expected = receptive_field(model).box((0, 0))
    assert measured_receptive_field(model, (1, 30, 30), (0, 0)) == expected
    assert measured_receptive_field(model, (1, 30, 30), (0, 0), draws=1) != expected


def test_measured_receptive_field_allows_a_first_layer_that_works_in_place():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 1, 3))
    assert measured_receptive_field(model, (1, 9, 9), (1, 2)) == Box(1, 2, 3, 3)


def test_measured_receptive_field_is_not_fooled_by_opposite_channels():
    conv = nn.Conv2d(1, 2, 3, bias=False)
    conv.weight.data[1] = -conv.weight.data[0]
    assert measured_receptive_field(nn.Sequential(conv), (1, 9, 9)).size == (3, 3)


def test_measured_receptive_field_finds_what_a_zero_weight_cuts_off():
    conv = nn.Conv2d(1, 1, 3)
    conv.weight.data[..., 2] = 0
    assert measured_receptive_field(nn.Sequential(conv), (1, 9, 9), (2, 2)) == Box(2, 2, 3, 2)


def test_measured_receptive_field_of_flat_and_branching_models():
    flat = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 25, 3))
    assert measured_receptive_field(flat, (1, 7, 7)) == Box(0, 0, 7, 7)

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 5, padding=2)

        def forward(self, x):
            return x + self.conv(x)

    assert measured_receptive_field(Residual(), (1, 11, 11)) == Box(3, 3, 5, 5)


def test_measured_receptive_field_changes_neither_model_nor_generator():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.ReLU(inplace=True)
    )
    model.requires_grad_(False)
    model[2].eval()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with torch.no_grad():
        assert measured_receptive_field(model, (1, 9, 9)).size == (3, 3)
    assert [m.training for m in model] == [True, True, False, True]
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.dtype == before[name].dtype
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())


def dead():
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    nn.init.constant_(model[0].weight, 0)
    return model


ones = torch.ones
GOOD = {
    conv_matrix: {"kernel": ones(3, 3), "input_size": (5, 6)},
    locally_connected2d: {"x": ones(1, 2, 5, 6), "weight": ones(3, 4, 7, 2, 3, 3)},
    receptive_field: {"layers": [3]},
    measured_receptive_field: {
        "model": nn.Sequential(nn.Conv2d(1, 1, 3)),
        "input_shape": (1, 5, 6),
    },
    Box.clip: {"self": Box(0, 0, 1, 1), "input_size": 3},
    ReceptiveField.box: {"self": ReceptiveField(), "position": (0, 0)},
    ReceptiveField.through: {"self": ReceptiveField(), "kernel_size": 3},
}
BAD_CALLS = [
    (conv_matrix, {"kernel": [[1.0]]}, TypeError, ["`kernel`", "torch.Tensor", "list"]),
    (conv_matrix, {"kernel": ones(3, 3).int()}, TypeError, ["`kernel`", "floating", "int32"]),
    (conv_matrix, {"kernel": ones(1, 1, 3, 3)}, ValueError, ["`kernel`", "2 dim", "(1, 1, 3, 3)"]),
    (conv_matrix, {"kernel": ones(0, 3)}, ValueError, ["`kernel`", "empty", "(0, 3)"]),
    (conv_matrix, {"input_size": 0}, ValueError, ["`input_size`", "at least 1", "0"]),
    (conv_matrix, {"input_size": (2, 6)}, ValueError, ["(3, 3)", "padded input (2, 6)"]),
    (conv_matrix, {"stride": 0}, ValueError, ["`stride`", "at least 1", "0"]),
    (conv_matrix, {"padding": -1}, ValueError, ["`padding`", "at least 0", "-1"]),
    (conv_matrix, {"padding": "same"}, TypeError, ["`padding`", "integer", "'same'"]),
    (conv_matrix, {"dilation": 3}, ValueError, ["span of (7, 7)", "dilation (3, 3)", "(5, 6)"]),
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
        ["`weight`", "6 dim", "oh, ow"],
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
    (locally_connected2d, {"dilation": 4}, ValueError, ["span of (9, 9)", "padded input (5, 6)"]),
    (receptive_field, {"layers": [3, ()]}, ValueError, ["`layers[1]`", "1 to 4", "()"]),
    (receptive_field, {"layers": [(3, 1, 0, 1, 1)]}, ValueError, ["`layers[0]`", "1 to 4"]),
    (receptive_field, {"layers": [0]}, ValueError, ["`kernel_size`", "at least 1", "0"]),
    (receptive_field, {"layers": ["3"]}, TypeError, ["`kernel_size`", "integer", "'3'"]),
    (receptive_field, {"layers": [(3, 0)]}, ValueError, ["`stride`", "at least 1", "0"]),
    (receptive_field, {"layers": [nn.Flatten()]}, TypeError, ["`layers[0]`", "Flatten"]),
    (
        receptive_field,
        {"layers": nn.Sequential(nn.Linear(2, 2))},
        TypeError,
        ["`layers[0]`", "Linear"],
    ),
    (receptive_field, {"layers": [nn.Sequential()]}, TypeError, ["`layers[0]`", "one by one"]),
    (receptive_field, {"layers": 3}, TypeError, ["`layers`", "iterable", "int"]),
    (receptive_field, {"layers": nn.ReLU()}, TypeError, ["`layers`", "iterable", "ReLU"]),
    (measured_receptive_field, {"model": torch.relu}, TypeError, ["`model`", "nn.Module"]),
    (measured_receptive_field, {"model": dead()}, ValueError, ["`model`", "no pixel moves"]),
    (measured_receptive_field, {"input_shape": (5, 6)}, ValueError, ["`input_shape`", "(c, h, w)"]),
    (
        measured_receptive_field,
        {"input_shape": (1, 0, 6)},
        ValueError,
        ["`input_shape`", "at least 1"],
    ),
    (
        measured_receptive_field,
        {"position": (3, 0)},
        ValueError,
        ["`position`", "(3, 4)", "(3, 0)"],
    ),
    (
        measured_receptive_field,
        {"position": (-1, 0)},
        ValueError,
        ["`position`", "at least 0", "-1"],
    ),
    (measured_receptive_field, {"draws": 0}, ValueError, ["`draws`", "at least 1", "0"]),
    (
        measured_receptive_field,
        {"model": nn.Flatten(), "position": (0, 0)},
        ValueError,
        ["`position`", "(0, 0)", "(64, 30)"],
    ),
    (Box.clip, {"input_size": 0}, ValueError, ["`input_size`", "at least 1", "0"]),
    (ReceptiveField.box, {"position": (0, -1)}, ValueError, ["`position`", "at least 0", "-1"]),
    (ReceptiveField.through, {"dilation": 0}, ValueError, ["`dilation`", "at least 1", "0"]),
]


@pytest.mark.parametrize(("f", "bad", "error", "words"), BAD_CALLS)
@pytest.mark.usefixtures("as_installed")
def test_bad_call_names_the_argument_and_the_value(f, bad, error, words):
    with pytest.raises(error) as caught:
        f(**GOOD[f] | bad)
    for word in words:
        assert word in str(caught.value)
