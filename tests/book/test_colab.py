"""The first cell of every notebook works in an environment like Colab's, and nowhere else acts.

It is one cell in all notebooks, so one kernel tries it: with a whole learner's notebook behind it,
the imports of all notebooks, the data and d2l. What the chapters compute, nbval compares.

Colab's versions of 2026-08-25 are installed into an environment under .cache/colab, which is kept
between runs (1.6 GB). Two things differ from Colab: torch is 2.13.0 for the CPU, because Colab's
2.11.0 with CUDA 12.8 brings several gigabytes, and Python is the one that runs the tests. What that
leaves open, Python 3.13 and torch 2.11.0, is checked on the metadata. The repository is this
working tree, served from a file: the package index is the only network it needs.

`make test-colab` runs what needs this environment, `make test` the rest.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
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
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tools.repository import read_config, setup_cell

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(ROOT.glob("book/*_*.ipynb"))
NOTEBOOKS = sorted([*ROOT.glob("book/**/*_*.ipynb"), *ROOT.glob("learn/*_*.ipynb")])

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
# Versions not recorded; safetensors comes with Colab's transformers.
PRESENT = ["beartype", "einops", "jupytext", "pooch", "requests", "safetensors", "tqdm"]
TORCHVISION = "torchvision==0.28.0"
# With what anywidget and jaxtyping need.
ADDED = {"anywidget", "cnncourse", "d2l", "jaxtyping", "psygnal", "wadler-lindig"}

# `google.colab` is loaded before the first cell there, and here unless OUTSIDE_COLAB is set.
LOAD_COLAB = "import os; os.environ.get('OUTSIDE_COLAB') or __import__('google.colab')\n"

USES_THE_PACKAGE = """\
from cnncourse.datasets import load_fashion_mnist, load_mnist
from cnncourse.reference import d2l

print(len(load_fashion_mnist().test.labels), len(load_mnist().test.labels), d2l.LeNet.__name__)"""

pytestmark = pytest.mark.timeout(1800)
in_colab = pytest.mark.colab


class Run(NamedTuple):
    """The cells of one notebook with their outputs, and the packages before and after them."""

    cells: list[nbformat.NotebookNode]
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


def site_packages(folder):
    (found,) = folder.glob("lib/python*/site-packages")
    return found


def packages(folder):
    installed = importlib.metadata.distributions(path=[str(site_packages(folder))])
    return {canonicalize_name(package.name): package.version for package in installed}


def install_base(folder):
    """Make the environment as Colab hands it over; base.json, written last, marks it complete."""
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    pip(folder, "install", "--quiet", "--upgrade", "pip")  # Python 3.11's refuses git+file:///
    pins = [f"{name}=={version}" for name, version in PINNED.items()]
    # Most of the files are never imported: Python compiles those that are.
    pip(folder, "install", "--quiet", "--no-compile", STANDS_IN_FOR_TORCH, *pins, *PRESENT)
    pip(folder, "install", "--quiet", "--no-compile", "--no-deps", TORCHVISION)
    place = site_packages(folder)
    (place / "google" / "colab").mkdir(parents=True)
    (place / "google" / "colab" / "__init__.py").touch()
    (place / "google_colab.pth").write_text(LOAD_COLAB)
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

    git("init", "--quiet", "--initial-branch", read_config(ROOT).branch)
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
        before = packages(colab)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", str(jupyter))
            # A failure is for the tests to show, together with what the cells before it printed.
            client = NotebookClient(
                notebook,
                kernel_name="colab",
                timeout=600,
                startup_timeout=600,
                allow_errors=True,
                resources={"metadata": {"path": content}},
            )
            client.execute(env={**environment, **variables})
        return Run(copies, before, packages(colab))

    return run


def code(source):
    return nbformat.v4.new_code_cell(source)


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def light_notebook():
    """Return the first learner's notebook that trains nothing for long."""
    light = (path for path in CHAPTERS if not any("heavy" in tags(c) for c in code_cells(path)))
    return ROOT / "learn" / next(light).name


