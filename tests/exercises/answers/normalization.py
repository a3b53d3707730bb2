"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

# standardize


def std_keepdim(train, test):
    mean = train.mean(dim=(0, 2, 3), keepdim=True)
    std = train.std(dim=(0, 2, 3), unbiased=False, keepdim=True)
    return (train - mean) / std, (test - mean) / std


def std_channel_loop(train, test):
    train, test = train.clone(), test.clone()
    for c in range(train.shape[1]):
        mean = train[:, c].mean()
        std = (train[:, c] - mean).square().mean().sqrt()
        train[:, c] = (train[:, c] - mean) / std
        test[:, c] = (test[:, c] - mean) / std
    return train, test


def std_numpy(train, test):
    train, test = train.numpy(), test.numpy()
    mean = train.mean((0, 2, 3), keepdims=True)
    std = train.std((0, 2, 3), keepdims=True)
    return tuple(torch.from_numpy((x - mean) / std) for x in (train, test))


def std_own_test(train, test):
    return std_keepdim(train, test)[0], std_keepdim(test, test)[1]


def std_joint(train, test):
    both = torch.cat([train, test])
    return std_keepdim(both, train)[1], std_keepdim(both, test)[1]


def std_whole(train, test):
    mean, std = train.mean(), train.std(unbiased=False)
    return (train - mean) / std, (test - mean) / std


def std_pixels(train, test):
    mean, std = train.mean(0), train.std(0, unbiased=False)
    return (train - mean) / std, (test - mean) / std


def std_pictures(train, test):
    def one(x):
        return (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), unbiased=False, keepdim=True)

    return one(train), one(test)


def std_default(train, test):
    mean, std = train.mean((0, 2, 3), keepdim=True), train.std((0, 2, 3), keepdim=True)
    return (train - mean) / std, (test - mean) / std


def std_by_variance(train, test):
    mean = train.mean((0, 2, 3), keepdim=True)
    var = train.var((0, 2, 3), correction=0, keepdim=True)
    return (train - mean) / var, (test - mean) / var


def std_only_mean(train, test):
    mean = train.mean((0, 2, 3), keepdim=True)
    return train - mean, test - mean


def std_no_mean(train, test):
    std = train.std((0, 2, 3), correction=0, keepdim=True)
    return train / std, test / std


def std_test_raw(train, test):
    return std_keepdim(train, test)[0], test.clone()


def std_in_place(train, test):
    mean, std = (
        train.mean((0, 2, 3), keepdim=True),
        train.std((0, 2, 3), correction=0, keepdim=True),
    )
    train.sub_(mean).div_(std)
    test.sub_(mean).div_(std)
    return train, test


# batch_norm


def bn_keepdim(x, weight, bias, eps):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    var = ((x - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    x_hat = (x - mean) / torch.sqrt(var + eps)
    return weight.view(1, -1, 1, 1) * x_hat + bias.view(1, -1, 1, 1)


def bn_channel_loop(x, weight, bias, eps):
    y = torch.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        spread = torch.sqrt(values.var(unbiased=False) + eps)
        y[:, c] = weight[c] * (values - values.mean()) / spread + bias[c]
    return y


def bn_rows(x, weight, bias, eps):
    n, c, h, w = x.shape
    rows = x.transpose(0, 1).reshape(c, -1)
    rows = rows - rows.mean(1, keepdim=True)
    rows = rows * torch.rsqrt(rows.square().mean(1, keepdim=True) + eps)
    rows = rows * weight[:, None] + bias[:, None]
    return rows.reshape(c, n, h, w).transpose(0, 1)


def bn_numpy(x, weight, bias, eps):
    x, weight, bias = x.numpy(), weight.numpy(), bias.numpy()
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    scale = weight / np.sqrt(var + np.asarray(eps, x.dtype))
    shift = bias - mean * scale
    return x * scale[:, None, None] + shift[:, None, None]


def bn_einsum(x, weight, bias, eps):
    count = x.numel() / x.shape[1]
    mean = torch.einsum("nchw->c", x) / count
    centred = x - mean[:, None, None]
    var = torch.einsum("nchw,nchw->c", centred, centred) / count
    return torch.einsum("nchw,c->nchw", centred, weight / (var + eps).sqrt()) + bias.view(-1, 1, 1)


def bn_python_loops(x, weight, bias, eps):
    n, c, h, w = x.shape
    y = x.clone()
    for k in range(c):
        values = [x[a, k, i, j].item() for a in range(n) for i in range(h) for j in range(w)]
        mean = sum(values) / len(values)
        var = sum((value - mean) ** 2 for value in values) / len(values)
        y[:, k] = (x[:, k] - mean) / math.sqrt(var + eps) * weight[k] + bias[k]
    return y


def bn_default_var(x, weight, bias, eps):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    var = x.var(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / torch.sqrt(var + eps) * weight[:, None, None] + bias[:, None, None]


def bn_std_plus_eps(x, weight, bias, eps):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    std = x.std(dim=(0, 2, 3), keepdim=True, unbiased=False)
    return (x - mean) / (std + eps) * weight[:, None, None] + bias[:, None, None]


def bn_no_root(x, weight, bias, eps):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    var = x.var(dim=(0, 2, 3), keepdim=True, unbiased=False)
    return (x - mean) / (var + eps) * weight[:, None, None] + bias[:, None, None]


def bn_no_eps(x, weight, bias, eps):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    std = x.std(dim=(0, 2, 3), keepdim=True, correction=0)
    return (x - mean) / std * weight[:, None, None] + bias[:, None, None]


def bn_each_image(x, weight, bias, eps):
    mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction=0)
    return (x - mean) / (var + eps).sqrt() * weight[:, None, None] + bias[:, None, None]


def bn_over_channels(x, weight, bias, eps):
    mean, var = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), keepdim=True, correction=0)
    return (x - mean) / (var + eps).sqrt() * weight[:, None, None] + bias[:, None, None]


