"""LeNet under X-ray."""

from __future__ import annotations

import base64
import json

import pytest
import torch
from torch import nn

from cnncourse import explore
from cnncourse.datasets import load_fashion_mnist
from cnncourse.explore.lenet import LeNetExplorer
from cnncourse.records.stored import read_about
from cnncourse.records.trained import path_of
from tests.explore.stage import Modules
from tests.explore.test_network import KEPT

ALTERED = [("own", 1.0), ("ReLU", 0.5), ("tanh", 4.0)]


def said_of(explorer: LeNetExplorer) -> str:
    """Say what Python finds, as the page says it."""
    shares, best = explorer.probabilities.sort(descending=True)
    fashion = not explorer.net.endswith("mnist")
    names = load_fashion_mnist().classes if fashion else "0123456789"
    first, second = (f"{names[best[k]]} ({shares[k]:.2f})" for k in (0, 1))
    return f"LeNet answers {first}, then {second}."


def in_page(modules: Modules, explorer: LeNetExplorer, script: str) -> list:
    """Evaluate a script with the explorer's network, ``net``, and its picture, ``x``."""
    modules.call("network", "spread", [0])  # loads the module
    modules.call("xray", "randomPixels")
    file = base64.b64encode(explorer.weights).decode()
    found = modules.page.evaluate(
        f"""([file, pixels, activation, scale]) => {{
            const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
            const {{ network: {{ readNetwork, forward }}, xray }} = modules;
            const net = xray.altered(readNetwork(new DataView(bytes.buffer)), activation, scale);
            const x = {{ shape: [1, 28, 28], values: Float32Array.from(pixels) }};
            const plain = ({{ shape, values }}) => [shape, Array.from(values)];
            return JSON.stringify({script});
        }}""",
        [file, explorer.x.flatten().tolist(), explorer.activation, explorer.scale],
    )
    return json.loads(found)


