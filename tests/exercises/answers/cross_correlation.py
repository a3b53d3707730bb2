"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

# corr2d


def corr2d_loops(x, kernel):
    h, w = kernel.shape
    y = torch.zeros((x.shape[0] - h + 1, x.shape[1] - w + 1), dtype=x.dtype)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + h, j : j + w] * kernel).sum()
    return y


def corr2d_four_loops(x, kernel):
    rows = []
    for i in range(len(x) - len(kernel) + 1):
        row = []
        for j in range(len(x[0]) - len(kernel[0]) + 1):
            total = 0
            for a in range(len(kernel)):
                for b in range(len(kernel[0])):
                    total += x[i + a, j + b] * kernel[a, b]
            row.append(total)
        rows.append(torch.stack(row))
    return torch.stack(rows)


def corr2d_taps(x, kernel):
    (h, w), (kh, kw) = x.shape, kernel.shape
    y = 0
    for a in range(kh):
        for b in range(kw):
            y = y + kernel[a, b] * x[a : h - kh + 1 + a, b : w - kw + 1 + b]
    return y


def corr2d_einsum(x, kernel):
    kh, kw = kernel.shape
    return torch.einsum("ijab,ab->ij", x.unfold(0, kh, 1).unfold(1, kw, 1), kernel)


def corr2d_columns(x, kernel):
    columns = F.unfold(x[None, None], tuple(kernel.shape))[0]
    y = kernel.reshape(1, -1) @ columns
    return y.reshape(x.shape[0] - kernel.shape[0] + 1, x.shape[1] - kernel.shape[1] + 1)


def corr2d_numpy(x, kernel):
    windows = np.lib.stride_tricks.sliding_window_view(x.numpy(), tuple(kernel.shape))
    return np.tensordot(windows, kernel.numpy(), axes=2)


def corr2d_fourier(x, kernel):
    (h, w), (kh, kw) = x.shape, kernel.shape
    spectrum = torch.fft.rfft2(x) * torch.fft.rfft2(kernel, s=x.shape).conj()
    return torch.fft.irfft2(spectrum, s=x.shape)[: h - kh + 1, : w - kw + 1]


def corr2d_torch(x, kernel):
    return F.conv2d(x[None, None], kernel[None, None])[0, 0]


def corr2d_module(x, kernel):
    layer = torch.nn.Conv2d(1, 1, tuple(kernel.shape), bias=False, dtype=x.dtype)
    layer.weight.data = kernel[None, None]
    return layer(x[None, None])[0, 0].detach()


def corr2d_flipped(x, kernel):
    kh, kw = kernel.shape
    y = torch.zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1, dtype=x.dtype)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            for a in range(kh):
                for b in range(kw):
                    y[i, j] += x[i + a, j + b] * kernel[kh - 1 - a, kw - 1 - b]
    return y


def corr2d_one_window_short(x, kernel):
    kh, kw = kernel.shape
    y = torch.zeros(x.shape[0] - kh, x.shape[1] - kw, dtype=x.dtype)
    for i in range(x.shape[0] - kh):
        for j in range(x.shape[1] - kw):
            y[i, j] = torch.sum(x[i : i + kh, j : j + kw] * kernel)
    return y


def corr2d_loops_stop_early(x, kernel):
    kh, kw = kernel.shape
    y = torch.zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1, dtype=x.dtype)
    for i in range(x.shape[0] - kh):
        for j in range(x.shape[1] - kw):
            y[i, j] = torch.sum(x[i : i + kh, j : j + kw] * kernel)
    return y


def corr2d_overwritten(x, kernel):
    kh, kw = kernel.shape
    y = torch.zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1, dtype=x.dtype)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            for a in range(kh):
                for b in range(kw):
                    y[i, j] = x[i + a, j + b] * kernel[a, b]
    return y