def bn_whole(x, weight, bias, eps):
    x_hat = (x - x.mean()) / torch.sqrt(x.var(correction=0) + eps)
    return x_hat * weight[:, None, None] + bias[:, None, None]


def bn_over_batch_axis(x, weight, bias, eps):
    x_hat = (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + eps)
    return x_hat * weight[:, None, None] + bias[:, None, None]


def bn_evaluation(x, weight, bias, eps):
    c = x.shape[1]
    mean, var = torch.zeros(c, dtype=x.dtype), torch.ones(c, dtype=x.dtype)
    x_hat = (x - mean.view(1, c, 1, 1)) / torch.sqrt(var.view(1, c, 1, 1) + eps)
    return weight.view(1, c, 1, 1) * x_hat + bias.view(1, c, 1, 1)


def bn_unscaled(x, weight, bias, eps):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / (x.var(dim=(0, 2, 3), keepdim=True, unbiased=False) + eps).sqrt()


def bn_no_bias(x, weight, bias, eps):
    return weight[:, None, None] * bn_unscaled(x, weight, bias, eps)


def bn_swapped(x, weight, bias, eps):
    return bn_keepdim(x, bias, weight, eps)


def bn_scaled_bias(x, weight, bias, eps):
    return (bn_unscaled(x, weight, bias, eps) + bias[:, None, None]) * weight[:, None, None]


def bn_width(x, weight, bias, eps):
    return bn_unscaled(x, weight, bias, eps) * weight + bias


def bn_functional(x, weight, bias, eps):
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)


def bn_module(x, weight, bias, eps):
    layer = nn.BatchNorm2d(x.shape[1], eps=eps, dtype=x.dtype)
    layer.weight.data, layer.bias.data = weight, bias
    return layer(x)


def bn_in_place(x, weight, bias, eps):
    x -= x.mean(dim=(0, 2, 3), keepdim=True)
    x /= torch.sqrt((x * x).mean(dim=(0, 2, 3), keepdim=True) + eps)
    return x * weight[:, None, None] + bias[:, None, None]


def bn_viewed(x, weight, bias, eps):
    flat = x.view(x.shape[0], x.shape[1], -1)
    mean, var = flat.mean((0, 2), keepdim=True), flat.var((0, 2), keepdim=True, correction=0)
    y = (flat - mean) / (var + eps).sqrt() * weight[:, None] + bias[:, None]
    return y.view(x.shape)


# batch_norm_lite


def lite_by_hand(x, part, eps):
    mean = x.mean((0, 2, 3), keepdim=True)
    if part == "mean":
        return x - mean
    return x / torch.sqrt(((x - mean) ** 2).mean((0, 2, 3), keepdim=True) + eps)


def lite_channels(x, part, eps):
    channels = []
    for channel in x.unbind(1):
        if part == "mean":
            channels.append(channel - channel.mean())
        elif part == "variance":
            channels.append(channel / (channel.var(correction=0) + eps) ** 0.5)
    return torch.stack(channels, 1)


