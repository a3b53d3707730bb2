"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

# conv_matrix


def matrix_loops(kernel, h, w):
    kh, kw = kernel.shape
    oh, ow = h - kh + 1, w - kw + 1
    m = kernel.new_zeros(oh * ow, h * w)
    for i in range(oh):
        for j in range(ow):
            for a in range(kh):
                for b in range(kw):
                    m[i * ow + j, (i + a) * w + j + b] = kernel[a, b]
    return m


def matrix_pictures(kernel, h, w):
    kh, kw = kernel.shape
    rows = []
    for i in range(h - kh + 1):
        for j in range(w - kw + 1):
            picture = torch.zeros(h, w, dtype=kernel.dtype)
            picture[i : i + kh, j : j + kw] = kernel
            rows.append(picture.reshape(-1))
    return torch.stack(rows)


def matrix_unfolded(kernel, h, w):
    kh, kw = kernel.shape
    pixel = torch.arange(h * w).reshape(h, w)
    columns = pixel.unfold(0, kh, 1).unfold(1, kw, 1).reshape(-1, kh * kw)
    m = torch.zeros(len(columns), h * w, dtype=kernel.dtype)
    return m.scatter(1, columns, kernel.reshape(1, -1).expand(len(columns), -1))


def matrix_of_unit_pictures(kernel, h, w):
    units = torch.eye(h * w, dtype=kernel.dtype).reshape(h * w, 1, h, w)
    return F.conv2d(units, kernel[None, None]).reshape(h * w, -1).T


def matrix_windows_einsum(kernel, h, w):
    kh, kw = kernel.shape
    units = torch.eye(h * w, dtype=kernel.dtype).reshape(h * w, h, w)
    windows = units.unfold(1, kh, 1).unfold(2, kw, 1)
    return torch.einsum("pijab,ab->ijp", windows, kernel).reshape(-1, h * w)


def matrix_jacobian(kernel, h, w):
    def flat(x):
        return F.conv2d(x.reshape(1, 1, h, w), kernel[None, None]).reshape(-1)

    return torch.autograd.functional.jacobian(flat, torch.zeros(h * w, dtype=kernel.dtype))


def matrix_kronecker(kernel, h, w):
    kh, kw = kernel.shape
    m = 0
    for a in range(kh):
        for b in range(kw):
            down = np.eye(h - kh + 1, h, a)
            across = np.eye(w - kw + 1, w, b)
            m = m + kernel[a, b].item() * np.kron(down, across)
    return torch.from_numpy(m).to(kernel.dtype)


def matrix_convolution(kernel, h, w):
    return matrix_loops(kernel.flip(0, 1), h, w)


def matrix_toeplitz(kernel, h, w):
    kh, kw = kernel.shape
    first = torch.zeros(h, w, dtype=kernel.dtype)
    first[:kh, :kw] = kernel
    count = (h - kh + 1) * (w - kw + 1)
    return torch.stack([torch.roll(first.flatten(), r) for r in range(count)])


def matrix_columns_by_height(kernel, h, w):
    kh, kw = kernel.shape
    oh, ow = h - kh + 1, w - kw + 1
    m = kernel.new_zeros(oh * ow, h * w)
    for i in range(oh):
        for j in range(ow):
            for a in range(kh):
                for b in range(kw):
                    m[i * ow + j, (j + b) * h + i + a] = kernel[a, b]
    return m


def matrix_wrong_rows(kernel, h, w):
    kh, kw = kernel.shape
    oh, ow = h - kh + 1, w - kw + 1
    m = kernel.new_zeros(oh * ow, h * w)
    row = 0
    for j in range(ow):
        for i in range(oh):
            m[row].view(h, w)[i : i + kh, j : j + kw] = kernel
            row += 1
    return m


