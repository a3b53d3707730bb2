"""Keep the repository's owner and name in one place: `repository` in _config.yml.

    python -m tools.repository OWNER REPO     rewrite _config.yml and every copy of its address
    python -m tools.repository --check        name the copies that differ; exit 1 if there are any

Only files that git tracks are read and written. The setup cell installs the package from the branch
that `repository.branch` names, which is also the branch that the "open in Colab" buttons show: a
notebook and its package are of one age. A tag would be steadier, but before the first release there
is none, and the first cell would fail.

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

from tools.seal import seal

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "_config.yml"
OWNER = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}"
NAME = r"[\w-]+(?:\.(?!git\b)[\w-]+)*"
ADDRESS = re.compile(
    rf"(?:(?P<host>git\+https://github\.com/|google\.com/github/|github\.com/)(?P<owner>{OWNER})"
    # From the beginning of a word only: within a picture every letter would be tried otherwise.
    rf"|(?<![A-Za-z0-9-])(?P<site>{OWNER})\.github\.io)"
    rf"/(?P<name>{NAME})(?:(?P<at>@|/blob/)(?P<branch>[\w.-]+))?"
)
SETUP_CELL = """\
import sys
from importlib.util import find_spec

course = "cnncourse @ git+https://github.com/{owner}/{name}@{branch}"
if find_spec("cnncourse") is None and "google.colab" in sys.modules:
    %pip install --quiet "{{course}}"
    %pip install --quiet --no-deps d2l==1.0.3
elif find_spec("cnncourse") is None:
    print("The course is not installed here. Run these two lines in a cell:")
    print(f'%pip install "{{course}}"')
    print("%pip install --no-deps d2l==1.0.3")"""


class Repository(NamedTuple):
    """Where the course lives, and the branch its readers use."""

    owner: str
    name: str
    branch: str


def read_config(root: Path) -> Repository:
    """Read the address and the branch from _config.yml."""
    settings = yaml.safe_load((root / CONFIG).read_text("utf-8"))["repository"]
    match = re.fullmatch(rf"https://github\.com/({OWNER})/({NAME})", settings["url"])
    if match is None:
        raise ValueError(
            f"`repository.url` in {CONFIG} must be https://github.com/OWNER/REPO, "
            f"got {settings['url']!r}"
        )
    return Repository(match[1], match[2], settings["branch"])


def setup_cell(repository: Repository) -> str:
    """Return the first code cell of every notebook."""
    return SETUP_CELL.format(**repository._asdict())


def texts(root: Path) -> Iterator[tuple[Path, str]]:
    """Give every tracked text that may hold an address, _config.yml last."""
    command = ["git", "grep", "-lzI", "-e", "github"]
    found = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in sorted(filter(None, found.split("\0")), key=lambda name: name == CONFIG):
        yield root / name, (root / name).read_bytes().decode()


def rename(root: Path, owner: str, name: str) -> list[str]:
    """Rewrite every copy, then _config.yml; an interrupted run is finished by a second one."""
    if not re.fullmatch(OWNER, owner, re.ASCII):
        raise ValueError(f"`OWNER` must be the name of a GitHub account, got {owner!r}")
    if not re.fullmatch(NAME, name, re.ASCII) or name.endswith(".github.io"):
        raise ValueError(f"`REPO` must be the name of a repository, got {name!r}")
    old = read_config(root)
    changed = []
    for path, before in texts(root):
        after = readdressed(before, old, Repository(owner, name, old.branch))
        if after != before:
            after = resealed(after) if path.suffix == ".ipynb" else after
            path.write_bytes(after.encode())
            changed.append(path.relative_to(root).as_posix())
    return changed


def readdressed(text: str, old: Repository, new: Repository) -> str:
    """Replace every address of the old repository by the new one's."""

    def replace(match: re.Match[str]) -> str:
        if (match["owner"] or match["site"], match["name"]) != (old.owner, old.name):
            return match[0]
        start = f"{match['host']}{new.owner}" if match["host"] else f"{new.owner}.github.io"
        return f"{start}/{new.name}" + (f"{match['at']}{new.branch}" if match["at"] else "")

    return ADDRESS.sub(replace, text)


def resealed(text: str) -> str:
    """Renew the digest of a built notebook, so that the new address is not taken for an edit."""
    notebook = nbformat.reads(text, as_version=4)
    if "cnncourse" in notebook.metadata:
        seal(notebook)
    return nbformat.writes(notebook) + "\n"


def check(root: Path) -> list[str]:
    """Return file, line and address of every copy that differs from _config.yml."""
    repository = read_config(root)
    return [
        f"{path.relative_to(root).as_posix()}:{number}: {match[0]}"
        for path, text in texts(root)
        for number, line in enumerate(text.splitlines(), start=1)
        for match in ADDRESS.finditer(line)
        if is_wrong(match, repository)
    ]


def is_wrong(match: re.Match[str], ours: Repository) -> bool:
    """Tell whether an address is meant to be this repository's and is not.

    What Colab opens, pip installs or GitHub Pages shows is ours; so is a repository of our owner or
    of our name.
    """
    same_owner = (match["owner"] or match["site"]) == ours.owner
    same_name = match["name"] == ours.name
    if same_owner and same_name:
        return match["branch"] not in (None, ours.branch)
    return same_owner or same_name or match["host"] != "github.com/"


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
    options = parser.parse_args(arguments)
    if options.check:
        wrong = check(ROOT)
        print("\n".join(wrong) or f"every address is that of {CONFIG}")
        return 1 if wrong else 0
    if not options.name:
        parser.error("OWNER and REPO are needed, as in: make repository OWNER=me REPO=my-course")
    try:
        changed = rename(ROOT, options.owner, options.name)
    except ValueError as error:
        parser.error(str(error))
    print("\n".join(f"changed {file}" for file in changed) or "nothing to change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
