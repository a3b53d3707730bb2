"""The words a student reads in a grade, but for what the checks themselves say.

A status, a problem or a reason is part of a sentence and starts in lower case; the rest are
sentences.
"""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """Put question marks where a terminal, a table or a file could stumble."""
    return "".join(one if one.isprintable() else "?" for one in text)


# Status of a submission, and how the run goes

GRADED = "graded"
PENDING = "not graded: "
LATE = "late"
RUN_AGAIN = "this computer or the grader is at fault, not the submission; run again with --resume"
STOPPED = "stopped: "
UNPROTECTED = "graded without a sandbox: the submissions could read and change this computer"


def refused(reason: str) -> str:
    """Say that nothing of a submission was run."""
    return f"refused: {reason}"


def stopped(notebook: str, problem: str) -> str:
    """Say that a notebook was ended early."""
    return f"{STOPPED}{notebook}: {problem}"


def unreadable(error: Exception) -> str:
    """Say that its results were too much for the grader."""
    return f"its results cannot be read: {error}"


def tried_alone(count: int) -> str:
    """Announce the second round."""
    return f"{count} submissions exceeded a limit: each is tried once more, alone"


def did_not_start(notebook: str, problem: str) -> str:
    """Say that the machine failed."""
    return f"{notebook} did not start: {problem}"


# Why a notebook was ended early

GRADING_STOPPED = "grading was stopped"


def too_much_returned(megabytes: int) -> str:
    """Name the limit on what a notebook's answers return."""
    return f"it returned more than {megabytes} MB"


def too_long(seconds: int) -> str:
    """Name the limit on time."""
    return f"it took more than {seconds} seconds"


def too_long_together(seconds: int) -> str:
    """Name the limit on time of all notebooks of a student."""
    return f"the notebooks before it took all of the {seconds} seconds that they have together"


def too_busy(seconds: int) -> str:
    """Name the limit on processor time of all processes together."""
    return f"it used more than {seconds} seconds of processor time"


def too_many_processes(count: int) -> str:
    """Name the limit on processes and threads."""
    return f"it started more than {count} processes"


def too_much_memory(megabytes: int) -> str:
    """Name the limit on memory."""
    return f"it used more than {megabytes} MB of memory"


TOO_DEEP = "it is nested too deeply"


def ended_early(code: int, last_line: str) -> str:
    """Say how a process ended; ``code`` is as in ``subprocess``."""
    reason = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"it ended early ({reason}{f': {last_line}' if last_line else ''})"


# What protects the computer, for the instructor

IN_FORCE = "Limits in force: "
NO_WAY_DOWN = (
    "The grader runs as root, and there is no setpriv (of util-linux) to leave root's rights "
    "behind. Install util-linux, or grade as another user."
)
CALLS_FILTERED = "system calls that no notebook needs are refused"
CALLS_NOT_FILTERED = (
    "system calls are NOT filtered: libseccomp.so.2, or support in the kernel, is missing"
)


def control_group(kept: Sequence[str]) -> str:
    """Say what a control group bounds, and what is only counted."""
    if len(kept) == 3:
        return "a control group of each notebook bounds memory, processes and processor time"
    there = f"bounds {' and '.join(kept)} alone" if kept else "is NOT to be had here"
    return (
        f"a control group {there} (systemd-run); memory, processes and processor time are counted "
        "from outside, but not what the kernel keeps for files and sockets"
    )


# What an earlier run has to do with this one


def exercises_changed(names: Sequence[str]) -> str:
    """Name exercises whose marks are those of another version."""
    listed = " ".join(names)
    return f"Changed since they were graded, marks kept: {listed}. Do: --regrade {listed}"


def limits_changed(students: Sequence[str]) -> str:
    """Name students who were stopped under other limits."""
    listed = " ".join(repr(name) if " " in name else name for name in students)
    return f"Stopped under other limits, marks kept: {listed}. Do: --regrade {listed}"


def points_changed(student: str, exercise: str, before: float, now: float) -> str:
    """Say that a mark is another one than before."""
    return f"{student}: {exercise} {before:g} -> {now:g}"


# What was written into a worksheet


def filled(file: str, count: int) -> str:
    """Count the rows that have points now."""
    return f"{file}: points in {count} rows"


def not_filled(student: str) -> str:
    """Name a student whose points are in no row."""
    return f"{student}: no points in the worksheet; the row, the number or a grade is missing"


def other_maximum(theirs: str, ours: float) -> str:
    """Say that two scales differ."""
    return f"the worksheet counts to {theirs}, the exercises to {ours:g}: points are not scaled"


# What is wrong with the results of a notebook

NO_END = "its results have no end"
BEHIND_THE_END = "something was written behind the end of its results"
MALFORMED = "something was written among its results"

# What an instructor may want to look at

