"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch.autograd import forward_ad

# conv1d_kernel_gradient


def kernel_double_loop(x, delta):
    size = len(x) - len(delta) + 1
    grad = torch.zeros(size, dtype=x.dtype)
    for k in range(size):
        for i in range(len(delta)):
            grad[k] += delta[i] * x[i + k]
    return grad


def kernel_slices(x, delta):
    o = len(delta)
    return torch.stack([x[k : k + o] @ delta for k in range(len(x) - o + 1)])


def kernel_windows(x, delta):
    return x.unfold(0, len(delta), 1) @ delta


def kernel_shares(x, delta):
    size = len(x) - len(delta) + 1
    return sum(d * x[i : i + size] for i, d in enumerate(delta))


def kernel_numpy(x, delta):
    return np.correlate(x.numpy(), delta.numpy(), mode="valid")


def kernel_convolved(x, delta):
    return torch.from_numpy(np.convolve(x.numpy(), delta.numpy(), mode="valid"))


def kernel_turned(x, delta):
    return kernel_windows(x, delta).flip(0)


def kernel_mean(x, delta):
    return (x.unfold(0, len(delta), 1) * delta).mean(dim=1)


def kernel_overwritten(x, delta):
    size = len(x) - len(delta) + 1
    grad = torch.zeros(size, dtype=x.dtype)
    for k in range(size):
        for i in range(len(delta)):
            grad[k] = delta[i] * x[i + k]
    return grad


def kernel_first_output(x, delta):
    size = len(x) - len(delta) + 1
    return torch.stack([delta[0] * x[k] for k in range(size)])


def kernel_one_short(x, delta):
    o = len(delta)
    grad = torch.zeros(len(x) - o, dtype=x.dtype)
    for k in range(len(x) - o):
        grad[k] = (x[k : k + o] * delta).sum()
    return grad


def kernel_stops_early(x, delta):
    o = len(delta)
    grad = torch.zeros(len(x) - o + 1, dtype=x.dtype)
    for k in range(len(x) - o):
        grad[k] = (x[k : k + o] * delta).sum()
    return grad


def kernel_no_delta(x, delta):
    return x.unfold(0, len(delta), 1).sum(1)


def kernel_full(x, delta):
    return torch.from_numpy(np.convolve(x.numpy(), delta.numpy()))


def kernel_like_x(x, delta):
    grad = torch.zeros_like(x)
    for k in range(len(x)):
        for i in range(len(delta)):
            if i + k < len(x):
                grad[k] += delta[i] * x[i + k]
    return grad


def kernel_negative(x, delta):
    return -kernel_slices(x, delta)


def kernel_torch(x, delta):
    return F.conv1d(x[None, None], delta[None, None])[0, 0]


def kernel_autograd(x, delta):
    kernel = torch.zeros(len(x) - len(delta) + 1, dtype=x.dtype, requires_grad=True)
    y = x.unfold(0, len(kernel), 1) @ kernel
    y.backward(delta)
    return kernel.grad


def kernel_forward_mode(x, delta):
    kernel = torch.zeros(len(x) - len(delta) + 1, dtype=x.dtype)
    with warnings.catch_warnings():
        # Its first use makes torch warn of a function of its own; the tests let no warning pass.
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.func.jacfwd(lambda k: (x.unfold(0, len(k), 1) @ k) @ delta)(kernel)


def kernel_dual_numbers(x, delta):
    kernel = torch.zeros(len(x) - len(delta) + 1, dtype=x.dtype)
    return torch.stack([slope_ahead(x, delta, kernel, d) for d in torch.eye(len(kernel))])


def slope_ahead(x, delta, kernel, direction):
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)
        dual = forward_ad.make_dual(kernel, direction.to(x.dtype))
        return forward_ad.unpack_dual(x.unfold(0, len(kernel), 1) @ dual @ delta).tangent


# the gradients of a whole layer, for x, weight and bias


def conv_back_places(grad_output, x, weight, stride, padding):
    h, w = x.shape[2:]
    kh, kw = weight.shape[2:]
    oh, ow = grad_output.shape[2:]
    padded = F.pad(x, (padding, padding, padding, padding))
    grad_padded, grad_weight = torch.zeros_like(padded), torch.zeros_like(weight)
    for a in range(kh):
        for b in range(kw):
            rows = slice(a, a + stride * (oh - 1) + 1, stride)
            cols = slice(b, b + stride * (ow - 1) + 1, stride)
            grad_weight[:, :, a, b] = torch.einsum(
                "noij,ncij->oc", grad_output, padded[:, :, rows, cols]
            )
            grad_padded[:, :, rows, cols] += torch.einsum(
                "noij,oc->ncij", grad_output, weight[:, :, a, b]
            )
    grad_x = grad_padded[:, :, padding : padding + h, padding : padding + w]
    return grad_x, grad_weight, grad_output.sum(dim=(0, 2, 3))