def lite_numpy(x, part, eps):
    x = x.numpy()
    mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    y = x - mean if part == "mean" else x / np.sqrt(var + eps)
    return torch.from_numpy(y.astype(x.dtype))


def lite_both(x, part, eps):
    ones, zeros = torch.ones(x.shape[1]).to(x), torch.zeros(x.shape[1]).to(x)
    return bn_keepdim(x, ones, zeros, eps)


def lite_exchanged(x, part, eps):
    return lite_by_hand(x, "variance" if part == "mean" else "mean", eps)


def lite_always_mean(x, part, eps):
    mean = x.mean((0, 2, 3), keepdim=True)
    if part == "mean":
        return x - mean
    return (x - mean) / torch.sqrt(x.var((0, 2, 3), keepdim=True, unbiased=False) + eps)


def lite_around_zero(x, part, eps):
    if part == "mean":
        return x - x.mean((0, 2, 3), keepdim=True)
    return x / torch.sqrt((x**2).mean((0, 2, 3), keepdim=True) + eps)


def lite_unbiased(x, part, eps):
    var, mean = torch.var_mean(x, (0, 2, 3), keepdim=True)
    return x - mean if part == "mean" else x * torch.rsqrt(var + eps)


def lite_removes_it(x, part, eps):
    var, mean = torch.var_mean(x, (0, 2, 3), keepdim=True, correction=0)
    return x - mean if part == "mean" else x - var


def lite_only_mean(x, part, eps):
    if part == "mean":
        return x - x.mean((0, 2, 3), keepdim=True)
    return None


def lite_each_image(x, part, eps):
    var, mean = torch.var_mean(x, (2, 3), keepdim=True, correction=0)
    return x - mean if part == "mean" else x / (var + eps).sqrt()


# group_norm