def matrix_kernel_in_a_line(kernel, h, w):
    kh, kw = kernel.shape
    oh, ow = h - kh + 1, w - kw + 1
    m = torch.zeros(oh * ow, h * w, dtype=kernel.dtype)
    for i in range(oh):
        for j in range(ow):
            m[i * ow + j, i * w + j : i * w + j + kh * kw] = kernel.reshape(-1)
    return m


def matrix_of_ones(kernel, h, w):
    return (matrix_loops(kernel, h, w) != 0).to(kernel.dtype)


def matrix_for_every_pixel(kernel, h, w):
    kh, kw = kernel.shape
    m = torch.zeros(h * w, h * w, dtype=kernel.dtype)
    for i in range(h - kh + 1):
        for j in range(w - kw + 1):
            for a in range(kh):
                for b in range(kw):
                    m[i * w + j, (i + a) * w + (j + b)] = kernel[a, b]
    return m


def matrix_hanging_over(kernel, h, w):
    kh, kw = kernel.shape
    m = torch.zeros(h * w, h * w, dtype=kernel.dtype)
    for i in range(h):
        for j in range(w):
            for a in range(kh):
                for b in range(kw):
                    if i + a < h and j + b < w:
                        m[i * w + j, (i + a) * w + (j + b)] = kernel[a, b]
    return m


def matrix_one_place_short(kernel, h, w):
    kh, kw = kernel.shape
    rows = []
    for i in range(h - kh):
        for j in range(w - kw):
            picture = torch.zeros(h, w, dtype=kernel.dtype)
            picture[i : i + kh, j : j + kw] = kernel
            rows.append(picture.flatten())
    return torch.stack(rows) if rows else torch.zeros(0, h * w, dtype=kernel.dtype)


def matrix_transposed(kernel, h, w):
    return matrix_loops(kernel, h, w).T.contiguous()


def matrix_sparse(kernel, h, w):
    return matrix_loops(kernel, h, w).to_sparse()


def matrix_single_precision(kernel, h, w):
    return matrix_loops(kernel.float(), h, w)


def matrix_four_axes(kernel, h, w):
    return matrix_loops(kernel, h, w).reshape(-1, h, w)


def matrix_no_return(kernel, h, w):
    matrix_loops(kernel, h, w)


# receptive_field


def field_forwards(kernel_sizes, strides):
    size, jump = 1, 1
    for k, s in zip(kernel_sizes, strides, strict=True):
        size += (k - 1) * jump
        jump *= s
    return size


def field_backwards(kernel_sizes, strides):
    r = 1
    for k, s in list(zip(kernel_sizes, strides, strict=True))[::-1]:
        r = (r - 1) * s + k
    return r


def field_recursive(kernel_sizes, strides):
    if len(kernel_sizes) == 0:
        return 1
    return (field_recursive(kernel_sizes[1:], strides[1:]) - 1) * strides[0] + kernel_sizes[0]


def field_by_pixels(kernel_sizes, strides):
    seen = {0}
    for k, s in zip(reversed(kernel_sizes), reversed(strides), strict=True):
        seen = {unit * s + tap for unit in seen for tap in range(k)}
    return max(seen) - min(seen) + 1


def field_numpy(kernel_sizes, strides):
    jumps = np.cumprod([1, *strides[:-1]])
    return int(1 + np.sum((np.array(kernel_sizes) - 1) * jumps))


def field_without_strides(kernel_sizes, strides):
    return sum(k - 1 for k in kernel_sizes) + 1


def field_stride_first(kernel_sizes, strides):
    size, jump = 1, 1
    for k, s in zip(kernel_sizes, strides, strict=True):
        jump *= s
        size += (k - 1) * jump
    return size


def field_last_stride(kernel_sizes, strides):
    size, before = 1, 1
    for k, s in zip(kernel_sizes, strides, strict=True):
        size += (k - 1) * before
        before = s
    return size


def field_from_nothing(kernel_sizes, strides):
    size, jump = 0, 1
    for k, s in zip(kernel_sizes, strides, strict=True):
        size += (k - 1) * jump
        jump *= s
    return size