def conv_back_windows(grad_output, x, weight, stride, padding):
    h, w = x.shape[2:]
    kh, kw = weight.shape[2:]
    padded = F.pad(x, [padding] * 4)
    grad_padded, grad_weight = torch.zeros_like(padded), torch.zeros_like(weight)
    for i in range(grad_output.shape[2]):
        for j in range(grad_output.shape[3]):
            top, left = i * stride, j * stride
            window = padded[:, :, top : top + kh, left : left + kw]
            delta = grad_output[:, :, i, j]
            grad_weight += torch.tensordot(delta, window, dims=([0], [0]))
            grad_padded[:, :, top : top + kh, left : left + kw] += torch.tensordot(
                delta, weight, dims=1
            )
    grad_x = grad_padded[:, :, padding : padding + h, padding : padding + w]
    return grad_x, grad_weight, grad_output.sum((0, 2, 3))


def conv_back_loops(grad_output, x, weight, stride, padding):
    (n, _, h, w), (o, _, kh, kw) = x.shape, weight.shape
    grad_x, grad_weight = torch.zeros_like(x), torch.zeros_like(weight)
    grad_bias = torch.zeros(o, dtype=x.dtype)
    _, _, oh, ow = grad_output.shape
    for m, k, i, j in itertools.product(range(n), range(o), range(oh), range(ow)):
        delta = grad_output[m, k, i, j]
        grad_bias[k] += delta
        for a, b in itertools.product(range(kh), range(kw)):
            row, col = i * stride + a - padding, j * stride + b - padding
            if 0 <= row < h and 0 <= col < w:
                grad_x[m, :, row, col] += delta * weight[k, :, a, b]
                grad_weight[k, :, a, b] += delta * x[m, :, row, col]
    return grad_x, grad_weight, grad_bias


def conv_back_columns(grad_output, x, weight, stride, padding):
    size = tuple(weight.shape[2:])
    columns = F.unfold(x, size, padding=padding, stride=stride)
    delta = grad_output.flatten(2)
    grad_weight = torch.einsum("nol,nkl->ok", delta, columns).reshape(weight.shape)
    grad_columns = weight.flatten(1).T @ delta
    grad_x = F.fold(grad_columns, tuple(x.shape[2:]), size, padding=padding, stride=stride)
    return grad_x, grad_weight, delta.sum((0, 2))


def conv_back_numpy(grad_output, x, weight, stride, padding):
    d, x, weight = grad_output.numpy(), x.numpy(), weight.numpy()
    h, w = x.shape[2:]
    (kh, kw), (oh, ow) = weight.shape[2:], d.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    grad_padded, grad_weight = np.zeros_like(padded), np.zeros_like(weight)
    for a, b in itertools.product(range(kh), range(kw)):
        place = np.s_[:, :, a : a + stride * oh : stride, b : b + stride * ow : stride]
        seen = padded[place][:, :, :oh, :ow]
        grad_weight[:, :, a, b] = np.einsum("noij,ncij->oc", d, seen)
        grad_padded[place][:, :, :oh, :ow] += np.einsum("noij,oc->ncij", d, weight[:, :, a, b])
    grad_x = grad_padded[:, :, padding : padding + h, padding : padding + w]
    return grad_x, grad_weight, d.sum((0, 2, 3))


def full_correlation(grad_output, x, weight, stride, padding, flip=True):
    """Insert zeros, frame, correlate with the kernel: the formula of the chapter."""
    n, o, oh, ow = grad_output.shape
    h, w = x.shape[2:]
    kh, kw = weight.shape[2:]
    spread = torch.zeros(n, o, h + 2 * padding - kh + 1, w + 2 * padding - kw + 1, dtype=x.dtype)
    spread[:, :, : oh * stride : stride, : ow * stride : stride] = grad_output
    framed = F.pad(spread, (kw - 1, kw - 1, kh - 1, kh - 1))
    kernel = weight.flip(2, 3) if flip else weight
    windows = framed.unfold(2, kh, 1).unfold(3, kw, 1)
    grad = torch.einsum("noijab,ocab->ncij", windows, kernel)
    return grad[:, :, padding : padding + h, padding : padding + w]


def conv_back_formula(grad_output, x, weight, stride, padding):
    _, grad_weight, grad_bias = conv_back_columns(grad_output, x, weight, stride, padding)
    return full_correlation(grad_output, x, weight, stride, padding), grad_weight, grad_bias


def conv_back_unflipped(grad_output, x, weight, stride, padding):
    _, grad_weight, grad_bias = conv_back_columns(grad_output, x, weight, stride, padding)
    grad_x = full_correlation(grad_output, x, weight, stride, padding, flip=False)
    return grad_x, grad_weight, grad_bias


def conv_back_frame_kept(grad_output, x, weight, stride, padding):
    padded = F.pad(x, [padding] * 4)
    return conv_back_windows(grad_output, padded, weight, stride, 0)


def conv_back_leftover_lost(grad_output, x, weight, stride, padding):
    kh, kw = weight.shape[2:]
    oh, ow = grad_output.shape[2:]
    reached_h, reached_w = (oh - 1) * stride + kh, (ow - 1) * stride + kw
    padded = F.pad(x, [padding] * 4)[:, :, :reached_h, :reached_w]
    grads = conv_back_windows(grad_output, padded, weight, stride, 0)
    bottom, right = (
        min(p + n, r)
        for p, n, r in zip((padding, padding), x.shape[2:], (reached_h, reached_w), strict=True)
    )
    return grads[0][:, :, padding:bottom, padding:right], *grads[1:]


