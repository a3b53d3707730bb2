"""Write the questions for learning platforms, and read answers that come back in notebooks.

python -m tools.questions                      write _build/instructors/questions
python -m tools.questions --check              write nothing; say what is wrong in a question
python -m tools.questions --answers FOLDER     print student, question, option as CSV
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from tools.questions import ROOT, chapters
from tools.questions.files import HEAD, files
from tools.questions.notebooks import answers

FOLDER = ROOT / "_build/instructors/questions"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.questions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 if one is wrong"
    )
    parser.add_argument("--answers", type=Path, metavar="FOLDER", help="notebooks of students")
    options = parser.parse_args(arguments)
    if options.answers:
        csv.writer(sys.stdout).writerows([HEAD, *answers(options.answers)])
        return 0
    found = mistakes()
    for line in found:
        print(line)
    if not found and not options.check:
        write()
    return 1 if found else 0


def mistakes() -> list[str]:
    """Say what is wrong: a key that is not one, a section that is not there, a name used twice."""
    found, seen = [], set()
    for chapter in chapters():
        for question in chapter.questions:
            if sum(option.right for option in question.options) != 1:
                found.append(f"{question.id}: exactly one option must be right")
            if question.id in seen:
                found.append(f"{question.id}: this id is used twice")
            seen.add(question.id)
            lost = {o.see for o in question.options} - set(chapter.sections)
            found += [
                f"{question.id}: {chapter.stem} has no section #{one}" for one in sorted(lost)
            ]
    return found


def write() -> None:
    """Write all files, and say where."""
    for name, content in files().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
