"""Chapter "Padding and stride": every window over a row of pixels, and the law that counts them."""

from __future__ import annotations

import traitlets
from jaxtyping import Int64
from torch import Tensor

from cnncourse import plots
from cnncourse.explore.explorer import Explorer
from cnncourse.padding_stride import conv_output_size, usage_count


class PaddingStrideExplorer(Explorer):
    """One axis of a layer: the arguments of ``conv_output_size``."""

    script = "padding_stride"
    size = traitlets.Int(8, min=1, max=20).tag(sync=True)
    kernel_size = traitlets.Int(3, min=1, max=7).tag(sync=True)
    stride = traitlets.Int(1, min=1, max=5).tag(sync=True)
    padding = traitlets.Int(0, min=0, max=6).tag(sync=True)
    dilation = traitlets.Int(1, min=1, max=4).tag(sync=True)

    @property
    def numbers(self) -> tuple[int, int, int, int, int]:
        """Size, kernel size, stride, padding and dilation."""
        return self.size, self.kernel_size, self.stride, self.padding, self.dilation

    @property
    def out(self) -> int:
        """Count the windows; a ValueError where none fits."""
        return conv_output_size(*self.numbers)

    @property
    def used(self) -> Int64[Tensor, " w"]:
        """Count the windows that see each pixel; a ValueError where none fits."""
        n, k, s, p, d = self.numbers
        return usage_count((1, n), (1, k), (1, s), (0, p), (1, d))[0]

    def still(self) -> plots.Figure:
        """Draw the windows one below the other."""
        return plots.window_rows(*self.numbers)


def padding_stride(
    size: int = 8, kernel_size: int = 3, stride: int = 2, padding: int = 0, dilation: int = 1
) -> PaddingStrideExplorer:
    """Move size, kernel, padding, stride and dilation, and see all windows and the law follow.

    Parameters
    ----------
    size, kernel_size, stride, padding, dilation : int
        Of one axis, as in ``conv_output_size``, with padding per side: at most 20 pixels, a kernel
        of 7, stride 5, padding 6 and dilation 4.

    Returns
    -------
    PaddingStrideExplorer
        The arguments follow the reader's hand and can be set; ``out`` and ``used`` (w,) follow.

    Examples
    --------
    >>> explorer = padding_stride(8, kernel_size=3, stride=2)
    >>> explorer.out, explorer.used
    (3, tensor([1, 1, 2, 1, 2, 1, 1, 0]))
    """
    conv_output_size(size, kernel_size, stride, padding, dilation)  # which refuses what cannot be
    return PaddingStrideExplorer(
        size=size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
    )
