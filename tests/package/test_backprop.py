"""Every backward pass against autograd, against measured slopes, and against its algebra."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cnncourse import backprop, pooling
from cnncourse.channels import conv2d
from cnncourse.cross_correlation import convolve2d, corr2d
from cnncourse.pooling import max_pool2d
from cnncourse.windows import Window
from tests.package import compare
from tests.package.compare import BACKWARD, random_tensor

DTYPES = (torch.float64, torch.float32)


def images(*shape: int, dtype: torch.dtype = torch.float64, levels: int | None = None) -> Tensor:
    """Draw images; with ``levels``, from so few whole numbers that pooling windows hold ties."""
    x = random_tensor(*shape, dtype=dtype).detach()
    x = x if levels is None else (x * 2).round().clamp(0, levels)
    return x.requires_grad_()


def assert_gradients_equal(ours: tuple, output: Tensor, inputs: tuple, upstream: Tensor) -> None:
    """Compare a tuple of gradients with those that autograd finds through torch's own operator."""
    theirs = torch.autograd.grad(output, inputs, upstream)
    for actual, expected in zip(ours, theirs, strict=True):
        assert compare.relative_error(actual, expected) <= BACKWARD[expected.dtype]


def upstream_of(output: Tensor) -> Tensor:
    return random_tensor(*output.shape, dtype=output.dtype, seed=1).detach()


# --- convolution ----------------------------------------------------------------------------------

