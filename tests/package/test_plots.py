"""What a figure shows: its numbers, named, told apart without colour, and the same bytes twice."""

from __future__ import annotations

import io
import itertools
from functools import cache

import matplotlib as mpl
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image
from torch import nn

from cnncourse import plots
from cnncourse.fast import Machine
from cnncourse.layer_table import layer_table
from cnncourse.lenet import LayerScale, LeNet, layer_scales
from cnncourse.padding_stride import usage_count
from cnncourse.training import Epoch, Evaluation, History

RUN = History(
    [
        Epoch(Evaluation(2.0, 0.3), Evaluation(1.9, 0.4), 1.0),
        Epoch(Evaluation(1.0, 0.6), Evaluation(1.2, 0.5), 1.0),
    ]
)
SCALES = [
    LayerScale("conv", 1.0, 0.5, 1e-3, 0.1),
    LayerScale("act", 0.2, 0.1, 1e-4, None),
    LayerScale("fc", 0.7, 0.3, 1e-5, 0.2),
]
PICTURES = torch.rand(5, 1, 4, 6, generator=torch.Generator().manual_seed(0))
MACHINE = Machine(multiply_adds=100e9, bytes=10e9)
RUNGS = {"plain": ([9.0, 7.0], [3.0, 5.0]), "last": ([1.0, 1.5], [0.8, 0.9])}
EVERY = {
    "training_curves": lambda: plots.training_curves({"ours": RUN, "theirs": [0.2, 0.3]}),
    "layer_scale_curves": lambda: plots.layer_scale_curves({"one": SCALES, "two": SCALES}),
    "seed_strip": lambda: plots.seed_strip({"one": [0.5, 0.7], "two": [0.8]}),
    "image_grid": lambda: plots.image_grid(PICTURES, list("abcde"), columns=3),
    "kernels": lambda: plots.kernels(PICTURES - 0.5, columns=2),
    "feature_maps": lambda: plots.feature_maps(PICTURES[:, 0]),
    "nonlinearities": lambda: plots.nonlinearities({"sigmoid": torch.sigmoid, "ReLU": torch.relu}),
    "network": lambda: plots.network(layer_table(LeNet(), (1, 28, 28))),
    "number_grids": lambda: plots.number_grids({"a": PICTURES[0, 0], "b": PICTURES[1, 0].T}),
    "step_errors": lambda: plots.step_errors([1e-1, 1e-2], {"a": [0.1, 0.2], "b": [3.0, 1.0]}),
    "signals": lambda: plots.signals({"a": (0, PICTURES[0, 0, 0]), "b": (3, PICTURES[1, 0, 0])}),
    "matrices": lambda: plots.matrices({"a": torch.ones(2, 3), "b": torch.eye(3)}),
    "cone": lambda: plots.cone([(3, 1), (3, 2)], PICTURES[:2, 0].flatten()[:11]),
    "pictures": lambda: plots.pictures({"a": PICTURES[0, 0], "b": PICTURES[1, 0, :2, :3]}),
    "seed_curves": lambda: plots.seed_curves({"a": [[1.0, 0.5]], "b": [[2.0, 1.0]]}, "y", "x"),
    "rate_map": lambda: plots.rate_map({"a": {0.1: [0.5, 0.7]}, "b": {0.1: [0.1, 0.2]}}),
    "sampled": lambda: plots.sampled({"one": torch.sin, "two": torch.cos}, pixels=8, step=2),
    "two_orders": lambda: plots.two_orders({"a": (PICTURES[0, 0], PICTURES[1, 0])}),
    "picture_and_maps": lambda: plots.picture_and_maps(PICTURES[0, 0], {"a": PICTURES[1, 0, :2]}),
    "layer_maps": lambda: plots.layer_maps(PICTURES[0, 0], {"conv": PICTURES[:, 0]}),
    "window_rows": lambda: plots.window_rows(8, kernel_size=3, stride=2, padding=1),
    "usage_maps": lambda: plots.usage_maps({"a": usage_count(5, 3, stride=2, padding=1)}),
    "roofline": lambda: plots.roofline(MACHINE, {"a": (2.0, 3e9), "b": (40.0, 5e9)}),
    "ladder": lambda: plots.ladder(RUNGS, goal=1),
    "stacked_bars": lambda: plots.stacked_bars({"a": {"x": 1, "y": 3}, "b": {"x": 2}}, "ms"),
    "layer_prices": lambda: plots.layer_prices({"full": FULL, "groups": HALVES}, (4, 5, 6)),
}


