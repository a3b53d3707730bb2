"""One function a figure, drawn with matplotlib's objects and returned, never shown.

Figures stand by kind: ``bars``, ``connections``, ``curves``, ``images``, ``network``, ``rates``,
``speed``; what they share is in ``style``. A chapter calls ``plots.name``. Importing this package
changes no setting of matplotlib, and nothing here touches the list of open figures.
"""

from cnncourse.plots.bars import stacked_bars
from cnncourse.plots.connections import layer_prices
from cnncourse.plots.curves import (
    layer_scale_curves,
    nonlinearities,
    sampled,
    seed_curves,
    seed_strip,
    signals,
    training_curves,
)
from cnncourse.plots.gradients import number_grids, step_errors
from cnncourse.plots.images import (
    feature_maps,
    image_grid,
    kernels,
    layer_maps,
    matrices,
    picture_and_maps,
    pictures,
    two_orders,
)
from cnncourse.plots.network import cone, network
from cnncourse.plots.rates import rate_map
from cnncourse.plots.speed import ladder, roofline
from cnncourse.plots.style import Figure
from cnncourse.plots.windows import usage_maps, window_rows

__all__ = [
    "Figure",
    "cone",
    "feature_maps",
    "image_grid",
    "kernels",
    "ladder",
    "layer_maps",
    "layer_prices",
    "layer_scale_curves",
    "matrices",
    "network",
    "nonlinearities",
    "number_grids",
    "picture_and_maps",
    "pictures",
    "rate_map",
    "roofline",
    "sampled",
    "seed_curves",
    "seed_strip",
    "signals",
    "stacked_bars",
    "step_errors",
    "training_curves",
    "two_orders",
    "usage_maps",
    "window_rows",
]
