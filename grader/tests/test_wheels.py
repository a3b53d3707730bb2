"""The two distributions: what is in each, and the command line with one and with both."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from cnncourse_grader import release, world
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
# No installed package is in sight, torch neither.
RUN = (
    "import sys; sys.path[:0] = sys.argv.pop(1).split(':'); from cnncourse.cli import main; main()"
)


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(ROOT, tmp_path_factory.mktemp("learner"))


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(ROOT / "grader", tmp_path_factory.mktemp("grader"))


def unpacked(project: Path, folder: Path) -> Path:
    """Build a wheel without leaving anything in the project, and unpack it."""
    words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(words, cwd=project, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def call(*words: str, sites: list[Path]) -> subprocess.CompletedProcess:
    path = ":".join(map(str, sites))
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", RUN, path, *words], capture_output=True, text=True
    )


def test_learners_get_no_grading_code(learner: Path) -> None:
    (package, metadata) = sorted(learner.iterdir())
    assert (package.name, metadata.suffix) == ("cnncourse", ".dist-info")
    texts = {path.name: path.read_text() for path in package.rglob("*.py")}
    assert [name for name, text in texts.items() if "cnncourse_grader" in text] == []
    assert [name for name, text in texts.items() if "bwrap" in text] == []
    assert (package / "datasets/mnist/LICENSE").exists()


def test_instructors_get_everything_the_grader_reads(grader: Path) -> None:
    (package, metadata) = sorted(grader.iterdir())
    assert (package.name, metadata.suffix) == ("cnncourse_grader", ".dist-info")
    source = ROOT / "grader/cnncourse_grader"
    wanted = {path.relative_to(source) for path in source.rglob("*.*") if path.suffix != ".pyc"}
    assert {path.relative_to(package) for path in package.rglob("*.*")} == wanted
    assert (package / "autograder/run_autograder").exists()
    assert (metadata / "licenses/LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_commands_appear_when_both_are_installed(learner: Path, grader: Path) -> None:
    one, both = (call("--help", sites=sites).stdout for sites in ([learner], [learner, grader]))
    assert "train a network" in one
    assert "grade submissions" not in one
    assert "grade submissions" in both
    assert "write the archives" in both


def test_learners_are_told_what_to_install(learner: Path) -> None:
    assert "pip install" in call("grade", "submissions", sites=[learner]).stderr


def needs(project: Path) -> set[str]:
    """Return the names of what a project depends on."""
    data = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    return {Requirement(text).name for text in data["dependencies"]}


def test_a_notebook_gets_what_learners_install() -> None:
    assert needs(ROOT) <= set(world.PACKAGES)


def test_an_autograder_installs_what_the_grader_needs() -> None:
    assert needs(ROOT / "grader") == {"cnncourse", *release.NEEDS}


def test_the_grader_asks_for_the_course_of_its_own_age() -> None:
    ours, theirs = (
        tomllib.loads((ROOT / p / "pyproject.toml").read_text()) for p in ("grader", ".")
    )
    version = theirs["project"]["version"]
    assert ours["project"]["version"] == version
    assert f"cnncourse=={version}" in ours["project"]["dependencies"]
