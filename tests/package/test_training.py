"""The loop against a second loop written with torch's DataLoader, and every promise of `fit`."""

from __future__ import annotations

import random
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, Subset, TensorDataset

from cnncourse.datasets import Split
from cnncourse.training import (
    SGD,
    DivergenceError,
    Evaluation,
    History,
    evaluate,
    fit,
    predict,
    seed_everything,
)

# One float32 step of two implementations differs by rounding alone; a few dozen steps amplify it.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def blobs(n: int = 70, classes: int = 3, seed: int = 0) -> Split:
    """Draw images whose class is the row that is brighter than the others."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (n,), generator=generator)
    images = torch.randn(n, 1, classes, 5, generator=generator)
    images[torch.arange(n), 0, labels] += 2
    return Split(images, labels)


def small_net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, (2, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 2 * 3, 3))


def reference_fit(model, split, epochs, batch_size, optimizer, seed, schedule=None):
    """Train with DataLoader batches in the order of torch.randperm; return the epoch means."""
    generator = torch.Generator().manual_seed(seed)
    data, descent = TensorDataset(*split), optimizer(model.parameters())
    scheduler = schedule(descent) if schedule else None
    means = []
    for _ in range(epochs):
        order = torch.randperm(len(data), generator=generator).tolist()
        total = right = 0.0
        for x, y in DataLoader(Subset(data, order), batch_size):
            logits = model(x)
            loss = functional.nll_loss(functional.log_softmax(logits, 1), y)
            descent.zero_grad()
            loss.backward()
            descent.step()
            if scheduler:
                scheduler.step()
            total += loss.item() * len(y)
            right += (logits.argmax(1) == y).float().mean().item() * len(y)
        means.append((total / len(data), right / len(data)))
    return means


@pytest.mark.parametrize("batch_size", [1, 16, 70, 1000])
def test_fit_equals_a_dataloader_loop(batch_size: int) -> None:
    split, ours, theirs = blobs(), small_net(), small_net()
    history = fit(ours, split, epochs=2, batch_size=batch_size, seed=5, device="cpu")
    means = reference_fit(theirs, split, 2, batch_size, SGD, seed=5)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)
    assert history.train_loss == pytest.approx([loss for loss, _ in means], rel=1e-4)
    assert history.train_accuracy == pytest.approx([right for _, right in means], abs=1e-6)


def test_fit_steps_the_schedule_once_a_batch_over_the_whole_run() -> None:
    split, ours, theirs = blobs(), small_net(), small_net()
    optimizer = partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True)
    one_cycle = partial(OneCycleLR, max_lr=0.1)
    fit(ours, split, epochs=3, batch_size=32, optimizer=optimizer, schedule=one_cycle, device="cpu")
    # 70 images in batches of 32 are three steps an epoch, the short one included.
    reference_fit(theirs, split, 3, 32, optimizer, 0, partial(one_cycle, total_steps=9))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


def test_fit_learns_what_can_be_learned() -> None:
    model, test = small_net(), blobs(seed=1)
    before = evaluate(model, test).accuracy
    history = fit(model, blobs(), test, epochs=20, batch_size=10, device="cpu")
    # The rows differ by 2 standard deviations in 5 pixels: the best rule errs well below 5 %.
    assert before < 0.6 < 0.95 <= evaluate(model, test).accuracy
    assert history.validation_accuracy[-1] == evaluate(model, test).accuracy
    assert history.validation_loss[-1] == evaluate(model, test).loss
    assert len(history.seconds) == 20
    assert min(history.seconds) > 0


class LabelLooks(TorchDispatchMode):
    """Count the searches for the smallest and the largest label."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        wanted = func in (torch.ops.aten.min.default, torch.ops.aten.max.default)
        self.count += wanted and args[0].dtype == torch.int64
        return func(*args, **(kwargs or {}))


def test_fit_looks_at_the_range_of_the_labels_once_and_not_once_an_epoch() -> None:
    counts = []
    for epochs in (1, 4):
        with LabelLooks() as looks:
            fit(small_net(), blobs(), blobs(seed=1), epochs=epochs, device="cpu")
        counts.append(looks.count)
    assert counts == [4, 4]  # smallest and largest, of two splits


def test_fit_shuffles_by_its_seed_alone() -> None:
    runs = []
    for seed, noise in [(3, 1), (3, 2), (4, 1)]:
        model = small_net()
        torch.manual_seed(noise)
        runs.append(fit(model, blobs(), epochs=2, batch_size=8, seed=seed, device="cpu").train_loss)
    assert runs[0] == runs[1] != runs[2]


def test_fit_visits_every_image_once_an_epoch_in_a_new_order() -> None:
    images = torch.arange(10.0).reshape(10, 1, 1, 1)
    seen: list[float] = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    model[0].register_forward_pre_hook(
        lambda layer, inputs: seen.extend(inputs[0].flatten().tolist()) if layer.training else None
    )
    fit(model, (images, torch.zeros(10).long()), epochs=2, batch_size=4, device="cpu")
    first, second = seen[:10], seen[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != sorted(first)


@pytest.mark.parametrize("mode", [True, False])
def test_fit_trains_in_training_mode_and_restores_the_mode(mode: bool) -> None:
    modes = []
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(15, 3)).train(mode)
    model[1].register_forward_hook(lambda layer, *_: modes.append(layer.training))
    fit(model, blobs(), blobs(), epochs=2, batch_size=35, device="cpu")
    # Two trial images, then twice two training batches and a validation pass.
    assert modes == [False, False, True, True, False, True, True, False]
    assert all(layer.training is mode for layer in model.modules())


