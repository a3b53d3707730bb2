"""The first cell of every notebook works in an environment like Colab's, and nowhere else acts.

Colab's versions of 2026-08-25 are installed into an environment under .cache/colab, which is kept
between runs (1.6 GB). Two things differ from Colab: torch is 2.13.0 for the CPU, because Colab's
2.11.0 with CUDA 12.8 brings several gigabytes, and Python is the one that runs the tests. What that
leaves open, Python 3.13 and torch 2.11.0, is checked on the metadata. The repository is this
working tree, served from a file: the package index is the only network it needs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tools.repository import read_config, setup_cell

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "book").glob("[0-9]*.ipynb"))

COLAB_PYTHON = "3.13"
PINNED = {
    "numpy": "2.1.3",
    "matplotlib": "3.10.0",
    "pandas": "2.2.3",
    "scipy": "1.16.3",
    "ipython": "7.34.0",
    "ipykernel": "6.17.1",
    "ipywidgets": "7.7.1",
}
COLAB_TORCH = "2.11.0"
STANDS_IN_FOR_TORCH = "torch==2.13.0"
PRESENT = ["beartype", "einops", "jupytext", "pooch", "requests", "tqdm"]  # versions not recorded
TORCHVISION = "torchvision==0.28.0"
ADDED = {"cnncourse", "d2l", "jaxtyping", "wadler-lindig"}  # jaxtyping needs the last

# `google.colab` is loaded before the first cell there, and here unless OUTSIDE_COLAB is set.
LOAD_COLAB = "import os; os.environ.get('OUTSIDE_COLAB') or __import__('google.colab')\n"

USES_THE_PACKAGE = """\
from cnncourse.datasets import load_fashion_mnist, load_mnist
from cnncourse.reference import d2l

print(len(load_fashion_mnist().test.labels), len(load_mnist().test.labels), d2l.LeNet.__name__)"""

pytestmark = pytest.mark.timeout(1800)


class Run(NamedTuple):
    """What one notebook printed, and the packages before and after it."""

    outputs: list[list[nbformat.NotebookNode]]
    before: dict[str, str]
    after: dict[str, str]


def pip(folder, *arguments):
    """Run the pip of an environment; say what is missing if it fails."""
    command = [folder / "bin" / "python", "-m", "pip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        pytest.fail(
            f"pip {' '.join(arguments)} failed; this test needs the package index:\n"
            f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def packages(folder):
    listing = json.loads(pip(folder, "list", "--format", "json"))
    return {canonicalize_name(package["name"]): package["version"] for package in listing}


def install_base(folder):
    """Make the environment as Colab hands it over; base.json, written last, marks it complete."""
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    pip(folder, "install", "--quiet", "--upgrade", "pip")  # Python 3.11's refuses git+file:///
    pins = [f"{name}=={version}" for name, version in PINNED.items()]
    pip(folder, "install", "--quiet", STANDS_IN_FOR_TORCH, *pins, *PRESENT)
    pip(folder, "install", "--quiet", "--no-deps", TORCHVISION)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "google" / "colab").mkdir(parents=True)
    (site_packages / "google" / "colab" / "__init__.py").touch()
    (site_packages / "google_colab.pth").write_text(LOAD_COLAB)
    (folder / "base.json").write_text(json.dumps(packages(folder)))


def restore_base(folder):
    """Take out what an earlier run added; build anew what cannot be restored so."""
    if not (folder / "base.json").exists():
        return install_base(folder)
    base = json.loads((folder / "base.json").read_text())
    if added := sorted(set(packages(folder)) - set(base)):
        pip(folder, "uninstall", "--quiet", "--yes", *added)
    return None if packages(folder) == base else install_base(folder)


@pytest.fixture(scope="module")
def colab():
    """Return the folder of the environment, as Colab hands it over."""
    # A change of any of these makes a new environment.
    contents = [STANDS_IN_FOR_TORCH, TORCHVISION, *PRESENT, str(PINNED), LOAD_COLAB, sys.version]
    key = hashlib.sha256("\n".join(contents).encode()).hexdigest()[:12]
    folder = ROOT / ".cache" / "colab" / key
    restore_base(folder)
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Commit the working tree as it is, uncommitted changes too, to a repository of its own."""
    folder = tmp_path_factory.mktemp("served")

    def git(*arguments, cwd=folder):
        command = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *arguments]
        return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet", "--initial-branch", read_config(ROOT).ref)
    listing = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():  # not a file deleted since the last commit
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git("add", "--all")
    git("commit", "--quiet", "--message", "The working tree")
    return folder