@cache
def shown(name: str) -> tuple[dict, dict]:
    """Return a figure as a notebook keeps it: its formats, and what is said of each."""
    return DisplayFormatter().format(EVERY[name]())


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_is_the_same_bytes_twice_and_touches_no_state(name: str) -> None:
    before = dict(mpl.rcParams)
    formats, about = shown(name)
    again = EVERY[name]()._repr_png_()
    assert (formats["image/png"], about["image/png"]) == again
    assert again[0].startswith(b"\x89PNG")
    assert dict(mpl.rcParams) == before
    assert mpl._pylab_helpers.Gcf.get_all_fig_managers() == []


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_shows_in_a_notebook(name: str) -> None:
    formats, _ = shown(name)
    assert "image/png" in formats
    assert formats["text/plain"].startswith("<Figure size ")


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_is_sharp_and_no_wider_than_a_page(name: str) -> None:
    formats, about = shown(name)
    with Image.open(io.BytesIO(formats["image/png"])) as stored:
        assert stored.width == 2 * about["image/png"]["width"] <= 2 * 624
        kept = np.asarray(stored.convert("RGB"), dtype=int)
    drawn = io.BytesIO()
    EVERY[name]().savefig(drawn, format="png", dpi=240)
    with Image.open(drawn) as image:
        full = np.asarray(image.convert("RGB"), dtype=int)
    assert abs(kept - full).max() <= 8  # of 255: fewer colours, the same picture


@pytest.mark.parametrize("name", EVERY)
def test_no_text_is_too_small_for_a_phone(name: str) -> None:
    texts = [text for text in EVERY[name]().findobj(Text) if text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= 9


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("train_loss", [2.0, 1.0]),
        ("train_accuracy", [0.3, 0.6]),
        ("validation_loss", [1.9, 1.2]),
        ("validation_accuracy", [0.4, 0.5]),
    ],
)
def test_training_curves_draws_the_measure_against_the_epoch(measure, expected) -> None:
    (axes,) = plots.training_curves({"ours": RUN, "theirs": [7.0]}, measure).axes
    ours, theirs = axes.lines
    assert ours.get_xdata().tolist() == [1, 2]
    assert ours.get_ydata().tolist() == expected
    assert theirs.get_xydata().tolist() == [[1, 7.0]]
    assert axes.get_xlabel() == "epoch"
    assert axes.get_ylabel().startswith(measure.replace("train_", "training_").replace("_", " "))


def test_training_curves_tells_seven_runs_apart_without_colour() -> None:
    runs = {f"run {i}": [0.1 * i, 0.9 + 0.001 * i] for i in range(7)}
    figure = plots.training_curves(runs)
    (axes,) = figure.axes
    for style in ("marker", "linestyle", "color"):
        # matplotlib keeps a custom dash pattern out of get_linestyle.
        seen = [
            line._dash_pattern if style == "linestyle" else getattr(line, f"get_{style}")()
            for line in axes.lines
        ]
        assert len({str(value) for value in seen}) == 7
    assert {note.get_text() for note in axes.texts} == set(runs)
    figure.savefig("/dev/null", format="png")
    # An annotation's own extent counts its leader line too.
    boxes = [Text.get_window_extent(note) for note in axes.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    for box in boxes:
        assert figure.bbox.containsx(box.x0)
        assert figure.bbox.containsx(box.x1)
        assert figure.bbox.containsy(box.y1)


def test_curve_names_stand_at_the_height_of_their_ends() -> None:
    figure = plots.training_curves({"low": [0.0, 0.1], "high": [0.0, 0.9]})
    figure.savefig("/dev/null", format="png")
    (axes,) = figure.axes
    for note, end in zip(axes.texts, [0.1, 0.9], strict=True):
        box = Text.get_window_extent(note)
        middle = axes.transData.inverted().transform((box.x0, (box.y0 + box.y1) / 2))[1]
        assert middle == pytest.approx(end, abs=0.02)


def test_a_curve_name_stands_beside_a_piece_of_its_curve() -> None:
    figure = plots.training_curves({"low": [0.0, 0.1], "high": [0.0, 0.9]})
    figure.savefig("/dev/null", format="png")
    (axes,) = figure.axes
    pieces = [artist for artist in figure.artists if isinstance(artist, Line2D)]
    for line, piece, note in zip(axes.lines, pieces, axes.texts, strict=True):
        for style in ("color", "marker"):
            assert getattr(piece, f"get_{style}")() == getattr(line, f"get_{style}")()
        assert piece._dash_pattern == line._dash_pattern
        assert note.get_text() == line.get_label()
        assert piece.get_ydata()[0] == pytest.approx(note.get_position()[1])


def test_layer_scale_curves_draws_every_layer_that_has_the_quantity() -> None:
    (axes,) = plots.layer_scale_curves({"net": SCALES}, "weight_gradient").axes
    assert axes.lines[0].get_ydata().tolist() == [0.1, 0.2]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["conv", "fc"]
    assert axes.get_yscale() == "log"
    (axes,) = plots.layer_scale_curves({"net": SCALES}).axes
    assert axes.lines[0].get_ydata().tolist() == [0.5, 0.1, 0.3]
    assert "over pictures" in axes.get_ylabel()


def test_layer_scale_curves_takes_what_layer_scales_returns() -> None:
    scales = layer_scales(LeNet(), torch.rand(4, 1, 28, 28), torch.arange(4))
    (axes,) = plots.layer_scale_curves({"LeNet": scales}, "gradient").axes
    assert axes.get_xticklabels()[0].get_text() == "conv1"
    assert axes.lines[0].get_ydata().tolist() == [scale.gradient for scale in scales]


def test_seed_strip_draws_dots_mean_and_sample_deviation() -> None:
    (axes,) = plots.seed_strip({"one": [0.5, 0.7, 0.9], "two": [0.8]}, "validation accuracy").axes
    dots = axes.lines[0]
    assert dots.get_xydata().tolist() == [[0.5, 0], [0.7, 0], [0.9, 0]]
    # The sample deviation of 0.5, 0.7, 0.9 is sqrt((0.04 + 0 + 0.04) / 2) = 0.2.
    (bar,) = axes.containers[0].lines[2]
    np.testing.assert_allclose(bar.get_segments()[0], [[0.5, 0], [0.9, 0]])
    assert [note.get_text() for note in axes.texts] == ["0.700 ± 0.200", "0.800"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first variant stands on top
    assert axes.get_xlabel().startswith("validation accuracy")


def test_seed_strip_joins_the_dots_of_a_seed() -> None:
    (axes,) = plots.seed_strip({"one": [0.5, 0.7], "two": [0.8, 0.6], "three": [0.9]}).axes
    joined = [line.tolist() for line in axes.collections[-1].get_segments()]
    assert joined == [[[0.5, 0], [0.8, 1]], [[0.7, 0], [0.6, 1]]]


def test_nonlinearities_draws_the_function_and_its_slope() -> None:
    values, slopes = plots.nonlinearities({"sigmoid": torch.sigmoid, "tanh": torch.tanh}).axes
    x, y = values.lines[0].get_xydata().T
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)), atol=1e-6)
    np.testing.assert_allclose(slopes.lines[0].get_ydata(), y * (1 - y), atol=1e-6)
    tanh = values.lines[1].get_ydata()
    np.testing.assert_allclose(slopes.lines[1].get_ydata(), 1 - tanh**2, atol=1e-6)


