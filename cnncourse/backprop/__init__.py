"""How the gradient flows backwards through the operators, worked out by hand.

Each ``..._backward`` takes the gradient of a scalar loss L with respect to an operator's output
and returns the gradient of L with respect to each input. Nothing here calls a derivative of the
library. Three sentences carry the whole file:

* an output that reads an input through a weight sends its own gradient back through that weight;
* what is used in several places (a shared weight, a pixel under several windows) gets the sum;
* what is never used (a row that the floor of the size law drops) gets exactly zero.

Not handled: 3-D convolution, padding or groups in ``conv_transpose2d``, L2 pooling, and
normalization with running statistics (at test time it is a fixed scale and shift).
"""

from __future__ import annotations

from cnncourse.backprop.convolution import (
    conv2d_backward,
    conv2d_backward_loops,
    conv_transpose2d,
    corr1d_backward,
    insert_zeros,
)
from cnncourse.backprop.normalization import (
    batch_norm_backward,
    group_norm_backward,
    instance_norm_backward,
    layer_norm_backward,
    normalize_backward,
)
from cnncourse.backprop.numeric import numeric_gradient, relative_error
from cnncourse.backprop.pooling import avg_pool2d_backward, max_pool2d_backward

__all__ = [
    "avg_pool2d_backward",
    "batch_norm_backward",
    "conv2d_backward",
    "conv2d_backward_loops",
    "conv_transpose2d",
    "corr1d_backward",
    "group_norm_backward",
    "insert_zeros",
    "instance_norm_backward",
    "layer_norm_backward",
    "max_pool2d_backward",
    "normalize_backward",
    "numeric_gradient",
    "relative_error",
]
