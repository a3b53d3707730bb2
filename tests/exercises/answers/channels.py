"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

# conv2d


def conv2d_seven_loops(x, weight, bias, stride, padding):
    n, c, h, w = x.shape
    o, _, kh, kw = weight.shape
    x = F.pad(x, (padding, padding, padding, padding))
    rows = (h + 2 * padding - kh) // stride + 1
    columns = (w + 2 * padding - kw) // stride + 1
    y = torch.zeros(n, o, rows, columns, dtype=x.dtype)
    for m in range(n):
        for k in range(o):
            for p in range(rows):
                for q in range(columns):
                    total = bias[k].clone()
                    for channel in range(c):
                        top, left = p * stride, q * stride
                        window = x[m, channel, top : top + kh, left : left + kw]
                        total += (window * weight[k, channel]).sum()
                    y[m, k, p, q] = total
    return y


def conv2d_windows(x, weight, bias, stride, padding):
    n, c, h, w = x.shape
    kh, kw = weight.shape[2:]
    padded = x.new_zeros(n, c, h + 2 * padding, w + 2 * padding)
    padded[:, :, padding : padding + h, padding : padding + w] = x
    rows = []
    for i in range(0, padded.shape[2] - kh + 1, stride):
        row = []
        for j in range(0, padded.shape[3] - kw + 1, stride):
            window = padded[:, None, :, i : i + kh, j : j + kw]
            row.append((window * weight).sum((2, 3, 4)) + bias)
        rows.append(torch.stack(row, dim=-1))
    return torch.stack(rows, dim=-2)


def conv2d_einsum(x, weight, bias, stride, padding):
    kh, kw = weight.shape[2:]
    x = F.pad(x, [padding] * 4)
    windows = x.unfold(2, kh, stride).unfold(3, kw, stride)
    return torch.einsum("nchwij,ocij->nohw", windows, weight) + bias.view(1, -1, 1, 1)


