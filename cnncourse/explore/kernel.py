"""Chapter "Cross-correlation": a kernel that you shape, over a picture that you make."""

from __future__ import annotations

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from cnncourse import plots
from cnncourse.cross_correlation import convolve2d, corr2d
from cnncourse.explore.explorer import Explorer, File, Matrix

SIDE, KERNEL_SIDE = 28, 5  # of the largest picture and kernel
SHEET = 12  # of an empty picture to draw on
PICTURES = ("given", "one white pixel", "a white square", "a garment", "yours")


class KernelExplorer(Explorer):
    """A picture, a kernel, and the map of what the kernel answers."""

    script = "kernel"
    given = Matrix([[0.0]], side=SIDE, low=-100, high=100, fixed=True)
    drawn = Matrix([[0.0] * SHEET] * SHEET, side=SIDE, low=0, high=1, fixed=True)
    kernel = Matrix([[0.0]], side=KERNEL_SIDE, low=-9, high=9)
    picture = traitlets.Enum(PICTURES, "given").tag(sync=True)
    turned = traitlets.Bool(False).tag(sync=True)
    row = traitlets.Int(0, min=0, max=SIDE - 1).tag(sync=True)
    column = traitlets.Int(0, min=0, max=SIDE - 1).tag(sync=True)
    garments = File("explore/data/garments.bin")

    @property
    def x(self) -> Float[Tensor, "h w"]:
        """The picture that is shown; set, it becomes that of the book."""
        if self.picture == "a garment":
            pixels = bytearray(self.garments[: SIDE * SIDE])
            return torch.frombuffer(pixels, dtype=torch.uint8).float().reshape(SIDE, SIDE) / 255
        squares = {"one white pixel": (9, 1), "a white square": (16, 8)}
        if self.picture in squares:
            return _square(*squares[self.picture])
        return self.drawn if self.picture == "yours" else self.given

    @x.setter
    def x(self, x: Float[Tensor, "h w"]) -> None:
        self.given, self.picture = x, "given"

    @property
    def y(self) -> Float[Tensor, "out_h out_w"]:
        """The map: a cross-correlation, or a convolution where the kernel is turned."""
        return (
            convolve2d(self.x, self.kernel, "valid") if self.turned else corr2d(self.x, self.kernel)
        )

    def still(self) -> plots.Figure:
        """Draw small pictures as numbers, others as pictures."""
        if max(self.x.shape) <= 8:
            kh, kw = self.kernel.shape
            window = [(a, b) for a in range(kh) for b in range(kw)]
            grids = {"picture": self.x, "kernel": self.kernel, "map": self.y}
            return plots.number_grids(grids, {"picture": window, "map": [(0, 0)]})
        return plots.picture_and_maps(self.x, {"map": self.y})


def _square(side: int, white: int) -> Float[Tensor, "h w"]:
    """Draw a white square in the middle of a black one."""
    first = (side - white) // 2
    picture = torch.zeros(side, side, dtype=torch.float32)
    picture[first : first + white, first : first + white] = 1
    return picture


def kernel(
    x: Float[Tensor, "h w"] | None = None, kernel: Float[Tensor, "kh kw"] | None = None
) -> KernelExplorer:
    """Shape the weights of a kernel by hand, and see its map follow.

    Parameters
    ----------
    x : Tensor, float, (h, w), optional
        Picture, at most 28 x 28. Default: the numbers 0 to 8.
    kernel : Tensor, float, (kh, kw), optional
        Weights from -9 to 9, at most 5 x 5, no larger than ``x``. Default: 0 to 3.

    Returns
    -------
    KernelExplorer
        Its ``x``, ``kernel`` and ``y`` are tensors, and follow the reader's hand; ``x`` and
        ``kernel`` can be set.

    Examples
    --------
    >>> kernel().y
    tensor([[19., 25.],
            [37., 43.]])
    """
    x = torch.arange(9.0).reshape(3, 3) if x is None else x
    kernel = torch.arange(4.0).reshape(2, 2) if kernel is None else kernel
    corr2d(x, kernel)  # which refuses what does not fit
    try:
        return KernelExplorer(given=x, kernel=kernel)
    except ValueError as error:
        raise ValueError(str(error).replace("`given`", "`x`")) from None
