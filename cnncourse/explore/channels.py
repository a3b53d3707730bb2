"""Chapter "Channels": which channels a layer joins, what it costs, and a cheaper pair beside it."""

from __future__ import annotations

import traitlets
from torch import nn

from cnncourse import plots
from cnncourse.explore.explorer import Explorer
from cnncourse.layer_table import LayerTable, layer_table

MOST = 64  # channels, and pixels a side


class ChannelsExplorer(Explorer):
    """A convolution without bias that keeps the size: the arguments of ``nn.Conv2d``.

    ``groups`` is a wish: ``layer`` takes the largest number up to it that divides both channels.
    """

    script = "channels"
    in_channels = traitlets.Int(6, min=1, max=MOST).tag(sync=True)
    out_channels = traitlets.Int(6, min=1, max=MOST).tag(sync=True)
    kernel_size = traitlets.Int(3, min=1, max=7).tag(sync=True)
    groups = traitlets.Int(1, min=1, max=MOST).tag(sync=True)
    size = traitlets.Int(32, min=1, max=MOST).tag(sync=True)
    output = traitlets.Int(0, min=0, max=MOST - 1).tag(sync=True)

    @traitlets.validate("kernel_size")
    def _check_kernel(self, proposal: traitlets.Bunch) -> int:
        if proposal["value"] % 2 == 0:
            raise traitlets.TraitError(f"`kernel_size` must be odd, got {proposal['value']}")
        return proposal["value"]

    @property
    def layer(self) -> nn.Conv2d:
        """The layer."""
        c, o = self.in_channels, self.out_channels
        groups = max(g for g in range(1, self.groups + 1) if c % g == o % g == 0)
        return _conv(c, o, self.kernel_size, groups)

    @property
    def separable(self) -> nn.Sequential:
        """A depthwise layer and a 1×1 layer from as many channels to as many."""
        c, o = self.in_channels, self.out_channels
        return nn.Sequential(_conv(c, c, self.kernel_size, c), _conv(c, o, 1))

    def price(self, *layers: nn.Module) -> LayerTable:
        """Return what layers in a row cost on maps of the chosen size."""
        return layer_table(nn.Sequential(*layers), (self.in_channels, self.size, self.size))

    def still(self) -> plots.Figure:
        """Draw the layer without and with groups, and depthwise without and with a 1×1 layer."""
        c, o, k = self.in_channels, self.out_channels, self.kernel_size
        separable = self.separable
        stacks = {
            "full": nn.Sequential(_conv(c, o, k)),
            f"{self.layer.groups} groups": nn.Sequential(self.layer),
            "depthwise": separable[:1],
            "separable": separable,
        }
        return plots.layer_prices(stacks, (c, self.size, self.size))


def _conv(c: int, o: int, k: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c, o, k, padding=k // 2, groups=groups, bias=False)


def channels(
    in_channels: int = 6,
    out_channels: int = 6,
    kernel_size: int = 3,
    groups: int = 2,
    size: int = 32,
) -> ChannelsExplorer:
    """Choose channels, kernel and groups of a layer, and see whom it joins and what it costs.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, groups : int
        Of ``nn.Conv2d``: at most 64 channels, an odd kernel of at most 7; the groups must divide
        both numbers of channels. Zeros around the maps keep their size, and there is no bias.
    size : int
        Height and width of the maps, at most 64.

    Returns
    -------
    ChannelsExplorer
        The arguments follow the reader's hand and can be set; ``layer`` and ``separable`` follow,
        and ``price`` counts what such layers cost.

    Examples
    --------
    >>> explorer = channels(6, 6, kernel_size=3, groups=2)
    >>> explorer.price(explorer.layer).parameters, explorer.price(explorer.separable).parameters
    (162, 90)
    """
    explorer = ChannelsExplorer(
        in_channels=in_channels,
        out_channels=out_channels,
        kernel_size=kernel_size,
        groups=groups,
        size=size,
    )
    if explorer.layer.groups != groups:
        both = f"`in_channels` (={in_channels}) and `out_channels` (={out_channels})"
        raise ValueError(f"`groups` must divide {both}, got {groups}")
    return explorer
