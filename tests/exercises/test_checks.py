"""The engine of the checks, on exercises small enough to see through."""

from __future__ import annotations

import subprocess
import sys
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import cnncourse
from cnncourse.checks import Hint, check, diagnosis, exercises, find, hint, names
from cnncourse.checks.exercise import (
    Call,
    Case,
    Exercise,
    Interface,
    Mistake,
    distinct_numbers,
    fresh,
    generator,
    is_strided,
    same,
    whole_numbers,
)
from cnncourse.checks.judge import judge
from cnncourse.checks.report import MOST_NUMBERS, STYLES, Report, show
from cnncourse.checks.run import LONGEST_ERROR, NotDataError, Outcome, plain, run
from cnncourse.checks.trial import agree
from cnncourse.checks.tried import tried
from cnncourse.cross_correlation import corr2d
from cnncourse.training import seed_everything

# Rows times columns plus bias: not square and square, two dtypes, results not square.
SIZES = [(2, 3), (3, 2), (3, 3), (4, 2), (4, 4)]
FINE = [(3, 5), (5, 4)]


def draw(random):
    small = [Case(whole_numbers(random, *size), 2.0) for size in SIZES]
    fine = torch.float64
    return small + [Case(torch.randn(size, generator=random, dtype=fine), 0.5) for size in FINE]


def affine(x, c):
    return c * x + x.flip(1).cumsum(1)


TOY = Exercise(
    name="affine",
    signature="affine(x, c)",
    title="Toy",
    minutes=5,
    difficulty="easy",
    points=1,
    prerequisites=("nothing",),
    graded="everything",
    reference=affine,
    cases=draw,
    hints=("Think.", "Think more."),
    forbidden=("conv", "autograd"),
    mistakes=(
        Mistake("The flip is missing.", lambda x, c: c * x + x.cumsum(1)),
        Mistake("Never reached: it fails on every input.", lambda x, c: x.no_such_method()),
    ),
)
PAIR = replace(
    TOY,
    reference=lambda x, c: (affine(x, c), x.shape[0]),
    returns=("y", "height"),
    mistakes=(Mistake("The flip is missing.", lambda x, c: (c * x + x.cumsum(1), 0)),),
)
THIN = replace(TOY, cases=lambda random: [Case(whole_numbers(random, 1, n), 2.0) for n in (3, 4)])
TOTAL = replace(TOY, reference=lambda x, c: affine(x, c).sum(), mistakes=())
PICKY = replace(TOY, accepts=lambda value, x, c: "" if value.sum() > 0 else "Too small.")


def examine(answer, exercise=TOY):
    cases = exercise.cases(generator(0, exercise.name))
    return judge(exercise, cases, run(exercise, answer, cases))


# Diagnoses: for each kind of mistake an answer that makes it, and words that must be said.


def calls_conv(x, c):
    F.conv2d(x.new_ones(1, 1, 2, 2), x.new_ones(1, 1, 2, 2))
    return affine(x, c)


def prints_it(x, c):
    affine(x, c)


def divides_by_zero(x, c):
    return c * x + x.shape[0] / 0


def views(x, c):
    return affine(x.view(-1).view(x.shape), c)


def changes(x, c):
    y = affine(x, c)
    x += 1
    return y


def with_nan(x, c):
    y = affine(x, c)
    y[0, 0] = torch.nan
    return y


def square_only(x, c):
    y = affine(x, c)
    return y if x.shape[0] == x.shape[1] else y + x.abs() * torch.arange(1.0, x.shape[1] + 1)


def off_at_one_place(x, c):
    y = affine(x, c)
    y[0, 0] += 7
    return y


def calls_a_stub(x, c):
    return stub(x)


def shuffled(y):
    return y.flatten().roll(2).reshape(y.shape)


def in_order_only(x, c):
    return affine(x, c) if x.is_contiguous() else off_at_one_place(x, c)


def wide_only(x, c):
    return affine(x, c) if x.dtype == torch.float64 else off_at_one_place(x, c)


def narrow_only(x, c):
    return affine(x, c) if x.dtype == torch.float32 else off_at_one_place(x, c)


