"""Every operator refuses what it cannot do: the right error, the argument's name, the value.

One good call of each operator, and one thing wrong at a time. The cases that come from the kind of
an argument (a tensor, a size) are made for every operator that has one, so a new operator is
covered as soon as it stands in ``GOOD``, and a test says which public functions do not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn, ones

from cnncourse import (
    backprop,
    channels,
    cross_correlation,
    invariance,
    layer_table,
    locality,
    normalization,
    padding_stride,
    pooling,
    receptive_field,
    shift,
    windows,
)

MODULES = [
    value
    for value in list(globals().values())
    if inspect.ismodule(value) and value.__name__.startswith("cnncourse.")
]
X, W, B = ones(2, 4, 6, 7), ones(8, 2, 3, 2), ones(8)  # two groups of two channels
LAYER = {"stride": 1, "padding": 1, "dilation": 1}
CONV = {"x": X, "weight": W, "bias": B, **LAYER, "groups": 2}
NO_BIAS = {name: value for name, value in CONV.items() if name != "bias"}
POOL = {"x": X, "kernel_size": 2, "stride": 1, "padding": 1}
SCALE = {"weight": ones(4), "bias": ones(4)}
RUNNING = {"running_mean": ones(4), "running_var": ones(4)}
SIZES = {"kernel_size": 3, **LAYER}
GRADIENT = {"grad_output": X, "x": X}


def sides(rank: int) -> dict[str, Tensor]:
    return {"x": ones([5] * rank), "kernel": ones([2] * rank)}


GOOD: dict[Callable, dict[str, object]] = {
    cross_correlation.corr1d: sides(1),
    cross_correlation.corr2d: sides(2),
    cross_correlation.corr3d: sides(3),
    cross_correlation.corr1d_windows: sides(1),
    cross_correlation.corr2d_windows: sides(2),
    cross_correlation.convolve1d: {**sides(1), "mode": "full"},
    cross_correlation.convolve2d: {**sides(2), "mode": "full"},
    channels.conv2d: CONV,
    channels.conv2d_loops: {**CONV, "x": X[:1, :, :3, :3]},
    channels.conv1x1: {"x": X, "weight": ones(8, 4, 1, 1), "bias": B},
    channels.im2col: {"x": X, **SIZES},
    channels.corr2d_multi_in: {"x": X[0], "kernel": ones(4, 3, 2)},
    channels.corr2d_multi_in_out: {"x": X[0], "weight": ones(8, 4, 3, 2)},
    windows.windows: {"x": X, **SIZES},
    pooling.max_pool2d: {**POOL, "dilation": 1},
    pooling.max_pool2d_loops: {**POOL, "dilation": 1},
    pooling.avg_pool2d: POOL,
    pooling.avg_pool2d_loops: POOL,
    pooling.lp_pool2d: {"x": X, "norm_type": 2.0, "kernel_size": 2, "stride": 1},
    normalization.normalize: {"x": X, "dims": (0, 2)},
    normalization.batch_norm: {"x": X, **RUNNING, **SCALE, "training": True},
    normalization.instance_norm: {"x": X, **RUNNING, **SCALE},
    normalization.group_norm: {"x": X, "num_groups": 2, **SCALE},
    normalization.layer_norm: {
        "x": X,
        "normalized_shape": (6, 7),
        "weight": ones(6, 7),
        "bias": ones(6, 7),
    },
    normalization.fold_batch_norm: {"conv": nn.Conv2d(4, 8, 3), "bn": nn.BatchNorm2d(8)},
    padding_stride.conv_output_size: {"size": 8, **SIZES},
    padding_stride.same_padding: {"kernel_size": 3, "dilation": 1},
    padding_stride.usage_count: {"size": 8, **SIZES},
    padding_stride.corr2d_strided: {**sides(2), **LAYER},
    layer_table.layer_table: {
        "model": nn.Sequential(nn.Conv2d(4, 8, 3)),
        "input_shape": (4, 6, 7),
    },
    locality.conv_matrix: {"kernel": ones(3, 2), "input_size": (6, 7), **LAYER},
    locality.locally_connected2d: {
        "x": X,
        "weight": ones(6, 8, 8, 4, 3, 2),
        "bias": ones(6, 8, 8),
        **LAYER,
    },
    receptive_field.measured_receptive_field: {
        "model": nn.Conv2d(4, 8, 3),
        "input_shape": (4, 6, 7),
        "draws": 1,
    },
    receptive_field.receptive_field: {"layers": [3, 3]},
    invariance.translate: {"x": X, "dy": 1, "dx": 1, "mode": "zeros"},
    invariance.equivariance_error: {"f": torch.relu, "x": X, "shift": (1, 1), "mode": "circular"},
    invariance.invariance_error: {"f": torch.relu, "x": X, "shift": (1, 1), "mode": "circular"},
    shift.shift_consistency: {
        "model": lambda x: x.sum((2, 3)),
        "images": X,
        "max_shift": 1,
        "mode": "zeros",
        "batch_size": 2,
    },
    pooling.blur_pool2d: {"x": X, "kernel_size": 3, "stride": 2},
    backprop.conv2d_backward: {"grad_output": ones(2, 8, 6, 8), **NO_BIAS},
    backprop.conv2d_backward_loops: {
        **NO_BIAS,
        "grad_output": ones(1, 8, 3, 4),
        "x": X[:1, :, :3, :3],
    },
    backprop.conv_transpose2d: {
        "x": X,
        "weight": ones(4, 8, 3, 2),
        "bias": ones(8),
        "stride": (2, 1),
    },
    backprop.corr1d_backward: {"grad_output": ones(4), **sides(1)},
    backprop.insert_zeros: {"x": X, "step": (2, 1)},
    backprop.max_pool2d_backward: {"grad_output": ones(2, 4, 7, 8), **POOL, "dilation": 1},
    backprop.avg_pool2d_backward: {"grad_output": ones(2, 4, 7, 8), **POOL},
    backprop.normalize_backward: {**GRADIENT, "dims": (0, 2)},
    backprop.batch_norm_backward: {**GRADIENT, "weight": ones(4)},
    backprop.instance_norm_backward: {**GRADIENT, "weight": ones(4)},
    backprop.group_norm_backward: {**GRADIENT, "num_groups": 2, "weight": ones(4)},
    backprop.layer_norm_backward: {
        **GRADIENT,
        "normalized_shape": (6, 7),
        "weight": ones(6, 7),
    },
    backprop.numeric_gradient: {"f": torch.sum, "x": ones(3, dtype=torch.float64), "step": 1e-5},
    backprop.relative_error: {"a": X, "b": X},
}
# They take what GOOD's functions have checked, or check it for them, or ask a module about itself.
NOT_OPERATORS = {
    # networks and their measurements; tests/package/test_shift.py and test_invariance.py test them
    invariance.permute_pixels,
    invariance.digit_reader,
    shift.on_canvas,
    shift.shift_curve,
    shift.shift_net,
    invariance.evaluation_copy,
    channels.conv_window,
    pooling.pool_window,
    pooling.takes_over,
    pooling.winners,
    pooling.avg_divisor,
    receptive_field.layer_window,
    receptive_field.named_layers,
}

# The tensor that the others must match in dtype and device, and the axes it may have.
FIRST = ("x", "images", "conv", "a")
ANY_RANK = {
    invariance.translate,
    invariance.equivariance_error,
    invariance.invariance_error,
    normalization.normalize,
    normalization.batch_norm,
    normalization.instance_norm,
    normalization.group_norm,
    normalization.layer_norm,
    backprop.batch_norm_backward,
    backprop.instance_norm_backward,
    backprop.group_norm_backward,
    backprop.layer_norm_backward,
    backprop.normalize_backward,
    backprop.insert_zeros,
}
# Integers: the smallest value allowed.
SMALLEST = {
    "size": 1,
    "input_size": 1,
    "kernel_size": 1,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "step": 1,
    "groups": 1,
    "num_groups": 1,
    "max_shift": 0,
    "batch_size": 1,
    "draws": 1,
}
ONE_NUMBER = {"groups", "num_groups", "max_shift", "batch_size", "draws"}

Case = tuple[Callable, dict[str, object], type[Exception], list[str]]


def bad_tensors(f: Callable, name: str, value: Tensor) -> Iterator[Case]:
    """Yield a non-tensor, wrong dtypes, a wrong rank and a wrong device."""
    yield f, {name: value.tolist()}, TypeError, [f"`{name}`", "list"]
    if f is not invariance.translate:  # it only moves numbers, so any dtype will do
        yield f, {name: value.long()}, TypeError, [f"`{name}`", "int64"]
        yield f, {name: value.to(torch.complex64)}, TypeError, [f"`{name}`", "complex64"]
    if name not in FIRST and len(GOOD[f]) > 1 and f is not locality.conv_matrix:
        yield f, {name: value.to(torch.float16)}, TypeError, [f"`{name}`", "float16", "float32"]
        yield f, {name: value.to("meta")}, ValueError, [f"`{name}`", "device", "meta", "cpu"]
    if f not in ANY_RANK or name not in FIRST:
        yield f, {name: value[None]}, ValueError, [f"`{name}`", str((1, *value.shape))]


def bad_integers(f: Callable, name: str, smallest: int) -> Iterator[Case]:
    """Yield a fraction, a truth value, a number below the range and a triple."""
    alone = name in ONE_NUMBER or (f is pooling.blur_pool2d and name == "kernel_size")
    wrap = (lambda v: (v, 1)) if name == "step" else (lambda v: v)
    yield f, {name: wrap(1.5)}, TypeError, [f"`{name}`", "integer", "1.5"]
    yield f, {name: wrap(True)}, TypeError, [f"`{name}`", "integer", "True"]
    yield f, {name: wrap(smallest - 1)}, ValueError, [f"`{name}`", f"{smallest}", f"{smallest - 1}"]
    yield f, {name: wrap(-3)}, ValueError, [f"`{name}`", "-3"]
    yield f, {name: (2, 2, 2)}, TypeError if alone else ValueError, [f"`{name}`", "(2, 2, 2)"]


def kinds_of_badness() -> Iterator[Case]:
    for f, arguments in GOOD.items():
        for name, value in arguments.items():
            # numeric_gradient's step is a real number, and its x has one dtype only: see SPECIAL.
            if f is backprop.numeric_gradient:
                continue
            if isinstance(value, Tensor):
                yield from bad_tensors(f, name, value)
            if name in SMALLEST:
                yield from bad_integers(f, name, SMALLEST[name])
            if name == "mode":
                yield f, {name: "edge"}, ValueError, ["`mode`", "'edge'"]


SPECIAL: list[Case] = [
    # channels, groups and bias
    *(
        case
        for f in (channels.conv2d, channels.conv2d_loops, backprop.conv2d_backward)
        for case in (
            (f, {"weight": ones(8, 3, 3, 2)}, ValueError, ["`weight`", "(8, 3, 3, 2)", "2 input"]),
            (f, {"weight": ones(8, 4, 3, 2)}, ValueError, ["`weight`", "groups"]),
            (f, {"weight": ones(7, 2, 3, 2)}, ValueError, ["`groups`", "7", "2"]),
            (f, {"weight": ones(0, 2, 3, 2)}, ValueError, ["`weight`", "0"]),
            (f, {"groups": 3}, ValueError, ["`groups`", "3"]),
            (f, {"groups": 16}, ValueError, ["`groups`", "16"]),
            (f, {"padding": "reflect"}, ValueError, ["`padding`", "'same'", "'reflect'"]),
            (f, {"padding": "same", "stride": (1, 2)}, ValueError, ["`stride`", "same", "(1, 2)"]),
            (f, {"padding": None}, TypeError, ["`padding`", "None"]),
            (f, {"stride": None}, TypeError, ["`stride`", "None"]),
            (f, {"weight": ones(8, 2, 9, 2)}, ValueError, ["kernel", "9"]),
            (f, {"dilation": 5}, ValueError, ["kernel", "11"]),
        )
    ),
    (backprop.conv_transpose2d, {"bias": ones(7)}, ValueError, ["`bias`", "(8,)", "(7,)"]),
    (
        backprop.conv_transpose2d,
        {"weight": ones(8, 4, 3, 2)},
        ValueError,
        ["`weight`", "4 channels", "(8, 4, 3, 2)"],
    ),
    (backprop.conv_transpose2d, {"x": X[:, :, :0]}, ValueError, ["`x`", "(2, 4, 0, 7)"]),
    (channels.conv2d, {"bias": ones(7)}, ValueError, ["`bias`", "(8,)", "(7,)"]),
    (channels.conv2d, {"x": X[0]}, ValueError, ["`x`", "n, c, h, w", "(4, 6, 7)"]),
    (channels.conv1x1, {"weight": ones(8, 4, 3, 3)}, ValueError, ["`weight`", "(8, 4, 3, 3)"]),
    (channels.conv1x1, {"weight": ones(8, 3)}, ValueError, ["`weight`", "(8, 3"]),
    (channels.im2col, {"kernel_size": 9}, ValueError, ["`kernel_size`", "9"]),
    (windows.windows, {"dilation": 4}, ValueError, ["`kernel_size`", "4", "9"]),
    (windows.windows, {"padding": "reflect"}, ValueError, ["`padding`", "'same'", "'reflect'"]),
    (channels.corr2d_multi_in, {"x": X[0, :3]}, ValueError, ["`kernel`", "3", "(4, 3, 2)"]),
    (channels.corr2d_multi_in_out, {"x": X[0, :3]}, ValueError, ["`weight`", "3", "(8, 4, 3, 2)"]),
    (padding_stride.corr2d_strided, {"kernel": ones(0, 2)}, ValueError, ["`kernel`", "(0, 2)"]),
    (padding_stride.corr2d_strided, {"dilation": 7}, ValueError, ["`kernel_size`", "8", "7"]),
    # windows that do not fit, padding beyond half a window
    *(
        case
        for f in (
            pooling.max_pool2d,
            pooling.max_pool2d_loops,
            pooling.avg_pool2d,
            pooling.avg_pool2d_loops,
            backprop.max_pool2d_backward,
            backprop.avg_pool2d_backward,
        )
        for case in (
            (f, {"padding": 2}, ValueError, ["`padding`", "half", "2"]),
            (f, {"padding": (0, 2)}, ValueError, ["`padding`", "half", "(0, 2)"]),
            (f, {"padding": "same"}, TypeError, ["`padding`", "'same'"]),
            (f, {"kernel_size": (9, 2)}, ValueError, ["`kernel_size`", "9"]),
            (f, {"x": X[0]}, ValueError, ["`x`", "n, c, h, w", "(4, 6, 7)"]),
        )
    ),
    (pooling.avg_pool2d, {"divisor_override": 0}, ValueError, ["`divisor_override`", "0"]),
    (pooling.avg_pool2d, {"divisor_override": 1.5}, TypeError, ["`divisor_override`", "1.5"]),
    (pooling.lp_pool2d, {"norm_type": 0}, ValueError, ["`norm_type`", "0"]),
    (pooling.lp_pool2d, {"norm_type": "inf"}, TypeError, ["`norm_type`", "'inf'"]),
    (pooling.lp_pool2d, {"kernel_size": 8}, ValueError, ["`kernel_size`", "8"]),
    (
        padding_stride.conv_output_size,
        {"kernel_size": 11},
        ValueError,
        ["`kernel_size`", "11", "10"],
    ),
    (padding_stride.usage_count, {"dilation": 5}, ValueError, ["`kernel_size`", "11", "10"]),
    (
        cross_correlation.corr2d,
        {"kernel": ones(2, 6)},
        ValueError,
        ["`kernel`", "(2, 6)", "(5, 5)"],
    ),
    (
        locality.conv_matrix,
        {"input_size": (1, 7), "padding": 0},
        ValueError,
        ["`kernel_size` (=3", "padded input of 1"],
    ),
    (locality.locally_connected2d, {"stride": 2}, ValueError, ["`weight`", "(3, 4, o, 4, kh, kw)"]),
    (pooling.blur_pool2d, {"kernel_size": 12}, ValueError, ["`kernel_size`", "12"]),
    # normalization: one value has no variance, and statistics need all their parts
    *(
        (f, {"x": ones(1, 4, 1, 1)} | more, ValueError, ["`x`", "more than one", "(1, 4, 1, 1)"])
        for f, more in (
            (normalization.batch_norm, {}),
            (normalization.instance_norm, {}),
            (normalization.group_norm, {"num_groups": 4}),
            (backprop.batch_norm_backward, {"grad_output": ones(1, 4, 1, 1)}),
            (backprop.instance_norm_backward, {"grad_output": ones(1, 4, 1, 1)}),
        )
    ),
    (normalization.batch_norm, {"x": ones(4)}, ValueError, ["`x`", "(4,)"]),
    (normalization.batch_norm, {"running_mean": None}, ValueError, ["`running_mean`", "None"]),
    (
        normalization.batch_norm,
        {"running_mean": None, "running_var": None, "training": False},
        ValueError,
        ["`running_mean`", "training", "None"],
    ),
    (normalization.batch_norm, {"eps": 0.0}, ValueError, ["`eps`", "0.0"]),
    *(
        (f, {"weight": ones(3)}, ValueError, ["`weight`", "(4,)", "(3,)"])
        for f in (
            normalization.batch_norm,
            normalization.instance_norm,
            normalization.group_norm,
            backprop.batch_norm_backward,
            backprop.instance_norm_backward,
            backprop.group_norm_backward,
        )
    ),
    *(
        (f, bad, ValueError, words)
        for f in (normalization.layer_norm, backprop.layer_norm_backward)
        for bad, words in (
            ({"normalized_shape": (7, 6)}, ["`normalized_shape`", "(7, 6)"]),
            ({"normalized_shape": ()}, ["`normalized_shape`", "()"]),
            ({"weight": ones(7, 6)}, ["`weight`", "(6, 7)", "(7, 6)"]),
        )
    ),
    (normalization.group_norm, {"num_groups": 3}, ValueError, ["`num_groups`", "4", "3"]),
    (backprop.group_norm_backward, {"num_groups": 8}, ValueError, ["`num_groups`", "8"]),
    *(
        (f, {"dims": dims}, ValueError, ["`dims`", str(dims)])
        for f in (normalization.normalize, backprop.normalize_backward)
        for dims in ((4,), (0, -4), ())
    ),
    (
        normalization.fold_batch_norm,
        {"bn": nn.BatchNorm2d(8, track_running_stats=False)},
        ValueError,
        ["`bn`", "running"],
    ),
    (normalization.fold_batch_norm, {"bn": nn.BatchNorm2d(4)}, ValueError, ["`bn`", "8", "4"]),
    (normalization.fold_batch_norm, {"conv": nn.Linear(4, 8)}, TypeError, ["`conv`", "Linear"]),
    # the gradient that comes in must have the shape of what went out
    (
        backprop.conv2d_backward,
        {"stride": 2},
        ValueError,
        ["`grad_output`", "(2, 8, 3, 4)", "(2, 8, 6, 8)"],
    ),
    (
        backprop.max_pool2d_backward,
        {"stride": None},
        ValueError,
        ["`grad_output`", "(2, 4, 4, 4)", "(2, 4, 7, 8)"],
    ),
    (backprop.numeric_gradient, {"x": ones(3)}, TypeError, ["`x`", "float64", "float32"]),
    (backprop.numeric_gradient, {"x": [1.0]}, TypeError, ["`x`", "list"]),
    (backprop.numeric_gradient, {"step": -1e-5}, ValueError, ["`step`", "-1e-05"]),
    (backprop.numeric_gradient, {"f": torch.sin}, ValueError, ["`grad_output`", "(3,)", "None"]),
    # models and stacks
    (layer_table.layer_table, {"model": nn.ReLU()}, TypeError, ["`model`", "ReLU"]),
    (layer_table.layer_table, {"input_shape": ()}, ValueError, ["`input_shape`", "()"]),
    (receptive_field.receptive_field, {"layers": [(3, 0)]}, ValueError, ["`stride`", "0"]),
    (
        receptive_field.receptive_field,
        {"layers": [nn.Flatten()]},
        TypeError,
        ["`layers[0]`", "Flatten"],
    ),
    (
        receptive_field.measured_receptive_field,
        {"position": (4, 0)},
        ValueError,
        ["`position`", "(4, 5)", "(4, 0)"],
    ),
    (
        receptive_field.measured_receptive_field,
        {"model": torch.relu},
        TypeError,
        ["`model`", "builtin"],
    ),
    (invariance.translate, {"dy": 0.5}, TypeError, ["`dy`", "0.5"]),
    (invariance.equivariance_error, {"shift": 1}, ValueError, ["`shift`", "1"]),
    (invariance.invariance_error, {"shift": 1}, ValueError, ["`shift`", "1"]),
    (shift.shift_consistency, {"images": X[:0]}, ValueError, ["`images`", "(0, 4, 6, 7)"]),
]
CASES = [*kinds_of_badness(), *SPECIAL]


def show(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{value.device}-{str(value.dtype)[6:]}-{'x'.join(map(str, value.shape))}"
    return repr(value)[:30]


def name_of(case: Case) -> str:
    f, bad, _, _ = case
    return f"{f.__name__}-" + "-".join(f"{name}={show(value)}" for name, value in bad.items())


@pytest.mark.parametrize("f", GOOD, ids=lambda f: f.__name__)
def test_good_call_is_accepted(f):
    f(**GOOD[f])


def pairs_of(f: Callable) -> dict[str, tuple]:
    """Write every size of a good call that may be a pair as one."""
    alone = ONE_NUMBER | ({"kernel_size"} if f is pooling.blur_pool2d else set())
    return {
        name: value if isinstance(value, tuple) else (value, value)
        for name, value in GOOD[f].items()
        if isinstance(value, (int, tuple)) and name in {*SMALLEST, "shift"} - alone
    }


# The annotations are checked in every test, so they too must allow a list.
@pytest.mark.parametrize("f", [f for f in GOOD if pairs_of(f)], ids=lambda f: f.__name__)
def test_pair_may_be_a_list(f):
    pairs = pairs_of(f)
    lists = {name: list(pair) for name, pair in pairs.items()}
    torch.testing.assert_close(f(**GOOD[f] | lists), f(**GOOD[f] | pairs), rtol=0, atol=0)


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_bad_call_names_the_argument_and_the_value(case):
    f, bad, error, words = case
    with pytest.raises((ValueError, TypeError)) as caught:
        f(**GOOD[f] | bad)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)


def test_table_holds_every_public_function():
    public = {
        f
        for module in MODULES
        for name, f in vars(module).items()
        if inspect.isfunction(f)
        and f"{f.__module__}.".startswith(f"{module.__name__}.")
        and not name.startswith("_")
    }
    assert public == set(GOOD) | NOT_OPERATORS
    assert len(CASES) >= 60
