"""The part of the package that a submission may see: everything but the answers.

What stays is listed beside the public check, which refuses an answer that calls anything else; so
a new module is hidden until someone decides otherwise, and a check and a grade agree. In the place
of a hidden module stands one whose functions can be imported and say, when called, why they are
not there: a notebook's import line then does not fail as a whole.
"""

from __future__ import annotations

import gzip
import pkgutil
import shutil
from pathlib import Path

import cnncourse
from cnncourse import checks
from cnncourse.checks.run import HELPERS
from cnncourse_grader import words

PACKAGE = Path(cnncourse.__file__).parent
# Models are judged on these pictures: in the sandbox all their labels are 0.
NO_LABELS = "datasets/fashion_mnist/t10k-labels-idx1-ubyte.gz"
HEADER = 8  # bytes
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

from cnncourse.checks.report import Report

handed_in = {}


def attempt(name, answer):
    """Stands here until the runner puts its own in place."""


def check(name, answer, *, seed=0):
    handed_in[name] = answer
    attempt(name, answer)
    return Report(name, cases=1, right=1)


def hint(name):
    return ""


def names():
    return NAMES
'''


def write(folder: Path, with_data: bool) -> None:
    """Write the stripped package.

    Parameters
    ----------
    folder : Path
        Where ``cnncourse`` is made; exists, and holds none.
    with_data : bool
        Copy the shipped images. Otherwise empty files stand where a sandbox mounts them.
    """
    package = folder / "cnncourse"
    for source in (path for name in HELPERS for path in files_of(name)):
        target = package / source.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    _lay_out_data(package, with_data)
    _write_stand_ins(package)


def files_of(name: str) -> list[Path]:
    """List the Python files of a module or of a folder of modules; data stay where they are."""
    place = PACKAGE / name.replace(".", "/")
    found = [place.with_suffix(".py"), *sorted(place.rglob("*"))]
    left_out = {"__pycache__", *(folder.name for folder in data_folders())}
    return [path for path in found if path.is_file() and not left_out & set(path.parts)]


def _write_stand_ins(package: Path) -> None:
    for _, name, _ in pkgutil.iter_modules([str(PACKAGE)]):
        if not (package / name).exists() and not (package / f"{name}.py").exists():
            (package / f"{name}.py").write_text(HIDDEN, encoding="utf-8")
    (package / "__init__.py").write_text(ROOT.format(version=cnncourse.__version__))
    (package / "checks/__init__.py").write_text(CHECKS.replace("NAMES", repr(checks.names())))
    beside = package.with_name("cnncourse_grader")
    beside.mkdir()
    (beside / "__init__.py").write_text('"""What runs beside a submission."""\n')
    for name in ("inside.py", "wire.py"):
        shutil.copyfile(Path(__file__).with_name(name), beside / name)


def _lay_out_data(package: Path, with_data: bool) -> None:
    for source in data_files():
        place = package / source.relative_to(PACKAGE)
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, place) if with_data else place.touch()
    labels = gzip.decompress((PACKAGE / NO_LABELS).read_bytes())
    blank = labels[:HEADER] + bytes(len(labels) - HEADER)
    (package / NO_LABELS).write_bytes(gzip.compress(blank))


def data_files() -> list[Path]:
    """List the files of shipped images that a submission may read as they are."""
    found = [path for folder in data_folders() for path in sorted(folder.iterdir())]
    return [path for path in found if path != PACKAGE / NO_LABELS]


def data_folders() -> list[Path]:
    """List the folders of shipped images."""
    return sorted(path.parent for path in (PACKAGE / "datasets").glob("*/LICENSE"))