NAMED = [
    (diagnosis.forbidden_call, calls_conv, "calls `torch.conv2d`", TOY),
    (diagnosis.missing_return, prints_it, "Is `return` missing?", TOY),
    (diagnosis.foreign_type, lambda x, c: {1: 2}, "type dict where a tensor", TOY),
    (diagnosis.crash, divides_by_zero, "ZeroDivisionError at test_checks.py, line", TOY),
    (diagnosis.crash, lambda x: x, "arguments of `affine(x, c)`", TOY),
    (diagnosis.crash, views, "`reshape` does not", TOY),
    (diagnosis.crash, calls_a_stub, "That function is not written yet.", TOY),
    (diagnosis.changed_input, changes, "`x` was changed in place", TOY),
    (diagnosis.wrong_type, lambda x, c: 3, "an integer where a tensor", TOY),
    (diagnosis.wrong_type, lambda x, c: affine(x, c), "a tensor where a tuple", PAIR),
    (diagnosis.wrong_length, lambda x, c: (x, 1, 2), "3 items where 2", PAIR),
    (diagnosis.not_a_number, with_nan, "NaN", TOY),
    (diagnosis.all_zeros, lambda x, c: 0 * x, "Every number is zero", TOY),
    (diagnosis.refused, lambda x, c: -x.abs(), "Too small.", PICKY),
    (diagnosis.wrong_dtype, lambda x, c: affine(x, c).float(), "keep its dtype", TOY),
    (diagnosis.swapped_axes, lambda x, c: affine(x, c).T, "result is transposed", TOY),
    (diagnosis.swapped_axes, lambda x, c: affine(x, c).T + 1, "swapped: it is (3, 2)", TOY),
    (diagnosis.known_mistake, lambda x, c: x.cumsum(1) + x * c, "The flip is missing.", TOY),
    (
        diagnosis.known_mistake,
        lambda x, c: (x.cumsum(1) + x * c, x.shape[0]),
        "In `y`: The flip is missing.",
        PAIR,
    ),
    (diagnosis.constant, lambda x, c: torch.full_like(x, 5), "is the same", TOY),
    (diagnosis.lost_axis, lambda x, c: affine(x, c)[None], "the axes too many", TOY),
    (diagnosis.lost_axis, lambda x, c: affine(x, c).squeeze(), "is there a `squeeze`", THIN),
    (diagnosis.cut_off, lambda x, c: affine(x, c)[:, :-1], "at the end are missing", TOY),
    (diagnosis.cut_off, lambda x, c: affine(x, c)[1:], "at the beginning are missing", TOY),
    (diagnosis.cut_off, lambda x, c: F.pad(affine(x, c), (2, 2)), "both sides are too many", TOY),
    (diagnosis.wrong_shape, lambda x, c: x[:, :-1] ** 2, "where (2, 3) is expected", TOY),
    (diagnosis.wrong_shape, lambda x, c: x[:1].cumsum(1), "broadcasting would hide", TOY),
    (diagnosis.misread_arguments, lambda x, c: affine(x.flip(1), c), "`x` mirrored", TOY),
    (diagnosis.misread_arguments, lambda x, c: affine(x, 0), "for `c` = 0: is it used?", TOY),
    (diagnosis.changed_result, lambda x, c: affine(x, c).abs(), "sign is lost", TOY),
    (diagnosis.changed_result, lambda x, c: affine(x, c).relu(), "Negative numbers became 0", TOY),
    (
        diagnosis.moved,
        lambda x, c: F.pad(affine(x, c), (1, -1)),
        "column too far to the right",
        TOY,
    ),
    (diagnosis.moved, lambda x, c: F.pad(affine(x, c), (0, 0, -1, 1)), "one row too far up", TOY),
    (diagnosis.wrong_places, lambda x, c: shuffled(affine(x, c)), "in the wrong places", TOY),
    (diagnosis.scaled, lambda x, c: 3 * affine(x, c), "3 times what it should be", TOY),
    (diagnosis.scaled, lambda x, c: -affine(x, c), "sign is reversed", TOY),
    (diagnosis.scaled, lambda x, c: 2 * affine(x, c).sum(), "2 times what it should be", TOTAL),
    (
        diagnosis.miscounted,
        lambda x, c: affine(x, c) / len(x),
        "by the length of axis 0 of `x`",
        TOY,
    ),
    (diagnosis.miscounted, lambda x, c: affine(x, c) * x.numel(), "multiplied by the count", TOY),
    (diagnosis.offset, lambda x, c: affine(x, c) + 3, "3 too large", TOY),
    (diagnosis.rough, lambda x, c: affine(x, c) * 1.0004, "small number added", TOY),
    (diagnosis.stuck, lambda x, c: affine(x, c).clamp(min=-2), "wrong, it is -2", TOY),
    (diagnosis.wrong_values, off_at_one_place, "5 of 6 numbers are right", TOY),
    (diagnosis.wrong_values, square_only, "right when height and width are equal", TOY),
    (diagnosis.wrong_values, narrow_only, "right for float32 and wrong for float64", TOY),
    (diagnosis.wrong_values, wide_only, "right for float64 and wrong for float32", TOY),
    (diagnosis.wrong_values, in_order_only, "does not lie in order in memory", TOY),
    (diagnosis.wrong_order, lambda x, c: (x.shape[0], affine(x, c)), "(y, height) is", PAIR),
    (
        diagnosis.wrong_values,
        lambda x, c: (affine(x, c), x.shape[0] ** 2 + 1),
        "In `height`: The value is not the expected one.",
        PAIR,
    ),
]


