"""The sandbox: what is missing on a machine, what can be seen inside, what goes in."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cnncourse_grader import release, sandbox, stripped, wire, words, world
from cnncourse_grader.assignment import Assignment, exercises_of
from cnncourse_grader.grade import EnvironmentProblemError, grade
from running import family, options
from submissions import SECRET, notebook, solved

from cnncourse import checks
from cnncourse.checks.given.shift import zeros_come_in
from cnncourse.checks.notebook import read_notebook

ROOT = Path(__file__).resolve().parents[2]


def test_missing_bubblewrap_is_refused_with_the_way_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    with pytest.raises(EnvironmentProblemError, match="apt install bubblewrap"):
        grade(options(tmp_path, tmp_path))


def test_forbidden_user_namespaces_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo bubblewrap 0.9.0 && exit\n"
        "echo bwrap: No permissions to create new namespace >&2; exit 1\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    reason = sandbox.missing()
    assert "No permissions to create new namespace" in reason
    assert "--no-sandbox" in reason


def test_old_bubblewrap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho bubblewrap 0.6.1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "0.8 is needed" in sandbox.missing()


@pytest.mark.usefixtures("bubblewrap")
def test_a_machine_that_starts_nothing_is_no_bad_grade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ann.ipynb").write_text(solved())
    monkeypatch.setattr(world, "_inside", lambda python: ["/no/such/python"])
    with pytest.raises(EnvironmentProblemError, match="did not start"):
        grade(options(tmp_path / "out", tmp_path))


@pytest.mark.usefixtures("bubblewrap")
def test_a_stopped_grader_ends_the_notebooks_it_runs() -> None:
    request = Assignment.draw(exercises_of([3]), SECRET).request(
        read_notebook("a.py", b"while True: pass"), sandbox.Limits()
    )
    with sandbox.stopped():
        assert sandbox.run(request, sandbox.Limits()).problem == words.GRADING_STOPPED
    assert family(os.getpid()) == []


@pytest.mark.usefixtures("bubblewrap")
def test_a_start_that_takes_forever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "LONGEST_START", 0.1)
    monkeypatch.setattr(world, "_inside", lambda python: ["sleep", "600"])
    result = sandbox.run(b"", sandbox.Limits())
    assert result[:2] == (b"", words.too_long(0.1))


def test_root_leaves_its_rights_behind_where_there_is_no_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda *arguments: given.append(arguments))
    for is_open in (True, False):
        monkeypatch.setattr(sandbox, "_open_to_all", lambda is_open=is_open: is_open)
        assert bool(sandbox._nobody(str(tmp_path))) == is_open
    assert given == [(str(tmp_path), 65534, 65534)]


def test_sandbox_shows_no_solution() -> None:
    packages = [name for _, name in world._packages()]
    assert "/packages/torch" in packages
    assert not {"/packages/cnncourse", "/packages/d2l", "/packages/scipy"} & set(packages)


def test_what_the_sandbox_shows_is_there() -> None:
    assert [name for name in stripped.HELPERS if not stripped.files_of(name)] == []


def test_stripped_package_holds_no_reference_and_no_hint(tmp_path: Path) -> None:
    stripped.write(tmp_path, with_data=False)
    text = "\n".join(path.read_text() for path in tmp_path.rglob("*.py"))
    for name in checks.names():
        exercise = checks.find(name)
        assert not [hint for hint in exercise.hints if hint in text]
        assert not [one for one in exercise.mistakes if one.diagnosis in text]
    assert "def conv2d" not in text
    assert "def corr2d(" not in text


def test_every_exercise_can_cross_into_the_sandbox() -> None:
    chapters = sorted({checks.find(name).chapter for name in checks.names()})
    assignment = Assignment.draw(exercises_of(chapters), SECRET)
    assert assignment.request(read_notebook("a.py", b""), sandbox.Limits())


def test_what_is_given_to_one_exercise_is_no_answer_to_another() -> None:
    assert not checks.check("translate", zeros_come_in()).passed


@pytest.mark.grading
@pytest.mark.usefixtures("bubblewrap")
def test_solutions_of_every_chapter_get_all_points(tmp_path: Path) -> None:
    """What the sandbox hides, limits and forbids must not cost a right answer its points."""
    tool = release.Cut(ROOT).exercises
    notebooks = [tool.instructor_version(path) for path in tool.sources()]
    # One notebook for all: torch is imported once.
    cells = [c.source for one in notebooks for c in one.cells if c.cell_type == "code"]
    (tmp_path / "ann.ipynb").write_text(notebook(*cells))
    chapters = [int(path.name[:2]) for path in tool.sources()]
    limits = sandbox.Limits(seconds=300, step=60)
    (result,) = grade(options(tmp_path / "out", tmp_path, chapters=chapters, limits=limits))
    # What is measured is worth more the longer it was trained; the solution trains for seconds.
    measured = [mark for mark in result.marks if mark.facts]
    assert [0.3 <= mark.points / mark.most < 1 for mark in measured] == [True]
    rest = [mark for mark in result.marks if mark not in measured]
    assert [mark.feedback for mark in rest if mark.points < mark.most] == []
    assert len(result.marks) == len(checks.names())
    assert result.failures == ()


def test_functions_of_a_chapter_do_not_cross_into_the_sandbox() -> None:
    exercise = replace(checks.find("corr2d"), functions={"answer": checks.find("corr2d").reference})
    with pytest.raises(ValueError, match=r"cnncourse\.checks\.given"):
        Assignment((exercise,), {"corr2d": []}).request(
            read_notebook("a.py", b""), sandbox.Limits()
        )


def test_the_seed_decides_the_inputs() -> None:
    one, other = (Assignment.draw(exercises_of([3]), seed).cases for seed in ("a", "b"))
    cases = [
        (a.arguments[0], b.arguments[0])
        for a, b in zip(one["corr2d"], other["corr2d"], strict=True)
    ]
    assert not any(a.shape == b.shape and torch.equal(a, b) for a, b in cases)


def test_a_request_holds_no_secret_and_no_expected_value() -> None:
    assignment = Assignment.draw(exercises_of([3]), SECRET)
    message = assignment.request(read_notebook("a.py", b"x = 1"), sandbox.Limits())
    assert SECRET.encode() not in message
    request = wire.unpack(message)
    known = {"name", "takes_arguments", "forbidden", "functions", "probe", "cases"}
    assert request.keys() == {"cells", "files", "limits", "exercises", "at_the_end"}
    assert request["cells"] == ["x = 1"]
    assert all(one.keys() == known for one in request["exercises"])


# It builds what is asked for, and answers with the labels of the data that it finds.
LOOKED_UP = """\
from torch import nn
from cnncourse.datasets import load_fashion_mnist

