"""Keep the repository's owner and name in one place: `repository` in _config.yml.

    python -m tools.repository OWNER REPO     rewrite _config.yml and every copy of its address
    python -m tools.repository --check        name the copies that differ; exit 1 if there are any
    python -m tools.repository --setup-cell   print the first cell that every notebook carries

The setup cell installs the package from the branch that `repository.branch` names, which is also
the branch that the "open in Colab" buttons show: a notebook and its package are of one age. A tag
would be steadier, but before the first release there is none, and the first cell would fail.

Not handled: a repository named OWNER.github.io, whose site has no path.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import yaml

from tools.notebooks import read_text, seal

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "_config.yml"
# Files about this repository alone: every address in them is ours.
OWN_FILES = {CONFIG, "README.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml"}

OWNER = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}"
NAME = r"[\w-]+(?:\.[\w-]+)*"
ADDRESS = re.compile(
    rf"(?:(?P<host>git\+https://github\.com|colab\.research\.google\.com/github|github\.com)/"
    rf"(?P<owner>{OWNER})|(?P<pages>{OWNER})\.github\.io)/(?P<name>{NAME})"
    r"(?:(?P<before_ref>@|/blob/)(?P<ref>[\w.-]+))?"
)

SETUP_CELL = """\
import sys
from importlib.util import find_spec

if "google.colab" in sys.modules and find_spec("cnncourse") is None:
    %pip install --quiet "cnncourse @ git+https://github.com/{owner}/{name}@{ref}"
    %pip install --quiet --no-deps d2l==1.0.3"""


class Repository(NamedTuple):
    """Where the course lives, and the branch its readers use."""

    owner: str
    name: str
    ref: str


def check_names(owner: str, name: str) -> None:
    """Require what GitHub allows as the name of an account and of a repository."""
    if not re.fullmatch(OWNER, owner, re.ASCII) or len(owner) > 39:
        raise ValueError(
            f"`OWNER` must be 1 to 39 letters, digits or single inner hyphens, got {owner!r}"
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name) or not re.fullmatch(NAME, name, re.ASCII):
        raise ValueError(
            "`REPO` must be 1 to 100 letters, digits, hyphens, underscores or single inner dots, "
            f"got {name!r}"
        )
    if name.endswith(".git") or name.lower() == f"{owner}.github.io".lower():
        raise ValueError(f"`REPO` must not end in .git nor be {owner}.github.io, got {name!r}")


def read_config(root: Path) -> Repository:
    """Read the address and the branch from _config.yml."""
    repository = yaml.safe_load((root / CONFIG).read_text())["repository"]
    match = re.fullmatch(rf"https://github\.com/({OWNER})/({NAME})", repository["url"])
    if match is None:
        raise ValueError(
            f"`repository.url` in {CONFIG} must be https://github.com/OWNER/REPO, "
            f"got {repository['url']!r}"
        )
    return Repository(match[1], match[2], repository["branch"])


def text_files(root: Path) -> Iterator[Path]:
    """List the text files that git holds or would add, _config.yml last."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    names = sorted({name for name in listing.split("\0") if name} - {CONFIG})
    for path in (root / name for name in [*names, CONFIG]):
        if path.is_file() and is_text(path):
            yield path


def is_text(path: Path) -> bool:
    """Tell text from binary files as git does: by a zero among the first bytes."""
    with path.open("rb") as file:
        return b"\0" not in file.read(8192)


def read(path: Path) -> str:
    """Read a text with its line ends as they are."""
    return path.read_bytes().decode()


def address_of(match: re.Match[str]) -> tuple[str, str]:
    """Return owner and name of an address, without the .git of a clone's address."""
    return match["owner"] or match["pages"], match["name"].removesuffix(".git")


def is_wrong(match: re.Match[str], file: str, repository: Repository) -> bool:
    """Tell whether an address is meant to be this repository's and is not."""
    owner, name = address_of(match)
    if (owner, name) == (repository.owner, repository.name):
        return match["ref"] not in (None, repository.ref)
    opens_the_course = match["host"] not in (None, "github.com")
    return file in OWN_FILES or opens_the_course or name.lower() == repository.name.lower()