@pytest.fixture(scope="module")
def execute(colab, served, tmp_path_factory):
    """Return a function that runs cells in a fresh kernel of the environment."""
    jupyter = tmp_path_factory.mktemp("jupyter")
    content = tmp_path_factory.mktemp("content")
    (jupyter / "kernels" / "colab").mkdir(parents=True)
    python = str(colab / "bin" / "python")
    argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Colab", "language": "python"}
    (jupyter / "kernels" / "colab" / "kernel.json").write_text(json.dumps(spec))
    here = read_config(ROOT)
    address = f"https://github.com/{here.owner}/{here.name}"
    unwanted = {"PYTHONPATH", "VIRTUAL_ENV", "MPLBACKEND"}
    environment = {k: v for k, v in os.environ.items() if k not in unwanted}
    environment["IPYTHONDIR"] = str(content / ".ipython")

    def run(cells, **variables):
        copies = [nbformat.v4.new_code_cell(c.source, metadata=c.metadata) for c in cells]
        for cell in copies:
            cell.source = cell.source.replace(address, served.as_uri())
        notebook = nbformat.v4.new_notebook(cells=copies)
        resources = {"metadata": {"path": content}}
        before = packages(colab)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", str(jupyter))
            client = NotebookClient(notebook, kernel_name="colab", timeout=600, resources=resources)
            client.execute(env={**environment, **variables})
        return Run([cell.outputs for cell in copies], before, packages(colab))

    return run


@pytest.fixture(scope="module")
def runs(execute):
    """Run the setup cell outside Colab, in Colab, and there again; then use the package."""
    setup = nbformat.v4.new_code_cell(setup_cell(read_config(ROOT)))
    # A failure in this cell is for the tests to show, together with what the first cell printed.
    use = nbformat.v4.new_code_cell(USES_THE_PACKAGE, metadata={"tags": ["raises-exception"]})
    outside = execute([setup], OUTSIDE_COLAB="1")
    first = execute([setup, use])
    return {"outside": outside, "first": first, "again": execute([setup, use])}


def test_environment_has_the_versions_of_colab(colab):
    installed = packages(colab)
    assert {name: installed[name] for name in PINNED} == PINNED


def test_setup_cell_does_nothing_outside_colab(runs):
    run = runs["outside"]
    assert run.outputs == [[]]
    assert run.after == run.before
    assert "cnncourse" not in run.after


def test_setup_cell_adds_the_course_and_replaces_nothing(runs):
    run = runs["first"]
    assert set(run.after) - set(run.before) == ADDED, run.outputs
    assert {name: run.after.get(name) for name in run.before} == run.before


def test_package_works_right_after_the_setup_cell(runs):
    for name in ("first", "again"):
        printed = "".join(output.get("text", "") for output in runs[name].outputs[1])
        assert printed == "10000 10000 LeNet\n", runs[name].outputs


def test_setup_cell_does_nothing_the_second_time(runs):
    run = runs["again"]
    assert run.outputs[0] == []
    assert run.after == run.before


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_light_cells_of_the_chapter_run(path, runs, execute):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    light = [cell for cell in cells if "heavy" not in cell.metadata.get("tags", [])]
    run = execute(light)
    assert run.outputs[0] == []
    assert run.after == runs["first"].after


# What the environment cannot show: Colab's Python and torch, from the metadata.


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def refused(requirements):
    """List the requirements that would replace what Colab has, or that it lacks."""
    has = {**PINNED, "torch": COLAB_TORCH, **dict.fromkeys(PRESENT)}
    found = []
    for requirement in map(Requirement, requirements):
        version = has.get(requirement.name, "absent")
        if version == "absent" or (version and not requirement.specifier.contains(version)):
            found.append(requirement.name)
    return found


def test_colab_lacks_jaxtyping_alone():
    assert refused(project()["dependencies"]) == ["jaxtyping"]


def test_a_bound_above_colab_is_seen():
    assert refused(["numpy>=2.2", "torch<2.11", "matplotlib>=3.9", "tqdm"]) == ["numpy", "torch"]


def test_package_accepts_the_python_of_colab():
    assert SpecifierSet(project()["requires-python"]).contains(COLAB_PYTHON)


def test_every_need_but_torch_has_a_wheel_for_the_python_of_colab(colab, tmp_path):
    needs = [need for need in project()["dependencies"] if Requirement(need).name != "torch"]
    target = ("--python-version", COLAB_PYTHON, "--only-binary", ":all:", "--target", str(tmp_path))
    printed = pip(colab, "install", "--dry-run", "--no-deps", *target, *needs)
    for need in needs:
        assert f" {Requirement(need).name}-" in printed.splitlines()[-1]
