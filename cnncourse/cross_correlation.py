"""Cross-correlation and convolution of one signal, one image or one volume.

``corr1d``, ``corr2d`` and ``corr3d`` are the formula as loops: one loop for each output axis.
``corr1d_windows`` and ``corr2d_windows`` give the same numbers as one product of matrices.

Not handled: batches, channels, stride and padding; later chapters add them one by one.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import check_alike, check_not_empty, check_tensor


def corr1d(x: Float[Tensor, " w"], kernel: Float[Tensor, " kw"]) -> Float[Tensor, " w-kw+1"]:
    """Cross-correlate a signal with a kernel, keeping the places where the kernel fits.

    ``y[j] = sum_b x[j + b] * kernel[b]`` (Goodfellow et al. 2016, equation 9.6, in one dimension).
    A kernel longer than ``x`` is a ValueError.

    Examples
    --------
    >>> import torch
    >>> corr1d(torch.tensor([0.0, 1.0, 2.0, 4.0]), torch.tensor([-1.0, 1.0]))
    tensor([1., 1., 2.])
    """
    _check_fits(x, kernel, "w")
    (w,), (kw,) = x.shape, kernel.shape
    out_w = w - kw + 1
    y = x.new_zeros(out_w)
    for j in range(out_w):
        window = x[j : j + kw]
        y[j] = (window * kernel).sum()
    return y


def corr2d(
    x: Float[Tensor, "h w"], kernel: Float[Tensor, "kh kw"]
) -> Float[Tensor, "h-kh+1 w-kw+1"]:
    """Cross-correlate an image with a kernel, keeping the places where the kernel fits.

    ``y[i, j] = sum_a sum_b x[i + a, j + b] * kernel[a, b]`` (Goodfellow et al. 2016, equation 9.6).
    A kernel larger than ``x`` along any axis is a ValueError.

    Examples
    --------
    >>> import torch
    >>> corr2d(torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2))
    tensor([[19., 25.],
            [37., 43.]])
    """
    _check_fits(x, kernel, "h w")
    (h, w), (kh, kw) = x.shape, kernel.shape
    out_h, out_w = h - kh + 1, w - kw + 1
    y = x.new_zeros(out_h, out_w)
    for i in range(out_h):
        for j in range(out_w):
            window = x[i : i + kh, j : j + kw]
            y[i, j] = (window * kernel).sum()
    return y


def corr3d(
    x: Float[Tensor, "d h w"], kernel: Float[Tensor, "kd kh kw"]
) -> Float[Tensor, "d-kd+1 h-kh+1 w-kw+1"]:
    """Cross-correlate a volume, or the frames of a film, with a kernel.

    ``y[t, i, j] = sum_e sum_a sum_b x[t + e, i + a, j + b] * kernel[e, a, b]``.
    A kernel larger than ``x`` along any axis is a ValueError.

    Examples
    --------
    >>> import torch
    >>> corr3d(torch.arange(8.0).reshape(2, 2, 2), torch.ones(2, 2, 1))
    tensor([[[12., 16.]]])
    """
    _check_fits(x, kernel, "d h w")
    (d, h, w), (kd, kh, kw) = x.shape, kernel.shape
    out_d, out_h, out_w = d - kd + 1, h - kh + 1, w - kw + 1
    y = x.new_zeros(out_d, out_h, out_w)
    for t in range(out_d):
        for i in range(out_h):
            for j in range(out_w):
                window = x[t : t + kd, i : i + kh, j : j + kw]
                y[t, i, j] = (window * kernel).sum()
    return y


def corr1d_windows(
    x: Float[Tensor, " w"], kernel: Float[Tensor, " kw"]
) -> Float[Tensor, " w-kw+1"]:
    """Do what ``corr1d`` does as one product: the matrix of windows times the kernel."""
    _check_fits(x, kernel, "w")
    # unfold copies nothing: it reads every window from the same memory, (w - kw + 1, kw).
    return x.unfold(0, len(kernel), 1) @ kernel


def corr2d_windows(
    x: Float[Tensor, "h w"], kernel: Float[Tensor, "kh kw"]
) -> Float[Tensor, "h-kh+1 w-kw+1"]:
    """Do what ``corr2d`` does as one product: the matrix of windows times the kernel."""
    _check_fits(x, kernel, "h w")
    kh, kw = kernel.shape
    windows = x.unfold(0, kh, 1).unfold(1, kw, 1)  # (h - kh + 1, w - kw + 1, kh, kw)
    return windows.flatten(2) @ kernel.flatten()


def convolve1d(
    x: Float[Tensor, " w"], kernel: Float[Tensor, " kw"], mode: str = "full"
) -> Float[Tensor, " out_w"]:
    """Convolve two signals: the cross-correlation with the flipped kernel.

    ``y[j] = sum_b x[j - b] * kernel[b]``, where ``x`` is zero outside its range
    (Goodfellow et al. 2016, equation 9.3).

    Parameters
    ----------
    x, kernel : Tensor of shape (w,) and (kw,)
        Either may be the longer one, and they may be exchanged.
    mode : {"full", "same", "valid"}, default "full"
        As in ``numpy.convolve``: w + kw - 1 places, wherever the two overlap; max(w, kw), the
        middle ones; abs(w - kw) + 1, where they overlap completely.

    Examples
    --------
    >>> import torch
    >>> convolve1d(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, -1.0]))
    tensor([ 1.,  1.,  1., -3.])
    """
    _check_operands(x, kernel, "w")
    if len(kernel) > len(x):
        x, kernel = kernel, x
    padded = F.pad(x, _border(mode, len(kernel)))
    return corr1d_windows(padded, kernel.flip(0))


def convolve2d(
    x: Float[Tensor, "h w"], kernel: Float[Tensor, "kh kw"], mode: str = "full"
) -> Float[Tensor, "out_h out_w"]:
    """Convolve two images: the cross-correlation with the kernel flipped along both axes.

    ``y[i, j] = sum_a sum_b x[i - a, j - b] * kernel[a, b]``, where ``x`` is zero outside its range
    (Goodfellow et al. 2016, equations 9.4 and 9.5).

    Parameters
    ----------
    x, kernel : Tensor of shape (h, w) and (kh, kw)
        They may be exchanged in the modes "full" and "valid".
    mode : {"full", "same", "valid"}, default "full"
        As in ``scipy.signal.convolve2d``: (h + kh - 1, w + kw - 1) places, wherever the two
        overlap; (h, w), the middle ones; (abs(h - kh) + 1, abs(w - kw) + 1), where they overlap
        completely, which needs that one fits into the other.

    Examples
    --------
    >>> import torch
    >>> convolve2d(torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2), mode="valid")
    tensor([[ 5., 11.],
            [23., 29.]])
    """
    _check_operands(x, kernel, "h w")
    if mode == "valid" and kernel.shape[0] >= x.shape[0] and kernel.shape[1] >= x.shape[1]:
        x, kernel = kernel, x
    kh, kw = kernel.shape
    padded = F.pad(x, (*_border(mode, kw), *_border(mode, kh)))
    return corr2d_windows(padded, kernel.flip(0, 1))


def _border(mode: str, k: int) -> tuple[int, int]:
    """Return the zeros to put before and after an axis so that ``mode`` comes out."""
    borders = {"full": (k - 1, k - 1), "same": (k // 2, (k - 1) // 2), "valid": (0, 0)}
    if mode not in borders:
        raise ValueError(f"`mode` must be 'full', 'same' or 'valid', got {mode!r}")
    return borders[mode]


def _check_fits(x: Tensor, kernel: Tensor, dims: str) -> None:
    """Require two operands where the kernel is no larger than ``x`` along any axis."""
    _check_operands(x, kernel, dims)
    if any(k > size for k, size in zip(kernel.shape, x.shape, strict=True)):
        raise ValueError(
            f"`kernel` must be no larger than `x` along every axis, "
            f"got kernel {tuple(kernel.shape)} and x {tuple(x.shape)}"
        )


def _check_operands(x: Tensor, kernel: Tensor, dims: str) -> None:
    """Require two non-empty float tensors of the same rank, dtype and device."""
    check_tensor("x", x, dims)
    check_tensor("kernel", kernel, dims)
    check_alike("kernel", kernel, "x", x)
    check_not_empty("x", x)
    check_not_empty("kernel", kernel)