@pytest.mark.parametrize(("look", "answer", "words", "exercise"), NAMED)
def test_diagnosis_names_the_mistake(look, answer, words, exercise):
    report = examine(answer, exercise)
    assert not report.passed
    assert words in report.diagnosis


@pytest.mark.parametrize(("look", "answer", "words", "exercise"), NAMED)
def test_diagnosis_comes_from_the_function_for_it(look, answer, words, exercise, monkeypatch):
    others = [one for one in diagnosis.DIAGNOSES if one is not look]
    monkeypatch.setattr(diagnosis, "DIAGNOSES", (*others, lambda found: "unknown"))
    assert words not in examine(answer, exercise).diagnosis


def test_every_diagnosis_is_tried():
    assert {look for look, *_ in NAMED} == set(diagnosis.DIAGNOSES)


def test_right_answer_passes():
    report = examine(affine)
    assert (report.passed, report.score, report.diagnosis) == (True, 1.0, "")


def test_accepting_exercise_shows_no_expected_value_and_refuses_nan():
    assert examine(lambda x, c: x.abs(), PICKY).passed
    report = examine(lambda x, c: -x.abs(), PICKY)
    assert "expected" not in dict(report.case)
    assert not examine(with_nan, replace(PICKY, accepts=lambda *_: "")).passed
    assert not examine(lambda x, c: x / 0, replace(PICKY, accepts=lambda *_: "")).passed


def test_accepting_exercise_wants_the_type_of_the_reference():
    assert "a text where a tensor" in examine(lambda x, c: "a", PICKY).diagnosis


def test_smallest_failing_case_is_shown():
    report = examine(lambda x, c: x if len(x) > 3 else affine(x, c))
    assert dict(report.case)["x"].count("[") == 5  # the one of four rows
    assert dict(examine(lambda x, c: x).case)["x"].count("[") == 3  # the one of two rows


def train(answer, model, steps):
    """Stand for a probe that trains what the answer gives."""
    return answer(model) * steps


TRAINED = replace(
    TOY,
    signature="build(model, steps)",
    cases=lambda random: [Case(Call("power", 2), 3)],
    functions={"power": lambda n: lambda x: x**n},
    probe=train,
    accepts=lambda value, model, steps: "" if value == steps * model(2) else "Not trained.",
)


def test_probe_and_model_go_through_run_and_judge():
    assert examine(lambda model: model(2), TRAINED).passed
    report = examine(lambda model: 1, TRAINED)
    assert report.diagnosis == "Not trained."
    assert report.case == (("model", "power(2)"), ("steps", "3"), ("got", "3"))


def test_smallest_failing_case_need_not_come_first():
    backwards = replace(TOY, cases=lambda random: draw(random)[::-1])
    assert "float64" in show(backwards.cases(generator(0, "affine"))[0].arguments[0])
    assert "float64" not in dict(examine(lambda x, c: x, backwards).case)["x"]


def test_right_numbers_of_another_dtype_are_not_right():
    x = torch.arange(6.0, dtype=torch.float64).reshape(2, 3)
    whole = replace(TOY, cases=lambda random: [Case(x, 1.0)])
    assert examine(affine, whole).passed
    assert "keep its dtype" in examine(lambda x, c: affine(x, c).float(), whole).diagnosis


# run: what an answer is given, and what is brought back.


def outcome(answer, *arguments, **settings):
    (result,) = run(Interface(name="f", **settings), answer, [Case(*arguments)])
    return result


def test_run_hands_out_copies():
    x = torch.arange(6.0).reshape(2, 3)
    result = outcome(lambda x: x.zero_().sum(), x)
    assert result.changed == (0,)
    assert x.sum() == 15


def test_run_sees_a_list_changed_and_a_shape_changed():
    assert outcome(lambda a: a.append(1), [1, 2]).changed == (0,)
    assert outcome(lambda a, x: x.resize_(1, 1), 1, torch.ones(2, 2)).changed == (1,)
    assert outcome(lambda a, x: x.clone().zero_(), 1, torch.ones(2, 2)).changed == ()


def test_run_hands_out_every_third_case_transposed_in_memory():
    cases = [Case(torch.arange(6.0).reshape(2, 3))] * 4
    seen = run(Interface(name="f"), lambda x: x.is_contiguous(), cases)
    assert [one.value for one in seen] == [not is_strided(i) for i in range(4)]
    assert [is_strided(i) for i in range(4)] == [False, True, False, False]
    assert run(Interface(name="f"), lambda x: x, cases)[1].value.equal(cases[1].arguments[0])


