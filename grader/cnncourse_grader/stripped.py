"""The part of the package that a submission may see: everything but the answers.

What stays is listed here, so a new module is hidden until someone decides otherwise. In the place
of a hidden module stands one whose functions can be imported and say, when called, why they are
not there: a notebook's import line then does not fail as a whole.
"""

from __future__ import annotations

import pkgutil
import shutil
from pathlib import Path

import cnncourse
from cnncourse_grader import words

PACKAGE = Path(cnncourse.__file__).parent
# Modules, and folders with all that is in them.
SHOWN = (
    *("_arguments", "animation", "claims", "plots", "training", "datasets/__init__"),
    *("checks/cells", "checks/exercise", "checks/given", "checks/run"),
)
HIDDEN = '''"""Hidden while a notebook is graded."""

from __future__ import annotations


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    class Hidden:
        def __init__(self, *arguments, **options):
            raise NameError(f"WORDS")

    return Hidden
'''.replace("WORDS", words.HIDDEN)
ROOT = '''"""The course's package without its answers."""

__version__ = "{version}"

from cnncourse.checks import check, hint
'''
CHECKS = '''"""While a notebook is graded its checks say nothing; they note what they were given."""

handed_in = {}


class Report:
    """Looks like a passed check."""

    passed, score, feedback = True, 1.0, ""

    def __repr__(self):
        return ""


def check(name, answer=None, *, seed=0):
    handed_in[name] = answer
    return Report()


def hint(name):
    return Report()


def names():
    return []
'''


def write(folder: Path, with_data: bool) -> None:
    """Write the stripped package.

    Parameters
    ----------
    folder : Path
        Where ``cnncourse`` is made; exists, and holds none.
    with_data : bool
        Copy the shipped images. Otherwise empty folders stand where a sandbox mounts them.
    """
    package = folder / "cnncourse"
    for source in (path for name in SHOWN for path in files_of(name)):
        target = package / source.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for data in data_folders():
        place = package / "datasets" / data.name
        shutil.copytree(data, place) if with_data else place.mkdir()
    _write_stand_ins(package)


def files_of(name: str) -> list[Path]:
    """List the file of a module, or all files of a folder."""
    found = [PACKAGE / f"{name}.py", *sorted((PACKAGE / name).rglob("*"))]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def _write_stand_ins(package: Path) -> None:
    for _, name, _ in pkgutil.iter_modules([str(PACKAGE)]):
        if not (package / name).exists() and not (package / f"{name}.py").exists():
            (package / f"{name}.py").write_text(HIDDEN, encoding="utf-8")
    (package / "__init__.py").write_text(ROOT.format(version=cnncourse.__version__))
    (package / "checks/__init__.py").write_text(CHECKS)
    beside = package.with_name("cnncourse_grader")
    beside.mkdir()
    (beside / "__init__.py").write_text('"""What runs beside a submission."""\n')
    for name in ("inside.py", "wire.py"):
        shutil.copyfile(Path(__file__).with_name(name), beside / name)


def data_folders() -> list[Path]:
    """List the folders of shipped images."""
    return sorted(path.parent for path in (PACKAGE / "datasets").glob("*/LICENSE"))