def tags(cell):
    return cell.metadata.get("tags", [])


def import_statements(paths):
    """List every import of these notebooks, each once."""
    to_python = TransformerManager().transform_cell
    trees = [ast.parse(to_python(cell.source)) for path in paths for cell in code_cells(path)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return sorted({ast.unparse(n) for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)})


@pytest.fixture(scope="module")
def runs(execute, served):
    """Run the setup cell outside Colab; in Colab, with what learners do; and there once more."""
    setup = code(setup_cell(read_config(ROOT)))
    imports = code("\n".join(import_statements(NOTEBOOKS)))
    return {
        "address": served.as_uri(),
        "outside": execute([setup], OUTSIDE_COLAB="1"),
        "first": execute([*code_cells(light_notebook()), imports, code(USES_THE_PACKAGE)]),
        "again": execute([setup, code("import cnncourse")]),
    }


def find_errors(run):
    """List the cells that failed and were not meant to."""
    return [
        f"{cell.source}\n{output.ename}: {output.evalue}"
        for cell in run.cells
        for output in cell.outputs
        if output.output_type == "error" and "raises-exception" not in tags(cell)
    ]


@in_colab
def test_environment_has_the_versions_of_colab(colab):
    installed = packages(colab)
    assert {name: installed[name] for name in PINNED} == PINNED


@in_colab
def test_setup_cell_installs_nothing_outside_colab_and_says_what_to_install(runs):
    run = runs["outside"]
    (output,) = run.cells[0].outputs
    assert output.text.splitlines()[1:] == [
        f'%pip install "cnncourse @ git+{runs["address"]}@{read_config(ROOT).branch}"',
        "%pip install --no-deps d2l==1.0.3",
    ]
    assert run.after == run.before
    assert "cnncourse" not in run.after


@in_colab
def test_setup_cell_adds_the_course_and_replaces_nothing(runs):
    run = runs["first"]
    assert set(run.after) - set(run.before) == ADDED
    assert {name: run.after.get(name) for name in run.before} == run.before


@in_colab
def test_a_notebook_and_the_imports_of_all_work_after_the_setup_cell(runs):
    run = runs["first"]
    assert find_errors(run) == []
    assert run.cells[-1].outputs[0].text == "10000 10000 LeNet\n"


@in_colab
def test_setup_cell_installs_every_file_of_the_package(runs, served, colab):
    source, installed = served / "cnncourse", site_packages(colab) / "cnncourse"
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    there = {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()}
    assert wanted - there == set()


@in_colab
def test_setup_cell_does_nothing_the_second_time(runs):
    run = runs["again"]
    assert [cell.outputs for cell in run.cells] == [[], []]
    assert run.after == run.before


def test_imports_of_notebooks_are_found(tmp_path):
    cells = [code("%pip install x\nimport torch"), code("if True:\n    from a import b\n    !ls")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path := tmp_path / "1.ipynb")
    assert import_statements([path, path]) == ["from a import b", "import torch"]


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


def test_colab_lacks_two_packages_alone():
    assert refused(project()["dependencies"]) == ["anywidget", "jaxtyping"]


def test_a_bound_above_colab_is_seen():
    assert refused(["numpy>=2.2", "torch<2.11", "matplotlib>=3.9", "tqdm"]) == ["numpy", "torch"]


def test_package_accepts_the_python_of_colab():
    assert SpecifierSet(project()["requires-python"]).contains(COLAB_PYTHON)


@in_colab
def test_every_need_but_torch_has_a_wheel_for_the_python_of_colab(colab, tmp_path):
    needs = [need for need in project()["dependencies"] if Requirement(need).name != "torch"]
    target = ("--python-version", COLAB_PYTHON, "--only-binary", ":all:", "--target", str(tmp_path))
    printed = pip(colab, "install", "--dry-run", "--no-deps", *target, *needs)
    for need in needs:
        assert f" {Requirement(need).name}-" in printed.splitlines()[-1]
