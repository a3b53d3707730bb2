"""Pictures, kernels and feature maps as tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm, LinearSegmentedColormap, Normalize
from torch import Tensor
from torch.nn.functional import pad

from cnncourse._arguments import check_integer
from cnncourse.plots.style import SMALL, WIDTH, Figure, check_filled

# As on the pages: negative is the darker end, so that the sign is read in grey too.
SIGNED = LinearSegmentedColormap.from_list("signed", ["#00468c", "#ffffff", "#e68c00"])
ORDERS = ("move, then f", "f, then move", "difference")


def image_grid(
    images: Float[Tensor, "n 1 h w"], titles: Sequence[str] | None = None, columns: int = 6
) -> Figure:
    """Draw grey images in rows, black for 0 and white for 1.

    Parameters
    ----------
    images : Tensor, float, (n, 1, h, w)
        Values in [0, 1]; what lies outside is drawn as 0 or 1.
    titles : sequence of str, optional
        One for each image.
    columns : int
        Images a row, at least 1.

    Returns
    -------
    Figure
        With n axes.

    Raises
    ------
    ValueError
        If ``images`` has another shape or holds none, the titles are not n, or ``columns`` is not
        positive.

    Examples
    --------
    >>> import torch
    >>> len(image_grid(torch.rand(5, 1, 28, 28), titles="abcde", columns=3).axes)
    5
    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"`images` must have shape (n, 1, h, w), got {tuple(images.shape)}")
    return _tiles("images", images[:, 0], titles, columns, cmap="gray", vmin=0, vmax=1)


def kernels(weight: Float[Tensor, "o c kh kw"], columns: int = 6) -> Figure:
    """Draw every kernel of a convolution on one grey scale: zero is mid-grey, negative is darker.

    Parameters
    ----------
    weight : Tensor, float, (o, c, kh, kw)
        Such as ``model.conv1.weight``.
    columns : int
        Kernels a row, at least 1.

    Returns
    -------
    Figure
        With o * c axes, each named "o,c" by output and input channel, and a colour bar.

    Raises
    ------
    ValueError
        If ``weight`` has not four dimensions or holds no kernel, or ``columns`` is not positive.

    Examples
    --------
    >>> import torch
    >>> len(kernels(torch.randn(6, 1, 5, 5)).axes)
    7
    """
    if weight.ndim != 4:
        raise ValueError(f"`weight` must have shape (o, c, kh, kw), got {tuple(weight.shape)}")
    channels_out, channels_in = weight.shape[:2]
    names = [f"{o},{c}" for o in range(channels_out) for c in range(channels_in)]
    limit = weight.detach().abs().max().item() if weight.numel() else 0
    norm = CenteredNorm(halfrange=limit or 1)
    # A map of two hues loses the sign in print; in grey, darker than the middle is negative.
    figure = _tiles("weight", weight.flatten(0, 1), names, columns, cmap="gray", norm=norm)
    figure.colorbar(figure.axes[0].images[0], ax=figure.axes, label="weight")
    return figure


def feature_maps(
    maps: Float[Tensor, "c h w"],
    titles: Sequence[str] | None = None,
    columns: int = 6,
    label: str = "activation",
) -> Figure:
    """Draw the channels that one image leaves in a layer, on one common scale.

    Parameters
    ----------
    maps : Tensor, float, (c, h, w)
        Such as ``model[:3](images)[0]``.
    titles : sequence of str, optional
        One for each map, in place of the number of its channel.
    columns : int
        Channels a row, at least 1.
    label : str
        What the numbers are, at the colour bar.

    Returns
    -------
    Figure
        With c axes, each with its title, and a colour bar.

    Raises
    ------
    ValueError
        If ``maps`` has not three dimensions or holds no channel, ``titles`` are not as many, or
        ``columns`` is not positive.

    Examples
    --------
    >>> import torch
    >>> len(feature_maps(torch.rand(6, 14, 14)).axes)
    7
    """
    if maps.ndim != 3:
        raise ValueError(f"`maps` must have shape (c, h, w), got {tuple(maps.shape)}")
    low, high = (maps.min().item(), maps.max().item()) if maps.numel() else (0, 1)
    names = titles if titles is not None else [f"channel {c}" for c in range(len(maps))]
    # Viridis grows in lightness from end to end, so it is the same picture in grey.
    figure = _tiles("maps", maps, names, columns, cmap="viridis", vmin=low, vmax=high)
    figure.colorbar(figure.axes[0].images[0], ax=figure.axes, label=label)
    return figure


