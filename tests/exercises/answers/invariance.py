"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

# translate


def translate_loops(x, dy, dx):
    h, w = x.shape[-2:]
    y = torch.zeros_like(x)
    for i in range(h):
        for j in range(w):
            if 0 <= i - dy < h and 0 <= j - dx < w:
                y[..., i, j] = x[..., i - dy, j - dx]
    return y


def translate_every_pixel(x, dy, dx):
    n, c, h, w = x.shape
    y = torch.zeros(n, c, h, w, dtype=x.dtype)
    for a in range(n):
        for b in range(c):
            for i in range(h):
                for j in range(w):
                    if i + dy in range(h) and j + dx in range(w):
                        y[a, b, i + dy, j + dx] = x[a, b, i, j]
    return y


def translate_slices(x, dy, dx):
    h, w = x.shape[2:]
    y = torch.zeros_like(x)
    if abs(dy) < h and abs(dx) < w:
        to_rows, to_columns = slice(max(dy, 0), h + min(dy, 0)), slice(max(dx, 0), w + min(dx, 0))
        rows, columns = slice(max(-dy, 0), h - max(dy, 0)), slice(max(-dx, 0), w - max(dx, 0))
        y[:, :, to_rows, to_columns] = x[:, :, rows, columns]
    return y


def translate_matrices(x, dy, dx):
    h, w = x.shape[2:]
    rows = torch.diag(torch.ones(max(h - abs(dy), 0)), -dy)[:h, :h] if abs(dy) < h else 0
    columns = torch.diag(torch.ones(max(w - abs(dx), 0)), dx)[:w, :w] if abs(dx) < w else 0
    if abs(dy) >= h or abs(dx) >= w:
        return 0 * x
    return torch.einsum("ki,ncij,jl->nckl", rows.to(x.dtype), x, columns.to(x.dtype))


def translate_padded(x, dy, dx):
    h, w = x.shape[2:]
    big = F.pad(x, (abs(dx), abs(dx), abs(dy), abs(dy)))
    top, left = abs(dy) - dy, abs(dx) - dx
    return big[:, :, top : top + h, left : left + w]


def translate_roll_and_erase(x, dy, dx):
    h, w = x.shape[2:]
    y = x.roll((dy, dx), (2, 3))
    rows, columns = torch.arange(h) - dy, torch.arange(w) - dx
    seen = ((rows >= 0) & (rows < h))[:, None] & ((columns >= 0) & (columns < w))
    return torch.where(seen, y, torch.zeros_like(y))


def translate_numpy(x, dy, dx):
    y = np.zeros_like(x.numpy())
    for (n, c, i, j), value in np.ndenumerate(x.numpy()):
        if 0 <= i + dy < y.shape[2] and 0 <= j + dx < y.shape[3]:
            y[n, c, i + dy, j + dx] = value
    return y


def translate_rolled(x, dy, dx):
    return torch.roll(x, shifts=(dy, dx), dims=(2, 3))


def translate_rolled_back(x, dy, dx):
    return torch.roll(x, shifts=(-dy, -dx), dims=(-2, -1))


def translate_reads_ahead(x, dy, dx):
    y = torch.zeros_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            if 0 <= i + dy < x.shape[2] and 0 <= j + dx < x.shape[3]:
                y[:, :, i, j] = x[:, :, i + dy, j + dx]
    return y


def translate_x_first(x, dy, dx):
    return translate_loops(x, dx, dy)


def translate_mathematical(x, dy, dx):
    return translate_padded(x, -dy, dx)


def translate_columns_only(x, dy, dx):
    y = torch.zeros_like(x)
    for j in range(x.shape[3]):
        if 0 <= j - dx < x.shape[3]:
            y[..., j] = x[..., j - dx]
    return y


def translate_down_and_right_only(x, dy, dx):
    dy, dx = max(0, dy), max(0, dx)
    return translate_slices(x, dy, dx)


