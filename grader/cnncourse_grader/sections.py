"""Where in the book the section is that an exercise rests on."""

from __future__ import annotations

import re

from cnncourse.checks.chapters import ORDER
from cnncourse.checks.exercise import Exercise

BOOK = "https://cnncourse.github.io/cnncourse/book/"
# An exercise -> heading of a section in its chapter; others rest on the whole chapter.
SECTIONS = {
    "translate": "Move the digit",
    "equivariance_error": "Two words",
    "largest_invariance_error": "From where to whether",
    "reordered_weight": "A network that reads noise",
    "conv_matrix": "Three matrices",
    "receptive_field": "How far a stack sees",
    "parameter_count": "From all to nearby to shared",
    "design_stack": "How far a stack sees",
    "corr2d": "Two dimensions",
    "corr2d_shifts": "Two dimensions",
    "convolve2d": "Convolution turns the kernel",
    "edge_kernel": "Edges",
    "sole_kernel": "Edges",
    "kernel_between": "A picture that cannot tell",
    "output_size": "How many places",
    "pixel_uses": "How often a pixel is used",
    "same_padding": "The same size, and its odd pixel",
    "reflect_pad": "What to put around",
    "paint_copies": "The way back up",
    "conv2d": "Many channels out",
    "conv1x1": "One pixel at a time",
    "im2col": "A layer is one product",
    "conv_cost": "The price of a layer",
    "grouped_conv2d": "Groups",
    "separable_cost": "What the separable layer cannot do",
    "max_pool2d": "Largest number, mean, norm",
    "min_pool2d": "Largest number, mean, norm",
    "avg_pool_as_conv": "Largest number, mean, norm",
    "changed_share": "What survives a shift",
    "shift_consistency": "Two numbers",
    "blur_pool": "A blur before the step",
    "modern_lenet": "One change at a time",
    "batch_norm": "One function",
    "group_norm": "Small batches",
    "fold_batch_norm": "A layer that disappears",
    "numeric_gradient": "Measuring a gradient",
    "conv1d_kernel_gradient": "Three inputs, two weights",
    "conv2d_grad_bias": "Channels, images, groups",
    "conv2d_grad_weight": "Channels, images, groups",
    "conv2d_grad_x": "Channels, images, groups",
    "conv_transpose2d": "The transpose as a layer",
    "max_pool2d_backward": "Pooling and normalization",
    "is_adjoint": "A matrix and its transpose",
}


def where_to_read(exercise: Exercise) -> tuple[str, str]:
    """Return what to read for an exercise, and its address.

    Examples
    --------
    >>> from cnncourse.checks import find
    >>> where_to_read(find("edge_kernel"))[0].partition(", ")[2]
    'Edges'
    """
    number, section = exercise.chapter, SECTIONS.get(exercise.name, "")
    page = f"{BOOK}{number:02}_{ORDER[number - 1]}.html"
    if not section:
        return f"Chapter {number}", page
    anchor = re.sub(r"[^a-z0-9]+", "-", section.lower()).strip("-")
    return f"Chapter {number}, {section}", f"{page}#{anchor}"
