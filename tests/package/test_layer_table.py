"""The table of a stack's layers against what the layers do."""

from __future__ import annotations

import copy
from html.parser import HTMLParser

import pytest
import torch
from torch import nn

from cnncourse.layer_table import layer_table
from cnncourse.receptive_field import measured_receptive_field, receptive_field


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


def test_receptive_field_of_the_table_is_that_of_the_stack():
    model = lenet()[0]
    assert layer_table(model, (1, 28, 28)).rows[-1].receptive_field == receptive_field(model).size


class Nothing(nn.Module):
    """Leave no row, as older torch does where a kernel overhangs an input without data."""

    def forward(self, x):
        return x[:, :, :0]


GOOD = {"model": nn.Sequential(nn.Conv2d(1, 2, 3)), "input_shape": (1, 5, 5)}
BAD_CALLS = [
    ({"model": nn.ReLU()}, TypeError, ["`model`", "nn.Sequential", "ReLU"]),
    ({"model": nn.Sequential(nn.LazyLinear(2))}, ValueError, ["`model`", "0.weight"]),
    ({"model": nn.Sequential(nn.BatchNorm1d(2))}, ValueError, ["`0`", "(1, 5, 5)"]),
    ({"model": nn.Sequential(Nothing())}, ValueError, ["`0`", "nothing is left"]),
    ({"input_shape": ()}, ValueError, ["`input_shape`", "()"]),
    ({"input_shape": 28}, ValueError, ["`input_shape`", "28"]),
    ({"input_shape": (1, 0, 5)}, ValueError, ["`input_shape`", "at least 1", "0"]),
    ({"input_shape": (1, 5.0, 5)}, TypeError, ["`input_shape`", "integer", "5.0"]),
    ({"input_shape": (3, 5, 5)}, ValueError, ["`0`", "Conv2d", "(3, 5, 5)"]),
    ({"input_shape": (1, 2, 5)}, ValueError, ["`0`", "Conv2d", "(1, 2, 5)"]),
]


@pytest.mark.parametrize(("bad", "error", "words"), BAD_CALLS)
@pytest.mark.usefixtures("as_installed")
def test_bad_call_names_the_argument_and_the_value(bad, error, words):
    with pytest.raises(error) as caught:
        layer_table(**GOOD | bad)
    for word in words:
        assert word in str(caught.value)