def translate_without_sign(x, dy, dx):
    return translate_slices(x, abs(dy), abs(dx))


def translate_clamped(x, dy, dx):
    h, w = x.shape[2:]
    y = torch.zeros_like(x)
    for i in range(h):
        for j in range(w):
            y[..., i, j] = x[..., min(max(i - dy, 0), h - 1), min(max(j - dx, 0), w - 1)]
    return y


def translate_cut(x, dy, dx):
    h, w = x.shape[2:]
    return x[:, :, max(-dy, 0) : max(h - dy, 0), max(-dx, 0) : max(w - dx, 0)]


def translate_grown(x, dy, dx):
    return F.pad(x, (max(dx, 0), max(-dx, 0), max(dy, 0), max(-dy, 0)))


def translate_first_axes(x, dy, dx):
    return torch.roll(x, (dy, dx), dims=(0, 1))


def translate_shifts_itself(x, dy, dx):
    x[:] = translate_loops(x, dy, dx)
    return x


def translate_single_precision(x, dy, dx):
    y = torch.zeros(x.shape)
    y[:] = translate_loops(x, dy, dx)
    return y


def translate_one_picture(x, dy, dx):
    return translate_loops(x, dy, dx)[0, 0]


def translate_no_return(x, dy, dx):
    y = torch.zeros_like(x)
    y[..., dy:, dx:] = x[..., : x.shape[2] - dy, : x.shape[3] - dx]


def translate_not_at_all(x, dy, dx):
    y = x.clone()
    y.roll((dy, dx), (2, 3))
    return y


def translate_python_index(x, dy, dx):
    y = torch.zeros_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            y[..., i, j] = x[..., i - dy, j - dx]
    return y


# equivariance_error


def error_roll(f, x, dy, dx):
    a = f(torch.roll(x, (dy, dx), dims=(-2, -1)))
    b = torch.roll(f(x), (dy, dx), dims=(-2, -1))
    return (torch.norm(a - b) / torch.norm(b)).item()


def error_tensor(f, x, dy, dx):
    def move(t):
        return t.roll(dy, 2).roll(dx, 3)

    difference = f(move(x)) - move(f(x))
    return torch.sqrt((difference**2).sum()) / torch.sqrt((move(f(x)) ** 2).sum())


def error_loops(f, x, dy, dx):
    def move(t):
        moved = torch.empty_like(t)
        h, w = t.shape[2:]
        for i in range(h):
            for j in range(w):
                moved[:, :, (i + dy) % h, (j + dx) % w] = t[:, :, i, j]
        return moved

    a, b = f(move(x)).flatten(), move(f(x)).flatten()
    above = below = 0.0
    for p, q in zip(a.tolist(), b.tolist(), strict=True):
        above += (p - q) ** 2
        below += q**2
    return above**0.5 / below**0.5


def error_numpy(f, x, dy, dx):
    moved = torch.from_numpy(np.roll(x.numpy(), (dy, dx), axis=(2, 3)))
    a, b = f(moved).numpy(), np.roll(f(x).numpy(), (dy, dx), axis=(2, 3))
    return np.sqrt(np.sum(np.square(a - b))) / np.sqrt(np.sum(np.square(b)))


def error_einsum(f, x, dy, dx):
    rows = torch.eye(x.shape[2], dtype=x.dtype).roll(dy, 0)
    columns = torch.eye(x.shape[3], dtype=x.dtype).roll(dx, 0)
    moved = torch.einsum("ai,bj,ncij->ncab", rows, columns, x)
    b = torch.einsum("ai,bj,ncij->ncab", rows, columns, f(x))
    return float(torch.linalg.vector_norm(f(moved) - b) / torch.linalg.vector_norm(b))


def parts(f, x, dy, dx):
    return f(torch.roll(x, (dy, dx), (2, 3))), torch.roll(f(x), (dy, dx), (2, 3))


def error_absolute(f, x, dy, dx):
    a, b = parts(f, x, dy, dx)
    return torch.linalg.norm((a - b).flatten()).item()


