"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import statistics

import numpy as np
import torch
from torch import nn

# layer_work


def cost_formula(n, c, o, h, w, k, padding):
    out = (h + 2 * padding - k + 1) * (w + 2 * padding - k + 1)
    return n * o * out * c * k * k, 4 * (n * c * h * w + o * c * k * k + n * o * out)


def cost_measured(n, c, o, h, w, k, padding):
    x = torch.zeros(n, c, h, w, device="meta")
    layer = nn.Conv2d(c, o, k, padding=padding, bias=False, device="meta")
    y = layer(x)
    return y.numel() * layer.weight[0].numel(), sum(t.nbytes for t in (x, layer.weight, y))


def cost_loops(n, c, o, h, w, k, padding):
    products = outputs = 0
    for _ in range(h + 2 * padding - k + 1):
        for _ in range(w + 2 * padding - k + 1):
            outputs += n * o
            products += n * o * c * k**2
    return products, 4 * (n * c * h * w + o * c * k**2 + outputs)


def cost_ranges(n, c, o, h, w, k, padding):
    rows = len(range(-padding, h + padding - k + 1))
    columns = len(range(-padding, w + padding - k + 1))
    y = n * o * rows * columns
    return y * c * k * k, 4 * n * c * h * w + 4 * o * c * k * k + 4 * y


def cost_in_numbers(n, c, o, h, w, k, padding):
    products, size = cost_formula(n, c, o, h, w, k, padding)
    return products, size // 4


def cost_in_doubles(n, c, o, h, w, k, padding):
    products, size = cost_formula(n, c, o, h, w, k, padding)
    return products, 2 * size


def cost_one_picture(n, c, o, h, w, k, padding):
    products, size = cost_formula(n, c, o, h, w, k, padding)
    return products // n, size


def cost_one_channel(n, c, o, h, w, k, padding):
    products, size = cost_formula(n, c, o, h, w, k, padding)
    return products // c, size


def cost_one_kernel(n, c, o, h, w, k, padding):
    products, size = cost_formula(n, c, o, h, w, k, padding)
    return products // o, size


def cost_two_operations(n, c, o, h, w, k, padding):
    products, size = cost_formula(n, c, o, h, w, k, padding)
    return 2 * products, size


def cost_places_of_the_input(n, c, o, h, w, k, padding):
    _, size = cost_formula(n, c, o, h, w, k, padding)
    return n * c * o * k * k * h * w, size


def cost_forgets_to_store(n, c, o, h, w, k, padding):
    products, _ = cost_formula(n, c, o, h, w, k, padding)
    return products, 4 * (n * c * h * w + o * c * k * k)


def cost_forgets_weights(n, c, o, h, w, k, padding):
    products, size = cost_formula(n, c, o, h, w, k, padding)
    return products, size - 4 * o * c * k * k


def cost_forgets_input(n, c, o, h, w, k, padding):
    products, size = cost_formula(n, c, o, h, w, k, padding)
    return products, size - 4 * n * c * h * w


def cost_weights_for_each_picture(n, c, o, h, w, k, padding):
    products, size = cost_formula(n, c, o, h, w, k, padding)
    return products, size + 4 * (n - 1) * o * c * k * k


def cost_without_padding(n, c, o, h, w, k, padding):
    return cost_formula(n, c, o, h, w, min(k, h, w), 0)


def cost_square_pictures(n, c, o, h, w, k, padding):
    return cost_formula(n, c, o, h, h, k, padding)


def cost_as_floats(n, c, o, h, w, k, padding):
    products, size = cost_formula(n, c, o, h, w, k, padding)
    return float(products), float(size)


# least_time


def time_sum_of_max(layers, peak, bandwidth):
    return float(sum(max(m / peak, b / bandwidth) for m, b in layers))


def time_loop(layers, peak, bandwidth):
    seconds = 0.0
    for products, size in layers:
        speed = peak if products * bandwidth > size * peak else None
        seconds += products / peak if speed else size / bandwidth
    return seconds


def time_numpy(layers, peak, bandwidth):
    work = np.array(layers, dtype=float).reshape(-1, 2)
    return float((work / [peak, bandwidth]).max(axis=1).sum())


def time_tensor(layers, peak, bandwidth):
    work = torch.tensor(layers, dtype=torch.float64).reshape(-1, 2)
    return (work / torch.tensor([peak, bandwidth])).amax(1).sum().item()


def time_one_then_the_other(layers, peak, bandwidth):
    return float(sum(m / peak + b / bandwidth for m, b in layers))


def time_of_the_faster(layers, peak, bandwidth):
    return float(sum(min(m / peak, b / bandwidth) for m, b in layers))


def time_of_the_sums(layers, peak, bandwidth):
    products, sizes = sum(m for m, _ in layers), sum(b for _, b in layers)
    return max(products / peak, sizes / bandwidth)


