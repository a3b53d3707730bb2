"""Chapter "The way back": which weight and which pixel receive which product."""

from __future__ import annotations

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from cnncourse import plots
from cnncourse.backprop import conv2d_backward
from cnncourse.explore.explorer import Explorer, Matrix
from cnncourse.padding_stride import corr2d_strided

SIDE, KERNEL_SIDE = 6, 3  # of the largest picture and kernel
LEAST = 5  # so that a kernel of three fits with a dilation of two
TARGETS = ("an output", "a pixel", "a weight")


class BackpropExplorer(Explorer):
    """A convolution forward, and backward from the gradient of its output."""

    script = "backprop"
    x = Matrix([[0.0] * LEAST] * LEAST, least=LEAST, side=SIDE, low=-9, high=9, fixed=True)
    kernel = Matrix([[0.0]], side=KERNEL_SIDE, low=-9, high=9, fixed=True)
    stride = traitlets.Int(1, min=1, max=3).tag(sync=True)
    padding = traitlets.Int(0, min=0, max=2).tag(sync=True)
    dilation = traitlets.Int(1, min=1, max=2).tag(sync=True)
    target = traitlets.Enum(TARGETS, TARGETS[0]).tag(sync=True)
    row = traitlets.Int(0, min=-2, max=SIDE + 1).tag(sync=True)
    column = traitlets.Int(1, min=-2, max=SIDE + 1).tag(sync=True)

    @property
    def y(self) -> Float[Tensor, "out_h out_w"]:
        """The output of the layer."""
        return corr2d_strided(self.x, self.kernel, self.stride, self.padding, self.dilation)

    @property
    def delta(self) -> Float[Tensor, "out_h out_w"]:
        """The gradient of the output: 1, 2, 3, 4, and again from 1."""
        y = self.y
        return (torch.arange(y.numel()) % 4 + 1).reshape(y.shape).to(y.dtype)

    @property
    def grad_x(self) -> Float[Tensor, "h w"]:
        """The gradient of the picture, without its frame."""
        return self._gradients()[0][0, 0]

    @property
    def grad_kernel(self) -> Float[Tensor, "kh kw"]:
        """The gradient of the kernel."""
        return self._gradients()[1][0, 0]

    def still(self) -> plots.Figure:
        """Draw the six grids as numbers."""
        there = {"x": self.x, "kernel": self.kernel, "y": self.y}
        back = {"gradient of x": self.grad_x, "of the kernel": self.grad_kernel, "δ": self.delta}
        return plots.number_grids(there | back, {})

    def _gradients(self) -> tuple[Tensor, Tensor, Tensor]:
        layer = (self.stride, self.padding, self.dilation)
        tensors = (self.delta, self.x, self.kernel)
        return conv2d_backward(*(tensor[None, None] for tensor in tensors), *layer)


def backprop(
    x: Float[Tensor, "h w"] | None = None,
    kernel: Float[Tensor, "kh kw"] | None = None,
    stride: int = 2,
) -> BackpropExplorer:
    """Point at an output, a pixel or a weight, and see which products meet there.

    Parameters
    ----------
    x : Tensor, float, (h, w), optional
        At least 5 x 5 and at most 6 x 6 numbers from -9 to 9. Default: the chapter's picture.
    kernel : Tensor, float, (kh, kw), optional
        Weights from -9 to 9, at most 3 x 3. Default: 1 to 9.
    stride : int
        From 1 to 3.

    Returns
    -------
    BackpropExplorer
        Its ``y``, ``delta``, ``grad_x`` and ``grad_kernel`` follow the reader's hand; ``stride``,
        ``padding`` and ``dilation`` can be set.

    Examples
    --------
    >>> backprop().grad_x[2, 2]  # 1 * 9 + 2 * 7 + 3 * 3 + 4 * 1
    tensor(36.)
    """
    x = torch.arange(30.0).reshape(5, 6) * 7 % 13 % 3 if x is None else x
    kernel = torch.arange(1.0, 10.0).reshape(3, 3) if kernel is None else kernel
    return BackpropExplorer(x=x, kernel=kernel, stride=stride)
