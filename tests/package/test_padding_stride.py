"""Sizes, padding, usage and the layer table against torch's own layers."""

from __future__ import annotations

import copy
from html.parser import HTMLParser
from itertools import product

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnncourse.locality import measured_receptive_field, receptive_field
from cnncourse.padding_stride import conv_output_size, layer_table, same_padding, usage_count

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


def lenet():
    return nn.Sequential(
        nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2)),
        ),
        nn.Flatten(),
        *(nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10)),
    )


def test_layer_table_knows_lenet():
    table = layer_table(lenet(), (1, 28, 28))
    learned = [row.parameters for row in table.rows if row.parameters]
    assert learned == [156, 2416, 48120, 10164, 850]
    assert table.parameters == 61706
    costs = [row.multiply_adds for row in table.rows if row.multiply_adds]
    # 28*28*6*25, 10*10*16*150, 400*120, 120*84, 84*10
    assert costs == [117600, 240000, 48000, 10080, 840]
    assert table.multiply_adds == 416520
    assert [row.receptive_field[0] for row in table.rows] == [5, 5, 6, 14, 14, 16, 16] + [28] * 5
    assert table.rows[0].output_shape == (6, 28, 28)
    assert table.rows[0].activation_bytes == 4 * 6 * 28 * 28
    assert table.rows[5].name == "0.5"
    assert table.rows[-1].output_shape == (10,)


def test_layer_table_counts_the_ten_kernels_of_the_padding_story():
    table = layer_table(nn.Sequential(nn.Conv2d(3, 10, 5, padding=2)), (3, 32, 32))
    assert (table.parameters, table.multiply_adds) == (760, 768000)


STACKS = [
    nn.Sequential(
        nn.Conv2d(2, 4, (3, 5), stride=(2, 1), padding=(0, 2), dilation=(2, 1), groups=2)
    ),
    nn.Sequential(nn.Conv2d(2, 3, (4, 3), padding="same"), nn.BatchNorm2d(3), nn.MaxPool2d(2)),
    nn.Sequential(nn.Conv2d(2, 3, 3, padding="valid"), nn.Dropout(), nn.AvgPool2d(3, 2, 1)),
    nn.Sequential(nn.MaxPool2d(2, 1, dilation=3), nn.LPPool2d(2, 2), nn.GELU()),
    nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 2, 1)),
    nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 3)),
    nn.Sequential(nn.Conv2d(2, 4, 3), nn.LayerNorm((4, 13, 15))),
    nn.Sequential(nn.InstanceNorm2d(2), nn.ReLU(inplace=True)),
    nn.Sequential(nn.Conv2d(2, 2, 3), nn.Flatten(), nn.LayerNorm(390)),
    nn.Sequential(nn.Conv2d(2, 2, 3), nn.Flatten(), nn.BatchNorm1d(390), nn.Linear(390, 3)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("model", STACKS, ids=lambda model: type(model[-1]).__name__)
def test_layer_table_agrees_with_what_the_model_does(model):
    table = layer_table(model, (2, 15, 17))
    y = copy.deepcopy(model).eval()(torch.zeros(1, 2, 15, 17))
    assert table.rows[-1].output_shape == tuple(y.shape[1:])
    assert table.parameters == sum(p.numel() for p in model.parameters())
    measured = measured_receptive_field(model, (2, 15, 17))
    assert table.rows[-1].receptive_field == measured.size


def test_layer_table_counts_each_weight_that_enters_each_output():
    """With all inputs, weights and outputs positive, ones in give the number of products."""
    conv = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), dilation=(1, 2), groups=2, bias=False)
    conv.weight.data.fill_(1)
    table = layer_table(nn.Sequential(conv), (4, 9, 8))
    assert table.multiply_adds == conv(torch.ones(1, 4, 9, 8)).sum().item()


def test_layer_table_says_what_it_does_not_know():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.PixelShuffle(2), nn.Conv2d(1, 1, 3), nn.ReLU())
    table = layer_table(model, (1, 8, 8))
    assert [row.receptive_field for row in table.rows] == [(3, 3), None, None, None]
    assert [row.multiply_adds is None for row in table.rows] == [False, True, False, False]
    assert table.multiply_adds is None
    assert str(table).splitlines()[-1].count("?") == 1


@pytest.mark.parametrize(
    "layer",
    [nn.AdaptiveAvgPool2d((2, 3)), nn.ConvTranspose2d(1, 1, 3), nn.Linear(9, 2), nn.LayerNorm(9)],
    ids=lambda layer: type(layer).__name__,
)
def test_layer_table_does_not_guess_a_receptive_field(layer):
    assert layer_table(nn.Sequential(layer), (1, 8, 9)).rows[0].receptive_field is None


