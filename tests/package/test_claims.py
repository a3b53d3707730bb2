"""The helper that ties numbers in the prose to computed values."""

from __future__ import annotations

import pytest

from cnncourse.claims import asks, cites, numbers_in, says


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("61,706 parameters", ["61,706"]),
        ("an error of 0.95 %, then 1.", ["0.95", "1"]),
        ("the conv2d of LeNet-5 and C3", []),
        ("28 × 28 pixels, 5x5 kernels, the 10th", ["28", "28", "5", "10"]),
        ("from 0.1 to -3", ["0.1", "-3"]),
        ("1998, 2017.", ["1998", "2017"]),
        ("10–20 epochs, 3-4 layers", ["10", "20", "3", "4"]),
        ("19,25 and .101 or 1e-8", ["19", "25", ".101", "1e-8"]),
    ],
)
def test_numbers_in_finds_numbers_and_leaves_names(text, expected):
    assert numbers_in(text) == expected


@pytest.mark.parametrize(
    ("phrase", "values"),
    [
        ("61,706 parameters", (61706,)),
        ("156 + 2,416 = 2,572", (156, 2416, 2572)),
        ("83.4 %", (0.83449,)),
        ("0.728", (0.7284,)),
        ("−0.5", (-0.5,)),
    ],
)
def test_says_accepts_values_that_round_to_the_text(phrase, values):
    says(phrase, *values)


@pytest.mark.parametrize(
    ("phrase", "values"),
    [
        ("61,706 parameters", (61707,)),
        ("61,706 parameters", (61.706,)),
        ("156 + 2,416", (156, 2417)),
        ("83.4 %", (0.8346,)),
        ("83.4 %", (83.4,)),
        ("0.728", (0.7286,)),
        ("0.5", (-0.5,)),
        ("0.5", (float("nan"),)),
    ],
)
def test_says_rejects_values_the_text_does_not_state(phrase, values):
    with pytest.raises(AssertionError, match="the text says"):
        says(phrase, *values)


def test_says_within_replaces_rounding():
    says("about 0.89", 0.881, within=0.01)
    with pytest.raises(AssertionError, match=r"about 0\.89"):
        says("about 0.89", 0.87, within=0.01)


@pytest.mark.parametrize("values", [(), (1, 2)])
def test_says_needs_one_value_for_each_number(values):
    with pytest.raises(ValueError, match="holds 1 numbers"):
        says("10 epochs", *values)


def test_cites_needs_a_number_and_a_source():
    with pytest.raises(ValueError, match="no number"):
        cites("no digits here", source="lecun1998gradient")
    with pytest.raises(ValueError, match="`source`"):
        cites("in 1998", source="")


@pytest.mark.parametrize(
    ("key", "value"),
    [("25", 25), ("6 × 24 × 24", (6, 24, 24)), ("9, 6, 4", [9, 6, 4]), ("83 %", 0.83), ("no", 1)],
)
def test_asks_accepts_what_is_computed(key, value):
    asks("How many?", {key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("25", 26), ("6 × 24 × 24", (6, 24, 25)), ("83 %", 83), ("no", 0), ("no", (True, False))],
)
def test_asks_rejects_another_value(key, value):
    with pytest.raises(AssertionError):
        asks("How many?", {key: value})


def test_asks_compares_mistakes_too_and_within():
    asks("How many?", {"8": 7.7}, within=0.5)
    with pytest.raises(AssertionError, match="'4'"):
        asks("How many?", {"3": 3, "4": 5})