def conv_back_overwrites(grad_output, x, weight, stride, padding):
    _, grad_weight, grad_bias = conv_back_windows(grad_output, x, weight, stride, padding)
    h, w = x.shape[2:]
    kh, kw = weight.shape[2:]
    grad_padded = torch.zeros_like(F.pad(x, [padding] * 4))
    for i in range(grad_output.shape[2]):
        for j in range(grad_output.shape[3]):
            top, left = i * stride, j * stride
            grad_padded[:, :, top : top + kh, left : left + kw] = torch.tensordot(
                grad_output[:, :, i, j], weight, dims=1
            )
    return grad_padded[:, :, padding : padding + h, padding : padding + w], grad_weight, grad_bias


def conv_back_no_stride(grad_output, x, weight, stride, padding):
    h, w = x.shape[2:]
    kh, kw = weight.shape[2:]
    padded = F.pad(x, [padding] * 4)
    grad_padded, grad_weight = torch.zeros_like(padded), torch.zeros_like(weight)
    for i in range(grad_output.shape[2]):
        for j in range(grad_output.shape[3]):
            window = padded[:, :, i : i + kh, j : j + kw]
            delta = grad_output[:, :, i, j]
            grad_weight += torch.einsum("no,ncab->ocab", delta, window)
            grad_padded[:, :, i : i + kh, j : j + kw] += torch.einsum(
                "no,ocab->ncab", delta, weight
            )
    grad_x = grad_padded[:, :, padding : padding + h, padding : padding + w]
    return grad_x, grad_weight, grad_output.sum((0, 2, 3))


def conv_back_weight_no_stride(grad_output, x, weight, stride, padding):
    grad_x, _, grad_bias = conv_back_places(grad_output, x, weight, stride, padding)
    _, grad_weight, _ = conv_back_no_stride(grad_output, x, weight, stride, padding)
    return grad_x, grad_weight, grad_bias


def conv_back_mean_weight(grad_output, x, weight, stride, padding):
    grad_x, grad_weight, grad_bias = conv_back_places(grad_output, x, weight, stride, padding)
    return grad_x, grad_weight / len(x), grad_bias


def conv_back_first_image(grad_output, x, weight, stride, padding):
    grad_x, _, _ = conv_back_places(grad_output, x, weight, stride, padding)
    _, grad_weight, grad_bias = conv_back_places(grad_output[:1], x[:1], weight, stride, padding)
    return grad_x, grad_weight, grad_bias


def conv_back_weight_turned(grad_output, x, weight, stride, padding):
    grad_x, grad_weight, grad_bias = conv_back_places(grad_output, x, weight, stride, padding)
    return grad_x, grad_weight.flip((2, 3)), grad_bias


def conv_back_autograd(grad_output, x, weight, stride, padding):
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    columns = F.unfold(x, tuple(weight.shape[2:]), padding=padding, stride=stride)
    y = (weight.flatten(1) @ columns).reshape(grad_output.shape)
    grad_x, grad_weight = torch.autograd.grad(y, (x, weight), grad_output)
    return grad_x, grad_weight, grad_output.sum((0, 2, 3))


# conv2d_backward in three parts


def weight_part(both):
    """Ask an answer to the whole layer for the gradient of the weights."""

    def conv2d_grad_weight(grad_output, x, kernel_size, stride, padding):
        shape = grad_output.shape[1], x.shape[1], *kernel_size
        weight = torch.zeros(shape, dtype=x.dtype)
        return both(grad_output, x, weight, stride, padding)[1]

    conv2d_grad_weight.__name__ = both.__name__
    return conv2d_grad_weight


def image_part(both):
    """Ask an answer to the whole layer for the gradient of the images."""

    def conv2d_grad_x(grad_output, weight, size, stride, padding):
        x = torch.zeros((len(grad_output), weight.shape[1], *size), dtype=weight.dtype)
        return both(grad_output, x, weight, stride, padding)[0]

    conv2d_grad_x.__name__ = both.__name__
    return conv2d_grad_x


def bias_sum(grad_output):
    return grad_output.sum(dim=(0, 2, 3))


def bias_loop(grad_output):
    return torch.stack([grad_output[:, o].sum() for o in range(grad_output.shape[1])])


def bias_flat(grad_output):
    return grad_output.transpose(0, 1).reshape(grad_output.shape[1], -1).sum(1)


def bias_einsum(grad_output):
    return torch.einsum("noij->o", grad_output)


def bias_first_image(grad_output):
    return grad_output[0].sum((1, 2))


def bias_mean(grad_output):
    return grad_output.mean((0, 2, 3))


def bias_mean_over_images(grad_output):
    return grad_output.sum((2, 3)).mean(0)


def bias_per_image(grad_output):
    return grad_output.sum((2, 3))


def bias_per_place(grad_output):
    return grad_output.sum(0)


def bias_total(grad_output):
    return grad_output.sum()


def bias_kept_axes(grad_output):
    return grad_output.sum((0, 2, 3), keepdim=True)


def grad_weight_windows(grad_output, x, kernel_size, stride, padding):
    kh, kw = kernel_size
    padded = F.pad(x, [padding] * 4)
    windows = padded.unfold(2, kh, stride).unfold(3, kw, stride)
    return torch.einsum("noij,ncijab->ocab", grad_output, windows)


def grad_weight_other_axes(grad_output, x, kernel_size, stride, padding):
    return grad_weight_windows(grad_output, x, kernel_size, stride, padding).transpose(0, 1)


