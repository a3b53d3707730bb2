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

from tools import notebooks, repository
from tools.notebooks import KERNEL
from tools.repository import Repository, check, read_config, rename, setup_cell, text_files

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
WORKFLOWS = ROOT / ".github" / "workflows"
CURRENT = read_config(ROOT)
OLD = f"{CURRENT.owner}/{CURRENT.name}"
NEW = Repository("Ada-Lovelace", "engine.notes_2", CURRENT.ref)


def run(*command, cwd=ROOT):
    """Run a program; return its exit status and everything it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def write_chapter(root, cell):
    """Write a small sealed chapter, text and notebook, that begins with this cell."""
    text = root / "book" / "98_sample.md"
    text.write_text(
        "---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\n"
        f"---\n\n# A sample\n\n```{{code-cell}}\n{cell}\n```\n"
    )
    notebook = notebooks.read_text(text)
    notebooks.seal(notebook)
    notebooks.write(notebook, text.with_suffix(".ipynb"))


@pytest.fixture
def tree(tmp_path):
    """Copy every text file of this checkout into a repository of its own, with one more chapter."""
    for path in text_files(ROOT):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    run("git", "init", "--quiet", cwd=tmp_path)
    write_chapter(tmp_path, setup_cell(CURRENT))
    return tmp_path


# Owner and name


def test_check_passes_here():
    assert check(ROOT) == []


@pytest.mark.parametrize("file", sorted(repository.OWN_FILES))
def test_every_own_file_holds_a_copy(file):
    assert repository.ADDRESS.search((ROOT / file).read_text()), f"{file} has no address to rename"


def test_rename_reaches_every_copy(tree):
    changed = rename(tree, NEW.owner, NEW.name)
    assert read_config(tree) == NEW
    assert {*repository.OWN_FILES, "book/98_sample.md", "book/98_sample.ipynb"} <= set(changed)
    assert check(tree) == []
    left = [path for path in text_files(tree) if OLD in path.read_text()]
    assert left == []
    assert not [p for p in text_files(tree) if f"{CURRENT.owner}.github.io" in p.read_text()]


def test_rename_and_back_gives_the_same_bytes(tree):
    before = {path: path.read_bytes() for path in text_files(tree)}
    rename(tree, NEW.owner, NEW.name)
    rename(tree, CURRENT.owner, CURRENT.name)
    assert {path: path.read_bytes() for path in text_files(tree)} == before


def test_rename_twice_changes_nothing_more(tree):
    assert rename(tree, NEW.owner, NEW.name)
    assert rename(tree, NEW.owner, NEW.name) == []


def test_rename_finishes_an_interrupted_run(tree):
    config = (tree / "_config.yml").read_bytes()
    rename(tree, NEW.owner, NEW.name)
    (tree / "_config.yml").write_bytes(config)
    edit(tree / "README.md", f"{NEW.owner}/{NEW.name}", OLD)
    assert rename(tree, NEW.owner, NEW.name) == ["README.md", "_config.yml"]
    assert check(tree) == []


def test_rename_keeps_notebooks_sealed_and_current(tree):
    rename(tree, NEW.owner, NEW.name)
    for path in (tree / "book").glob("[0-9]*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        assert notebook.metadata["cnncourse"]["digest"] == notebooks.digest(notebook)
    assert notebooks.is_current(tree / "book" / "98_sample.md")


def test_rename_leaves_other_repositories_alone(tree):
    foreign = "See https://github.com/zalandoresearch/fashion-mnist for the data.\n"
    (tree / "book" / "note.md").write_text(foreign)
    rename(tree, NEW.owner, NEW.name)
    assert (tree / "book" / "note.md").read_text() == foreign
    assert check(tree) == []


def test_rename_follows_the_branch_of_config(tree):
    edit(tree / "_config.yml", f"branch: {CURRENT.ref}", "branch: v1")
    assert any("98_sample.md" in problem for problem in check(tree))
    rename(tree, CURRENT.owner, CURRENT.name)
    assert check(tree) == []
    assert "@v1" in (tree / "book" / "98_sample.md").read_text()


@pytest.mark.parametrize(
    "file", ["README.md", "CITATION.cff", "CONTRIBUTING.md", "pyproject.toml", "book/98_sample.md"]
)
@pytest.mark.parametrize("changed", ["elsewhere/{0.name}", "{0.owner}/elsewhere", "else/where"])
def test_check_names_file_and_line_of_a_changed_copy(tree, file, changed):
    edit(tree / file, f"github.com/{OLD}", f"github.com/{changed.format(CURRENT)}")
    lines = (tree / file).read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if changed.format(CURRENT) in line)
    assert any(problem.startswith(f"{file}:{number}: ") for problem in check(tree))


def test_check_names_a_changed_site_address(tree):
    edit(tree / "README.md", f"{CURRENT.owner}.github.io", "elsewhere.github.io")
    assert any("elsewhere.github.io" in problem for problem in check(tree))


def test_check_names_a_notebook_whose_setup_cell_is_not_first(tree):
    write_chapter(tree, "import torch")
    assert [problem.split(":")[0] for problem in check(tree)] == [
        "book/98_sample.ipynb",
        "book/98_sample.md",
    ]


@pytest.mark.parametrize(
    ("owner", "name", "argument"),
    [
        ("", "course", "OWNER"),
        ("-ada", "course", "OWNER"),
        ("ada-", "course", "OWNER"),
        ("ada--l", "course", "OWNER"),
        ("a" * 40, "course", "OWNER"),
        ("ada/b", "course", "OWNER"),
        ("ada_l", "course", "OWNER"),
        ("ada\n", "course", "OWNER"),
        ("ada", "", "REPO"),
        ("ada", "..", "REPO"),
        ("ada", "my course", "REPO"),
        ("ada", "course.git", "REPO"),
        ("ada", "Kursé", "REPO"),
        ("ada", "a" * 101, "REPO"),
        ("Ada", "ada.github.io", "REPO"),
    ],
)
def test_rename_rejects_bad_names_and_changes_nothing(tree, owner, name, argument):
    before = {path: path.read_bytes() for path in text_files(tree)}
    with pytest.raises(ValueError, match=f"`{argument}` must") as caught:
        rename(tree, owner, name)
    assert repr(name if argument == "REPO" else owner) in str(caught.value)
    assert {path: path.read_bytes() for path in text_files(tree)} == before


@pytest.mark.parametrize("owner", ["a", "a" * 39, "a-b-c", "7"])
@pytest.mark.parametrize("name", ["b", "b" * 100, "cnn.2026", "_b-"])
def test_rename_accepts_what_github_allows(owner, name):
    repository.check_names(owner, name)


def test_command_line_renames_and_checks(tree):
    command = [sys.executable, "-m", "tools.repository"]
    status, printed = run(*command, NEW.owner, NEW.name, cwd=tree)
    assert status == 0, printed
    assert "changed README.md\n" in printed
    edit(tree / "README.md", NEW.owner, "elsewhere")
    status, printed = run(*command, "--check", cwd=tree)
    assert status == 1
    assert "README.md:" in printed


def test_command_line_prints_the_setup_cell(capsys):
    assert repository.main(["--setup-cell"]) == 0
    assert capsys.readouterr().out == setup_cell(CURRENT) + "\n"


@pytest.mark.parametrize("arguments", [[], ["ada"], ["ada", ""], ["", ""]])
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
    assert [pin for pin in pins if pin] == re.findall(r"d2l==\S+", setup_cell(CURRENT))


def test_setup_cell_passes_ruff_in_a_notebook(tmp_path):
    path = tmp_path / "sample.ipynb"
    cell = nbformat.v4.new_code_cell(setup_cell(CURRENT))
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": KERNEL}), path)
    config = ("--config", str(ROOT / "pyproject.toml"))
    for command in (["check"], ["format", "--check"]):
        status, printed = run(str(BIN / "ruff"), *command, *config, str(path))
        assert status == 0, printed


# Workflows


def lint(folder):
    """Run the linters on the workflows of a folder; return what they found, or an empty text."""
    files = sorted(str(path) for path in folder.glob("*.yml"))
    schemas = ("vendor.github-workflows", "custom.github-workflows-require-timeout")
    commands = [[BIN / "check-jsonschema", "--builtin-schema", name, *files] for name in schemas]
    commands.append([BIN / "zizmor", "--offline", "--persona", "pedantic", *files])
    results = [run(*map(str, command), cwd=folder) for command in commands]
    return "".join(printed for status, printed in results if status != 0)


@pytest.fixture
def broken(tmp_path):
    """Copy the workflows to a place where a test may break them."""
    return shutil.copytree(WORKFLOWS, tmp_path / ".github" / "workflows")


def test_workflows_pass_their_linters():
    assert lint(WORKFLOWS) == ""


def test_schemas_see_a_misspelt_key_and_a_missing_time_limit(broken):
    edit(broken / "ci.yml", "runs-on: ubuntu", "runs_on: ubuntu")
    edit(broken / "publish.yml", "timeout-minutes: 90", "continue-on-error: false")
    found = lint(broken)
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
    found = lint(broken)
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
    targets = set(re.findall(r"\bmake ([\w./]+)", text))
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


def test_hooks_are_local():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [entry["repo"] for entry in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        assert (BIN / Path(hook["entry"].split()[0]).name).exists(), hook["entry"]


def test_relative_links_of_the_furniture_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md"):
        targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / name).read_text())
        missing = [target for target in targets if not (ROOT / target).exists()]
        assert missing == [], name