def test_run_makes_functions_and_models_from_their_names():
    functions = {"power": lambda n: lambda x: x**n}
    result = outcome(lambda f, x: f(x), Call("power", 3), torch.tensor(2.0), functions=functions)
    assert result == Outcome(value=result.value)
    assert result.value == 8


def test_run_uses_the_probe():
    probe = lambda answer, n: [answer(i) for i in range(n)]  # noqa: E731
    assert outcome(lambda i: i * i, 4, probe=probe).value == [0, 1, 4, 9]


def test_run_fixes_random_numbers_and_leaves_the_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first = outcome(lambda: torch.rand(3)).value
    assert torch.rand(2).equal(expected)
    assert first.equal(outcome(lambda: torch.rand(3)).value)


def stub(*arguments):
    raise NotImplementedError


def test_run_lets_the_stub_through():
    with pytest.raises(NotImplementedError):
        outcome(stub, 1)


def test_run_keeps_errors_of_torch_that_look_like_the_stub():
    result = outcome(lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), torch.ones(2, 2))
    assert result.error.startswith("NotImplementedError: ")


def test_run_catches_exit():
    assert outcome(lambda: sys.exit(3)).error == "SystemExit: 3"


def test_run_does_not_catch_an_interrupt():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcome(stop)


def deep(n):
    return deep(n - 1) if n else torch.ones(2) @ torch.ones(3)


def test_traceback_holds_the_learners_lines_only():
    result = outcome(deep, 1)
    assert [line.split(", ", 1)[0] for line in result.traceback] == ["test_checks.py"] * 2
    assert result.traceback[-1].endswith(
        "in deep: return deep(n - 1) if n else torch.ones(2) @ torch.ones(3)"
    )
    assert len(outcome(deep, 50).traceback) == 4
    assert "run.py" not in str(result)


def test_traceback_of_a_notebook_cell_has_no_file_name():
    names = {}
    exec(compile("def f(x):\n    return x.nothing", "/tmp/ipykernel_17/42.py", "exec"), names)
    assert outcome(names["f"], 1).traceback == ("line 2, in f",)


def test_error_text_is_short_and_the_same_on_every_run():
    def fails(text):
        raise ValueError(text)

    assert outcome(fails, f"{object()}").error == "ValueError: <object object at 0x...>"
    assert len(outcome(fails, "long " * 1000).error) < LONGEST_ERROR + 40
    assert outcome(fails, "").error == "ValueError"


X, K = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2)
ALIASES = [
    lambda: F.conv2d(X, K),
    lambda: torch.conv2d(X, K),
    lambda: nn.Conv2d(1, 1, 2)(X),
    lambda: torch.convolution(X, K, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
    lambda: torch.ops.aten.convolution(X, K, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
    lambda: torch.ops.aten.conv2d(X, K),
    lambda: torch._C._nn.slow_conv3d(X[None], K[None], (1, 2, 2)),
    lambda: F.conv_transpose2d(X, K),
    lambda: getattr(F, "con" + "v2d")(X, K),
    lambda: torch.vmap(lambda x: F.conv2d(x, K))(X[None]),
]


@pytest.mark.parametrize("answer", ALIASES)
def test_forbidden_operator_is_seen_under_every_name(answer):
    assert outcome(answer, forbidden=("conv",)).forbidden


def test_forbidden_operator_is_seen_in_swallowed_errors_and_named_once():
    def hides():
        try:
            F.conv2d(X, K)
            F.conv2d(X, K)
            raise ValueError
        except ValueError:
            return 1

    seen = outcome(hides, forbidden=("conv",)).forbidden
    assert seen == ("torch.conv2d", "aten.convolution")


def test_forbidden_function_that_is_no_operator_is_seen():
    def grad():
        x = torch.ones(2, requires_grad=True)
        return torch.autograd.grad(x.sum(), x)

    def backward():
        x = torch.ones(2, requires_grad=True)
        x.sum().backward()
        return x.grad

    assert "torch.autograd.grad" in outcome(grad, forbidden=("autograd",)).forbidden
    assert outcome(backward, forbidden=("backward",)).forbidden


def test_allowed_operators_are_not_reported():
    allowed = lambda: F.unfold(X, 2).sum() + X.unfold(2, 2, 1).sum()  # noqa: E731
    assert outcome(allowed, forbidden=("conv",)).forbidden == ()


def test_check_does_not_import_the_compiler():
    """It would take seconds, more than the whole check may."""
    code = (
        "import sys, torch\nfrom cnncourse import check\n"
        "print(check('corr2d', lambda x, k: x * 2).passed, 'torch._dynamo' in sys.modules)"
    )
    assert in_a_new_python(code) == "False False"


# plain: what may come back.


class Sly(Tensor):
    pass


class SlyFloat(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


class SlyArray(np.ndarray):
    pass


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        ("a", "a"),
        ([1, (2.0, None)], [1, (2.0, None)]),
        (Pair(1, 2), (1, 2)),
        (torch.Size([2, 3]), (2, 3)),
        (np.float64(0.5), 0.5),
        (np.int32(7), 7),
        (np.bool_(True), True),
    ],
)
def test_plain_keeps_data(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(2, requires_grad=True) * 3,
        nn.Parameter(torch.full((2,), 3.0)),
        torch.full((2, 2), 3.0).T[0],
        np.full(2, 3.0, dtype=np.float32),
        torch.full((2,), 3 - 0j).real,
    ],
)
def test_plain_makes_plain_tensors(value):
    found = plain(value)
    assert type(found) is Tensor
    assert found.equal(torch.full((2,), 3.0))
    assert not found.requires_grad
    assert found.is_contiguous()


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(2).as_subclass(Sly),
        SlyFloat(1.0),
        np.ones(2).view(SlyArray),
        np.array([object()]),
        np.array("text"),
        {"a": 1},
        {1},
        iter([1]),
        nn.Linear(1, 1),
        object(),
        1j,
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2, 2).to_sparse(),
        [1, (2, SlyFloat(1.0))],
    ],
)
def test_plain_refuses_what_is_not_data(value):
    with pytest.raises(NotDataError):
        plain(value)
    assert outcome(lambda: value).returned