def grad_weight_not_padded(grad_output, x, kernel_size, stride, padding):
    rows = slice(padding, padding + x.shape[2])
    framed = torch.zeros_like(F.pad(x, [padding] * 4))
    framed[:, :, : x.shape[2], : x.shape[3]] = x
    assert framed[:, :, rows].numel()
    return grad_weight_windows(grad_output, framed, kernel_size, stride, 0)


def grad_weight_no_delta(grad_output, x, kernel_size, stride, padding):
    ones = torch.ones_like(grad_output)
    return grad_weight_windows(ones, x, kernel_size, stride, padding)


def grad_weight_square(grad_output, x, kernel_size, stride, padding):
    kh, _ = kernel_size
    return grad_weight_windows(grad_output, x, (kh, kh), stride, padding)


def grad_weight_library(grad_output, x, kernel_size, stride, padding):
    shape = grad_output.shape[1], x.shape[1], *kernel_size
    return torch.nn.grad.conv2d_weight(x, shape, grad_output, stride, padding)


def grad_x_painted(grad_output, weight, size, stride, padding):
    (h, w), (kh, kw) = size, weight.shape[2:]
    grad = weight.new_zeros(len(grad_output), weight.shape[1], h + 2 * padding, w + 2 * padding)
    for i in range(grad_output.shape[2]):
        for j in range(grad_output.shape[3]):
            copies = torch.tensordot(grad_output[:, :, i, j], weight, dims=1)
            grad[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] += copies
    return grad[:, :, padding : padding + h, padding : padding + w]


def grad_x_first_channel(grad_output, weight, size, stride, padding):
    return grad_x_painted(grad_output[:, :1], weight[:1], size, stride, padding)


def grad_x_library(grad_output, weight, size, stride, padding):
    shape = len(grad_output), weight.shape[1], *size
    return torch.nn.grad.conv2d_input(shape, weight, grad_output, stride, padding)


# conv_transpose2d


def transposed_painted(x, weight, stride):
    (n, c, h, w), (_, o, kh, kw) = x.shape, weight.shape
    y = torch.zeros(n, o, (h - 1) * stride + kh, (w - 1) * stride + kw, dtype=x.dtype)
    for i, j in itertools.product(range(h), range(w)):
        for channel in range(c):
            copy = x[:, channel, i, j, None, None, None] * weight[channel]
            y[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] += copy
    return y


def transposed_by_weights(x, weight, stride):
    (n, _, h, w), (_, o, kh, kw) = x.shape, weight.shape
    y = x.new_zeros(n, o, (h - 1) * stride + kh, (w - 1) * stride + kw)
    for a, b in itertools.product(range(kh), range(kw)):
        rows = slice(a, a + (h - 1) * stride + 1, stride)
        cols = slice(b, b + (w - 1) * stride + 1, stride)
        y[:, :, rows, cols] += torch.einsum("ncij,co->noij", x, weight[:, :, a, b])
    return y


def transposed_folded(x, weight, stride):
    (_, _, h, w), (_, _, kh, kw) = x.shape, weight.shape
    columns = weight.flatten(1).T @ x.flatten(2)
    size = (h - 1) * stride + kh, (w - 1) * stride + kw
    return F.fold(columns, size, (kh, kw), stride=stride)


def transposed_spread(x, weight, stride):
    (n, c, h, w), (_, _, kh, kw) = x.shape, weight.shape
    spread = x.new_zeros(n, c, (h - 1) * stride + 1, (w - 1) * stride + 1)
    spread[:, :, ::stride, ::stride] = x
    framed = F.pad(spread, (kw - 1, kw - 1, kh - 1, kh - 1))
    windows = framed.unfold(2, kh, 1).unfold(3, kw, 1)
    return torch.einsum("ncijab,coab->noij", windows, weight.flip(2, 3))


def transposed_not_turned(x, weight, stride):
    return transposed_spread(x, weight.flip(2, 3), stride)


def transposed_assigned(x, weight, stride):
    (n, _, h, w), (_, o, kh, kw) = x.shape, weight.shape
    y = x.new_zeros(n, o, (h - 1) * stride + kh, (w - 1) * stride + kw)
    for i, j in itertools.product(range(h), range(w)):
        copy = torch.tensordot(x[:, :, i, j], weight, dims=1)
        y[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] = copy
    return y


def transposed_no_stride(x, weight, stride):
    return transposed_painted(x, weight, 1)


def transposed_too_large(x, weight, stride):
    return F.pad(transposed_painted(x, weight, stride), (0, stride, 0, stride))


def transposed_too_small(x, weight, stride):
    h, w = x.shape[2:]
    return transposed_painted(x, weight, stride)[:, :, : h * stride, : w * stride]


def transposed_one_channel(x, weight, stride):
    return transposed_painted(x[:, :1], weight[:1], stride)


def transposed_of_ones(x, weight, stride):
    return transposed_painted(x / x, weight, stride)


def transposed_library(x, weight, stride):
    return F.conv_transpose2d(x, weight, stride=stride)


# is_adjoint


def adjoint_sums(forward, backward, size):
    x = torch.randn(size, dtype=torch.float64)
    y = forward(x)
    delta = torch.randn(y.shape, dtype=torch.float64)
    g = backward(delta)
    if g.shape != x.shape:
        return False
    return torch.isclose((y * delta).sum(), (x * g).sum()).item()