def test_fit_leaves_a_normalized_model_alone_until_the_first_step() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(15, 3))
    fit(model, blobs(70), blobs(), epochs=1, batch_size=35, device="cpu")
    assert model[0].num_batches_tracked == 2


def test_fit_accepts_lazy_layers() -> None:
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    assert len(fit(model, blobs(), epochs=1, device="cpu").epochs) == 1


def test_fit_returns_what_it_has_on_ctrl_c() -> None:
    model, calls = small_net().eval(), []

    def interrupt(*_: object) -> None:
        calls.append(1)
        if len(calls) == 1 + 3 + 2:  # one trial image, one whole epoch, and into the second
            raise KeyboardInterrupt

    handle = model.register_forward_hook(interrupt)
    history = fit(model, blobs(), epochs=5, batch_size=30, device="cpu")
    handle.remove()
    assert history.interrupted
    assert len(history.epochs) == len(history.train_loss) == 1
    assert not model.training
    assert 0 <= evaluate(model, blobs()).accuracy <= 1
    assert not fit(model, blobs(), epochs=1, device="cpu").interrupted


def test_fit_names_the_step_at_which_it_diverged() -> None:
    losses = []
    model = small_net()
    model.register_forward_hook(lambda layer, inputs, output: losses.append(output.detach()))
    huge = partial(torch.optim.SGD, lr=1e12)
    with pytest.raises(DivergenceError, match=r"rate 1e\+12: try a tenth") as caught:
        fit(model, blobs(), epochs=9, batch_size=7, optimizer=huge, device="cpu")
    first = next(i for i, logits in enumerate(losses[1:]) if not logits.isfinite().all())
    epoch, step = divmod(first, 10)
    assert f"epoch {epoch + 1}, step {step + 1} of 10" in str(caught.value)
    assert len(caught.value.history.epochs) == epoch


def test_fit_reports_the_rate_of_the_diverging_step() -> None:
    def jump(optimizer: torch.optim.Optimizer, total_steps: int) -> LambdaLR:
        assert total_steps == 30
        return LambdaLR(optimizer, lambda step: {12: 1e30, 13: 1}.get(step, 0.5))

    # The thirteenth step throws the weights away; the fourteenth is the first to see it.
    with pytest.raises(DivergenceError, match=r"epoch 2, step 4 of 10, with learning rate 0\.1:"):
        fit(small_net(), blobs(), epochs=3, batch_size=7, schedule=jump, device="cpu")


def test_fit_tells_bad_data_and_bad_weights_from_a_bad_rate() -> None:
    images, labels = blobs()
    spoiled = images.clone()
    spoiled[3, 0, 0, 0] = float("nan")
    with pytest.raises(DivergenceError, match="training images hold values that are not finite"):
        fit(small_net(), (spoiled, labels), epochs=1, device="cpu")
    model = small_net()
    model[0].bias.data.fill_(float("inf"))
    with pytest.raises(DivergenceError, match=r"step 1 of 1, .*initial weights"):
        fit(model, (images, labels), epochs=1, device="cpu")


