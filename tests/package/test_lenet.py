"""The networks of chapter 8: their arithmetic, their first weights, and the scale of each layer."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from cnncourse.lenet import (
    LeNet,
    ModernLeNet,
    init_he,
    init_xavier,
    layer_scales,
    mlp,
    softmax_regression,
)


def images(n: int = 6) -> torch.Tensor:
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_lenet_has_the_parameters_of_the_table() -> None:
    counts = [sum(p.numel() for p in layer.parameters()) for layer in LeNet()]
    assert counts == [156, 0, 0, 2416, 0, 0, 0, 48120, 0, 10164, 0, 850]
    assert sum(counts) == 61706


def test_lenet_has_the_shapes_of_the_table() -> None:
    x, shapes = images(2), {}
    for name, layer in LeNet().named_children():
        x = layer(x)
        shapes[name] = tuple(x.shape[1:])
    assert shapes["conv1"] == shapes["act1"] == (6, 28, 28)
    assert shapes["pool1"] == (6, 14, 14)
    assert shapes["conv2"] == (16, 10, 10)
    assert shapes["pool2"] == (16, 5, 5)
    assert shapes["flatten"] == (400,)
    assert (shapes["fc1"], shapes["fc2"], shapes["fc3"]) == ((120,), (84,), (10,))


@pytest.mark.parametrize("pool", [functional.avg_pool2d, functional.max_pool2d])
@pytest.mark.parametrize("activation", [torch.sigmoid, torch.relu])
def test_lenet_equals_the_functions_written_out(activation, pool) -> None:
    torch.manual_seed(0)
    layers = {torch.sigmoid: nn.Sigmoid, torch.relu: nn.ReLU}
    pools = {functional.avg_pool2d: nn.AvgPool2d, functional.max_pool2d: nn.MaxPool2d}
    model = LeNet(layers[activation], pools[pool], num_classes=7)
    w1, b1, w2, b2, *dense = model.parameters()
    x = pool(activation(functional.conv2d(images(), w1, b1, padding=2)), 2)
    x = pool(activation(functional.conv2d(x, w2, b2)), 2).flatten(1)
    x = activation(x @ dense[0].T + dense[1])
    x = activation(x @ dense[2].T + dense[3])
    expected = x @ dense[4].T + dense[5]
    assert expected.shape == (6, 7)
    # Same sums in another order: float32 rounding.
    torch.testing.assert_close(model(images()), expected, rtol=1e-5, atol=1e-6)


def test_lenet_slice_is_a_plain_sequential_that_shares_its_layers() -> None:
    model = LeNet()
    front = model[:3]
    assert type(front) is nn.Sequential
    assert front.conv1 is model[0] is model.conv1
    assert front(images(2)).shape == (2, 6, 14, 14)
    assert model[-1] is model.fc3
    assert torch.equal(copy.deepcopy(model)(images(2)), model(images(2)))


def test_modern_lenet_is_lenet_with_three_changes() -> None:
    torch.manual_seed(0)
    modern = ModernLeNet()
    torch.manual_seed(0)
    written_out = init_he(LeNet(nn.ReLU, nn.MaxPool2d))
    assert sum(p.numel() for p in modern.parameters()) == 61706
    for a, b in zip(modern.parameters(), written_out.parameters(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(modern(images()), written_out(images()))
    assert {type(layer) for layer in modern} >= {nn.ReLU, nn.MaxPool2d}


def test_baselines_equal_the_formulas() -> None:
    weight, bias = softmax_regression(3).parameters()
    model = mlp(hidden=5, num_classes=4)
    w1, b1, w2, b2 = model.parameters()
    assert (weight.shape, bias.shape) == ((3, 784), (3,))
    x = images().flatten(1)
    expected = (x @ w1.T + b1).clamp(min=0) @ w2.T + b2
    torch.testing.assert_close(model(images()), expected, rtol=1e-5, atol=1e-6)
    assert sum(p.numel() for p in softmax_regression().parameters()) == 7850
    assert sum(p.numel() for p in mlp().parameters()) == 784 * 256 + 256 + 2560 + 10


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize("build", [LeNet, ModernLeNet, softmax_regression, mlp])
def test_builders_name_a_bad_number_of_classes(build) -> None:
    with pytest.raises(ValueError, match="`num_classes` must be at least 1, got 0"):
        build(num_classes=0)
    with pytest.raises(TypeError, match=r"`num_classes` must be an integer, got 2\.0"):
        build(num_classes=2.0)


@pytest.mark.usefixtures("as_installed")
def test_mlp_names_a_bad_number_of_hidden_units() -> None:
    with pytest.raises(ValueError, match="`hidden` must be at least 1, got 0"):
        mlp(hidden=0)


def test_init_xavier_draws_what_torch_draws_and_keeps_the_biases() -> None:
    torch.manual_seed(1)
    model = LeNet()
    biases = [layer.bias.clone() for layer in model if hasattr(layer, "bias")]
    expected = copy.deepcopy(model)
    torch.manual_seed(2)
    assert init_xavier(model) is model
    torch.manual_seed(2)
    for layer in expected:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
    for a, b in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)
    for layer, bias in zip([m for m in model if hasattr(m, "bias")], biases, strict=True):
        assert torch.equal(layer.bias, bias)


def test_init_xavier_has_the_bound_and_the_variance_of_the_paper() -> None:
    torch.manual_seed(0)
    model = init_xavier(LeNet())
    for weight, fan_in, fan_out in [
        (model.conv1.weight, 25, 150),
        (model.conv2.weight, 150, 400),
        (model.fc1.weight, 400, 120),
    ]:
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert weight.abs().max() <= bound
        # 150 draws give a standard deviation to about 5 %; 20 % is four times that.
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.2)


def test_init_he_has_the_deviation_of_the_paper_and_zero_biases() -> None:
    torch.manual_seed(0)
    model = init_he(LeNet())
    for weight, fan_in in [(model.conv2.weight, 150), (model.fc1.weight, 400)]:
        # 2,400 draws give a standard deviation to about 1.5 %.
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.06)
        assert weight.abs().max() > 2.5 * (2 / fan_in) ** 0.5  # normal, not uniform
    assert all(not layer.bias.any() for layer in model if hasattr(layer, "bias"))
    init_he(nn.Linear(3, 2, bias=False))


@pytest.mark.parametrize("init", [init_xavier, init_he])
def test_init_does_not_ask_where_the_weight_lives(init) -> None:
    torch.manual_seed(0)
    expected = init(nn.Linear(5, 4)).weight
    torch.manual_seed(0)
    model = nn.Linear(5, 4)
    # Inside this context a fresh tensor would land on another device and hold no numbers.
    with torch.device("meta"):
        init(model)
    assert torch.equal(model.weight, expected)


def test_init_draws_on_the_cpu_whatever_the_device_of_the_model(monkeypatch) -> None:
    devices = []
    for name in ("xavier_uniform_", "kaiming_normal_"):
        draw = getattr(nn.init, name)
        monkeypatch.setattr(
            nn.init,
            name,
            lambda w, *a, draw=draw, **k: devices.append(w.device) or draw(w, *a, **k),
        )
    init_xavier(nn.Linear(5, 4, device="meta"))
    init_he(nn.Linear(5, 4, device="meta"))
    assert devices == [torch.device("cpu")] * 2


def test_layer_scales_equals_the_hand_worked_layer() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
    model[1].weight.data = torch.tensor([[1.0], [-1.0]])
    x = torch.tensor([0.0, 2.0]).reshape(2, 1, 1, 1)
    flatten, dense = layer_scales(model, x, torch.tensor([0, 1]))
    # Outputs (0, 0) and (2, -2): variance over all (4 + 4) / 4 = 2; each unit deviates by 1.
    assert dense.activation == pytest.approx(2**0.5)
    assert dense.signal == pytest.approx(1.0)
    # dL/dz = (softmax - one-hot) / 2: (-1/4, 1/4) for the first image, (p, -p) / 2 for the second.
    p = 1 / (1 + torch.tensor(-4.0).exp().item())
    entries = torch.tensor([-0.25, 0.25, p / 2, -p / 2])
    assert dense.gradient == pytest.approx(entries.std(correction=0).item())
    # dL/dW = sum over images of x dL/dz = 2 (p, -p) / 2, whose deviation is p.
    assert dense.weight_gradient == pytest.approx(p)
    # dL/dx = dL/dz W = (-1/2, p).
    assert flatten.gradient == pytest.approx((p + 0.5) / 2)
    assert flatten.weight_gradient is None
    assert (flatten.name, dense.name) == ("0", "1")


def test_layer_scales_equals_backward_through_the_whole_net() -> None:
    torch.manual_seed(0)
    model, x, y = init_xavier(LeNet(nn.ReLU)), images(), torch.arange(6)
    scales = {scale.name: scale for scale in layer_scales(model, x, y)}
    assert list(scales) == [name for name, _ in model.named_children()]
    hidden = model[:8](x)
    hidden.retain_grad()
    functional.cross_entropy(model[8:](hidden), y).backward()
    assert scales["fc1"].activation == pytest.approx(hidden.std(correction=0).item(), rel=1e-4)
    assert scales["fc1"].gradient == pytest.approx(hidden.grad.std(correction=0).item(), rel=1e-4)
    weight = model.conv1.weight.grad
    assert scales["conv1"].weight_gradient == pytest.approx(
        weight.std(correction=0).item(), rel=1e-3
    )


def test_layer_scales_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True))
    model.extend([nn.Flatten(), nn.Linear(2 * 26 * 26, 6)])
    model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = layer_scales(model, images(), torch.arange(6))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not model[0].weight.requires_grad
    assert model[2].inplace
    assert all(not layer._forward_hooks for layer in model)
    assert layer_scales(model, images(), torch.arange(6)) == first
    # The ReLU's own output is half zero; the one before it must be measured before it is cut.
    assert first[1].activation == pytest.approx(1, abs=0.05)
    assert first[2].activation < 0.7


def test_layer_scales_counts_no_gradient_of_a_training_before() -> None:
    model, x, y = LeNet(), images(), torch.arange(6)
    fresh = layer_scales(model, x, y)
    functional.cross_entropy(model(x), y).backward()
    assert layer_scales(model, x, y) == fresh


def test_layer_scales_shows_why_the_sigmoid_net_is_stuck() -> None:
    torch.manual_seed(0)
    x, y = images(), torch.arange(6)
    sigmoid = {s.name: s for s in layer_scales(init_xavier(LeNet()), x, y)}
    modern = {s.name: s for s in layer_scales(ModernLeNet(), x, y)}
    # What tells two images apart shrinks at each sigmoid; ReLU and He keep it alive.
    assert sigmoid["fc3"].signal < 0.02 * sigmoid["conv1"].signal
    assert modern["fc3"].signal > 0.1 * modern["conv1"].signal
    assert sigmoid["conv1"].gradient < 0.01 * modern["conv1"].gradient


@pytest.mark.usefixtures("as_installed")
def test_layer_scales_names_the_bad_argument() -> None:
    with pytest.raises(ValueError, match=r"2 images .* got shapes \(1, 1, 28, 28\) and \(1,\)"):
        layer_scales(LeNet(), images(1), torch.arange(1))
    with pytest.raises(ValueError, match=r"one label for each, got shapes .* and \(5,\)"):
        layer_scales(LeNet(), images(), torch.arange(5))
    with pytest.raises(ValueError, match=r"`images` must have 4 dimensions \(n, c, h, w\)"):
        layer_scales(LeNet(), images()[0], torch.arange(1))
    with pytest.raises(TypeError, match=r"`images` must be a torch\.Tensor, got list"):
        layer_scales(LeNet(), [1.0], torch.arange(1))
