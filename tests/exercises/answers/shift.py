"""The chapter's exercises, as learners write them."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

# shift_consistency


def all_shifts(max_shift):
    steps = range(-max_shift, max_shift + 1)
    return list(itertools.product(steps, steps))


def all_classes(model, images, shifts, translate):
    return torch.stack([model(translate(images, *s)).argmax(dim=1) for s in shifts])


def consistency_pairs(model, images, max_shift, translate):
    classes = all_classes(model, images, all_shifts(max_shift), translate)
    return (classes[:, None] == classes[None, :]).double().mean()


def consistency_loops(model, images, max_shift, translate):
    agree, pairs = 0, 0
    for first in all_shifts(max_shift):
        for second in all_shifts(max_shift):
            a = model(translate(images, *first)).argmax(1)
            b = model(translate(images, *second)).argmax(1)
            agree += int((a == b).sum())
            pairs += len(images)
    return agree / pairs


def consistency_counter(model, images, max_shift, translate):
    total = 0.0
    for image in images:
        votes = Counter()
        for dy, dx in all_shifts(max_shift):
            votes[model(translate(image[None], dy, dx)).argmax().item()] += 1
        number = sum(votes.values())
        total += sum((count / number) ** 2 for count in votes.values())
    return total / len(images)


def consistency_padded(model, images, max_shift, translate):
    """Cut every shifted image out of one with a wide border."""
    h, w = images.shape[2:]
    wide = F.pad(images, [max_shift] * 4)
    places = itertools.product(range(2 * max_shift + 1), repeat=2)
    scores = [model(wide[:, :, i : i + h, j : j + w]) for i, j in places]
    classes = torch.stack(scores).argmax(2).numpy()
    return float(np.mean(classes[:, None] == classes[None]))


def consistency_unique_pairs(model, images, max_shift, translate):
    """Count each pair of two different shifts once, and add the shifts themselves."""
    classes = all_classes(model, images, all_shifts(max_shift), translate)
    s, n = classes.shape
    agree = sum(int((a == b).sum()) for a, b in itertools.combinations(classes, 2))
    return (2 * agree + s * n) / (s * s * n)


def consistency_with_original(model, images, max_shift, translate):
    original = model(images).argmax(1)
    shifted = all_classes(model, images, all_shifts(max_shift), translate)
    return (shifted == original).double().mean().item()


def consistency_rolled(model, images, max_shift, translate):
    rolled = [torch.roll(images, shift, dims=(2, 3)) for shift in all_shifts(max_shift)]
    classes = torch.stack([model(x).argmax(1) for x in rolled])
    return (classes[:, None] == classes[None, :]).double().mean().item()


def consistency_range_too_short(model, images, max_shift, translate):
    steps = range(-max_shift, max_shift) if max_shift else [0]
    classes = all_classes(model, images, list(itertools.product(steps, repeat=2)), translate)
    return (classes[:, None] == classes[None, :]).double().mean().item()


def consistency_one_direction(model, images, max_shift, translate):
    shifts = list(itertools.product(range(max_shift + 1), repeat=2))
    classes = all_classes(model, images, shifts, translate)
    return (classes[:, None] == classes[None, :]).double().mean().item()


def consistency_different_shifts(model, images, max_shift, translate):
    classes = all_classes(model, images, all_shifts(max_shift), translate)
    pairs = list(itertools.combinations(classes, 2))
    if not pairs:
        return 1.0
    return sum((a == b).double().mean().item() for a, b in pairs) / len(pairs)


def consistency_all_or_nothing(model, images, max_shift, translate):
    classes = all_classes(model, images, all_shifts(max_shift), translate)
    return (classes == classes[0]).all(dim=0).float().mean().item()


def consistency_majority(model, images, max_shift, translate):
    classes = all_classes(model, images, all_shifts(max_shift), translate)
    return (classes == classes.mode(dim=0).values).double().mean().item()


def consistency_percent(model, images, max_shift, translate):
    return 100 * consistency_loops(model, images, max_shift, translate)


def consistency_counted(model, images, max_shift, translate):
    classes = all_classes(model, images, all_shifts(max_shift), translate)
    return (classes[:, None] == classes[None, :]).sum().item()


def consistency_diagonal(model, images, max_shift, translate):
    shifts = [(d, d) for d in range(-max_shift, max_shift + 1)]
    classes = all_classes(model, images, shifts, translate)
    return (classes[:, None] == classes[None, :]).double().mean().item()


def consistency_random_pairs(model, images, max_shift, translate):
    agree = []
    for _ in range(50):
        (a, b), (c, d) = torch.randint(-max_shift, max_shift + 1, (2, 2)).tolist()
        first, second = model(translate(images, a, b)), model(translate(images, c, d))
        agree.append((first.argmax(1) == second.argmax(1)).double().mean())
    return torch.stack(agree).mean().item()


def consistency_per_image(model, images, max_shift, translate):
    classes = all_classes(model, images, all_shifts(max_shift), translate)
    return (classes[:, None] == classes[None, :]).double().mean((0, 1))


def consistency_darkens(model, images, max_shift, translate):
    images[images < 0] = 0
    return consistency_loops(model, images, max_shift, translate)


# blur_pool


def blur_grouped(x, stride):
    row = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype)
    kernel = torch.outer(row, row) / 16
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, kernel.expand(x.shape[1], 1, 3, 3), stride=stride, groups=x.shape[1])


def blur_as_images(x, stride):
    n, c, h, w = x.shape
    kernel = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=x.dtype) / 16
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect").reshape(n * c, 1, h + 2, w + 2)
    y = F.conv2d(padded, kernel[None, None])[:, :, ::stride, ::stride]
    return y.reshape(n, c, *y.shape[2:])


def blur_slices(x, stride):
    x = torch.cat([x[:, :, 1:2], x, x[:, :, -2:-1]], dim=2)
    x = torch.cat([x[..., 1:2], x, x[..., -2:-1]], dim=3)
    x = (x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]) / 4
    x = (x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]) / 4
    return x[:, :, ::stride, ::stride]


def blur_numpy(x, stride):
    wide = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(2, 3))
    kernel = np.outer([1, 2, 1], [1, 2, 1]).astype(wide.dtype) / 16
    return (windows * kernel).sum((-2, -1))[:, :, ::stride, ::stride]


def blur_means_of_means(x, stride):
    """Two boxes of two, one after the other, are a binomial filter."""
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.avg_pool2d(F.avg_pool2d(padded, 2, 1), 2, 1)[..., ::stride, ::stride]


def blur_not_at_all(x, stride):
    return x[:, :, ::stride, ::stride]


def blur_afterwards(x, stride):
    return blur_grouped(x[:, :, ::stride, ::stride], 1)


def blur_zero_border(x, stride):
    row = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype)
    kernel = torch.outer(row, row).expand(x.shape[1], 1, 3, 3) / 16
    return F.conv2d(x, kernel, stride=stride, padding=1, groups=x.shape[1])


def blur_repeated_border(x, stride):
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, 2, 1), 2, 1)[..., ::stride, ::stride]


def blur_no_border(x, stride):
    return F.avg_pool2d(F.avg_pool2d(x, 2, 1), 2, 1)[..., ::stride, ::stride]


def blur_box(x, stride):
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.avg_pool2d(padded, 3, stride)


def blur_brighter(x, stride):
    kernel = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=x.dtype)
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, kernel.expand(x.shape[1], 1, 3, 3), stride=stride, groups=x.shape[1])


def blur_mixed_channels(x, stride):
    c = x.shape[1]
    kernel = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=x.dtype) / 16
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, kernel.expand(c, c, 3, 3), stride=stride)


def blur_one_kernel(x, stride):
    kernel = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=x.dtype) / 16
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel[None, None], stride=stride)


def blur_forgot_stride(x, stride):
    return blur_grouped(x, 1)


def blur_rows_only(x, stride):
    x = torch.cat([x[..., 1:2], x, x[..., -2:-1]], dim=3)
    x = (x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]) / 4
    return x[:, :, ::stride, ::stride]


def blur_mean_pool(x, stride):
    return F.avg_pool2d(x, stride)


def blur_single_precision_kernel(x, stride):
    kernel = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    return F.conv2d(padded, kernel.expand(x.shape[1], 1, 3, 3), stride=stride, groups=x.shape[1])


# Wrong at an edge.


def blur_short_steps(x, stride):
    return blur_grouped(x, min(stride, 3))


def blur_three_channels(x, stride):
    y = blur_grouped(x, stride)
    y[:, 3:] = 0
    return y


def blur_six_columns(x, stride):
    return blur_grouped(x[..., :6], stride)


def consistency_in_single_precision(model, images, max_shift, translate):
    classes = all_classes(model, images, all_shifts(max_shift), translate)
    return (classes[:, None] == classes[None, :]).float().mean()


def consistency_two_steps(model, images, max_shift, translate):
    return consistency_pairs(model, images, min(max_shift, 2), translate)


def consistency_five_images(model, images, max_shift, translate):
    return consistency_pairs(model, images[:5], max_shift, translate)


RIGHT = {
    "shift_consistency": [
        *(consistency_pairs, consistency_loops, consistency_counter, consistency_padded),
        *(consistency_unique_pairs, consistency_in_single_precision),
    ],
    "blur_pool": [blur_grouped, blur_as_images, blur_slices, blur_numpy, blur_means_of_means],
}

WRONG = {
    "shift_consistency": [
        (consistency_with_original, "compared with the unshifted image"),
        (consistency_rolled, "come in again on the other side"),
        (consistency_range_too_short, "last shift is missing"),
        (consistency_one_direction, "down and to the right"),
        (consistency_different_shifts, "one and the same shift"),
        (consistency_all_or_nothing, "whose class no shift changes"),
        (consistency_majority, "most frequent class"),
        (consistency_percent, "percent"),
        (consistency_counted, "number of pairs"),
        (consistency_diagonal, "along the diagonal"),
        (consistency_random_pairs, ""),
        (consistency_per_image, "a tensor where a number with decimals is expected"),
        (consistency_darkens, "`images` was changed in place"),
        (consistency_two_steps, ""),
        (consistency_five_images, ""),
    ],
    "blur_pool": [
        (blur_not_at_all, "does not blur"),
        (blur_afterwards, "skips first"),
        (blur_zero_border, "filled with zeros"),
        (blur_repeated_border, "repeats the edge"),
        (blur_no_border, "border is missing"),
        (blur_box, "weights are equal"),
        (blur_brighter, "add up to 16"),
        (blur_mixed_channels, "channels are added up"),
        (blur_one_kernel, "stopped with RuntimeError"),
        (blur_forgot_stride, "stride is missing"),
        (blur_rows_only, "Only rows are blurred"),
        (blur_mean_pool, "mean of each block"),
        (blur_single_precision_kernel, "stopped with RuntimeError"),
        (blur_short_steps, ""),
        (blur_three_channels, ""),
        (blur_six_columns, ""),
    ],
}

# Wrong in a few cases only, and there not for every number that may be drawn.
EDGES = {
    "shift_consistency": [consistency_two_steps, consistency_five_images],
}