def error_squared(f, x, dy, dx):
    a, b = parts(f, x, dy, dx)
    return float(((a - b) ** 2).sum() / (b**2).sum())


def error_mse(f, x, dy, dx):
    return F.mse_loss(*parts(f, x, dy, dx)).item()


def error_l1(f, x, dy, dx):
    a, b = parts(f, x, dy, dx)
    return ((a - b).abs().mean() / b.abs().mean()).item()


def error_largest(f, x, dy, dx):
    a, b = parts(f, x, dy, dx)
    return (a - b).abs().max().item()


def error_of_invariance(f, x, dy, dx):
    y = f(x)
    return ((f(torch.roll(x, (dy, dx), (2, 3))) - y).norm() / y.norm()).item()


def error_f_of_still_picture(f, x, dy, dx):
    y = f(x)
    moved = torch.roll(y, (dy, dx), (2, 3))
    return ((y - moved).norm() / moved.norm()).item()


def error_zeros_come_in(f, x, dy, dx):
    a, b = f(translate_loops(x, dy, dx)), translate_loops(f(x), dy, dx)
    return ((a - b).norm() / b.norm()).item()


def error_swapped(f, x, dy, dx):
    return error_roll(f, x, dx, dy)


def error_backwards(f, x, dy, dx):
    return error_roll(f, x, -dy, -dx)


def error_divided_by_input(f, x, dy, dx):
    a, b = parts(f, x, dy, dx)
    return ((a - b).norm() / x.norm()).item()


def error_of_lengths(f, x, dy, dx):
    a, b = parts(f, x, dy, dx)
    return abs(a.norm() - b.norm()).item() / b.norm().item()


def error_yes_or_no(f, x, dy, dx):
    return torch.allclose(*parts(f, x, dy, dx))


def error_per_pixel(f, x, dy, dx):
    a, b = parts(f, x, dy, dx)
    return (a - b).abs() / b.abs()


def error_zero(f, x, dy, dx):
    return 0.0


def error_nan(f, x, dy, dx):
    a, _ = parts(f, x, dy, dx)
    return ((a - a).norm() / (a - a).norm()).item()


def error_moves_x_itself(f, x, dy, dx):
    b = torch.roll(f(x), (dy, dx), (2, 3))
    x[:] = torch.roll(x, (dy, dx), (2, 3))
    return ((f(x) - b).norm() / b.norm()).item()


# Slices that lie outside of the picture for the shifts they forget.
def translate_slices_unguarded(x, dy, dx):
    h, w = x.shape[2:]
    y = torch.zeros_like(x)
    to = y[:, :, max(dy, 0) : h + min(dy, 0), max(dx, 0) : w + min(dx, 0)]
    to += x[:, :, max(-dy, 0) : h - max(dy, 0), max(-dx, 0) : w - max(dx, 0)]
    return y


def translate_masked(x, dy, dx):
    h, w = x.shape[2:]
    rows, columns = torch.arange(h) - dy, torch.arange(w) - dx
    inside = ((rows >= 0) & (rows < h))[:, None] & ((columns >= 0) & (columns < w))
    return x.roll((dy, dx), (2, 3)) * inside


def error_with_floor(f, x, dy, dx):
    a, b = parts(f, x, dy, dx)
    return ((a - b).norm() / (b.norm() + 1e-6)).item()


# largest_invariance_error


def stays_loops(f, x):
    y, worst = f(x), 0.0
    for dy in range(x.shape[2]):
        for dx in range(x.shape[3]):
            moved = f(torch.roll(x, (dy, dx), dims=(2, 3)))
            worst = max(worst, ((moved - y).norm() / y.norm()).item())
    return worst


def stays_tensor(f, x):
    h, w = x.shape[-2:]
    errors = [
        torch.sqrt(((f(x.roll(a, -2).roll(b, -1)) - f(x)) ** 2).sum())
        for a in range(h)
        for b in range(w)
    ]
    return torch.stack(errors).max() / torch.sqrt((f(x) ** 2).sum())


