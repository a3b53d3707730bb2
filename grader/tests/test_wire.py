"""The language between grader and sandbox, and what is believed of what comes back."""

from __future__ import annotations

import pytest
import torch
from cnncourse_grader import wire
from cnncourse_grader.answers import Answer, read_answers
from cnncourse_grader.words import BEHIND_THE_END, MALFORMED, NO_END, TAMPERED

from cnncourse import checks
from cnncourse.checks.exercise import Call
from cnncourse.checks.run import Outcome


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        1.5,
        "Zoë",
        (1, [2, "x"], ()),
        {"a": {"b": (1.0,)}},
    ],
)
def test_wire_returns_what_was_sent(value: object) -> None:
    result = wire.unpack(wire.pack(value))
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("dtype", wire.DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_wire_returns_tensors_bit_for_bit(dtype: torch.dtype, shape: tuple) -> None:
    value = (torch.arange(torch.Size(shape).numel()).reshape(shape) % 2).to(dtype)
    result = wire.unpack(wire.pack(value.mT if len(shape) == 2 else value))
    assert result.dtype == dtype
    assert torch.equal(result, value.mT if len(shape) == 2 else value)


def test_wire_returns_calls() -> None:
    call = wire.unpack(wire.pack(Call("mlp", 3, torch.ones(2))))
    assert (call.name, call.data[0]) == ("mlp", 3)


def message(header: str, payload: bytes = b"") -> bytes:
    return b"CNN1" + len(header).to_bytes(4, "big") + header.encode() + payload


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"CNN",
        b"XXXX\0\0\0\1" + b"1",
        b"CNN1\xff\xff\xff\xff",
        message("{"),
        message("[" * 50_000),
        message('["unknown", 1]'),
        message("[]"),
        message('["tensor", "float32", [2]]', b"\0" * 7),
        message('["tensor", "float32", [-1]]', b"\0" * 8),
        message('["tensor", "float32", [true]]', b"\0" * 8),
        message('["tensor", "float32", [1e3]]', b"\0" * 8),
        message('["tensor", "float32", [4294967296, 4294967296, 0]]'),
        message('["tensor", "float32", [16777216, 16777216, 16777216, 16777216, 0]]'),
        message('["tensor", "object", [1]]', b"\0" * 8),
        message('["tensor", "bool", [1]]', b"\7"),
        message('["call", 3, ["tuple"]]'),
        message(str(1 << 70)),
        message("1" * 5000),
        message("1") + message("1"),
    ],
    ids=lambda data: repr(data[:40]),
)
def test_wire_refuses_what_it_did_not_write(data: bytes) -> None:
    with pytest.raises(wire.MalformedError):
        wire.unpack(data)


def test_wire_packs_data_only() -> None:
    with pytest.raises(TypeError, match="must be data, got object"):
        wire.pack([object()])
    with pytest.raises(TypeError, match="complex64"):
        wire.pack(torch.ones(1, dtype=torch.complex64))


GOOD = {"exercise": "f", "problem": "", "outcomes": [vars(Outcome(value=1.0))]}
END = wire.pack({"end": True})
CASES = {"f": checks.find("corr2d").cases(torch.Generator())[:1]}


def test_answers_are_read_when_they_are_whole() -> None:
    data = wire.pack({"started": True}) + wire.pack(GOOD) + END
    answers = read_answers(data, CASES)
    assert answers.started
    assert answers.answers["f"] == [Answer((Outcome(value=1.0),))]
    assert answers.fault == ""


@pytest.mark.parametrize(
    "change",
    [
        {"outcomes": []},
        {"outcomes": [vars(Outcome()), vars(Outcome())]},
        {"outcomes": [3]},
        {"outcomes": [{"value": 1}]},
        {"outcomes": [vars(Outcome()) | {"score": 1}]},
        {"outcomes": [vars(Outcome()) | {"error": 3}]},
        {"outcomes": [vars(Outcome()) | {"changed": (7,)}]},
        {"outcomes": [vars(Outcome()) | {"changed": ("x",)}]},
        {"outcomes": [vars(Outcome()) | {"traceback": ["x"]}]},
        {"outcomes": [vars(Outcome()) | {"forbidden": ("x",) * 1000}]},
        {"outcomes": [vars(Outcome()) | {"value": {"a": 1}}]},
        {"outcomes": [vars(Outcome()) | {"value": Call("f")}]},
        {"outcomes": [vars(Outcome()) | {"value": "x" * 10_000}]},
        {"outcomes": None},
        {"problem": "full marks"},
        {"problem": None},
        {"problem": [1]},
        {"outcomes": [vars(Outcome()) | {"returned": 3}]},
        {"outcomes": [vars(Outcome()) | {"changed": (-1,)}]},
    ],
    ids=lambda change: str(change)[:60],
)
def test_answers_with_anything_odd_count_for_nothing(change: dict) -> None:
    answers = read_answers(wire.pack(GOOD | change), CASES)
    assert answers.answers["f"] == [Answer(problem=TAMPERED)]


def test_of_many_tries_the_last_are_kept() -> None:
    tries = [{"outcomes": [vars(Outcome(value=n))]} for n in range(100)]
    answers = read_answers(b"".join(wire.pack(GOOD | one) for one in tries), CASES).answers["f"]
    assert [one.outcomes[0].value for one in answers] == [97, 98, 99]


def test_answers_end_where_the_data_is_malformed() -> None:
    assert read_answers(b"garbage" + wire.pack(GOOD), CASES).answers == {}
    assert list(read_answers(wire.pack(GOOD) + b"garbage", CASES).answers) == ["f"]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", NO_END),
        (wire.pack(GOOD), NO_END),
        (wire.pack({"end": torch.ones(2)}), NO_END),
        (wire.pack(GOOD) + b"garbage", MALFORMED),
        (END + b"garbage", BEHIND_THE_END),
        (END + wire.pack(GOOD), BEHIND_THE_END),
        (END + END, BEHIND_THE_END),
        (wire.pack(GOOD) + END, ""),
    ],
)
def test_results_end_with_the_last_message(data: bytes, fault: str) -> None:
    assert read_answers(data, CASES).fault == fault


def test_what_stands_behind_the_end_does_not_count() -> None:
    assert read_answers(END + wire.pack(GOOD), CASES).answers == {}


def test_answers_hold_no_control_characters() -> None:
    outcome = vars(Outcome()) | {"error": "a\x1b[2J\x00b"}
    answers = read_answers(wire.pack(GOOD | {"outcomes": [outcome]}), CASES)
    assert answers.answers["f"][0].outcomes[0].error == "a?[2J?b"