def wrong_addresses(root: Path, repository: Repository) -> Iterator[str]:
    """Name file, line and address of every copy that differs from _config.yml."""
    for path in text_files(root):
        file = path.relative_to(root).as_posix()
        for number, line in enumerate(read(path).splitlines(), start=1):
            for match in ADDRESS.finditer(line):
                if is_wrong(match, file, repository):
                    yield f"{file}:{number}: {match[0]}"


def setup_cell(repository: Repository) -> str:
    """Return the first code cell of every notebook."""
    return SETUP_CELL.format(**repository._asdict())


def wrong_setup_cells(root: Path, repository: Repository) -> Iterator[str]:
    """Name the chapters whose first code cell is not the setup cell, word for word."""
    for path in sorted((root / "book").glob("[0-9]*.*")):
        if path.suffix not in (".md", ".ipynb"):
            continue
        notebook = read_text(path) if path.suffix == ".md" else nbformat.read(path, as_version=4)
        first = next((cell.source for cell in notebook.cells if cell.cell_type == "code"), "")
        if first != setup_cell(repository):
            yield f"{path.relative_to(root).as_posix()}: the first code cell is not the setup cell"


def rewrite_text(text: str, old: Repository, new: Repository) -> str:
    """Replace every address of the old repository by the new one's."""

    def readdress(match: re.Match[str]) -> str:
        owner, name = address_of(match)
        if (owner.lower(), name.lower()) != (old.owner.lower(), old.name.lower()):
            return match[0]
        start = f"{match['host']}/{new.owner}" if match["host"] else f"{new.owner}.github.io"
        git = ".git" if match["name"].endswith(".git") else ""
        ref = f"{match['before_ref']}{new.ref}" if match["ref"] else ""
        return f"{start}/{new.name}{git}{ref}"

    return ADDRESS.sub(readdress, text)


def resealed(text: str) -> str:
    """Renew the digest of a built notebook, so that the new address is not taken for an edit."""
    notebook = nbformat.reads(text, as_version=4)
    if "cnncourse" in notebook.metadata:
        seal(notebook)
    return nbformat.writes(notebook) + "\n"


def write(path: Path, text: str) -> None:
    """Write a text in one step: a reader sees the old file or the new one."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(text.encode())
    partial.chmod(path.stat().st_mode)
    partial.replace(path)


def rename(root: Path, owner: str, name: str) -> list[str]:
    """Rewrite every copy, then _config.yml; an interrupted run is finished by a second one."""
    check_names(owner, name)
    old = read_config(root)
    new = Repository(owner, name, old.ref)
    changed = []
    for path in text_files(root):
        before = read(path)
        after = rewrite_text(before, old, new)
        if after != before:
            write(path, resealed(after) if path.suffix == ".ipynb" else after)
            changed.append(path.relative_to(root).as_posix())
    return changed


def check(root: Path) -> list[str]:
    """Return one line for every copy that differs from _config.yml."""
    repository = read_config(root)
    return [*wrong_addresses(root, repository), *wrong_setup_cells(root, repository)]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.repository",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("owner", nargs="?", metavar="OWNER", help="GitHub account")
    parser.add_argument("name", nargs="?", metavar="REPO", help="repository name")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if any differ")
    parser.add_argument("--setup-cell", action="store_true", help="print the notebooks' first cell")
    options = parser.parse_args(arguments)
    if options.setup_cell:
        print(setup_cell(read_config(ROOT)))
        return 0
    if options.check:
        return report_differences(check(ROOT))
    if options.name is None:
        parser.error("OWNER and REPO are needed, as in: make repository OWNER=me REPO=my-course")
    try:
        return report_changes(rename(ROOT, options.owner, options.name))
    except ValueError as error:
        parser.error(str(error))


def report_changes(changed: list[str]) -> int:
    """Name the files that were rewritten."""
    for file in changed:
        print(f"changed {file}")
    print(f"{len(changed)} files changed")
    return 0


def report_differences(problems: list[str]) -> int:
    """Name the copies that differ and the command that makes them equal."""
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} copies differ from `repository` in {CONFIG}: see CONTRIBUTING.md")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
