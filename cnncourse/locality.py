"""Looking only nearby: convolution as a sparse matrix, and convolution without shared weights.

Images only. How far stacked layers see is in ``cnncourse.receptive_field``.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import (
    IMAGES,
    IntOrPair,
    check_alike,
    check_not_empty,
    check_tensor,
    pair,
)
from cnncourse.windows import Window


def conv_matrix(
    kernel: Float[Tensor, "kh kw"],
    input_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Float[Tensor, "out_h_out_w h_w"]:
    """Write the cross-correlation with a kernel as a sparse matrix.

    ``M @ x.flatten()`` is the flattened output for an image x of shape ``input_size``: row
    ``i * out_w + j`` holds the kernel at the columns of the pixels that output (i, j) sees, and
    fewer numbers where the window hangs over the padding. M is a coalesced sparse COO tensor.

    Notes
    -----
    Goodfellow, Bengio and Courville (2016), Deep Learning, section 9.1: the doubly block circulant
    matrix, cut to the places where the kernel fits.

    Examples
    --------
    >>> M = conv_matrix(torch.tensor([[1.0, 2.0]]), input_size=(1, 4))
    >>> M.to_dense()
    tensor([[1., 2., 0., 0.],
            [0., 1., 2., 0.],
            [0., 0., 1., 2.]])
    """
    check_tensor("kernel", kernel, "kh kw")
    check_not_empty("kernel", kernel)
    h, w = pair("input_size", input_size, 1)
    window = Window.read(kernel.shape, stride, padding, dilation)
    pixel = torch.arange(h * w, device=kernel.device).view(h, w)
    column = window.view(window.pad(pixel, -1))  # out_h out_w kh kw; -1: no pixel, but padding
    out_h, out_w = column.shape[:2]
    row = torch.arange(out_h * out_w, device=kernel.device).view(out_h, out_w, 1, 1)
    inside = column >= 0
    places = torch.stack([row.expand_as(column)[inside], column[inside]])
    weights, shape = kernel.expand_as(column)[inside], (out_h * out_w, h * w)
    return torch.sparse_coo_tensor(places, weights, shape, check_invariants=True).coalesce()


def locally_connected2d(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "out_h out_w o c kh kw"],
    bias: Float[Tensor, "out_h out_w o"] | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Float[Tensor, "n o out_h out_w"]:
    """Apply a convolution whose weights are not shared: each output place has its own kernel.

    ``y[n, o, i, j] = bias[i, j, o] + sum over c, a, b of
    weight[i, j, o, c, a, b] * x[n, c, i * sh + a * dh, j * sw + b * dw]``, x padded already.
    ``weight[i, j]`` and ``bias[i, j]`` are what ``conv2d`` would take, used at (i, j) alone.

    Notes
    -----
    Goodfellow, Bengio and Courville (2016), Deep Learning, equation 9.9 (unshared convolution).

    Examples
    --------
    >>> x = torch.ones(1, 1, 1, 3)
    >>> weight = torch.arange(4.0).reshape(1, 2, 1, 1, 1, 2)
    >>> locally_connected2d(x, weight)
    tensor([[[[1., 5.]]]])
    """
    check_tensor("x", x, IMAGES)
    check_tensor("weight", weight, "out_h out_w o c kh kw")
    check_alike("weight", weight, "x", x)
    check_not_empty("weight", weight)
    window = Window.read(weight.shape[4:], stride, padding, dilation)
    seen = window.view(window.pad(x))
    _check_places(seen, weight, bias)
    y = torch.einsum("ncijab,ijocab->noij", seen, weight)
    return y if bias is None else y + bias.permute(2, 0, 1)


def _check_places(
    seen: Float[Tensor, "n c out_h out_w kh kw"], weight: Tensor, bias: Tensor | None
) -> None:
    """Require a kernel, and a bias if any, for each window, with the channels of the image."""
    c, out_h, out_w = seen.shape[1:4]
    if weight.shape[:2] != (out_h, out_w) or weight.shape[3] != c:
        raise ValueError(
            f"`weight` must have shape ({out_h}, {out_w}, o, {c}, kh, kw) for this input, "
            f"got {tuple(weight.shape)}"
        )
    if bias is None:
        return
    check_tensor("bias", bias, "out_h out_w o")
    check_alike("bias", bias, "weight", weight)
    if bias.shape != weight.shape[:3]:
        raise ValueError(
            f"`bias` must have shape {tuple(weight.shape[:3])} (out_h, out_w, o), "
            f"got {tuple(bias.shape)}"
        )