def adjoint_dots(forward, backward, size):
    x = torch.rand(*size, dtype=torch.float64)
    y = forward(x)
    delta = torch.rand_like(y)
    grad = backward(delta)
    same_shape = tuple(grad.shape) == tuple(size)
    return same_shape and bool(abs(y.flatten() @ delta.flatten() - (x * grad).sum()) < 1e-9)


def adjoint_three_times(forward, backward, size):
    def once():
        x = torch.randn(size).double()
        y = forward(x)
        delta = torch.randn(y.shape).double()
        g = backward(delta)
        return g.shape == x.shape and abs(float((y * delta).sum() - (x * g).sum())) < 1e-6

    return all(once() for _ in range(3))


def adjoint_matrices(forward, backward, size):
    pixels = torch.eye(size[0] * size[1], dtype=torch.float64).reshape(-1, *size)
    there = torch.stack([forward(pixel) for pixel in pixels])
    outputs = torch.eye(there[0].numel(), dtype=torch.float64).reshape(-1, *there.shape[1:])
    back = torch.stack([backward(output) for output in outputs])
    if tuple(back.shape[1:]) != tuple(size):
        return False
    return torch.allclose(there.flatten(1), back.flatten(1).T)


def adjoint_always(forward, backward, size):
    return True


def adjoint_never(forward, backward, size):
    return False


def adjoint_shapes(forward, backward, size):
    x = torch.zeros(size, dtype=torch.float64)
    return backward(forward(x)).shape == x.shape


def adjoint_ones(forward, backward, size):
    x = torch.ones(size, dtype=torch.float64)
    y = forward(x)
    g = backward(torch.ones_like(y))
    return g.shape == x.shape and torch.isclose(y.sum(), (x * g).sum()).item()


def adjoint_inverse(forward, backward, size):
    x = torch.randn(size, dtype=torch.float64)
    back = backward(forward(x))
    return back.shape == x.shape and torch.allclose(back, x)


def adjoint_coarse(forward, backward, size):
    x = torch.rand(size, dtype=torch.float64)
    y = forward(x)
    delta = torch.rand(y.shape, dtype=torch.float64)
    g = backward(delta)
    return g.shape == x.shape and abs(float((y * delta).sum() - (x * g).sum())) < 1.0


def adjoint_crash(forward, backward, size):
    x = torch.randn(size, dtype=torch.float64)
    y = forward(x)
    delta = torch.randn(y.shape, dtype=torch.float64)
    return torch.isclose((y * delta).sum(), (x * backward(delta)).sum()).item()


def adjoint_tensor(forward, backward, size):
    return torch.tensor(adjoint_sums(forward, backward, size))


# max_pool2d_backward


def pool_back_loops(grad_output, x, kernel_size, stride):
    grad = torch.zeros_like(x)
    n, c, oh, ow = grad_output.shape
    for a, b, i, j in itertools.product(range(n), range(c), range(oh), range(ow)):
        top, left = i * stride, j * stride
        window = x[a, b, top : top + kernel_size, left : left + kernel_size]
        row, col = divmod(window.flatten().argmax().item(), kernel_size)
        grad[a, b, top + row, left + col] += grad_output[a, b, i, j]
    return grad


def pool_back_columns(grad_output, x, kernel_size, stride):
    n, c, h, w = x.shape
    columns = F.unfold(x.reshape(n * c, 1, h, w), kernel_size, stride=stride)
    winner = F.one_hot(columns.argmax(1), kernel_size**2).mT.to(x.dtype)
    shares = winner * grad_output.reshape(n * c, 1, -1)
    return F.fold(shares, (h, w), kernel_size, stride=stride).reshape(n, c, h, w)


def pool_back_scatter(grad_output, x, kernel_size, stride):
    n, c, h, w = x.shape
    numbers = torch.arange(h * w).reshape(h, w)
    places = numbers.unfold(0, kernel_size, stride).unfold(1, kernel_size, stride)
    windows = x.unfold(2, kernel_size, stride).unfold(3, kernel_size, stride)
    winner = windows.flatten(4).argmax(-1)
    places = places.flatten(2).expand(n, c, -1, -1, -1)
    chosen = places.gather(-1, winner[..., None])[..., 0]
    grad = x.new_zeros(n, c, h * w)
    return grad.scatter_add(2, chosen.flatten(2), grad_output.flatten(2)).reshape(x.shape)


def pool_back_searching(grad_output, x, kernel_size, stride):
    grad = torch.zeros_like(x)
    n, c, oh, ow = grad_output.shape
    for a, b, i, j in itertools.product(range(n), range(c), range(oh), range(ow)):
        best, place = -float("inf"), None
        for row in range(i * stride, i * stride + kernel_size):
            for col in range(j * stride, j * stride + kernel_size):
                if x[a, b, row, col] > best:
                    best, place = x[a, b, row, col], (a, b, row, col)
        grad[place] += grad_output[a, b, i, j]
    return grad


