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


def edge_with_checkers(direction):
    return edge_two_by_two(direction) + 100 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]])


# second_derivative_kernel


def second_by_hand():
    return torch.tensor([1.0, -2.0, 1.0])


def second_whole():
    return torch.tensor([1, -2, 1])


def second_composed():
    return torch.from_numpy(np.convolve([1.0, -1.0], [1.0, -1.0]))


def second_differences():
    return torch.diff(torch.eye(3, dtype=torch.float64), n=2, dim=0)[0]


# kernel_between


def windows_of(x, y):
    kh, kw = x.shape[0] - y.shape[0] + 1, x.shape[1] - y.shape[1] + 1
    return x.unfold(0, kh, 1).unfold(1, kw, 1)


def between_by_algebra(x, y):
    windows = windows_of(x, y)
    shape = windows.shape[2:]
    rows = windows.reshape(y.numel(), -1)
    kernel = torch.linalg.pinv(rows) @ y.flatten()
    error = (rows @ kernel - y.flatten()).abs().max()
    return kernel.reshape(shape) if error < 0.01 * y.abs().max() else None


def between_numpy(x, y):
    windows = windows_of(x, y).numpy()
    rows, right = windows.reshape(y.numel(), -1), y.numpy().ravel()
    kernel = np.linalg.lstsq(rows, right, rcond=None)[0]
    if np.linalg.norm(rows @ kernel - right) > 0.01 * np.linalg.norm(right):
        return None
    return kernel.reshape(windows.shape[2:])


def between_learned(x, y, steps=400, rate=0.1, tested=True):
    windows = windows_of(x, y)
    kernel = torch.zeros(windows.shape[2:], dtype=x.dtype)
    for _ in range(steps):
        missed = (windows * kernel).sum((2, 3)) - y
        kernel -= rate * 2 * (windows * missed[..., None, None]).mean((0, 1))
    left = (windows * kernel).sum((2, 3)) - y
    return kernel if not tested or left.norm() < 0.05 * y.norm() else None


def between_with_layer(x, y):
    shape = windows_of(x, y).shape[2:]
    layer = torch.nn.Conv2d(1, 1, tuple(shape), bias=False, dtype=x.dtype)
    for _ in range(400):
        loss = (layer(x[None, None])[0, 0] - y).square().mean()
        layer.zero_grad()
        loss.backward()
        layer.weight.data -= 0.1 * layer.weight.grad
    return layer.weight[0, 0] if loss < 1e-3 * y.square().mean() else None


def between_first_windows(x, y):
    """Solve for as many windows as there are weights."""
    rows = windows_of(x, y).reshape(y.numel(), -1)
    kernel = torch.linalg.solve(rows[: rows.shape[1]], y.flatten()[: rows.shape[1]])
    return kernel.reshape(windows_of(x, y).shape[2:])


def between_lstsq(x, y):
    rows = windows_of(x, y).reshape(y.numel(), -1)
    kernel = torch.linalg.lstsq(rows, y.reshape(-1, 1)).solution
    fits = torch.allclose(rows @ kernel, y.reshape(-1, 1), atol=1e-3)
    return kernel.reshape(windows_of(x, y).shape[2:]) if fits else None


def between_always(x, y):
    return between_learned(x, y, tested=False)


def between_never(x, y):
    return None


def between_ten_steps(x, y):
    return between_learned(x, y, steps=10, tested=False)


def between_leaps(x, y):
    return between_learned(x, y, steps=20, rate=2.0, tested=False)


def between_nothing(x, y):
    return torch.full(windows_of(x, y).shape[2:], 0.01, dtype=x.dtype)


def between_flipped(x, y):
    kernel = between_learned(x, y)
    return kernel if kernel is None else kernel.flip(0, 1)


def between_turned(x, y):
    kernel = between_learned(x, y)
    return kernel if kernel is None else kernel.T


def between_negative(x, y):
    kernel = between_learned(x, y)
    return kernel if kernel is None else -kernel


def between_half_precision(x, y):
    kernel = between_learned(x, y)
    return kernel if kernel is None else kernel.half()


# corr2d_shifts