# (n, c, h, w), (o, kh, kw), stride, padding, dilation, groups: 4 is "one group a channel". With
# stride (2, 3) most of these sizes leave rows or columns over.
CONVOLUTIONS = [
    ((2, 4, 11, 14), (8, 3, 2), *options)
    for options in product([(1, 1), (2, 3)], [(0, 0), (2, 1)], [(1, 1), (2, 1), (3, 2)], [1, 2, 4])
] + [
    ((1, 1, 5, 7), (1, 1, 1), 1, 0, 1, 1),
    ((1, 1, 5, 7), (1, 5, 7), 1, 0, 1, 1),
    ((3, 1, 8, 6), (2, 2, 3), 3, 0, 1, 1),
    ((1, 2, 4, 3), (3, 2, 2), 5, 1, 1, 1),
    ((1, 3, 6, 9), (6, 1, 4), (1, 2), (0, 3), (1, 2), 3),
    ((2, 2, 7, 5), (2, 4, 2), 1, "same", 1, 1),
    ((2, 2, 7, 9), (4, 2, 4), 1, "same", (3, 1), 2),
    ((2, 2, 7, 5), (2, 3, 2), 2, "valid", 1, 1),
]
same_pads_a_copy = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def convolution(case: tuple, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, tuple]:
    shape, (o, kh, kw), *layer = case
    x, weight = images(*shape, dtype=dtype), images(o, shape[1] // layer[-1], kh, kw, dtype=dtype)
    return x, weight, tuple(layer)


@same_pads_a_copy
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_conv2d_backward_equals_autograd(case, dtype):
    x, weight, layer = convolution(case, dtype)
    bias = images(len(weight), dtype=dtype)
    y = F.conv2d(x, weight, bias, *layer)
    upstream = upstream_of(y)
    ours = backprop.conv2d_backward(upstream, x.detach(), weight.detach(), *layer)
    assert_gradients_equal(ours, y, (x, weight, bias), upstream)


@same_pads_a_copy
@pytest.mark.parametrize("case", CONVOLUTIONS[:-8:5] + CONVOLUTIONS[-8:], ids=str)
def test_conv2d_backward_loops_equals_autograd(case):
    x, weight, layer = convolution(case)
    bias = images(len(weight))
    y = F.conv2d(x, weight, bias, *layer)
    upstream = upstream_of(y)
    ours = backprop.conv2d_backward_loops(upstream, x.detach(), weight.detach(), *layer)
    assert_gradients_equal(ours, y, (x, weight, bias), upstream)


def test_conv2d_backward_of_the_hand_worked_example():
    # x = 0..8 and kernel = 0..3 give 19 25 / 37 43; let the loss be 1, 10, 100, 1000 times these.
    x, weight = torch.arange(9.0).reshape(1, 1, 3, 3), torch.arange(4.0).reshape(1, 1, 2, 2)
    upstream = torch.tensor([1.0, 10.0, 100.0, 1000.0]).reshape(1, 1, 2, 2)
    for backward in (backprop.conv2d_backward, backprop.conv2d_backward_loops):
        grad_x, grad_weight, grad_bias = backward(upstream, x, weight)
        # first weight: 1*0 + 10*1 + 100*3 + 1000*4
        assert grad_weight.flatten().tolist() == [4310, 5421, 7643, 8754]
        # centre: output 0 saw it through weight 3, 1 through 2, 2 through 1, 3 through 0
        assert grad_x[0, 0].tolist() == [[0, 1, 10], [2, 123, 1030], [200, 2300, 3000]]
        assert grad_bias.tolist() == [1111]


@pytest.mark.parametrize("backward", [backprop.conv2d_backward, backprop.conv2d_backward_loops])
def test_conv2d_backward_leftover_rows_get_exactly_zero(backward):
    # (9 - 3) // 4 = 1 leaves 9 - 7 = 2 rows; (10 - 2) // 3 = 2 leaves 10 - 8 = 2 columns.
    x, weight = images(2, 3, 9, 10).detach(), images(4, 3, 3, 2).detach()
    grad_x, _, _ = backward(images(2, 4, 2, 3).detach(), x, weight, stride=(4, 3))
    assert (grad_x[:, :, 7:] == 0).all()
    assert (grad_x[:, :, :, 8:] == 0).all()
    assert (grad_x[:, :, 6] != 0).any()
    assert (grad_x[:, :, :, 7] != 0).any()


def test_conv2d_backward_shared_weight_gets_the_sum_of_its_uses():
    # Untie the weights: give each output pixel its own kernel, then add up their gradients.
    x, weight = images(2, 3, 6, 7).detach(), images(4, 3, 3, 2).detach()
    upstream = images(2, 4, 4, 6).detach()
    windows = F.unfold(x, (3, 2)).unflatten(1, (3, 3, 2))  # n c kh kw position
    per_use = torch.einsum("nop,ncuvp->pnocuv", upstream.flatten(2), windows)
    _, grad_weight, _ = backprop.conv2d_backward(upstream, x, weight)
    assert compare.relative_error(grad_weight, per_use.sum((0, 1))) <= 1e-14  # one rounding a term


def test_conv2d_backward_can_itself_be_differentiated():
    upstream, x, weight = images(1, 4, 4, 2), images(1, 4, 6, 4), images(4, 2, 2, 3)
    layer = (2, 1, 1, 2)
    assert torch.autograd.gradcheck(
        lambda *inputs: backprop.conv2d_backward(*inputs, *layer)[:2], (upstream, x, weight)
    )


@st.composite
def convolutions(draw):
    """Draw a layer and two images of every size that fits, leftover rows and all."""
    groups, c, o = draw(st.sampled_from([(1, 3, 2), (2, 2, 4), (3, 3, 3)]))
    sides = [draw(st.tuples(*[st.integers(1, 3)] * 3)) for _ in "hw"]  # kernel, stride, dilation
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    h, w = (d * (k - 1) + 1 + draw(st.integers(0, 4)) for k, _, d in sides)
    (kh, sh, dh), (kw, sw, dw) = sides
    x, weight = images(2, c, h, w).detach(), images(o, c // groups, kh, kw).detach()
    return x, weight, ((sh, sw), padding, (dh, dw), groups)


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_conv2d_backward_is_the_adjoint_of_conv2d(case):
    # <conv(x, w), g> is one number; the gradients must give it back through x and through w.
    x, weight, layer = case
    y = conv2d(x, weight, None, *layer)
    g = upstream_of(y)
    grad_x, grad_weight, grad_bias = backprop.conv2d_backward(g, x, weight, *layer)
    size = y.norm() * g.norm()  # the two sides differ by the rounding of sums of that size
    for given_back in ((x * grad_x).sum(), (weight * grad_weight).sum()):
        assert abs((y * g).sum() - given_back) <= 1e-12 * size
    assert grad_bias.sum().item() == pytest.approx(g.sum().item(), abs=1e-11)


@settings(max_examples=40, deadline=None)
@given(convolutions(), st.floats(-4, 4), st.floats(-4, 4))
def test_conv2d_backward_is_linear_in_grad_output(case, a, b):
    x, weight, layer = case
    g = upstream_of(conv2d(x, weight, None, *layer))
    gradients = [
        backprop.conv2d_backward(t, x, weight, *layer)
        for t in (g, g.flip(0), a * g + b * g.flip(0))
    ]
    for first, second, both in zip(*gradients, strict=True):
        torch.testing.assert_close(a * first + b * second, both, rtol=1e-11, atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(convolutions())
def test_conv2d_backward_two_forms_agree(case):
    x, weight, layer = case
    g = upstream_of(conv2d(x, weight, None, *layer))
    clear = backprop.conv2d_backward_loops(g, x, weight, *layer)
    fast = backprop.conv2d_backward(g, x, weight, *layer)
    for a, b in zip(clear, fast, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), [((1, 1), 0, (1, 1)), ((2, 3), (2, 1), (3, 2))], ids=str
)
def test_conv2d_backward_is_a_correlation_and_a_convolution(stride, padding, dilation):
    """Of one channel, with zeros put in by the stride and the dilation, and around the image."""
    x, weight = images(1, 1, 11, 14).detach(), images(1, 1, 3, 2).detach()
    g = upstream_of(F.conv2d(x, weight, None, stride, padding, dilation))
    grad_x, grad_weight, _ = backprop.conv2d_backward(g, x, weight, stride, padding, dilation)
    delta = backprop.insert_zeros(g[0, 0], stride)
    window = Window.read((3, 2), stride, padding, dilation)
    padded = window.pad(x[0, 0])
    # Leftover rows leave room for more offsets than the kernel has weights.
    offsets = corr2d(padded, delta)[:: dilation[0], :: dilation[1]][:3, :2]
    assert compare.relative_error(grad_weight[0, 0], offsets) <= BACKWARD[torch.float64]
    spread = convolve2d(delta, backprop.insert_zeros(weight[0, 0], dilation))
    reached = F.pad(spread, (0, padded.shape[1] - spread.shape[1], 0, len(padded) - len(spread)))
    assert compare.relative_error(grad_x[0, 0], window.crop(reached)) <= BACKWARD[torch.float64]


@pytest.mark.parametrize("stride", [1, 2, (3, 1), (2, 5)], ids=str)
def test_conv_transpose2d_equals_torch_and_its_gradients(stride):
    x, weight, bias = images(2, 3, 4, 5), images(3, 2, 3, 2), images(2)
    compare.assert_same_as_torch(
        lambda x, weight, bias: backprop.conv_transpose2d(x, weight, bias, stride),
        lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, stride),
        *(x, weight, bias),
    )


@pytest.mark.parametrize(("h", "w"), [(7, 6), (8, 7)], ids=str)
def test_conv_transpose2d_is_the_gradient_up_to_the_rows_left_over(h, w):
    """With kernel (3, 2) and stride (2, 2) a row of 8 and a column of 7 are left over."""
    x, weight = images(2, 3, h, w).detach(), images(4, 3, 3, 2).detach()
    delta = upstream_of(F.conv2d(x, weight, stride=2))
    grad_x = backprop.conv2d_backward(delta, x, weight, stride=2)[0]
    painted = backprop.conv_transpose2d(delta, weight, stride=2)
    assert painted.shape[2:] == (7, 6)
    torch.testing.assert_close(grad_x, F.pad(painted, (0, w - 6, 0, h - 7)))


def test_corr1d_backward_of_a_hand_worked_example():
    # delta = 1, 10, 100 over x = 2, 3, 5, 7 and w = 4, 6.
    delta = torch.tensor([1.0, 10.0, 100.0])
    x, kernel = torch.tensor([2.0, 3.0, 5.0, 7.0]), torch.tensor([4.0, 6.0])
    grad_x, grad_kernel = backprop.corr1d_backward(delta, x, kernel)
    assert grad_kernel.tolist() == [1 * 2 + 10 * 3 + 100 * 5, 1 * 3 + 10 * 5 + 100 * 7]
    assert grad_x.tolist() == [1 * 4, 1 * 6 + 10 * 4, 10 * 6 + 100 * 4, 100 * 6]


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 5), (9, 1), (9, 4), (7, 2)])
def test_corr1d_backward_equals_autograd(n, k):
    x, kernel = images(n), images(k)
    y = F.conv1d(x[None, None], kernel[None, None])[0, 0]
    upstream = upstream_of(y)
    ours = backprop.corr1d_backward(upstream, x.detach(), kernel.detach())
    assert_gradients_equal(ours, y, (x, kernel), upstream)