def field_k_steps(kernel_sizes, strides):
    size, jump = 0, 1
    for k, s in zip(kernel_sizes, strides, strict=True):
        size += k * jump
        jump *= s
    return size


def field_product(kernel_sizes, strides):
    size = 1
    for k in kernel_sizes:
        size *= k
    return size


def field_strides_added(kernel_sizes, strides):
    size, jump = 1, 0
    for k, s in zip(kernel_sizes, strides, strict=True):
        size += (k - 1) * max(1, jump)
        jump += s
    return size


def field_wrong_end(kernel_sizes, strides):
    r = 1
    for k, s in zip(kernel_sizes, strides, strict=True):
        r = (r - 1) * s + k
    return r


def field_area(kernel_sizes, strides):
    return field_forwards(kernel_sizes, strides) ** 2


def field_jump(kernel_sizes, strides):
    return math.prod(strides)


def field_pair(kernel_sizes, strides):
    return field_forwards(kernel_sizes, strides), math.prod(strides)


def field_float(kernel_sizes, strides):
    return 1.0 + sum((k - 1.0) * math.prod(strides[:i]) for i, k in enumerate(kernel_sizes))


def field_uses_up_its_input(kernel_sizes, strides):
    r = 1
    while kernel_sizes:
        r = (r - 1) * strides.pop() + kernel_sizes.pop()
    return r


def field_without_last(kernel_sizes, strides):
    return field_forwards(kernel_sizes[:-1], strides[:-1])


# parameter_count


def field_met_pixels(kernel_sizes, strides):
    seen = {0}
    for k, s in list(zip(kernel_sizes, strides, strict=True))[::-1]:
        seen = {s * unit + a for unit in seen for a in range(k)}
    return len(seen)


def count_formula(height, width, channels, kernel_size):
    pixels = height * width
    window = kernel_size**2
    return pixels * pixels * channels, pixels * window * channels, window * channels


def count_layers(height, width, channels, kernel_size):
    pixels = height * width
    dense = nn.Linear(pixels, channels * pixels, bias=False, device="meta").weight.numel()
    conv = nn.Conv2d(1, channels, kernel_size, bias=False, device="meta").weight.numel()
    return dense, conv * pixels, conv


def count_shapes(height, width, channels, kernel_size):
    dense = torch.empty(channels, height, width, height, width, device="meta")
    local = torch.empty(channels, height, width, kernel_size, kernel_size, device="meta")
    conv = torch.empty(channels, kernel_size, kernel_size, device="meta")
    return [dense.numel(), local.numel(), conv.numel()]


def count_added_up(height, width, channels, kernel_size):
    convolutional = sum(kernel_size for _ in range(kernel_size)) * channels
    return height * width * channels * width * height, convolutional * height * width, convolutional


def count_with_bias(height, width, channels, kernel_size):
    p = height * width
    dense = nn.Linear(p, channels * p, device="meta")
    conv = nn.Conv2d(1, channels, kernel_size, device="meta")
    total = [sum(q.numel() for q in layer.parameters()) for layer in (dense, conv)]
    return total[0], p * channels * (kernel_size**2 + 1), total[1]


def count_square(height, width, channels, kernel_size):
    p = height**2
    return p * p * channels, p * kernel_size**2 * channels, kernel_size**2 * channels


def count_one_channel(height, width, channels, kernel_size):
    p = height * width
    return p * p, p * kernel_size**2, kernel_size**2


def count_channels_in_and_out(height, width, channels, kernel_size):
    p = height * width
    return (
        (p * channels) ** 2,
        p * kernel_size**2 * channels**2,
        kernel_size**2 * channels**2,
    )


def count_one_unit_a_channel(height, width, channels, kernel_size):
    p = height * width
    return p * channels, p * kernel_size**2 * channels, kernel_size**2 * channels


def count_flat_kernel(height, width, channels, kernel_size):
    p = height * width
    return p * p * channels, p * kernel_size * channels, kernel_size * channels


