"""Owner, name and licences agree everywhere; the workflows pass linters that can fail."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from tools import repository, seal
from tools.notebooks import KERNEL
from tools.repository import Repository, check, read_config, rename, setup_cell

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
WORKFLOWS = ROOT / ".github" / "workflows"
CURRENT = read_config(ROOT)
OLD = f"{CURRENT.owner}/{CURRENT.name}"
NEW = Repository("Ada-Lovelace", "engine.notes_2", CURRENT.branch)
# Files that a reader of the repository meets before the book: each has an address of ours.
FURNITURE = ["_config.yml", "README.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml"]


def run(*command, cwd=ROOT):
    """Run a program; return its exit status and everything it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.fixture
def tree(tmp_path):
    """Copy the files that git tracks here and that name the repository into one of its own."""
    for path, text in repository.texts(ROOT):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (tmp_path / "foreign.md").write_text("https://github.com/zalandoresearch/fashion-mnist\n")
    run("git", "init", "--quiet", cwd=tmp_path)
    run("git", "add", "--all", cwd=tmp_path)
    return tmp_path


def contents(tree):
    return {path: path.read_bytes() for path in tree.rglob("*.*") if path.is_file()}


# Owner and name


def test_check_passes_here():
    assert check(ROOT) == []


def test_rename_reaches_every_copy_and_nothing_else(tree):
    before = contents(tree)
    (tree / "untracked.md").write_text(f"https://github.com/{OLD}\n")
    changed = rename(tree, NEW.owner, NEW.name)
    assert {*FURNITURE, "book/03_cross_correlation.ipynb"} <= set(changed)
    assert read_config(tree) == NEW
    assert check(tree) == []
    differ = {
        path.relative_to(tree).as_posix() for path in before if path.read_bytes() != before[path]
    }
    assert differ - {".git/index"} == set(changed)
    assert f"{CURRENT.owner}.github.io/" not in (tree / "README.md").read_text()
    assert OLD not in "".join((tree / file).read_text() for file in changed)


def test_rename_and_back_gives_the_same_bytes(tree):
    before = contents(tree)
    assert rename(tree, NEW.owner, NEW.name)
    assert rename(tree, NEW.owner, NEW.name) == []
    assert rename(tree, CURRENT.owner, CURRENT.name)
    assert contents(tree) == before


def test_rename_finishes_an_interrupted_run(tree):
    config = (tree / "_config.yml").read_bytes()
    rename(tree, NEW.owner, NEW.name)
    (tree / "_config.yml").write_bytes(config)
    edit(tree / "README.md", f"{NEW.owner}/{NEW.name}", OLD)
    assert rename(tree, NEW.owner, NEW.name) == ["README.md", "_config.yml"]
    assert check(tree) == []


def test_rename_keeps_notebooks_sealed_with_the_new_setup_cell(tree):
    rename(tree, NEW.owner, NEW.name)
    for path in (tree / "book").glob("[0-9]*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        assert notebook.metadata["cnncourse"]["digest"] == seal.digest(notebook)
        assert notebook.cells[1].source == setup_cell(NEW)


def test_rename_follows_the_branch_of_config(tree):
    edit(tree / "_config.yml", f"branch: {CURRENT.branch}", "branch: v1")
    assert any("/blob/main" in line for line in check(tree))
    rename(tree, CURRENT.owner, CURRENT.name)
    assert check(tree) == []
    assert "/blob/v1/" in (tree / "README.md").read_text()


@pytest.mark.parametrize(
    ("file", "start", "end", "other"),
    [
        ("CITATION.cff", "github.com/", OLD, f"elsewhere/{CURRENT.name}"),
        ("CITATION.cff", "github.com/", OLD, f"{CURRENT.owner}/elsewhere"),
        ("README.md", "google.com/github/", OLD, "else/where"),
        ("README.md", "https://", f"{CURRENT.owner}.github.io", "elsewhere.github.io"),
        ("book/instructors/assign.md", "git+https://github.com/", OLD, "else/where"),
    ],
)
def test_check_names_file_and_line_of_a_changed_copy(tree, file, start, end, other):
    edit(tree / file, start + end, start + other)
    lines = (tree / file).read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if start + other in line)
    (problem,) = check(tree)
    assert problem.startswith(f"{file}:{number}: ")


