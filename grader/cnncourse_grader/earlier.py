"""Plain answers to those exercises that later ones call, as cells to run behind a notebook.

Where such an answer failed, the later exercise is judged with this one in its place: one mistake
does not cost twice. The cell counts for the later exercise alone.
"""

from __future__ import annotations

import re

from cnncourse.checks.exercise import Exercise

ANSWERS = {
    "corr2d": """\
def corr2d(x, kernel):
    (h, w), (kh, kw) = x.shape, kernel.shape
    y = x.new_zeros(h - kh + 1, w - kw + 1)
    for i in range(h - kh + 1):
        for j in range(w - kw + 1):
            y[i, j] = (x[i : i + kh, j : j + kw] * kernel).sum()
    return y
""",
    "output_size": """\
def output_size(n, k, stride, padding, dilation):
    return (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1
""",
    "max_pool2d": """\
def max_pool2d(x, kernel_size, stride):
    rows = range(0, x.shape[2] - kernel_size + 1, stride)
    columns = range(0, x.shape[3] - kernel_size + 1, stride)
    y = x.new_zeros(*x.shape[:2], len(rows), len(columns))
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            y[:, :, i, j] = x[:, :, top : top + kernel_size, left : left + kernel_size].amax((2, 3))
    return y
""",
    "batch_norm": """\
def batch_norm(x, weight, bias, eps):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    var = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    xhat = (x - mean) / (var + eps).sqrt()
    return weight.reshape(1, -1, 1, 1) * xhat + bias.reshape(1, -1, 1, 1)
""",
    "receptive_field": """\
def receptive_field(kernel_sizes, strides):
    size, jump = 1, 1
    for k, s in zip(kernel_sizes, strides, strict=True):
        size, jump = size + (k - 1) * jump, jump * s
    return size
""",
    "conv_cost": """\
def conv_cost(c_in, c_out, kh, kw, h_out, w_out):
    products = c_in * kh * kw
    return c_out * (products + 1), c_out * h_out * w_out * products
""",
    "conv2d_grad_x": """\
def conv2d_grad_x(grad_output, weight, size, stride, padding):
    (h, w), (kh, kw), (out_h, out_w) = size, weight.shape[2:], grad_output.shape[2:]
    full = len(grad_output), weight.shape[1], h + 2 * padding, w + 2 * padding
    grad_padded = weight.new_zeros(full)
    for i in range(out_h):
        for j in range(out_w):
            share = (grad_output[:, :, None, None, None, i, j] * weight).sum(1)
            top, left = i * stride, j * stride
            grad_padded[:, :, top : top + kh, left : left + kw] += share
    return grad_padded[:, :, padding : padding + h, padding : padding + w]
""",
}


def called(exercise: Exercise) -> str:
    """Name the earlier exercise whose answer this one may call, if there is a plain one for it.

    Parameters
    ----------
    exercise : Exercise
        Any.

    Returns
    -------
    str
        As its prerequisites say it; empty for none.
    """
    found = re.findall(r"your `(\w+)`", " ".join(exercise.prerequisites))
    return next((name for name in found if name in ANSWERS), "")
