"""Grade the one submission that Gradescope has put into a folder, and say so in its format.

    python -m cnncourse_grader.gradescope /autograder

Where Gradescope's container allows no sandbox, the submission runs as the user nobody, who can read
neither the seed nor the solutions, and the result says that it was not sandboxed. Where the
container is at fault nothing is written, and the command ends with 1: Gradescope then reports an
autograder that failed, and not a submission worth nothing.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from cnncourse_grader import sandbox, words
from cnncourse_grader.files import write
from cnncourse_grader.grade import Options, grade
from cnncourse_grader.marks import Grade, Mark

STUDENT = "submission"


def main(root: Path) -> None:
    """Write ``results/results.json`` for what is in ``submission``.

    Parameters
    ----------
    root : Path
        Gradescope's folder, with ``source``, ``submission`` and ``results``.

    Raises
    ------
    EnvironmentProblemError
        If the container is at fault.
    """
    protected = not sandbox.missing()
    data = results(_grade(root, protected), protected)
    write(root / "results/results.json", json.dumps(data, indent=2) + "\n")


def _grade(root: Path, protected: bool) -> Grade:
    source = root / "source"
    with tempfile.TemporaryDirectory() as folder:
        collection = Path(folder, "collection")
        collection.mkdir()
        _hand_over(root / "submission", collection / STUDENT)
        options = Options(
            submissions=collection,
            out=Path(folder, "grades.csv"),
            seed=(source / "seed.txt").read_text(encoding="utf-8").strip(),
            chapters=[int(n) for n in (source / "chapters.txt").read_text().split()],
            protected=protected,
        )
        return grade(options)[0]


def _hand_over(submission: Path, target: Path) -> None:
    """Copy the notebooks; a link stays a link, and is refused."""
    target.mkdir()
    for path in sorted(submission.iterdir()):
        if path.is_symlink():
            (target / path.name).symlink_to(path.readlink())
        elif path.is_file() and path.suffix in (".ipynb", ".py"):
            (target / path.name).write_bytes(path.read_bytes())


def results(grade: Grade, protected: bool) -> dict:
    """Write a grade as Gradescope reads it.

    Parameters
    ----------
    grade : Grade
        Of the submission.
    protected : bool
        Whether it ran in a sandbox.

    Returns
    -------
    dict
        Content of ``results.json``.
    """
    lines = [] if grade.status == words.GRADED else [grade.status]
    lines += grade.failures
    lines += [] if protected else [words.warning(words.UNPROTECTED)]
    return {
        "score": grade.total,
        "output": "\n".join(lines) or words.ALL_RAN,
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": [*(_test(mark) for mark in grade.marks), *map(_note, grade.look)],
    }


def _test(mark: Mark) -> dict:
    return {
        "name": f"{mark.exercise}: {mark.title}",
        "score": mark.points,
        "max_score": mark.most,
        "status": "passed" if mark.points == mark.most else "failed",
        "output": mark.feedback,
        "output_format": "text",
        "visibility": "visible",
    }


def _note(place: str) -> dict:
    """Write what only the instructor sees."""
    return {"name": words.worth(place), "score": 0, "max_score": 0, "visibility": "hidden"}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
