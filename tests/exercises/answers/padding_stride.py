"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

# output_size


def size_formula(n, k, stride, padding, dilation):
    return (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1


def size_counted(n, k, stride, padding, dilation):
    count, start = 0, -padding
    while start + dilation * (k - 1) < n + padding:
        count += 1
        start += stride
    return count


def size_range(n, k, stride, padding, dilation):
    span = dilation * (k - 1) + 1
    return len(range(0, n + 2 * padding - span + 1, stride))


def size_measured(n, k, stride, padding, dilation):
    layer = nn.Conv1d(1, 1, k, stride, padding, dilation, device="meta")
    return layer(torch.zeros(1, 1, n, device="meta")).shape[2]


def size_windows(n, k, stride, padding, dilation):
    return len(torch.zeros(n + 2 * padding).unfold(0, dilation * (k - 1) + 1, stride))


def size_ceil_of_places(n, k, stride, padding, dilation):
    places = n + 2 * padding - dilation * (k - 1)
    return math.ceil(places / stride)


def size_padding_once(n, k, stride, padding, dilation):
    return (n + padding - dilation * (k - 1) - 1) // stride + 1


def size_rounded_up(n, k, stride, padding, dilation):
    return math.ceil((n + 2 * padding - dilation * (k - 1) - 1) / stride) + 1


def size_rounded(n, k, stride, padding, dilation):
    return round((n + 2 * padding - dilation * (k - 1) - 1) / stride + 1)


def size_float(n, k, stride, padding, dilation):
    return (n + 2 * padding - dilation * (k - 1) - 1) / stride + 1


def size_without_first(n, k, stride, padding, dilation):
    return (n + 2 * padding - dilation * (k - 1) - 1) // stride


def size_places_divided(n, k, stride, padding, dilation):
    return (n + 2 * padding - dilation * (k - 1)) // stride


def size_no_dilation(n, k, stride, padding, dilation):
    return (n - k + 2 * padding) // stride + 1


def size_dilated_kernel(n, k, stride, padding, dilation):
    return (n - dilation * k + 2 * padding) // stride + 1


def size_holes(n, k, stride, padding, dilation):
    span = k + (k - 1) * dilation
    return (n + 2 * padding - span) // stride + 1


def size_one_too_many(n, k, stride, padding, dilation):
    return (n + 2 * padding - dilation * (k - 1)) // stride + 1


def size_no_stride(n, k, stride, padding, dilation):
    return n + 2 * padding - dilation * (k - 1)


def size_no_padding(n, k, stride, padding, dilation):
    return (n - dilation * (k - 1) - 1) // stride + 1


def size_printed(n, k, stride, padding, dilation):
    str(size_formula(n, k, stride, padding, dilation))


def size_pair(n, k, stride, padding, dilation):
    size = size_formula(n, k, stride, padding, dilation)
    return size, size


def size_as_text(n, k, stride, padding, dilation):
    return str(size_formula(n, k, stride, padding, dilation))


# pixel_uses


def uses_loops(n, k, stride, padding, dilation):
    counts = torch.zeros(n, dtype=torch.long)
    for start in range(-padding, n + padding - dilation * (k - 1), stride):
        for b in range(k):
            if 0 <= start + b * dilation < n:
                counts[start + b * dilation] += 1
    return counts


def uses_counted(n, k, stride, padding, dilation):
    places = size_formula(n, k, stride, padding, dilation)
    counts = [0] * (n + 2 * padding)
    for t in range(places):
        for b in range(k):
            counts[t * stride + b * dilation] += 1
    return torch.tensor(counts[padding : padding + n])


def uses_unfold(n, k, stride, padding, dilation):
    pixels = torch.arange(n + 2 * padding)
    seen = pixels.unfold(0, dilation * (k - 1) + 1, stride)[:, ::dilation].flatten()
    return torch.bincount(seen, minlength=n + 2 * padding)[padding : padding + n]


def uses_gradient(n, k, stride, padding, dilation):
    x = torch.ones(1, 1, n, requires_grad=True)
    weight = torch.ones(1, 1, k)
    F.conv1d(x, weight, stride=stride, padding=padding, dilation=dilation).sum().backward()
    return x.grad[0, 0].round().long()


def uses_padded_axis(n, k, stride, padding, dilation):
    return uses_unfold(n + 2 * padding, k, stride, 0, dilation)


def uses_shifted(n, k, stride, padding, dilation):
    return uses_padded_axis(n, k, stride, padding, dilation)[:n]


def uses_negative_index(n, k, stride, padding, dilation):
    counts = torch.zeros(n, dtype=torch.long)
    for t in range(size_formula(n, k, stride, padding, dilation)):
        for b in range(k):
            pixel = t * stride + b * dilation - padding
            if pixel < n:
                counts[pixel] += 1
    return counts


def uses_one_short(n, k, stride, padding, dilation):
    counts = torch.zeros(n, dtype=torch.long)
    for t in range(size_formula(n, k, stride, padding, dilation) - 1):
        for b in range(k):
            pixel = t * stride + b * dilation - padding
            if 0 <= pixel < n:
                counts[pixel] += 1
    return counts


def uses_holes(n, k, stride, padding, dilation):
    return uses_loops(n, dilation * (k - 1) + 1, stride, padding, 1)


def uses_no_dilation(n, k, stride, padding, dilation):
    return uses_loops(n, k, stride, padding, 1)


def uses_no_stride(n, k, stride, padding, dilation):
    return uses_loops(n, k, 1, padding, dilation)


def uses_seen_or_not(n, k, stride, padding, dilation):
    return (uses_loops(n, k, stride, padding, dilation) > 0).long()


def uses_number_unseen(n, k, stride, padding, dilation):
    return (uses_loops(n, k, stride, padding, dilation) == 0).sum()


# same_padding


def same_halves(k, dilation):
    total = dilation * (k - 1)
    return total // 2, total - total // 2


def same_ceil(k, dilation):
    total = (k - 1) * dilation
    return math.floor(total / 2), math.ceil(total / 2)


def same_one_by_one(k, dilation):
    before = after = 0
    for _ in range(dilation * (k - 1)):
        if before < after:
            before += 1
        else:
            after += 1
    return before, after


def same_searched(k, dilation):
    n, before, after = 100, 0, 0
    while n + before + after - dilation * (k - 1) < n:
        before, after = after, before + 1
    return [before, after]


def same_each_side_all(k, dilation):
    return dilation * (k - 1), dilation * (k - 1)


def same_extra_before(k, dilation):
    total = dilation * (k - 1)
    return math.ceil(total / 2), total // 2


def same_equal_sides(k, dilation):
    p = dilation * (k - 1) // 2
    return p, p


def same_no_dilation(k, dilation):
    return (k - 1) // 2, (k - 1) - (k - 1) // 2


def same_half_kernel(k, dilation):
    return k // 2, k // 2


def same_dilated_kernel(k, dilation):
    span = dilation * k
    return (span - 1) // 2, span // 2


def same_half_times_dilation(k, dilation):
    return (k - 1) // 2 * dilation, math.ceil((k - 1) / 2) * dilation


def same_number(k, dilation):
    return dilation * (k - 1) // 2


def same_floats(k, dilation):
    return dilation * (k - 1) / 2, dilation * (k - 1) / 2


def same_numpy(k, dilation):
    return np.array(same_halves(k, dilation))


def same_four(k, dilation):
    return same_halves(k, dilation) * 2


def same_nothing(k, dilation):
    return 0, 0


# reflect_pad


def pad_concatenated(x, p):
    h, w = x.shape[2:]
    x = torch.cat([x[..., 1 : p + 1].flip(3), x, x[..., w - 1 - p : w - 1].flip(3)], dim=3)
    return torch.cat([x[:, :, 1 : p + 1].flip(2), x, x[:, :, h - 1 - p : h - 1].flip(2)], dim=2)


def pad_loops(x, p):
    n, c, h, w = x.shape
    y = torch.zeros(n, c, h + 2 * p, w + 2 * p, dtype=x.dtype)
    for i in range(h + 2 * p):
        for j in range(w + 2 * p):
            a, b = abs(i - p), abs(j - p)
            if a >= h:
                a = 2 * (h - 1) - a
            if b >= w:
                b = 2 * (w - 1) - b
            y[:, :, i, j] = x[:, :, a, b]
    return y


def pad_index(x, p):
    def mirror(side):
        place = torch.arange(-p, side + p).abs()
        return side - 1 - (side - 1 - place).abs()

    return x[:, :, mirror(x.shape[2])][:, :, :, mirror(x.shape[3])]


def pad_matrices(x, p):
    def copies(side):
        m = torch.zeros(side + 2 * p, side, dtype=x.dtype)
        for i in range(-p, side + p):
            m[i + p, side - 1 - abs(side - 1 - abs(i))] = 1
        return m

    return torch.einsum("ai,ncij,bj->ncab", copies(x.shape[2]), x, copies(x.shape[3]))


def pad_filled(x, p):
    h, w = x.shape[-2:]
    y = F.pad(x, (p, p, p, p))
    for d in range(1, p + 1):
        y[:, :, p - d] = y[:, :, p + d]
        y[:, :, p + h - 1 + d] = y[:, :, p + h - 1 - d]
    for d in range(1, p + 1):
        y[..., p - d] = y[..., p + d]
        y[..., p + w - 1 + d] = y[..., p + w - 1 - d]
    return y


def pad_torch(x, p):
    return F.pad(x, (p, p, p, p), mode="reflect")


def pad_module(x, p):
    return nn.ReflectionPad2d(p)(x)


def pad_symmetric(x, p):
    return torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (p, p), (p, p)), mode="symmetric"))


