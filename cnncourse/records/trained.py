"""Networks that a record has trained, for a reader who does not want to wait.

Only the weights of seed 0 are kept, in half precision: 124 kB a LeNet, 8 kB most networks of
the shift test. That moves a logit by less than a thousandth of its size. A file of safetensors
holds numbers and words, and no code that loading it would run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import as_file, files

from safetensors.torch import load_file
from torch import nn

from cnncourse import shift
from cnncourse.lenet import ModernLeNet

# The recipes whose weights are kept, by their names in the record.
NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "one_cycle": ModernLeNet,
    "lenet_modern_mnist": ModernLeNet,
    **shift.NETWORKS,
}
WEIGHTS = "weights"  # a folder beside this file


def load_trained(recipe: str) -> nn.Module:
    """Build the network of a recorded run, with the weights that seed 0 ended with.

    Parameters
    ----------
    recipe : str
        ``one_cycle`` (LeNet, ten epochs of Fashion-MNIST), ``lenet_modern_mnist`` (of MNIST), or a
        name in ``cnncourse.shift.NETWORKS`` (two epochs of 10,000 small digits on a canvas).

    Returns
    -------
    nn.Module
        On the CPU, in float32.

    Examples
    --------
    >>> net = load_trained("one_cycle")
    >>> sum(p.numel() for p in net.parameters())
    61706
    """
    if recipe not in NETWORKS:
        raise ValueError(f"`recipe` must be one of {', '.join(NETWORKS)}, got {recipe!r}")
    model = NETWORKS[recipe]()
    with as_file(files(__package__) / WEIGHTS / f"{recipe}.safetensors") as path:
        model.load_state_dict(load_file(path))  # which turns half precision into float32
    return model
