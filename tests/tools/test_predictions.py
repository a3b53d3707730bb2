"""What an author may write below a question, and what is refused."""

from __future__ import annotations

import pytest

from tools.predictions import Prediction, boxes, choices, is_number, read

NUMBER = "How many?\n---\nanswer: 13\nnear: 2\nsaid:\n  9: Too few.\n"
CHOICE = "More?\n---\nanswer: less\nsaid:\n  more: No.\n  less:\n"


def test_key_of_a_number() -> None:
    assert read(NUMBER) == Prediction("How many?", "13", "2", "1", {"9": "Too few."})
    assert not read(NUMBER).is_choice
    assert choices(NUMBER) == []


def test_key_of_a_choice_keeps_the_order() -> None:
    assert read(CHOICE).is_choice
    assert choices(CHOICE) == ["more", "less"]


def test_numbers_stay_as_they_are_written() -> None:
    assert read("How many?\n---\nanswer: 0.50\n").answer == "0.50"
    assert read("True?\n---\nanswer: no\nsaid:\n  no:\n  yes: It is.\n").answer == "no"


@pytest.mark.parametrize(
    "text", ["13", "−6", "0.83", "83 %", "1,296", "6 × 24 × 24", "144, 9", "2.5, 1, −1.5"]
)
def test_is_a_number(text: str) -> None:
    assert is_number(text)


@pytest.mark.parametrize("text", ["all", "6 pixels", "6 ×", "two", "3 or 4", ""])
def test_is_no_number(text: str) -> None:
    assert not is_number(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("How many?", "needs a line ---"),
        ("How many?\n---\n13\n", "needs a line ---"),
        (NUMBER.replace("near", "close"), "no field 'close'"),
        (NUMBER.replace("9:", "nine:"), "'nine' is none"),
        (NUMBER.replace("Too few.", ""), "nothing is said to '9'"),
        (CHOICE.replace("answer: less", "answer: equal"), "'equal' among them"),
        (CHOICE.replace("  more: No.\n", ""), "two to four choices"),
        (CHOICE + "  a: A.\n  b: B.\n  c: C.\n", "two to four choices"),
        (CHOICE.replace("No.", ""), "nothing is said to 'more'"),
    ],
)
def test_what_is_missing_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(text)


def test_boxes_are_found_in_a_text() -> None:
    assert boxes(f"A.\n\n:::{{predict}}\n{CHOICE}:::\n\n:::{{note}}\nB.\n:::\n") == [CHOICE]