def pad_last_pixels_flipped(x, p):
    h, w = x.shape[2:]
    x = torch.cat([x[..., 1 : p + 1].flip(3), x, x[..., w - p :].flip(3)], dim=3)
    return torch.cat([x[:, :, 1 : p + 1].flip(2), x, x[:, :, h - p :].flip(2)], dim=2)


def pad_replicated(x, p):
    return F.pad(x, (p, p, p, p), mode="replicate")


def pad_circular(x, p):
    return torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (p, p), (p, p)), mode="wrap"))


def pad_zeros(x, p):
    return nn.ZeroPad2d(p)(x)


def pad_not_turned(x, p):
    h, w = x.shape[2:]
    x = torch.cat([x[..., 1 : p + 1], x, x[..., w - 1 - p : w - 1]], dim=3)
    return torch.cat([x[:, :, 1 : p + 1], x, x[:, :, h - 1 - p : h - 1]], dim=2)


def pad_empty_corners(x, p):
    h, w = x.shape[2:]
    y = F.pad(x, (p, p, p, p))
    y[:, :, p : p + h, :p] = x[..., 1 : p + 1].flip(3)
    y[:, :, p : p + h, p + w :] = x[..., w - 1 - p : w - 1].flip(3)
    y[:, :, :p, p : p + w] = x[:, :, 1 : p + 1].flip(2)
    y[:, :, p + h :, p : p + w] = x[:, :, h - 1 - p : h - 1].flip(2)
    return y