def pool_back_mask(grad_output, x, kernel_size, stride):
    grad = torch.zeros_like(x)
    for i in range(grad_output.shape[2]):
        for j in range(grad_output.shape[3]):
            rows = slice(i * stride, i * stride + kernel_size)
            cols = slice(j * stride, j * stride + kernel_size)
            window = x[:, :, rows, cols]
            mask = window == window.amax((2, 3), keepdim=True)
            grad[:, :, rows, cols] += mask * grad_output[:, :, i, j, None, None]
    return grad


def pool_back_shared(grad_output, x, kernel_size, stride):
    grad = torch.zeros_like(x)
    for i in range(grad_output.shape[2]):
        for j in range(grad_output.shape[3]):
            rows = slice(i * stride, i * stride + kernel_size)
            cols = slice(j * stride, j * stride + kernel_size)
            window = x[:, :, rows, cols]
            mask = window == window.amax((2, 3), keepdim=True)
            mask = mask / mask.sum((2, 3), keepdim=True)
            grad[:, :, rows, cols] += mask * grad_output[:, :, i, j, None, None]
    return grad


def pool_back_last(grad_output, x, kernel_size, stride):
    grad = torch.zeros_like(x)
    n, c, oh, ow = grad_output.shape
    for a, b, i, j in itertools.product(range(n), range(c), range(oh), range(ow)):
        best, place = -float("inf"), None
        for row in range(i * stride, i * stride + kernel_size):
            for col in range(j * stride, j * stride + kernel_size):
                if x[a, b, row, col] >= best:
                    best, place = x[a, b, row, col], (a, b, row, col)
        grad[place] += grad_output[a, b, i, j]
    return grad


def pool_back_assigns(grad_output, x, kernel_size, stride):
    grad = torch.zeros_like(x)
    n, c, oh, ow = grad_output.shape
    for a, b, i, j in itertools.product(range(n), range(c), range(oh), range(ow)):
        top, left = i * stride, j * stride
        window = x[a, b, top : top + kernel_size, left : left + kernel_size]
        row, col = divmod(window.flatten().argmax().item(), kernel_size)
        grad[a, b, top + row, left + col] = grad_output[a, b, i, j]
    return grad


def pool_back_average(grad_output, x, kernel_size, stride):
    grad = torch.zeros_like(x)
    for i in range(grad_output.shape[2]):
        for j in range(grad_output.shape[3]):
            top, left = i * stride, j * stride
            share = grad_output[:, :, i, j, None, None] / kernel_size**2
            grad[:, :, top : top + kernel_size, left : left + kernel_size] += share
    return grad


def pool_back_ones(grad_output, x, kernel_size, stride):
    return pool_back_loops(torch.ones_like(grad_output), x, kernel_size, stride)


def pool_back_times_value(grad_output, x, kernel_size, stride):
    return pool_back_columns(grad_output, x, kernel_size, stride) * x


def pool_back_side_by_side(grad_output, x, kernel_size, stride):
    grad = torch.zeros_like(x)
    n, c, oh, ow = grad_output.shape
    for a, b, i, j in itertools.product(range(n), range(c), range(oh), range(ow)):
        top, left = i * kernel_size, j * kernel_size
        window = x[a, b, top : top + kernel_size, left : left + kernel_size]
        if window.numel():
            row, col = divmod(window.flatten().argmax().item(), window.shape[1])
            grad[a, b, top + row, left + col] += grad_output[a, b, i, j]
    return grad


def pool_back_from_zero(grad_output, x, kernel_size, stride):
    grad = torch.zeros_like(x)
    n, c, oh, ow = grad_output.shape
    for a, b, i, j in itertools.product(range(n), range(c), range(oh), range(ow)):
        best, place = 0.0, (a, b, i * stride, j * stride)
        for row in range(i * stride, i * stride + kernel_size):
            for col in range(j * stride, j * stride + kernel_size):
                if x[a, b, row, col] > best:
                    best, place = x[a, b, row, col], (a, b, row, col)
        grad[place] += grad_output[a, b, i, j]
    return grad


def pool_back_smallest(grad_output, x, kernel_size, stride):
    return pool_back_scatter(grad_output, -x, kernel_size, stride)


def pool_back_cropped(grad_output, x, kernel_size, stride):
    oh, ow = grad_output.shape[2:]
    rows, cols = (oh - 1) * stride + kernel_size, (ow - 1) * stride + kernel_size
    return pool_back_loops(grad_output, x[:, :, :rows, :cols], kernel_size, stride)


def pool_back_library(grad_output, x, kernel_size, stride):
    x = x.clone().requires_grad_()
    F.max_pool2d(x, kernel_size, stride).backward(grad_output)
    return x.grad


def pool_back_indices(grad_output, x, kernel_size, stride):
    _, where = F.max_pool2d(x, kernel_size, stride, return_indices=True)
    grad = torch.zeros_like(x).flatten(2)
    return grad.scatter_add(2, where.flatten(2), grad_output.flatten(2)).reshape(x.shape)


# numeric_gradient


def numeric_indices(f, x, step):
    grad = torch.zeros_like(x)
    for index in np.ndindex(*x.shape):
        up, down = x.clone(), x.clone()
        up[index] += step
        down[index] -= step
        grad[index] = (f(up) - f(down)) / (2 * step)
    return grad


def numeric_flat(f, x, step):
    slopes = []
    for k in range(x.numel()):
        bump = torch.zeros(x.numel(), dtype=x.dtype)
        bump[k] = step
        bump = bump.reshape(x.shape)
        slopes.append((f(x + bump).item() - f(x - bump).item()) / (2 * step))
    return torch.tensor(slopes, dtype=x.dtype).reshape(x.shape)


