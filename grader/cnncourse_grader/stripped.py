"""The part of the package that a submission may see: everything but the answers.

What stays is listed here, so a new module is hidden until someone decides otherwise. In the place
of a hidden module stands one whose functions can be imported and say, when called, why they are
not there: a notebook's import line then does not fail as a whole.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import cnncourse
from cnncourse_grader.lent import all_lent, cut

PACKAGE = Path(cnncourse.__file__).parent
SHOWN = (
    "_arguments.py",
    "animation/*.py",
    "animation/*.css",
    "animation/*.js",
    "claims.py",
    "plots/*.py",
    "training.py",
    "datasets/__init__.py",
    "checks/exercise.py",
    "checks/run.py",
    "checks/given/*.py",
    "checks/cells.py",
)
HIDDEN = '''"""Hidden while a notebook is graded, but for what its exercises build on."""

from __future__ import annotations


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    class Hidden:
        def __init__(self, *arguments, **options):
            raise NameError(f"cnncourse's {name} is not there while a notebook is graded")

    return Hidden
'''
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
    for pattern in SHOWN:
        for source in PACKAGE.glob(pattern):
            target = package / source.relative_to(PACKAGE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for data in data_folders():
        place = package / "datasets" / data.name
        shutil.copytree(data, place) if with_data else place.mkdir()
    _write_stand_ins(package)


def _write_stand_ins(package: Path) -> None:
    for path in PACKAGE.glob("*.py"):
        if not (package / path.name).exists():
            (package / path.name).write_text(_stand_in(path), encoding="utf-8")
    (package / "__init__.py").write_text(ROOT.format(version=cnncourse.__version__))
    (package / "checks/__init__.py").write_text(CHECKS)
    beside = package.with_name("cnncourse_grader")
    beside.mkdir()
    (beside / "__init__.py").write_text('"""What runs beside a submission."""\n')
    for name in ("inside.py", "wire.py"):
        shutil.copyfile(Path(__file__).with_name(name), beside / name)


def _stand_in(path: Path) -> str:
    """Write what stands for a hidden module: nothing of it, or the functions it lends."""
    module = f"cnncourse.{path.stem}."
    names = [name.removeprefix(module) for name in all_lent() if name.startswith(module)]
    return HIDDEN + (cut(path.read_text(encoding="utf-8"), names) if names else "")


def data_folders() -> list[Path]:
    """List the folders of shipped images."""
    return sorted(path.parent for path in (PACKAGE / "datasets").glob("*/LICENSE"))
