"""The numbers of the animation; tests/book/test_animation.py looks at it in a browser."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from cnncourse.animation import SCRIPT, Step, sliding_window

X = torch.arange(9.0).reshape(3, 3)
KERNEL = torch.arange(4.0).reshape(2, 2)
WORDS = [
    "y[0, 0] = 0 × 0 + 1 × 1 + 3 × 2 + 4 × 3 = 19",
    "y[0, 1] = 1 × 0 + 2 × 1 + 4 × 2 + 5 × 3 = 25",
    "y[1, 0] = 3 × 0 + 4 × 1 + 6 × 2 + 7 × 3 = 37",
    "y[1, 1] = 4 × 0 + 5 × 1 + 7 × 2 + 8 × 3 = 43",
]


def test_sliding_window_says_the_worked_example() -> None:
    assert repr(sliding_window(X, KERNEL)).splitlines() == WORDS


def test_step_writes_minus_signs_and_three_digits() -> None:
    step = Step(1, 2, ((-0.5, 2.0), (1 / 3, -1.0)), -1 - 1 / 3)
    assert str(step) == "y[1, 2] = −0.5 × 2 + 0.333 × −1 = −1.33"


@pytest.mark.parametrize(("size", "kernel_size"), [((4, 6), (2, 3)), ((5, 3), (1, 3)), ((8, 8), 1)])
def test_sliding_window_agrees_with_torch(size, kernel_size) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(size, generator=generator, dtype=torch.float64)
    kh, kw = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    kernel = torch.randn(kh, kw, generator=generator, dtype=torch.float64)
    steps = sliding_window(x, kernel).steps
    expected = F.conv2d(x[None, None], kernel[None, None])[0, 0]
    # float64 sums of at most six products.
    assert [step.value for step in steps] == pytest.approx(expected.flatten().tolist(), abs=1e-12)
    sums = [sum(a * b for a, b in step.products) for step in steps]
    assert sums == pytest.approx(expected.flatten().tolist(), abs=1e-12)
    places = [(i, j) for i in range(expected.shape[0]) for j in range(expected.shape[1])]
    assert [(step.row, step.column) for step in steps] == places


def test_sliding_window_is_the_same_twice_and_has_no_ids_and_no_addresses() -> None:
    page = sliding_window(X, KERNEL)._repr_html_()
    assert page == sliding_window(X.clone(), KERNEL.clone())._repr_html_()
    assert not re.search(r"\sid=|https?:|\burl\(|@import|\bfetch\(", page)


def test_script_is_short() -> None:
    assert len(SCRIPT.strip().splitlines()) < 60


@pytest.mark.parametrize("size", [(9, 3), (3, 9)])
def test_sliding_window_refuses_a_large_image(size) -> None:
    with pytest.raises(
        ValueError, match=rf"at most 8 rows and columns, got \({size[0]}, {size[1]}"
    ):
        sliding_window(torch.zeros(size), KERNEL)


def test_sliding_window_refuses_what_corr2d_refuses(as_installed) -> None:
    with pytest.raises(ValueError, match="`kernel` must be no larger than `x`"):
        sliding_window(KERNEL, X)
    with pytest.raises(TypeError, match="`x` must have a floating-point dtype"):
        sliding_window(X.long(), KERNEL)