def stays_backwards(f, x):
    # All shifts upwards and to the left are all shifts, too.
    y = f(x).flatten().numpy()
    errors = [
        np.linalg.norm(f(x.roll((-dy, -dx), (2, 3))).flatten().numpy() - y)
        for dy in range(x.shape[2])
        for dx in range(x.shape[3])
    ]
    return max(errors) / np.linalg.norm(y)


def stays_moves_output(f, x):
    errors = []
    for dy in range(x.shape[2]):
        for dx in range(x.shape[3]):
            a = f(x.roll((dy, dx), (2, 3)))
            b = f(x).roll((dy, dx), (-2, -1))
            errors.append(((a - b).norm() / b.norm()).item())
    return max(errors)


def stays_mean(f, x):
    y, errors = f(x), []
    for dy in range(x.shape[2]):
        for dx in range(x.shape[3]):
            errors.append((f(x.roll((dy, dx), (2, 3))) - y).norm() / y.norm())
    return torch.stack(errors).mean().item()


def stays_one_shift(f, x):
    y = f(x)
    return ((f(x.roll((1, 1), (2, 3))) - y).norm() / y.norm()).item()


def stays_columns_only(f, x):
    y = f(x)
    return max(((f(x.roll(dx, 3)) - y).norm() / y.norm()).item() for dx in range(x.shape[3]))


def stays_rows_only(f, x):
    y = f(x)
    return max(((f(x.roll(dy, 2)) - y).norm() / y.norm()).item() for dy in range(x.shape[2]))


def stays_from_one(f, x):
    y, worst = f(x), 0.0
    for dy in range(1, x.shape[2]):
        for dx in range(1, x.shape[3]):
            worst = max(worst, ((f(x.roll((dy, dx), (2, 3))) - y).norm() / y.norm()).item())
    return worst


def stays_swapped(f, x):
    w, h = x.shape[2:]
    y, worst = f(x), 0.0
    for dy in range(h):
        for dx in range(w):
            worst = max(worst, ((f(x.roll((dy, dx), (2, 3))) - y).norm() / y.norm()).item())
    return worst


def stays_zeros(f, x):
    y, worst = f(x), 0.0
    for dy in range(x.shape[2]):
        for dx in range(x.shape[3]):
            worst = max(worst, ((f(translate_loops(x, dy, dx)) - y).norm() / y.norm()).item())
    return worst


def stays_absolute(f, x):
    y = f(x)
    shifts = [(dy, dx) for dy in range(x.shape[2]) for dx in range(x.shape[3])]
    return max((f(x.roll(shift, (2, 3))) - y).norm().item() for shift in shifts)


def error_zero_of_two(f, x):
    return 0.0


def stays_yes_or_no(f, x):
    return torch.equal(f(x.roll((1, 1), (2, 3))), f(x))


# reordered_weight


def weight_by_columns(weight, order):
    new = torch.empty_like(weight)
    for place, pixel in enumerate(order.tolist()):
        new[:, place] = weight[:, pixel]
    return new


def weight_indexed(weight, order):
    return weight[:, order]


def weight_times_matrix(weight, order):
    shuffle = torch.eye(len(order), dtype=weight.dtype)[order]  # x[order] = shuffle @ x
    return weight @ shuffle.T


def weight_selected(weight, order):
    return torch.index_select(weight, 1, order)


def weight_undone(weight, order):
    new = torch.empty_like(weight)
    new[:, order] = weight
    return new


def weight_inverse_matrix(weight, order):
    return weight @ torch.eye(len(order), dtype=weight.dtype)[order]


def weight_unchanged(weight, order):
    return weight


def weight_flipped(weight, order):
    return weight[:, order.tolist()[::-1]]


def weight_one_row(weight, order):
    return weight[0, order][None]


def weight_transposed(weight, order):
    return weight.T[order]