def shifts_added(x, kernel):
    (h, w), (kh, kw) = x.shape, kernel.shape
    places = [(a, b) for a in range(kh) for b in range(kw)]
    return sum(kernel[a, b] * x[a : a + h - kh + 1, b : b + w - kw + 1] for a, b in places)


def shifts_in_place(x, kernel):
    kh, kw = kernel.shape
    y = x.new_zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1)
    for a in range(kh):
        for b in range(kw):
            y += kernel[a, b].item() * x[a : a + len(y), b : b + y.shape[1]]
    return y


def shifts_rolled(x, kernel):
    y = torch.zeros_like(x)
    for a, row in enumerate(kernel):
        for b, weight in enumerate(row):
            y = y + weight * torch.roll(x, (-a, -b), dims=(0, 1))
    return y[: x.shape[0] - kernel.shape[0] + 1, : x.shape[1] - kernel.shape[1] + 1]


def shifts_stacked(x, kernel):
    kh, kw = kernel.shape
    h, w = x.shape[0] - kh + 1, x.shape[1] - kw + 1
    copies = [x[a : a + h, b : b + w] for a in range(kh) for b in range(kw)]
    return torch.einsum("khw,k->hw", torch.stack(copies), kernel.flatten())


def shifts_numpy(x, kernel):
    (kh, kw), x = kernel.shape, x.numpy()
    y = np.zeros((x.shape[0] - kh + 1, x.shape[1] - kw + 1), x.dtype)
    for (a, b), weight in np.ndenumerate(kernel.numpy()):
        y += weight * x[a : a + y.shape[0], b : b + y.shape[1]]
    return y


def shifts_the_other_way(x, kernel):
    return shifts_added(x, kernel.flip(0, 1))


def shifts_down_and_right(x, kernel):
    y = torch.zeros_like(x)
    for a in range(kernel.shape[0]):
        for b in range(kernel.shape[1]):
            y += kernel[a, b] * F.pad(x, (b, 0, a, 0))[: len(x), : x.shape[1]]
    return y[: len(x) - kernel.shape[0] + 1, : x.shape[1] - kernel.shape[1] + 1]


def shifts_last_only(x, kernel):
    kh, kw = kernel.shape
    for a in range(kh):
        for b in range(kw):
            y = kernel[a, b] * x[a : a + len(x) - kh + 1, b : b + x.shape[1] - kw + 1]
    return y


def shifts_windows_unfolded(x, kernel):
    return corr2d_einsum(x, kernel)


def shifts_sum_only(x, kernel):
    return shifts_added(x, torch.ones_like(kernel))


# break_this_test


def test_of_squares():
    return torch.arange(12.0).reshape(3, 4) ** 2, torch.tensor([[1.0, -2.0], [3.0, 4.0]])


def test_of_integers():
    x = torch.tensor([[3, 1, 4, 1], [5, 9, 2, 6], [5, 3, 5, 8]])
    return x, torch.tensor([[2, -7], [1, 8]])


def test_of_noise():
    torch.manual_seed(1)
    return torch.randn(3, 4), torch.randn(2, 2)


def test_as_lists():
    x = np.array([[0.0, 2, 7, 1], [3, 1, 0, 5], [9, 2, 4, 1]])
    return [x, np.array([[0.5, 3.0], [-2.0, 1.0]])]


def test_with_ones():
    return torch.ones(3, 4), torch.ones(2, 2)


def test_with_a_symmetric_kernel():
    x, _ = test_of_squares()
    return x, torch.tensor([[1.0, -2.0], [-2.0, 1.0]])


def test_of_one_row():
    x, _ = test_of_squares()
    return x, torch.tensor([[1.0, -2.0]])


def test_without_signs():
    x, _ = test_of_squares()
    return x, torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def test_dark_at_the_end():
    x, kernel = test_of_squares()
    x[1:] = 0
    x[:, 2:] = 0
    return x, kernel


def test_too_large():
    return torch.randn(5, 6), torch.randn(2, 2)


def test_exchanged():
    return test_of_squares()[::-1]


def test_of_numbers():
    return 3, 4


