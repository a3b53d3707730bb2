"""Each switch of `fit` against the plain loop, and what happens where a device lacks one."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils._python_dispatch import TorchDispatchMode

from cnncourse.datasets import Split, load_mnist
from cnncourse.training import History, Switches, evaluate, fast, fit, seed_everything
from cnncourse.training.fast import GraphedStep, scaled_step, usable
from tests.package.test_training import CLOSE, blobs, small_net

MOMENTUM = partial(torch.optim.SGD, lr=0.05, momentum=0.9)


def two_layers(seed: int = 0) -> nn.Sequential:
    """Return a network whose second convolution has more than one channel on both sides."""
    torch.manual_seed(seed)
    first, second = nn.Conv2d(1, 4, (2, 3), padding=1), nn.Conv2d(4, 6, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(120, 3))


def trained(model: nn.Module, **settings: object) -> dict[str, Tensor]:
    options = {"epochs": 3, "batch_size": 16, "optimizer": MOMENTUM, "device": "cpu"} | settings
    fit(model, blobs(), blobs(seed=1), **options)
    return model.state_dict()


# What is computed stays the same


def test_channels_last_changes_weights_by_rounding_alone_and_gives_the_model_back() -> None:
    model, orders = two_layers(), []
    model[2].register_forward_hook(
        lambda layer, _, y: orders.append(y.is_contiguous(memory_format=torch.channels_last))
    )
    weights = trained(model, switches=Switches(channels_last=True))
    assert set(orders[3:]) == {True}  # after a trial picture of each split, and one of the switch
    assert all(weight.is_contiguous() for weight in weights.values())
    for name, weight in trained(two_layers()).items():
        torch.testing.assert_close(weights[name], weight, **CLOSE)


def test_pictures_and_kernels_lie_in_the_order_that_was_asked_for() -> None:
    images, kernels = torch.rand(2, 3, 4, 5), nn.Conv2d(3, 2, 3)
    order = {"memory_format": torch.channels_last}
    with fast.laid_out(kernels, (images, torch.zeros(2).long()), True) as (laid, _):
        assert torch.equal(laid, images)
        assert laid.is_contiguous(**order)
        assert kernels.weight.is_contiguous(**order)
    assert kernels.weight.is_contiguous()


@pytest.mark.parametrize("argument", ["fused", "foreach"])
def test_fused_and_foreach_are_the_optimizers_own_arguments(argument: str) -> None:
    weights = trained(small_net(), optimizer=partial(MOMENTUM, **{argument: True}))
    for name, weight in trained(small_net()).items():
        torch.testing.assert_close(weights[name], weight, **CLOSE)


@pytest.mark.parametrize(
    ("precision", "kind"), [("bfloat16", torch.bfloat16), ("float16", torch.float16)]
)
def test_a_precision_is_for_the_training_alone(
    precision: str, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "_multiplies_in", lambda *_: True)
    model, kinds = small_net(), {True: set(), False: set()}
    model[0].register_forward_hook(lambda layer, _, y: kinds[layer.training].add(y.dtype))
    weights = trained(model, switches=Switches(precision=precision))
    assert kinds == {True: {kind}, False: {torch.float32}}
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


@pytest.fixture(scope="module")
def digits() -> tuple[Split, Split]:
    """Return 2,000 digits to train on and 1,000 others, at half their size."""
    data = load_mnist()
    pairs = [(data.train, 2000), (data.validation, 1000)]
    return tuple(Split(avg_pool2d(s.images[:n], 2), s.labels[:n]) for s, n in pairs)


def read_right(digits: tuple[Split, Split], switches: Switches, seed: int) -> float:
    """Return what a small network reads right after three epochs."""
    train, validation = digits
    seed_everything(seed)
    maps = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2))
    more = nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    model = nn.Sequential(maps, more, nn.Linear(64, 10))
    settings = {"epochs": 3, "batch_size": 32, "device": "cpu", "seed": seed}
    schedule = partial(OneCycleLR, max_lr=0.1)
    fit(model, train, optimizer=MOMENTUM, schedule=schedule, switches=switches, **settings)
    return evaluate(model, validation).accuracy


def test_switches_reach_the_accuracy_of_the_plain_loop(
    digits: tuple[Split, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "_multiplies_in", lambda *_: True)
    ways = [fast.OFF, Switches(channels_last=True), Switches(precision="bfloat16")]
    plain, *others = ([read_right(digits, way, seed) for seed in (0, 1)] for way in ways)
    # Near 0.91, 1,000 pictures have a standard error of 0.009; the seeds differ by 0.006.
    assert 0.89 < min(plain) < 0.93
    assert [other for other in others if abs(sum(other) - sum(plain)) / 2 > 0.012] == []


def test_small_gradients_survive_in_float16() -> None:
    """A gradient of 1e-8 is zero in float16, whose smallest number is 6e-8."""
    gradients = []
    for enabled in (True, False):
        weight = nn.Parameter(torch.ones(1))
        scaler = torch.amp.GradScaler("cpu", enabled=enabled)
        descent = torch.optim.SGD([weight], lr=0.0)

        def passes(_: Tensor, weight: Tensor = weight) -> tuple[Tensor, Tensor]:
            return (weight.half() * 2**-13).float().sum() * 2**-13, torch.tensor(0)

        scaled_step(passes, descent, scaler, torch.zeros(1).long())
        gradients.append(weight.grad.item())
    assert gradients == [2**-26, 0]


def test_the_compiled_network_makes_the_steps_and_the_plain_one_validates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[nn.Module] = []

    class Compiled(nn.Module):
        def __init__(self, model: nn.Module, dynamic: bool) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            calls.append(self.model)
            return self.model(x)

    monkeypatch.setattr(fast, "_no_compiler", lambda _: None)
    monkeypatch.setattr(torch, "compile", Compiled)
    model = small_net()
    weights = trained(model, switches=Switches(compile=True))
    assert calls == [model] * 3 * 5  # epochs, and steps of each
    for name, weight in trained(small_net()).items():
        assert torch.equal(weights[name], weight)


@pytest.mark.training
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own code
@pytest.mark.skipif(not shutil.which("g++"), reason="needs a compiler")
def test_a_compiled_network_learns_the_same() -> None:
    weights = trained(small_net(), switches=Switches(compile=True), epochs=1)
    for name, weight in trained(small_net(), epochs=1).items():
        torch.testing.assert_close(weights[name], weight, **CLOSE)


# A switch that is missing


class ByView(nn.Sequential):
    """What a learner writes: a view in place of a flatten."""

    def forward(self, x: Tensor) -> Tensor:
        maps = super().forward(x)
        return maps.view(len(maps), -1)


def by_view() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(ByView(nn.Conv2d(1, 4, 2), nn.Conv2d(4, 3, 2)), nn.Linear(9, 3))


@pytest.mark.parametrize(
    ("switches", "build", "message"),
    [
        (Switches(channels_last=True), by_view, r"`channels_last` stays off.*x\.flatten\(1\)"),
        (Switches(cuda_graph=True), small_net, "`cuda_graph` stays off.*the device is cpu"),
        (Switches(compile=True), small_net, "`compile` stays off.*no compiler .*FileNotFoundErr"),
        (Switches(precision="bfloat16"), small_net, "`precision` stays off.* this cpu .*bfloat16"),
        (Switches(precision="float16"), small_net, "`precision` stays off.* this cpu .*float16"),
    ],
    ids=["channels_last", "cuda_graph", "compile", "bfloat16", "float16"],
)
def test_a_switch_that_is_missing_is_named_and_the_plain_loop_runs(
    switches: Switches,
    build: Callable[[], nn.Module],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("bf16", "fp16"):
        monkeypatch.setattr(torch.ops.mkldnn, f"_is_mkldnn_{name}_supported", lambda: False)
    monkeypatch.setattr(torch, "compile", fails)
    fast._no_compiler.cache_clear()
    with pytest.warns(UserWarning, match=message) as caught:
        weights = trained(build(), switches=switches)
    fast._no_compiler.cache_clear()
    assert len(caught) == 1
    for name, weight in trained(build()).items():
        assert torch.equal(weights[name], weight)


def fails(*_: object, **__: object) -> None:
    raise FileNotFoundError("g++")


def test_usable_keeps_what_the_device_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "_multiplies_in", lambda *_: True)
    monkeypatch.setattr(fast, "_no_compiler", lambda _: None)
    wanted = Switches(channels_last=True, precision="bfloat16", compile=True)
    assert usable(wanted, two_layers(), blobs().images) == wanted
    with pytest.warns(UserWarning, match="not for a model that several processes train") as caught:
        left = usable(wanted, two_layers(), blobs().images, processes=2)
    assert left == Switches(precision="bfloat16")
    assert len(caught) == 2
    with pytest.warns(UserWarning, match=r"shape \(n, c, h, w\), got \(2, 5\)"):
        usable(wanted, nn.Linear(5, 2), torch.ones(2, 5))


@pytest.mark.parametrize("has", [True, False])
def test_a_gpu_without_bfloat16_still_has_float16(
    has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    gpu = torch.device("cuda")
    assert fast._multiplies_in("bfloat16", gpu) is has
    assert fast._multiplies_in("float16", gpu) is True


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"precision": "half"}, ValueError, "`precision` must be one of float32, bfloat16, float1"),
        ({"compile": "yes"}, TypeError, "`compile` must be True or False, got 'yes'"),
        ({"channels_last": 1}, TypeError, "`channels_last` must be True or False, got 1"),
    ],
    ids=str,
)
def test_switches_name_the_bad_argument(wrong: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Switches(**wrong)
    with pytest.raises(TypeError, match="`switches` must be Switches, got dict"):
        fit(small_net(), blobs(), switches=wrong)


# A CUDA graph, without a GPU: what is recorded is computed again, in place, at each replay


class Replayed(GraphedStep):
    """Replay as a graph does: into the same tensors, whatever the weights' ``.grad`` is by then."""

    recordings = 0

    def record(self, batch: Tensor) -> None:
        self.batch, self.recordings = batch, self.recordings + 1
        self.loss, self.hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        self.gradients = [torch.zeros_like(weight) for weight in self.weights]
        self.replay = self.compute

    def compute(self) -> None:
        loss, hits = self.passes(self.batch)
        for kept, new in zip(self.gradients, torch.autograd.grad(loss, self.weights), strict=True):
            kept.copy_(new)
        self.loss.copy_(loss.detach())
        self.hits.copy_(hits)

    @staticmethod
    def beside(work: Callable) -> tuple[Tensor, Tensor]:
        return work()