def test_plain_refuses_endless_nesting():
    endless = []
    endless.append(endless)
    assert "RecursionError" in outcome(lambda: endless).error


# agree and show.


@pytest.mark.parametrize(
    ("value", "expected", "same"),
    [
        (torch.tensor([1.0]), torch.tensor([1.00001]), True),
        (torch.tensor([1.0]), torch.tensor([1.1]), False),
        (torch.tensor([1000.0]), torch.tensor([1000.05]), True),
        (torch.tensor([1.0, 1000.0]), torch.tensor([1.05, 1000.0]), True),
        (torch.tensor([torch.nan]), torch.tensor([torch.nan]), False),
        (torch.tensor([torch.inf, 1.0]), torch.tensor([torch.inf, 1.0]), True),
        (torch.tensor([torch.inf, 1.0]), torch.tensor([1.0, 1.0]), False),
        (torch.ones(1, 2), torch.ones(2), False),
        (torch.ones(0), torch.ones(0), True),
        (torch.tensor(2.0), 2.0, True),
        (2.0, torch.tensor(2.0), True),
        (2, 2.0, True),
        (2.0, 2, False),
        (True, 1, False),
        (1, True, False),
        (True, 1.0, False),
        ([1, 2], (1, 2), True),
        ((1, 2, 3), (1, 2), False),
        (None, None, True),
        ("a", "b", False),
        (10**400, 1.0, False),
        (10**400, 10**400, True),
        (0.1 + 1e-9, 0.1, True),
    ],
)
def test_agree(value, expected, same):
    assert agree(value, expected, 1e-4) is same


def test_agree_compares_numbers_with_all_their_digits():
    assert agree(1e6 + 1e-3, 1e6, 1e-8)
    assert not agree(1e6 + 1e-1, 1e6, 1e-8)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.tensor([1.0, -2.5]), "[ 1. , -2.5]"),
        (torch.tensor([1, 2]), "[1, 2]  (int64)"),
        (torch.tensor(1.5, dtype=torch.bfloat16), "1.5"),
        (torch.ones(0, 2), "[]  (shape (0, 2))"),
        ([True, None, "a"], "[True, None, 'a']"),
        ((torch.ones(2, 1), 1), "([[1.],\n [1.]],\n1)"),
        (1 / 3, "0.333333"),
    ],
)
def test_show(value, text):
    assert show(value) == text


def test_show_cuts_what_is_too_large():
    text = show(torch.zeros(MOST_NUMBERS + 1))
    assert "..." in text
    assert "shape (65,)" in text


# Report.


FAILED = Report("f", 3, 1, "Wrong `<b>`.", (("x", "[1, 2]"), ("got", "[[1],\n [2]]")))


def test_report_reads_as_text():
    assert str(FAILED) == repr(FAILED) == FAILED.feedback
    assert FAILED.feedback == (
        "✗ f: not yet (1 of 3 cases right)\nSmallest failing case:\n  x = [1, 2]\n"
        '  got =\n    [[1],\n     [2]]\nWrong `<b>`.\nFor help: `hint("f")`'
    )
    passed = Report("f", 3, 3, tried="x 1 to 3", then="Next: `g`.")
    assert str(passed) == "✓ f: passed (3 of 3 cases right)\nTried: x 1 to 3.\nNext: `g`."
    assert str(Report("f", 0, 0)) == '○ f: nothing written yet\nStart with `hint("f")`.'