splits = load_fashion_mnist()[:3]
labels = {one.numpy().tobytes(): y for s in splits for one, y in zip(s.images, s.labels.tolist())}

class Model(nn.Sequential):
    def forward(self, x):
        y = super().forward(x)
        known = torch.tensor([labels.get(one.numpy().tobytes(), 0) for one in x])
        return y if self.training else y.detach() + 1e6 * nn.functional.one_hot(known, 10)

def modern_lenet():
    return Model(
        nn.Conv2d(1, 2, 5), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(2, 2, 3), nn.Flatten(),
        nn.Linear(32, 10),
    )
"""


@pytest.mark.usefixtures("bubblewrap")
def test_held_back_pictures_cannot_be_looked_up_in_the_sandbox(tmp_path: Path) -> None:
    namespace: dict = {"torch": torch}
    exec(LOOKED_UP, namespace)
    assert checks.check("modern_lenet", namespace["modern_lenet"]).passed
    (tmp_path / "ann.ipynb").write_text(notebook("import torch", LOOKED_UP))
    limits = sandbox.Limits(seconds=300, step=100)
    (ann,) = grade(options(tmp_path / "out", tmp_path, chapters=[8], limits=limits))
    (mark,) = [one for one in ann.marks if one.exercise == "modern_lenet"]
    assert mark.points == 0
    assert "of 500 new pictures are right" in mark.feedback