def test_insert_zeros_keeps_every_value_and_adds_only_zeros():
    x = images(2, 3, 4).detach()
    y = backprop.insert_zeros(x, (3, 2))
    assert y.shape == (2, 7, 7)
    assert torch.equal(y[:, ::3, ::2], x)
    assert y.count_nonzero() == x.count_nonzero()


# --- pooling --------------------------------------------------------------------------------------

# kernel, stride, padding, ceil_mode; (7, 10) leaves rows over for most of them, and stride None or
# (1, 2) makes windows that touch or overlap.
POOLINGS = list(
    product([2, (3, 2)], [None, (1, 2), (3, 2)], [0, 1], [False, True]),
)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("dilation", [1, (2, 3)], ids=str)
@pytest.mark.parametrize("layer", POOLINGS, ids=str)
def test_max_pool2d_backward_equals_autograd_with_ties(layer, dilation, dtype):
    *layer, ceil_mode = layer
    x = images(2, 3, 7, 10, dtype=dtype, levels=2)
    y = F.max_pool2d(x, *layer, dilation, ceil_mode)
    upstream = upstream_of(y)
    ours = backprop.max_pool2d_backward(upstream, x.detach(), *layer, dilation, ceil_mode)
    assert_gradients_equal((ours,), y, (x,), upstream)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("options", [(True, None), (False, None), (True, 5)], ids=str)
@pytest.mark.parametrize("layer", POOLINGS, ids=str)
def test_avg_pool2d_backward_equals_autograd(layer, options, dtype):
    x = images(1, 2, 7, 10, dtype=dtype)
    y = F.avg_pool2d(x, *layer, *options)
    upstream = upstream_of(y)
    ours = backprop.avg_pool2d_backward(upstream, x.detach(), *layer, *options)
    assert_gradients_equal((ours,), y, (x,), upstream)