def corr2d_mean(x, kernel):
    kh, kw = kernel.shape
    return (x.unfold(0, kh, 1).unfold(1, kw, 1) * kernel).mean(dim=(2, 3))


def corr2d_blocks(x, kernel):
    kh, kw = kernel.shape
    return torch.einsum("ijab,ab->ij", x.unfold(0, kh, kh).unfold(1, kw, kw), kernel)


def corr2d_same(x, kernel):
    kh, kw = kernel.shape
    top, left = (kh - 1) // 2, (kw - 1) // 2
    padded = F.pad(x, (left, kw - 1 - left, top, kh - 1 - top))
    return corr2d_loops(padded, kernel)


def corr2d_kernel_transposed(x, kernel):
    return corr2d_loops(x.T, kernel.T)


def corr2d_no_return(x, kernel):
    y = torch.zeros(x.shape[0] - kernel.shape[0] + 1, x.shape[1] - kernel.shape[1] + 1)
    y[0, 0] = (x[: kernel.shape[0], : kernel.shape[1]] * kernel).sum()


def corr2d_single_precision(x, kernel):
    y = torch.zeros(x.shape[0] - kernel.shape[0] + 1, x.shape[1] - kernel.shape[1] + 1)
    y[:] = corr2d_loops(x, kernel)
    return y


def corr2d_square_only(x, kernel):
    n, k = len(x), len(kernel)
    y = torch.zeros(n - k + 1, n - k + 1, dtype=x.dtype)
    for i in range(n - k + 1):
        for j in range(n - k + 1):
            y[i, j] = (x[i : i + k, j : j + k] * kernel).sum()
    return y


def corr2d_viewed(x, kernel):
    kh, kw = kernel.shape
    w = x.shape[1]
    flat = x.view(-1)
    shape = (x.shape[0] - kh + 1, w - kw + 1, kh, kw)
    return (flat.as_strided(shape, (w, 1, w, 1)) * kernel).sum((2, 3))


def corr2d_python_lists(x, kernel):
    return corr2d_loops(x, kernel).tolist()


def corr2d_in_place(x, kernel):
    kh, kw = kernel.shape
    for i in range(x.shape[0] - kh + 1):
        for j in range(x.shape[1] - kw + 1):
            x[i, j] = (x[i : i + kh, j : j + kw] * kernel).sum()
    return x[: x.shape[0] - kh + 1, : x.shape[1] - kw + 1].clone()


# convolve2d


def convolve2d_painted(x, kernel):
    (h, w), (kh, kw) = x.shape, kernel.shape
    y = x.new_zeros(h + kh - 1, w + kw - 1)
    for i in range(h):
        for j in range(w):
            y[i : i + kh, j : j + kw] += x[i, j] * kernel
    return y


def convolve2d_painted_other_way(x, kernel):
    return convolve2d_painted(kernel, x)


def convolve2d_padded(x, kernel):
    kh, kw = kernel.shape
    return corr2d_einsum(F.pad(x, (kw - 1, kw - 1, kh - 1, kh - 1)), torch.flip(kernel, (0, 1)))


def convolve2d_columns(x, kernel):
    kh, kw = kernel.shape
    padded = F.pad(x, (kw - 1, kw - 1, kh - 1, kh - 1))
    columns = F.unfold(padded[None, None], (kh, kw))[0]
    y = kernel.flip(0, 1).flatten() @ columns
    return y.reshape(x.shape[0] + kh - 1, x.shape[1] + kw - 1)


def convolve2d_fourier(x, kernel):
    size = [a + b - 1 for a, b in zip(x.shape, kernel.shape, strict=True)]
    return torch.fft.irfft2(torch.fft.rfft2(x, s=size) * torch.fft.rfft2(kernel, s=size), s=size)


def convolve2d_unflipped(x, kernel):
    kh, kw = kernel.shape
    return corr2d_einsum(F.pad(x, (kw - 1, kw - 1, kh - 1, kh - 1)), kernel)


