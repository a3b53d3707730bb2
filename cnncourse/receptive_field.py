"""How far a unit sees: its receptive field, from the layers' windows and measured with autograd.

Layer by layer, with the window k, s, p, d of each (Araujo, Norris and Sim 2019)::

    size'  = size + (k - 1) d jump
    jump'  = jump s
    start' = start + ((k - 1) d / 2 - p) jump

Not handled: transposed convolutions, signals and volumes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from cnncourse._arguments import IntOrPair, check_integer, pair
from cnncourse.invariance import evaluation_copy
from cnncourse.windows import Window


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels; top and left are negative where it begins in the padding."""

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
        """Return the part inside an image of (h, w): height or width 0 where there is none."""
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

    def through(self, window: Window) -> ReceptiveField:
        """Return the field after one more layer."""
        axes = zip((window.rows, window.columns), self.size, self.jump, self.start, strict=True)
        after = [
            (
                size + (axis.span - 1) * jump,
                jump * axis.stride,
                start + ((axis.span - 1) / 2 - axis.before) * jump,
            )
            for axis, size, jump, start in axes
        ]
        return ReceptiveField(*zip(*after, strict=True))

    def box(self, position: tuple[int, int]) -> Box:
        """Return the pixels that the unit at (i, j) sees; they may reach into the padding."""
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


def layer_window(layer: nn.Module) -> Window | None:
    """Read the window that a layer in evaluation mode slides over its input.

    One pixel for a layer that acts on each pixel alone; None for a layer that slides no window or
    is not known.

    Examples
    --------
    >>> layer_window(nn.Conv2d(1, 6, 5, padding=2)).kernel
    (5, 5)
    >>> layer_window(nn.Flatten()) is None
    True
    """
    if isinstance(layer, POINTWISE) or _uses_running_statistics(layer):
        return Window.read(1)
    if isinstance(layer, nn.Conv2d):
        return Window.of_conv(layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    if isinstance(layer, (nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d)):
        padding, dilation = getattr(layer, "padding", 0), getattr(layer, "dilation", 1)
        return Window.of_pool(layer.kernel_size, layer.stride, padding, dilation)
    return None


def _uses_running_statistics(layer: nn.Module) -> bool:
    """Tell a normalization with fixed statistics from one that reads the whole image."""
    return isinstance(layer, (nn.BatchNorm2d, nn.InstanceNorm2d)) and layer.track_running_stats


def named_layers(model: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Walk through a stack in the order of computation, nested stacks opened.

    Yields the dotted names of ``model.named_modules()``, after ``prefix``, and the layers.

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
    """Compute the receptive field of a stack of layers, not cut at the border of an image.

    Each layer is a module, as in evaluation mode, or the numbers ``(kernel_size, stride, padding,
    dilation)``, where later ones may be left out (defaults 1, 0, 1), or the kernel size alone. Each
    number is an int or a (height, width) pair.

    Raises
    ------
    TypeError
        A module neither slides a window nor acts on each pixel alone.

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
        field = field.through(_read_window(index, layer))
    return field


def _read_window(index: int, layer: object) -> Window:
    """Read an entry of ``layers``: a module, or one to four numbers."""
    if isinstance(layer, nn.Sequential):
        raise TypeError(f"`layers[{index}]` is an nn.Sequential; pass its layers one by one")
    if isinstance(layer, nn.Module):
        window = layer_window(layer)
        if window is None:
            raise TypeError(f"`layers[{index}]` slides no window: {type(layer).__name__}")
        return window
    if isinstance(layer, (tuple, list)) and not 1 <= len(layer) <= 4:
        raise ValueError(f"`layers[{index}]` must hold 1 to 4 numbers, got {layer!r}")
    return Window.read(*layer) if isinstance(layer, (tuple, list)) else Window.read(layer)


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
        From (n, c, h, w) to (n, c, out_h, out_w), or flat. A copy is measured, in evaluation mode
        and float64: the model stays as it is.
    input_shape : (int, int, int)
        (c, h, w) of one image.
    position : (int, int), optional
        Row and column of the unit; the middle one where not given. A flat output counts as one
        unit, and takes no position.
    draws, seed : int
        Number and seed of the random images; torch's global generator is not touched.

    Returns
    -------
    Box
        Smallest box around the pixels: ``receptive_field(model).box(position)`` where that lies
        inside the image and no weight is zero, and at the border at most what ``clip`` leaves of
        it. A dilation, or rows that a stride skips or leaves over, can make it smaller there.

    Raises
    ------
    ValueError
        No pixel moves the unit in any draw.

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
        unit = _unit(evaluation_copy(model).double()(x.clone()), position)
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
    """Pick all channels of one place of (n, c, out_h, out_w), or all features of (n, features)."""
    if y.ndim == 2 and position is None:
        return y
    if y.ndim != 4:
        raise ValueError(
            f"`position` (={position}) needs a `model` that returns (n, c, out_h, out_w), "
            f"got shape {tuple(y.shape)}"
        )
    out_h, out_w = y.shape[2:]
    i, j = (out_h // 2, out_w // 2) if position is None else pair("position", position, 0)
    if i >= out_h or j >= out_w:
        raise ValueError(f"`position` must lie inside the output {(out_h, out_w)}, got {position}")
    return y[:, :, i, j]


def _bounding_box(seen: Bool[Tensor, "h w"]) -> Box:
    """Return the smallest box that holds every True of a mask."""
    if not seen.any():
        raise ValueError("`model` has a unit that no pixel moves: the gradient is zero everywhere")
    rows, columns = seen.any(dim=1).nonzero().flatten(), seen.any(dim=0).nonzero().flatten()
    top, left = rows[0].item(), columns[0].item()
    return Box(top, left, rows[-1].item() - top + 1, columns[-1].item() - left + 1)
