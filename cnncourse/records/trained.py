"""Networks that a record has trained, for a reader who does not want to wait.

Only weights of seed 0 are kept, most of them of the end of the training. `cnncourse.records.stored`
says how, and what it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from cnncourse import shift
from cnncourse._arguments import check_choice
from cnncourse.capstone import small_net
from cnncourse.invariance import digit_reader
from cnncourse.lenet import LeNet, ModernLeNet, mlp
from cnncourse.records.stored import read_about, set_weights
from cnncourse.tables import Table

# The recipes whose weights are kept, by record and by their names in it.
NETWORKS: Mapping[str, Mapping[str, Callable[[], nn.Sequential]]] = {
    "capstone": {"long": small_net},
    "invariance": {
        "dense": mlp,
        "conv_mean": partial(digit_reader, "mean"),
        "conv_mean_shuffled": partial(digit_reader, "mean"),
        "conv_max": partial(digit_reader, "max"),
    },
    "lenet": {
        "lenet_sigmoid": LeNet,
        "relu": partial(LeNet, nn.ReLU),
        "one_cycle": ModernLeNet,
        "lenet_modern_mnist": ModernLeNet,
    },
    "shift": shift.NETWORKS,
}
# After how many epochs the weights are kept too, beside those of the end.
EPOCHS: Mapping[str, tuple[int, ...]] = {
    "lenet/lenet_sigmoid": (0, 1, 2, 3, 5),
    "lenet/relu": (0, 1, 2, 5),
    "lenet/one_cycle": (0, 1, 2, 5),
}
WEIGHTS = "weights"  # a folder beside this file, with one for each record


def load_trained(record: str, recipe: str, epoch: int | None = None) -> nn.Sequential:
    """Build the network of a recorded run, with the weights that seed 0 had.

    Parameters
    ----------
    record : str
        As in `load_record`: ``capstone``, ``invariance``, ``lenet`` or ``shift``.
    recipe : str
        Of ``lenet``, for example, ``one_cycle`` (ten epochs of Fashion-MNIST) or
        ``lenet_modern_mnist`` (of MNIST). Of ``shift``: a name in ``cnncourse.shift.NETWORKS``.
    epoch : int, optional
        After how many epochs; 0 is before training. The last one where not given. Three recipes
        have earlier ones: ``EPOCHS`` in this module.

    Returns
    -------
    nn.Sequential
        On the CPU, in float32.

    Examples
    --------
    >>> net = load_trained("lenet", "one_cycle")
    >>> sum(p.numel() for p in net.parameters())
    61706
    """
    check_choice("record", record, NETWORKS)
    check_choice("recipe", recipe, NETWORKS[record])
    kept = EPOCHS.get(f"{record}/{recipe}", ())
    if epoch is not None and epoch not in kept:
        known = f"None or one of {', '.join(map(str, kept))}" if kept else "None"
        raise ValueError(f"`epoch` must be {known}, got {epoch}")
    with as_file(files(__package__) / WEIGHTS / path_of(f"{record}/{recipe}", epoch)) as path:
        return set_weights(NETWORKS[record][recipe](), load_file(path))


def trained_networks() -> Table:
    """List what `load_trained` can load: its size and, of the file as it is, the accuracy.

    A network answers the pictures of its own record: those of ``shift`` are digits on a canvas.

    Examples
    --------
    >>> [row[:3] for row in trained_networks().rows if row[0] == "capstone"]
    [('capstone', 'long', '96,890')]
    """
    headings = ("record", "recipe", "parameters", "kB", "validation", "test")
    pairs = [(record, recipe) for record, recipes in NETWORKS.items() for recipe in recipes]
    return Table(headings, tuple(_row(*pair) for pair in pairs))


def _row(record: str, recipe: str) -> tuple[str, ...]:
    parameters = sum(p.numel() for p in NETWORKS[record][recipe]().parameters())
    with as_file(files(__package__) / WEIGHTS / path_of(f"{record}/{recipe}")) as path:
        about, size = read_about(path), path.stat().st_size
    reached = (f"{about[f'{split}_accuracy']:.3f}" for split in ("validation", "test"))
    return record, recipe, f"{parameters:,}", f"{size / 1000:.0f}", *reached


def path_of(name: str, epoch: int | None = None) -> Path:
    """Return where in the folder a network lies.

    Examples
    --------
    >>> path_of("lenet/relu", 5).as_posix()
    'lenet/relu_epoch_5.safetensors'
    """
    after = "" if epoch is None else f"_epoch_{epoch}"
    return Path(f"{name}{after}.safetensors")
