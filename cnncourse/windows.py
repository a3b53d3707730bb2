"""A window that slides over an image: the one thing that convolution and pooling share.

Output place (i, j) sees, through place (a, b) of its window, the padded pixel
``(i * sh + a * dh, j * sw + b * dw)``. All else here follows from that line, one axis at a time.

Not handled: windows with one or three axes, padding by anything but one number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import ceil

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from cnncourse._arguments import IMAGES, IntOrPair, check_tensor, pair


@dataclass(frozen=True)
class Axis:
    """A window along one axis: k places that lie d pixels apart, moved by s pixels at a time.

    ``before`` and ``after`` count the padding on the two sides: p on both, but for :meth:`same`
    and :meth:`ceil`. Below 0 they cut pixels off.
    """

    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1

    @property
    def span(self) -> int:
        """Pixels from the first to the last place of the window."""
        return self.dilation * (self.kernel - 1) + 1

    def padded(self, size: int) -> int:
        """Count the pixels of the padded axis."""
        return self.before + size + self.after

    def out(self, size: int) -> int:
        """Count the windows, ``floor((n + 2 p - d (k - 1) - 1) / s) + 1``; below 1: none fits."""
        return (self.padded(size) - self.span) // self.stride + 1

    def at(self, i: int) -> slice:
        """Return the padded pixels that window i sees."""
        first = i * self.stride
        return slice(first, first + self.span, self.dilation)

    def through(self, a: int, size: int) -> slice:
        """Return the padded pixels that all windows see through their place a."""
        first = a * self.dilation
        return slice(first, first + (self.out(size) - 1) * self.stride + 1, self.stride)

    def seen(self, size: int) -> Int64[Tensor, "out_h kh"]:
        """List the pixels of each window; below 0, and from ``size`` on, they are padding."""
        i, a = torch.arange(self.out(size)), torch.arange(self.kernel)
        return i[:, None] * self.stride + a * self.dilation - self.before

    def same(self) -> Axis:
        """Pad so that stride 1 keeps the size; of an odd number the last pixel goes after."""
        return replace(self, before=(self.span - 1) // 2, after=self.span // 2)

    def ceil(self, size: int) -> Axis:
        """Round the number of windows up: end the padding where a last, hanging window ends.

        As in torch, that window must start in the image or in the padding before it.
        """
        out = ceil((self.padded(size) - self.span) / self.stride) + 1
        if (out - 1) * self.stride >= self.before + size:
            out -= 1
        overhang = (out - 1) * self.stride + self.span - self.padded(size)
        return replace(self, after=self.after + overhang) if out >= 1 else self


@dataclass(frozen=True)
class Window:
    """A window that slides over the rows and the columns of an image.

    Examples
    --------
    >>> window = Window.read(3, stride=2, padding=1)
    >>> window.out((28, 28))
    (14, 14)
    """

    rows: Axis
    columns: Axis

    @classmethod
    def read(
        cls,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
    ) -> Window:
        """Check and read the numbers of a layer: ints, or (height, width) pairs."""
        k, s = pair("kernel_size", kernel_size, 1), pair("stride", stride, 1)
        p, d = pair("padding", padding, 0), pair("dilation", dilation, 1)
        return cls(Axis(k[0], s[0], p[0], p[0], d[0]), Axis(k[1], s[1], p[1], p[1], d[1]))

    @classmethod
    def of_conv(
        cls,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair | str = 0,
        dilation: IntOrPair = 1,
    ) -> Window:
        """Read the numbers of a convolution; its padding may be "valid" (none) or "same"."""
        if not isinstance(padding, str):
            return cls.read(kernel_size, stride, padding, dilation)
        if padding not in ("same", "valid"):
            raise ValueError(
                f"`padding` must be an int, a pair, 'same' or 'valid', got {padding!r}"
            )
        window = cls.read(kernel_size, stride, 0, dilation)
        if padding == "same" and window.stride != (1, 1):
            raise ValueError(f"`stride` must be 1 with padding='same', got {stride}")
        return cls(window.rows.same(), window.columns.same()) if padding == "same" else window

    @classmethod
    def of_pool(
        cls,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
    ) -> Window:
        """Read the numbers of a pooling; without a stride its windows lie side by side."""
        stride = kernel_size if stride is None else stride
        window = cls.read(kernel_size, stride, padding, dilation)
        if any(2 * axis.before > axis.kernel for axis in (window.rows, window.columns)):
            raise ValueError(
                f"`padding` must be at most half of `kernel_size` {window.kernel}, got {padding}"
            )
        return window

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of the window, (kh, kw)."""
        return self.rows.kernel, self.columns.kernel

    @property
    def stride(self) -> tuple[int, int]:
        """Pixels from window to window, (sh, sw)."""
        return self.rows.stride, self.columns.stride

    @property
    def dilation(self) -> tuple[int, int]:
        """Pixels from place to place of one window, (dh, dw)."""
        return self.rows.dilation, self.columns.dilation

    @property
    def sides(self) -> tuple[int, int, int, int]:
        """Padding left, right, above and below: the order of ``F.pad``."""
        return self.columns.before, self.columns.after, self.rows.before, self.rows.after

    def out(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (out_h, out_w) for an image of (h, w); a ValueError where no window fits."""
        for axis, n in zip((self.rows, self.columns), size, strict=True):
            if axis.out(n) < 1:
                raise ValueError(
                    f"`kernel_size` (={axis.kernel}, spanning {axis.span} with dilation "
                    f"{axis.dilation}) must not exceed the padded input of {axis.padded(n)} "
                    f"(size {n}, padding {axis.before} before and {axis.after} after)"
                )
        return self.rows.out(size[0]), self.columns.out(size[1])

    def ceil(self, size: tuple[int, int]) -> Window:
        """Let a last window hang over the end of an image of (h, w)."""
        return Window(self.rows.ceil(size[0]), self.columns.ceil(size[1]))

    def pad(
        self, x: Shaped[Tensor, "*lead h w"], value: float | int = 0
    ) -> Shaped[Tensor, "*lead padded_h padded_w"]:
        """Put the padding around images, once it is known that a window fits."""
        self.out(x.shape[-2:])
        return F.pad(x, self.sides, value=value) if any(self.sides) else x  # without a copy

    def crop(
        self, padded: Shaped[Tensor, "*lead padded_h padded_w"]
    ) -> Shaped[Tensor, "*lead h w"]:
        """Cut the padding off again."""
        return F.pad(padded, [-side for side in self.sides])

    def view(
        self, padded: Shaped[Tensor, "*lead padded_h padded_w"]
    ) -> Shaped[Tensor, "*lead out_h out_w kh kw"]:
        """Show all windows without copying a number: never write into what comes back."""
        (sh, sw), (dh, dw) = self.stride, self.dilation
        stretched = padded.unfold(-2, self.rows.span, sh).unfold(-2, self.columns.span, sw)
        return stretched[..., ::dh, ::dw]

    def at(self, i: int, j: int) -> tuple[slice, slice]:
        """Return the padded rows and columns that output (i, j) sees."""
        return self.rows.at(i), self.columns.at(j)

    def places(self, size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
        """Yield, place (a, b) by place, the padded pixels that all windows see through it."""
        for a, b in product(range(self.rows.kernel), range(self.columns.kernel)):
            yield self.rows.through(a, size[0]), self.columns.through(b, size[1])


def windows(
    x: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
) -> Float[Tensor, "n c out_h out_w kh kw"]:
    """View every window of an image: ``view[n, c, i, j, a, b]`` is what (i, j) sees through (a, b).

    The numbers are those of ``torch.nn.functional.conv2d``. Neighbouring windows share memory:
    never write into the view. Only padding makes a copy of ``x``.

    Examples
    --------
    >>> windows(torch.arange(9.0).reshape(1, 1, 3, 3), 2)[0, 0, 1, 0]
    tensor([[3., 4.],
            [6., 7.]])
    """
    check_tensor("x", x, IMAGES)
    window = Window.of_conv(kernel_size, stride, padding, dilation)
    return window.view(window.pad(x))