def pad_columns(x, p):
    w = x.shape[3]
    return torch.cat([x[..., 1 : p + 1].flip(3), x, x[..., w - 1 - p : w - 1].flip(3)], dim=3)


def pad_upper_left(x, p):
    x = torch.cat([x[..., 1 : p + 1].flip(3), x], dim=3)
    return torch.cat([x[:, :, 1 : p + 1].flip(2), x], dim=2)


def pad_split(x, p):
    before, after = p // 2, p - p // 2
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (before, after), (before, after)), mode="reflect")
    return torch.from_numpy(padded)


def pad_one_picture(x, p):
    return pad_index(x, p)[0, 0]


def pad_single_precision(x, p):
    return pad_index(x, p).float()


def pad_no_return(x, p):
    pad_index(x, p)


def pad_for_squares(x, p):
    side = x.shape[2]
    place = torch.arange(-p, side + p).abs()
    place = side - 1 - (side - 1 - place).abs()
    return x[:, :, place][:, :, :, place]


def pad_negative_step(x, p):
    x = torch.cat([x[..., 1 : p + 1].flip(3), x, x[..., -p - 1 : -1].flip(3)], dim=3)
    return torch.cat([x[:, :, p:0:-1], x, x[:, :, -p - 1 : -1].flip(2)], dim=2)