def test_network_draws_each_shape_once_and_maps_by_their_size() -> None:
    (axes,) = plots.network(layer_table(LeNet(), (1, 28, 28))).axes
    words = [text.get_text() for text in axes.texts]
    assert words[1::2] == [
        *("1 × 28 × 28", "6 × 28 × 28", "6 × 14 × 14", "16 × 10 × 10", "16 × 5 × 5"),
        *("400", "120", "84", "10"),
    ]
    sheets = [patch.get_height() for patch in axes.patches]
    assert sheets[0] == 2 * sheets[5]  # 28 rows beside the 14 behind the first pooling
    assert len(axes.patches) == 1 + 4 * 4 + 4


def test_matrices_leave_what_is_zero_white_and_share_one_scale() -> None:
    low, high = torch.tensor([[1.0, 0, 2], [0, -3, 0]]), torch.tensor([[0.0, 5, 4]])
    *panels, bar = plots.matrices({"low": low.requires_grad_(), "high": high}).axes
    first, second = (axes.collections[0] for axes in panels)
    assert first.get_array().mask.tolist() == [[False, True, False], [True, False, True]]
    assert second.get_array().compressed().tolist() == [5, 4]
    assert first.get_clim() == second.get_clim() == (-3, 5)
    # The first output stands at the top, as in a formula.
    assert all(axes.yaxis_inverted() for axes in panels)
    assert bar.get_ylabel() == "weight"


def test_cone_fills_what_the_unit_depends_on() -> None:
    gradient = torch.tensor([0.0, 0, 1, 1, 2, 1, 2, 1, 1, 0, 0]).requires_grad_()
    units, bars = plots.cone([(3, 1), (3, 2)], gradient).axes
    dots = [c for c in units.collections if c.get_offsets().size > 2]
    filled = [[colour[0] < 0.5 for colour in c.get_facecolors()] for c in dots]
    # Layer 2 has four units on the nine of layer 1; the middle one, number 2, begins at unit 4.
    assert [sum(level) for level in filled] == [1, 3, 5]
    assert [level.index(True) for level in filled] == [2, 4, 4]
    assert [len(level) for level in filled] == [4, 9, 11]
    assert dots[0].get_offsets()[:, 0].tolist() == [2, 4, 6, 8]
    lines = [len(c.get_segments()) for c in units.collections if c not in dots]
    assert lines == [3, 9]
    assert [bar.get_height() for bar in bars.patches] == gradient.tolist()


def test_cone_takes_the_unit_that_is_asked_for() -> None:
    units, _ = plots.cone([(3, 2)], torch.ones(7), unit=0).axes
    pixels = units.collections[-1]
    assert [colour[0] < 0.5 for colour in pixels.get_facecolors()] == [True] * 3 + [False] * 4


def test_cone_leaves_out_what_a_dilation_skips() -> None:
    units, _ = plots.cone([(2, 1, 3), (2, 1)], torch.ones(7), unit=0).axes
    pixels = units.collections[-1]
    filled = [colour[0] < 0.5 for colour in pixels.get_facecolors()]
    assert filled == [True, True, False, True, True, False, False]  # 0 and 3, 1 and 4


