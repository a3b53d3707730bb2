"""Every operator on a GPU, against the same on the CPU: values, and the gradient of every input."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cnncourse import (
    backprop,
    channels,
    cross_correlation,
    invariance,
    locality,
    normalization,
    padding_stride,
    pooling,
)
from cnncourse.datasets import load_fashion_mnist
from cnncourse.lenet import ModernLeNet
from cnncourse.training import evaluate, predict
from tests.package.compare import BACKWARD, FORWARD, random_tensor, relative_error

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
DEVICE = "cuda"
SHAPES = {
    "row": (9,),
    "short": (3,),
    "image": (7, 9),
    "window": (3, 2),
    "volume": (5, 6, 7),
    "block": (2, 3, 2),
    "x": (2, 4, 7, 9),
    "bank": (6, 2, 3, 2),
    "places": (5, 8, 6, 4, 3, 2),
    "dy": (2, 6, 5, 8),
    "quarter": (2, 4, 3, 4),
    "bias": (6,),
    "scale": (4,),
}
OPERATORS: dict[str, tuple[Callable, tuple[str, ...]]] = {
    "corr1d": (cross_correlation.corr1d, ("row", "short")),
    "corr2d": (cross_correlation.corr2d, ("image", "window")),
    "corr3d": (cross_correlation.corr3d, ("volume", "block")),
    "convolve2d": (cross_correlation.convolve2d, ("image", "window")),
    "corr2d_strided": (
        lambda x, k: padding_stride.corr2d_strided(x, k, 2, 1, 2),
        ("image", "window"),
    ),
    "conv2d": (
        lambda x, w, b: channels.conv2d(x, w, b, stride=2, padding=1, dilation=2, groups=2),
        ("x", "bank", "bias"),
    ),
    "locally_connected2d": (locality.locally_connected2d, ("x", "places")),
    "max_pool2d": (lambda x: pooling.max_pool2d(x, 2), ("x",)),
    "avg_pool2d": (lambda x: pooling.avg_pool2d(x, 3, padding=1), ("x",)),
    "lp_pool2d": (lambda x: pooling.lp_pool2d(x, 2.0, 2), ("x",)),
    "blur_pool2d": (pooling.blur_pool2d, ("x",)),
    "batch_norm": (
        lambda x, w, b: normalization.batch_norm(x, None, None, w, b, training=True),
        ("x", "scale", "scale"),
    ),
    "group_norm": (
        lambda x, w, b: normalization.group_norm(x, 2, w, b),
        ("x", "scale", "scale"),
    ),
    "layer_norm": (lambda x: normalization.layer_norm(x, (4, 7, 9)), ("x",)),
    "instance_norm": (normalization.instance_norm, ("x",)),
    "conv2d_backward": (
        lambda dy, x, w: torch.cat(
            [one.flatten() for one in backprop.conv2d_backward(dy, x, w, groups=2)]
        ),
        ("dy", "x", "bank"),
    ),
    "conv_transpose2d": (lambda y, w: backprop.conv_transpose2d(y, w), ("dy", "bank")),
    "max_pool2d_backward": (
        lambda dy, x: backprop.max_pool2d_backward(dy, x, 2),
        ("quarter", "x"),
    ),
    "avg_pool2d_backward": (
        lambda dy, x: backprop.avg_pool2d_backward(dy, x, 2),
        ("quarter", "x"),
    ),
    "translate": (lambda x: invariance.translate(x, 1, -2), ("x",)),
    "permute_pixels": (invariance.permute_pixels, ("x",)),
}


def result(operator: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Return the value and the gradients, on the CPU."""
    y = operator(*inputs)
    assert y.device.type == inputs[0].device.type
    upstream = random_tensor(*y.shape, seed=99).detach().to(y.device)
    # An index of the largest number depends on no pixel.
    gradients = torch.autograd.grad(y, inputs, upstream, allow_unused=True, materialize_grads=True)
    return [y.cpu(), *(gradient.cpu() for gradient in gradients)]


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_gives_what_it_gives_on_the_cpu(name: str) -> None:
    operator, shapes = OPERATORS[name]
    inputs = [random_tensor(*SHAPES[shape], seed=k) for k, shape in enumerate(shapes)]
    moved = [x.detach().to(DEVICE).requires_grad_() for x in inputs]
    (value, *gradients), (y, *ours) = result(operator, inputs), result(operator, moved)
    assert relative_error(y, value) <= FORWARD[torch.float64]
    for gradient, expected in zip(ours, gradients, strict=True):
        assert relative_error(gradient, expected) <= BACKWARD[torch.float64]


def test_network_answers_and_is_measured_as_on_the_cpu() -> None:
    images, labels = load_fashion_mnist().validation
    few = images[:512], labels[:512]
    model = ModernLeNet().double()
    double = few[0].double()
    expected, before = predict(model, double), evaluate(model, (double, labels[:512]))
    model.to(DEVICE)
    assert relative_error(predict(model, double).cpu(), expected) <= FORWARD[torch.float64]
    after = evaluate(model, (double, labels[:512]))
    assert after.loss == pytest.approx(before.loss, rel=1e-9)
    assert after.accuracy == before.accuracy