def numeric_eye(f, x, step):
    bumps = step * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape)
    return torch.stack([(f(x + b) - f(x - b)) / (2 * step) for b in bumps]).reshape(x.shape)


def numeric_put_back(f, x, step):
    x = x.clone(memory_format=torch.contiguous_format)
    flat, grad = x.view(-1), torch.zeros_like(x)
    for k in range(flat.numel()):
        old = flat[k].item()
        flat[k] = old + step
        up = f(x)
        flat[k] = old - step
        down = f(x)
        flat[k] = old
        grad.view(-1)[k] = (up - down) / (2 * step)
    return grad


def numeric_forward(f, x, step):
    grad = torch.zeros_like(x)
    for index in np.ndindex(*x.shape):
        up = x.clone()
        up[index] += step
        grad[index] = (f(up) - f(x)) / step
    return grad


def numeric_one_step(f, x, step):
    return numeric_indices(f, x, step) * 2


def numeric_only_halved(f, x, step):
    return numeric_indices(f, x, step) * step


def numeric_precedence(f, x, step):
    grad = torch.zeros_like(x)
    for index in np.ndindex(*x.shape):
        up, down = x.clone(), x.clone()
        up[index] += step
        down[index] -= step
        grad[index] = (f(up) - f(down)) / 2 * step
    return grad


def numeric_half_steps(f, x, step):
    return numeric_indices(f, x, step / 2)


def numeric_stays(f, x, step):
    here, grad = x.clone(), torch.zeros_like(x)
    for index in np.ndindex(*x.shape):
        up, down = here.clone(), here.clone()
        up[index] += step
        down[index] -= step
        grad[index] = (f(up) - f(down)) / (2 * step)
        here[index] += step
    return grad


def numeric_all_at_once(f, x, step):
    return torch.ones_like(x) * (f(x + step) - f(x - step)) / (2 * step)


def numeric_row(f, x, step):
    return numeric_indices(f, x, step).flatten()


def numeric_in_place(f, x, step):
    grad = torch.zeros_like(x)
    for index in np.ndindex(*x.shape):
        x[index] += step
        up = f(x)
        x[index] -= 2 * step
        grad[index] = (up - f(x)) / (2 * step)
    return grad


def numeric_exact(f, x, step):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x), x)[0]


def numeric_functional(f, x, step):
    return torch.autograd.functional.jacobian(f, x)


def numeric_other_sign(f, x, step):
    return numeric_indices(f, x, -step) * -1


def numeric_number(f, x, step):
    return (f(x + step) - f(x - step)) / (2 * step)


# Wrong at an edge.


def kernel_squeezed(x, delta):
    return kernel_slices(x, delta).squeeze()


def conv_back_two_images(grad_output, x, weight, stride, padding):
    first = conv_back_places(grad_output[:2], x[:2], weight, stride, padding)
    return conv_back_places(grad_output, x, weight, stride, padding)[0], *first[1:]


def conv_back_little_padding(grad_output, x, weight, stride, padding):
    if padding <= max(weight.shape[2:]):
        return conv_back_places(grad_output, x, weight, stride, padding)
    return torch.zeros_like(x), torch.zeros_like(weight), grad_output.sum((0, 2, 3))


def conv_back_all_averaged(grad_output, x, weight, stride, padding):
    grad_x, *others = conv_back_places(grad_output, x, weight, stride, padding)
    return grad_x / len(x), *(one / len(x) for one in others)


def conv_back_averaged_over_channels(grad_output, x, weight, stride, padding):
    grad_x, *others = conv_back_places(grad_output, x, weight, stride, padding)
    return grad_x / weight.shape[0], *others


def pool_back_from_a_thousand(grad_output, x, kernel_size, stride):
    return pool_back_loops(grad_output, x.clamp(min=-1000), kernel_size, stride)


RIGHT = {
    "conv1d_kernel_gradient": [
        *(kernel_double_loop, kernel_slices, kernel_windows, kernel_shares, kernel_numpy),
    ],
    "conv2d_grad_bias": [bias_sum, bias_loop, bias_flat, bias_einsum],
    "conv2d_grad_weight": [
        *map(weight_part, (conv_back_places, conv_back_windows, conv_back_loops)),
        *map(weight_part, (conv_back_columns, conv_back_numpy)),
        grad_weight_windows,
    ],
    "conv2d_grad_x": [
        *map(image_part, (conv_back_places, conv_back_windows, conv_back_loops)),
        *map(image_part, (conv_back_columns, conv_back_numpy, conv_back_formula)),
        grad_x_painted,
    ],
    "conv_transpose2d": [
        *(transposed_painted, transposed_by_weights, transposed_folded, transposed_spread),
    ],
    "is_adjoint": [adjoint_sums, adjoint_dots, adjoint_three_times, adjoint_matrices],
    "max_pool2d_backward": [
        *(pool_back_loops, pool_back_columns, pool_back_scatter, pool_back_searching),
    ],
    "numeric_gradient": [numeric_indices, numeric_flat, numeric_eye, numeric_put_back],
}

