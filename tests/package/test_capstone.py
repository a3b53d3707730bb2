"""The capstone's network against the course's own operators, and each of its parts alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from cnncourse.capstone import (
    LIMIT,
    Mirrored,
    RandomFlip,
    Residual,
    conv,
    from_text,
    separable,
    small_net,
    to_text,
)
from cnncourse.channels import conv2d
from cnncourse.normalization import batch_norm
from cnncourse.pooling import blur_pool2d, max_pool2d
from cnncourse.shift import BlurMaxPool2d


def size(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_parameters_by_hand_stay_below_the_limit() -> None:
    def normed(c: int, o: int) -> int:
        return 9 * c * o + 2 * o

    parts = {
        "first": normed(1, 16),
        "wider": normed(16, 32),
        "block1": 2 * normed(32, 32),
        "pool1": 0,
        "widest": normed(32, 56),
        "block2": 2 * normed(56, 56),
        "mean": 0,
        "fc": 56 * 10 + 10,
    }
    net = small_net()
    assert {name: size(part) for name, part in net.named_children()} == parts
    assert size(net) == sum(parts.values()) == 96_890 <= LIMIT
    # A table of the docstring says the same.
    for name, count in parts.items():
        assert any(line.split()[:1] == [name] for line in small_net.__doc__.splitlines())
        assert count == 0 or f"{count:,}" in small_net.__doc__


def by_hand(net: nn.Sequential, x: Tensor, pool=lambda x: max_pool2d(x, 2)) -> Tensor:
    """Compute what `small_net` computes by the functions of earlier chapters."""
    state = dict(net.state_dict())

    def layer(x: Tensor, name: str, at: int, norm_at: int) -> Tensor:
        return normal(conv2d(x, state[f"{name}.{at}.weight"], padding=1), f"{name}.{norm_at}")

    def normal(x: Tensor, name: str) -> Tensor:
        return batch_norm(
            x, *(state[f"{name}.{s}"] for s in ("running_mean", "running_var", "weight", "bias"))
        )

    def block(x: Tensor, name: str) -> Tensor:
        inner = layer(x, f"{name}.0", 0, 1).clamp(min=0)
        return (x + layer(inner, f"{name}.0", 3, 4)).clamp(min=0)

    x = pool(conv2d(x, state["first.0.weight"], padding=1))
    x = layer(normal(x, "first.2").clamp(min=0), "wider", 0, 1).clamp(min=0)
    x = layer(pool(block(x, "block1")), "widest", 0, 1).clamp(min=0)
    return block(x, "block2").mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def lively(net: nn.Sequential) -> nn.Sequential:
    """Give every normalization statistics and weights of its own."""
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.running_mean, part.bias.data):
                tensor.normal_()
            for tensor in (part.running_var, part.weight.data):
                tensor.uniform_(0.5, 2)
    return net.double().eval()


def test_small_net_is_made_of_the_operators_of_the_course() -> None:
    torch.manual_seed(0)
    net, x = lively(small_net()), torch.rand(3, 1, 28, 28, dtype=torch.float64)
    torch.testing.assert_close(net(x), by_hand(net, x))


def test_small_net_pools_as_it_is_told() -> None:
    def blurred(x: Tensor) -> Tensor:
        return blur_pool2d(max_pool2d(x, 2, stride=1))

    torch.manual_seed(0)
    net, x = lively(small_net(pool=BlurMaxPool2d)), torch.rand(2, 1, 28, 28, dtype=torch.float64)
    torch.testing.assert_close(net(x), by_hand(net, x, blurred))


def test_without_its_sums_the_network_starts_from_the_same_weights() -> None:
    nets = {}
    for residual in (True, False):
        torch.manual_seed(0)
        nets[residual] = small_net(residual=residual).eval()
    states = [net.state_dict() for net in nets.values()]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    x = torch.rand(2, 1, 28, 28)
    assert not torch.allclose(nets[True](x), nets[False](x))


def test_without_norm_a_bias_stands_in_each_convolution() -> None:
    layers = [m for m in small_net(norm=False).modules() if isinstance(m, nn.Conv2d)]
    assert [layer.bias is not None for layer in layers] == [True] * 7
    assert not any(isinstance(m, nn.BatchNorm2d) for m in small_net(norm=False).modules())
    normed = [m for m in small_net().modules() if isinstance(m, nn.Conv2d)]
    assert [layer.bias is None for layer in normed] == [True] * 7


def test_a_block_of_zeros_changes_nothing() -> None:
    layer, x = nn.Conv2d(3, 3, 3, padding=1), torch.rand(2, 3, 5, 4)
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    assert torch.equal(Residual(layer)(x), x)


def test_separable_is_a_convolution_whose_kernels_are_products() -> None:
    torch.manual_seed(0)
    (alone, mixed), x = separable(3, 5, norm=False), torch.rand(2, 3, 6, 5)
    weight = torch.einsum("oc,cab->ocab", mixed.weight[:, :, 0, 0], alone.weight[:, 0])
    expected = F.conv2d(x, weight, mixed.bias, padding=1)
    torch.testing.assert_close(mixed(alone(x)), expected, atol=1e-6, rtol=1e-5)
    assert [size(layer) for layer in separable(3, 5)] == [27, 15, 10]


def test_conv_keeps_height_and_width() -> None:
    for kernel_size in (1, 3, 5):
        layers = nn.Sequential(*conv(2, 4, kernel_size=kernel_size))
        assert layers(torch.rand(2, 2, 7, 6)).shape == (2, 4, 7, 6)


def test_random_flip_mirrors_half_of_the_images_left_to_right() -> None:
    torch.manual_seed(0)
    x = torch.rand(400, 2, 3, 4)
    y = RandomFlip()(x)
    still = (y == x).all((1, 2, 3))
    for before, after, same in zip(x, y, still, strict=True):
        assert torch.equal(after, before if same else before[:, :, [3, 2, 1, 0]])
    # Of 400 throws of a coin the heads have a standard deviation of 10.
    assert abs(still.sum().item() - 200) < 40


def test_random_flip_is_seeded_and_rests_in_evaluation() -> None:
    x = torch.rand(20, 1, 2, 3)
    torch.manual_seed(1)
    first = RandomFlip()(x)
    torch.manual_seed(1)
    assert torch.equal(RandomFlip()(x), first)
    assert RandomFlip().eval()(x) is x


def test_mirrored_adds_the_answer_to_the_mirror_image() -> None:
    torch.manual_seed(0)
    net, x = small_net().eval(), torch.rand(4, 1, 28, 28)
    expected = net(x) + net(x[..., torch.arange(27, -1, -1)])
    both = Mirrored(net)
    assert torch.equal(both.eval()(x), expected)
    assert torch.equal(both(x), both(x.flip(3)))
    assert size(both) == size(net)
    still = Mirrored(nn.Flatten()).train()
    assert torch.equal(still(x), x.flatten(1))


@pytest.mark.parametrize("layer", [conv, separable])
@pytest.mark.parametrize("norm", [True, False])
def test_every_form_gives_ten_scores_and_a_gradient_to_each_weight(layer, norm) -> None:
    torch.manual_seed(0)
    net = small_net(norm=norm, layer=layer)
    net(torch.rand(2, 1, 28, 28)).square().sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in net.parameters())


def test_weights_come_back_from_a_text_as_half_precision_rounds_them() -> None:
    torch.manual_seed(0)
    net, other = small_net(), small_net()
    text = to_text(net)
    assert text.isascii()
    assert len(text) < 300_000  # a notebook may have a million characters
    assert from_text(other, text) is other
    for old, new in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        assert new.dtype == old.dtype
        torch.testing.assert_close(new, old.half().to(old.dtype), rtol=0, atol=0)


def test_a_text_for_another_network_is_refused() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        from_text(nn.Linear(3, 1), to_text(nn.Linear(2, 1)))
