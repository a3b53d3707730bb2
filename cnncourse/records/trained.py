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
from cnncourse._arguments import check_choice
from cnncourse.lenet import ModernLeNet

# The recipes whose weights are kept, by record and by their names in it.
NETWORKS: Mapping[str, Mapping[str, Callable[[], nn.Module]]] = {
    "lenet": {"one_cycle": ModernLeNet, "lenet_modern_mnist": ModernLeNet},
    "shift": shift.NETWORKS,
}
WEIGHTS = "weights"  # a folder beside this file, with one for each record


def load_trained(record: str, recipe: str) -> nn.Module:
    """Build the network of a recorded run, with the weights that seed 0 ended with.

    Parameters
    ----------
    record : str
        As in `load_record`: ``lenet`` or ``shift``.
    recipe : str
        Of ``lenet``: ``one_cycle`` (ten epochs of Fashion-MNIST) or ``lenet_modern_mnist`` (of
        MNIST). Of ``shift``: a name in ``cnncourse.shift.NETWORKS``.

    Returns
    -------
    nn.Module
        On the CPU, in float32.

    Examples
    --------
    >>> net = load_trained("lenet", "one_cycle")
    >>> sum(p.numel() for p in net.parameters())
    61706
    """
    check_choice("record", record, NETWORKS)
    check_choice("recipe", recipe, NETWORKS[record])
    model = NETWORKS[record][recipe]()
    with as_file(files(__package__) / WEIGHTS / record / f"{recipe}.safetensors") as path:
        model.load_state_dict(load_file(path))  # which turns half precision into float32
    return model
