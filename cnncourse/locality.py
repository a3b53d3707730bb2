"""Looking only nearby: convolution as a sparse matrix, without shared weights, and how far it sees.

The receptive field is found twice: in closed form from the layers, and by asking autograd which
pixels matter. Images only; transposed convolutions have no closed form here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor, nn

from cnncourse._arguments import (
    IMAGES,
    IntOrPair,
    check_alike,
    check_integer,
    check_tensor,
    pair,
)


def _windows(
    x: Tensor,
    kernel_size: tuple[int, int],
    stride: IntOrPair,
    padding: IntOrPair,
    dilation: IntOrPair,
) -> Tensor:
    """View what the kernel sees at each place of (n, c, h, w), as (n, c, oh, ow, kh, kw)."""
    (sh, sw), (ph, pw) = pair("stride", stride, 1), pair("padding", padding, 0)
    dh, dw = pair("dilation", dilation, 1)
    padded = F.pad(x, (pw, pw, ph, ph))
    span = dh * (kernel_size[0] - 1) + 1, dw * (kernel_size[1] - 1) + 1
    if span[0] > padded.shape[2] or span[1] > padded.shape[3]:
        raise ValueError(
            f"the kernel of {kernel_size} must span no more than the padded input "
            f"{tuple(padded.shape[2:])}, got a span of {span} with dilation {(dh, dw)}"
        )
    return _window_view(padded, kernel_size, (sh, sw), (dh, dw))


def _window_view(
    x: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Tensor:
    """View every window of (n, c, h, w), of any dtype, as (n, c, oh, ow, kh, kw); no check."""
    (kh, kw), (sh, sw), (dh, dw) = kernel_size, stride, dilation
    view = x.unfold(2, dh * (kh - 1) + 1, sh).unfold(3, dw * (kw - 1) + 1, sw)
    return view[..., ::dh, ::dw]


def conv_matrix(
    kernel: Float[Tensor, "kh kw"],
    input_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Float[Tensor, "outputs pixels"]:
    """Write the cross-correlation with a kernel as a sparse matrix.

    ``M @ x.reshape(-1)`` is the flattened output for an image x of shape ``input_size``: row
    ``i * ow + j`` holds the kernel at the columns of the pixels that output (i, j) sees.

    Parameters
    ----------
    kernel : Tensor of shape (kh, kw)
        Weights; any floating-point dtype and device. Gradients flow back to it.
    input_size : int or (int, int)
        Height and width of the image.
    stride, padding, dilation : int or (int, int)
        As in ``torch.nn.functional.conv2d``; padding is per side.

    Returns
    -------
    sparse COO Tensor of shape (oh * ow, h * w)
        Coalesced; same dtype and device as ``kernel``. At most kh * kw entries a row, fewer where
        the window hangs over the padding.

    Raises
    ------
    TypeError
        If ``kernel`` is not a floating-point tensor, or a size is not an integer.
    ValueError
        If ``kernel`` is empty or not 2-D, a size is out of range, or the dilated kernel is larger
        than the padded image.

    Notes
    -----
    Goodfellow, Bengio and Courville (2016), Deep Learning, section 9.1: the doubly block circulant
    matrix, cut to the places where the kernel fits.

    Examples
    --------
    >>> import torch
    >>> M = conv_matrix(torch.tensor([[1.0, 2.0]]), input_size=(1, 4))
    >>> M.to_dense()
    tensor([[1., 2., 0., 0.],
            [0., 1., 2., 0.],
            [0., 0., 1., 2.]])
    """
    check_tensor("kernel", kernel, "kh kw")
    _check_not_empty("kernel", kernel)
    h, w = pair("input_size", input_size, 1)
    # Pixels are numbered from 1, so that the zeros of the padding are no pixel's number.
    pixel = torch.arange(1, h * w + 1, device=kernel.device).reshape(1, 1, h, w)
    column = _windows(pixel, tuple(kernel.shape), stride, padding, dilation)[0, 0] - 1
    oh, ow = column.shape[:2]
    row = torch.arange(oh * ow, device=kernel.device).reshape(oh, ow, 1, 1).expand_as(column)
    inside = column >= 0
    indices = torch.stack([row[inside], column[inside]])
    values = kernel.expand_as(column)[inside]
    return torch.sparse_coo_tensor(
        indices, values, (oh * ow, h * w), check_invariants=True
    ).coalesce()


def _check_not_empty(name: str, value: Tensor) -> None:
    """Require at least one element."""
    if value.numel() == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {tuple(value.shape)}")


def locally_connected2d(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "oh ow o c kh kw"],
    bias: Float[Tensor, "oh ow o"] | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Float[Tensor, "n o oh ow"]:
    """Apply a convolution whose weights are not shared: each place has its own kernel.

    ``y[n, o, i, j] = bias[i, j, o]
    + sum_c sum_a sum_b x[n, c, i sh + a dh - ph, j sw + b dw - pw] * weight[i, j, o, c, a, b]``

    Parameters
    ----------
    x : Tensor of shape (n, c, h, w)
        Images; any floating-point dtype and device.
    weight : Tensor of shape (oh, ow, o, c, kh, kw)
        ``weight[i, j]`` is what ``conv2d`` would take as ``weight``, used at output (i, j) alone.
    bias : Tensor of shape (oh, ow, o), optional
        ``bias[i, j]`` is what ``conv2d`` would take as ``bias``.
    stride, padding, dilation : int or (int, int)
        As in ``torch.nn.functional.conv2d``; padding is per side.

    Returns
    -------
    Tensor of shape (n, o, oh, ow)
        Same dtype and device as ``x``.

    Raises
    ------
    TypeError
        If a tensor is not of floating-point dtype, the dtypes differ, or a size is not an integer.
    ValueError
        If a tensor has the wrong number of axes, ``weight`` is empty, its channels are not those
        of ``x``, its first two axes are not the output size, ``bias`` does not fit ``weight``, a
        size is out of range, or the dilated kernel is larger than the padded input.

    Notes
    -----
    Goodfellow, Bengio and Courville (2016), Deep Learning, equation 9.9 (unshared convolution).

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(1, 1, 1, 3)
    >>> weight = torch.arange(4.0).reshape(1, 2, 1, 1, 1, 2)
    >>> locally_connected2d(x, weight)
    tensor([[[[1., 5.]]]])
    """
    check_tensor("x", x, IMAGES)
    check_tensor("weight", weight, "oh ow o c kh kw")
    check_alike("weight", weight, "x", x)
    _check_not_empty("weight", weight)
    windows = _windows(x, tuple(weight.shape[4:]), stride, padding, dilation)
    _check_places(windows, weight)
    y = torch.einsum("nchwij,hwocij->nohw", windows, weight)
    if bias is None:
        return y
    check_tensor("bias", bias, "oh ow o")
    check_alike("bias", bias, "x", x)
    if bias.shape != weight.shape[:3]:
        raise ValueError(
            f"`bias` must have shape {tuple(weight.shape[:3])} (oh, ow, o), got {tuple(bias.shape)}"
        )
    return y + bias.permute(2, 0, 1)


def _check_places(windows: Tensor, weight: Tensor) -> None:
    """Require a kernel for each window, and as many channels as the image has."""
    _, c, oh, ow, _, _ = windows.shape
    if weight.shape[:2] != (oh, ow) or weight.shape[3] != c:
        raise ValueError(
            f"`weight` must have shape ({oh}, {ow}, o, {c}, kh, kw) for this input, "
            f"got {tuple(weight.shape)}"
        )


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels.

    Attributes
    ----------
    top, left : int
        First row and first column; negative where the box begins in the padding.
    height, width : int
        Number of rows and columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def centre(self) -> tuple[float, float]:
        """Row and column of the middle; a half where it falls between two pixels."""
        return self.top + (self.height - 1) / 2, self.left + (self.width - 1) / 2

    def clip(self, input_size: IntOrPair) -> Box:
        """Return the part of the box that lies inside an image.

        Parameters
        ----------
        input_size : int or (int, int)
            Height and width of the image.

        Returns
        -------
        Box
            Height or width 0 where the box lies outside.
        """
        h, w = pair("input_size", input_size, 1)
        top, left = min(max(self.top, 0), h), min(max(self.left, 0), w)
        bottom = min(max(self.top + self.height, top), h)
        right = min(max(self.left + self.width, left), w)
        return Box(top, left, bottom - top, right - left)


@dataclass(frozen=True)
class ReceptiveField:
    """Which input pixels the units of a feature map see, per axis (height, width).

    Attributes
    ----------
    size : (int, int)
        Pixels from the first to the last one that a unit sees.
    jump : (int, int)
        Pixels between the fields of neighbouring units.
    start : (float, float)
        Centre of the field of unit (0, 0). Pixel i lies at i, so -0.5 is the border of the image.
    """

    size: tuple[int, int] = (1, 1)
    jump: tuple[int, int] = (1, 1)
    start: tuple[float, float] = (0.0, 0.0)

    def through(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
    ) -> ReceptiveField:
        """Return the field after one more layer.

        ``size' = size + (k - 1) d jump``, ``jump' = jump s``,
        ``start' = start + ((k - 1) d / 2 - p) jump``

        Parameters
        ----------
        kernel_size, stride, padding, dilation : int or (int, int)
            The window of the layer; padding is per side.

        Returns
        -------
        ReceptiveField
            Of the layer's output.
        """
        k, s = pair("kernel_size", kernel_size, 1), pair("stride", stride, 1)
        p, d = pair("padding", padding, 0), pair("dilation", dilation, 1)
        size, jump, start = self.size, self.jump, self.start
        return ReceptiveField(
            tuple(size[a] + (k[a] - 1) * d[a] * jump[a] for a in (0, 1)),
            tuple(jump[a] * s[a] for a in (0, 1)),
            tuple(start[a] + ((k[a] - 1) * d[a] / 2 - p[a]) * jump[a] for a in (0, 1)),
        )

    def box(self, position: tuple[int, int]) -> Box:
        """Return the pixels that one unit sees, not cut at the border of the image.

        Parameters
        ----------
        position : (int, int)
            Row and column of the unit in its feature map.

        Returns
        -------
        Box
            It may reach into the padding; ``.clip(input_size)`` cuts it.
        """
        i, j = pair("position", position, 0)
        centre = self.start[0] + i * self.jump[0], self.start[1] + j * self.jump[1]
        top, left = (round(c - (r - 1) / 2) for c, r in zip(centre, self.size, strict=True))
        return Box(top, left, *self.size)


# In evaluation mode each of these computes an output from the one pixel under it.
POINTWISE = (
    *(nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU),
    *(nn.SiLU, nn.Mish, nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid, nn.Tanh, nn.Hardtanh),
    *(nn.Hardswish, nn.Softplus, nn.Softsign, nn.Tanhshrink, nn.Hardshrink, nn.Softshrink),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Softmax2d),
)
Window = tuple[IntOrPair, IntOrPair, IntOrPair, IntOrPair]


def layer_window(layer: nn.Module) -> Window | None:
    """Read the window that a layer slides over its input.

    Parameters
    ----------
    layer : nn.Module
        A layer in evaluation mode.

    Returns
    -------
    (kernel_size, stride, padding, dilation) or None
        ``(1, 1, 0, 1)`` for a layer that acts on each pixel alone; None for a layer that slides no
        window or is not known.

    Examples
    --------
    >>> layer_window(nn.Conv2d(1, 6, 5, padding=2))
    ((5, 5), (1, 1), (2, 2), (1, 1))
    >>> layer_window(nn.Flatten()) is None
    True
    """
    if isinstance(layer, POINTWISE) or _uses_running_statistics(layer):
        return 1, 1, 0, 1
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size, layer.stride, _padding_before(layer), layer.dilation
    if isinstance(layer, (nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d)):
        stride = layer.kernel_size if layer.stride is None else layer.stride
        padding, dilation = getattr(layer, "padding", 0), getattr(layer, "dilation", 1)
        return layer.kernel_size, stride, padding, dilation
    return None


def _uses_running_statistics(layer: nn.Module) -> bool:
    """Tell a normalization with fixed statistics from one that reads the whole image."""
    return isinstance(layer, (nn.BatchNorm2d, nn.InstanceNorm2d)) and layer.track_running_stats


def _padding_before(layer: nn.Conv2d) -> tuple[int, int]:
    """Return the rows and columns that a convolution pads above and to the left."""
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "same":  # the odd pixel, where there is one, goes below and to the right
        (kh, kw), (dh, dw) = layer.kernel_size, layer.dilation
        return dh * (kh - 1) // 2, dw * (kw - 1) // 2
    return layer.padding


def named_layers(model: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Walk through a stack in the order of computation, nested stacks opened.

    Parameters
    ----------
    model : nn.Sequential
        The stack.
    prefix : str, default ""
        Put before each name.

    Yields
    ------
    (str, nn.Module)
        Dotted name, as in ``model.named_modules()``, and layer.

    Examples
    --------
    >>> [name for name, _ in named_layers(nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh()))]
    ['0.0', '1']
    """
    if not isinstance(model, nn.Sequential):
        raise TypeError(f"`model` must be an nn.Sequential, got {type(model).__name__}")
    # named_children() would leave out a layer that is used a second time.
    for name, layer in model._modules.items():
        if isinstance(layer, nn.Sequential):
            yield from named_layers(layer, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", layer


def receptive_field(layers: nn.Sequential | Iterable) -> ReceptiveField:
    """Compute the receptive field of a stack of layers.

    Layer by layer: ``size' = size + (k - 1) d jump``, ``jump' = jump s``,
    ``start' = start + ((k - 1) d / 2 - p) jump``, beginning at size 1, jump 1, start 0.

    Parameters
    ----------
    layers : nn.Sequential or iterable
        Each layer is a module, or the numbers ``(kernel_size, stride, padding, dilation)``, where
        later ones may be left out (defaults 1, 0, 1), or the kernel size alone. Each number is an
        int or a (height, width) pair.

    Returns
    -------
    ReceptiveField
        Of the last layer's output. Nothing is cut at the border of an image.

    Raises
    ------
    TypeError
        If a layer is neither numbers nor a module that slides a window or acts on each pixel alone,
        or a number is not an integer.
    ValueError
        If a layer has no or more than four numbers, or a number is out of range.

    Notes
    -----
    Araujo, Norris and Sim (2019), Computing receptive fields of convolutional neural networks,
    Distill. Normalization counts as in evaluation mode.

    Examples
    --------
    >>> receptive_field([3, 3, 3]).size
    (7, 7)
    >>> receptive_field([(5, 1, 2), (2, 2), 5, (2, 2)])  # LeNet before its dense layers
    ReceptiveField(size=(16, 16), jump=(4, 4), start=(5.5, 5.5))
    """
    if isinstance(layers, nn.Sequential):
        layers = [layer for _, layer in named_layers(layers)]
    if not isinstance(layers, Iterable):
        kind = type(layers).__name__
        raise TypeError(f"`layers` must be an nn.Sequential or an iterable of layers, got {kind}")
    field = ReceptiveField()
    for index, layer in enumerate(layers):
        field = field.through(*_read_window(index, layer))
    return field


def _read_window(index: int, layer: object) -> tuple:
    """Return one to four numbers for an entry of ``layers``."""
    if isinstance(layer, nn.Sequential):
        raise TypeError(f"`layers[{index}]` is an nn.Sequential; pass its layers one by one")
    if isinstance(layer, nn.Module):
        window = layer_window(layer)
        if window is None:
            raise TypeError(f"`layers[{index}]` slides no window: {type(layer).__name__}")
        return window
    if isinstance(layer, (tuple, list)) and not 1 <= len(layer) <= 4:
        raise ValueError(f"`layers[{index}]` must hold 1 to 4 numbers, got {layer!r}")
    return tuple(layer) if isinstance(layer, (tuple, list)) else (layer,)


def measured_receptive_field(
    model: nn.Module,
    input_shape: tuple[int, int, int],
    position: tuple[int, int] | None = None,
    draws: int = 64,
    seed: int = 0,
) -> Box:
    """Find the pixels that move one output unit, by asking autograd.

    A pixel counts where the gradient of the unit, all its channels, is not zero for at least one of
    ``draws`` random images. One image is not enough: a ReLU that is off and a max-pool that picks
    another pixel hide what is connected. The answer can only err on the small side.

    Parameters
    ----------
    model : nn.Module
        From (n, c, h, w) to (n, channels, oh, ow) or (n, features). A copy is measured, in
        evaluation mode and float64: the model, its gradients and its buffers stay as they are.
    input_shape : (int, int, int)
        (c, h, w) of one image.
    position : (int, int), optional
        Row and column of the unit; the middle (oh // 2, ow // 2) where not given. Leave it out
        where the output is flat: then all features count as one unit.
    draws : int, default 64
        Number of standard normal images, 1 or larger.
    seed : int, default 0
        Of the images; torch's global generator is not touched.

    Returns
    -------
    Box
        Smallest box around the pixels. It equals ``receptive_field(model).box(position)`` where
        that lies inside the image and no weight is zero. At the border it lies inside
        ``receptive_field(model).box(position).clip((h, w))`` where padding is zeros; it is smaller
        where the last tap inside the image stops short of the border, because of a dilation, or
        because of rows that a stride skips or leaves over.

    Raises
    ------
    TypeError
        If ``model`` is not an nn.Module, or a number is not an integer.
    ValueError
        If ``input_shape`` is not three positive numbers, ``draws`` < 1, ``position`` lies outside
        the output or is given for a flat one, or no pixel moves the unit in any draw.

    Notes
    -----
    Luo et al. (2016), Understanding the effective receptive field in deep convolutional neural
    networks, look at the same gradient by its size instead of its support.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2))
    >>> measured_receptive_field(model, (1, 12, 12), position=(1, 2))
    Box(top=2, left=4, height=4, width=4)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"`model` must be an nn.Module, got {type(model).__name__}")
    check_integer("draws", draws, 1)
    generator = torch.Generator().manual_seed(seed)
    device = next((p.device for p in model.parameters()), None)
    images = torch.randn(draws, *_shape(input_shape), generator=generator, dtype=torch.float64)
    x = images.to(device).requires_grad_()
    with torch.enable_grad():
        # The clone lets a first layer work in place.
        unit = _unit(copy.deepcopy(model).double().eval()(x.clone()), position)
        # Channels get random weights: two opposite ones must not cancel.
        weight = torch.rand(unit.shape, generator=generator, dtype=unit.dtype).to(device)
        (gradient,) = torch.autograd.grad(unit, x, weight)
    return _bounding_box(gradient.ne(0).any(dim=0).any(dim=0))


def _shape(input_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Require three positive integers."""
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ValueError(f"`input_shape` must be three numbers (c, h, w), got {input_shape!r}")
    c, h, w = (check_integer("input_shape", size, 1) for size in input_shape)
    return c, h, w


def _unit(y: Tensor, position: tuple[int, int] | None) -> Tensor:
    """Pick all channels of one place of (n, channels, oh, ow), or all features of (n, features)."""
    if y.ndim == 2 and position is None:
        return y
    if y.ndim != 4:
        raise ValueError(
            f"`position` (={position}) needs a `model` that returns (n, channels, oh, ow), "
            f"got shape {tuple(y.shape)}"
        )
    oh, ow = y.shape[2:]
    i, j = (oh // 2, ow // 2) if position is None else pair("position", position, 0)
    if i >= oh or j >= ow:
        raise ValueError(f"`position` must lie inside the output {(oh, ow)}, got {position}")
    return y[:, :, i, j]


def _bounding_box(seen: Tensor) -> Box:
    """Return the smallest box that holds every True of a mask (h, w)."""
    if not seen.any():
        raise ValueError("`model` has a unit that no pixel moves: the gradient is zero everywhere")
    rows, columns = seen.any(dim=1).nonzero().flatten(), seen.any(dim=0).nonzero().flatten()
    top, left = rows[0].item(), columns[0].item()
    return Box(top, left, rows[-1].item() - top + 1, columns[-1].item() - left + 1)
