"""The receptive field found in two ways: in closed form, and by asking autograd."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from torch import nn

from cnncourse.receptive_field import (
    Box,
    ReceptiveField,
    layer_window,
    measured_receptive_field,
    named_layers,
    receptive_field,
)
from cnncourse.windows import Window

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
borders = st.tuples(st.integers(0, 2), st.integers(0, 2))


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
    assert layer_window(nn.BatchNorm2d(3)) == Window.read(1)
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


@settings(max_examples=30, deadline=None)
@given(st.data(), stacks)
def test_receptive_field_formula_equals_what_autograd_measures(data, stack):
    box, measure = both_fields(data, stack, near_border=False)
    assume(box == box.clip(SIZE))
    assert measure() == box


@settings(max_examples=20, deadline=None)
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


GOOD = {
    receptive_field: {"layers": [3]},
    measured_receptive_field: {
        "model": nn.Sequential(nn.Conv2d(1, 1, 3)),
        "input_shape": (1, 5, 6),
    },
    Box.clip: {"self": Box(0, 0, 1, 1), "input_size": 3},
    ReceptiveField.box: {"self": ReceptiveField(), "position": (0, 0)},
}
BAD_CALLS = [
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
    (receptive_field, {"layers": [(3, 1, 0, 0)]}, ValueError, ["`dilation`", "at least 1", "0"]),
]


@pytest.mark.parametrize(("f", "bad", "error", "words"), BAD_CALLS)
@pytest.mark.usefixtures("as_installed")
def test_bad_call_names_the_argument_and_the_value(f, bad, error, words):
    with pytest.raises(error) as caught:
        f(**GOOD[f] | bad)
    for word in words:
        assert word in str(caught.value)