@pytest.mark.parametrize(
    "values",
    [
        [
            [1.0, torch.nan, 3.0, torch.nan],
            [2.0, torch.nan, 5.0, 6.0],
        ],  # several NaN: the last wins
        [[-torch.inf] * 4] * 2,  # nothing exceeds -inf: the first pixel, never the padding
        [[torch.inf, 0.0, torch.inf, torch.inf], [0.0, torch.inf, 1.0, 1.0]],
        [[0.0] * 4] * 2,  # all tied
    ],
)
@pytest.mark.parametrize("layer", [(2, 2, 0), (2, 1, 1), ((2, 3), 1, 1)], ids=str)
def test_max_pool2d_backward_special_values_as_torch(values, layer):
    x = torch.tensor(values, dtype=torch.float64)[None, None].requires_grad_()
    y = F.max_pool2d(x, *layer)
    upstream = torch.ones_like(y).cumsum(-1).cumsum(-2)
    (expected,) = torch.autograd.grad(y, x, upstream)
    assert torch.equal(backprop.max_pool2d_backward(upstream, x.detach(), *layer), expected)


def test_max_pool2d_backward_of_a_hand_worked_tie():
    # The two 5s tie in the middle window; the first takes it and so collects 10 + 20.
    x = torch.tensor([[[[1.0, 5.0, 5.0, 0.0], [2.0, 3.0, 4.0, 1.0]]]])
    upstream = torch.tensor([[[[10.0, 20.0, 40.0]]]])
    grad_x = backprop.max_pool2d_backward(upstream, x, kernel_size=2, stride=1)
    assert grad_x[0, 0].tolist() == [[0, 30, 40, 0], [0, 0, 0, 0]]


RULES = {
    # The rule's name, the rule, and torch's operator with gradients that follow it.
    "last of equals": (
        lambda pixel, best: pixel >= best,
        lambda x, *layer: F.max_pool2d(x.flip(2, 3), *layer).flip(2, 3),
    ),
    "smallest": (lambda pixel, best: pixel < best, lambda x, *layer: -F.max_pool2d(-x, *layer)),
}


@pytest.mark.parametrize(("rule", "theirs"), RULES.values(), ids=RULES)
def test_one_rule_decides_who_wins_forward_and_backward(rule, theirs, monkeypatch):
    x, layer = images(2, 3, 7, 9, levels=2), (3, 2)  # nothing is left over: so flips agree
    torch_y = F.max_pool2d(x, *layer)
    monkeypatch.setattr(pooling, "takes_over", rule)
    y, expected = max_pool2d(x, *layer), theirs(x, *layer)
    assert torch.equal(y, expected)
    g = upstream_of(y)
    (expected_grad,) = torch.autograd.grad(expected, x, g)
    assert torch.equal(torch.autograd.grad(y, x, g)[0], expected_grad)
    assert torch.equal(backprop.max_pool2d_backward(g, x.detach(), *layer), expected_grad)
    # The rule of torch would have sent some of it elsewhere.
    assert not torch.equal(torch.autograd.grad(torch_y, x, g)[0], expected_grad)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(POOLINGS), st.floats(-4, 4), st.integers(0, 99))
def test_pool_backward_is_linear_in_grad_output(layer, a, seed):
    kernel, stride, padding, ceil_mode = layer
    x = random_tensor(2, 2, 7, 10, seed=seed).detach()
    g = upstream_of(F.avg_pool2d(x, kernel, stride, padding, ceil_mode))
    for backward in (
        lambda g: backprop.max_pool2d_backward(g, x, kernel, stride, padding, 1, ceil_mode),
        lambda g: backprop.avg_pool2d_backward(g, x, kernel, stride, padding, ceil_mode),
    ):
        expected = backward(g) + a * backward(g.flip(1))
        torch.testing.assert_close(backward(g + a * g.flip(1)), expected, rtol=1e-12, atol=1e-12)


def test_pool_backward_hands_on_everything_it_gets():
    # No padding and every window full: what comes in at the output arrives at the pixels.
    x = images(2, 3, 6, 8).detach()
    g = images(2, 3, 3, 4).detach()
    for backward in (backprop.max_pool2d_backward, backprop.avg_pool2d_backward):
        torch.testing.assert_close(backward(g, x, 2).sum((2, 3)), g.sum((2, 3)))


def test_pool_backward_leftover_rows_get_exactly_zero():
    x, g = images(2, 3, 8, 10).detach(), images(2, 3, 2, 3).detach()
    for backward in (backprop.max_pool2d_backward, backprop.avg_pool2d_backward):
        grad_x = backward(g, x, 3)
        assert (grad_x[:, :, 6:] == 0).all()
        assert (grad_x[:, :, :, 9:] == 0).all()
        assert (grad_x != 0).any()


# --- normalization --------------------------------------------------------------------------------

SHAPES = [(3, 4, 5, 2), (2, 4, 1, 3), (1, 4, 3, 3), (5, 4)]