def test_a_graph_takes_full_batches_and_leaves_the_short_one_to_the_plain_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[Replayed] = []

    def build(*parts: object) -> Replayed:
        steps.append(Replayed(*parts))
        return steps[-1]

    monkeypatch.setattr(fast, "GraphedStep", build)
    monkeypatch.setattr(fast, "usable", lambda switches, *_: switches)
    plain, graphed = small_net(), small_net()
    histories = [
        fit(
            model,
            blobs(),
            epochs=3,
            batch_size=16,
            optimizer=MOMENTUM,
            schedule=partial(OneCycleLR, max_lr=0.1),
            device="cpu",
            switches=Switches(cuda_graph=on),
        )
        for model, on in [(plain, False), (graphed, True)]
    ]
    # 70 pictures are four full batches and one of six, which throws the graph's gradients away.
    assert (steps[0].steps, steps[0].recordings) == (12, 1)
    assert histories[0].train_loss == pytest.approx(histories[1].train_loss, rel=1e-6)
    for a, b in zip(plain.parameters(), graphed.parameters(), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    "switches",
    [
        Switches(cuda_graph=True),
        Switches(cuda_graph=True, channels_last=True, precision="float16"),
        Switches(cuda_graph=True, compile=True),
    ],
    ids=["graph", "float16", "compiled"],
)
def test_a_graph_on_a_gpu_learns_what_the_plain_loop_does(switches: Switches) -> None:
    losses = []
    for chosen in (fast.OFF, switches):
        settings = {"epochs": 4, "batch_size": 16, "optimizer": MOMENTUM, "device": "cuda"}
        losses.append(fit(two_layers(), blobs(), switches=chosen, **settings).train_loss)
    # TF32 and float16 keep 10 bits of a product; a step that is lost or doubled differs far more.
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)


# Nothing waits for the GPU before the epoch and its validation are on their way


class Reads(TorchDispatchMode):
    """Note when a number is read from a tensor, and when a picture is validated."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.notes: list[str] = []
        copy = Tensor.cpu
        monkeypatch.setattr(Tensor, "cpu", lambda x: self.notes.append("read") or copy(x))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            self.notes.append("read")
        return func(*args, **(kwargs or {}))


def test_an_epoch_waits_for_the_gpu_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_net()
    with Reads(monkeypatch) as reads:
        model.register_forward_hook(
            lambda layer, *_: reads.notes.append("train" if layer.training else "validate")
        )
        fit(model, blobs(), blobs(seed=1), epochs=2, batch_size=35, device="cpu")
    first = reads.notes.index("train")  # what stands before it happens once a run
    words = [
        word for i, word in enumerate(reads.notes[first:]) if word != reads.notes[first + i - 1]
    ]
    assert words == ["train", "validate", "read"] * 2


def test_plain_switches_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(
            fit(small_net(), blobs(), epochs=1, device="cpu", switches=replace(fast.OFF)), History
        )