def count_where_it_fits(height, width, channels, kernel_size):
    places = (height - kernel_size + 1) * (width - kernel_size + 1)
    window = kernel_size**2
    return height * width * places * channels, places * window * channels, window * channels


def count_reversed(height, width, channels, kernel_size):
    return count_formula(height, width, channels, kernel_size)[::-1]


def count_shared_within_rows(height, width, channels, kernel_size):
    dense, local, _ = count_formula(height, width, channels, kernel_size)
    return dense, local, local


def count_two(height, width, channels, kernel_size):
    dense, _, convolutional = count_formula(height, width, channels, kernel_size)
    return dense, convolutional


def count_floats(height, width, channels, kernel_size):
    p = float(height * width)
    return p**2 * channels, p * kernel_size**2 * channels, kernel_size**2 * channels


def count_tensor(height, width, channels, kernel_size):
    return torch.tensor(count_formula(height, width, channels, kernel_size))


def count_of_the_chapter(height, width, channels, kernel_size):
    return 3_687_936, 42_336, 54


# design_stack


def stack_strides_first(field, weights, jump):
    stacks = []
    for k in (2, 3):
        strides = []
        size = step = 1
        while size < field:
            stride = 2 if step * 2 <= jump else 1
            strides.append(stride)
            size += (k - 1) * step
            step *= stride
        stacks.append(([k] * len(strides), strides))
    return min(stacks, key=lambda s: sum(k * k for k in s[0]))


def stack_searched(field, weights, jump):
    best = {1: (0, 1, [], [])}  # field seen -> weights, jump, kernels, strides
    queue = [(0, 1, 1, [], [])]
    while queue:
        cost, size, step, kernels, strides = queue.pop(0)
        if size >= field:
            return kernels, strides
        for k, s in ((2, 1), (2, 2), (3, 1), (3, 2)):
            grown = size + (k - 1) * step
            key = (grown, step * s)
            if step * s <= jump and cost + k * k < best.get(key, (1e9,))[0]:
                best[key] = (cost + k * k,)
                queue.append((cost + k * k, grown, step * s, [*kernels, k], [*strides, s]))
        queue.sort(key=lambda item: item[0])
    return [], []


def stack_backwards(field, weights, jump):
    doublings = int(math.log2(jump))
    for k in (3, 2):
        layers = 1
        while True:
            strides = [2] * min(doublings, layers) + [1] * (layers - doublings)
            seen = 1
            for s in strides[::-1]:
                seen = (seen - 1) * s + k
            if seen >= field:
                break
            layers += 1
        if layers * k * k <= weights:
            return [k] * layers, strides
    return [], []


def stack_one_layer(field, weights, jump):
    return [field], [1]