def normalizations(shape: tuple[int, ...]) -> dict[str, tuple[Callable, Callable, tuple]]:
    """Return, by name, torch's operator of (x, weight, bias), our backward, the weight's shape."""
    table = {
        "batch": (
            lambda x, w, b, eps: F.batch_norm(x, None, None, w, b, True, 0.1, eps),
            lambda g, x, w, eps: backprop.batch_norm_backward(g, x, w, eps),
            shape[1:2],
        ),
        "layer": (
            lambda x, w, b, eps: F.layer_norm(x, shape[-2:], w, b, eps),
            lambda g, x, w, eps: backprop.layer_norm_backward(g, x, shape[-2:], w, eps),
            shape[-2:],
        ),
        "last axis": (
            lambda x, w, b, eps: F.layer_norm(x, shape[-1:], w, b, eps),
            lambda g, x, w, eps: backprop.layer_norm_backward(g, x, shape[-1], w, eps),
            shape[-1:],
        ),
        "group": (
            lambda x, w, b, eps: F.group_norm(x, 2, w, b, eps),
            lambda g, x, w, eps: backprop.group_norm_backward(g, x, 2, w, eps),
            shape[1:2],
        ),
        "instance": (
            lambda x, w, b, eps: F.instance_norm(x, None, None, w, b, True, 0.1, eps),
            lambda g, x, w, eps: backprop.instance_norm_backward(g, x, w, eps),
            shape[1:2],
        ),
    }
    if len(shape) == 2:
        del table["instance"]  # features have no positions to average over
    return table


NORMALIZATIONS = [(shape, name) for shape in SHAPES for name in normalizations(shape)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("shape", "name"), NORMALIZATIONS, ids=str)
def test_norm_backward_equals_autograd(shape, name, dtype):
    forward, backward, weight_shape = normalizations(shape)[name]
    x, weight, bias = (images(*s, dtype=dtype) for s in (shape, weight_shape, weight_shape))
    for eps in (1e-5, 0.3):
        y = forward(x, weight, bias, eps)
        upstream = upstream_of(y)
        ours = backward(upstream, x.detach(), weight.detach(), eps)
        assert_gradients_equal(ours, y, (x, weight, bias), upstream)


@pytest.mark.parametrize(("shape", "name"), NORMALIZATIONS, ids=str)
def test_norm_backward_without_weight_has_no_gradient_for_it(shape, name):
    forward, backward, _ = normalizations(shape)[name]
    x = images(*shape)
    y = forward(x, None, None, 1e-5)
    upstream = upstream_of(y)
    grad_x, grad_weight, grad_bias = backward(upstream, x.detach(), None, 1e-5)
    assert_gradients_equal((grad_x,), y, (x,), upstream)
    assert grad_weight is None
    assert grad_bias is None


@pytest.mark.parametrize("dims", [(0,), (1, 2), (0, 2, 3), (-1,)], ids=str)
def test_normalize_backward_equals_autograd_over_any_axes(dims):
    x = images(3, 4, 5, 2)
    mean, var = x.mean(dims, keepdim=True), x.var(dims, correction=0, keepdim=True)
    y = (x - mean) / (var + 0.01).sqrt()
    upstream = upstream_of(y)
    ours = backprop.normalize_backward(upstream, x.detach(), dims, eps=0.01)
    assert_gradients_equal((ours,), y, (x,), upstream)


def test_normalize_backward_stops_a_common_shift_and_a_common_scale():
    # Neither changes xhat, so the gradient is at right angles to both (eps = 0).
    x, g = images(2, 50).detach(), upstream_of(images(2, 50))
    grad_x = backprop.normalize_backward(g, x, dims=(1,), eps=0.0)
    assert grad_x.sum(1).abs().max() <= 1e-13 * grad_x.abs().sum()
    assert (grad_x * x).sum(1).abs().max() <= 1e-13 * (grad_x * x).abs().sum()


# --- what holds for all of them -------------------------------------------------------------------

LAYER = ((2, 1), (1, 2), (1, 2), 2)  # stride, padding, dilation, groups


def spaced(*shape: int) -> Tensor:
    """Return distinct whole numbers in random order: no tie within any small step."""
    order = torch.randperm(torch.Size(shape).numel(), generator=torch.Generator().manual_seed(3))
    return order.double().reshape(shape)