def convolve2d_flipped_once(x, kernel):
    kh, kw = kernel.shape
    return corr2d_einsum(F.pad(x, (kw - 1, kw - 1, kh - 1, kh - 1)), kernel.flip(0))


def convolve2d_no_border(x, kernel):
    return corr2d_loops(x, kernel.flip([0, 1]))


def convolve2d_border_too_wide(x, kernel):
    kh, kw = kernel.shape
    return corr2d_loops(F.pad(x, (kw, kw, kh, kh)), kernel.flip([0, 1]))


def convolve2d_border_swapped(x, kernel):
    kh, kw = kernel.shape
    return corr2d_loops(F.pad(x, (kh - 1, kh - 1, kw - 1, kw - 1)), kernel.flip([0, 1]))


def convolve2d_one_sided(x, kernel):
    kh, kw = kernel.shape
    return corr2d_loops(F.pad(x, (kw - 1, 0, kh - 1, 0)), kernel.flip([0, 1]))


def convolve2d_torch(x, kernel):
    kh, kw = kernel.shape
    return F.conv2d(x[None, None], kernel.flip(0, 1)[None, None], padding=(kh - 1, kw - 1))[0, 0]


def convolve2d_transposed_conv(x, kernel):
    return F.conv_transpose2d(x[None, None], kernel[None, None])[0, 0]


# edge_kernel


def edge_two_by_two(direction):
    dy, dx = direction
    return torch.tensor([[-dy - dx, dx], [dy, 0.0]])


def edge_central(direction):
    dy, dx = direction
    kernel = torch.zeros(3, 3)
    kernel[0, 1], kernel[2, 1] = -dy / 2, dy / 2
    kernel[1, 0], kernel[1, 2] = -dx / 2, dx / 2
    return kernel


def edge_sobel(direction):
    dy, dx = direction
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    return dy * across.T + dx * across


def edge_numpy(direction):
    dy, dx = direction
    return np.outer([-dy, dy], [0.5, 0.5]) + np.outer([0.5, 0.5], [-dx, dx])


def edge_reversed(direction):
    dy, dx = direction
    return torch.tensor([[dy + dx, -dx], [-dy, 0.0]])


def edge_swapped(direction):
    dx, dy = direction
    return edge_central((dy, dx))


def edge_not_balanced(direction):
    dy, dx = direction
    return torch.tensor([[0.0, dx], [dy, 0.0]])


def edge_sobel_too_strong(direction):
    return 8 * edge_sobel(direction)


def edge_normalised(direction):
    dy, dx = direction
    length = math.hypot(dy, dx)
    return edge_central((dy / length, dx / length))


def edge_only_across(direction):
    return torch.tensor([[-1.0, 1.0]])


def edge_flat(direction):
    return edge_two_by_two(direction).flatten()


# second_derivative_kernel


def second_by_hand():
    return torch.tensor([1.0, -2.0, 1.0])


def second_whole():
    return torch.tensor([1, -2, 1])


def second_composed():
    return torch.from_numpy(np.convolve([1.0, -1.0], [1.0, -1.0]))


def second_differences():
    return torch.diff(torch.eye(3, dtype=torch.float64), n=2, dim=0)[0]


# learn_kernel


def learn_by_hand(x, y, kernel_size, steps=300, rate=0.1):
    kh, kw = kernel_size
    windows = x.unfold(0, kh, 1).unfold(1, kw, 1)
    kernel = torch.zeros(kernel_size, dtype=x.dtype)
    for _ in range(steps):
        missed = (windows * kernel).sum((2, 3)) - y
        kernel -= rate * 2 * (windows * missed[..., None, None]).mean((0, 1))
    return kernel


