"""A network in the browser computes what torch computes from the same stored weights."""

from __future__ import annotations

import base64
import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from cnncourse.channels import conv2d
from cnncourse.datasets import Split, load_part
from cnncourse.lenet import layer_scales
from cnncourse.pooling import avg_pool2d, blur_pool2d, max_pool2d
from cnncourse.records import load_trained, trained
from cnncourse.records.stored import save_network, set_weights, shrink
from cnncourse.shift import on_canvas
from tests.explore.stage import Modules

KEPT = Path(trained.__file__).parent / trained.WEIGHTS
ENDS = [  # The capstone's network has blocks of layers; no page reads it.
    f"{record}/{recipe}"
    for record, recipes in trained.NETWORKS.items()
    for recipe in recipes
    if record != "capstone"
]
EARLIER = [(name, epoch) for name, epochs in trained.EPOCHS.items() for epoch in epochs]
READ = """() => {
    window.decoded = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
    window.pictures = (text, shape) => {
        const [values, size] = [new Float32Array(decoded(text)), shape[0] * shape[1] * shape[2]];
        const cut = (n) => ({ shape, values: values.slice(n * size, (n + 1) * size) });
        return Array.from({ length: values.length / size }, (_, n) => cut(n));
    };
    window.plain = (tensors) => tensors.map(({ values }) => Array.from(values));
}"""
NOTHING = torch.zeros(1, 1, 1, 1)


class Network:
    """A file's network in the page, one at a time."""

    def __init__(self, modules: Modules, path: Path) -> None:
        modules.call("network", "spread", [0])  # loads the module
        modules.page.evaluate(READ)
        self.page = modules.page
        read = (
            "(text) => { window.net = modules.network.readNetwork(new DataView(decoded(text))); }"
        )
        self.page.evaluate(read, base64.b64encode(path.read_bytes()).decode())

    def compute(self, script: str, images: Tensor = NOTHING, labels: Tensor = NOTHING) -> Any:
        """Evaluate an expression of ``net``, ``images`` and ``labels`` with ``modules.network``."""
        values = base64.b64encode(images.numpy().tobytes()).decode()
        # As one text: the driver of the browser takes long over many numbers.
        found = self.page.evaluate(
            f"""([values, shape, labels]) => {{
                const {{ forward, backward, scales }} = modules.network;
                const images = pictures(values, shape);
                return JSON.stringify({script});
            }}""",
            [values, list(images.shape[1:]), labels.flatten().tolist()],
        )
        return json.loads(found)


@cache
def pictures_of(name: str) -> Split:
    """Return a hundred pictures of the kind that a kept network was trained on."""
    fashion = name.startswith("lenet/") and not name.endswith("mnist")
    images, labels = load_part("fashion_mnist" if fashion else "mnist", 0, 100, "t10k")
    return Split(on_canvas(images) if name.startswith("shift/") else images, labels)


def loaded(name: str, epoch: int | None = None) -> nn.Sequential:
    return load_trained(*name.split("/"), epoch).eval()


@pytest.mark.parametrize(("name", "epoch"), [*((name, None) for name in ENDS), *EARLIER])
def test_logits_of_kept_networks(modules: Modules, name: str, epoch: int | None) -> None:
    images = pictures_of(name).images
    network = Network(modules, KEPT / trained.path_of(name, epoch))
    found = network.compute("plain(images.map((x) => forward(net, x).at(-1)))", images)
    with torch.no_grad():
        expected = loaded(name, epoch)(images)
    torch.testing.assert_close(torch.tensor(found), expected, atol=1e-4, rtol=0)