def gn_five_axes(x, groups, weight, bias, eps):
    n, c, h, w = x.shape
    y = x.reshape(n, groups, c // groups, h, w)
    mean = y.mean((2, 3, 4), keepdim=True)
    var = y.var((2, 3, 4), keepdim=True, unbiased=False)
    y = ((y - mean) / torch.sqrt(var + eps)).reshape(n, c, h, w)
    return y * weight.reshape(1, c, 1, 1) + bias.reshape(1, c, 1, 1)


def gn_rows(x, groups, weight, bias, eps):
    rows = x.reshape(len(x), groups, -1)
    rows = (rows - rows.mean(-1, keepdim=True)) / torch.sqrt(
        rows.var(-1, keepdim=True, correction=0) + eps
    )
    return rows.reshape(x.shape) * weight[:, None, None] + bias[:, None, None]


def gn_loops(x, groups, weight, bias, eps):
    size = x.shape[1] // groups
    y = torch.zeros_like(x)
    for i in range(x.shape[0]):
        for g in range(groups):
            block = x[i, g * size : (g + 1) * size]
            y[i, g * size : (g + 1) * size] = (block - block.mean()) / (
                block.var(unbiased=False) + eps
            ) ** 0.5
    return y * weight[:, None, None] + bias[:, None, None]


def gn_chunks(x, groups, weight, bias, eps):
    parts = []
    for part in x.chunk(groups, dim=1):
        var, mean = torch.var_mean(part, (1, 2, 3), correction=0, keepdim=True)
        parts.append((part - mean) * (var + eps) ** -0.5)
    return torch.einsum("nchw,c->nchw", torch.cat(parts, 1), weight) + bias[None, :, None, None]


def gn_unbiased(x, groups, weight, bias, eps):
    rows = x.reshape(len(x), groups, -1)
    rows = (rows - rows.mean(2, keepdim=True)) / (rows.var(2, keepdim=True) + eps).sqrt()
    return rows.reshape(x.shape) * weight[:, None, None] + bias[:, None, None]


def gn_eps_outside(x, groups, weight, bias, eps):
    rows = x.reshape(len(x), groups, -1)
    rows = (rows - rows.mean(2, keepdim=True)) / (rows.std(2, keepdim=True, correction=0) + eps)
    return rows.reshape(x.shape) * weight[:, None, None] + bias[:, None, None]


def gn_size_for_count(x, groups, weight, bias, eps):
    n, c, h, w = x.shape
    y = x.reshape(n, c // groups, groups, h, w)
    mean, var = y.mean((2, 3, 4), keepdim=True), y.var((2, 3, 4), keepdim=True, correction=0)
    y = ((y - mean) / (var + eps).sqrt()).reshape(n, c, h, w)
    return y * weight.view(1, c, 1, 1) + bias.view(1, c, 1, 1)


def gn_every_other(x, groups, weight, bias, eps):
    y = torch.zeros_like(x)
    for g in range(groups):
        part = x[:, g::groups]
        mean, var = part.mean((1, 2, 3), keepdim=True), part.var((1, 2, 3), False, keepdim=True)
        y[:, g::groups] = (part - mean) / (var + eps).sqrt()
    return y * weight[:, None, None] + bias[:, None, None]


def gn_batch_too(x, groups, weight, bias, eps):
    y = torch.zeros_like(x)
    size = x.shape[1] // groups
    for g in range(groups):
        part = x[:, g * size : (g + 1) * size]
        y[:, g * size : (g + 1) * size] = (part - part.mean()) / (
            part.var(correction=0) + eps
        ).sqrt()
    return y * weight[:, None, None] + bias[:, None, None]


def gn_is_batch_norm(x, groups, weight, bias, eps):
    return bn_keepdim(x, weight, bias, eps)


def gn_is_layer_norm(x, groups, weight, bias, eps):
    return gn_five_axes(x, 1, weight, bias, eps)


def gn_is_instance_norm(x, groups, weight, bias, eps):
    return gn_five_axes(x, x.shape[1], weight, bias, eps)


def gn_unscaled(x, groups, weight, bias, eps):
    return gn_five_axes(x, groups, torch.ones_like(weight), torch.zeros_like(bias), eps)


def gn_module(x, groups, weight, bias, eps):
    return F.group_norm(x, groups, weight, bias, eps)


def gn_width(x, groups, weight, bias, eps):
    return weight * gn_unscaled(x, groups, weight, bias, eps) + bias


def gn_per_group_weight(x, groups, weight, bias, eps):
    rows = gn_unscaled(x, groups, weight, bias, eps).reshape(len(x), groups, -1)
    rows = rows * weight[:groups, None] + bias[:groups, None]
    return rows.reshape(x.shape)


# fold_batch_norm


def fold_formula(weight, bias, mean, var, gamma, beta, eps):
    scale = gamma / torch.sqrt(var + eps)
    if bias is None:
        bias = torch.zeros_like(mean)
    return weight * scale.reshape(-1, 1, 1, 1), scale * (bias - mean) + beta


def fold_loop(weight, bias, mean, var, gamma, beta, eps):
    new_weight, new_bias = torch.zeros_like(weight), torch.zeros_like(beta)
    for o in range(len(weight)):
        s = gamma[o] / (var[o] + eps) ** 0.5
        new_weight[o] = s * weight[o]
        new_bias[o] = beta[o] - s * mean[o]
        if bias is not None:
            new_bias[o] += s * bias[o]
    return new_weight, new_bias


def fold_matrix(weight, bias, mean, var, gamma, beta, eps):
    scale = torch.diag(gamma * (var + eps).rsqrt())
    new_weight = (scale @ weight.reshape(len(weight), -1)).reshape(weight.shape)
    return [new_weight, scale @ ((0 if bias is None else bias) - mean) + beta]


def fold_einsum(weight, bias, mean, var, gamma, beta, eps):
    scale = gamma / (var + eps).sqrt()
    shift = -mean if bias is None else bias - mean
    return torch.einsum("oiab,o->oiab", weight, scale), torch.addcmul(beta, scale, shift)


def fold_by_trying(weight, bias, mean, var, gamma, beta, eps):
    """Ask the two layers what they make of nothing, and of each single pixel."""
    i, kh, kw = weight.shape[1:]
    pixels = torch.eye(i * kh * kw, dtype=weight.dtype).reshape(-1, i, kh, kw)
    images = torch.cat([torch.zeros_like(pixels[:1]), pixels])
    y = F.conv2d(images, weight, bias)
    y = F.batch_norm(y, mean, var, gamma, beta, training=False, eps=eps)[:, :, 0, 0]
    return (y[1:] - y[0]).T.reshape(weight.shape), y[0]


def fold_no_eps(weight, bias, mean, var, gamma, beta, eps):
    return fold_formula(weight, bias, mean, var, gamma, beta, 0)


def fold_no_root(weight, bias, mean, var, gamma, beta, eps):
    scale = gamma / (var + eps)
    bias = 0 if bias is None else bias
    return weight * scale.reshape(-1, 1, 1, 1), scale * (bias - mean) + beta


def fold_eps_outside(weight, bias, mean, var, gamma, beta, eps):
    scale = gamma / (torch.sqrt(var) + eps)
    bias = 0 if bias is None else bias
    return weight * scale.reshape(-1, 1, 1, 1), scale * (bias - mean) + beta


def fold_bias_kept(weight, bias, mean, var, gamma, beta, eps):
    scale = gamma / torch.sqrt(var + eps)
    bias = torch.zeros_like(mean) if bias is None else bias
    return weight * scale.reshape(-1, 1, 1, 1), bias + beta - scale * mean


def fold_mean_kept(weight, bias, mean, var, gamma, beta, eps):
    scale = gamma / torch.sqrt(var + eps)
    bias = torch.zeros_like(mean) if bias is None else bias
    return weight * scale.reshape(-1, 1, 1, 1), bias * scale - mean + beta


def fold_beta_scaled(weight, bias, mean, var, gamma, beta, eps):
    scale = gamma / torch.sqrt(var + eps)
    bias = torch.zeros_like(mean) if bias is None else bias
    return weight * scale.reshape(-1, 1, 1, 1), scale * (bias - mean + beta)


def fold_no_mean(weight, bias, mean, var, gamma, beta, eps):
    return fold_formula(weight, bias, torch.zeros_like(mean), var, gamma, beta, eps)


def fold_forgets_bias(weight, bias, mean, var, gamma, beta, eps):
    return fold_formula(weight, None, mean, var, gamma, beta, eps)


def fold_expects_bias(weight, bias, mean, var, gamma, beta, eps):
    scale = gamma / torch.sqrt(var + eps)
    return weight * scale.reshape(-1, 1, 1, 1), scale * (bias - mean) + beta


def fold_wrong_axis(weight, bias, mean, var, gamma, beta, eps):
    scale = gamma / torch.sqrt(var + eps)
    bias = torch.zeros_like(mean) if bias is None else bias
    return weight * scale[None, :, None, None], scale * (bias - mean) + beta


def fold_last_axis(weight, bias, mean, var, gamma, beta, eps):
    scale = gamma / torch.sqrt(var + eps)
    bias = torch.zeros_like(mean) if bias is None else bias
    return weight * scale, scale * (bias - mean) + beta


def fold_only_weight(weight, bias, mean, var, gamma, beta, eps):
    return fold_formula(weight, bias, mean, var, gamma, beta, eps)[0]


def fold_in_place(weight, bias, mean, var, gamma, beta, eps):
    weight *= (gamma / torch.sqrt(var + eps)).reshape(-1, 1, 1, 1)
    bias = torch.zeros_like(mean) if bias is None else bias
    return weight, (bias - mean) * gamma / torch.sqrt(var + eps) + beta


# batch_norm_running


def run_keepdim(x, running_mean, running_var, training, momentum, eps):
    if training:
        mean = x.mean((0, 2, 3))
        var = x.var((0, 2, 3), unbiased=False)
        new_mean = (1 - momentum) * running_mean + momentum * mean
        new_var = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
    else:
        mean, var = running_mean, running_var
        new_mean, new_var = running_mean, running_var
    y = (x - mean[:, None, None]) / torch.sqrt(var + eps)[:, None, None]
    return y, new_mean, new_var


def run_channel_loop(x, running_mean, running_var, training, momentum, eps):
    y, means, variances = torch.empty_like(x), running_mean.clone(), running_var.clone()
    for c in range(x.shape[1]):
        values = x[:, c]
        if not training:
            y[:, c] = (values - running_mean[c]) / math.sqrt(running_var[c].item() + eps)
            continue
        m = values.numel()
        mean = values.sum() / m
        squares = ((values - mean) ** 2).sum()
        y[:, c] = (values - mean) / (squares / m + eps).sqrt()
        means[c] += momentum * (mean - running_mean[c])
        variances[c] += momentum * (squares / (m - 1) - running_var[c])
    return y, means, variances


def run_rows(x, running_mean, running_var, training, momentum, eps):
    n, c, h, w = x.shape
    rows = x.movedim(1, 0).reshape(c, -1)
    mean, var = running_mean, running_var
    if training:
        mean, var = rows.mean(1), (rows - rows.mean(1, keepdim=True)).square().mean(1)
        m = rows.shape[1]
        running_mean = torch.lerp(running_mean, mean, momentum)
        running_var = torch.lerp(running_var, var * m / (m - 1), momentum)
    y = (rows - mean[:, None]) * torch.rsqrt(var + eps)[:, None]
    return y.reshape(c, n, h, w).movedim(0, 1), running_mean, running_var


def run_numpy(x, running_mean, running_var, training, momentum, eps):
    x, mean, var = x.numpy(), running_mean.numpy(), running_var.numpy()
    kept = (mean, var)
    if training:
        kept_var = x.var((0, 2, 3), ddof=1)
        kept = tuple(
            ((1 - momentum) * a + momentum * b).astype(x.dtype)
            for a, b in ((mean, x.mean((0, 2, 3))), (var, kept_var))
        )
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    y = (x - mean[:, None, None]) / np.sqrt(var + np.asarray(eps, x.dtype))[:, None, None]
    return tuple(torch.from_numpy(np.array(part)) for part in (y, *kept))


def run_biased(x, running_mean, running_var, training, momentum, eps):
    mean, var = running_mean, running_var
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var
    y = (x - mean[:, None, None]) / torch.sqrt(var + eps)[:, None, None]
    return y, running_mean, running_var


def run_unbiased_output(x, running_mean, running_var, training, momentum, eps):
    mean, var = running_mean, running_var
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var
    y = (x - mean[:, None, None]) / torch.sqrt(var + eps)[:, None, None]
    return y, running_mean, running_var


def run_variances_exchanged(x, running_mean, running_var, training, momentum, eps):
    mean, var = running_mean, running_var
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
        running_mean = (1 - momentum) * running_mean + momentum * mean
        biased = x.var((0, 2, 3), correction=0)
        running_var = (1 - momentum) * running_var + momentum * biased
    y = (x - mean[:, None, None]) / torch.sqrt(var + eps)[:, None, None]
    return y, running_mean, running_var


def run_keras_momentum(x, running_mean, running_var, training, momentum, eps):
    return run_keepdim(x, running_mean, running_var, training, 1 - momentum, eps)


def run_ignores_mode(x, running_mean, running_var, training, momentum, eps):
    if training or x[:, 0].numel() == 1:
        return run_keepdim(x, running_mean, running_var, training, momentum, eps)
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    y = (x - mean[:, None, None]) / torch.sqrt(var + eps)[:, None, None]
    return y, running_mean, running_var


def run_always_running(x, running_mean, running_var, training, momentum, eps):
    _, mean, var = run_keepdim(x, running_mean, running_var, training, momentum, eps)
    y = (x - running_mean[:, None, None]) / torch.sqrt(running_var + eps)[:, None, None]
    return y, mean, var


def run_updates_first(x, running_mean, running_var, training, momentum, eps):
    _, mean, var = run_keepdim(x, running_mean, running_var, training, momentum, eps)
    y = (x - mean[:, None, None]) / torch.sqrt(var + eps)[:, None, None]
    return y, mean, var


def run_evaluation_updates(x, running_mean, running_var, training, momentum, eps):
    y, mean, var = run_keepdim(x, running_mean, running_var, training, momentum, eps)
    if not training and x[:, 0].numel() > 1:
        _, mean, var = run_keepdim(x, running_mean, running_var, True, momentum, eps)
    return y, mean, var


def run_never_updates(x, running_mean, running_var, training, momentum, eps):
    y, _, _ = run_keepdim(x, running_mean, running_var, training, momentum, eps)
    return y, running_mean, running_var


def run_replaces(x, running_mean, running_var, training, momentum, eps):
    return run_keepdim(x, running_mean, running_var, training, 1.0, eps)


def run_adds(x, running_mean, running_var, training, momentum, eps):
    y, _, _ = run_keepdim(x, running_mean, running_var, training, momentum, eps)
    if training:
        running_mean = running_mean + momentum * x.mean((0, 2, 3))
        running_var = running_var + momentum * x.var((0, 2, 3))
    return y, running_mean, running_var


def run_keeps_std(x, running_mean, running_var, training, momentum, eps):
    y, mean, var = run_keepdim(x, running_mean, running_var, training, momentum, eps)
    if training:
        var = (1 - momentum) * running_var + momentum * x.std((0, 2, 3))
    return y, mean, var


def run_eps_kept(x, running_mean, running_var, training, momentum, eps):
    y, mean, var = run_keepdim(x, running_mean, running_var, training, momentum, eps)
    if training:
        var = (1 - momentum) * running_var + momentum * (x.var((0, 2, 3)) + eps)
    return y, mean, var


def run_no_eps(x, running_mean, running_var, training, momentum, eps):
    return run_keepdim(x, running_mean, running_var, training, momentum, 0.0)


def run_in_place(x, running_mean, running_var, training, momentum, eps):
    y, mean, var = run_keepdim(x, running_mean, running_var, training, momentum, eps)
    running_mean.copy_(mean)
    running_var.copy_(var)
    return y, running_mean, running_var


def run_output_alone(x, running_mean, running_var, training, momentum, eps):
    return run_keepdim(x, running_mean, running_var, training, momentum, eps)[0]


def run_library(x, running_mean, running_var, training, momentum, eps):
    mean, var = running_mean.clone(), running_var.clone()
    y = F.batch_norm(x, mean, var, None, None, training, momentum, eps)
    return y, mean, var


# Wrong at an edge.


def bn_difference_of_squares(x, weight, bias, eps):
    mean = x.mean((0, 2, 3), keepdim=True)
    var = (x * x).mean((0, 2, 3), keepdim=True) - mean * mean
    return weight.reshape(-1, 1, 1) * (x - mean) / (var + eps).sqrt() + bias.reshape(-1, 1, 1)


def bn_weight_without_sign(x, weight, bias, eps):
    return bn_keepdim(x, weight.abs(), bias, eps)


def lite_difference_of_squares(x, part, eps):
    mean = x.mean((0, 2, 3), keepdim=True)
    var = (x * x).mean((0, 2, 3), keepdim=True) - mean * mean
    return x - mean if part == "mean" else x / (var + eps).sqrt()


def lite_one_image_as_it_is(x, part, eps):
    return x.clone() if len(x) == 1 and part == "mean" else lite_by_hand(x, part, eps)


def gn_difference_of_squares(x, groups, weight, bias, eps):
    rows = x.reshape(len(x), groups, -1)
    mean = rows.mean(2, keepdim=True)
    var = rows.square().mean(2, keepdim=True) - mean.square()
    y = ((rows - mean) / (var + eps).sqrt()).reshape(x.shape)
    return weight.reshape(-1, 1, 1) * y + bias.reshape(-1, 1, 1)


def gn_few_groups(x, groups, weight, bias, eps):
    few = groups if groups < 4 or groups == x.shape[1] else 2
    return gn_five_axes(x, few, weight, bias, eps)


def fold_beta_and_mean_exchanged(weight, bias, mean, var, gamma, beta, eps):
    return fold_formula(weight, bias, beta, var, gamma, mean, eps)


RIGHT = {
    "standardize": [std_keepdim, std_channel_loop, std_numpy],
    "batch_norm": [
        *(bn_keepdim, bn_channel_loop, bn_rows, bn_numpy, bn_einsum, bn_python_loops),
    ],
    "batch_norm_running": [run_keepdim, run_channel_loop, run_rows, run_numpy],
    "batch_norm_lite": [lite_by_hand, lite_channels, lite_numpy],
    "group_norm": [gn_five_axes, gn_rows, gn_loops, gn_chunks],
    "fold_batch_norm": [fold_formula, fold_loop, fold_matrix, fold_einsum, fold_by_trying],
}

WRONG = {
    "standardize": [
        (std_own_test, "with their own mean and deviation"),
        (std_joint, "from both splits together"),
        (std_whole, "All channels share one mean"),
        (std_pixels, "Each pixel has a mean"),
        (std_pictures, "Each picture has a mean"),
        (std_default, "divided by m - 1"),
        (std_by_variance, "divided by the variance"),
        (std_only_mean, "not divided by the standard deviation"),
        (std_no_mean, "The mean is not subtracted"),
        (std_test_raw, "left as they are"),
        (std_in_place, "was changed in place"),
    ],
    "batch_norm": [
        (bn_default_var, "divided by m - 1"),
        (bn_std_plus_eps, "eps is added to the standard deviation"),
        (bn_no_root, "square root is missing"),
        (bn_no_eps, "eps is missing"),
        (bn_each_image, "that is instance normalization"),
        (bn_over_channels, "that is layer normalization"),
        (bn_whole, "All channels share one mean"),
        (bn_over_batch_axis, "Each pixel has statistics of its own"),
        (bn_evaluation, "in evaluation mode"),
        (bn_unscaled, "Weight and bias are missing"),
        (bn_no_bias, "bias is missing"),
        (bn_swapped, "mixed up"),
        (bn_scaled_bias, "bias is scaled too"),
        (bn_width, "run along the width"),
        (bn_functional, "calls `torch.nn.functional.batch_norm`"),
        (bn_module, "calls `torch.nn.functional.batch_norm`"),
        (bn_in_place, "`x` was changed in place"),
        (bn_viewed, "`reshape` does not"),
        (lambda x, weight, bias, eps: x.float(), "The value is not the expected one"),
        (lambda *rest: bn_keepdim(*rest).float(), "in float32 where the input has float64"),
        (bn_difference_of_squares, "difference of large numbers"),
        (bn_weight_without_sign, "`weight` without its sign"),
    ],
    "batch_norm_running": [
        (run_biased, "PyTorch keeps the unbiased one"),
        (run_unbiased_output, "that one is only kept"),
        (run_variances_exchanged, "that one is only kept"),
        (run_keras_momentum, "the share of the old value"),
        (run_ignores_mode, "Evaluation uses the statistics of the batch"),
        (run_always_running, "Training uses the running statistics for its output"),
        (run_updates_first, "with the new running statistics"),
        (run_evaluation_updates, "Evaluation changes the running statistics"),
        (run_never_updates, "leaves the running statistics as they were"),
        (run_replaces, "take the place of the old ones"),
        (run_adds, "keeps its full weight"),
        (run_keeps_std, "A standard deviation goes into the running variance"),
        (run_eps_kept, "eps goes into the running variance"),
        (run_no_eps, "eps is missing"),
        (run_in_place, "was changed in place"),
        (run_output_alone, "returned a tensor where a tuple is expected"),
        (run_library, "calls `torch.nn.functional.batch_norm`"),
    ],
    "batch_norm_lite": [
        (lite_both, "Both halves are done at once"),
        (lite_exchanged, "exchanged"),
        (lite_always_mean, "the mean is lost"),
        (lite_around_zero, "measured around 0"),
        (lite_unbiased, "divided by m - 1"),
        (lite_removes_it, "not the expected one"),
        (lite_only_mean, "`return` missing"),
        (lite_each_image, "Each image has statistics of its own"),
        (lite_difference_of_squares, "difference of large numbers"),
        (lite_one_image_as_it_is, ""),
    ],
    "group_norm": [
        (gn_unbiased, "divided by m - 1"),
        (gn_eps_outside, "eps is added to the standard deviation"),
        (gn_size_for_count, "the number of groups"),
        (gn_every_other, "block of neighbours"),
        (gn_batch_too, "share their statistics; here each image stands alone"),
        (gn_is_batch_norm, "This is batch normalization"),
        (gn_is_layer_norm, "All channels share their statistics"),
        (gn_is_instance_norm, "Each channel has statistics of its own"),
        (gn_unscaled, "Weight and bias are missing"),
        (gn_module, "calls `torch.nn.functional.group_norm`"),
        (gn_width, "run along the width"),
        (gn_per_group_weight, "not the expected one"),
        (gn_difference_of_squares, "difference of large numbers"),
        (gn_few_groups, ""),
    ],
    "fold_batch_norm": [
        (fold_no_eps, "In `weight`: eps is missing"),
        (fold_no_root, "square root is missing"),
        (fold_eps_outside, "eps is added to the standard deviation"),
        (fold_bias_kept, "In `bias`: The old bias is not scaled"),
        (fold_mean_kept, "In `bias`: The mean is not scaled"),
        (fold_beta_scaled, "beta is scaled too"),
        (fold_no_mean, "The mean is missing"),
        (fold_forgets_bias, "The old bias is missing"),
        (fold_expects_bias, "stopped with TypeError"),
        (fold_wrong_axis, "along the input channels"),
        (fold_last_axis, "along the width of the kernel"),
        (fold_only_weight, "returned a tensor where a tuple is expected"),
        (fold_in_place, "`weight` was changed in place"),
        (fold_beta_and_mean_exchanged, "`mean` and `beta` are exchanged"),
    ],
}

# Wrong in a few cases only, and there not for every number that may be drawn.
EDGES = {
    "batch_norm": [bn_difference_of_squares],
    "batch_norm_lite": [lite_difference_of_squares],
    "group_norm": [gn_difference_of_squares],
}