def learn_autograd(x, y, kernel_size):
    kernel = torch.randn(kernel_size, dtype=x.dtype, requires_grad=True)
    for _ in range(300):
        loss = ((corr2d_einsum(x, kernel) - y) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            kernel -= 0.1 * kernel.grad
        kernel.grad = None
    return kernel


def learn_with_layer(x, y, kernel_size):
    layer = torch.nn.Conv2d(1, 1, kernel_size, bias=False, dtype=x.dtype)
    for _ in range(300):
        loss = (layer(x[None, None])[0, 0] - y).square().mean()
        layer.zero_grad()
        loss.backward()
        layer.weight.data -= 0.1 * layer.weight.grad
    return layer.weight[0, 0]


def learn_by_algebra(x, y, kernel_size):
    windows = F.unfold(x[None, None], kernel_size)[0].T
    return torch.linalg.solve(windows.T @ windows, windows.T @ y.flatten()).reshape(kernel_size)


def learn_three_steps(x, y, kernel_size):
    return learn_by_hand(x, y, kernel_size, steps=3)


def learn_leaps(x, y, kernel_size):
    return learn_by_hand(x, y, kernel_size, steps=20, rate=2.0)


def learn_uphill(x, y, kernel_size):
    return learn_by_hand(x, y, kernel_size, steps=50, rate=-0.1)


def learn_nothing(x, y, kernel_size):
    return torch.full(kernel_size, 0.01, dtype=x.dtype)


def learn_flipped(x, y, kernel_size):
    return learn_by_hand(x, y, kernel_size).flip(0, 1)


def learn_turned(x, y, kernel_size):
    return learn_by_hand(x, y, kernel_size).T


def learn_half_precision(x, y, kernel_size):
    return learn_by_hand(x, y, kernel_size).half()


def learn_double_precision(x, y, kernel_size):
    return learn_by_hand(x.double(), y.double(), kernel_size)


def learn_scalar(x, y, kernel_size):
    return (y.sum() / x.sum()).item()


# Wrong at an edge.


def corr2d_squeezed(x, kernel):
    return corr2d_loops(x, kernel).squeeze()


def corr2d_rounded(x, kernel):
    y = corr2d_loops(x, kernel)
    return y.round() if x.dtype == torch.float32 else y


def corr2d_up_to_three(x, kernel):
    return corr2d_loops(x, kernel) if max(kernel.shape) < 4 else corr2d_loops(x, kernel) * 0.5


def corr2d_positive(x, kernel):
    return corr2d_loops(x, kernel).abs()


def corr2d_flipped_in_single_precision(x, kernel):
    y = torch.zeros(x.shape[0] - kernel.shape[0] + 1, x.shape[1] - kernel.shape[1] + 1)
    y[:] = corr2d_flipped(x, kernel)
    return y


def corr2d_negative_index(x, kernel):
    kh, kw = kernel.shape
    turned = torch.stack([torch.stack([kernel[-a, -b] for b in range(kw)]) for a in range(kh)])
    return corr2d_loops(x, turned)


def corr2d_circular(x, kernel):
    kh, kw = kernel.shape
    return corr2d_loops(F.pad(x[None, None], (0, kw - 1, 0, kh - 1), mode="circular")[0, 0], kernel)


RIGHT = {
    "corr2d": [
        *(corr2d_loops, corr2d_four_loops, corr2d_taps, corr2d_einsum, corr2d_columns),
        *(corr2d_numpy, corr2d_fourier),
    ],
    "convolve2d": [
        *(convolve2d_painted, convolve2d_painted_other_way, convolve2d_padded),
        *(convolve2d_columns, convolve2d_fourier),
    ],
    "edge_kernel": [edge_two_by_two, edge_central, edge_sobel, edge_numpy],
    "second_derivative_kernel": [
        *(second_by_hand, second_whole, second_composed, second_differences),
        torch.tensor([1.0, -2.0, 1.0]),
    ],
    "learn_kernel": [learn_by_hand, learn_autograd, learn_with_layer, learn_by_algebra],
}

WRONG = {
    "corr2d": [
        (corr2d_torch, "calls `torch.conv2d`"),
        (corr2d_module, "calls `torch.conv2d`"),
        (corr2d_flipped, "flipped: that is convolution"),
        (corr2d_one_window_short, "last row and the last column are missing"),
        (corr2d_loops_stop_early, "never filled"),
        (corr2d_overwritten, "Only one product of each window is kept"),
        (corr2d_mean, "averaged"),
        (corr2d_blocks, "overlap"),
        (corr2d_same, "as large as the picture"),
        (corr2d_kernel_transposed, "Height and width are swapped"),
        (corr2d_no_return, "`return` missing"),
        (corr2d_single_precision, "in float32 where the input has float64"),
        (corr2d_square_only, "right when height and width are equal"),
        (corr2d_viewed, "`reshape` does not"),
        (corr2d_python_lists, "returned a list where a tensor is expected"),
        (corr2d_in_place, "`x` was changed in place"),
        (lambda x: x, "arguments of `corr2d(x, kernel)`"),
        (corr2d_squeezed, "is there a `squeeze`"),
        (corr2d_rounded, ""),
        (corr2d_up_to_three, "0.5 times what it should be"),
        (corr2d_positive, "sign is lost"),
        (corr2d_flipped_in_single_precision, "flipped: that is convolution"),
        (corr2d_negative_index, "negative index"),
        (corr2d_circular, "come in again on the other side"),
    ],
    "convolve2d": [
        (convolve2d_unflipped, "not flipped"),
        (convolve2d_flipped_once, "flip both axes"),
        (convolve2d_no_border, "border of zeros is missing"),
        (corr2d_loops, "this is corr2d"),
        (convolve2d_border_too_wide, "too wide"),
        (convolve2d_border_swapped, "border are swapped"),
        (convolve2d_one_sided, "on one side only"),
        (convolve2d_torch, "calls `torch.conv2d`"),
        (convolve2d_transposed_conv, "calls `torch.conv_transpose2d`"),
    ],
    "edge_kernel": [
        (edge_reversed, "sign is reversed"),
        (edge_swapped, "Height and width are swapped"),
        (edge_not_balanced, "A flat picture of ones gives 3, not 0"),
        (edge_sobel_too_strong, "orientation is right, the size is not"),
        (edge_normalised, "orientation is right, the size is not"),
        (edge_only_across, "grows by 1 a row gives 0, not 2"),
        (edge_flat, "two axes"),
        (lambda direction: None, "`return` missing"),
    ],
    "second_derivative_kernel": [
        (torch.tensor([-1.0, 2.0, -1.0]), "sign is reversed"),
        (torch.tensor([-1.0, 0.0, 1.0]), "first derivative"),
        (torch.tensor([-1.0, 1.0]), "three numbers"),
        (torch.tensor([0.5, -1.0, 0.5]), "gives 1, not 2"),
        (torch.tensor([1.0, 2.0, 1.0]), "constant signal of ones gives 4"),
        (torch.tensor([[1.0, -2.0, 1.0]]), "shape (3,) is expected"),
        (torch.tensor([1.0, 0.0, -2.0, 0.0, 1.0]), "three numbers"),
        ([1, -2, 1], "a list where a tensor is expected"),
    ],
    "learn_kernel": [
        (learn_three_steps, "stopped too early"),
        (learn_leaps, "smaller steps"),
        (learn_uphill, "smaller steps"),
        (learn_nothing, "explains nothing"),
        (learn_flipped, "flipped"),
        (learn_turned, "Height and width are swapped"),
        (learn_half_precision, "in float16 where x has float32: keep its dtype"),
        (learn_double_precision, "in float64 where x has float32: keep its dtype"),
        (learn_scalar, "where a tensor is expected"),
        (lambda x, y, kernel_size: -learn_by_hand(x, y, kernel_size), "opposite sign"),
    ],
}

# Wrong in a few cases only, and there not for every number that may be drawn.
EDGES = {
    "corr2d": [corr2d_positive],
}