def layer_maps(picture: Float[Tensor, "h w"], maps: Mapping[str, Float[Tensor, "_ _ _"]]) -> Figure:
    """Draw a picture and all maps that it leaves in each layer, pixels of one size everywhere.

    White is zero, blue is negative, orange positive, each layer on a scale of its own.

    Parameters
    ----------
    picture : Tensor, float, (h, w)
        Values in [0, 1], black for 0 and white for 1.
    maps : mapping from name to Tensor, float, (c, h, w)
        What the layers give, from the first to the last.

    Returns
    -------
    Figure
        With an axes for the picture and one for each layer.

    Raises
    ------
    ValueError
        If there is no layer, or one has another shape.

    Examples
    --------
    >>> import torch
    >>> figure = layer_maps(torch.rand(28, 28), {"conv1": torch.randn(6, 28, 28)})
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['picture', 'conv1: 6 × 28 × 28']
    """
    check_filled("maps", maps)
    for name, y in maps.items():
        if y.ndim != 3 or y.numel() == 0:
            raise ValueError(f"`{name}` must have shape (c, h, w), got {tuple(y.shape)}")
    rows = {f"{name}: {' × '.join(map(str, y.shape))}": _in_a_row(y) for name, y in maps.items()}
    widest = max(row.shape[1] for row in rows.values())
    heights = [0.76 * WIDTH * len(row) / widest + 0.22 for row in rows.values()]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(rows), 2, width_ratios=[1, 4], height_ratios=heights)
    shown = picture.detach().cpu().numpy()
    _draw_row(figure.add_subplot(grid[0, 0]), "picture", shown, cmap="gray", vmin=0, vmax=1)
    for k, (words, row) in enumerate(rows.items()):
        axes = figure.add_subplot(grid[k, 1])
        norm = CenteredNorm(halfrange=np.nanmax(abs(row)) or 1)
        _draw_row(axes, words, row, cmap=SIGNED, norm=norm)
        axes.set_xlim(-0.5, widest - 0.5)
    return figure


def _in_a_row(maps: Float[Tensor, "c h w"]) -> np.ndarray:
    """Lay maps side by side, with a column without numbers between them."""
    row = pad(maps.detach().cpu(), (0, 1), value=np.nan)
    return row.movedim(0, 1).flatten(1)[:, :-1].numpy()


def _draw_row(axes: Axes, title: str, row: np.ndarray, **drawing: object) -> None:
    axes.imshow(row, interpolation="nearest", **drawing)
    axes.set_title(title, size=SMALL, loc="left", pad=3)
    axes.set_anchor("NW")
    axes.set_axis_off()