def time_of_the_slowest(layers, peak, bandwidth):
    return float(max((max(m / peak, b / bandwidth) for m, b in layers), default=0))


def time_of_products(layers, peak, bandwidth):
    return sum(m for m, _ in layers) / peak


def time_of_bytes(layers, peak, bandwidth):
    return sum(b for _, b in layers) / bandwidth


def time_swapped(layers, peak, bandwidth):
    return time_sum_of_max(layers, bandwidth, peak)


def time_multiplied(layers, peak, bandwidth):
    return float(sum(max(m * peak, b * bandwidth) for m, b in layers))


def time_rounded(layers, peak, bandwidth):
    return float(sum(max(m // peak, b // bandwidth) for m, b in layers))


def time_needs_a_layer(layers, peak, bandwidth):
    first = layers[0]
    rest = time_sum_of_max(layers[1:], peak, bandwidth)
    return max(first[0] / peak, first[1] / bandwidth) + rest


# speedup


def speedup_statistics(before, after):
    return statistics.median([a / b for a, b in zip(before[1:], after[1:], strict=True)])


def speedup_numpy(before, after):
    return float(np.median(np.array(before[1:]) / np.array(after[1:])))


def speedup_sorted(before, after):
    ratios = sorted(before[r] / after[r] for r in range(1, len(before)))
    middle = len(ratios) // 2
    if len(ratios) % 2:
        return ratios[middle]
    return (ratios[middle - 1] + ratios[middle]) / 2


def speedup_quantile(before, after):
    ratios = torch.tensor(before[1:], dtype=torch.float64) / torch.tensor(after[1:])
    return ratios.quantile(0.5).item()


def speedup_with_warm_up(before, after):
    return statistics.median(a / b for a, b in zip(before, after, strict=True))


def speedup_turned_over(before, after):
    return speedup_statistics(after, before)


def speedup_of_medians(before, after):
    return statistics.median(before[1:]) / statistics.median(after[1:])


def speedup_of_means(before, after):
    return statistics.mean(before[1:]) / statistics.mean(after[1:])


def speedup_mean(before, after):
    return statistics.mean(a / b for a, b in zip(before[1:], after[1:], strict=True))


def speedup_of_the_best(before, after):
    return min(before[1:]) / min(after[1:])


def speedup_torch_median(before, after):
    """torch.median takes the lower of the two in the middle."""
    return (torch.tensor(before[1:]).double() / torch.tensor(after[1:]).double()).median().item()


def speedup_upper(before, after):
    ratios = sorted(a / b for a, b in zip(before[1:], after[1:], strict=True))
    return ratios[len(ratios) // 2]


def speedup_last_left_out(before, after):
    return statistics.median(a / b for a, b in zip(before[:-1], after[:-1], strict=True))


RIGHT = {
    "layer_work": [cost_formula, cost_measured, cost_loops, cost_ranges],
    "least_time": [time_sum_of_max, time_loop, time_numpy, time_tensor],
    "speedup": [speedup_statistics, speedup_numpy, speedup_sorted, speedup_quantile],
}

WRONG = {
    "layer_work": [
        (cost_in_numbers, "not bytes"),
        (cost_in_doubles, "eight bytes"),
        (cost_one_picture, "only one picture"),
        (cost_one_channel, "leave out the input channels"),
        (cost_one_kernel, "leave out the output channels"),
        (cost_two_operations, "counts once here"),
        (cost_places_of_the_input, "places of the input"),
        (cost_forgets_to_store, "leave out the outputs"),
        (cost_forgets_weights, "leave out the weights"),
        (cost_forgets_input, "leave out the input."),
        (cost_weights_for_each_picture, "fetched for every picture"),
        (cost_without_padding, "padding is left out"),
        (cost_square_pictures, ""),
        (cost_as_floats, ""),
    ],
    "least_time": [
        (time_one_then_the_other, "not their sum"),
        (time_of_the_faster, "shorter of the two"),
        (time_of_the_sums, "sums over all layers are compared"),
        (time_of_the_slowest, "Only the slowest layer"),
        (time_of_products, "Only the products count"),
        (time_of_bytes, "Only the bytes count"),
        (time_swapped, "changed places"),
        (time_multiplied, "multiplied"),
        (time_rounded, ""),
        (time_needs_a_layer, "stopped with IndexError"),
    ],
    "speedup": [
        (speedup_with_warm_up, "warm-up"),
        (speedup_turned_over, "turned over"),
        (speedup_of_medians, "ratio of the medians"),
        (speedup_mean, "mean of the ratios"),
        (speedup_of_means, "ratio of the means"),
        (speedup_of_the_best, "smallest times"),
        (speedup_torch_median, "one of the two middle"),
        (speedup_upper, "one of the two middle"),
        (speedup_last_left_out, ""),
    ],
}