@pytest.mark.parametrize(
    ("owner", "name", "argument"),
    [
        ("", "course", "OWNER"),
        ("-ada", "course", "OWNER"),
        ("ada--l", "course", "OWNER"),
        ("a" * 40, "course", "OWNER"),
        ("ada/b", "course", "OWNER"),
        ("ada\n", "course", "OWNER"),
        ("ada", "", "REPO"),
        ("ada", "..", "REPO"),
        ("ada", "my course", "REPO"),
        ("ada", "course.git", "REPO"),
        ("ada", "Kursé", "REPO"),
        ("ada", "ada.github.io", "REPO"),
    ],
)
def test_rename_rejects_bad_names_and_changes_nothing(tree, owner, name, argument):
    before = contents(tree)
    with pytest.raises(ValueError, match=f"`{argument}` must") as caught:
        rename(tree, owner, name)
    assert repr(name if argument == "REPO" else owner) in str(caught.value)
    assert contents(tree) == before


def test_command_line_renames_and_checks(tree, monkeypatch, capsys):
    monkeypatch.setattr(repository, "ROOT", tree)
    assert repository.main([NEW.owner, NEW.name]) == 0
    assert "changed README.md\n" in capsys.readouterr().out
    assert repository.main(["--check"]) == 0
    edit(tree / "README.md", NEW.owner, "elsewhere")
    assert repository.main(["--check"]) == 1
    assert "README.md:" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["ada"], ["ada", ""], ["", ""], ["ada", "a b"]])