PARALLEL = "what another thread or process calls is not seen"
LIBRARY = "what numpy and scipy do is not watched"
OTHER_CODE = "what an operator of one's own or foreign code calls is not seen"
EXCHANGED = "functions and their variables can be read and exchanged"
RUNNER = "it reaches for what runs and watches the answers"
AT_RUN_TIME = "names can be put together at run time"


def worth_a_look(notebook: str, cell: int, name: str, reason: str) -> str:
    """Name a place in a notebook, and why to look at it."""
    return f"cell {cell} of {notebook}, `{name}`: {reason}"


def worth(place: str) -> str:
    """Announce such a place."""
    return f"worth a look: {place}"


# Why a submission is refused

SAME_NAME = "two files have the same name"
FOLDER_AND_FILE = "there are a folder and a file of this name"
BAD_NAME = (
    "the student's name must be printable, not start with one of = + - @ . "
    'and hold none of ? / \\ " < > |'
)


def no_notebook(names: Sequence[str]) -> str:
    """Say what there is in the place of a notebook."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    only = f", only {', '.join(names[:3])}{more}" if names else ""
    return f"no notebook was handed in{only}"


def long_name(most: int) -> str:
    """Refuse a name for its length."""
    return f"the student's name must have 1 to {most} characters"


def too_many_notebooks(count: int, most: int) -> str:
    """Refuse a heap of notebooks."""
    return f"{count} notebooks, at most {most} are read"


def too_many_files(most: int) -> str:
    """Refuse a heap of files."""
    return f"more than {most:,} files"


def too_much_code(most: int) -> str:
    """Refuse a heap of code in several notebooks."""
    return f"its notebooks have more than {most:,} characters of code together"


def is_link(file: str) -> str:
    """Refuse a link."""
    return f"{file} is a link"


def is_no_file(file: str) -> str:
    """Refuse a pipe, a device and the like."""
    return f"{file} is not a plain file"


def leads_out(path: str) -> str:
    """Refuse a path in a zip."""
    return f"the path {path!r} leads out of the folder"


def is_locked(file: str) -> str:
    """Refuse a member of a zip that needs a password."""
    return f"{file} is encrypted"


def is_broken(path: str, error: Exception) -> str:
    """Refuse a member of a zip that cannot be read."""
    return f"{path!r} cannot be unpacked: {error}"


# Why an exercise earns nothing

TAMPERED = "What came back was not written by the grader's runner: no points."
MISSING = "The notebook hands in no answer of this name."
NO_ANSWER = "No answer came back."
# What the runner in the sandbox reports -> what it means.
PROBLEMS = {
    "missing": MISSING,
    "stub": "Not solved yet: the answer is still the empty stub.",
    "time": "The answer took too long.",
    "memory": "The answer needed too much memory.",
}
# Stands for a type, in "The answer returned a value of type ...".
TOO_MANY_NUMBERS = "value of too many numbers"
# The error that a function of the course raises in the sandbox.
HIDDEN = "cnncourse's {name} is not there while a notebook is graded"


def notebook_stopped(problem: str) -> str:
    """Say that an answer is missing because its notebook was ended."""
    return f"The notebook was stopped: {problem}."


def incomparable(error: Exception) -> str:
    """Say that a comparison failed."""
    return f"The answer cannot be compared ({type(error).__name__})."


def followed(name: str) -> str:
    """Say that an earlier answer was replaced."""
    return f"Your `{name}` is not right yet, so this was judged with the course's in its place."


# The page

POINTS, EXERCISE, RESULT = "Points", "Exercise", "Result"
RIGHT, NOT_YET, EMPTY = "✓ right", "✗ not yet", "○ no answer"
MARKED = "read by a person"
HINT, READ = "A hint:", "Read again:"
ALL_OR_NOTHING = (
    "An exercise is right when its answer is right in every case that was tried; there is nothing "
    "between all of its points and none, unless its text names steps. Where an exercise calls an "
    "earlier answer of yours that is not right yet, it is judged with the course's answer in its "
    "place."
)
NOT_MARKED = "A person reads these answers. Their points are not in the sum above."
FAILED_CELLS = "Cells that stopped with an error"
ALL_RAN = "Every notebook ran to its end."


def feedback_for(student: str) -> str:
    """Give the page's title."""
    return f"Feedback for {student}"


def right_ones(right: int, count: int) -> str:
    """Count what worked."""
    return f"{right} of {count} exercises are right."


def of_points(points: float, most: float) -> str:
    """Write what was earned, and what could be."""
    return f"{points:g} of {most:g}"


def failed_cell(notebook: str, number: int, error: str) -> str:
    """Name a cell that stopped."""
    return f"{notebook}, cell {number}: {error}"


def warning(text: str) -> str:
    """Mark a warning as one."""
    return f"Warning: {text}"


# Written answers, for the instructor

WRITTEN = "Written answers"
RUBRIC, MODEL, ANSWER = "Rubric", "Model answer", "Answer"
HOW_TO_MARK = (
    "Answers stand in an order that tells nothing of their students. Write points and comments "
    "into written.csv: its column <code>answer</code> has the names that stand above the answers. "
    "Formulas are shown as they were typed."
)
WITH_PICTURE = "(A picture belongs to this answer. It is in the notebook.)"
NOTHING_WRITTEN = "Nothing was written."