WRONG = {
    "conv1d_kernel_gradient": [
        (kernel_convolved, "delta runs backwards"),
        (kernel_turned, "The result runs backwards"),
        (kernel_mean, "averaged"),
        (kernel_overwritten, "Only the last output counts"),
        (kernel_first_output, "Only the first output counts"),
        (kernel_one_short, "The last weight is missing"),
        (kernel_stops_early, "never filled"),
        (kernel_no_delta, "without delta"),
        (kernel_full, "the full convolution"),
        (kernel_like_x, "the length of x"),
        (kernel_negative, "sign is reversed"),
        (kernel_torch, "calls `torch.conv1d`"),
        (kernel_forward_mode, "calls `torch._make_dual`"),
        (kernel_dual_numbers, "calls `torch._make_dual`"),
        (kernel_autograd, "calls `torch._tensor.backward`"),
        (kernel_squeezed, "is there a `squeeze`"),
    ],
    "conv2d_grad_bias": [
        (bias_first_image, "Only the first image counts"),
        (bias_mean, "averaged over images and places"),
        (bias_mean_over_images, "averaged over the images"),
        (bias_per_image, "The places are added, the images are not"),
        (bias_per_place, "The images are added, the places are not"),
        (bias_total, "All channels are added up"),
        (bias_kept_axes, ""),
    ],
    "conv2d_grad_weight": [
        (weight_part(conv_back_weight_no_stride), "The stride is not used"),
        (weight_part(conv_back_mean_weight), "It is averaged over the images"),
        (weight_part(conv_back_first_image), "Only the first image"),
        (weight_part(conv_back_weight_turned), "The kernel's gradient is rotated"),
        (weight_part(conv_back_two_images), ""),
        (weight_part(conv_back_little_padding), ""),
        (weight_part(conv_back_autograd), "calls `torch.autograd.grad`"),
        (grad_weight_other_axes, "Input and output channels are exchanged"),
        (grad_weight_not_padded, "x is not padded"),
        (grad_weight_no_delta, "without grad_output"),
        (grad_weight_square, ""),
        (grad_weight_library, "conv"),
    ],
    "conv2d_grad_x": [
        (image_part(conv_back_unflipped), "The kernel is rotated"),
        (image_part(conv_back_frame_kept), "The frame of the padding"),
        (image_part(conv_back_leftover_lost), "no window reaches are missing"),
        (image_part(conv_back_overwrites), "Where windows overlap"),
        (image_part(conv_back_no_stride), "The stride is not used"),
        (image_part(conv_back_little_padding), ""),
        (image_part(conv_back_all_averaged), "divided by the length of axis 0 of `grad_output`"),
        (
            image_part(conv_back_averaged_over_channels),
            "divided by the length of axis 1 of `grad_output`",
        ),
        (image_part(conv_back_autograd), "calls `torch.autograd.grad`"),
        (grad_x_first_channel, "Only the first output channel"),
        (grad_x_library, "conv"),
    ],
    "conv_transpose2d": [
        (transposed_not_turned, "rotated by 180°"),
        (transposed_assigned, "Where copies overlap"),
        (transposed_no_stride, "The stride is not used"),
        (transposed_too_large, "room for another step"),
        (transposed_too_small, "The end of the last copy"),
        (transposed_one_channel, "Only the first channel paints"),
        (transposed_of_ones, "without the values of the pixels"),
        (transposed_library, "calls `torch.conv_transpose2d`"),
    ],
    "is_adjoint": [
        (adjoint_always, "Every program is accepted"),
        (adjoint_never, "Every program is refused"),
        (adjoint_shapes, "Only the shapes are compared"),
        (adjoint_ones, "A picture of ones"),
        (adjoint_inverse, "not the inverse"),
        (adjoint_coarse, ""),
        (adjoint_crash, "stopped with RuntimeError"),
        (adjoint_tensor, ""),
    ],
    "max_pool2d_backward": [
        (pool_back_mask, "all equal pixels get the whole gradient"),
        (pool_back_shared, "shared out"),
        (pool_back_last, "the last of the equal pixels wins"),
        (pool_back_assigns, "wins several windows"),
        (pool_back_average, "average pooling"),
        (pool_back_ones, "marked with 1"),
        (pool_back_times_value, "value is a factor"),
        (pool_back_side_by_side, "side by side"),
        (pool_back_from_zero, "starts at 0"),
        (pool_back_smallest, "The smallest pixel wins"),
        (pool_back_cropped, "no window reaches are missing"),
        (pool_back_library, "calls `torch"),
        (pool_back_indices, "calls `torch"),
        (pool_back_from_a_thousand, ""),
    ],
    "numeric_gradient": [
        (numeric_forward, "forward difference"),
        (numeric_one_step, "divide by 2 * step, not by step"),
        (numeric_precedence, "multiplied by the step"),
        (numeric_only_halved, "halved, but not divided"),
        (numeric_half_steps, "half a step away"),
        (numeric_stays, "stays moved"),
        (numeric_all_at_once, "All elements are moved at once"),
        (numeric_row, "one long row"),
        (numeric_in_place, "`x` was changed in place"),
        (numeric_exact, "calls `torch.autograd.grad`"),
        (numeric_functional, "calls `torch"),
        (numeric_other_sign, "sign is reversed"),
        (numeric_number, "broadcasting would hide that"),
    ],
}
