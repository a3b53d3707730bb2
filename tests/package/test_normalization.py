"""The four normalizations against torch, against their moments, and folded into a convolution."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cnncourse.normalization import (
    BatchNorm2d,
    batch_norm,
    fold_batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    normalize,
)
from tests.package.compare import FORWARD, assert_same_as_torch, random_tensor, relative_error

DOUBLE, SINGLE = torch.float64, torch.float32
SHAPES = [(4, 6, 5, 3), (1, 4, 2, 7), (3, 1, 4, 5), (5, 6)]
IMAGES = SHAPES[:3]


def parameters(c: int, dtype: torch.dtype = DOUBLE) -> tuple[Tensor, Tensor]:
    return random_tensor(c, dtype=dtype, seed=5), random_tensor(c, dtype=dtype, seed=6)


def statistics(c: int, dtype: torch.dtype = DOUBLE) -> tuple[Tensor, Tensor]:
    mean, var = (t.detach() for t in parameters(c, dtype))
    return mean, var.abs() + 0.5


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("momentum", [0.1, 0.7])
def test_batch_norm_equals_torch(shape, dtype, affine, training, momentum):
    c = shape[1]
    ours, theirs = statistics(c, dtype), statistics(c, dtype)
    options = {"training": training, "momentum": momentum, "eps": 1e-3}
    inputs = [3 * random_tensor(*shape, dtype=dtype) + 1, *parameters(c, dtype)]
    assert_same_as_torch(
        lambda x, *affine: batch_norm(x, *ours, *affine, **options),
        lambda x, *affine: F.batch_norm(x, *theirs, *affine, **options),
        *inputs[: 3 if affine else 1],
    )
    for our, their, before in zip(ours, theirs, statistics(c, dtype), strict=True):
        assert relative_error(our, their) <= FORWARD[dtype]
        assert torch.equal(our, before) is not training


@pytest.mark.parametrize("shape", IMAGES)
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("use_input_stats", [True, False])
def test_instance_norm_equals_torch(shape, dtype, affine, tracked, use_input_stats):
    c, tracked = shape[1], tracked or not use_input_stats
    ours, theirs = (statistics(c, dtype) if tracked else (None, None) for _ in range(2))
    inputs = [3 * random_tensor(*shape, dtype=dtype) + 1, *parameters(c, dtype)]

    def bind(function, running):
        return lambda x, weight=None, bias=None: function(
            x, *running, weight, bias, use_input_stats, 0.3, 1e-3
        )

    count = 3 if affine else 1
    assert_same_as_torch(bind(instance_norm, ours), bind(F.instance_norm, theirs), *inputs[:count])
    for our, their in zip(ours, theirs, strict=True) if tracked else ():
        assert relative_error(our, their) <= FORWARD[dtype]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm_equals_torch(shape, axes, dtype, affine):
    last = shape[-axes:]
    weight, bias = (random_tensor(*last, dtype=dtype, seed=seed) for seed in (5, 6))
    inputs = (random_tensor(*shape, dtype=dtype), weight, bias)
    assert_same_as_torch(
        lambda x, *affine: layer_norm(x, last, *affine, eps=1e-3),
        lambda x, *affine: F.layer_norm(x, last, *affine, eps=1e-3),
        *inputs[: 3 if affine else 1],
    )


def test_layer_norm_takes_one_size_as_a_number():
    x = random_tensor(3, 4)
    assert torch.equal(layer_norm(x, 4), layer_norm(x, (4,)))


@pytest.mark.parametrize(
    ("shape", "groups"),
    [
        *[(shape, shape[1]) for shape in IMAGES],
        *[(shape, 1) for shape in SHAPES],
        *[(SHAPES[0], 2), (SHAPES[0], 3), (SHAPES[1], 2), (SHAPES[3], 2), (SHAPES[3], 3)],
    ],
)
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("affine", [True, False])
def test_group_norm_equals_torch(shape, groups, dtype, affine):
    c = shape[1]
    inputs = (random_tensor(*shape, dtype=dtype), *parameters(c, dtype))
    assert_same_as_torch(
        lambda x, *affine: group_norm(x, groups, *affine, eps=1e-3),
        lambda x, *affine: F.group_norm(x, groups, *affine, eps=1e-3),
        *inputs[: 3 if affine else 1],
    )


def test_group_norm_of_one_value_per_group_is_zero():
    x = random_tensor(5, 6)
    assert group_norm(x, 6).eq(0).all()
    assert F.group_norm(x, 6).abs().max() < 1e-12  # torch leaves a rounding error


def test_group_norm_spans_instance_and_layer_norm():
    x = random_tensor(2, 6, 3, 4)
    assert relative_error(group_norm(x, 6), instance_norm(x)) <= FORWARD[DOUBLE]
    assert relative_error(group_norm(x, 1), layer_norm(x, (6, 3, 4))) <= FORWARD[DOUBLE]


def test_each_norm_is_normalize_over_its_own_axes():
    x = 3 * random_tensor(4, 6, 5, 3) + 1
    assert_same_as_torch(lambda x: batch_norm(x, None, None, training=True), over((0, 2, 3)), x)
    assert_same_as_torch(instance_norm, over((2, 3)), x)
    assert_same_as_torch(lambda x: layer_norm(x, (6, 5, 3)), over((1, 2, 3)), x)
    grouped = x.detach().unflatten(1, (2, 3)).requires_grad_()
    assert_same_as_torch(
        lambda x: group_norm(x.flatten(1, 2), 2).unflatten(1, (2, 3)), over((2, 3, 4)), grouped
    )


def over(dims):
    return lambda x: normalize(x, dims)


def test_batch_norm_of_two_values_by_hand():
    # Mean 2; the biased variance 1 normalizes, the unbiased one, 2, is remembered.
    x = torch.tensor([[1.0], [3.0]], dtype=DOUBLE)
    mean, var = torch.zeros(1, dtype=DOUBLE), torch.ones(1, dtype=DOUBLE)
    y = batch_norm(x, mean, var, training=True, momentum=0.5, eps=3.0)
    assert y.flatten().tolist() == [-0.5, 0.5]
    assert (mean.item(), var.item()) == (1.0, 1.5)


NORMS = {
    "batch": lambda x, w, b: batch_norm(x, None, None, w, b, training=True),
    "batch_eval": lambda x, w, b: batch_norm(x, *statistics(x.shape[1]), w, b),
    "instance": lambda x, w, b: instance_norm(x, None, None, w, b),
    "layer": lambda x, w, b: layer_norm(x.transpose(1, 3), w.shape, w, b),
    "group": lambda x, w, b: group_norm(x, 2, w, b),
}


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_norm_passes_gradcheck(norm):
    assert torch.autograd.gradcheck(norm, (random_tensor(2, 4, 2, 3), *parameters(4)))


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_norm_leaves_its_arguments_alone(norm):
    inputs = [t.detach() for t in (random_tensor(2, 4, 2, 3), *parameters(4))]
    before = [t.clone() for t in inputs]
    norm(*inputs)
    assert all(torch.equal(t, b) for t, b in zip(inputs, before, strict=True))


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_norm_of_an_empty_batch_is_empty(norm):
    inputs = [t.detach() for t in (random_tensor(0, 4, 2, 3), *parameters(4))]
    assert norm(*inputs).numel() == 0


def test_batch_norm_of_an_empty_batch_leaves_the_running_statistics_alone():
    mean, var = statistics(2)
    y = batch_norm(torch.zeros(0, 2, 3, 3, dtype=DOUBLE), mean, var, training=True)
    assert y.shape == (0, 2, 3, 3)
    assert all(torch.equal(t, b) for t, b in zip((mean, var), statistics(2), strict=True))


@settings(max_examples=30, deadline=None)
@given(
    dims=st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True).map(tuple),
    scale=st.floats(0.1, 100),
    shift=st.floats(-10, 10),
    seed=st.integers(0, 10_000),
)
def test_normalize_gives_mean_0_and_variance_1_up_to_eps(dims, scale, shift, seed):
    x = scale * random_tensor(3, 4, 2, 5, seed=seed).detach() + shift
    y, eps = normalize(x, dims, eps=1e-3), 1e-3
    var = x.var(dims, correction=0, keepdim=True)
    # The mean is subtracted at size 10 to 100 and divided by a deviation that may be 0.03.
    assert y.mean(dims).abs().max() < 1e-11
    expected = (var / (var + eps)).squeeze(dims)
    assert (y.var(dims, correction=0) - expected).abs().max() < 1e-11


@settings(max_examples=30, deadline=None)
@given(factor=st.floats(0.1, 10), seed=st.integers(0, 10_000))
def test_layer_norm_forgets_a_positive_factor(factor, seed):
    x = random_tensor(3, 8, seed=seed).detach()
    # Only eps can tell the difference, and it is 0 here.
    assert (layer_norm(factor * x, 8, eps=0) - layer_norm(x, 8, eps=0)).abs().max() < 1e-12
    assert (layer_norm(-factor * x, 8, eps=0) + layer_norm(x, 8, eps=0)).abs().max() < 1e-12


MODULES = [
    {},
    {"momentum": None},
    {"momentum": 0.3, "eps": 1e-2},
    {"affine": False},
    {"track_running_stats": False},
    {"affine": False, "track_running_stats": False, "momentum": None},
]


@pytest.mark.parametrize("options", MODULES, ids=str)
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_batch_norm_module_follows_torch_through_training_and_test(options, dtype):
    ours, theirs = (m(3, **options).to(dtype) for m in (BatchNorm2d, nn.BatchNorm2d))
    for seed in (11, 12, 13):  # never the seed of the upstream gradient: along x itself it is 0
        x = random_tensor(4, 3, 5, 2, dtype=dtype, seed=seed) * 2 + 1
        assert_same_as_torch(ours, theirs, x)
    for (name, our), (their_name, their) in zip(
        ours.state_dict().items(), theirs.state_dict().items(), strict=True
    ):
        assert name == their_name
        assert relative_error(our, their) <= FORWARD[dtype]
    assert_same_as_torch(ours.eval(), theirs.eval(), x)
    before = copy.deepcopy(ours.state_dict())
    ours(x)
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items())


@pytest.mark.parametrize("options", MODULES, ids=str)
def test_batch_norm_module_exchanges_its_state_with_torch(options):
    theirs, ours = nn.BatchNorm2d(3, **options), BatchNorm2d(3, **options)
    theirs(random_tensor(4, 3, 5, 2, dtype=SINGLE))
    ours.load_state_dict(theirs.state_dict())
    nn.BatchNorm2d(3, **options).load_state_dict(ours.state_dict())
    x = random_tensor(2, 3, 4, 4, dtype=SINGLE, seed=9)
    assert_same_as_torch(ours.eval(), theirs.eval(), x)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


def trained(bn: nn.Module) -> nn.Module:
    """Give a normalization statistics and parameters that differ from 0 and 1."""
    c = bn.num_features
    with torch.no_grad():
        for own, value in zip((bn.running_mean, bn.running_var), statistics(c), strict=True):
            own.copy_(value)
        for own, value in zip((bn.weight, bn.bias), parameters(c), strict=True):
            if own is not None:
                own.copy_(value)
    return bn.eval()


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from([BatchNorm2d, nn.BatchNorm2d]),
    bias=st.booleans(),
    affine=st.booleans(),
    groups=st.sampled_from([1, 2, 4]),
    padding=st.sampled_from([0, (1, 2), "same"]),
    padding_mode=st.sampled_from(["zeros", "reflect"]),
    dtype=st.sampled_from([SINGLE, DOUBLE]),
)
def test_fold_batch_norm_equals_convolution_and_normalization(
    kind, bias, affine, groups, padding, padding_mode, dtype
):
    conv = nn.Conv2d(
        4, 8, (3, 1), padding=padding, groups=groups, bias=bias, padding_mode=padding_mode
    ).to(dtype)
    bn = trained(kind(8, affine=affine).to(dtype))
    before = copy.deepcopy([conv.state_dict(), bn.state_dict()])
    folded = fold_batch_norm(conv, bn)
    x = random_tensor(2, 4, 6, 5, dtype=dtype)
    assert type(folded) is nn.Conv2d
    assert relative_error(folded(x), bn(conv(x))) <= FORWARD[dtype]
    for state, module in zip(before, (conv, bn), strict=True):
        assert state.keys() == module.state_dict().keys()
        assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())


X, C = torch.zeros(2, 4, 3, 5), torch.zeros(4)
NONE = (None, None)
BAD_CALLS = [
    (
        batch_norm,
        (C, C, C),
        {},
        ValueError,
        r"`x` must have at least 2 dimensions \(n, c, \.\.\.\), got shape \(4,\)",
    ),
    (batch_norm, (X.long(), C, C), {}, TypeError, "`x` must have a floating-point dtype"),
    (batch_norm, ([1.0], C, C), {}, TypeError, "`x` must be a torch.Tensor, got list"),
    (batch_norm, (X, *NONE), {}, ValueError, "must be tensors when `training` is False, got None"),
    (batch_norm, (X, C, None), {}, ValueError, "`running_mean` and `running_var` must be both"),
    (
        batch_norm,
        (X, C[:3], C),
        {},
        ValueError,
        r"`running_mean` must have shape \(4,\), got \(3,\)",
    ),
    (batch_norm, (X, C, C, C[:2]), {}, ValueError, r"`weight` must have shape \(4,\), got \(2,\)"),
    (batch_norm, (X, C, C, X), {}, ValueError, r"`weight` must have shape \(4,\), got \(2, 4,"),
    (
        batch_norm,
        (X, C, C.double()),
        {},
        TypeError,
        "`running_var` and `x` must have the same dtype",
    ),
    (
        batch_norm,
        (X[:1, :, :1, :1], C, C),
        {"training": True},
        ValueError,
        "`x` must have more than",
    ),
    (batch_norm, (X, C, C), {"training": True, "eps": 0}, ValueError, "`eps` must be more than 0"),
    (instance_norm, (X[:, :, :1, :1],), {}, ValueError, "`x` must have more than one value per"),
    (instance_norm, (X[:, :, 0, 0],), {}, ValueError, "`x` must have more than one value per"),
    (instance_norm, (X, C), {}, ValueError, "`running_mean` and `running_var` must be both"),
    (
        instance_norm,
        (X,),
        {"use_input_stats": False},
        ValueError,
        "when `use_input_stats` is False",
    ),
    (layer_norm, (X, (3, 4)), {}, ValueError, r"`normalized_shape` must be .* got \(3, 4\)"),
    (layer_norm, (X, ()), {}, ValueError, r"`normalized_shape` must be the last sizes .* got \(\)"),
    (layer_norm, (X, (9, 2, 4, 3, 5)), {}, ValueError, "`normalized_shape` must be the last sizes"),
    (layer_norm, (X, 5, C), {}, ValueError, r"`weight` must have shape \(5,\), got \(4,\)"),
    (group_norm, (X, 3), {}, ValueError, "`num_groups` must divide the 4 channels of `x`, got 3"),
    (group_norm, (X, 0), {}, ValueError, "`num_groups` must be at least 1, got 0"),
    (group_norm, (X, 2.0), {}, TypeError, "`num_groups` must be an integer, got 2.0"),
    (
        group_norm,
        (X[:1, :, 0, 0], 4),
        {},
        ValueError,
        "`x` must have more than one value per group",
    ),
    (group_norm, (C, 1), {}, ValueError, "`x` must have at least 2 dimensions"),
    (normalize, (X, ()), {}, ValueError, r"`dims` must be one or more .* -4 to 3, got \(\)"),
    (normalize, (X, (1, 4)), {}, ValueError, r"`dims` must be .* got \(1, 4\)"),
    (normalize, (X, [1, -3]), {}, ValueError, r"`dims` must be .* got \(1, -3\)"),
    (normalize, (X.long(), (1,)), {}, TypeError, "`x` must have a floating-point dtype"),
    (layer_norm, (X, 5.5), {}, ValueError, "`normalized_shape` must be .* got 5.5"),
    (BatchNorm2d, (0,), {}, ValueError, "`num_features` must be at least 1, got 0"),
    (BatchNorm2d(4), (X[0],), {}, ValueError, r"`x` must have 4 dimensions \(n, c, h, w\)"),
    (BatchNorm2d(3), (X,), {}, ValueError, r"`x` must have 3 channels, got shape \(2, 4, 3, 5\)"),
    (BatchNorm2d(4), (X[:1, :, :1, :1],), {}, ValueError, "`x` must have more than one value per"),
    (fold_batch_norm, (nn.Linear(2, 2), BatchNorm2d(2)), {}, TypeError, "`conv` .* got Linear"),
    (
        fold_batch_norm,
        (nn.Conv2d(1, 2, 1), nn.BatchNorm1d(2)),
        {},
        TypeError,
        "`bn` .* BatchNorm1d",
    ),
    (
        fold_batch_norm,
        (nn.Conv2d(1, 2, 1), BatchNorm2d(3)),
        {},
        ValueError,
        "the 2 channels .* got 3",
    ),
    (
        fold_batch_norm,
        (nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)),
        {},
        ValueError,
        "`bn` must have running statistics",
    ),
    (
        fold_batch_norm,
        (nn.Conv2d(1, 2, 1), BatchNorm2d(2).double()),
        {},
        TypeError,
        "must have the same dtype",
    ),
]


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(("function", "args", "options", "error", "words"), BAD_CALLS)
def test_normalization_names_the_bad_argument(function, args, options, error, words):
    with pytest.raises(error, match=words):
        function(*args, **options)
