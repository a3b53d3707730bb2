"""Explorers: figures that answer when they are touched, one for each question of the course.

In a notebook each is a widget, whose state Python can read and set; on a page of the book it needs
no Python. `cnncourse.explore.explorer` tells how one is made.
"""

from cnncourse.explore.backprop import backprop
from cnncourse.explore.channels import channels
from cnncourse.explore.hidden_kernel import hidden_kernel
from cnncourse.explore.invariance import invariance
from cnncourse.explore.kernel import kernel
from cnncourse.explore.lenet import lenet
from cnncourse.explore.normalization import normalization
from cnncourse.explore.padding_stride import padding_stride
from cnncourse.explore.pooling import pooling
from cnncourse.explore.receptive_field import receptive_field
from cnncourse.explore.shift import shift
from cnncourse.explore.speed import speed

__all__ = [
    "backprop",
    "channels",
    "hidden_kernel",
    "invariance",
    "kernel",
    "lenet",
    "normalization",
    "padding_stride",
    "pooling",
    "receptive_field",
    "shift",
    "speed",
]