def test_command_line_asks_for_both_names(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        repository.main(arguments)
    assert "REPO" in capsys.readouterr().err


def test_config_without_a_plain_address_is_refused(tree):
    edit(tree / "_config.yml", f"https://github.com/{OLD}", "https://example.org/course")
    with pytest.raises(ValueError, match=r"`repository\.url` in _config\.yml must be"):
        check(tree)


# The setup cell


def test_setup_cell_installs_the_pinned_d2l():
    pins = [
        line.split("#")[0].strip()
        for line in (ROOT / "requirements-nodeps.txt").read_text().splitlines()
    ]
    assert {pin for pin in pins if pin} == set(re.findall(r"d2l==[\d.]+", setup_cell(CURRENT)))


def test_setup_cell_passes_ruff_in_a_notebook(tmp_path):
    path = tmp_path / "sample.ipynb"
    cell = nbformat.v4.new_code_cell(setup_cell(CURRENT))
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": KERNEL}), path)
    config = ("--config", str(ROOT / "pyproject.toml"))
    for command in (["check"], ["format", "--check"]):
        status, printed = run(str(BIN / "ruff"), *command, *config, str(path))
        assert status == 0, printed


# Workflows


SCHEMAS = [
    [BIN / "check-jsonschema", "--builtin-schema", name]
    for name in ("vendor.github-workflows", "custom.github-workflows-require-timeout")
]
AUDIT = [BIN / "zizmor", "--offline", "--persona", "pedantic"]


def lint(folder, linters):
    """Run linters on the workflows of a folder; return what they found, or an empty text."""
    files = sorted(folder.glob("*.yml"))
    results = [run(*map(str, [*linter, *files]), cwd=folder) for linter in linters]
    return "".join(printed for status, printed in results if status != 0)


@pytest.fixture
def broken(tmp_path):
    """Copy the workflows to a place where a test may break them."""
    return shutil.copytree(WORKFLOWS, tmp_path / ".github" / "workflows")


def test_workflows_pass_their_linters():
    assert lint(WORKFLOWS, [*SCHEMAS, AUDIT]) == ""


def test_schemas_see_a_misspelt_key_and_a_missing_time_limit(broken):
    edit(broken / "ci.yml", "runs-on: ubuntu", "runs_on: ubuntu")
    edit(broken / "publish.yml", "timeout-minutes: 90", "continue-on-error: false")
    found = lint(broken, SCHEMAS)
    assert "$.jobs.test: 'runs-on' is a required property" in found
    assert "$.jobs.build: 'timeout-minutes' is a required property" in found


def test_audit_sees_every_breach(broken):
    for old, new in {
        "@df4cb1c069e1874edd31b4311f1884172cec0e10 # v6.0.3": "@v6",
        "permissions:\n  contents: read": "permissions: write-all",
        "  pull_request:\n": "  pull_request_target:\n",
        "persist-credentials: false": "fetch-depth: 1",
        "run: make book": "run: echo '${{ github.head_ref }}'; make book",
    }.items():
        edit(broken / "ci.yml", old, new)
    found = lint(broken, [AUDIT])
    breaches = {
        "unpinned-uses",
        "excessive-permissions",
        "dangerous-triggers",
        "artipacked",
        "template-injection",
    }
    assert {breach for breach in breaches if f"[{breach}]" in found} == breaches


def workflows():
    return {path.name: yaml.safe_load(path.read_text()) for path in WORKFLOWS.glob("*.yml")}


def triggers(workflow):
    return workflow[True]  # YAML 1.1 reads the key `on` as true


def test_workflows_are_the_three_of_the_design():
    assert sorted(workflows()) == ["ci.yml", "gpu.yml", "publish.yml"]


def test_actions_are_pinned_with_one_commit_and_its_version():
    text = "".join(path.read_text() for path in WORKFLOWS.glob("*.yml"))
    uses = re.findall(r"uses: (.*)", text)
    pins = {re.fullmatch(r"(\S+)@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses}
    assert uses
    assert None not in pins
    assert len(set(uses)) == len({use.split("@")[0] for use in uses}), "one action, two versions"


def test_gpu_job_starts_only_where_a_runner_is_named():
    workflow = workflows()["gpu.yml"]
    assert set(triggers(workflow)) == {"schedule", "workflow_dispatch", "pull_request"}
    assert triggers(workflow)["pull_request"] == {"types": ["labeled"]}
    for job in workflow["jobs"].values():
        assert job["if"].startswith("vars.GPU_RUNNER != '' && (")
        assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
        assert job["runs-on"] == "${{ vars.GPU_RUNNER }}"


def test_only_the_deployment_may_write():
    for name, workflow in workflows().items():
        assert workflow["permissions"] == {"contents": "read"}, name
    writers = {
        (name, job): content["permissions"]
        for name, workflow in workflows().items()
        for job, content in workflow["jobs"].items()
        if "permissions" in content
    }
    assert writers == {("publish.yml", "deploy"): {"pages": "write", "id-token": "write"}}


def test_ci_covers_the_promised_pythons_and_a_cold_run():
    workflow = workflows()["ci.yml"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lowest = project["requires-python"].removeprefix(">=")
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == [lowest, "3.13"]
    assert "schedule" in triggers(workflow)
    used = {
        step["with"]["python-version"]
        for content in workflows().values()
        for job in content["jobs"].values()
        for step in job["steps"]
        if "python-version" in step.get("with", {})
    }
    assert used == {"${{ matrix.python }}", lowest}


def test_commands_of_the_workflows_exist():
    makefile = (ROOT / "Makefile").read_text()
    text = "".join(path.read_text() for path in WORKFLOWS.glob("*.yml"))
    targets = set(re.findall(r"\bmake ([\w./-]+)", text))
    assert targets
    for target in targets:
        name = target.replace(".venv", "$(VENV)")
        assert f"\n{name}:" in makefile, f"the Makefile has no target {target}"


# Licences, citation, hooks


def test_citation_is_valid_and_a_broken_one_is_seen(tmp_path):
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.citation-file-format"]
    status, printed = run(*command, str(ROOT / "CITATION.cff"))
    assert status == 0, printed
    shutil.copy(ROOT / "CITATION.cff", tmp_path)
    edit(tmp_path / "CITATION.cff", "authors:", "writers:")
    assert run(*command, str(tmp_path / "CITATION.cff"))[0] == 1


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("LICENSE", "MIT License"),
        ("LICENSE-text", "Section 8 – Interpretation."),
        ("cnncourse/datasets/fashion_mnist/LICENSE", "Zalando SE"),
        ("cnncourse/datasets/mnist/LICENSE", "creativecommons.org/licenses/by-sa/3.0/"),
    ],
)
def test_licences_are_there(file, words):
    assert words in (ROOT / file).read_text()


def test_the_hook_is_make_check_and_downloads_nothing():
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (hook,) = local["hooks"]
    assert (local["repo"], hook["language"], hook["entry"]) == ("local", "system", "make check")


def test_relative_links_of_the_furniture_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md"):
        text = re.sub(r"`[^`]*`", "", (ROOT / name).read_text())
        targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        missing = [target for target in targets if not (ROOT / target).exists()]
        assert missing == [], name