def picture_and_maps(
    picture: Float[Tensor, "h w"] | Float[Tensor, "3 h w"],
    maps: Mapping[str, Float[Tensor, "_ _"]],
) -> Figure:
    """Draw a picture and what kernels make of it: zero is mid-grey, negative is darker.

    Parameters
    ----------
    picture : Tensor, float, (h, w), or (3, h, w) for red, green and blue
        Values in [0, 1], black for 0 and white for 1.
    maps : mapping from name to Tensor, float, of two dimensions
        Feature maps, drawn on one common scale; their sizes may differ.

    Returns
    -------
    Figure
        With an axes for the picture, one for each map, and a colour bar.

    Raises
    ------
    ValueError
        If there is no map, the picture or a map is empty, or has another shape.

    Examples
    --------
    >>> import torch
    >>> figure = picture_and_maps(torch.rand(9, 8), {"left": torch.randn(9, 7)})
    >>> [axes.get_title() for axes in figure.axes]
    ['picture', 'left', '']
    """
    check_filled("maps", maps)
    is_colour = picture.ndim == 3 and len(picture) == 3
    for name, value in [("picture", picture[0] if is_colour else picture), *maps.items()]:
        if value.ndim != 2 or value.numel() == 0:
            raise ValueError(f"`{name}` must have shape (h, w), got {tuple(value.shape)}")
    limit = max(value.detach().abs().max().item() for value in maps.values())
    figure = Figure(figsize=(WIDTH, WIDTH / (len(maps) + 1.4) + 0.25), layout="constrained")
    first, *others = figure.subplots(1, len(maps) + 1)
    shown = picture.movedim(0, -1) if is_colour else picture
    pixels = {"cmap": "gray", "interpolation": "nearest"}
    first.imshow(shown.detach().cpu().numpy(), vmin=0, vmax=1, **pixels)
    norm = CenteredNorm(halfrange=limit or 1)
    for axes, value in zip(others, maps.values(), strict=True):
        axes.imshow(value.detach().cpu().numpy(), norm=norm, **pixels)
    for axes, name in zip([first, *others], ["picture", *maps], strict=True):
        axes.set_axis_off()
        axes.set_title(name, size=SMALL)
    figure.colorbar(others[-1].images[0], ax=others, label="output")
    return figure