# name: output, backward, inputs. The backward takes the upstream gradient and the inputs.
OPERATORS: dict[str, tuple[Callable, Callable, tuple[Tensor, ...]]] = {
    "conv2d": (
        lambda x, w: F.conv2d(x, w, None, *LAYER),
        lambda g, x, w: backprop.conv2d_backward(g, x, w, *LAYER)[:2],
        (images(2, 4, 6, 5).detach(), images(4, 2, 3, 2).detach()),
    ),
    "conv2d_loops": (
        lambda x, w: F.conv2d(x, w, None, *LAYER),
        lambda g, x, w: backprop.conv2d_backward_loops(g, x, w, *LAYER)[:2],
        (images(2, 4, 6, 5).detach(), images(4, 2, 3, 2).detach()),
    ),
    "corr1d": (
        lambda x, w: F.conv1d(x[None, None], w[None, None])[0, 0],
        backprop.corr1d_backward,
        (images(8).detach(), images(3).detach()),
    ),
    "max_pool2d": (
        lambda x: F.max_pool2d(x, (3, 2), (2, 1), 1, 1, True),
        lambda g, x: (backprop.max_pool2d_backward(g, x, (3, 2), (2, 1), 1, 1, True),),
        (spaced(2, 2, 6, 5),),
    ),
    "avg_pool2d": (
        lambda x: F.avg_pool2d(x, (3, 2), (2, 1), 1, True, False),
        lambda g, x: (backprop.avg_pool2d_backward(g, x, (3, 2), (2, 1), 1, True, False),),
        (images(2, 2, 6, 5).detach(),),
    ),
    "batch_norm": (
        lambda x, w: F.batch_norm(x, None, None, w, None, True),
        lambda g, x, w: backprop.batch_norm_backward(g, x, w)[:2],
        (images(3, 2, 4, 3).detach(), images(2).detach()),
    ),
    "layer_norm": (
        lambda x, w: F.layer_norm(x, (4, 3), w),
        lambda g, x, w: backprop.layer_norm_backward(g, x, (4, 3), w)[:2],
        (images(3, 2, 4, 3).detach(), images(4, 3).detach()),
    ),
    "instance_norm": (
        lambda x, w: F.instance_norm(x, weight=w),
        lambda g, x, w: backprop.instance_norm_backward(g, x, w)[:2],
        (images(3, 2, 4, 3).detach(), images(2).detach()),
    ),
    "group_norm": (
        lambda x, w: F.group_norm(x, 2, w),
        lambda g, x, w: backprop.group_norm_backward(g, x, 2, w)[:2],
        (images(2, 4, 2, 3).detach(), images(4).detach()),
    ),
    "normalize": (
        lambda x: F.layer_norm(x, (6,)),
        lambda g, x: (backprop.normalize_backward(g, x, (-1,)),),
        (images(4, 6).detach(),),
    ),
}
every_operator = pytest.mark.parametrize("name", OPERATORS)

# Convolution, correlation and average pooling are linear in each input, and max pooling is between
# its kinks (1 apart here): a central difference is then exact for any step, and a long one keeps
# the rounding error eps |f| / step small. The bounds are those of EECS498; normalization bends, so
# its step must be short and CS231n's 1e-8 is the bound for the largest relative error.
STRAIGHT = {"conv2d": 1e-8, "conv2d_loops": 1e-8, "corr1d": 1e-8} | {
    "max_pool2d": 1e-10,
    "avg_pool2d": 1e-10,
}


@every_operator
def test_backward_equals_measured_slope(name):
    forward, backward, inputs = OPERATORS[name]
    upstream = upstream_of(forward(*inputs))
    step, bound = (0.1, STRAIGHT[name]) if name in STRAIGHT else (1e-5, 1e-7)
    for k, gradient in enumerate(backward(upstream, *inputs)):
        slope = backprop.numeric_gradient(
            lambda t, k=k: forward(*inputs[:k], t, *inputs[k + 1 :]), inputs[k], upstream, step
        )
        assert backprop.relative_error(gradient, slope) < bound


def derivative_operators(call: Callable) -> set[str]:
    """Return the names of the library's own derivatives (and convolutions) that a call runs."""
    seen = set()

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.add(func.overloadpacket._qualified_op_name)
            return func(*args, **(kwargs or {}))

    with Recorder():
        call()
    # col2im is what fold runs; convolution is what every convolution runs, transposed ones too.
    return {op for op in seen if any(s in op for s in ("backward", "convolution", "col2im"))}


@every_operator
def test_backward_runs_no_derivative_of_the_library(name):
    forward, backward, inputs = OPERATORS[name]
    upstream = upstream_of(forward(*inputs))
    with torch.no_grad():
        assert derivative_operators(lambda: backward(upstream, *inputs)) == set()


def test_recorder_of_library_derivatives_sees_them():
    # The guard above can fail: these four are what it must not see.
    x, w = images(1, 1, 4, 4), images(1, 1, 2, 2)
    y = F.conv2d(x, w)
    assert "aten::convolution_backward" in derivative_operators(
        lambda: torch.autograd.grad(y.sum(), (x, w))
    )
    pooled = F.max_pool2d(x, 2)
    assert "aten::max_pool2d_with_indices_backward" in derivative_operators(
        lambda: torch.autograd.grad(pooled.sum(), x)
    )
    assert "aten::convolution" in derivative_operators(lambda: F.conv_transpose2d(y, w))
    assert "aten::col2im" in derivative_operators(lambda: F.fold(images(1, 4, 9), (4, 4), 2))


def strided(x: Tensor) -> Tensor:
    """Return an equal tensor whose memory runs the other way round, every second number unused."""
    spread = torch.empty(*reversed(x.shape), 2, dtype=x.dtype)[..., 0].permute(
        *reversed(range(x.ndim))
    )
    return spread.copy_(x)


@every_operator
def test_backward_takes_strided_memory_and_changes_no_argument(name):
    forward, backward, inputs = OPERATORS[name]
    plain = (upstream_of(forward(*inputs)), *inputs)
    arguments = [strided(t) for t in plain]
    assert not any(t.is_contiguous() for t in arguments)
    for actual, expected in zip(backward(*arguments), backward(*plain), strict=True):
        # Another memory layout may add up in another order.
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    for argument, original in zip(arguments, plain, strict=True):
        assert torch.equal(argument, original)