# sole_kernel


def sole_differences():
    return torch.tensor([[1.0], [-1.0]])


def sole_sobel():
    return torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]])


def sole_line():
    return np.repeat([[-1.0], [2.0], [-1.0]], 5, axis=1)


def sole_long():
    return torch.stack([torch.ones(5), -torch.ones(5)])


def sole_vertical():
    return torch.tensor([[1.0, -1.0]])


def sole_bright():
    return torch.ones(3, 3)


def sole_every_edge():
    return torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])


def sole_slanted():
    return torch.tensor([[0.0, 1.0], [-1.0, 0.0]])


def sole_nothing():
    return torch.zeros(3, 3)


def sole_whole_picture():
    return torch.ones(28, 28)


def sole_row():
    return torch.tensor([1.0, -1.0])


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
    "kernel_between": [
        *(between_by_algebra, between_numpy, between_learned, between_with_layer, between_lstsq),
    ],
    "corr2d_shifts": [
        *(shifts_added, shifts_in_place, shifts_rolled, shifts_stacked, shifts_numpy),
    ],
    "break_this_test": [test_of_squares, test_of_integers, test_of_noise, test_as_lists],
    "sole_kernel": [sole_differences, sole_sobel, sole_line, sole_long],
}

WRONG = {
    "corr2d": [
        (corr2d_torch, "calls `torch.conv2d`"),
        (corr2d_module, "calls `torch.conv2d`"),
        (corr2d_flipped, "what convolution gives"),
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
        (corr2d_flipped_in_single_precision, "what convolution gives"),
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
        (edge_with_checkers, "noise comes out"),
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
    "kernel_between": [
        (between_always, "No kernel makes this y"),
        (between_never, "Here is a kernel that makes y"),
        (between_first_windows, ""),
        (between_ten_steps, "take more of them"),
        (between_leaps, "smaller steps"),
        (between_nothing, "explains nothing"),
        (between_flipped, "The kernel is rotated by 180°"),
        (between_turned, "Height and width are swapped"),
        (between_negative, "of the opposite sign"),
        (between_half_precision, "in float16 where x has float32: keep its dtype"),
        (lambda x, y: 3.0, "where a tensor is expected"),
    ],
    "corr2d_shifts": [
        (corr2d_loops, "In `work`: The loop runs over the windows"),
        (corr2d_four_loops, "In `work`: The value is not the expected one"),
        (corr2d_torch, "calls `torch.conv2d`"),
        (corr2d_columns, "Here that work is yours to do"),
        (corr2d_fourier, "Here that work is yours to do"),
        (shifts_windows_unfolded, "Here that work is yours to do"),
        (shifts_the_other_way, "In `y`: This is what convolution gives"),
        (shifts_down_and_right, "shifted the wrong way"),
        (shifts_last_only, "Only one product of each window is kept"),
        (shifts_sum_only, "without the kernel's weights"),
    ],
    "break_this_test": [
        (test_with_ones, "the program that turns the kernel by 180°, nor 5 others"),
        (test_with_a_symmetric_kernel, "turns the kernel by 180°, nor 1 other."),
        (test_of_one_row, "turns the kernel upside down"),
        (test_without_signs, "forgets the signs"),
        (test_dark_at_the_end, "leaves the last row and column at zero"),
        (test_too_large, "at most (3, 4) is allowed"),
        (test_exchanged, "(x, kernel) is expected"),
        (test_of_numbers, "Return two tensors"),
        (lambda: None, "`return` missing"),
    ],
    "sole_kernel": [
        (sole_vertical, "Transpose it"),
        (sole_bright, "do not add up to 0"),
        (sole_every_edge, "more than one direction"),
        (sole_slanted, "more than one direction"),
        (sole_nothing, "Every number is zero"),
        (sole_whole_picture, "at most 5 rows"),
        (sole_row, "at most 5 rows"),
        (torch.tensor([[1.0], [1.0]]), "do not add up to 0"),
    ],
}

# Wrong in a few cases only, and there not for every number that may be drawn.
EDGES = {
    "corr2d": [corr2d_positive],
}
