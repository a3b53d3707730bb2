"""The deep plain network, what stands behind its layers, and noise that shakes its channels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cnncourse.deep import InParts, Shaken, batch, deep_net, group, with_norm
from cnncourse.lenet import LeNet


def test_deep_net_takes_any_depth_and_gives_ten_scores() -> None:
    for depth in (2, 3, 10):
        net = deep_net(depth, channels=4)
        assert sum(isinstance(layer, nn.Conv2d) for layer in net) == depth
        assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    assert net[:-2](torch.rand(1, 1, 28, 28)).shape == (1, 4, 7, 7)


@pytest.mark.parametrize(("name", "value"), [("depth", 1), ("channels", 0)])
def test_deep_net_names_the_bad_argument(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be at least .*, got {value}"):
        deep_net(**{name: value})


@pytest.mark.parametrize("norm", [batch, group])
def test_with_norm_leaves_the_weights_and_the_last_layer_alone(norm) -> None:
    torch.manual_seed(0)
    plain = LeNet()
    torch.manual_seed(0)
    normed = with_norm(LeNet(), norm)
    added = [name for name, _ in normed.named_children() if name.startswith("norm_")]
    assert added == ["norm_conv1", "norm_conv2", "norm_fc1", "norm_fc2"]
    for name, weight in plain.named_parameters():
        assert torch.equal(weight, normed.get_parameter(name))


def test_normalized_outputs_have_mean_zero_and_variance_one_in_each_channel() -> None:
    net = with_norm(LeNet(), batch)
    x = torch.rand(50, 1, 28, 28)
    for end in ("norm_conv1", "norm_fc2"):
        names = [name for name, _ in net.named_children()]
        y = net[: names.index(end) + 1](x)
        dims = [axis for axis in range(y.ndim) if axis != 1]
        assert y.mean(dims).abs().max() < 1e-5
        assert (y.var(dims, correction=0) - 1).abs().max() < 0.05


def test_group_normalizes_each_picture_over_all_channels() -> None:
    y = group(nn.Conv2d(1, 4, 3))(torch.rand(3, 4, 5, 5))
    torch.testing.assert_close(y.mean((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)


def test_shaken_gives_every_channel_its_own_scale_and_shift_at_each_step() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3000, 2, 2)
    y, again = Shaken(0.5)(x), Shaken(0.5)(x)
    assert not torch.equal(y, again)
    first, second = (y[0] - y[0].mean((1, 2), keepdim=True)).abs().sum((1, 2)), y[1]
    scale = first / (x[0] - x[0].mean((1, 2), keepdim=True)).abs().sum((1, 2))
    shift = y[0, :, 0, 0] - scale * x[0, :, 0, 0]
    assert scale.log().std() == pytest.approx(0.25, rel=0.05)
    assert shift.std() == pytest.approx(0.5, rel=0.05)
    # The pictures of a batch share them.
    expected = scale[:, None, None] * x[1] + shift[:, None, None]
    torch.testing.assert_close(second, expected, atol=1e-4, rtol=1e-4)


def test_shaken_rests_in_evaluation() -> None:
    x = torch.rand(2, 3, 4, 4)
    assert Shaken(1.0).eval()(x) is x


def test_in_parts_normalizes_each_part_alone_and_the_whole_in_evaluation() -> None:
    torch.manual_seed(0)
    x = torch.rand(7, 2, 3, 3)
    y = InParts(nn.BatchNorm2d(2), 3)(x)
    by_hand = torch.cat([nn.BatchNorm2d(2)(part) for part in (x[:3], x[3:6], x[6:])])
    assert torch.equal(y, by_hand)
    norm = nn.BatchNorm2d(2)
    norm(x)
    assert torch.equal(InParts(norm, 3).eval()(x), norm.eval()(x))
    with pytest.raises(ValueError, match="`size` must be at least 1, got 0"):
        InParts(norm, 0)