@every_operator
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_backward_keeps_short_dtypes(name, dtype):
    forward, backward, inputs = OPERATORS[name]
    arguments = [t.to(dtype) for t in (upstream_of(forward(*inputs)), *inputs)]
    exact = backward(*(t.double() for t in arguments))
    for actual, expected in zip(backward(*arguments), exact, strict=True):
        assert actual.dtype == dtype
        # a few roundings: 11 bits leave 5e-4 each, bfloat16's 8 bits 4e-3
        bound = 5e-3 if dtype == torch.float16 else 4e-2
        assert compare.relative_error(actual.double(), expected) <= bound


@every_operator
def test_backward_stays_on_the_device_of_x(name):
    forward, backward, inputs = OPERATORS[name]
    arguments = [t.to("meta") for t in (upstream_of(forward(*inputs)), *inputs)]
    for gradient, x in zip(backward(*arguments), arguments[1:], strict=True):
        assert gradient.device.type == "meta"
        assert gradient.shape == x.shape


@pytest.mark.parametrize("name", [name for name in OPERATORS if name not in ("corr1d",)])
def test_backward_of_an_empty_batch_is_empty_and_zero(name):
    forward, backward, inputs = OPERATORS[name]
    upstream = upstream_of(forward(*inputs))[:0]
    grad_x, *others = backward(upstream, inputs[0][:0], *inputs[1:])
    assert grad_x.shape == inputs[0][:0].shape
    for gradient, parameter in zip(others, inputs[1:], strict=True):
        assert torch.equal(gradient, torch.zeros_like(parameter))


@every_operator
@pytest.mark.usefixtures("as_installed")
def test_backward_names_both_shapes_of_a_wrong_grad_output(name):
    forward, backward, inputs = OPERATORS[name]
    upstream = upstream_of(forward(*inputs))
    for wrong in (upstream[..., :-1], upstream[None]):
        with pytest.raises(ValueError, match="grad_output") as caught:
            backward(wrong, *inputs)
        assert str(tuple(upstream.shape)) in str(caught.value)
        assert str(tuple(wrong.shape)) in str(caught.value)
    for wrong in (upstream.float(), upstream.long(), None):
        with pytest.raises(TypeError, match="grad_output"):
            backward(wrong, *inputs)
    with pytest.raises(ValueError, match=r"grad_output.*device"):
        backward(upstream.to("meta"), *inputs)


# --- the measuring tools --------------------------------------------------------------------------


def test_numeric_gradient_of_a_scalar_function():
    x = images(2, 3).detach()
    slope = backprop.numeric_gradient(lambda t: (t.sin() * t).sum(), x)
    # error of the default step: step^2 / 6 * |f'''| ~ 1e-11
    torch.testing.assert_close(slope, x.sin() + x * x.cos(), rtol=0, atol=1e-9)


def test_numeric_gradient_weighs_the_output_with_grad_output():
    x, g = images(4).detach(), upstream_of(images(4, 4))
    slope = backprop.numeric_gradient(lambda t: t[:, None] * t, x, g)
    torch.testing.assert_close(slope, (g + g.T) @ x, rtol=0, atol=1e-8)


def test_numeric_gradient_takes_a_function_that_returns_its_own_input_or_a_number():
    x = torch.tensor(2.0, dtype=torch.float64)
    assert backprop.numeric_gradient(lambda t: t, x).item() == pytest.approx(1.0, abs=1e-9)
    assert backprop.numeric_gradient(lambda t: t.item() ** 2, x).item() == pytest.approx(4.0)


def test_numeric_gradient_leaves_x_alone_even_when_f_fails():
    x = images(3, 2)
    before = x.detach().clone()

    def fail(t):
        raise RuntimeError("no value here")

    with pytest.raises(RuntimeError, match="no value"):
        backprop.numeric_gradient(fail, x)
    backprop.numeric_gradient(lambda t: t.T.sum(), x.T)
    assert torch.equal(x, before)


def test_relative_error_by_hand():
    a = torch.tensor([1.0, -2.0, 0.0, 3e-9])
    b = torch.tensor([3.0, -2.0, 0.0, 0.0])
    assert backprop.relative_error(a[:1], b[:1]) == 0.5  # 2 / 4
    assert backprop.relative_error(a[1:3], b[1:3]) == 0.0
    assert backprop.relative_error(a[3:], b[3:]) == pytest.approx(0.3)  # 3e-9 / 1e-8
    assert backprop.relative_error(a, b) == 0.5
    assert backprop.relative_error(a, -a) == 1.0
    assert backprop.relative_error(a[:0], b[:0]) == 0.0
    nan = torch.tensor([torch.nan])
    assert backprop.relative_error(nan, nan) != backprop.relative_error(nan, nan)


# --- bad input ------------------------------------------------------------------------------------