# paint_copies


def up_blocks(x, kernel, stride):
    (h, w), (kh, kw) = x.shape, kernel.shape
    y = x.new_zeros((h - 1) * stride + kh, (w - 1) * stride + kw)
    for i in range(h):
        for j in range(w):
            rows, columns = slice(i * stride, i * stride + kh), slice(j * stride, j * stride + kw)
            y[rows, columns] += x[i, j] * kernel
    return y


def up_weights(x, kernel, stride):
    (h, w), (kh, kw) = x.shape, kernel.shape
    y = torch.zeros((h - 1) * stride + kh, (w - 1) * stride + kw, dtype=x.dtype)
    for a in range(kh):
        for b in range(kw):
            last_row, last_column = a + (h - 1) * stride + 1, b + (w - 1) * stride + 1
            y[a:last_row:stride, b:last_column:stride] += kernel[a, b] * x
    return y


def up_zeros_between(x, kernel, stride):
    (h, w), (kh, kw) = x.shape, kernel.shape
    spread = x.new_zeros((h - 1) * stride + 1, (w - 1) * stride + 1)
    spread[::stride, ::stride] = x
    spread = F.pad(spread, (kw - 1, kw - 1, kh - 1, kh - 1))
    return torch.einsum("ijab,ab->ij", spread.unfold(0, kh, 1).unfold(1, kw, 1), kernel.flip(0, 1))


def up_matrices(x, kernel, stride):
    (h, w), (kh, kw) = x.shape, kernel.shape

    def places(side, k):
        m = torch.zeros(side, k, (side - 1) * stride + k, dtype=x.dtype)
        for i in range(side):
            for a in range(k):
                m[i, a, i * stride + a] = 1
        return m

    return torch.einsum("ij,ab,iar,jbs->rs", x, kernel, places(h, kh), places(w, kw))


def up_covers(x, kernel, stride):
    (h, w), (kh, kw) = x.shape, kernel.shape
    y = x.new_zeros((h - 1) * stride + kh, (w - 1) * stride + kw)
    for i in range(h):
        for j in range(w):
            top, left = i * stride, j * stride
            y[top : top + kh, left : left + kw] = x[i, j] * kernel
    return y


def up_torch(x, kernel, stride):
    return F.conv_transpose2d(x[None, None], kernel[None, None], stride=stride)[0, 0]


def up_turned(x, kernel, stride):
    return up_blocks(x, kernel.flip(0, 1), stride)


def up_too_far(x, kernel, stride):
    return up_blocks(x, kernel, stride + 1)


def up_no_stride(x, kernel, stride):
    return up_blocks(x, kernel, 1)


def up_exchanged(x, kernel, stride):
    return up_blocks(kernel, x, stride)


def up_cut_off(x, kernel, stride):
    return up_blocks(x, kernel, stride)[: x.shape[0] * stride, : x.shape[1] * stride]


def up_spread_only(x, kernel, stride):
    y = x.new_zeros((x.shape[0] - 1) * stride + 1, (x.shape[1] - 1) * stride + 1)
    y[::stride, ::stride] = x
    return y


def up_transposed(x, kernel, stride):
    return up_blocks(x, kernel, stride).T


def up_single_precision(x, kernel, stride):
    return up_blocks(x, kernel, stride).float()


def up_no_return(x, kernel, stride):
    up_blocks(x, kernel, stride)


# Wrong at an edge.


def uses_short_steps(n, k, stride, padding, dilation):
    return uses_loops(n, k, min(stride, dilation * (k - 1) + 1), padding, dilation)


def up_for_overlaps(x, kernel, stride):
    return up_blocks(x, kernel, min(stride, max(kernel.shape)))


def size_short_steps(n, k, stride, padding, dilation):
    return size_formula(n, k, min(stride, dilation * (k - 1) + 1), padding, dilation)