def test_image_grid_draws_each_image_where_it_belongs() -> None:
    figure = plots.image_grid(PICTURES, list("abcde"), columns=3)
    assert [axes.get_title() for axes in figure.axes] == list("abcde")
    for axes, picture in zip(figure.axes, PICTURES, strict=True):
        assert axes.images[0].get_array().tolist() == picture[0].tolist()
        assert axes.images[0].get_clim() == (0, 1)
    places = [axes.get_subplotspec() for axes in figure.axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1),
    ]  # fmt: skip
    assert len(plots.image_grid(PICTURES[:2]).axes) == 2


def test_kernels_puts_zero_in_the_middle_of_one_scale() -> None:
    weight = torch.tensor([[[[1.0, -3.0]], [[0.0, 2.0]]]]).requires_grad_()
    *tiles, bar = plots.kernels(weight).axes
    assert [axes.get_title() for axes in tiles] == ["0,0", "0,1"]
    assert [axes.images[0].get_array().tolist() for axes in tiles] == [[[1, -3]], [[0, 2]]]
    assert {axes.images[0].get_clim() for axes in tiles} == {(-3, 3)}
    assert bar.get_ylabel() == "weight"
    plots.kernels(torch.zeros(2, 1, 3, 3))._repr_png_()


def test_feature_maps_share_one_scale() -> None:
    maps = torch.tensor([[[0.0, 2.0]], [[5.0, 1.0]]]).requires_grad_()
    *tiles, bar = plots.feature_maps(maps).axes
    assert {axes.images[0].get_clim() for axes in tiles} == {(0, 5)}
    assert [axes.get_title() for axes in tiles] == ["channel 0", "channel 1"]
    assert bar.get_ylabel() == "activation"
    assert plots.feature_maps(maps, label="share").axes[-1].get_ylabel() == "share"