G, X, W = torch.zeros(2, 4, 3, 4), torch.zeros(2, 4, 5, 6), torch.zeros(4, 4, 3, 3)
P, V = torch.zeros(2, 4, 2, 3), torch.zeros(4)
D = torch.zeros(3, dtype=torch.float64)
BAD = [
    (backprop.conv2d_backward, (G, X[0], W), ValueError, ["x", "(4, 5, 6)"]),
    (backprop.conv2d_backward, (G, X.long(), W), TypeError, ["x", "int64"]),
    (backprop.conv2d_backward, (G, X, W.double()), TypeError, ["weight", "float64"]),
    (backprop.conv2d_backward, (G, X, W[:, :3]), ValueError, ["weight", "(4, 3, 3, 3)"]),
    (backprop.conv2d_backward, (G, X, W, 0), ValueError, ["stride", "0"]),
    (backprop.conv2d_backward, (G, X, W, 1, -1), ValueError, ["padding", "-1"]),
    (backprop.conv2d_backward, (G, X, W, 1, "full"), ValueError, ["padding", "full"]),
    (backprop.conv2d_backward, (G, X, W, 2, "same"), ValueError, ["stride", "2"]),
    (backprop.conv2d_backward, (G, X, W, 1, 0, 3), ValueError, ["kernel", "7"]),
    (backprop.conv2d_backward, (G, X, W, 1, 0, 1, 3), ValueError, ["groups", "3"]),
    (backprop.conv2d_backward_loops, (G, X, W, (1, 2, 3)), ValueError, ["stride", "(1, 2, 3)"]),
    (backprop.conv2d_backward_loops, (G, X, W, 1.5), TypeError, ["stride", "1.5"]),
    (backprop.corr1d_backward, (V[:3], V[:2], V), ValueError, ["kernel", "(4,)", "(2,)"]),
    (backprop.corr1d_backward, (V, V.double(), V), TypeError, ["kernel", "float64"]),
    (backprop.insert_zeros, (V, 2), ValueError, ["x", "(4,)"]),
    (backprop.insert_zeros, (X, (0, 1)), ValueError, ["step", "0"]),
    (backprop.max_pool2d_backward, (P, X[0], 2), ValueError, ["x", "(4, 5, 6)"]),
    (backprop.max_pool2d_backward, (P, X, 0), ValueError, ["kernel_size", "0"]),
    (backprop.max_pool2d_backward, (P, X, 2, 0), ValueError, ["stride", "0"]),
    (backprop.max_pool2d_backward, (P, X, 2, 2, 2), ValueError, ["padding", "2"]),
    (backprop.max_pool2d_backward, (P, X, 7), ValueError, ["kernel_size", "7"]),
    (backprop.avg_pool2d_backward, (P, X.long(), 2), TypeError, ["x", "int64"]),
    (backprop.avg_pool2d_backward, (P, X, 2, 2, 2), ValueError, ["padding", "2"]),
    (
        backprop.avg_pool2d_backward,
        (P, X, 2, 2, 0, False, True, 0),
        ValueError,
        ["divisor_override", "0"],
    ),
    (backprop.normalize_backward, (V, V[:3], (0,)), ValueError, ["grad_output", "(3,)", "(4,)"]),
    (backprop.normalize_backward, (X, X, (1, 4)), ValueError, ["dims", "-4", "3", "(1, 4)"]),
    (backprop.normalize_backward, (X, X, (1, -3)), ValueError, ["dims", "(1, -3)"]),
    (backprop.batch_norm_backward, (X, X, V[:3]), ValueError, ["weight", "(3,)"]),
    (backprop.batch_norm_backward, (X, X, V.to("meta")), ValueError, ["weight", "meta"]),
    (backprop.batch_norm_backward, (X[:1, :, 0, 0],) * 2, ValueError, ["x", "(1, 4)"]),
    (backprop.layer_norm_backward, (X, X, (5, 5)), ValueError, ["normalized_shape", "(5, 5)"]),
    (backprop.instance_norm_backward, (X[..., :1, :1],) * 2, ValueError, ["x", "(2, 4, 1, 1)"]),
    (backprop.group_norm_backward, (X, X, 3), ValueError, ["num_groups", "3"]),
    (backprop.group_norm_backward, (X, X, 2, V.double()), TypeError, ["weight", "float64"]),
    (backprop.numeric_gradient, (torch.sum, V), TypeError, ["x", "float64", "float32"]),
    (backprop.numeric_gradient, (torch.sum, [1.0]), TypeError, ["x", "list"]),
    (backprop.numeric_gradient, (torch.sum, D, None, 0.0), ValueError, ["step", "0.0"]),
    (backprop.numeric_gradient, (torch.sin, D), ValueError, ["grad_output", "(3,)", "None"]),
    (backprop.numeric_gradient, (torch.sin, D, D[:2]), ValueError, ["grad_output", "(3,)", "(2,)"]),
    (backprop.relative_error, (V, V[:1]), ValueError, ["a", "(4,)", "(1,)"]),
    (backprop.relative_error, (V, V.double()), TypeError, ["b", "float64"]),
    (backprop.relative_error, (V.long(), V), TypeError, ["a", "int64"]),
]


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(("function", "arguments", "error", "words"), BAD)
def test_bad_call_is_refused_with_name_and_value(function, arguments, error, words):
    with pytest.raises(error) as caught:
        function(*arguments)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)
