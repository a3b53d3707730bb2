"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

# max_pool2d


def max_pool_loops(x, kernel_size, stride):
    n, c, h, w = x.shape
    rows, columns = (h - kernel_size) // stride + 1, (w - kernel_size) // stride + 1
    y = torch.zeros(n, c, rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = x[:, :, top : top + kernel_size, left : left + kernel_size]
            y[:, :, i, j] = window.amax(dim=(2, 3))
    return y


def max_pool_all_loops(x, kernel_size, stride):
    n, c, h, w = x.shape
    y = []
    for image in range(n):
        for channel in range(c):
            for i in range(0, h - kernel_size + 1, stride):
                for j in range(0, w - kernel_size + 1, stride):
                    best = -math.inf
                    for a in range(kernel_size):
                        for b in range(kernel_size):
                            best = max(best, x[image, channel, i + a, j + b].item())
                    y.append(best)
    return torch.tensor(y, dtype=x.dtype).reshape(n, c, (h - kernel_size) // stride + 1, -1)


def max_pool_unfold(x, kernel_size, stride):
    windows = x.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride)
    return windows.max(dim=-1).values.max(dim=-1).values


def max_pool_columns(x, kernel_size, stride):
    n, c, h, _ = x.shape
    columns = F.unfold(x, kernel_size, stride=stride).reshape(n, c, kernel_size**2, -1)
    return columns.amax(2).reshape(n, c, (h - kernel_size) // stride + 1, -1)


def max_pool_shifted(x, kernel_size, stride):
    h, w = (size - kernel_size + 1 for size in x.shape[2:])
    best = torch.full_like(x[:, :, :h:stride, :w:stride], -torch.inf)
    for a in range(kernel_size):
        for b in range(kernel_size):
            best = torch.maximum(best, x[:, :, a : a + h : stride, b : b + w : stride])
    return best


def max_pool_numpy(x, kernel_size, stride):
    size = (kernel_size, kernel_size)
    windows = np.lib.stride_tricks.sliding_window_view(x.numpy(), size, axis=(2, 3))
    return windows[:, :, ::stride, ::stride].max(axis=(-2, -1))


def max_pool_torch(x, kernel_size, stride):
    return F.max_pool2d(x, kernel_size, stride)


def max_pool_module(x, kernel_size, stride):
    return torch.nn.MaxPool2d(kernel_size, stride)(x)


def max_pool_mean(x, kernel_size, stride):
    return x.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride).mean((4, 5))


def max_pool_from_zero(x, kernel_size, stride):
    h, w = (size - kernel_size + 1 for size in x.shape[2:])
    best = torch.zeros_like(x[:, :, :h:stride, :w:stride])
    for a in range(kernel_size):
        for b in range(kernel_size):
            best = torch.maximum(best, x[:, :, a : a + h : stride, b : b + w : stride])
    return best


def max_pool_stride_is_size(x, kernel_size, stride):
    return max_pool_unfold(x, kernel_size, kernel_size)


def max_pool_swapped_arguments(x, stride, kernel_size):
    return max_pool_unfold(x, kernel_size, stride)


def max_pool_last_window_kept(x, kernel_size, stride):
    n, c, h, w = x.shape
    rows = math.ceil((h - kernel_size) / stride) + 1
    columns = math.ceil((w - kernel_size) / stride) + 1
    y = torch.zeros(n, c, rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = x[:, :, top : top + kernel_size, left : left + kernel_size]
            y[:, :, i, j] = window.amax(dim=(2, 3))
    return y


def max_pool_windows_too_close(x, kernel_size, stride):
    n, c, h, w = x.shape
    rows, columns = (h - kernel_size) // stride + 1, (w - kernel_size) // stride + 1
    y = torch.zeros(n, c, rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            y[:, :, i, j] = x[:, :, i : i + kernel_size, j : j + kernel_size].amax((2, 3))
    return y


def max_pool_over_channels(x, kernel_size, stride):
    n, c, h, w = x.shape
    rows, columns = (h - kernel_size) // stride + 1, (w - kernel_size) // stride + 1
    y = torch.zeros(n, c, rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = x[:, :, top : top + kernel_size, left : left + kernel_size]
            y[:, :, i, j] = window.amax(dim=(1, 2, 3))[:, None]
    return y


def max_pool_one_loop_short(x, kernel_size, stride):
    return max_pool_unfold(x, kernel_size, stride)[:, :, :-1, :-1]


def max_pool_single_precision(x, kernel_size, stride):
    return max_pool_unfold(x, kernel_size, stride).float()


def max_pool_places(x, kernel_size, stride):
    windows = x.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride)
    return windows.flatten(4).max(dim=4)


# min_pool2d


def min_pool_minus(x, kernel_size, stride):
    return -max_pool_loops(-x, kernel_size, stride)


def min_pool_torch(x, kernel_size, stride):
    return -F.max_pool2d(-x, kernel_size, stride)


def min_pool_from_above(x, kernel_size, stride):
    top = x.max()
    return top - F.max_pool2d(top - x, kernel_size, stride)


def min_pool_minimum(x, kernel_size, stride):
    return x.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride).amin((4, 5))


def min_pool_half_way(x, kernel_size, stride):
    return F.max_pool2d(-x, kernel_size, stride)


def min_pool_sign_after(x, kernel_size, stride):
    return -F.max_pool2d(x, kernel_size, stride)


def min_pool_default_stride(x, kernel_size, stride):
    return -F.max_pool2d(-x, kernel_size)


def min_pool_inverse(x, kernel_size, stride):
    return 1 / F.max_pool2d(1 / x, kernel_size, stride)


# avg_pool_as_conv


def avg_full(channels, k):
    return torch.full((channels, 1, k, k), 1 / (k * k)), channels


def avg_ones(channels, k):
    return [torch.ones(channels, 1, k, k) / k**2, channels]


def avg_numpy(channels, k):
    return np.ones((channels, 1, k, k), np.float32) / k / k, channels


def avg_repeated(channels, k):
    kernel = torch.ones(k, k).softmax(0).div(k)
    return kernel[None, None].repeat(channels, 1, 1, 1), channels


def avg_sum(channels, k):
    return torch.ones(channels, 1, k, k), channels


def avg_side(channels, k):
    return torch.ones(channels, 1, k, k) / k, channels


def avg_all_channels(channels, k):
    return torch.ones(channels, channels, k, k) / (k * k), 1


def avg_diagonal(channels, k):
    weight = torch.zeros(channels, channels, k, k)
    for i in range(channels):
        weight[i, i] = 1 / (k * k)
    return weight, 1


def avg_one_group(channels, k):
    return torch.full((channels, 1, k, k), 1 / (k * k)), 1


def avg_axes_swapped(channels, k):
    return torch.full((1, channels, k, k), 1 / (k * k)), channels


def avg_shared(channels, k):
    return torch.full((1, 1, k, k), 1 / (k * k)), channels


def avg_weight_only(channels, k):
    return torch.full((channels, 1, k, k), 1 / (k * k))


# max_with_relu


def larger_from_a(a, b):
    return a + torch.relu(b - a)


def larger_from_b(a, b):
    return torch.nn.ReLU()(a - b) + b


def larger_three_relus(a, b):
    return F.relu(a - b) + F.relu(b) - F.relu(-b)


def larger_symmetric(a, b):
    return (a + b + F.relu(a - b) + F.relu(b - a)) / 2


def larger_maximum(a, b):
    return torch.maximum(a, b)


def larger_where(a, b):
    return torch.where(a > b, a, b)


def larger_compared(a, b):
    return (a > b) * a + (a <= b) * b


def larger_absolute(a, b):
    return (a + b + (a - b).abs()) / 2


def larger_smooth(a, b):
    return torch.logaddexp(1e4 * a, 1e4 * b) / 1e4


def larger_distance(a, b):
    return (a + b + ((a - b) ** 2).sqrt()) / 2


def larger_root(a, b):
    return (a + b + ((a - b) * (a - b)).sqrt()) / 2


def larger_length(a, b):
    return (a + b + torch.linalg.vector_norm((a - b)[None], dim=0)) / 2


def larger_numpy(a, b):
    return torch.from_numpy(np.maximum(a.numpy(), b.numpy()))


def larger_excess_only(a, b):
    return torch.relu(a - b)


def larger_sum_of_relus(a, b):
    return torch.relu(a) + torch.relu(b)


def larger_of_positive(a, b):
    return torch.relu(a + torch.relu(b - a))


def larger_not_halved(a, b):
    return a + b + F.relu(a - b) + F.relu(b - a)


def larger_wrong_base(a, b):
    return b + F.relu(b - a)


def larger_in_place(a, b):
    a += F.relu(b - a)
    return a


# changed_share


def changed_rolled(pool, x):
    y = pool(x)
    shares = []
    for step, axis in ((1, 2), (-1, 2), (1, 3), (-1, 3)):
        shares.append((pool(torch.roll(x, step, axis)) != y).float().mean())
    return sum(shares) / 4


def changed_stacked(pool, x):
    moves = [x.roll(1, 2), x.roll(-1, 2), x.roll(1, 3), x.roll(-1, 3)]
    return (pool(torch.cat(moves)) != pool(x).repeat(4, 1, 1, 1)).double().mean()


def changed_sliced(pool, x):
    up = torch.cat([x[:, :, 1:], x[:, :, :1]], dim=2)
    down = torch.cat([x[:, :, -1:], x[:, :, :-1]], dim=2)
    left = torch.cat([x[..., 1:], x[..., :1]], dim=3)
    right = torch.cat([x[..., -1:], x[..., :-1]], dim=3)
    changed = total = 0
    for moved in (up, down, left, right):
        changed += int((pool(moved) != pool(x)).sum())
        total += pool(x).numel()
    return changed / total


def changed_numpy(pool, x):
    before = pool(x).numpy()
    moved = (np.roll(x.numpy(), step, axis) for step in (-1, 1) for axis in (2, 3))
    after = [pool(torch.from_numpy(image)).numpy() for image in moved]
    return float(np.mean(np.stack(after) != before))


def changed_padded(pool, x):
    h, w = x.shape[2:]
    wide = F.pad(x, (1, 1, 1, 1), mode="circular")
    places = [(0, 1), (2, 1), (1, 0), (1, 2)]
    shares = [
        (pool(wide[:, :, i : i + h, j : j + w]) != pool(x)).double().mean() for i, j in places
    ]
    return torch.stack(shares).mean().item()


def changed_pixels(pool, x):
    moves = [x.roll(1, 2), x.roll(-1, 2), x.roll(1, 3), x.roll(-1, 3)]
    return torch.stack([moved != x for moved in moves]).double().mean().item()


def changed_zeros(pool, x):
    h, w = x.shape[2:]
    wide = F.pad(x, (1, 1, 1, 1))
    places = [(0, 1), (2, 1), (1, 0), (1, 2)]
    shares = [
        (pool(wide[:, :, i : i + h, j : j + w]) != pool(x)).double().mean() for i, j in places
    ]
    return torch.stack(shares).mean().item()


def changed_right_only(pool, x):
    return (pool(x.roll(1, 3)) != pool(x)).double().mean().item()


def changed_sideways(pool, x):
    shares = [(pool(x.roll(step, 3)) != pool(x)).double().mean() for step in (-1, 1)]
    return sum(shares).item() / 2


def changed_rows_first(pool, x):
    """Rolls the flattened images: a row's last pixel enters the next row."""
    w = x.shape[3]
    flat = x.flatten(2)
    moved = [flat.roll(step, 2).view_as(x) for step in (1, -1, w, -w)]
    return torch.stack([pool(y) != pool(x) for y in moved]).double().mean().item()


def changed_flat(pool, x):
    """Forgets which axis: roll without dims flattens everything."""
    moved = [x.roll(1), x.roll(-1), x.roll(x.shape[3]), x.roll(-x.shape[3])]
    return torch.stack([pool(y) != pool(x) for y in moved]).double().mean().item()


def changed_stays(pool, x):
    return 1 - changed_rolled(pool, x)


def changed_counted(pool, x):
    return changed_rolled(pool, x) * 4 * pool(x).numel()


def changed_added(pool, x):
    return 4 * changed_rolled(pool, x)


def changed_sizes(pool, x):
    moves = [x.roll(1, 2), x.roll(-1, 2), x.roll(1, 3), x.roll(-1, 3)]
    return torch.stack([(pool(y) - pool(x)).abs() for y in moves]).mean().item()


def changed_moved_along(pool, x):
    y = pool(x)
    turns = [(1, 2), (-1, 2), (1, 3), (-1, 3)]
    return torch.stack([pool(x.roll(*t)) != y.roll(*t) for t in turns]).double().mean().item()


def changed_close(pool, x):
    """Takes numbers that are near each other for equal."""
    moves = [x.roll(1, 2), x.roll(-1, 2), x.roll(1, 3), x.roll(-1, 3)]
    far = [(pool(y) - pool(x)).abs() > 1.5 for y in moves]
    return torch.stack(far).double().mean().item()


def changed_two_axes_at_once(pool, x):
    moves = [x.roll((i, j), (2, 3)) for i in (-1, 1) for j in (-1, 1)]
    return torch.stack([pool(y) != pool(x) for y in moves]).double().mean().item()


def changed_channels(pool, x):
    """Moves channels and rows."""
    moves = [x.roll(1, 1), x.roll(-1, 1), x.roll(1, 2), x.roll(-1, 2)]
    return torch.stack([pool(y) != pool(x) for y in moves]).double().mean().item()


# Wrong at an edge.


def max_pool_from_a_thousand(x, kernel_size, stride):
    return max_pool_loops(x, kernel_size, stride).clamp(min=-1000)


def max_pool_from_a_billion(x, kernel_size, stride):
    return max_pool_loops(x, kernel_size, stride).clamp(min=-1e9)


def max_pool_up_to_three(x, kernel_size, stride):
    rows, columns = max_pool_loops(x, kernel_size, stride).shape[2:]
    return max_pool_loops(x, min(kernel_size, 3), stride)[:, :, :rows, :columns]


def max_pool_squeezed(x, kernel_size, stride):
    y = max_pool_loops(x, kernel_size, stride)
    return y.squeeze() if y.numel() == 1 else y


def min_pool_from_a_thousand(x, kernel_size, stride):
    return min_pool_minus(x, kernel_size, stride).clamp(max=1000)


def min_pool_up_to_three(x, kernel_size, stride):
    return -max_pool_up_to_three(-x, kernel_size, stride)


def min_pool_kth(x, kernel_size, stride):
    windows = x.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride)
    return windows.flatten(4).kthvalue(1).values


def avg_double(channels, k):
    return torch.full((channels, 1, k, k), 1 / k**2, dtype=torch.float64), channels


def avg_half(channels, k):
    return torch.full((channels, 1, k, k), 1 / k**2, dtype=torch.float16), channels


def larger_kth(a, b):
    return torch.stack([a, b]).kthvalue(2, dim=0).values


def larger_median(a, b):
    return torch.stack([a, b, b, a]).median(dim=0).values


def larger_sign(a, b):
    return (a + b + (a - b) * torch.sgn(a - b)) / 2


def larger_threshold(a, b):
    return F.threshold(a - b, 0.0, 0.0) + b


def larger_hardtanh(a, b):
    return F.hardtanh(a - b, 0.0, 1e9) + b


def larger_sigmoid(a, b):
    return b + (a - b) * torch.sigmoid(1e6 * (a - b))


def larger_elu(a, b):
    return F.elu(a - b, alpha=0.0) + b


def larger_rounded_off(a, b):
    d = b - a
    return a + torch.relu(d + 1e-6)


RIGHT = {
    "max_pool2d": [
        *(max_pool_loops, max_pool_all_loops, max_pool_unfold, max_pool_columns),
        *(max_pool_shifted, max_pool_numpy),
    ],
    "min_pool2d": [min_pool_minus, min_pool_torch, min_pool_from_above],
    "avg_pool_as_conv": [avg_full, avg_ones, avg_numpy, avg_repeated],
    "max_with_relu": [larger_from_a, larger_from_b, larger_three_relus, larger_symmetric],
    "changed_share": [
        *(changed_rolled, changed_stacked, changed_sliced, changed_numpy, changed_padded),
    ],
}

WRONG = {
    "max_pool2d": [
        (max_pool_torch, "max_pool2d`. Here that work is yours"),
        (max_pool_module, "max_pool2d`. Here that work is yours"),
        (max_pool_mean, "mean of each window"),
        (max_pool_from_zero, "only negative numbers"),
        (max_pool_stride_is_size, "jump by their own size"),
        (max_pool_swapped_arguments, "Window and stride are exchanged"),
        (max_pool_last_window_kept, "not full"),
        (max_pool_windows_too_close, "one step apart"),
        (max_pool_over_channels, "over the channels too"),
        (max_pool_one_loop_short, "last row and the last column"),
        (max_pool_single_precision, "in float32 where the input has float64"),
        (max_pool_places, "a tuple where a tensor is expected"),
        (max_pool_from_a_thousand, "whatever the search starts with"),
        (max_pool_from_a_billion, "does a search start"),
        (max_pool_up_to_three, ""),
        (max_pool_squeezed, "is there a `squeeze`"),
    ],
    "min_pool2d": [
        (min_pool_minimum, "Here that work is yours to do"),
        (max_pool_loops, "This is max-pooling"),
        (min_pool_half_way, "change it back after"),
        (min_pool_sign_after, "change it before, too"),
        (min_pool_default_stride, "jump by their own size"),
        (min_pool_inverse, ""),
        (min_pool_from_a_thousand, "whatever the search starts with"),
        (min_pool_up_to_three, ""),
        (min_pool_kth, "kthvalue"),
    ],
    "avg_pool_as_conv": [
        (avg_sum, "this is a sum"),
        (avg_side, "divide by k only"),
        (avg_all_channels, "averages every channel"),
        (avg_diagonal, "most of its weights are zeros"),
        (avg_one_group, "In `groups`: With one group"),
        (avg_axes_swapped, "not (1, channels, k, k)"),
        (avg_shared, "needs its own copy"),
        (avg_weight_only, "a tensor where a tuple is expected"),
        (avg_double, "in float64 where float32 is expected"),
        (avg_half, "in float16 where float32 is expected"),
    ],
    "max_with_relu": [
        (larger_maximum, "calls `torch.maximum`"),
        (larger_where, "Here that work is yours to do"),
        (larger_compared, "Here that work is yours to do"),
        (larger_absolute, "calls `torch.abs`"),
        (larger_smooth, "calls `torch.logaddexp`"),
        (larger_distance, "Here that work is yours to do"),
        (larger_root, "calls `torch.sqrt`"),
        (larger_length, "Here that work is yours to do"),
        (larger_numpy, "calls `torch.numpy`"),
        (larger_excess_only, "what must be added"),
        (larger_sum_of_relus, "relu(a) + relu(b)"),
        (larger_of_positive, "Where both are negative"),
        (larger_not_halved, "twice the larger one"),
        (larger_wrong_base, "b was added where a belongs"),
        (larger_in_place, "`a` was changed in place"),
        (larger_kth, "Here that work is yours to do"),
        (larger_median, "Here that work is yours to do"),
        (larger_sign, "Here that work is yours to do"),
        (larger_threshold, "Here that work is yours to do"),
        (larger_hardtanh, "Here that work is yours to do"),
        (larger_sigmoid, "Here that work is yours to do"),
        (larger_elu, "Here that work is yours to do"),
        (larger_rounded_off, "Is a small number added"),
    ],
    "changed_share": [
        (changed_pixels, "compare the pooled numbers"),
        (changed_zeros, "Zeros come in"),
        (changed_right_only, "Only the move to the right"),
        (changed_sideways, "up and down are missing"),
        (changed_rows_first, ""),
        (changed_flat, ""),
        (changed_stays, "numbers that stay"),
        (changed_counted, "divide by how many"),
        (changed_added, "average them"),
        (changed_sizes, "count the numbers that change"),
        (changed_moved_along, "does it stay where it was"),
        (changed_close, ""),
        (changed_two_axes_at_once, "one axis at a time"),
        (changed_channels, ""),
    ],
}

# Wrong in a few cases only, and there not for every number that may be drawn.
EDGES = {
    "max_pool2d": [max_pool_up_to_three],
    "min_pool2d": [min_pool_up_to_three],
}