def pictures(named: Mapping[str, Float[Tensor, "_ _"]], columns: int = 3) -> Figure:
    """Draw grey pictures whose sizes may differ, each in a frame: black for 0 and white for 1.

    Parameters
    ----------
    named : mapping from name to Tensor, float, of two dimensions
        Values in [0, 1]; what lies outside is drawn as 0 or 1.
    columns : int
        Pictures a row, at least 1.

    Returns
    -------
    Figure
        With an axes for each picture.

    Raises
    ------
    ValueError
        If there is no picture, one has not two dimensions or is empty, or ``columns`` is not
        positive.

    Examples
    --------
    >>> import torch
    >>> figure = pictures({"picture": torch.rand(8, 6), "pooled": torch.rand(4, 3)})
    >>> [axes.get_title() for axes in figure.axes]
    ['picture', 'pooled']
    """
    check_filled("named", named)
    columns = min(check_integer("columns", columns, 1), len(named))
    rows, side = -(-len(named) // columns), WIDTH / max(columns, 2)
    figure = Figure(figsize=(side * columns, rows * (side + 0.1)), layout="constrained")
    for i, (name, picture) in enumerate(named.items(), start=1):
        if picture.ndim != 2 or picture.numel() == 0:
            raise ValueError(f"`{name}` must have shape (h, w), got {tuple(picture.shape)}")
        # A frame, so that a white picture is seen on a white page.
        axes = figure.add_subplot(rows, columns, i, xticks=[], yticks=[])
        shown = picture.detach().cpu().numpy()
        axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(name, size=SMALL, pad=3)
    return figure


def two_orders(
    pairs: Mapping[str, tuple[Float[Tensor, "_ _"], Float[Tensor, "_ _"]]],
) -> Figure:
    """Draw f(T x), T f(x) and their difference, one row a function: zero is mid-grey.

    Parameters
    ----------
    pairs : mapping from name to two tensors, float, (h, w)
        f(T x) and T f(x). The three pictures of a row share one scale.

    Returns
    -------
    Figure
        With three axes a row.

    Raises
    ------
    ValueError
        If there is no pair, or the two of a pair differ in shape or have not two dimensions.

    Examples
    --------
    >>> import torch
    >>> x = torch.eye(3)
    >>> len(two_orders({"roll": (x, x.roll(1, 0))}).axes)
    3
    """
    check_filled("pairs", pairs)
    figure = Figure(figsize=(WIDTH, 1.55 * len(pairs) + 0.25), layout="constrained")
    for row, (name, (a, b)) in enumerate(pairs.items()):
        if a.shape != b.shape or a.ndim != 2:
            shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
            raise ValueError(f"`{name}` must hold two tensors of one shape (h, w), got {shapes}")
        norm = CenteredNorm(halfrange=max(a.abs().max().item(), b.abs().max().item()) or 1)
        for column, (title, value) in enumerate(zip(ORDERS, (a, b, a - b), strict=True)):
            axes = figure.add_subplot(len(pairs), 3, 3 * row + column + 1)
            axes.imshow(value.detach().cpu().numpy(), cmap="gray", norm=norm)
            axes.set(xticks=[], yticks=[])
            axes.set_title(title if row == 0 else "", size=SMALL)
            axes.set_ylabel(name if column == 0 else "", size=SMALL)
    return figure


def _tiles(
    name: str, pictures: Tensor, titles: Sequence[str] | None, columns: int, **drawing: object
) -> Figure:
    count = len(pictures)
    check_integer("columns", columns, 1)
    if pictures.numel() == 0:
        raise ValueError(f"`{name}` must hold at least one picture, got {tuple(pictures.shape)}")
    if titles is not None and len(titles) != count:
        raise ValueError(f"`titles` must be {count}, one for each image, got {len(titles)}")
    columns = min(columns, count)
    rows = -(-count // columns)
    width = min(1.1 * columns + 0.9, WIDTH)
    figure = Figure(figsize=(width, rows * min(1.3, WIDTH / columns + 0.2)), layout="constrained")
    for i, picture in enumerate(pictures.detach().cpu()):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(picture.numpy(), interpolation="nearest", **drawing)
        axes.set_axis_off()
        axes.set_title(titles[i] if titles is not None else "", size=SMALL, pad=3)
    return figure


def matrices(layers: Mapping[str, Float[Tensor, "out_h_out_w h_w"]]) -> Figure:
    """Draw layers as matrices, one below the other: a row for each output, a column for each pixel.

    A weight of exactly 0 is left white, like the paper: it is a connection that is not there. The
    others share one scale, dark for the smallest and light for the largest.

    Parameters
    ----------
    layers : mapping from name to Tensor, float, (out_h * out_w, h * w)
        Such as ``conv_matrix(kernel, (h, w)).to_dense()``; each has a weight that is not 0.

    Returns
    -------
    Figure
        With one axes for each layer, and a colour bar.

    Raises
    ------
    ValueError
        If there is no layer, one has not two dimensions, or one has no weight but 0.

    Examples
    --------
    >>> import torch
    >>> figure = matrices({"dense": torch.ones(4, 9), "diagonal": torch.eye(9)})
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['dense', 'diagonal']
    """
    check_filled("layers", layers)
    for name, matrix in layers.items():
        if matrix.ndim != 2 or not matrix.any():
            shape = tuple(matrix.shape)
            raise ValueError(
                f"`layers` must hold weights in two dimensions, got {shape} for {name!r}"
            )
    weights = torch.cat([matrix[matrix != 0] for matrix in layers.values()]).detach().cpu()
    norm = Normalize(weights.min().item(), weights.max().item())
    heights = [WIDTH * len(matrix) / matrix.shape[1] for matrix in layers.values()]
    figure = Figure(figsize=(WIDTH, 0.85 * sum(heights) + 0.45 * len(layers)), layout="constrained")
    column = figure.subplots(len(layers), squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, matrix) in zip(column, layers.items(), strict=True):
        drawn = np.ma.masked_equal(matrix.detach().cpu().numpy(), 0)
        mesh = axes.pcolormesh(drawn, cmap="cividis", norm=norm, edgecolors="0.88", linewidth=0.3)
        axes.set(aspect="equal", xticks=[], yticks=[], ylabel="outputs")
        axes.invert_yaxis()
        axes.set_title(name, size=SMALL, loc="left")
    column[-1].set_xlabel("pixels, row by row")
    figure.colorbar(mesh, ax=list(column), label="weight", shrink=0.6, aspect=30)
    return figure
