"""Cross-correlation and convolution of one signal, one image or one volume.

Each ``corr`` function is the formula as loops; its ``_windows`` twin computes the same numbers
on a strided view. Batches, channels, stride and padding are left to later chapters.
"""

from __future__ import annotations

from itertools import product

import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from cnncourse._arguments import check_alike, check_tensor


def _check_operands(x: Tensor, kernel: Tensor, dims: str) -> None:
    """Require two non-empty float tensors of the same rank, dtype and device."""
    check_tensor("x", x, dims)
    check_tensor("kernel", kernel, dims)
    check_alike("kernel", kernel, "x", x)
    for name, value in (("x", x), ("kernel", kernel)):
        if value.numel() == 0:
            raise ValueError(f"`{name}` must not be empty, got shape {tuple(value.shape)}")


def _check_fits(x: Tensor, kernel: Tensor, dims: str) -> None:
    """Require two operands where the kernel is no larger than ``x`` along any axis."""
    _check_operands(x, kernel, dims)
    if any(k > size for k, size in zip(kernel.shape, x.shape, strict=True)):
        raise ValueError(
            f"`kernel` must be no larger than `x` along every axis, "
            f"got kernel {tuple(kernel.shape)} and x {tuple(x.shape)}"
        )


def corr1d(x: Float[Tensor, " w"], kernel: Float[Tensor, " kw"]) -> Float[Tensor, " w-kw+1"]:
    """Cross-correlate a signal with a kernel, keeping the places where the kernel fits.

    ``y[j] = sum_b x[j + b] * kernel[b]``

    Parameters
    ----------
    x : Tensor of shape (w,)
        Signal; any floating-point dtype and device.
    kernel : Tensor of shape (kw,)
        Weights, of the dtype and device of ``x``; 1 <= kw <= w.

    Returns
    -------
    Tensor of shape (w - kw + 1,)
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError
        If an argument is not a floating-point tensor, or the dtypes differ.
    ValueError
        If an argument is empty or not 1-D, the devices differ, or the kernel is longer than ``x``.

    Notes
    -----
    Goodfellow, Bengio and Courville (2016), Deep Learning, equation 9.6, in one dimension.

    Examples
    --------
    >>> import torch
    >>> corr1d(torch.tensor([0.0, 1.0, 2.0, 4.0]), torch.tensor([-1.0, 1.0]))
    tensor([1., 1., 2.])
    """
    _check_fits(x, kernel, "w")
    (kw,) = kernel.shape
    y = x.new_zeros(len(x) - kw + 1)
    for j in range(len(y)):
        y[j] = (x[j : j + kw] * kernel).sum()
    return y


def corr2d(
    x: Float[Tensor, "h w"], kernel: Float[Tensor, "kh kw"]
) -> Float[Tensor, "h-kh+1 w-kw+1"]:
    """Cross-correlate an image with a kernel, keeping the places where the kernel fits.

    ``y[i, j] = sum_a sum_b x[i + a, j + b] * kernel[a, b]``

    Parameters
    ----------
    x : Tensor of shape (h, w)
        Image; any floating-point dtype and device.
    kernel : Tensor of shape (kh, kw)
        Weights, of the dtype and device of ``x``; 1 <= kh <= h and 1 <= kw <= w.

    Returns
    -------
    Tensor of shape (h - kh + 1, w - kw + 1)
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError
        If an argument is not a floating-point tensor, or the dtypes differ.
    ValueError
        If an argument is empty or not 2-D, the devices differ, or the kernel is larger than ``x``.

    Notes
    -----
    Goodfellow, Bengio and Courville (2016), Deep Learning, equation 9.6.

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(9.0).reshape(3, 3)
    >>> kernel = torch.arange(4.0).reshape(2, 2)
    >>> corr2d(x, kernel)
    tensor([[19., 25.],
            [37., 43.]])
    """
    _check_fits(x, kernel, "h w")
    (h, w), (kh, kw) = x.shape, kernel.shape
    y = x.new_zeros(h - kh + 1, w - kw + 1)
    for i, j in product(*map(range, y.shape)):
        y[i, j] = (x[i : i + kh, j : j + kw] * kernel).sum()
    return y