def weight_in_place(weight, order):
    weight[:] = weight[:, order]
    return weight


def weight_as_list(weight, order):
    return [row[order] for row in weight]


RIGHT = {
    "translate": [
        *(translate_loops, translate_every_pixel, translate_slices),
        *(translate_padded, translate_roll_and_erase, translate_numpy),
    ],
    "equivariance_error": [error_roll, error_tensor, error_loops, error_numpy, error_einsum],
    "largest_invariance_error": [stays_loops, stays_tensor, stays_backwards],
    "reordered_weight": [
        *(weight_by_columns, weight_indexed, weight_times_matrix, weight_selected),
    ],
}

WRONG = {
    "translate": [
        (translate_rolled, "Zeros should come in"),
        (translate_rolled_back, "moves the wrong way, and what leaves comes in"),
        (translate_reads_ahead, "moves the wrong way"),
        (translate_x_first, "dy and dx are swapped"),
        (translate_mathematical, "Up and down are exchanged"),
        (translate_columns_only, "dy is not used"),
        (translate_down_and_right_only, "A negative shift does not move the picture"),
        (translate_without_sign, "A negative shift is taken for a positive one"),
        (translate_clamped, "border pixels are repeated"),
        (translate_cut, "no zeros come in"),
        (translate_grown, "nothing leaves"),
        (translate_first_axes, "last two axes"),
        (translate_shifts_itself, "`x` was changed in place"),
        (translate_single_precision, "in float32 where the input has float64"),
        (translate_one_picture, "The shape is wrong"),
        (translate_no_return, "`return` missing"),
        (translate_not_at_all, "The picture has not moved"),
        (translate_python_index, "Zeros should come in"),
        (translate_slices_unguarded, "stopped with RuntimeError"),
        (translate_masked, "0 times infinity is NaN"),
        (translate_matrices, "0 times infinity is NaN"),
    ],
    "equivariance_error": [
        (error_absolute, "not divided by the length of T f(x)"),
        (error_squared, "A root is missing"),
        (error_mse, "mean squared error"),
        (error_l1, "Absolute values are added up"),
        (error_largest, "largest difference"),
        (error_of_invariance, "which is invariance"),
        (error_f_of_still_picture, "f never sees the moved picture"),
        (error_zeros_come_in, "Zeros come in at the border"),
        (error_swapped, "dy and dx are swapped"),
        (error_backwards, "moves the wrong way"),
        (error_divided_by_input, "divided by that of x"),
        (error_of_lengths, "difference of two lengths"),
        (error_yes_or_no, "returned True or False where a number with decimals is expected"),
        (error_per_pixel, "returned a tensor where a number with decimals is expected"),
        (error_zero, "Every number is zero"),
        (error_nan, "NaN"),
        (error_moves_x_itself, "`x` was changed in place"),
        (error_with_floor, "Is a small number added"),
    ],
    "largest_invariance_error": [
        (stays_moves_output, "The output is moved too"),
        (stays_mean, "This is the mean over the shifts"),
        (stays_one_shift, "One shift alone is tried"),
        (stays_columns_only, "from left to right only"),
        (stays_rows_only, "up and down only"),
        (stays_from_one, "Shifts along one axis alone are left out"),
        (stays_swapped, "Height and width are swapped"),
        (stays_zeros, "Zeros come in at the border"),
        (stays_absolute, "not divided by the length of f(x)"),
        (stays_yes_or_no, "returned True or False where a number with decimals is expected"),
        (error_zero_of_two, "Every number is zero"),
    ],
    "reordered_weight": [
        (weight_undone, "The weights went back"),
        (weight_inverse_matrix, "The weights went back"),
        (weight_unchanged, "have not changed"),
        (weight_flipped, "read from its end"),
        (weight_one_row, "Only the first row is left"),
        (weight_transposed, "transposed"),
        (weight_in_place, "`weight` was changed in place"),
        (weight_as_list, "list"),
    ],
}