BAD = [
    (lambda: plots.training_curves({}), "`histories` must hold .* got none for any"),
    (lambda: plots.training_curves({"a": []}), r"`histories` must hold .* \['a'\]"),
    (lambda: plots.training_curves({"a": [1.0]}, "loss"), "`measure` must be one of .* got 'loss'"),
    (lambda: plots.training_curves({str(i): [0.1] for i in range(8)}), "at most 7 curves, got 8"),
    (lambda: plots.layer_scale_curves({"a": SCALES}, "x"), "`measure` must be one of activation"),
    (lambda: plots.layer_scale_curves({"a": SCALES, "b": SCALES[:2]}), "the same layers, got"),
    (lambda: plots.layer_scale_curves({"a": SCALES[1:2]}, "weight_gradient"), "got none for .'a'"),
    (lambda: plots.matrices({}), "`layers` must hold .* got none for any"),
    (lambda: plots.matrices({"a": torch.zeros(2, 3)}), r"weights .* got \(2, 3\) for 'a'"),
    (lambda: plots.cone([], torch.ones(7)), "at least one layer"),
    (lambda: plots.cone([(3, 1)] * 4, torch.ones(7)), "a window of 3 over 1 units"),
    (lambda: plots.cone([(3, 1)], torch.ones(7), unit=5), "must lie in 0 to 4, got 5"),
    (lambda: plots.nonlinearities({}), "`functions` must hold .* got none for any"),
    (lambda: plots.seed_strip({"a": [0.1], "b": []}), r"`values` must hold .* \['b'\]"),
    (lambda: plots.image_grid(PICTURES, ["a"]), "`titles` must be 5, one for each image, got 1"),
    (lambda: plots.image_grid(PICTURES, columns=0), "`columns` must be at least 1, got 0"),
    (lambda: plots.image_grid(PICTURES[:0]), r"at least one picture, got \(0, 4, 6\)"),
    (lambda: plots.image_grid(PICTURES[:, 0]), r"shape \(n, 1, h, w\), got \(5, 4, 6\)"),
    (lambda: plots.kernels(PICTURES[0]), r"\(o, c, kh, kw\), got \(1, 4, 6\)"),
    (lambda: plots.kernels(PICTURES[:0]), r"at least one picture, got \(0, 4, 6\)"),
    (lambda: plots.feature_maps(PICTURES), r"shape \(c, h, w\), got \(5, 1, 4, 6\)"),
    (lambda: plots.feature_maps(PICTURES[:, 0], ["one"]), "`titles` must be 5.*got 1"),
    (lambda: plots.roofline(MACHINE, {}), "`layers` must hold .* got none for any"),
    (lambda: plots.ladder({"a": ([], [])}), r"`rungs` must hold .* \['a'\]"),
    (lambda: plots.feature_maps(PICTURES[:0, 0]), r"at least one picture, got \(0, 4, 6\)"),
]


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(("draw", "message"), BAD)
def test_plots_name_the_bad_argument(draw, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


def test_signals_start_at_their_time_and_dots_have_no_line() -> None:
    curves = {"readings": (0, torch.tensor([1.0, 5.0, 2.0])), "mean": (1, torch.tensor([3.0, 4.0]))}
    figure = plots.signals(curves, dots="readings", label="position", along="hour")
    readings, mean = figure.axes[0].lines
    assert mean.get_xydata().tolist() == [[1, 3], [2, 4]]
    assert readings.get_xydata().tolist() == [[0, 1], [1, 5], [2, 2]]
    assert (readings.get_linestyle(), mean.get_linestyle()) == ("None", "--")
    assert readings.axes.get_ylabel() == "position"
    assert readings.axes.get_xlabel() == "hour"


def test_signals_refuse_wrong_input() -> None:
    with pytest.raises(ValueError, match=r"`curves` must hold numbers .* got none for any"):
        plots.signals({})
    with pytest.raises(ValueError, match=r"got none for \['mean'\]"):
        plots.signals({"mean": (0, torch.zeros(0))})
    with pytest.raises(ValueError, match="`dots` must be one of mean, got 'noise'"):
        plots.signals({"mean": (0, torch.zeros(2))}, dots="noise")


def test_roofline_bends_where_both_speeds_meet_and_layers_lie_below() -> None:
    (axes,) = plots.roofline(MACHINE, {"a": (2.0, 3e9), "b": (40.0, 5e9)}).axes
    a, b, roof, *gaps = axes.lines
    assert (a.get_xydata().tolist(), b.get_xydata().tolist()) == ([[2, 3]], [[40, 5]])
    # Below 10 multiply-adds a byte the memory limits, 10 billion bytes a second.
    assert roof.get_xydata().tolist() == [[1, 10], [10, 100], [80, 100]]
    assert [gap.get_ydata().tolist() for gap in gaps] == [[3, 20], [5, 100]]


def test_ladder_has_a_dot_a_seed_and_a_line_at_the_mean() -> None:
    seconds, errors = plots.ladder(RUNGS, goal=1).axes
    assert [line.get_xydata().tolist() for line in seconds.lines] == [
        [[9, 0], [7, 0]],
        [[1, 1], [1.5, 1]],
    ]
    means = [one.get_segments()[0][0][0] for one in errors.collections]
    assert means == pytest.approx([4, 0.85])
    assert errors.lines[-1].get_xdata() == [1, 1]
    assert [tick.get_text() for tick in seconds.get_yticklabels()] == list(RUNGS)
    assert seconds.get_ylim()[0] > seconds.get_ylim()[1]  # the first rung stands on top


def test_picture_and_maps_share_a_scale_with_zero_in_the_middle() -> None:
    maps = {"weak": torch.tensor([[0.0, 1.0]]), "strong": torch.tensor([[-4.0], [2.0]])}
    picture, weak, strong, _ = plots.picture_and_maps(torch.eye(3), maps).axes
    assert picture.images[0].get_clim() == (0, 1)
    assert weak.images[0].norm.vmax == strong.images[0].norm.vmax == 4
    assert weak.images[0].norm.vmin == -4
    assert strong.images[0].get_array().tolist() == [[-4], [2]]
    assert [axes.get_title() for axes in (picture, weak, strong)] == ["picture", "weak", "strong"]


def test_picture_and_maps_refuse_wrong_input(as_installed) -> None:
    with pytest.raises(ValueError, match="`maps` must hold numbers"):
        plots.picture_and_maps(torch.eye(3), {})
    with pytest.raises(ValueError, match=r"`picture` must have shape \(h, w\), got \(1, 3, 3\)"):
        plots.picture_and_maps(torch.eye(3)[None], {"a": torch.eye(3)})
    with pytest.raises(ValueError, match=r"`a` must have shape \(h, w\), got \(3, 0\)"):
        plots.picture_and_maps(torch.eye(3), {"a": torch.zeros(3, 0)})


def test_layer_maps_stand_in_a_row_in_pixels_of_one_size() -> None:
    maps = {"a": torch.arange(-4.0, 8).reshape(2, 2, 3), "b": torch.ones(1, 1, 3)}
    picture, a, b = plots.layer_maps(torch.eye(3), maps).axes
    assert picture.images[0].get_clim() == (0, 1)
    row = a.images[0].get_array().filled(torch.nan)
    assert row[:, :3].tolist() == maps["a"][0].tolist()
    assert row[:, 4:].tolist() == maps["a"][1].tolist()
    assert row.shape == (2, 7)
    assert a.images[0].norm.vmax == -a.images[0].norm.vmin == 7
    assert b.images[0].norm.vmax == 1
    assert a.get_xlim() == b.get_xlim() == (-0.5, 6.5)


def test_layer_maps_refuse_wrong_input() -> None:
    with pytest.raises(ValueError, match="`maps` must hold"):
        plots.layer_maps(torch.eye(3), {})
    with pytest.raises(ValueError, match=r"`b` must have shape \(c, h, w\), got \(3, 3\)"):
        plots.layer_maps(torch.eye(3), {"a": torch.ones(1, 2, 2), "b": torch.eye(3)})


def test_number_grids_draws_each_number_in_its_place_and_marks_cells() -> None:
    grids = {"x": torch.tensor([[1.0, 0.0, -3.0]]), "y": torch.tensor([[4.0], [5.0]])}
    (axes,) = plots.number_grids(grids, {"y": [(1, 0)]}, columns=1).axes
    numbers = {text.get_text(): text for text in axes.texts if text.get_text() not in grids}
    assert [numbers[n].get_position() for n in ("1", "-3", "4")] == [
        (0.5, 0.5),
        (2.5, 0.5),
        (0.5, 3.5),
    ]
    assert [n for n, text in numbers.items() if text.get_weight() == "bold"] == ["5"]
    filled = [patch.get_xy() for patch in axes.patches if patch.get_facecolor()[0] < 1]
    assert filled == [(0.0, 4.0)]
    assert numbers["0"].get_color() != numbers["1"].get_color()


def test_step_errors_rings_the_smallest_error_of_each_curve() -> None:
    steps, errors = [1e-1, 1e-2, 1e-3], {"a": [3.0, 1.0, 2.0], "b": [0.5, 0.6, 0.7]}
    (axes,) = plots.step_errors(steps, errors).axes
    a, b, *rings = axes.lines
    assert a.get_xydata().tolist() == [[0.1, 3.0], [0.01, 1.0], [0.001, 2.0]]
    assert b.get_ydata().tolist() == errors["b"]
    assert [ring.get_xydata().tolist() for ring in rings] == [[[0.01, 1.0]], [[0.1, 0.5]]]
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_pictures_may_differ_in_size_and_are_black_for_0_and_white_for_1() -> None:
    named = {"white": torch.ones(4, 6), "pooled": torch.tensor([[0.2, 0.4, 3.0]])}
    white, pooled = plots.pictures(named).axes
    assert [axes.get_title() for axes in (white, pooled)] == ["white", "pooled"]
    assert pooled.images[0].get_clim() == white.images[0].get_clim() == (0, 1)
    np.testing.assert_allclose(pooled.images[0].get_array(), [[0.2, 0.4, 3.0]])
    # Its frame is all that shows a white picture on a white page.
    assert white.spines["top"].get_visible()
    assert white.axison


def test_pictures_refuse_wrong_input(as_installed) -> None:
    with pytest.raises(ValueError, match="`named` must hold numbers"):
        plots.pictures({})
    with pytest.raises(ValueError, match=r"`a` must have shape \(h, w\), got \(1, 3, 3\)"):
        plots.pictures({"a": torch.eye(3)[None]})
    with pytest.raises(ValueError, match="`columns`"):
        plots.pictures({"a": torch.eye(3)}, columns=0)


def test_sampled_fills_the_dots_of_the_pixels_that_are_kept() -> None:
    waves = {"steep": torch.square, "line": lambda x: 2 * x}
    steep, line, pixels, kept = plots.sampled(waves, pixels=5, step=3).axes[0].lines
    assert pixels.get_xydata().tolist() == [[0, 0], [1, 1], [2, 4], [3, 9], [4, 16], [5, 25]]
    assert kept.get_xydata().tolist() == [[0, 0], [3, 9]]
    x, y = line.get_xydata().T
    np.testing.assert_allclose(y, 2 * x)
    assert len(steep.get_xdata()) > 100  # a wave between the pixels, not a zigzag through them
    assert (pixels.get_markerfacecolor(), kept.get_markerfacecolor()) == ("white", "black")


def test_sampled_refuses_wrong_input() -> None:
    with pytest.raises(ValueError, match="`waves` must hold numbers"):
        plots.sampled({}, pixels=4, step=2)
    with pytest.raises(ValueError, match="`step`"):
        plots.sampled({"one": torch.sin}, pixels=4, step=0)


def test_two_orders_draw_the_difference_on_the_scale_of_its_row() -> None:
    a, b = torch.tensor([[4.0, 1.0]]), torch.tensor([[-1.0, 1.0]])
    axes = plots.two_orders({"one": (a, b), "two": (b, b)}).axes
    assert [one.get_title() for one in axes[:3]] == ["move, then f", "f, then move", "difference"]
    assert [one.images[0].get_array().tolist() for one in axes[:3]] == [
        [[4, 1]],
        [[-1, 1]],
        [[5, 0]],
    ]
    assert [one.images[0].norm.vmax for one in axes] == [4, 4, 4, 1, 1, 1]
    assert [axes[0].get_ylabel(), axes[3].get_ylabel()] == ["one", "two"]


def test_two_orders_refuse_wrong_input(as_installed) -> None:
    with pytest.raises(ValueError, match="`pairs` must hold numbers"):
        plots.two_orders({})
    with pytest.raises(ValueError, match=r"`f` must hold two .* got \(3, 3\) and \(2, 3\)"):
        plots.two_orders({"f": (torch.eye(3), torch.eye(3)[:2])})


def filled_boxes(axes) -> dict[float, list[float]]:
    """Return the pixels that each row of boxes fills in blue, by the height of the row."""
    rows = {}
    for box in axes.patches:
        if mpl.colors.to_hex(box.get_facecolor()) == plots.style.COLOURS[0].lower():
            x, y = (side + box.get_width() / 2 for side in box.get_xy())
            rows.setdefault(round(y), []).append(round(x))
    return rows


def hatched_boxes(axes) -> list[tuple[int, int]]:
    """Return column and row of each hatched box."""
    boxes = [box for box in axes.patches if box.get_hatch()]
    return [tuple(round(side + box.get_width() / 2) for side in box.get_xy()) for box in boxes]


def test_window_rows_fill_what_each_window_sees() -> None:
    axes = plots.window_rows(8, kernel_size=3, stride=2).axes[0]
    assert filled_boxes(axes) == {1: [0, 1, 2], 2: [2, 3, 4], 3: [4, 5, 6]}
    assert hatched_boxes(axes) == [(7, 0)]
    assert axes.get_title() == "⌊(8 + 2·0 − 3) / 2⌋ + 1 = ⌊5 / 2⌋ + 1 = 3"
    words = [text.get_text() for text in axes.texts]
    assert [word for word in words if not word.isdigit()] == [
        *("window 0", "window 1", "window 2"),
        *("pixel", "used"),
    ]
    # Each pixel, and below it how many windows see it.
    counts = [1, 1, 2, 1, 2, 1, 1, 0]
    pairs = [str(number) for pixel in enumerate(counts) for number in pixel]
    assert [word for word in words if word.isdigit()] == pairs


def test_window_rows_leave_padding_empty_and_gaps_unseen() -> None:
    axes = plots.window_rows(8, kernel_size=3, stride=3, padding=1, dilation=2).axes[0]
    assert filled_boxes(axes) == {1: [1, 3], 2: [2, 4, 6]}  # the first window begins outside
    assert hatched_boxes(axes) == [(0, 0), (5, 0), (7, 0)]
    assert axes.get_title() == "⌊(8 + 2·1 − 2·(3 − 1) − 1) / 3⌋ + 1 = ⌊5 / 3⌋ + 1 = 2"
    both_ends = plots.window_rows(3, kernel_size=2, padding=1).axes[0]
    assert filled_boxes(both_ends) == {1: [0], 2: [0, 1], 3: [1, 2], 4: [2]}
    dashed = [box for box in axes.patches if box.get_linestyle() in (":", "dotted")]
    assert [round(box.get_x() + box.get_width() / 2) for box in dashed] == [-1, 8]


def test_usage_maps_write_every_count_and_hatch_the_zeros() -> None:
    counts = torch.tensor([[1, 0, 12], [2, 3, 0]])
    full, half = plots.usage_maps({"a": counts, "b": counts // 2}).axes
    words = [(text.get_position(), text.get_text()) for text in full.texts]
    places = [((j, i), str(counts[i, j].item())) for i in range(2) for j in range(3)]
    assert words == places
    assert hatched_boxes(full) == [(1, 0), (2, 1)]
    assert full.images[0].get_clim() == half.images[0].get_clim() == (-6, 12)


def test_figures_of_windows_refuse_wrong_input() -> None:
    with pytest.raises(ValueError, match="`kernel_size`"):
        plots.window_rows(2, kernel_size=3)
    with pytest.raises(ValueError, match="`size`"):
        plots.window_rows(0, kernel_size=1)
    with pytest.raises(ValueError, match="`maps` must hold numbers"):
        plots.usage_maps({})


FULL = nn.Sequential(nn.Conv2d(4, 6, 3))


HALVES = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.Conv2d(6, 2, 1))


def test_picture_and_maps_take_a_colour_picture_with_its_channels_in_front() -> None:
    red = torch.zeros(3, 2, 4)
    red[0] = 1
    picture, *_ = plots.picture_and_maps(red, {"a": torch.eye(3)}).axes
    assert picture.images[0].get_array().tolist() == [[[1, 0, 0]] * 4] * 2


def test_a_photograph_keeps_its_colours_and_a_drawing_gets_a_palette() -> None:
    # All hues of two channels, so more colours than a palette has.
    ramp = torch.linspace(0, 1, 90).expand(90, 90)
    hues = torch.stack([ramp, ramp.T, ramp.flip(1)])
    for picture, mode in (hues, "RGB"), (hues[0], "P"):
        data, _ = plots.picture_and_maps(picture, {"a": hues[1]})._repr_png_()
        with Image.open(io.BytesIO(data)) as stored:
            assert stored.mode == mode


def test_stacked_bars_lie_side_by_side() -> None:
    (axes,) = plots.stacked_bars({"a": {"x": 1.0, "y": 3.0}, "b": {"y": 2.0}}, "ms").axes
    drawn = {
        container.get_label(): [(bar.get_x(), bar.get_width()) for bar in container]
        for container in axes.containers
    }
    assert drawn == {"x": [(0, 1), (0, 0)], "y": [(1, 3), (0, 2)]}
    assert axes.yaxis_inverted()  # the first bar above
    hatches = {container[0].get_hatch() for container in axes.containers}
    assert len(hatches) == 2  # told apart without colour


@pytest.mark.parametrize(
    ("bars", "message"),
    [
        ({}, "`bars` must hold numbers"),
        ({"a": dict.fromkeys("vwxyz", 1.0)}, r"`bars` must have at most 4 parts, got \['v',"),
    ],
)
def test_stacked_bars_name_what_cannot_be_drawn(bars, message) -> None:
    with pytest.raises(ValueError, match=message):
        plots.stacked_bars(bars, "ms")


def test_layer_prices_join_the_channels_that_a_weight_joins() -> None:
    both, halves = plots.layer_prices({"full": FULL, "groups": HALVES}, (4, 5, 6)).axes
    assert [axes.get_title() for axes in (both, halves)] == ["full", "groups"]
    (full,) = both.collections
    assert len(full.get_segments()) == 4 * 6
    assert sum(width > 1 for width in full.get_linewidths()) == 4  # into the first output channel
    drawn = {tuple(map(tuple, line)) for line in halves.collections[0].get_segments()}
    # The gradient of an output channel is zero for the input channels that it does not see.
    x = torch.rand(1, 4, 5, 6, requires_grad=True)
    seen = set()
    for o in range(6):
        (gradient,) = torch.autograd.grad(HALVES[0](x)[0, o].sum(), x)
        seen |= {((0, c), (1, o)) for c in range(4) if gradient[0, c].any()}
    assert drawn == seen
    assert len(halves.lines) == 3


def test_layer_prices_are_those_of_the_layer_table() -> None:
    both, halves = plots.layer_prices({"full": FULL, "groups": HALVES}, (4, 5, 6)).axes
    words = [text.get_text() for text in halves.texts]
    # (2 * 9 + 1) * 6 + (6 + 1) * 2; 3 x 4 places with 6 * 18, then 2 * 6, each; 8 maps of floats
    assert words == ["128 parameters", "1,440 multiply-adds", "384 bytes of outputs"]
    assert both.texts[0].get_text() == "222 parameters"


def test_layer_prices_refuse_wrong_input() -> None:
    with pytest.raises(ValueError, match="`layers` must hold numbers for each name"):
        plots.layer_prices({}, (4, 5, 6))
    with pytest.raises(
        ValueError, match=r"(?s)`layers` must hold stacks of nn.Conv2d, got .*'act'"
    ):
        plots.layer_prices({"act": nn.Sequential(nn.ReLU())}, (4, 5, 6))


def test_seed_curves_are_the_mean_of_the_seeds_in_a_band_from_lowest_to_highest() -> None:
    seeds = {"a": [[1.0, 0.4, 0.1], [1.0, 0.6, 0.3], [1.0, 0.8, 0.8]], "b": [[0.5] * 3]}
    axes = plots.seed_curves(seeds, "share", "step").axes[0]
    assert axes.lines[0].get_xydata()[1:].flatten() == pytest.approx([1, 0.6, 2, 0.4])
    low, high = axes.collections[0].get_datalim(axes.transData).intervaly
    assert (low, high) == (0.1, 1)
    assert [text.get_text() for text in axes.texts] == ["a", "b"]
    assert axes.get_ylabel() == "share"


def test_seed_curves_refuse_wrong_input() -> None:
    with pytest.raises(ValueError, match=r"`values` must hold numbers .* got none for \['a'\]"):
        plots.seed_curves({"a": []}, "share", "step")
    with pytest.raises(ValueError, match="`values` must hold at most 7 curves, got 8"):
        plots.seed_curves({key: [[1.0, 0.5]] for key in "abcdefgh"}, "share", "step")


def test_seed_curves_stand_where_they_are_told() -> None:
    axes = plots.seed_curves({"a": [[2.0, 1.0], [4.0, 1.0]]}, "loss", "step", [10, 30]).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[10, 3], [30, 1]]
    (band,) = axes.collections
    assert band.get_paths()[0].get_extents().extents.tolist() == [10, 1, 30, 4]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss")


def test_rate_map_has_a_strip_for_each_seed_in_the_order_of_rates_and_networks() -> None:
    runs = {"one": {0.1: [0.1, 0.2], 1.0: [0.3, 0.4]}, "two": {0.1: [0.5, 0.6], 1.0: [0.7, 0.8]}}
    axes = plots.rate_map(runs).axes[0]
    (image,) = axes.images
    assert image.get_array().tolist() == [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]
    assert image.get_clim() == (0, 1)
    left, right, bottom, top = image.get_extent()  # the first network above, a rate at each tick
    assert (left, right, bottom, top) == (-0.5, 1.5, 1.5, -0.5)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["one", "two"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.1", "1"]


def test_rate_map_refuses_rows_that_differ() -> None:
    with pytest.raises(ValueError, match="`values` must hold numbers for each name"):
        plots.rate_map({})
    for other in ({0.2: [0.1]}, {0.1: [0.1, 0.2]}):
        with pytest.raises(ValueError, match="the same rates and seeds for all"):
            plots.rate_map({"one": {0.1: [0.1]}, "two": other})