def conv2d_matmul(x, weight, bias, stride, padding):
    (n, _, h, _), (o, _, kh, kw) = x.shape, weight.shape
    columns = F.unfold(x, (kh, kw), stride=stride, padding=padding)
    y = weight.reshape(o, -1) @ columns + bias[:, None]
    return y.reshape(n, o, (h + 2 * padding - kh) // stride + 1, -1)


def conv2d_numpy(x, weight, bias, stride, padding):
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(x.numpy(), sides)
    kh, kw = weight.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    y = np.einsum("nchwij,ocij->nohw", windows, weight.numpy())
    return y + bias.numpy()[:, None, None]


def conv2d_shifted_copies(x, weight, bias, stride, padding):
    kh, kw = weight.shape[2:]
    x = F.pad(x, [padding] * 4)
    h, w = x.shape[2] - kh + 1, x.shape[3] - kw + 1
    y = bias[None, :, None, None]
    for i in range(kh):
        for j in range(kw):
            seen = x[:, :, i : i + h : stride, j : j + w : stride]
            y = y + torch.tensordot(weight[:, :, i, j], seen, dims=([1], [1])).transpose(0, 1)
    return y


def conv2d_torch(x, weight, bias, stride, padding):
    return F.conv2d(x, weight, bias, stride=stride, padding=padding)


def conv2d_no_bias(x, weight, bias, stride, padding):
    return conv2d_einsum(x, weight, torch.zeros_like(bias), stride, padding)


def conv2d_bias_in_channel_loop(x, weight, bias, stride, padding):
    y = 0
    for c in range(x.shape[1]):
        y = y + conv2d_einsum(x[:, c : c + 1], weight[:, c : c + 1], bias, stride, padding)
    return y


def conv2d_channel_overwritten(x, weight, bias, stride, padding):
    nothing = torch.zeros_like(bias)
    for c in range(x.shape[1]):
        y = conv2d_einsum(x[:, c : c + 1], weight[:, c : c + 1], nothing, stride, padding)
    return y + bias[:, None, None]


def conv2d_mean_over_channels(x, weight, bias, stride, padding):
    channels = range(x.shape[1])
    nothing = torch.zeros_like(bias)
    maps = [conv2d_einsum(x[:, [c]], weight[:, [c]], nothing, stride, padding) for c in channels]
    return torch.stack(maps).mean(0) + bias[:, None, None]


def conv2d_one_kernel(x, weight, bias, stride, padding):
    y = torch.zeros_like(conv2d_einsum(x, weight, bias, stride, padding))
    for k in range(len(weight)):
        y[:, k] = conv2d_einsum(x, weight[:1], bias[k : k + 1], stride, padding)[:, 0]
    return y


def conv2d_flipped(x, weight, bias, stride, padding):
    return conv2d_einsum(x, torch.flip(weight, [2, 3]), bias, stride, padding)


def conv2d_unpadded(x, weight, bias, stride, padding):
    return conv2d_einsum(x, weight, bias, stride, 0)


def conv2d_total_padding(x, weight, bias, stride, padding):
    before = padding // 2
    after = padding - before
    x = F.pad(x, (before, after, before, after))
    return conv2d_einsum(x, weight, bias, stride, 0)


def conv2d_padded_at_the_end(x, weight, bias, stride, padding):
    n, c, h, w = x.shape
    padded = x.new_zeros(n, c, h + padding, w + padding)
    padded[:, :, :h, :w] = x
    return conv2d_einsum(padded, weight, bias, stride, 0)


def conv2d_every_step(x, weight, bias, stride, padding):
    return conv2d_einsum(x, weight, bias, 1, padding)


def conv2d_windows_too_close(x, weight, bias, stride, padding):
    (n, _, h, w), (o, _, kh, kw) = x.shape, weight.shape
    rows, columns = ((a + 2 * padding - k) // stride + 1 for a, k in ((h, kh), (w, kw)))
    x = F.pad(x, [padding] * 4)
    y = x.new_zeros(n, o, rows, columns)
    for i in range(rows):
        for j in range(columns):
            window = x[:, None, :, i : i + kh, j : j + kw]
            y[:, :, i, j] = (window * weight).sum((2, 3, 4)) + bias
    return y


def conv2d_rounded_up(x, weight, bias, stride, padding):
    x = F.pad(x, (padding, padding + stride - 1, padding, padding + stride - 1))
    return conv2d_einsum(x, weight, bias, stride, 0)


def conv2d_single_precision(x, weight, bias, stride, padding):
    right = conv2d_einsum(x, weight, bias, stride, padding)
    y = torch.zeros(right.shape)
    y[:] = right
    return y


def conv2d_bias_broadcast_wrongly(x, weight, bias, stride, padding):
    return conv2d_einsum(x, weight, torch.zeros_like(bias), stride, padding) + bias


def conv2d_square_kernel(x, weight, bias, stride, padding):
    n, _, h, w = x.shape
    o, _, k, _ = weight.shape
    rows, columns = (h + 2 * padding - k) // stride + 1, (w + 2 * padding - k) // stride + 1
    x = F.pad(x, [padding] * 4)
    y = torch.zeros(n, o, rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            window = x[:, None, :, i * stride : i * stride + k, j * stride : j * stride + k]
            y[:, :, i, j] = (window * weight).sum((2, 3, 4)) + bias
    return y


# conv1x1


def conv1x1_einsum(x, weight):
    return torch.einsum("nchw,oc->nohw", x, weight[:, :, 0, 0])


def conv1x1_loops(x, weight):
    n, c, h, w = x.shape
    o = len(weight)
    y = torch.zeros(n, o, h, w, dtype=x.dtype)
    for k in range(o):
        for channel in range(c):
            y[:, k] += weight[k, channel, 0, 0] * x[:, channel]
    return y


def conv1x1_matmul(x, weight):
    n, c, h, w = x.shape
    o = weight.shape[0]
    return (weight.reshape(o, c) @ x.reshape(n, c, h * w)).reshape(n, o, h, w)


def conv1x1_linear(x, weight):
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1)).permute(0, 3, 1, 2)


def conv1x1_numpy(x, weight):
    return np.moveaxis(np.tensordot(x.numpy(), weight[..., 0, 0].numpy(), axes=([1], [1])), -1, 1)


def conv1x1_torch(x, weight):
    return F.conv2d(x, weight)


def conv1x1_transposed_matrix(x, weight):
    o, c = weight.shape[:2]
    return torch.einsum("nchw,co->nohw", x, weight.reshape(c, o))


def conv1x1_mean(x, weight):
    return (weight[:, :, 0, 0, None, None] * x[:, None]).mean(dim=2)


def conv1x1_channels_last(x, weight):
    return x.permute(0, 2, 3, 1) @ weight[:, :, 0, 0].T


def conv1x1_reshaped_pixels(x, weight):
    n, c, h, w = x.shape
    o = len(weight)
    pixels = x.reshape(n, h * w, c)
    return (pixels @ weight[:, :, 0, 0].T).permute(0, 2, 1).reshape(n, o, h, w)


def conv1x1_reshaped_result(x, weight):
    n, _, h, w = x.shape
    y = x.permute(0, 2, 3, 1) @ weight[:, :, 0, 0].T
    return y.reshape(n, len(weight), h, w)


def conv1x1_overwritten(x, weight):
    y = torch.zeros(len(x), len(weight), *x.shape[2:], dtype=x.dtype)
    for k in range(len(weight)):
        for channel in range(x.shape[1]):
            y[:, k] = weight[k, channel] * x[:, channel]
    return y


def conv1x1_products_unsummed(x, weight):
    return weight[:, :, 0, 0, None, None] * x[:, None]


# im2col


def im2col_unfold(x, kh, kw):
    n, c = x.shape[:2]
    windows = x.unfold(2, kh, 1).unfold(3, kw, 1)
    return windows.permute(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, -1)


def im2col_columns(x, kh, kw):
    columns = []
    for i in range(x.shape[2] - kh + 1):
        for j in range(x.shape[3] - kw + 1):
            columns.append(x[:, :, i : i + kh, j : j + kw].reshape(len(x), -1))
    return torch.stack(columns, dim=2)


def im2col_rows(x, kh, kw):
    c, h, w = x.shape[1:]
    rows = []
    for channel in range(c):
        for a in range(kh):
            for b in range(kw):
                rows.append(x[:, channel, a : h - kh + 1 + a, b : w - kw + 1 + b].flatten(1))
    return torch.stack(rows, dim=1)


def im2col_numpy(x, kh, kw):
    windows = np.lib.stride_tricks.sliding_window_view(x.numpy(), (kh, kw), axis=(2, 3))
    return np.einsum("nchwij->ncijhw", windows).reshape(len(x), x.shape[1] * kh * kw, -1)


def im2col_torch(x, kh, kw):
    return F.unfold(x, (kh, kw))


def im2col_module(x, kh, kw):
    return torch.nn.Unfold((kh, kw))(x)


def im2col_not_permuted(x, kh, kw):
    windows = x.unfold(2, kh, 1).unfold(3, kw, 1)
    return windows.reshape(len(x), x.shape[1] * kh * kw, -1)


def im2col_windows_as_rows(x, kh, kw):
    return im2col_columns(x, kh, kw).transpose(1, 2)


def im2col_channels_last(x, kh, kw):
    columns = []
    for i in range(x.shape[2] - kh + 1):
        for j in range(x.shape[3] - kw + 1):
            window = x[:, :, i : i + kh, j : j + kw]
            columns.append(window.permute(0, 2, 3, 1).reshape(len(x), -1))
    return torch.stack(columns, dim=2)


def im2col_swapped_size(x, kh, kw):
    return im2col_columns(x, kw, kh)


def im2col_down_first(x, kh, kw):
    columns = []
    for j in range(x.shape[3] - kw + 1):
        for i in range(x.shape[2] - kh + 1):
            columns.append(x[:, :, i : i + kh, j : j + kw].reshape(len(x), -1))
    return torch.stack(columns, dim=2)


def im2col_blocks(x, kh, kw):
    windows = x.unfold(2, kh, kh).unfold(3, kw, kw)
    return windows.permute(0, 1, 4, 5, 2, 3).reshape(len(x), x.shape[1] * kh * kw, -1)


def im2col_transposed_windows(x, kh, kw):
    windows = x.unfold(2, kh, 1).unfold(3, kw, 1)
    return windows.permute(0, 1, 5, 4, 2, 3).reshape(len(x), x.shape[1] * kh * kw, -1)


def im2col_too_few(x, kh, kw):
    columns = []
    for i in range(x.shape[2] - kh):
        for j in range(x.shape[3] - kw):
            columns.append(x[:, :, i : i + kh, j : j + kw].reshape(len(x), -1))
    return torch.stack(columns, dim=2)


def im2col_channels_apart(x, kh, kw):
    return im2col_unfold(x, kh, kw).reshape(len(x), x.shape[1], kh * kw, -1)


# conv_cost


def cost_formula(c_in, c_out, kh, kw, h_out, w_out):
    weights = c_in * c_out * kh * kw
    return weights + c_out, weights * h_out * w_out


def cost_counted(c_in, c_out, kh, kw, h_out, w_out):
    parameters = 0
    multiply_adds = 0
    for _ in range(c_out):
        for _ in range(c_in):
            parameters += kh * kw
            multiply_adds += kh * kw * h_out * w_out
        parameters += 1
    return parameters, multiply_adds


def cost_of_module(c_in, c_out, kh, kw, h_out, w_out):
    layer = torch.nn.Conv2d(c_in, c_out, (kh, kw))
    return [sum(p.numel() for p in layer.parameters()), layer.weight.numel() * h_out * w_out]


def cost_without_bias(c_in, c_out, kh, kw, h_out, w_out):
    weights = c_in * c_out * kh * kw
    return weights, weights * h_out * w_out


def cost_bias_of_input(c_in, c_out, kh, kw, h_out, w_out):
    weights = c_in * c_out * kh * kw
    return weights + c_in, weights * h_out * w_out


def cost_one_bias(c_in, c_out, kh, kw, h_out, w_out):
    weights = c_in * c_out * kh * kw
    return weights + 1, weights * h_out * w_out


def cost_one_channel_in(c_in, c_out, kh, kw, h_out, w_out):
    weights = c_out * kh * kw
    return weights + c_out, weights * h_out * w_out


def cost_parameters_everywhere(c_in, c_out, kh, kw, h_out, w_out):
    parameters = c_in * c_out * kh * kw + c_out
    return parameters, parameters * h_out * w_out


def cost_doubled(c_in, c_out, kh, kw, h_out, w_out):
    weights = c_in * c_out * kh * kw
    return weights + c_out, 2 * weights * h_out * w_out


def cost_of_one_place(c_in, c_out, kh, kw, h_out, w_out):
    weights = c_in * c_out * kh * kw
    return weights + c_out, weights


def cost_as_decimals(c_in, c_out, kh, kw, h_out, w_out):
    weights = c_in * c_out * kh * kw
    return weights + c_out, weights * h_out * w_out / 1


def cost_parameters_only(c_in, c_out, kh, kw, h_out, w_out):
    return c_in * c_out * kh * kw + c_out


# grouped_conv2d


def grouped_chunks(x, weight, groups, layer):
    parts = [layer(a, b) for a, b in zip(x.chunk(groups, 1), weight.chunk(groups), strict=True)]
    return torch.cat(parts, dim=1)


def grouped_slices(x, weight, groups, layer):
    c, o = x.shape[1] // groups, weight.shape[0] // groups
    y = []
    for g in range(groups):
        y.append(layer(x[:, g * c : (g + 1) * c], weight[g * o : (g + 1) * o]))
    return torch.cat(y, dim=1)


def grouped_each_output(x, weight, groups, layer):
    (o, c), y = weight.shape[:2], []
    for k in range(o):
        first = k // (o // groups) * c
        y.append(layer(x[:, first : first + c], weight[k : k + 1]))
    return torch.cat(y, dim=1)


def grouped_zeros(x, weight, groups, layer):
    """A layer in groups is a full layer whose other weights are zero."""
    o, c = weight.shape[:2]
    full = weight.new_zeros(o, x.shape[1], *weight.shape[2:])
    for k in range(o):
        first = k // (o // groups) * c
        full[k, first : first + c] = weight[k]
    return layer(x, full)


def grouped_einsum(x, weight, groups, layer):
    kh, kw = weight.shape[2:]
    windows = x.unfold(2, kh, 1).unfold(3, kw, 1).unflatten(1, (groups, -1))
    weight = weight.unflatten(0, (groups, -1))
    return torch.einsum("ngchwab,gocab->ngohw", windows, weight).flatten(1, 2)


def grouped_torch(x, weight, groups, layer):
    return F.conv2d(x, weight, groups=groups)


def grouped_without(x, weight, groups, layer):
    return layer(x, weight)


def grouped_first_channels(x, weight, groups, layer):
    return layer(x[:, : weight.shape[1]], weight)


def grouped_dealt(x, weight, groups, layer):
    kernels = weight.chunk(groups)
    return torch.cat([layer(x[:, g::groups], kernels[g]) for g in range(groups)], dim=1)


def grouped_kernels_dealt(x, weight, groups, layer):
    parts = x.chunk(groups, dim=1)
    return torch.cat([layer(parts[g], weight[g::groups]) for g in range(groups)], dim=1)


def grouped_added(x, weight, groups, layer):
    pairs = zip(x.chunk(groups, dim=1), weight.chunk(groups), strict=True)
    return sum(layer(*pair) for pair in pairs)


def grouped_stacked(x, weight, groups, layer):
    pairs = zip(x.chunk(groups, dim=1), weight.chunk(groups), strict=True)
    return torch.stack([layer(*pair) for pair in pairs], dim=1)


def grouped_alternating(x, weight, groups, layer):
    pairs = zip(x.chunk(groups, dim=1), weight.chunk(groups), strict=True)
    return torch.stack([layer(*pair) for pair in pairs], dim=2).flatten(1, 2)


def grouped_first_kernels(x, weight, groups, layer):
    kernels = weight.chunk(groups)[0]
    return torch.cat([layer(part, kernels) for part in x.chunk(groups, dim=1)], dim=1)


def grouped_returned_early(x, weight, groups, layer):
    y = []
    for part, kernels in zip(x.chunk(groups, dim=1), weight.chunk(groups), strict=True):
        y.append(layer(part, kernels))
        return torch.cat(y, dim=1)
    return y


# separable_cost


def separable_formula(c_in, c_out, k, h_out, w_out):
    count = h_out * w_out * c_in * (k * k + c_out)
    return count, count / (h_out * w_out * c_in * c_out * k * k)


def separable_by_layer(c_in, c_out, k, h_out, w_out):
    depthwise = c_in * h_out * w_out * k**2
    mixing = c_out * h_out * w_out * c_in
    return depthwise + mixing, 1 / c_out + 1 / k**2


def separable_of_modules(c_in, c_out, k, h_out, w_out):
    depthwise = torch.nn.Conv2d(c_in, c_in, k, groups=c_in).weight.numel()
    mixing = torch.nn.Conv2d(c_in, c_out, 1).weight.numel()
    weights = depthwise + mixing
    return [weights * h_out * w_out, weights / torch.nn.Conv2d(c_in, c_out, k).weight.numel()]


def separable_depthwise_only(c_in, c_out, k, h_out, w_out):
    count = c_in * k * k * h_out * w_out
    return count, 1 / c_out


def separable_mixing_only(c_in, c_out, k, h_out, w_out):
    return c_in * c_out * h_out * w_out, 1 / k**2


def separable_of_outputs(c_in, c_out, k, h_out, w_out):
    return c_out * (k * k + c_in) * h_out * w_out, 1 / c_in + 1 / k**2


def separable_one_side(c_in, c_out, k, h_out, w_out):
    return c_in * (k + c_out) * h_out * w_out, 1 / c_out + 1 / k**2


def separable_weights(c_in, c_out, k, h_out, w_out):
    return c_in * (k * k + c_out), 1 / c_out + 1 / k**2


def separable_full_depthwise(c_in, c_out, k, h_out, w_out):
    return (c_in * c_in * k * k + c_in * c_out) * h_out * w_out, 1 / c_out + 1 / k**2


def separable_saved(c_in, c_out, k, h_out, w_out):
    return c_in * (k * k + c_out) * h_out * w_out, 1 - 1 / c_out - 1 / k**2


def separable_upside_down(c_in, c_out, k, h_out, w_out):
    return c_in * (k * k + c_out) * h_out * w_out, 1 / (1 / c_out + 1 / k**2)


def separable_percent(c_in, c_out, k, h_out, w_out):
    return c_in * (k * k + c_out) * h_out * w_out, 100 * (1 / c_out + 1 / k**2)


def separable_share_rounded(c_in, c_out, k, h_out, w_out):
    return c_in * (k * k + c_out) * h_out * w_out, round(1 / c_out + 1 / k**2, 2)


# compose_kernels


def compose_copies(k1, k2):
    (h1, w1), (h2, w2) = k1.shape, k2.shape
    k = k1.new_zeros(h1 + h2 - 1, w1 + w2 - 1)
    for i in range(h2):
        for j in range(w2):
            k[i : i + h1, j : j + w1] += k2[i, j] * k1
    return k


def compose_by_convolution(k1, k2):
    h, w = k2.shape
    padded = F.pad(k1, (w - 1, w - 1, h - 1, h - 1))
    return F.conv2d(padded[None, None], k2.flip(0, 1)[None, None])[0, 0]


def compose_transposed(k1, k2):
    return F.conv_transpose2d(k2[None, None], k1[None, None])[0, 0]


def compose_by_probing(k1, k2):
    """The answer to a single bright pixel is the kernel, turned."""
    h, w = (a + b - 1 for a, b in zip(k1.shape, k2.shape, strict=True))
    pixel = torch.zeros(2 * h - 1, 2 * w - 1, dtype=k1.dtype)
    pixel[h - 1, w - 1] = 1
    first = F.conv2d(pixel[None, None], k1[None, None])
    return F.conv2d(first, k2[None, None])[0, 0].flip(0, 1)


def compose_fourier(k1, k2):
    size = [a + b - 1 for a, b in zip(k1.shape, k2.shape, strict=True)]
    return torch.fft.irfft2(torch.fft.rfft2(k1, s=size) * torch.fft.rfft2(k2, s=size), s=size)


def compose_unflipped(k1, k2):
    h, w = k2.shape
    padded = F.pad(k1, (w - 1, w - 1, h - 1, h - 1))
    return F.conv2d(padded[None, None], k2[None, None])[0, 0]


def compose_probed_without_turning(k1, k2):
    return compose_by_probing(k1, k2).flip(0, 1)


def compose_sum(k1, k2):
    h, w = max(len(k1), len(k2)), max(len(k1[0]), len(k2[0]))
    k = k1.new_zeros(h, w)
    k[: len(k1), : len(k1[0])] += k1
    k[: len(k2), : len(k2[0])] += k2
    return k


def compose_kronecker(k1, k2):
    return torch.kron(k1, k2)


def compose_one_too_large(k1, k2):
    (h1, w1), (h2, w2) = k1.shape, k2.shape
    k = k1.new_zeros(h1 + h2, w1 + w2)
    for i in range(h2):
        for j in range(w2):
            k[i : i + h1, j : j + w1] += k2[i, j] * k1
    return k


def compose_copies_of_the_other_kernel(k1, k2):
    return compose_copies(k1, k1)


def compose_on_top(k1, k2):
    k1[: k2.shape[0], : k2.shape[1]] *= k2[: k1.shape[0], : k1.shape[1]]
    return k1


# Wrong at an edge.


def conv2d_squeezed(x, weight, bias, stride, padding):
    y = conv2d_einsum(x, weight, bias, stride, padding)
    return y.squeeze() if y.numel() == 1 else y


def conv2d_two_images(x, weight, bias, stride, padding):
    y = conv2d_einsum(x, weight, bias, stride, padding)
    y[2:] = 0
    return y


def conv2d_little_padding(x, weight, bias, stride, padding):
    return conv2d_einsum(x, weight, bias, stride, min(padding, *weight.shape[2:]))


def conv2d_rounded(x, weight, bias, stride, padding):
    y = conv2d_einsum(x, weight, bias, stride, padding)
    return y.round() if x.dtype == torch.float32 else y


def conv2d_up_to_three(x, weight, bias, stride, padding):
    return conv2d_einsum(x, weight[..., :3, :3], bias, stride, padding)


def conv1x1_squeezed(x, weight):
    return torch.einsum("oc,nchw->nohw", weight.squeeze(), x)


def conv1x1_two_images(x, weight):
    y = conv1x1_einsum(x, weight)
    y[2:] = y[:1]
    return y


def im2col_squeezed(x, kh, kw):
    columns = im2col_unfold(x, kh, kw)
    return columns.squeeze(-1)


def im2col_one_layer(x, kh, kw):
    columns = torch.eye(kh * kw).to(x.dtype).reshape(-1, 1, kh, kw)
    return F.conv2d(x.flatten(0, 1)[:, None], columns).reshape(len(x), x.shape[1] * kh * kw, -1)


RIGHT = {
    "conv2d": [
        *(conv2d_seven_loops, conv2d_windows, conv2d_einsum, conv2d_matmul, conv2d_numpy),
        conv2d_shifted_copies,
    ],
    "conv1x1": [conv1x1_einsum, conv1x1_loops, conv1x1_matmul, conv1x1_linear, conv1x1_numpy],
    "im2col": [im2col_unfold, im2col_columns, im2col_rows, im2col_numpy],
    "conv_cost": [cost_formula, cost_counted, cost_of_module],
    "grouped_conv2d": [
        *(grouped_chunks, grouped_slices, grouped_each_output, grouped_zeros, grouped_einsum),
    ],
    "separable_cost": [separable_formula, separable_by_layer, separable_of_modules],
    "compose_kernels": [
        *(compose_copies, compose_by_convolution, compose_transposed, compose_by_probing),
        *(compose_fourier, lambda k1, k2: compose_copies(k2, k1)),
    ],
}

WRONG = {
    "conv2d": [
        (conv2d_torch, "calls `torch.conv2d`"),
        (conv2d_no_bias, "bias is missing"),
        (conv2d_bias_in_channel_loop, "bias is added once for every input channel"),
        (conv2d_channel_overwritten, "Only the last input channel counts"),
        (conv2d_mean_over_channels, "averaged"),
        (conv2d_one_kernel, "uses the first kernel"),
        (conv2d_flipped, "flipped"),
        (conv2d_unpadded, "padding is missing"),
        (conv2d_total_padding, "it is per side"),
        (conv2d_padded_at_the_end, "only below and to the right"),
        (conv2d_every_step, "stride is ignored"),
        (conv2d_windows_too_close, "the windows lie one step apart"),
        (conv2d_rounded_up, "round down"),
        (conv2d_single_precision, "in float32 where the input has float64"),
        (conv2d_bias_broadcast_wrongly, "stopped with RuntimeError"),
        (conv2d_square_kernel, "The shape is wrong"),
        (conv2d_squeezed, "is there a `squeeze`"),
        (conv2d_two_images, ""),
        (conv2d_little_padding, "both sides are missing"),
        (conv2d_rounded, ""),
        (conv2d_up_to_three, "The shape is wrong"),
    ],
    "conv1x1": [
        (conv1x1_torch, "calls `torch.conv2d`"),
        (conv1x1_transposed_matrix, "read in the wrong order"),
        (conv1x1_mean, "averaged"),
        (conv1x1_channels_last, "the channels come last"),
        (conv1x1_reshaped_pixels, "mixes channels with places"),
        (conv1x1_reshaped_result, "a `reshape` put them in wrong places"),
        (conv1x1_overwritten, "Only the last channel of x counts"),
        (conv1x1_products_unsummed, "The shape is wrong"),
        (conv1x1_squeezed, "stopped with RuntimeError"),
        (conv1x1_two_images, ""),
    ],
    "im2col": [
        (im2col_torch, "Here that work is yours to do"),
        (im2col_module, "Here that work is yours to do"),
        (im2col_not_permuted, "`permute` the axes"),
        (im2col_windows_as_rows, "transposed"),
        (im2col_channels_last, "In a column the channels come last"),
        (im2col_swapped_size, "its height is the second argument"),
        (im2col_down_first, "taken down first"),
        (im2col_blocks, "jump by their own size"),
        (im2col_transposed_windows, "read it row by row"),
        (im2col_too_few, "last row and the last column are missing"),
        (im2col_channels_apart, "channels are kept apart"),
        (im2col_squeezed, "is there a `squeeze`"),
        (im2col_one_layer, "Here that work is yours to do"),
    ],
    "conv_cost": [
        (cost_without_bias, "In `parameters`: The bias is missing"),
        (cost_bias_of_input, "a bias for each input channel"),
        (cost_one_bias, "one bias for the whole layer"),
        (cost_one_channel_in, "In `parameters`: The input channels are missing"),
        (cost_parameters_everywhere, "In `multiply_adds`: The bias counts as a multiply-add"),
        (cost_doubled, "Products and sums count as two"),
        (cost_of_one_place, "The places are missing"),
        (cost_as_decimals, "an integer is expected"),
        (cost_parameters_only, "where a tuple is expected"),
    ],
    "grouped_conv2d": [
        (grouped_torch, "calls `torch.conv2d`"),
        (grouped_without, "stopped with ValueError"),
        (grouped_first_channels, "sees the first group of input channels"),
        (grouped_dealt, "a group is a run of neighbours"),
        (grouped_kernels_dealt, "The kernels are dealt out"),
        (grouped_added, "The results of the groups are added"),
        (grouped_stacked, "on an axis of their own"),
        (grouped_alternating, "The output channels of the groups alternate"),
        (grouped_first_kernels, "uses the kernels of the first one"),
        (grouped_returned_early, "Only the first group is there"),
    ],
    "separable_cost": [
        (separable_depthwise_only, "In `multiply_adds`: The 1×1 layer is missing"),
        (separable_mixing_only, "The depthwise layer is missing"),
        (separable_of_outputs, "one kernel for each input channel"),
        (separable_one_side, "it has k rows and k columns"),
        (separable_weights, "The places are missing"),
        (separable_full_depthwise, "a depthwise kernel sees one channel"),
        (separable_saved, "In `share`: This is the share that is saved"),
        (separable_upside_down, "In `share`: The share is upside down"),
        (separable_percent, "In `share`: The share is in percent"),
        (separable_share_rounded, ""),
    ],
    "compose_kernels": [
        (compose_unflipped, "k2 is rotated by 180°"),
        (compose_probed_without_turning, "The kernel is rotated by 180°"),
        (compose_sum, "The kernels are added"),
        (compose_kronecker, "outer product"),
        (compose_one_too_large, "one row and one column too large"),
        (compose_copies_of_the_other_kernel, ""),
        (compose_on_top, "`k1` was changed in place"),
    ],
}