def test_report_reads_as_html():
    html = FAILED._repr_html_()
    assert "Wrong <code>&lt;b&gt;</code>." in html
    assert html.count('scope="row"') == 2
    assert "<i>" not in Report("f", 3, 1, "Wrong.", (("got", "<i>"),))._repr_html_()
    assert "Smallest failing case:</caption>" in html
    assert "<table" not in Report("f", 3, 1, "Wrong.")._repr_html_()
    assert "<p>Tried: x 1.</p>" in Report("f", 3, 3, tried="x 1")._repr_html_()


def luminance(colour):
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


@pytest.mark.parametrize(("sign", "style"), STYLES.items())
def test_bar_of_a_report_shows_on_white_and_on_black(sign, style):
    bar = luminance(style.split()[1])
    assert 1.05 / (bar + 0.05) >= 3  # what WCAG asks of graphics
    assert (bar + 0.05) / (luminance("#1e1e1e") + 0.05) >= 3


def test_three_results_differ_in_word_and_sign_and_bar_and_colour():
    reports = [Report("f", 3, 3), FAILED, Report("f", 0, 0)]
    assert len({report.headline for report in reports}) == 3
    pages = [report._repr_html_() for report in reports]
    for sign, style, page in zip(STYLES, STYLES.values(), pages, strict=True):
        assert f'<span aria-hidden="true">{sign}</span>' in page
        assert f"6px {style};" in page
    assert len({style.split()[0] for style in STYLES.values()}) == 3


def test_differing_numbers_are_marked():
    lines = dict(examine(off_at_one_place).case)
    assert [lines[name].count("≠") for name in ("x", "expected", "got")] == [0, 1, 1]
    assert lines["got"].startswith("[[≠")
    report = examine(off_at_one_place)
    assert "Smallest failing case (≠ differs):" in report.feedback
    assert report._repr_html_().count("<strong>≠") == 2


def test_nothing_is_marked_where_everything_differs_or_nothing_can_be_compared():
    for answer in (
        lambda x, c: affine(x, c) + 3,
        lambda x, c: x[0],
        divides_by_zero,
        lambda x, c: 3,
    ):
        assert "≠" not in str(examine(answer))


def test_wrong_item_is_marked():
    whole = replace(PAIR, reference=lambda x, c: (len(x), x.shape[1]))
    report = examine(lambda x, c: (len(x), 0), whole)
    assert dict(report.case)["got"] == "(2, ≠0)"
    assert dict(report.case)["expected"] == "(2, ≠3)"


def test_marks_keep_numbers_in_columns():
    value, marks = torch.tensor([[1.0, -2.5], [30.0, 4.0]]), torch.tensor([[False, True]] * 2)
    assert show(value, marks) == "[[  1. , ≠-2.5],\n [ 30. , ≠ 4. ]]"


def test_passed_report_says_what_was_tried():
    assert examine(affine).tried == (
        "x of 7 shapes, (2, 3) to (5, 4), c 0.5 to 2; not only squares; float32 and float64; "
        "memory in any order"
    )
    infinite = replace(TOY, cases=lambda random: [Case(torch.full((2, 2), torch.inf), None)])
    reference = replace(infinite, reference=lambda x, c: x)
    assert examine(lambda x, c: x, reference).tried == (
        "x of shape (2, 2), c, also None; infinite numbers too; float32"
    )


def test_passed_report_names_functions_words_and_sequences():
    cases = [Case(Call("power", 2), ["a"]), Case(Call("sine"), ["b", "c"])]
    assert (
        tried(replace(TOY, signature="f(g, words)"), cases) == "g: power, sine, words with 2 values"
    )


@pytest.mark.parametrize("report", [Report("f", 0, 0), Report("f", 2, 1), FAILED])
def test_report_without_all_cases_right_has_not_passed(report):
    assert not report.passed
    assert report.score == 0.0


def test_judge_wants_an_outcome_for_every_case():
    with pytest.raises(ValueError, match="argument"):
        judge(TOY, draw(generator(0, "affine")), [Outcome(value=1)])


# Seeds and draws.