def test_fit_is_silent_where_stderr_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    fit(small_net(), blobs(), blobs(), epochs=2, device="cpu")
    assert capfd.readouterr() == ("", "")
    fit(small_net(), blobs(), blobs(), epochs=2, device="cpu", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/2" in err
    assert "validation accuracy" in err


SPLIT = blobs()
BAD_FITS = [
    ({"epochs": 0}, ValueError, "`epochs` must be at least 1, got 0"),
    ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1, got 0"),
    ({"batch_size": 2.5}, TypeError, "`batch_size` must be an integer, got 2.5"),
    ({"seed": -1}, ValueError, "`seed` must be at least 0, got -1"),
    ({"model": 3}, TypeError, "`model` must be a torch.nn.Module, got int"),
    ({"optimizer": 0.1}, TypeError, "`optimizer` must be a callable .* got a float"),
    ({"optimizer": None}, TypeError, "`optimizer` must be a callable .* got a NoneType"),
    ({"schedule": "cosine"}, TypeError, "`schedule` must be a callable .* got a str"),
    ({"train": SPLIT.images}, TypeError, "`train` must be a pair .* got Tensor"),
    ({"train": (SPLIT.images[1:], SPLIT.labels)}, ValueError, r"`train` .*\(69,\), got \(70,\)"),
    ({"train": (SPLIT.images[:0], SPLIT.labels[:0])}, ValueError, "n at least 1, got"),
    ({"train": (SPLIT.images.byte(), SPLIT.labels)}, TypeError, "`train images`.*torch.uint8"),
    ({"train": ([1.0], SPLIT.labels)}, TypeError, "`train images` .* got list"),
    ({"train": (SPLIT.images, SPLIT.labels.float())}, TypeError, "`train labels`.*torch.float32"),
    ({"train": (SPLIT.images, SPLIT.labels - 1)}, ValueError, r"in 0\.\.2, .* got -1\.\.1"),
    ({"train": (SPLIT.images, SPLIT.labels + 1)}, ValueError, r"in 0\.\.2, .* got 1\.\.3"),
    ({"validation": (SPLIT.images, SPLIT.labels + 1)}, ValueError, "`validation labels` must be"),
    ({"model": nn.Identity()}, ValueError, r"return logits .* got \(1, 1, 3, 5\)"),
]


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(("change", "error", "message"), BAD_FITS)
def test_fit_names_the_bad_argument(change: dict, error: type, message: str) -> None:
    arguments = {"model": small_net(), "train": SPLIT, "device": "cpu", "epochs": 1} | change
    with pytest.raises(error, match=message):
        fit(**arguments)


def test_fit_without_a_device_takes_the_gpu_where_there_is_one() -> None:
    model = small_net()
    fit(model, blobs(), epochs=1)
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert {parameter.device.type for parameter in model.parameters()} == {expected}


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_fit_refuses_a_gpu_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="`device` must be one this machine has, got cuda"):
        fit(small_net(), blobs(), device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_fit_sees_the_same_batches_on_a_gpu() -> None:
    histories = [fit(small_net(), blobs(), epochs=3, device=name) for name in ("cpu", None)]
    # TF32 keeps 10 bits of a product on some GPUs; batches in another order differ far more.
    assert histories[0].train_loss == pytest.approx(histories[1].train_loss, rel=1e-2)


def test_evaluate_equals_the_hand_worked_numbers() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 4.0]]).reshape(3, 1, 1, 2)
    loss, accuracy = evaluate(nn.Flatten(), (logits, torch.tensor([0, 1, 1])))
    # -log(1/(1+e^-2)), -log(1/2), -log(1/(1+e^-4)); the tie goes to class 0 and is wrong.
    assert loss == pytest.approx((0.126928 + 0.693147 + 0.018150) / 3, abs=1e-6)
    assert accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize("batch_size", [1, 3, 70, 71])
def test_predict_does_not_depend_on_the_batch_size(batch_size: int) -> None:
    model, (images, _) = small_net(), blobs()
    logits = predict(model, images, batch_size=batch_size)
    assert not logits.requires_grad
    torch.testing.assert_close(logits, model(images).detach(), **CLOSE)


@pytest.mark.parametrize("mode", [True, False])
def test_predict_measures_in_evaluation_mode_and_restores_the_mode(mode: bool) -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Flatten()).train(mode)
    images = torch.ones(4, 1, 2, 2)
    assert torch.equal(predict(model, images), torch.ones(4, 4))
    assert all(layer.training is mode for layer in model.modules())


@pytest.mark.usefixtures("as_installed")
def test_predict_and_evaluate_name_the_bad_argument() -> None:
    images, labels = blobs()
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        predict(nn.Flatten(), images, batch_size=0)
    with pytest.raises(ValueError, match=r"`images` must have shape \(n, ...\) .* \(0, 1, 3, 5\)"):
        predict(nn.Flatten(), images[:0])
    with pytest.raises(ValueError, match=r"`split labels` must be in 0\.\.14"):
        evaluate(nn.Flatten(), (images, labels + 13))
    with pytest.raises(TypeError, match="`split` must be a pair"):
        evaluate(nn.Flatten(), images)


def test_history_without_validation_has_empty_lists() -> None:
    history = fit(small_net(), blobs(), epochs=2, device="cpu")
    assert history.validation_loss == history.validation_accuracy == []
    assert len(history.train_loss) == len(history.train_accuracy) == 2
    assert History().train_loss == []
    assert Evaluation(0.5, 1.0) == (0.5, 1.0)


def test_seed_everything_seeds_all_three_generators() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002

    seed_everything(7)
    first, second = draw(), draw()
    seed_everything(7)
    assert draw() == first
    assert all(a != b for a, b in zip(first, second, strict=True))


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (2**32, ValueError), (1.0, TypeError), (True, TypeError)]
)
def test_seed_everything_names_a_bad_seed(seed: object, error: type) -> None:
    with pytest.raises(error, match="`seed` must be"):
        seed_everything(seed)


def test_training_gives_the_same_numbers_in_two_processes() -> None:
    program = (
        "import torch; from torch import nn; from cnncourse.training import *\n"
        "seed_everything(1); x, y = torch.rand(64, 1, 6, 5), torch.arange(64) % 4\n"
        "model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(36, 4))\n"
        "losses = fit(model, (x, y), epochs=3, batch_size=10, device='cpu').train_loss"
    )
    here: dict = {}
    exec(program, here)
    alike = f"import torch; torch.set_num_threads({torch.get_num_threads()})\n"
    command = [sys.executable, "-c", f"{alike}{program}\nprint(losses)"]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert there == f"{here['losses']}\n"
    assert len(here["losses"]) == 3