def written_by(count: int, students: int) -> str:
    """Count the answers to a question."""
    return f"{count} of {students} students wrote an answer."


def worth_points(points: int) -> str:
    """Say what a question is worth."""
    return f"It is worth {points} point{'' if points == 1 else 's'}."


def new_rows(file: str, count: int) -> str:
    """Say that a table has grown."""
    return f"{file}: {count} rows added for answers that were not there before"


def unmarked(students: Sequence[str]) -> str:
    """Name those whose total is of their functions alone."""
    return f"no points for written answers yet, add --written: {', '.join(students)}"


def unknown_answer(row: int, key: str) -> str:
    """Name a row that belongs to nobody."""
    return f"row {row}: {key!r} is no answer of this run; the secret seed decides the names"


def other_question(row: int, key: str, got: str, wanted: str) -> str:
    """Name a row whose question is another one."""
    return f"row {row}: answer {key} belongs to {wanted!r}, got {got!r}"


def bad_points(row: int, key: str, got: str, most: int) -> str:
    """Name a row whose points cannot be."""
    what = repr(got) if got.strip() else "nothing"
    return f"row {row}: the points of answer {key} must be a number from 0 to {most}, got {what}"


def twice(key: str) -> str:
    """Name an answer with several rows."""
    return f"answer {key} has more than one row"


def no_row(key: str, question: str) -> str:
    """Name an answer without a row."""
    return f"answer {key} to {question!r} has no row"


def and_more(count: int) -> str:
    """Count what is not listed."""
    return f"and {count} more"


# What the class learned, for the instructor

CLASS = "What this class learned"
EXERCISES = "Exercises"
SHARES = "How many answers are right"
SHARE_COLUMNS = (EXERCISE, "Answers", "Right", "Share of the class")
WRITTEN_COLUMNS = ("Question", "Mean of the points")
REACHED = "what the answers reached"
ALIKE = "Answers that are equal but for names"
ALIKE_COLUMNS = (EXERCISE, "Size", "Of all answers", "Students")
WHAT_ALIKE_MEANS = (
    "These answers have the same code once the names of variables, comments, types and layout are "
    "left out. That happens by itself: a short function has few ways to be written, and a hint or "
    "the book may show one. The smaller an answer is (size counts the parts of its code), and the "
    "larger its share of the class, the less it says. This page takes no point and does not know "
    "how an answer came to be. Ask the students."
)
NONE_ALIKE = "No two answers are equal."


def counted(ran: int, count: int) -> str:
    """Count what was graded."""
    return f"{ran} of {count} submissions could be graded; the numbers are about these."


def times(middle: float, longest: float, count: int) -> str:
    """Say how long notebooks took."""
    return (
        f"The notebooks of one student took {middle:.1f} s, the longest {longest:.1f} s "
        f"(median and maximum of {count})."
    )


def points_said(lowest: float, middle: float, highest: float, most: float) -> str:
    """Say in words what the picture shows."""
    return (
        f"Students by points, of {most:g}: lowest {lowest:g}, median {middle:g}, "
        f"highest {highest:g}."
    )


def of_students(count: int, said: int = 0) -> str:
    """Count those who made a mistake, and those of them of whom the same is said."""
    same = f", {said} of them" if 0 < said < count else ""
    return f"{count} student{'' if count == 1 else 's'}{same}"


def share(part: int, whole: int) -> str:
    """Give a share as two counts."""
    return f"{part} of {whole}"


def others(other: int, empty: int) -> list[str]:
    """Count those whose mistake is not listed, and those without an answer."""
    lines = [f"{of_students(other)}: other mistakes."] if other else []
    return lines + ([f"{of_students(empty)}: no answer."] if empty else [])


# Questions with a key, before and after

COMPARED = "Before and after"
QUESTIONS = "Right answers"
QUESTION_COLUMNS = ("Question", "Before", "After", "Wrong to right", "Right to wrong")
BELIEFS = "Misconceptions that were chosen"
BELIEF_COLUMNS = ("Misconception", "Before", "After", "Both times", "Where to read")
CHANCE = (
    "A class moves by chance, too. If a question were answered by guessing both times, as many "
    "students would go from wrong to right as from right to wrong."
)


def compared(both: int, before: int, after: int) -> str:
    """Count who answered when."""
    return (
        f"{of_students(both)} answered both times; the numbers are about these. "
        f"{before} answered before only, {after} after only."
    )


def gain(before: int, after: int, count: int) -> str:
    """Say how many answers are right, and which share of the wrong ones has become right."""
    said = f"{before} of {count} answers were right before, {after} are right after."
    if before == count:
        return said
    return f"{said} That is {(after - before) / (count - before):.0%} of what could be gained."