def test_layer_table_counts_a_shared_layer_once():
    shared = nn.Linear(5, 5)
    table = layer_table(nn.Sequential(shared, nn.ReLU(), shared), (5,))
    assert [row.parameters for row in table.rows] == [30, 0, 0]
    assert [row.multiply_adds for row in table.rows] == [25, 0, 25]
    assert table.rows[0].receptive_field is None  # no image, no pixels


def test_layer_table_measures_lazy_layers_that_have_seen_an_input():
    model = nn.Sequential(nn.LazyConv2d(3, 3), nn.Flatten(), nn.LazyLinear(2))
    model(torch.zeros(1, 2, 5, 5))
    assert layer_table(model, (2, 5, 5)).parameters == (2 * 9 + 1) * 3 + (27 + 1) * 2


def test_layer_table_counts_bytes_in_the_dtype_of_the_model():
    assert (
        layer_table(nn.Sequential(nn.Conv2d(1, 2, 3)).double(), (1, 5, 5)).activation_bytes == 144
    )


@pytest.mark.parametrize("training", [True, False])
def test_layer_table_leaves_the_model_as_it_was(training):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout()).train(training)
    model[1].eval()
    before = copy.deepcopy(model.state_dict())
    layer_table(model, (1, 5, 5))
    assert [m.training for m in model] == [training, False, training]
    assert all(p.grad is None and p.device.type == "cpu" for p in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_layer_table_prints_aligned_text():
    lines = str(layer_table(lenet(), (1, 28, 28))).splitlines()
    assert len(lines) == 1 + 12 + 1
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].split() == ["total", "61,706", "416,520", "60,008"]


class Cells(HTMLParser):
    """Collects the tags of a table and the text inside them."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *attrs))

    def handle_data(self, data):
        self.texts.append(data)


def test_layer_table_shows_html_that_a_screen_reader_can_walk():
    page = Cells()
    page.feed(layer_table(lenet(), (1, 28, 28))._repr_html_())
    assert page.tags.count(("caption",)) == 1
    assert page.tags.count(("th", ("scope", "col"))) == 7
    assert page.tags.count(("th", ("scope", "row"))) == 13
    assert page.tags.count(("td",)) == 6 * 13
    assert {"61,706", "416,520", "16×16"} <= set(page.texts)


def test_layer_table_escapes_names_in_html():
    model = nn.Sequential()
    model.add_module("<b>", nn.ReLU())
    assert "&lt;b&gt;" in layer_table(model, (1, 2, 2))._repr_html_()


def test_receptive_field_of_the_table_is_that_of_locality():
    model = lenet()[0]
    assert layer_table(model, (1, 28, 28)).rows[-1].receptive_field == receptive_field(model).size


GOOD = {
    conv_output_size: {"size": 8, "kernel_size": 3},
    usage_count: {"size": 8, "kernel_size": 3},
    same_padding: {"kernel_size": 3},
    layer_table: {"model": nn.Sequential(nn.Conv2d(1, 2, 3)), "input_shape": (1, 5, 5)},
}


class Nothing(nn.Module):
    """Leave no row, as older torch does where a kernel overhangs an input without data."""

    def forward(self, x):
        return x[:, :, :0]


BAD_CALLS = [
    (same_padding, {"kernel_size": 0}, ValueError, ["`kernel_size`", "at least 1", "0"]),
    (same_padding, {"dilation": 0}, ValueError, ["`dilation`", "at least 1", "0"]),
    (same_padding, {"kernel_size": "3"}, TypeError, ["`kernel_size`", "integer", "'3'"]),
    (layer_table, {"model": nn.ReLU()}, TypeError, ["`model`", "nn.Sequential", "ReLU"]),
    (layer_table, {"model": nn.Sequential(nn.LazyLinear(2))}, ValueError, ["`model`", "0.weight"]),
    (layer_table, {"model": nn.Sequential(nn.BatchNorm1d(2))}, ValueError, ["`0`", "(1, 5, 5)"]),
    (layer_table, {"model": nn.Sequential(Nothing())}, ValueError, ["`0`", "nothing is left"]),
    (layer_table, {"input_shape": ()}, ValueError, ["`input_shape`", "()"]),
    (layer_table, {"input_shape": 28}, ValueError, ["`input_shape`", "28"]),
    (layer_table, {"input_shape": (1, 0, 5)}, ValueError, ["`input_shape`", "at least 1", "0"]),
    (layer_table, {"input_shape": (1, 5.0, 5)}, TypeError, ["`input_shape`", "integer", "5.0"]),
    (layer_table, {"input_shape": (3, 5, 5)}, ValueError, ["`0`", "Conv2d", "(3, 5, 5)"]),
    (layer_table, {"input_shape": (1, 2, 5)}, ValueError, ["`0`", "Conv2d", "(1, 2, 5)"]),
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