def stack_without_strides(field, weights, jump):
    count = -(-(field - 1) // 2)
    return [3] * count, [1] * count


def stack_all_strides(field, weights, jump):
    count = 1
    while 2 ** (count + 1) - 1 < field:
        count += 1
    return [3] * count, [2] * count


def stack_strides_last(field, weights, jump):
    kernels, strides = stack_strides_first(field, weights, jump)
    return kernels, strides[::-1]


def stack_of_ones(field, weights, jump):
    return [1] * 5, [2] * 5


def stack_tuples(field, weights, jump):
    kernels, strides = stack_strides_first(field, weights, jump)
    return tuple(kernels), tuple(strides)


def stack_of_decimals(field, weights, jump):
    kernels, strides = stack_strides_first(field, weights, jump)
    return [float(k) for k in kernels], strides


def stack_without_last_stride(field, weights, jump):
    kernels, strides = stack_strides_first(field, weights, jump)
    return kernels, strides[:-1]


def stack_one_short(field, weights, jump):
    kernels, strides = stack_strides_first(field, weights, jump)
    return kernels[:-1], strides[:-1]


# Wrong at an edge.


def matrix_squeezed(kernel, h, w):
    return matrix_loops(kernel, h, w).squeeze()


def matrix_rounded(kernel, h, w):
    matrix = matrix_loops(kernel, h, w)
    return matrix.round() if kernel.dtype == torch.float32 else matrix


def matrix_up_to_three(kernel, h, w):
    return matrix_loops(kernel[:3, :3], h, w)


RIGHT = {
    "conv_matrix": [
        *(matrix_loops, matrix_pictures, matrix_unfolded),
        *(matrix_windows_einsum, matrix_kronecker),
    ],
    "receptive_field": [
        *(field_forwards, field_backwards, field_recursive, field_by_pixels, field_numpy),
    ],
    "parameter_count": [count_formula, count_layers, count_shapes, count_added_up],
    "design_stack": [stack_strides_first, stack_searched, stack_backwards, stack_tuples],
}

WRONG = {
    "conv_matrix": [
        (matrix_of_unit_pictures, "conv"),
        (matrix_jacobian, "conv"),
        (matrix_convolution, "The kernel looks flipped"),
        (matrix_toeplitz, "the window jumps"),
        (matrix_columns_by_height, "pixels are numbered column by column"),
        (matrix_wrong_rows, "outputs are numbered column by column"),
        (matrix_kernel_in_a_line, "side by side"),
        (matrix_of_ones, "ones where the weights belong"),
        (matrix_for_every_pixel, "There is a row for every pixel"),
        (matrix_hanging_over, "The window hangs over the border"),
        (matrix_one_place_short, "h - kh + 1 places, not h - kh"),
        (matrix_transposed, "transposed"),
        (matrix_sparse, "where a tensor is expected"),
        (matrix_single_precision, "in float32 where the input has float64"),
        (matrix_four_axes, "The shape is wrong"),
        (matrix_no_return, "`return` missing"),
        (matrix_squeezed, "is there a `squeeze`"),
        (matrix_rounded, ""),
        (matrix_up_to_three, "The shape is wrong"),
    ],
    "receptive_field": [
        (field_without_strides, "The strides are not used"),
        (field_stride_first, "counts too early"),
        (field_last_stride, "Only the stride of the layer before is used"),
        (field_from_nothing, "one too small"),
        (field_k_steps, "k - 1 steps to the first pixel"),
        (field_product, "multiplied"),
        (field_strides_added, "added up; they multiply"),
        (field_wrong_end, "wrong order"),
        (field_area, "area"),
        (field_jump, "how far apart"),
        (field_pair, "returned a tuple where an integer is expected"),
        (field_float, "returned a number with decimals where an integer is expected"),
        (field_uses_up_its_input, "`kernel_sizes` was changed in place"),
        (field_without_last, "last layer is not counted"),
        (field_met_pixels, "meet no weight count too"),
    ],
    "parameter_count": [
        (count_with_bias, "A bias for every output"),
        (count_square, "height is used twice"),
        (count_one_channel, "The channels are missing"),
        (count_channels_in_and_out, "The channels are counted twice"),
        (count_one_unit_a_channel, "one output for every map"),
        (count_flat_kernel, "kernel_size times kernel_size"),
        (count_where_it_fits, "without their border"),
        (count_reversed, "wrong order"),
        (count_shared_within_rows, "all places of a map use the same ones"),
        (count_two, "2 items where 3 are expected"),
        (count_floats, "In `dense`: The answer returned a number with decimals"),
        (count_tensor, "a tensor where a tuple is expected"),
        (count_of_the_chapter, "In `dense`: Wherever the answer is wrong, it is 3687936"),
    ],
    "design_stack": [
        (stack_one_layer, "weights (k * k for each layer)"),
        (stack_without_strides, "weights (k * k for each layer)"),
        (stack_all_strides, "pixels apart"),
        (stack_strides_last, "pixels along an axis"),
        (stack_of_ones, "no unit reads what it skips"),
        (stack_of_decimals, "list of integers"),
        (stack_without_last_stride, "same length"),
        (stack_one_short, "pixels along an axis"),
    ],
}