@pytest.mark.parametrize(("right", "down", "noise"), [(0, 0, 0.0), (-5, 3, 0.25), (14, -14, 1.0)])
def test_page_moves_and_spoils_as_python_does(modules: Modules, right, down, noise) -> None:
    explorer = explore.lenet()
    values = explorer.x.flatten().tolist()
    found = modules.call("xray", "moved", values, right, down, noise)["values"]
    explorer.set_state({"right": right, "down": down, "noise": noise})
    torch.testing.assert_close(torch.tensor(found), explorer.x.flatten(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("activation", "scale"), ALTERED)
def test_page_alters_a_network_as_python_does(modules: Modules, activation, scale) -> None:
    explorer = explore.lenet("lenet_sigmoid", 0)
    explorer.set_state({"activation": activation, "scale": scale})
    found = in_page(modules, explorer, "forward(net, x).map(plain)")
    for (shape, values), expected in zip(found, explorer.outputs.values(), strict=True):
        assert tuple(shape) == expected.shape
        largest = expected.abs().max().item()
        torch.testing.assert_close(
            torch.tensor(values), expected.flatten(), atol=1e-5 * largest, rtol=0
        )


@pytest.mark.parametrize(("k", "i", "j"), [(0, 3, 27), (2, 0, 5), (4, 9, 2), (5, 2, 3), (7, 0, 0)])
def test_frame_holds_the_pixels_that_a_unit_sees(modules: Modules, k, i, j) -> None:
    explorer = explore.lenet("lenet_sigmoid", 0)
    found = in_page(modules, explorer, f"xray.field(net, {k}, {i}, {j})")
    x = explorer.x[None, None].requires_grad_()
    y = explorer.model[: k + 1](x)[0]
    (y[0, i, j] if y.ndim == 3 else y[0]).backward()
    rows, columns = (x.grad[0, 0].abs().sum(axis).nonzero().flatten() for axis in (1, 0))
    for first, seen in ((found["top"], rows), (found["left"], columns)):
        assert seen.min() == max(first, 0)
        assert seen.max() == min(first + found["size"], 28) - 1


def test_line_is_drawn_between_its_ends_and_darkens_nothing(modules: Modules) -> None:
    before = torch.full((28, 28), 0.3)
    found = modules.call("xray", "withLine", before.flatten().tolist(), [5.5, 5.5], [5.5, 15.5])
    after = torch.tensor(found).reshape(28, 28)
    assert (after[5, 5:16] == 1).all()
    assert (after >= before).all()
    assert (after[9:] == before[9:]).all()
    assert (after[:, 18:] == before[:, 18:]).all()


def test_maps_stand_side_by_side_and_one_of_them_is_large(modules: Modules) -> None:
    y = torch.randn(3, 2, 4)
    output = {"shape": list(y.shape), "values": y.flatten().tolist()}
    found = modules.call("xray", "strip", output)
    row = torch.tensor([float("nan") if v is None else v for v in found["pixels"]])
    row = row.reshape(found["height"], found["width"])
    for c in range(3):
        assert torch.equal(row[:, 5 * c : 5 * c + 4], y[c])
    assert row[:, 4].isnan().all()
    large = modules.call("xray", "enlarged", output, 1)
    assert divmod(y[1].argmax().item(), 4) == (large["i"], large["j"])
    assert large["map"] == y[1].flatten().tolist()
    numbers = {"shape": [14], "values": torch.arange(14.0).tolist()}
    large = modules.call("xray", "enlarged", numbers, 13)
    assert (large["h"], large["w"], large["i"], large["j"], large["value"]) == (2, 12, 1, 1, 13)


def test_keyboard_moves_the_picture_and_chooses_a_map(opened) -> None:
    stage, explorer = opened(explore.lenet()), explore.lenet()
    assert stage.said().startswith(said_of(explorer))
    stage.page.get_by_role("button", name="Move").press("Space")
    for _ in range(4):
        stage.page.get_by_label("Picture: arrow keys move it").press("ArrowDown")
    explorer.down = 4
    assert explorer.probabilities.argmax() != 3  # or the hint promises too much
    stage.wait_for_words(said_of(explorer))
    stage.page.get_by_label("Layers: arrow").press("ArrowDown")
    stage.page.get_by_label("Layers: arrow").press("ArrowRight")
    map7 = explorer.outputs["pool2"][7]
    i, j = divmod(map7.argmax().item(), 5)
    stage.wait_for_words(f"pool2, channel 7 is largest at row {i}, column {j}: {map7.max():.3g}.")
    stage.wait_for_state(down="4", layer="pool2", channel="7")
    assert stage.errors == []


def test_keyboard_draws_with_a_pen(opened) -> None:
    stage = opened(explore.lenet())
    stage.page.get_by_role("button", name="Clear").press("Space")
    stage.wait_for_state(picture="drawing")
    picture = stage.page.get_by_label("Picture: arrow keys move the pen, space draws")
    picture.press("ArrowUp")
    stage.wait_for_words("Pen at row 13, column 14, black. LeNet answers ")
    for _ in range(4):
        picture.press("ArrowLeft")
    top = stage.page.evaluate("() => { scrollTo(0, 1); return scrollY; }")
    picture.press("Space")
    stage.wait_for_words("Pen at row 13, column 10, white.")
    assert stage.page.evaluate("scrollY") == top
    assert picture.locator(".explorer-pen").count() == 1
    rows = torch.tensor(json.loads(stage.state()["drawing"]))
    expected = torch.zeros(28, 28)
    expected[12:15, 9:12] = torch.tensor([[0.6, 1, 0.6], [1, 1, 1], [0.6, 1, 0.6]])
    torch.testing.assert_close(rows.float(), expected)
    picture.press("ArrowUp")
    picture.press("ArrowLeft")
    stage.wait_for_words("Pen at row 12, column 9, grey.")
    stage.page.get_by_role("button", name="Move").press("Space")
    explorer = explore.lenet()
    explorer.set_state({"picture": "drawing", "drawing": rows.tolist()})
    stage.page.locator(".explorer-said", has_not_text="Pen at").wait_for()
    stage.wait_for_words(said_of(explorer))
    assert picture.count() == 0
    assert stage.page.locator(".explorer-pen").count() == 0
    assert stage.errors == []


def test_map_of_equal_numbers_has_no_largest_place(opened) -> None:
    stage = opened(explore.lenet(), "layer=act2&channel=6")
    assert "act2, channel 6 is largest at row" in stage.said()
    stage.page.get_by_role("button", name="Clear").click()
    explorer = explore.lenet()
    explorer.set_state({"picture": "drawing", "drawing": [[0.0]]})
    value = explorer.outputs["act2"][6].unique().item()
    stage.wait_for_words(f"act2, channel 6 is {value:.3g} everywhere.")
    for name in (".xray-side", ".xray-right > .explorer-picture"):
        assert stage.page.locator(f"{name} .explorer-window").count() == 0
    stage.page.get_by_role("button", name="Reset").click()
    stage.wait_for_words("act2, channel 6 is largest at row")
    assert stage.page.locator(".xray-side .explorer-window").count() == 1


def test_scales_fit_a_narrow_phone(opened) -> None:
    stage = opened(explore.lenet("lenet_sigmoid", 0, scales=True), phone=True)
    stage.wait_for_words("The signal in fc3")
    for width in (320, 360):
        stage.page.set_viewport_size({"width": width, "height": 640})
        assert stage.page.evaluate("document.scrollingElement.scrollWidth") <= width
        inside = stage.page.locator(".xray-scales .xray-bar").evaluate_all(
            """bars => bars.every(bar => bar.getBoundingClientRect().right
                <= bar.closest(".explorer-box").getBoundingClientRect().right)"""
        )
        assert inside


def test_forced_colours_show_bars_and_what_is_chosen(opened) -> None:
    stage = opened(explore.lenet(), forced_colors="active")
    highlight = stage.page.evaluate(
        """() => {
            const probe = document.createElement("i");
            probe.style.cssText = "color: Highlight; forced-color-adjust: none";
            document.body.append(probe);
            return getComputedStyle(probe).color;
        }"""
    )
    style = "(e, key) => getComputedStyle(e)[key]"
    bar = stage.page.locator(".xray-answers .xray-bar > span").first
    assert bar.evaluate(style, "backgroundColor") == highlight
    chosen = stage.page.get_by_role("button", name="Draw"), stage.page.locator(":checked + canvas")
    other = stage.page.get_by_role("button", name="Move")
    assert [one.evaluate(style, "outlineStyle") for one in (*chosen, other)] == [
        "solid",
        "solid",
        "none",
    ]
    assert {one.evaluate(style, "outlineColor") for one in chosen} == {highlight}


def test_finger_draws_moves_and_chooses_a_map(opened) -> None:
    stage = opened(explore.lenet(), phone=True)
    tap = stage.page.touchscreen.tap
    stage.page.get_by_role("button", name="Clear").tap()
    stage.wait_for_state(picture="drawing")
    box = stage.page.get_by_label("Picture: arrow").bounding_box()
    tap(box["x"] + box["width"] * 8.5 / 28, box["y"] + box["height"] * 4.5 / 28)
    stage.page.wait_for_function("() => location.hash.includes('drawing=%5B%5B0%2C')")
    rows = torch.tensor(json.loads(stage.state()["drawing"]))
    assert rows.shape == (28, 28)
    assert divmod(rows.argmax().item(), 28) in {(4, 7), (4, 8), (3, 8)}
    explorer = explore.lenet()
    explorer.set_state({"picture": "drawing", "drawing": rows.tolist()})
    stage.wait_for_words(said_of(explorer))
    strip = stage.page.locator(".xray-layers .explorer-panel").first
    strip.scroll_into_view_if_needed()
    box = strip.bounding_box()
    tap(box["x"] + 0.9 * box["width"], box["y"] + 5)
    stage.wait_for_state(layer="conv1", channel="5")


def test_another_network_is_fetched_when_it_is_chosen(opened) -> None:
    stage, asked = opened(explore.lenet()), []
    stage.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    stage.page.get_by_label("Network").select_option("clothes, sigmoid")
    stage.wait_for_words(said_of(explore.lenet("lenet_sigmoid")))
    assert [name for name in asked if "png" not in name] == ["lenet_sigmoid.safetensors.js"]
    stage.page.get_by_label("Training").press("ArrowLeft")
    stage.wait_for_words(said_of(explore.lenet("lenet_sigmoid", 5)))
    about = read_about(KEPT / path_of("lenet/lenet_sigmoid", 5))
    share = f"{100 * about['validation_accuracy']:.0f} % of the validation pictures right"
    assert stage.page.get_by_text(f"5 epochs: {share}").is_visible()
    stage.wait_for_state(net="lenet_sigmoid_epoch_5")
    assert stage.errors == []


@pytest.mark.parametrize("activation", ["own", "ReLU"])
def test_scales_of_the_page_are_those_of_the_package(opened, activation) -> None:
    explorer = explore.lenet("lenet_sigmoid", 0, scales=True)
    explorer.activation = activation
    stage = opened(explorer)
    found = {scale.name: scale for scale in explorer.layer_scales}
    signal = found["fc3"].signal / found["conv1"].signal
    gradient = found["conv1"].weight_gradient / found["fc3"].weight_gradient
    stage.wait_for_words(
        f"The signal in fc3 is {compared(signal)} than in conv1; "
        f"the gradient of conv1's weights is {compared(gradient)} than that of fc3's."
    )


def compared(ratio: float) -> str:
    larger, word = (1 / ratio, "smaller") if ratio < 1 else (ratio, "larger")
    return f"{float(f'{larger:.2g}'):g} times {word}"


def test_names_of_the_page_are_those_of_the_data(modules: Modules) -> None:
    modules.call("lenet_picture", "recipeOf", "")
    names = modules.page.evaluate("() => modules.lenet_picture.CLOTHES")
    assert tuple(names) == load_fashion_mnist().classes


def test_python_reads_the_weights_that_a_reader_chooses() -> None:
    explorer = explore.lenet()
    explorer.set_state({"net": "relu_epoch_2"})
    assert explorer.weights == (KEPT / "lenet/relu_epoch_2.safetensors").read_bytes()
    assert isinstance(explorer.model.act1, nn.ReLU)
    with pytest.raises(ValueError, match=r"`recipe` must be one of .*relu.*, got 'max_pool'"):
        explore.lenet("max_pool")
    with pytest.raises(ValueError, match="`epoch` must be None or one of 0, 1, 2, 5, got 3"):
        explore.lenet("relu", 3)