def corr3d(
    x: Float[Tensor, "d h w"], kernel: Float[Tensor, "kd kh kw"]
) -> Float[Tensor, "d-kd+1 h-kh+1 w-kw+1"]:
    """Cross-correlate a volume with a kernel, keeping the places where the kernel fits.

    ``y[l, i, j] = sum_c sum_a sum_b x[l + c, i + a, j + b] * kernel[c, a, b]``

    Parameters
    ----------
    x : Tensor of shape (d, h, w)
        Volume, or frames of a film; any floating-point dtype and device.
    kernel : Tensor of shape (kd, kh, kw)
        Weights, of the dtype and device of ``x``; no axis longer than that of ``x``.

    Returns
    -------
    Tensor of shape (d - kd + 1, h - kh + 1, w - kw + 1)
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError
        If an argument is not a floating-point tensor, or the dtypes differ.
    ValueError
        If an argument is empty or not 3-D, the devices differ, or the kernel is larger than ``x``.

    Notes
    -----
    Goodfellow, Bengio and Courville (2016), Deep Learning, equation 9.6, in three dimensions.

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(8.0).reshape(2, 2, 2)
    >>> corr3d(x, torch.ones(2, 2, 1))
    tensor([[[12., 16.]]])
    """
    _check_fits(x, kernel, "d h w")
    (d, h, w), (kd, kh, kw) = x.shape, kernel.shape
    y = x.new_zeros(d - kd + 1, h - kh + 1, w - kw + 1)
    for t, i, j in product(*map(range, y.shape)):
        y[t, i, j] = (x[t : t + kd, i : i + kh, j : j + kw] * kernel).sum()
    return y


def corr1d_windows(
    x: Float[Tensor, " w"], kernel: Float[Tensor, " kw"]
) -> Float[Tensor, " w-kw+1"]:
    """Cross-correlate a signal with a kernel as one matrix-vector product.

    The arguments, the result and the errors are those of :func:`corr1d`.

    Parameters
    ----------
    x : Tensor of shape (w,)
        Signal; any floating-point dtype and device.
    kernel : Tensor of shape (kw,)
        Weights, of the dtype and device of ``x``; 1 <= kw <= w.

    Returns
    -------
    Tensor of shape (w - kw + 1,)
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError, ValueError
        As :func:`corr1d`.

    Examples
    --------
    >>> import torch
    >>> corr1d_windows(torch.tensor([0.0, 1.0, 2.0, 4.0]), torch.tensor([-1.0, 1.0]))
    tensor([1., 1., 2.])
    """
    _check_fits(x, kernel, "w")
    # unfold copies nothing: it reads every window from the same memory, (w - kw + 1, kw).
    return x.unfold(0, len(kernel), 1) @ kernel


def corr2d_windows(
    x: Float[Tensor, "h w"], kernel: Float[Tensor, "kh kw"]
) -> Float[Tensor, "h-kh+1 w-kw+1"]:
    """Cross-correlate an image with a kernel as one matrix-vector product.

    The arguments, the result and the errors are those of :func:`corr2d`.

    Parameters
    ----------
    x : Tensor of shape (h, w)
        Image; any floating-point dtype and device.
    kernel : Tensor of shape (kh, kw)
        Weights, of the dtype and device of ``x``; 1 <= kh <= h and 1 <= kw <= w.

    Returns
    -------
    Tensor of shape (h - kh + 1, w - kw + 1)
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError, ValueError
        As :func:`corr2d`.

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(9.0).reshape(3, 3)
    >>> corr2d_windows(x, torch.arange(4.0).reshape(2, 2))
    tensor([[19., 25.],
            [37., 43.]])
    """
    _check_fits(x, kernel, "h w")
    kh, kw = kernel.shape
    windows = x.unfold(0, kh, 1).unfold(1, kw, 1)  # (h - kh + 1, w - kw + 1, kh, kw)
    return windows.flatten(2) @ kernel.flatten()


def corr3d_windows(
    x: Float[Tensor, "d h w"], kernel: Float[Tensor, "kd kh kw"]
) -> Float[Tensor, "d-kd+1 h-kh+1 w-kw+1"]:
    """Cross-correlate a volume with a kernel as one matrix-vector product.

    The arguments, the result and the errors are those of :func:`corr3d`.

    Parameters
    ----------
    x : Tensor of shape (d, h, w)
        Volume, or frames of a film; any floating-point dtype and device.
    kernel : Tensor of shape (kd, kh, kw)
        Weights, of the dtype and device of ``x``; no axis longer than that of ``x``.

    Returns
    -------
    Tensor of shape (d - kd + 1, h - kh + 1, w - kw + 1)
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError, ValueError
        As :func:`corr3d`.

    Examples
    --------
    >>> import torch
    >>> corr3d_windows(torch.arange(8.0).reshape(2, 2, 2), torch.ones(2, 2, 1))
    tensor([[[12., 16.]]])
    """
    _check_fits(x, kernel, "d h w")
    kd, kh, kw = kernel.shape
    windows = x.unfold(0, kd, 1).unfold(1, kh, 1).unfold(2, kw, 1)
    return windows.flatten(3) @ kernel.flatten()