RIGHT = {
    "output_size": [
        *(size_formula, size_counted, size_range, size_measured, size_windows),
        size_ceil_of_places,
    ],
    "pixel_uses": [uses_loops, uses_counted, uses_unfold, uses_gradient],
    "paint_copies": [up_blocks, up_weights, up_zeros_between, up_matrices],
    "same_padding": [same_halves, same_ceil, same_one_by_one, same_searched],
    "reflect_pad": [pad_concatenated, pad_loops, pad_index, pad_matrices, pad_filled],
}

WRONG = {
    "output_size": [
        (size_padding_once, "The padding is counted once"),
        (size_rounded_up, "It is rounded up"),
        (size_rounded, "rounded to the nearest"),
        (size_float, "returned a number with decimals where an integer is expected"),
        (size_without_first, "The first window is not counted"),
        (size_places_divided, "The 1 is added before the division"),
        (size_no_dilation, "The dilation is not used"),
        (size_dilated_kernel, "dilation * k pixels wide"),
        (size_holes, "number of pixels left out"),
        (size_one_too_many, "the + 1 is missing"),
        (size_no_stride, "The stride is not used"),
        (size_no_padding, "The padding is not used"),
        (size_printed, "`return` missing"),
        (size_pair, "returned a tuple where an integer is expected"),
        (size_as_text, "returned a text where an integer is expected"),
        (size_short_steps, ""),
    ],
    "pixel_uses": [
        (uses_padded_axis, "count for the n pixels of the picture only"),
        (uses_shifted, "The pixels are shifted"),
        (uses_negative_index, "a negative index begins at the end"),
        (uses_one_short, "The last window is not counted"),
        (uses_holes, "The holes of a dilated kernel are counted"),
        (uses_no_dilation, "The dilation is not used"),
        (uses_no_stride, "The stride is not used"),
        (uses_seen_or_not, "How often is it?"),
        (uses_number_unseen, "Return a number for each pixel"),
        (uses_short_steps, ""),
    ],
    "paint_copies": [
        (up_torch, "calls `torch.conv_transpose2d`"),
        (up_covers, "They must add"),
        (up_turned, "The copies of the kernel are turned"),
        (up_too_far, "one pixel too far apart"),
        (up_no_stride, "the stride is not used"),
        (up_exchanged, "Picture and kernel are exchanged"),
        (up_cut_off, "The last copies are cut off"),
        (up_spread_only, "no copy is painted"),
        (up_transposed, "The result is transposed"),
        (up_single_precision, "in float32 where the input has float64"),
        (up_no_return, "`return` missing"),
        (up_for_overlaps, ""),
    ],
    "same_padding": [
        (same_each_side_all, "Half of them go before and half after"),
        (same_extra_before, "The extra one goes after, not before"),
        (same_equal_sides, "one pixel too short"),
        (same_no_dilation, "The dilation is not used: a kernel with holes"),
        (same_half_kernel, "both sides get k // 2"),
        (same_dilated_kernel, "it should multiply k - 1"),
        (same_half_times_dilation, "Multiply first"),
        (same_number, "returned an integer where a tuple is expected"),
        (same_floats, "In `before`: The answer returned a number with decimals"),
        (same_numpy, "returned a tensor where a tuple is expected"),
        (same_four, "4 items where 2 are expected"),
        (same_nothing, "Every number is zero"),
    ],
    "reflect_pad": [
        (pad_torch, "calls `aten.reflection_pad2d`"),
        (pad_module, "calls `aten.reflection_pad2d`"),
        (pad_symmetric, "The border pixels appear twice"),
        (pad_last_pixels_flipped, "Below and at the right the border pixel appears twice"),
        (pad_replicated, "The border pixels are repeated"),
        (pad_circular, "The pixels of the other side come in"),
        (pad_zeros, "The border holds zeros"),
        (pad_not_turned, "a mirror turns it round"),
        (pad_empty_corners, "The corners are empty"),
        (pad_columns, "Only the columns are padded"),
        (pad_upper_left, "Only the upper and the left border are padded"),
        (pad_split, "p is split"),
        (pad_one_picture, "The shape is wrong"),
        (pad_single_precision, "in float32 where the input has float64"),
        (pad_no_return, "`return` missing"),
        (pad_negative_step, "stopped with ValueError at padding_stride.py"),
        (pad_for_squares, "right when height and width are equal"),
    ],
}