def outputs_and_gradients(
    model: nn.Sequential, images: Tensor, labels: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Return every layer's output, and the gradient of each picture's own loss, in float64."""
    outputs, x = [], images.double().requires_grad_()
    for layer in copy.deepcopy(model).double():
        x = layer(x)
        outputs.append(x)
    loss = F.cross_entropy(x, labels, reduction="sum")
    return outputs, list(torch.autograd.grad(loss, outputs))


def check_layers(network: Network, model: nn.Sequential, images: Tensor, labels: Tensor) -> None:
    """Compare shapes, outputs and gradients of every layer, picture by picture."""
    outputs, gradients = outputs_and_gradients(model, images, labels)
    shapes = network.compute("forward(net, images[0]).map(({ shape }) => shape)", images)
    assert shapes == [list(output.shape[1:]) for output in outputs]
    found = network.compute("images.map((x) => plain(forward(net, x)))", images)
    script = "images.map((x, n) => plain(backward(net, forward(net, x), labels[n])))"
    followed = network.compute(script, images, labels)
    for n in range(len(images)):
        for k, layer in enumerate(model):
            close(found[n][k], outputs[k][n], 1e-4, f"output of {k} {layer}")
            largest = gradients[k][n].abs().max().item()
            close(followed[n][k], gradients[k][n], 1e-3 * largest, f"gradient at {k} {layer}")


def close(found: list[float], expected: Tensor, within: float, name: str) -> None:
    difference = torch.tensor(found, dtype=torch.float64) - expected.detach().flatten()
    assert difference.abs().max() <= within, name


@pytest.mark.parametrize("name", ENDS)
def test_every_layer_of_kept_networks(modules: Modules, name: str) -> None:
    images, labels = pictures_of(name)
    network = Network(modules, KEPT / trained.path_of(name))
    check_layers(network, loaded(name), images[:2], labels[:2])


@pytest.mark.parametrize(("name", "epoch"), [*EARLIER[:3], *((name, None) for name in ENDS)])
def test_scales_are_those_of_the_chapter(modules: Modules, name: str, epoch: int | None) -> None:
    images, labels = (part[:6] for part in pictures_of(name))
    network = Network(modules, KEPT / trained.path_of(name, epoch))
    found = network.compute("scales(net, images, labels)", images, labels)
    model = loaded(name, epoch).double()  # in float32 a sure network's gradients lose two digits
    expected = layer_scales(model, images.double(), labels)
    assert [scale["name"] for scale in found] == [scale.name for scale in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for measure in ("activation", "signal", "gradient"):
            assert ours[measure] == pytest.approx(getattr(theirs, measure), rel=1e-3), ours["name"]
        known = isinstance(getattr(model, theirs.name), nn.Conv2d | nn.Linear)
        weight_gradient = pytest.approx(theirs.weight_gradient, rel=1e-3) if known else None
        assert ours["weightGradient"] == weight_gradient, ours["name"]


def test_scales_of_one_picture_have_no_signal(modules: Modules) -> None:
    images, labels = (part[:1] for part in pictures_of("lenet/one_cycle"))
    network = Network(modules, KEPT / trained.path_of("lenet/one_cycle"))
    found = network.compute("scales(net, images, labels)", images, labels)
    outputs, gradients = outputs_and_gradients(loaded("lenet/one_cycle"), images, labels)
    assert [scale["signal"] for scale in found] == [0] * 12
    for scale, output, gradient in zip(found, outputs, gradients, strict=True):
        assert scale["activation"] == pytest.approx(output.std(correction=0).item(), rel=1e-3)
        assert scale["gradient"] == pytest.approx(gradient.std(correction=0).item(), rel=1e-3)


# What the kept networks do not have.


def normalized() -> nn.Sequential:
    """Build a network of layers that no kept one has, with statistics of its own."""
    torch.manual_seed(3)
    norm = nn.BatchNorm2d(6, eps=1e-3)
    for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        value.data.uniform_(0.5, 2)
    return nn.Sequential(
        nn.Conv2d(2, 6, (3, 2), stride=(1, 2), padding=(2, 1), groups=2, bias=False),
        norm,
        nn.Tanh(),
        nn.AvgPool2d((2, 3), stride=(1, 2), padding=(1, 1)),
        nn.Identity(),
        nn.Conv2d(6, 4, 3, dilation=(2, 1), padding=1, padding_mode="circular"),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5, bias=False),
    ).eval()


def test_every_layer_of_a_network_that_has_the_others(modules: Modules, tmp_path: Path) -> None:
    model = normalized()
    save_network(model, {}, tmp_path / "network")
    images = torch.randn(2, 2, 9, 14, generator=torch.Generator().manual_seed(0))
    network = Network(modules, tmp_path / "network")
    check_layers(network, set_weights(model, shrink(model)), images, torch.tensor([1, 4]))


def test_half_precision_is_read_to_the_bit(modules: Modules, tmp_path: Path) -> None:
    codes = torch.tensor([0, 1, 1023, 1024, 15360, 15361, 31743, -32768, -32767, -1025, -17408])
    numbers = codes.to(torch.int16).view(torch.float16)  # zero, the smallest, one, the largest ...
    model = nn.Sequential(nn.Linear(1, len(numbers), bias=False))
    model[0].weight.data = numbers.float()[:, None]
    save_network(model, {}, tmp_path / "network")
    network = Network(modules, tmp_path / "network")
    found = network.compute('plain([net.weights["0.weight"]])[0]')
    assert found == numbers.tolist()


@pytest.mark.parametrize(("name", "layer"), [("lenet/relu", "fc2"), ("invariance/dense", "1")])
def test_packed_weights_are_read_to_the_bit(modules: Modules, name: str, layer: str) -> None:
    network = Network(modules, KEPT / trained.path_of(name))
    found = network.compute(f'plain([net.weights["{layer}.weight"]])[0]')
    expected = loaded(name).state_dict()[f"{layer}.weight"]
    assert torch.equal(torch.tensor(found).view(expected.shape), expected)


def test_file_tells_the_page_what_it_told_python(modules: Modules) -> None:
    network = Network(modules, KEPT / trained.path_of("shift/stride"))
    about = network.compute("net.about")
    assert (about["recipe"], about["seed"], about["epoch"]) == ("stride", 0, 2)


# One operator at a time.


def as_json(x: Tensor) -> dict[str, object]:
    return {"shape": list(x.shape), "values": x.detach().flatten().tolist()}


def called(modules: Modules, function: str, *arguments: object) -> Tensor:
    """Call an operator with tensors (without the axis of images) and words."""
    given = [as_json(value) if isinstance(value, Tensor) else value for value in arguments]
    found = modules.call("operators", function, *given)
    return torch.tensor(found["values"]).reshape(found["shape"])


def random(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator).requires_grad_()


CONVOLUTIONS = [
    # image, weight, stride, padding, dilation, groups, mode
    ((1, 5, 7), (2, 1, 2, 3), (1, 1), (0, 0), (1, 1), 1, "zeros"),
    ((3, 8, 6), (4, 3, 3, 3), (2, 1), (1, 2), (1, 1), 1, "zeros"),
    ((4, 9, 11), (6, 2, 3, 2), (1, 3), (0, 1), (2, 3), 2, "zeros"),
    ((3, 6, 7), (3, 1, 3, 5), (1, 1), (1, 2), (1, 1), 3, "circular"),
    ((2, 7, 5), (3, 2, 3, 3), (3, 2), (2, 1), (1, 2), 1, "circular"),
]


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv2d_and_its_gradient(modules: Modules, case: tuple) -> None:
    x, weight, bias = random(*case[0]), random(*case[1]), random(case[1][0])
    stride, padding, dilation, groups, mode = case[2:]
    words = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    (ph, pw), border = padding, "circular" if mode == "circular" else "constant"
    padded = F.pad(x[None], (pw, pw, ph, ph), mode=border)
    expected = conv2d(padded, weight, bias, stride, 0, dilation, groups)[0]
    words["padding_mode"] = mode
    found = called(modules, "conv2d", x, weight, bias, words)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    grad = random(*expected.shape)
    (expected_grad,) = torch.autograd.grad(expected, x, grad)
    found = called(modules, "conv2dBackward", x, weight, grad, words)
    torch.testing.assert_close(found, expected_grad, atol=1e-5, rtol=0)


POOLINGS = [
    ((2, 6, 7), (2, 2), (2, 2), (0, 0)),
    ((3, 5, 8), (3, 2), (1, 2), (1, 0)),
    ((1, 7, 7), (2, 3), (3, 1), (1, 1)),
]


@pytest.mark.parametrize("case", POOLINGS)
@pytest.mark.parametrize(("name", "pool"), [("maxPool2d", max_pool2d), ("avgPool2d", avg_pool2d)])
def test_pooling_and_its_gradient(modules: Modules, name: str, pool, case: tuple) -> None:
    x, (kernel_size, stride, padding) = random(*case[0]), case[1:]
    words = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    check_pooling(modules, name, x, pool(x[None], kernel_size, stride, padding)[0], words)


@pytest.mark.parametrize(("k", "stride"), [(2, 2), (3, 2), (3, 1), (5, 3)])
def test_blur_pooling_and_its_gradient(modules: Modules, k: int, stride: int) -> None:
    x = random(2, 7, 9)
    check_pooling(modules, "blurPool2d", x, blur_pool2d(x[None], k, stride)[0], k, stride)


def check_pooling(modules: Modules, name: str, x: Tensor, expected: Tensor, *words) -> None:
    found = called(modules, name, x, *words)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    grad = random(*expected.shape)
    (expected_grad,) = torch.autograd.grad(expected, x, grad)
    found = called(modules, f"{name}Backward", x, grad, *words)
    torch.testing.assert_close(found, expected_grad, atol=1e-5, rtol=0)


def test_equal_numbers_send_the_gradient_to_the_first(modules: Modules) -> None:
    x, words = torch.zeros(1, 2, 2), {"kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]}
    found = called(modules, "maxPool2dBackward", x, torch.ones(1, 1, 1), words)
    assert found.flatten().tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("scores", [[0.0, 1.0, -2.0], [1000.0, 999.0, 0.0]])
def test_softmax_turns_scores_into_probabilities(modules: Modules, scores: list[float]) -> None:
    found = modules.call("operators", "softmax", scores)
    assert found == pytest.approx(torch.tensor(scores).softmax(0).tolist(), abs=1e-6)


def test_root_mean_square_and_spread_by_hand(modules: Modules) -> None:
    assert modules.call("network", "rootMeanSquare", [3, -4]) == pytest.approx(12.5**0.5)
    assert modules.call("network", "spread", [3, -4]) == pytest.approx(3.5)