def _border(mode: str, k: int) -> tuple[int, int]:
    """Return the zeros to put before and after an axis so that ``mode`` comes out."""
    borders = {"full": (k - 1, k - 1), "same": (k // 2, (k - 1) // 2), "valid": (0, 0)}
    if mode not in borders:
        raise ValueError(f"`mode` must be 'full', 'same' or 'valid', got {mode!r}")
    return borders[mode]


def convolve1d(
    x: Float[Tensor, " w"], kernel: Float[Tensor, " kw"], mode: str = "full"
) -> Float[Tensor, " _"]:
    """Convolve two signals: the cross-correlation with the flipped kernel.

    ``y[j] = sum_b x[j - b] * kernel[b]``, where ``x`` is zero outside its range.

    Parameters
    ----------
    x : Tensor of shape (w,)
        Signal; any floating-point dtype and device.
    kernel : Tensor of shape (kw,)
        Signal, of the dtype and device of ``x``; it may be longer than ``x``.
    mode : {"full", "same", "valid"}, default "full"
        As ``numpy.convolve``. "full": every place where the two overlap. "same": the central part,
        as long as the longer signal. "valid": the places of complete overlap.

    Returns
    -------
    Tensor of shape (w + kw - 1,), (max(w, kw),) or (abs(w - kw) + 1,)
        For "full", "same" and "valid". In every mode ``x`` and ``kernel`` may be exchanged.

    Raises
    ------
    TypeError
        If an argument is not a floating-point tensor, or the dtypes differ.
    ValueError
        If an argument is empty or not 1-D, the devices differ, or ``mode`` is none of the three.

    Notes
    -----
    Goodfellow, Bengio and Courville (2016), Deep Learning, equation 9.3.

    Examples
    --------
    >>> import torch
    >>> convolve1d(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, -1.0]))
    tensor([ 1.,  1.,  1., -3.])
    """
    _check_operands(x, kernel, "w")
    if len(kernel) > len(x):
        x, kernel = kernel, x
    return corr1d_windows(F.pad(x, _border(mode, len(kernel))), kernel.flip(0))


def convolve2d(
    x: Float[Tensor, "h w"], kernel: Float[Tensor, "kh kw"], mode: str = "full"
) -> Float[Tensor, "_ _"]:
    """Convolve two images: the cross-correlation with the kernel flipped along both axes.

    ``y[i, j] = sum_a sum_b x[i - a, j - b] * kernel[a, b]``, where ``x`` is zero outside its range.

    Parameters
    ----------
    x : Tensor of shape (h, w)
        Image; any floating-point dtype and device.
    kernel : Tensor of shape (kh, kw)
        Image, of the dtype and device of ``x``; it may be larger than ``x``.
    mode : {"full", "same", "valid"}, default "full"
        As ``scipy.signal.convolve2d``. "full": every place where the two overlap. "same": the
        central part, of the shape of ``x``. "valid": the places of complete overlap.

    Returns
    -------
    Tensor of shape (h + kh - 1, w + kw - 1), (h, w) or (abs(h - kh) + 1, abs(w - kw) + 1)
        For "full", "same" and "valid". In "full" and "valid" ``x`` and ``kernel`` may be exchanged.

    Raises
    ------
    TypeError
        If an argument is not a floating-point tensor, or the dtypes differ.
    ValueError
        If an argument is empty or not 2-D, the devices differ, ``mode`` is none of the three, or
        ``mode`` is "valid" and neither image fits into the other.

    Notes
    -----
    Goodfellow, Bengio and Courville (2016), Deep Learning, equations 9.4 and 9.5.

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(9.0).reshape(3, 3)
    >>> kernel = torch.arange(4.0).reshape(2, 2)
    >>> convolve2d(x, kernel, mode="valid")
    tensor([[ 5., 11.],
            [23., 29.]])
    """
    _check_operands(x, kernel, "h w")
    if mode == "valid" and kernel.shape[0] >= x.shape[0] and kernel.shape[1] >= x.shape[1]:
        x, kernel = kernel, x
    kh, kw = kernel.shape
    padded = F.pad(x, (*_border(mode, kw), *_border(mode, kh)))
    return corr2d_windows(padded, kernel.flip(0, 1))
