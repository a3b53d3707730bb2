"""A window that slides over an image: the one thing that convolution and pooling share.

Output place (i, j) looks, through place (a, b) of the window, at the padded pixel
``(i * sh + a * dh, j * sw + b * dw)``. All else here follows from that line, one axis at a time:
how many outputs there are, what is put around the image, which pixels a place of the window sees.

Not handled: windows with one or three axes, padding by anything but one number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Int64, Shaped
from torch import Tensor

from cnncourse._arguments import IMAGES, IntOrPair, check_tensor, pair


@dataclass(frozen=True)
class Axis:
    """A window along one axis of an image.

    Attributes
    ----------
    kernel : int
        Places in the window, k.
    stride : int
        Pixels from one window to the next, s.
    before, after : int
        Pixels of padding on the two sides: p on both, but for "same" and :meth:`ceil`, which may
        cut off (below 0) what no window reaches.
    dilation : int
        Pixels from one place of the window to the next, d.
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

    def seen(self, size: int) -> Int64[Tensor, "out k"]:
        """List the pixels of each window; below 0, and from ``size`` on, they are padding."""
        i, a = torch.arange(self.out(size)), torch.arange(self.kernel)
        return i[:, None] * self.stride + a * self.dilation - self.before

    def through(self, a: int, size: int) -> slice:
        """Return the padded pixels that all windows see through their place ``a``."""
        first = a * self.dilation
        return slice(first, first + (self.out(size) - 1) * self.stride + 1, self.stride)

    def same(self) -> Axis:
        """Pad so that the output keeps the size; of an odd number the last pixel goes after."""
        if self.stride != 1:
            raise ValueError(f"`stride` must be 1 with padding='same', got {self.stride}")
        return replace(self, before=(self.span - 1) // 2, after=self.span // 2)

    def ceil(self, size: int) -> Axis:
        """Round the number of windows up: end the padding where a last, hanging window ends.

        As in torch, that window must start in the image or in the padding before it.
        """
        out = -((self.span - self.padded(size)) // self.stride) + 1
        if (out - 1) * self.stride >= self.before + size:
            out -= 1
        overhang = (out - 1) * self.stride + self.span - self.padded(size)
        return replace(self, after=self.after + overhang)


@dataclass(frozen=True)
class Window:
    """A window that slides over the rows and the columns of an image.

    Attributes
    ----------
    rows, columns : Axis
        The window along the height and along the width.

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
        padding: IntOrPair | str = 0,
        dilation: IntOrPair = 1,
    ) -> Window:
        """Check and read the arguments of a layer: ints, or (height, width) pairs.

        ``padding`` is per side, or "valid" for none, or "same" (with stride 1) to keep the size.
        """
        k, s = pair("kernel_size", kernel_size, 1), pair("stride", stride, 1)
        d = pair("dilation", dilation, 1)
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(
                f"`padding` must be an int, a pair, 'same' or 'valid', got {padding!r}"
            )
        p = (0, 0) if isinstance(padding, str) else pair("padding", padding, 0)
        window = cls(*(Axis(k[a], s[a], p[a], p[a], d[a]) for a in (0, 1)))
        return cls(window.rows.same(), window.columns.same()) if padding == "same" else window

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
        """Return out_h and out_w for an image of (h, w); a ValueError where no window fits."""
        h, w = size
        for axis, n in ((self.rows, h), (self.columns, w)):
            if axis.out(n) < 1:
                raise ValueError(
                    f"`kernel_size` (={axis.kernel}, spanning {axis.span} with dilation "
                    f"{axis.dilation}) must not exceed the padded input of {axis.padded(n)} "
                    f"(size {n}, padding {axis.before} before and {axis.after} after)"
                )
        return self.rows.out(h), self.columns.out(w)

    def ceil(self, size: tuple[int, int]) -> Window:
        """Let a last window hang over the end of an image of (h, w)."""
        h, w = size
        return Window(self.rows.ceil(h), self.columns.ceil(w))

    def pad(
        self, x: Shaped[Tensor, "n c h w"], value: float = 0.0
    ) -> Shaped[Tensor, "n c padded_h padded_w"]:
        """Put the padding around images, once it is known that a window fits."""
        self.out(tuple(x.shape[2:]))
        return F.pad(x, self.sides, value=value) if any(self.sides) else x  # without a copy

    def crop(self, padded: Shaped[Tensor, "n c padded_h padded_w"]) -> Shaped[Tensor, "n c h w"]:
        """Cut the padding off again."""
        return F.pad(padded, [-side for side in self.sides])

    def view(
        self, padded: Shaped[Tensor, "n c padded_h padded_w"]
    ) -> Shaped[Tensor, "n c out_h out_w kh kw"]:
        """Show all windows without copying a number: never write into what comes back."""
        (sh, sw), (dh, dw) = self.stride, self.dilation
        stretched = padded.unfold(2, self.rows.span, sh).unfold(3, self.columns.span, sw)
        return stretched[..., ::dh, ::dw]

    def places(self, size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
        """Yield, place (a, b) by place, the padded pixels that all windows see through it."""
        for a, b in product(*map(range, self.kernel)):
            yield self.rows.through(a, size[0]), self.columns.through(b, size[1])


def windows(
    x: Shaped[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
) -> Shaped[Tensor, "n c out_h out_w kh kw"]:
    """View every window of an image: ``view[n, c, i, j, a, b]`` is what (i, j) sees through (a, b).

    Parameters
    ----------
    x : Tensor of shape (n, c, h, w)
        Images.
    kernel_size, stride, padding, dilation
        As in ``torch.nn.functional.conv2d``.

    Returns
    -------
    Tensor of shape (n, c, out_h, out_w, kh, kw)
        Neighbouring windows share memory: never write into it. Only padding makes a copy of ``x``.

    Examples
    --------
    >>> windows(torch.arange(9.0).reshape(1, 1, 3, 3), 2)[0, 0, 1, 0]
    tensor([[3., 4.],
            [6., 7.]])
    """
    check_tensor("x", x, IMAGES)
    window = Window.read(kernel_size, stride, padding, dilation)
    return window.view(window.pad(x))