def test_same_seed_gives_the_same_report():
    wrong = lambda x, kernel: x  # noqa: E731
    reports = [str(check("corr2d", wrong, seed="s")) for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[0] != str(check("corr2d", wrong, seed="t"))


def test_exercises_share_no_draws():
    draws = [torch.rand(1, generator=generator(*key)) for key in [(0, "a"), (0, "b"), ("0", "a")]]
    assert draws[0] != draws[1]
    assert draws[0] == draws[2]


def test_drawn_numbers_can_be_told_apart():
    random = generator(0, "a")
    kernel = distinct_numbers(random, 2, 3)
    assert sorted(kernel.abs().flatten().tolist()) == [1, 2, 3, 4, 5, 6]
    numbers = whole_numbers(random, 20, 20, dtype=torch.float64)
    assert numbers.dtype == torch.float64
    assert set(numbers.flatten().tolist()) == {-4, -3, -2, -1, 1, 2, 3, 4}


def test_fresh_shares_nothing_and_same_sees_differences():
    x = torch.arange(6.0).reshape(2, 3)
    given = (x, [1, (2, x)], "a", None, Call("f", 1))
    copies = fresh(given, {"f": lambda n: n + 1})
    assert copies[4] == 2
    assert same(copies, given)
    copies[1][1][1][0, 0] = 9
    assert not same(copies, given)
    assert x[0, 0] == 0


# check and hint.


def test_check_names_the_nearest_exercises():
    with pytest.raises(ValueError, match=r"got 'cor2d'\. Did you mean .*'corr2d'"):
        check("cor2d", affine)
    with pytest.raises(ValueError, match=r"See names\(\)"):
        check("###", affine)
    with pytest.raises(ValueError, match="`name`"):
        hint("corr2d" + "x" * 40)


def test_check_wants_a_function_where_there_are_arguments():
    with pytest.raises(TypeError, match=r"a function corr2d\(x, kernel\), got a Tensor"):
        check("corr2d", torch.ones(2))


def test_check_takes_a_value_where_there_are_no_arguments():
    kernel = torch.tensor([1.0, -2.0, 1.0])
    assert check("second_derivative_kernel", kernel).passed
    assert check("second_derivative_kernel", lambda: kernel).passed
    assert "is expected" in check("second_derivative_kernel", nn.Linear(1, 1)).diagnosis


def test_check_of_a_stub_is_a_report_and_no_error():
    report = check("corr2d", stub)
    assert not report.passed
    assert (report.score, report.cases, report.diagnosis) == (0.0, 0, "")
    assert str(report) == '○ corr2d: nothing written yet\nStart with `hint("corr2d")`.'


@pytest.mark.usefixtures("answers_of_the_course")
def test_passed_check_says_where_to_go_on():
    first, *_, last = [e for e in exercises().values() if e.chapter == 3]
    after = names()[names().index(first.name) + 1]
    assert check(first.name, first.reference).then == f"Next: `{after}`, {find(after).title}."
    assert check(last.name, last.reference).then == "Next: the questions in words on this page."


def test_check_takes_a_module_as_a_function():
    class Layer(nn.Module):
        def forward(self, n, k, stride, padding, dilation):
            return (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1

    assert check("output_size", Layer()).passed


@pytest.mark.parametrize(
    "answer", [corr2d, lambda x, kernel: corr2d(x, kernel), lambda x, kernel: names() and None]
)
def test_check_refuses_what_the_course_does_itself(answer):
    report = check("corr2d", answer)
    assert not report.passed
    assert "The answer calls `cnncourse." in report.diagnosis
    assert "Here that work is yours to do." in report.diagnosis


def test_check_lets_an_answer_call_what_solves_nothing():
    def helped(x, kernel):
        seed_everything(0)
        return affine(x, kernel)

    assert examine(helped).passed


def test_check_leaves_the_profiler_alone():
    def profiler(*values):
        pass

    sys.setprofile(profiler)
    try:
        examine(affine)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_hints_come_one_by_one(monkeypatch):
    monkeypatch.setattr("cnncourse.checks._given", type(cnncourse.checks._given)())
    texts = [repr(hint("corr2d")) for _ in range(5)]
    assert [text[:11] for text in texts[:3]] == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3"]
    assert texts[3] == texts[4]
    assert texts[3].startswith("There are no more hints")
    assert texts[3].endswith(find("corr2d").hints[-1])
    assert repr(hint("convolve2d")).startswith("Hint 1 of 3")


def test_hint_is_a_paragraph_in_a_notebook_with_its_code_marked():
    shown = Hint("Hint 1 of 2: is `x < 1`?")._repr_html_()
    assert shown == "<p>Hint 1 of 2: is <code>x &lt; 1</code>?</p>"


def test_names_follow_the_chapters():
    chapters = [find(name).chapter for name in names()]
    assert chapters == sorted(chapters)


def in_a_new_python(code):
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_import_of_the_package_does_not_import_torch():
    assert in_a_new_python("import sys, cnncourse; print('torch' in sys.modules)") == "False"
    assert cnncourse.check is check
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cnncourse.nothing


# What is seldom seen.


class SlyTuple(tuple):
    def __iter__(self):
        return iter((SlyFloat(1.0),))


def test_plain_reads_the_items_a_tuple_holds():
    assert plain(SlyTuple((3, 4))) == (3, 4)


@pytest.mark.parametrize("buffer", [torch.zeros(2), np.zeros(2)], ids=["tensor", "array"])
def test_run_keeps_a_value_that_the_answer_changes_later(buffer):
    def fills(n):
        buffer[:] = n
        return buffer

    seen = run(Interface(name="f"), fills, [Case(1), Case(2)])
    assert [one.value.tolist() for one in seen] == [[1, 1], [2, 2]]


def test_a_stub_that_the_answer_calls_is_an_error_of_the_answer():
    assert outcome(lambda x: stub(x), 1).error == "NotImplementedError"


def test_only_a_bare_not_implemented_error_is_the_stub():
    class OwnError(NotImplementedError):
        pass

    def fails():
        raise OwnError

    assert outcome(fails).error == "OwnError"


def test_traceback_of_executed_text_has_no_file_name():
    names = {}
    exec(compile("def f(x):\n    return x.nothing", "<string>", "exec"), names)
    assert outcome(names["f"], 1).traceback == ("line 2, in f",)


def test_report_shows_the_lines_that_led_to_an_error():
    got = dict(examine(divides_by_zero).case)["got"].splitlines()
    assert got[-1] == "ZeroDivisionError: division by zero"
    assert "in divides_by_zero" in got[0]


def test_agree_does_not_widen_for_an_infinite_number():
    assert not agree(torch.tensor([torch.inf, 2.0]), torch.tensor([torch.inf, 1.0]), 1e-4)


def test_tolerance_is_that_of_the_coarsest_argument():
    wide = torch.ones((), dtype=torch.float64)
    mixed = replace(TOY, cases=lambda random: [Case(torch.ones(2, 3), wide)])
    assert examine(lambda x, c: affine(x, c) + 1e-6, mixed).passed


def test_integer_arguments_ask_for_the_dtype_of_the_reference():
    whole = replace(TOY, reference=lambda n, c: torch.full((2,), 0.5), cases=lambda r: [Case(1, 2)])
    wide = lambda n, c: torch.full((2,), 0.5, dtype=torch.float64)  # noqa: E731
    assert "in float64 where float32 is expected" in examine(wide, whole).diagnosis
    assert examine(whole.reference, whole).passed


@pytest.mark.parametrize("sizes", [[(2, 3), (3, 2)], [(3, 3), (2, 3), (3, 2)]])
def test_pattern_needs_two_cases_on_each_side(sizes):
    few = replace(TOY, cases=lambda random: [Case(torch.rand(size), 2.0) for size in sizes])
    wrong = examine(square_only, few)
    assert not wrong.passed
    assert "wrong when they differ" not in wrong.diagnosis


def test_crash_and_wrong_shape_say_where_they_happen():
    def stops(x, c):
        return affine(x, c) / (x.shape[0] == x.shape[1] or 1 // 0)

    def cuts(x, c):
        return affine(x, c)[: len(x) - (len(x) != x.shape[1])]

    for answer in (stops, cuts):
        assert "right when height and width are equal" in examine(answer).diagnosis


def test_known_mistake_is_named_though_some_cases_stop():
    def stops_for_four(x, c):
        if len(x) == 4:
            raise ValueError
        return c * x + x.cumsum(1)

    assert "The flip is missing." in examine(stops_for_four).diagnosis


def test_numbers_that_are_right_but_for_rounding_are_counted():
    def nearly(x, c):
        y = affine(x, c) * (1 + 1e-6)
        y[0, 0] += 7
        return y

    assert "5 of 6 numbers are right" in examine(nearly).diagnosis


def test_nearly_right_is_not_called_once_as_large():
    assert " 1 times" not in examine(lambda x, c: affine(x, c) * 1.0004).diagnosis


@pytest.mark.parametrize(
    ("given", "put"), [([torch.ones(2)], None), ([1], torch.ones(2)), ([[1]], 3)]
)
def test_a_list_argument_may_be_filled_with_anything(given, put):
    assert outcome(lambda a: a.__setitem__(0, put), given).changed == (0,)


def test_an_error_that_cannot_be_written_is_an_error():
    class BadError(Exception):
        def __str__(self):
            return 1 / 0

    def fails():
        raise BadError

    assert outcome(fails).error == "BadError"


ODD = [10**5000, np.longdouble(1), "x" * 10**6, [0] * 10**4]


@pytest.mark.parametrize("value", ODD, ids=["integer", "longdouble", "text", "list"])
def test_odd_values_make_a_short_report(value):
    report = examine(lambda x, c: value)
    assert not report.passed
    assert len(report.feedback) < 2000


def test_a_report_names_its_mistake():
    assert examine(lambda x, c: x.cumsum(1) + x * c).mistake == "the-flip-is-missing"
    assert examine(divides_by_zero).mistake == "crash"
    assert examine(affine).mistake == ""


def test_mistakes_of_an_exercise_have_names_of_their_own():
    for exercise in exercises().values():
        said = {one.diagnosis for one in exercise.mistakes}
        assert len(set(map(diagnosis.named, said))) == len(said), exercise.name
