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
    "conv2d": """\
def conv2d(x, weight, bias, stride, padding):
    (n, c, h, w), (kernels, _, kh, kw) = x.shape, weight.shape
    padded = x.new_zeros(n, c, h + 2 * padding, w + 2 * padding)
    padded[:, :, padding : padding + h, padding : padding + w] = x
    rows = range(0, h + 2 * padding - kh + 1, stride)
    columns = range(0, w + 2 * padding - kw + 1, stride)
    y = x.new_zeros(n, kernels, len(rows), len(columns))
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            window = padded[:, None, :, top : top + kh, left : left + kw]
            y[:, :, i, j] = (window * weight).sum((2, 3, 4)) + bias
    return y
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
    "max_with_relu": """\
def max_with_relu(a, b):
    return a + (b - a).relu()
""",
    "batch_norm": """\
def batch_norm(x, weight, bias, eps):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    var = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    xhat = (x - mean) / (var + eps).sqrt()
    return weight.reshape(1, -1, 1, 1) * xhat + bias.reshape(1, -1, 1, 1)
""",
    "conv1d_kernel_gradient": """\
def conv1d_kernel_gradient(x, delta):
    count = len(x) - len(delta) + 1
    return x.new_tensor([(delta * x[a : a + len(delta)]).sum() for a in range(count)])
""",
}


def called(exercise: Exercise) -> str:
    """Name the earlier exercise whose answer this one may call.

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
    return found[0] if found else ""
