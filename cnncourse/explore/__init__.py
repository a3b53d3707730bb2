"""Explorers: figures that answer when they are touched, one for each question of the course.

In a notebook each is a widget, whose state Python can read and set; on a page of the book it needs
no Python. `cnncourse.explore.explorer` tells how one is made.
"""

from cnncourse.explore.backprop import backprop
from cnncourse.explore.hidden_kernel import hidden_kernel
from cnncourse.explore.kernel import kernel

__all__ = ["backprop", "hidden_kernel", "kernel"]
