"""What the package says to each question: the number, or whether the right option holds.

``COMPUTED`` has for each number the key, then each wrong number in the order of the source, by the
mistake that its name tells. ``FACTS`` has for each choice the text of the right option, or whether
a claim holds that makes it right.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from statistics import mean

import torch
from torch import nn
from torch.nn.functional import conv1d, conv2d, max_pool2d, pad

from cnncourse.capstone import Residual
from cnncourse.channels import conv1x1, im2col
from cnncourse.cross_correlation import convolve1d, corr1d, corr2d, corr3d
from cnncourse.datasets import load_fashion_mnist, load_mnist
from cnncourse.fast import Machine, Work, conv2d_work, interleaved, least_seconds, speedup
from cnncourse.invariance import equivariance_error, invariance_error, translate
from cnncourse.layer_table import layer_table
from cnncourse.lenet import LeNet, init_xavier, layer_scales
from cnncourse.locality import conv_matrix
from cnncourse.padding_stride import conv_output_size, usage_count
from cnncourse.pooling import avg_pool2d
from cnncourse.receptive_field import receptive_field
from cnncourse.records import load_record, load_trained, standard_error
from cnncourse.sprint import Plan, steps_of
from cnncourse.training import predict, seed_everything

LAYER_WORK = Work(multiply_adds=600_000_000, bytes=300_000_000)
MACHINE = Machine(multiply_adds=100e9, bytes=10e9)

# Numbers


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(*shape)


def peak(gradient_of: Callable) -> float:
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    x.requires_grad_()
    gradient_of(x).sum().backward()
    return x.grad[0, 0, 2, 2].item()


class Half(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


def slope_of(layer: nn.Module) -> float:
    x = torch.ones(1, requires_grad=True)
    layer(x).backward()
    return x.grad.item()


def pixel_gradient(stride: int) -> float:
    x = torch.zeros(1, 1, 7, requires_grad=True)
    conv1d(x, ones(1, 1, 3), stride=stride).sum().backward()
    return x.grad[0, 0, 2].item()


def agreeing(said: list[int], pairs: Callable[[int, int], bool]) -> float:
    places = [(i, j) for i in range(5) for j in range(5) if pairs(i, j)]
    return sum(said[i] == said[j] for i, j in places) / len(places)


def kept_shifts(*strides: int) -> int:
    """Count the shifts after which a network with these strides gives the same bits."""
    torch.manual_seed(0)
    options = {"padding": (0, 1), "padding_mode": "circular"}
    layers = [nn.Conv2d(1, 4, (1, 3), stride=(1, strides[0]), **options), nn.ReLU()]
    layers += [nn.Conv2d(4, 4, (1, 3), stride=(1, strides[1]), **options), nn.AdaptiveMaxPool2d(1)]
    net, x = nn.Sequential(*layers), torch.randn(1, 1, 1, 32)
    return sum(torch.equal(net(translate(x, 0, s, "circular")), net(x)) for s in range(32))


def flattened(padding: int, second_padding: int = 0) -> int:
    size = conv_output_size(44, 5, padding=padding) // 2
    return 16 * (conv_output_size(size, 5, padding=second_padding) // 2) ** 2


SIGNAL, DELTA = torch.tensor([2.0, 1.0, 4.0]), torch.tensor([1.0, 3.0])
FIELD = [(5, 2), (5, 1), (5, 1)]
SAID = [4, 4, 4, 9, 9]
LAYER = {"kernel_size": 11, "stride": 2}
BATCH = torch.randn(8, 16, 5, 5, generator=torch.Generator().manual_seed(0))
SPIKE, COUNT = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]), torch.tensor([1.0, 2.0, 3.0])
halved = partial(conv_output_size, kernel_size=3, stride=2)
COMPUTED: dict[str, list[Callable[[], float]]] = {
    "the-slower-of-two": [
        lambda: 1000 * least_seconds(LAYER_WORK, MACHINE),
        lambda: 1000 * LAYER_WORK.multiply_adds / MACHINE.multiply_adds,
        lambda: 1000 * sum(w / speed for w, speed in zip(LAYER_WORK, MACHINE, strict=True)),
        lambda: 500 * sum(w / speed for w, speed in zip(LAYER_WORK, MACHINE, strict=True)),
    ],
    "weights-of-reach-two": [
        lambda: nn.Conv2d(1, 1, 5, bias=False).weight.numel(),
        lambda: 4 * 2**2,
        lambda: 50 * 50 * nn.Conv2d(1, 1, 5, bias=False).weight.numel(),
        lambda: nn.Conv1d(1, 1, 5, bias=False).weight.numel(),
    ],
    "field-of-three-layers": [
        lambda: receptive_field(FIELD).size[0],
        lambda: receptive_field([(5, 1)] * 3).size[0],
        lambda: 1 + 4 * 2 + 4 * 2 + 4 * 2,
        lambda: 1 + 4 * 2 + 4 + 4,
        lambda: 5 + 5 + 5,
        lambda: receptive_field(FIELD[:1]).size[0],
    ],
    "numbers-of-a-film": [
        lambda: corr3d(ones(10, 20, 30), ones(3, 5, 5)).numel(),
        lambda: (10 - 3) * (20 - 5) * (30 - 5),
        lambda: 10 * corr2d(ones(20, 30), ones(5, 5)).numel(),
        lambda: 10 * 20 * 30,
    ],
    "windows-on-thirty": [
        lambda: nn.Conv1d(1, 1, padding=5, **LAYER)(ones(1, 1, 30)).numel(),
        lambda: math.ceil((30 + 10 - 11) / 2) + 1,
        lambda: (30 + 10 - 11) // 2,
        lambda: conv_output_size(30 + 5, **LAYER),
    ],
    "parameters-of-a-layer": [
        lambda: layer_table(nn.Sequential(nn.Conv2d(8, 16, 3)), (8, 9, 9)).parameters,
        lambda: nn.Conv2d(8, 16, 3, bias=False).weight.numel(),
        lambda: layer_table(nn.Sequential(nn.Conv2d(1, 16, 3)), (1, 9, 9)).parameters,
        lambda: 16 * 8 * 9 + 8,
        lambda: 16 * 8 * (9 + 1),
    ],
    "gradient-of-a-peak": [
        lambda: peak(partial(max_pool2d, kernel_size=3, stride=1)),
        lambda: peak(lambda x: max_pool2d(x[..., 1:4, 1:4], 3)),
        lambda: peak(lambda x: x[..., :2, :2]),
        lambda: peak(lambda x: x[..., 1:4, 1:4].mean()),
    ],
    "consistency-of-five": [
        lambda: agreeing(SAID, lambda i, j: True),
        lambda: agreeing(SAID, lambda i, j: i == 0),
        lambda: agreeing(SAID, lambda i, j: i != j),
        lambda: float(len(set(SAID)) == 2),
    ],
    "exact-shifts": [
        lambda: kept_shifts(2, 4),
        lambda: len(range(0, 32, max(2, 4))),
        lambda: len(range(0, 32, 2 + 4)),
        lambda: kept_shifts(1, 1),
    ],
    "numbers-into-the-dense-layer": [
        lambda: LeNet()[:7](ones(1, 1, 44, 44)).numel(),
        lambda: LeNet()[:7](ones(1, 1, 28, 28)).numel(),
        lambda: flattened(2, second_padding=2),
        lambda: flattened(2) // 16,
        lambda: flattened(1),
    ],
    "gradient-of-a-shared-weight": [
        lambda: corr1d(SIGNAL, DELTA)[0].item(),
        lambda: (DELTA[0] * SIGNAL[0]).item(),
        lambda: corr1d(SIGNAL, DELTA)[0].item() / 2,
        lambda: convolve1d(SIGNAL, DELTA, "valid")[0].item(),
    ],
    "gradient-of-a-pixel": [
        lambda: pixel_gradient(stride=2),
        lambda: pixel_gradient(stride=3),
        lambda: pixel_gradient(stride=1),
        lambda: float(2 % 2),
    ],
    "means-of-a-batch": [
        lambda: nn.BatchNorm2d(16)(BATCH).mean((0, 2, 3)).numel(),
        lambda: BATCH.mean((1, 2, 3)).numel(),
        lambda: BATCH.mean((2, 3)).numel(),
        lambda: BATCH.mean(0).numel(),
    ],
    "slope-of-a-residual-block": [
        lambda: slope_of(Residual(Half())),
        lambda: slope_of(Half()),
        lambda: slope_of(nn.Identity()),
        lambda: (slope_of(Half()) + slope_of(nn.Identity())) / 2,
    ],
}


# Choices


def accuracy(record: str, name: str, measure: str = "test_accuracy") -> float:
    return mean(load_record(record).final(name, measure))


def of_all_seeds(record: str, name: str, measure: str) -> torch.Tensor:
    runs = [run for run in load_record(record).runs if run["recipe"] == name]
    return torch.tensor([run[measure] for run in sorted(runs, key=lambda run: run["seed"])])


def of_seeds(record: str, name: str, measure: str) -> torch.Tensor:
    return of_all_seeds(record, name, measure).mean(0)


def only_neighbours_lose() -> bool:
    lost = {
        name: accuracy("invariance", name) - accuracy("invariance", f"{name}_shuffled")
        for name in ("dense", "conv_mean")
    }
    return abs(lost["dense"]) < 0.005 and lost["conv_mean"] > 0.1


def largest_of_nine_moves_along() -> bool:
    x = torch.rand(1, 1, 12, 12)

    def largest(x: torch.Tensor) -> torch.Tensor:
        return max_pool2d(pad(x, (1, 1, 1, 1), mode="circular"), 3, stride=1)

    moves = equivariance_error(largest, x, (3, 5)) == 0
    return moves and invariance_error(largest, x, (3, 5)) > 0.1


def a_part_alone_changes_the_score() -> bool:
    wall = (torch.arange(16) // 2 % 2).float().expand(1, 1, 16, 16).clone()
    ball = torch.zeros(1, 1, 16, 16)
    ball[..., 4:8, 4:8] = 5
    torch.manual_seed(0)
    circular = nn.Conv2d(1, 3, 3, padding=1, padding_mode="circular")
    net = nn.Sequential(circular, nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    still, everything, alone = (
        net(x)
        for x in (
            wall + ball,
            translate(wall + ball, 0, 1, "circular"),
            wall + translate(ball, 0, 1),
        )
    )
    by_a_period = net(wall + translate(ball, 0, 4))  # the whole photo, moved by its period
    same = torch.allclose(everything, still) and torch.allclose(by_a_period, still, atol=1e-6)
    return same and not torch.allclose(alone, still, atol=1e-3)


def sharing_keeps_the_products() -> bool:
    matrix = conv_matrix(torch.rand(3, 3), (6, 6)).to_dense()
    return matrix.count_nonzero() == 4 * 4 * 9 and len(matrix[matrix != 0].unique()) == 9


def two_are_one_larger() -> bool:
    first, second = torch.rand(3, 3), torch.rand(3, 3)
    both = conv_matrix(second, (6, 6)).to_dense() @ conv_matrix(first, (8, 8)).to_dense()
    one = both[0].reshape(8, 8)[:5, :5]
    same = torch.allclose(both, conv_matrix(one, (8, 8)).to_dense(), atol=1e-5)
    return same and receptive_field([(3, 1)] * 100).size[0] == 201


def the_middle_counts_most() -> bool:
    x = torch.zeros(1, 1, 25, requires_grad=True)
    y = x
    for _ in range(12):
        y = conv1d(y, ones(1, 1, 3))
    y.sum().backward()
    counts = x.grad.flatten()
    return counts.argmax() == 12 and counts[0] == 1 and bool((counts[:12].diff() > 0).all())


def equal_rows_leave_a_choice() -> bool:
    picture = torch.rand(8).expand(1, 1, 6, 8)
    return torch.linalg.matrix_rank(im2col(picture, 2)[0]) == 2


def only_level_edges_show() -> bool:
    square = torch.zeros(7, 7)
    square[2:5, 2:5] = 1
    edges = corr2d(square, torch.tensor([[1.0], [-1.0]]))
    rows = edges.abs().sum(1).nonzero().flatten().tolist()
    return rows == [1, 4] and edges[:, 2:5].count_nonzero() == edges.count_nonzero() == 6


def the_border_tells() -> bool:
    dots = torch.zeros(2, 1, 12, 12)
    dots[0, 0, 5, 1] = dots[1, 0, 5, 6] = 1

    def differ(mode: str) -> bool:
        torch.manual_seed(0)
        layers = [nn.Conv2d(c, 8, 3, padding=1, padding_mode=mode).double() for c in (1, 8, 8, 8)]
        net = nn.Sequential(*(one for layer in layers for one in (layer, nn.ReLU())))
        near, far = net(dots.double()).mean((2, 3))
        return bool((near - far).abs().max() > 1e-9)

    return differ("zeros") and differ("reflect") and not differ("circular")


def one_pixel_all_channels() -> bool:
    x = torch.rand(1, 3, 4, 5, requires_grad=True)
    conv1x1(x, torch.rand(5, 3))[0, 2, 1, 3].backward()
    seen = x.grad[0].nonzero().tolist()
    return seen == [[0, 1, 3], [1, 1, 3], [2, 1, 3]]


def reshape_cuts_thirds() -> bool:
    photo = torch.arange(90 * 80 * 3).reshape(90, 80, 3)
    return torch.equal(photo.reshape(3, 90, 80)[0], photo[:30].reshape(90, 80))


def a_64th_of_the_work_and_equal_maps() -> bool:
    """Tell what is sure; how long it takes is for no test."""
    depthwise, full = (
        layer_table(nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, groups=groups)), (64, 8, 8))
        for groups in (64, 1)
    )
    same_maps = depthwise.activation_bytes == full.activation_bytes
    return same_maps and 64 * depthwise.multiply_adds == full.multiply_adds


def half_of_the_pixels_stay() -> bool:
    stay = []
    for column in range(2, 12):
        dot = torch.zeros(1, 1, 4, 16)
        dot[..., 1, column] = 1
        stay.append(torch.equal(max_pool2d(dot, 2), max_pool2d(translate(dot, 0, 1), 2)))
    return sum(stay) == len(stay) / 2


def skipping_shows_one_colour() -> bool:
    stripes = (torch.arange(12) % 2).float().expand(1, 1, 6, 12)
    moved = translate(stripes, 0, 1, "circular")
    grey = bool((avg_pool2d(stripes, 2) == 0.5).all())
    return grey and (stripes[..., ::2] == 0).all() and (moved[..., ::2] == 1).all()


def max_pooling_fits_both_better() -> bool:
    train = accuracy("lenet", "max_pool", "train_loss") < accuracy("lenet", "relu", "train_loss")
    new = [accuracy("lenet", name, "validation_accuracy") for name in ("relu", "max_pool")]
    return train and new[0] < new[1]


def the_end_costs_most() -> bool:
    kept = {
        name: of_seeds("shift", name, "consistency")
        for name in ("circular", "zeros", "stride", "dense")
    }
    odd = kept["stride"][1::2]
    one_in_nine = (1 - odd).mean() < 1 / 6 and (kept["stride"][2::2] == 1).all()
    fair = kept["circular"][7] == 1 and kept["zeros"][7] > 0.98
    return bool(one_in_nine and fair and kept["dense"][7] < 0.2)


def lessons_end_where_examples_end() -> bool:
    taught = of_seeds("shift", "perceptron_moved", "shifted_accuracy")
    untaught = of_seeds("shift", "perceptron", "shifted_accuracy")
    inside = taught[3] > 0.75 and untaught[3] < 0.2
    return bool(inside and taught[6] < 0.2 and taught[4] < taught[3] - 0.1)


def the_first_gradient_is_small() -> bool:
    train = load_fashion_mnist().train
    torch.manual_seed(0)
    scales = layer_scales(init_xavier(LeNet()), train.images[:256], train.labels[:256])
    first, *_, last = [one.weight_gradient for one in scales if one.weight_gradient]
    return last > 100 * first


def the_recipe_gave_most() -> bool:
    first, same, lenet = (accuracy("lenet", n) for n in ("mlp", "mlp_one_cycle", "one_cycle"))
    return same - first > 2 * (lenet - same) > 0


def noise_gets_a_name() -> bool:
    noise = torch.rand(500, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        said = load_trained("lenet", "one_cycle")(noise).softmax(1)
    votes = said.argmax(1).bincount(minlength=10).sort(descending=True).values
    return said.amax(1).mean() > 0.3 and votes[:3].sum() > 0.8 * len(noise)


def the_transpose_turns() -> bool:
    x, kernel, delta = SIGNAL, torch.tensor([3.0, 5.0]), DELTA
    matrix = conv_matrix(kernel[None], input_size=(1, 3)).to_dense()
    turned = torch.equal(matrix.T @ delta, convolve1d(delta, kernel))
    return turned and not torch.allclose(matrix.T @ (matrix @ x), x)


def short_steps_round() -> bool:
    x = torch.linspace(-0.1, 0.1, 101, dtype=torch.float64)

    def error(step: float) -> float:
        slope = ((x + step).exp() - (x - step).exp()) / (2 * step)
        return (slope - x.exp()).abs().max().item()

    return 1e-4 < error(1e-13) < 1e-2 and error(1e-15) > error(1e-13) and error(1e-5) < 1e-9


def only_training_mode_mixes() -> bool:
    """Ask about one photo among some, among others and among the first ones again."""
    norm, others = nn.BatchNorm2d(16), torch.cat([BATCH[:1], BATCH[1:] + 3])
    same = {}
    for mode in (True, False):
        first, second, third = (norm.train(mode)(x)[0] for x in (BATCH, others, BATCH))
        same[mode] = torch.equal(first, second), torch.equal(first, third)
    return same == {True: (False, True), False: (True, True)}


def the_shift_is_lost() -> bool:
    """Tell that it is lost in training mode, and divided by the deviation in evaluation mode."""
    norm, x, weight = nn.BatchNorm2d(3), torch.rand(4, 1, 6, 6), torch.rand(3, 1, 3, 3)
    grown = {}
    for mode in (True, False):
        low, high = (norm.train(mode)(conv2d(x, weight, ones(3) * b)) for b in (1, 4))
        grown[mode] = high - low
    passed = (3 / norm.running_var.sqrt()).reshape(3, 1, 1).expand_as(grown[False])
    lost = torch.allclose(grown[True], torch.zeros_like(passed), atol=1e-4)
    return lost and torch.allclose(grown[False], passed, rtol=1e-3)


def noise_takes_a_part_of_the_gain() -> bool:
    """Compare the losses of all seeds: with weak noise, and with strong noise."""
    names = ("plain", "batch", "noise_0.25", "noise_0.5")
    loss, moved = (
        {name: of_all_seeds("normalization", f"watched_{name}", measure) for name in names}
        for measure in ("loss", "moved")
    )
    plain, batch, weak, strong = (loss[name].mean(1) for name in names)
    noisy = moved["noise_0.25"].mean() > moved["plain"].mean() > moved["batch"].mean()
    return bool(noisy and ((batch < weak) & (weak < plain) & (plain < strong)).all())


def nine_are_less_than_a_standard_error() -> bool:
    return (
        standard_error(0.94, 5000) > 9 / 5000 and round(100 * standard_error(0.94, 5000), 2) == 0.34
    )


def a_symmetry_that_was_not_taught_costs() -> bool:
    """Ask a reader of digits about each digit and its mirror image."""
    images, labels = load_mnist().test
    net = load_trained("lenet", "lenet_modern_mnist")
    once, other = predict(net, images[:500]), predict(net, images[:500].flip(3))
    right = [(scores.argmax(1) == labels[:500]).sum() for scores in (once, once + other)]
    return bool(right[1] < right[0] - 10)  # of 500


def one_seed_is_below_the_best_of_twenty() -> bool:
    draws = torch.randn(1000, 21, generator=torch.Generator().manual_seed(0))
    return bool((draws[:, 0] < draws[:, 1:].amax(1)).double().mean() > 0.9)


def a_first_call_misleads() -> bool:
    """Time one function under two names, by a clock that its own first call moves furthest."""
    now, costs = [0], itertools.chain([9], itertools.repeat(1))

    def work() -> None:
        now[0] += next(costs)

    def timed() -> int:
        start = now[0]
        work()
        return now[0] - start

    once = timed() / timed()
    costs = itertools.chain([9], itertools.repeat(1))
    fair = interleaved({"a": work, "b": work}, rounds=3, clock=lambda: float(now[0]))
    return once > 2 and speedup(fair["a"], fair["b"]) == 1


def weights_are_fetched_once() -> bool:
    alone, batch = (conv2d_work(n, 1000, 1000, size=1, kernel_size=1) for n in (1, 64))
    saved = 64 * alone.bytes - batch.bytes
    return batch.multiply_adds == 64 * alone.multiply_adds and saved == 63 * 4 * 1000**2


def a_quarter_of_the_steps() -> bool:
    steps = [sum(steps_of(Plan(batch_size=size), 55_000)) for size in (128, 512)]
    return abs(steps[0] / steps[1] - 4) < 0.1


FACTS: dict[str, Callable[[], bool | str]] = {
    "timed-one-after-the-other": a_first_call_misleads,
    "sixty-four-pictures": weights_are_fetched_once,
    "half-an-epoch": a_quarter_of_the_steps,
    "shuffled-pixels": only_neighbours_lose,
    "largest-of-neighbours": largest_of_nine_moves_along,
    "moved-ball": a_part_alone_changes_the_score,
    "what-sharing-saves": sharing_keeps_the_products,
    "hundred-without-relu": two_are_one_larger,
    "which-pixels-count": the_middle_counts_most,
    "one-in-a-row": lambda: ", ".join(f"{y:.0f}" for y in corr1d(SPIKE, COUNT)),
    "zero-error-wrong-kernel": equal_rows_leave_a_choice,
    "minus-the-one-below": only_level_edges_show,
    "corner-with-padding": lambda: "In {}, where it is {} in the middle.".format(
        *usage_count(20, 5, padding=2)[[0, 10], [0, 10]].tolist()
    ),
    "size-before-the-layer": lambda: " or ".join(str(n) for n in range(3, 40) if halved(n) == 10),
    "place-from-the-border": the_border_tells,
    "one-by-one": one_pixel_all_channels,
    "reshape-for-permute": reshape_cuts_thirds,
    "time-of-a-depthwise-layer": a_64th_of_the_work_and_equal_maps,
    "one-pixel-to-the-right": half_of_the_pixels_stay,
    "every-second-column": skipping_shows_one_colour,
    "proof-of-less-over-fitting": max_pooling_fits_both_better,
    "what-costs-most": the_end_costs_most,
    "beyond-the-augmentation": lessons_end_where_examples_end,
    "flat-start": the_first_gradient_is_small,
    "two-recipes": the_recipe_gave_most,
    "answer-to-noise": noise_gets_a_name,
    "why-the-kernel-turns": the_transpose_turns,
    "step-of-a-measurement": short_steps_round,
    "same-photo-twice": only_training_mode_mixes,
    "bias-before-a-normalization": the_shift_is_lost,
    "test-of-an-explanation": noise_takes_a_part_of_the_gain,
    "nine-pictures": nine_are_less_than_a_standard_error,
    "digits-asked-twice": a_symmetry_that_was_not_taught_costs,
    "best-of-twenty": one_seed_is_below_the_best_of_twenty,
}


# Measurements that a text quotes


def kept(name: str, pixels: int) -> str:
    return f"{of_seeds('shift', name, 'consistency')[pixels]:.2f} of its answers"


def read_right(name: str, pixels: int) -> str:
    return f"{of_seeds('shift', name, 'shifted_accuracy')[pixels]:.2f}"


def first_gradient() -> str:
    train = load_fashion_mnist().train
    seed_everything(0)
    scales = layer_scales(init_xavier(LeNet()), train.images[:512], train.labels[:512])
    first, *_, last = [one.weight_gradient for one in scales if one.weight_gradient]
    return f"{round(last / first, -2):.0f} times smaller"


def left_by_max_pooling() -> str:
    sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
    kernels = torch.stack([sobel, -sobel, sobel.T, -sobel.T])
    images = load_fashion_mnist().train.images[:200]
    edges = conv2d(images, kernels[:, None], padding=1).relu()
    moved = [
        invariance_error(f, edges, (0, 1))
        for f in (partial(max_pool2d, kernel_size=2), nn.Identity())
    ]
    return {2: "half", 3: "three quarters", 4: "all"}[round(4 * moved[0] / moved[1])]


def learned_by_heart() -> str:
    names = ("max_random", "none_random", "second_random")
    learned = [accuracy("pooling", name, "train_accuracy") for name in names]
    return "200 random labels by heart" if min(learned) > 0.98 else str(learned)


# (question, what its text says, as the package computes it)
QUOTED: list[tuple[str, Callable[[], str]]] = [
    ("what-costs-most", lambda: kept("dense", 7)),
    ("what-costs-most", lambda: kept("zeros", 7)),
    ("what-costs-most", lambda: kept("stride", 1)),
    ("beyond-the-augmentation", lambda: "it read " + read_right("perceptron_moved", 3)),
    ("beyond-the-augmentation", lambda: "it had read " + read_right("perceptron", 3)),
    ("two-recipes", lambda: f"reached {accuracy('lenet', 'lenet_sigmoid'):.2f}"),
    ("two-recipes", lambda: f"and {accuracy('lenet', 'one_cycle'):.2f} with another"),
    ("flat-start", first_gradient),
    ("one-pixel-to-the-right", left_by_max_pooling),
    ("proof-of-less-over-fitting", learned_by_heart),
]
