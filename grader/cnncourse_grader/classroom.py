"""What a class learned: one page without names, and one with names for the instructor alone.

Both are made from the grades. Nothing leaves the computer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from statistics import median

from cnncourse.checks.report import CAPTION, html_words
from cnncourse_grader import pages, words
from cnncourse_grader.marks import EMPTY, Grade, Mark

MOST_MISTAKES = 4  # of one exercise
BARS = 10
WIDTH, HEIGHT, EDGE = 640, 180, 24  # of the picture; room for numbers
SHARE = 120  # width of a bar in the table


def page(grades: Sequence[Grade]) -> str:
    """Write what the class learned: no name stands in it, so it can be shown to the class.

    Parameters
    ----------
    grades : sequence of Grade
        Of all students.

    Returns
    -------
    str
        HTML with pictures in it; no script, no other host.
    """
    ran = [one for one in grades if one.graded]
    if not ran:
        return pages.document(words.CLASS, f"<p>{words.counted(0, len(grades))}</p>")
    return pages.document(
        words.CLASS,
        f"<p>{words.counted(len(ran), len(grades))} {_times(ran)}</p>",
        f"<h2>{words.POINTS}</h2>",
        _points(ran),
        f"<h2>{words.EXERCISES}</h2>",
        pages.table(words.SHARES, words.SHARE_COLUMNS, [_share(one) for one in _columns(ran)]),
        _written(ran),
        *map(_reached, _columns(ran)),
        *map(_mistakes, _columns(ran)),
    )


def _columns(grades: Sequence[Grade]) -> list[tuple[Mark, ...]]:
    """Return the marks of each exercise."""
    return list(zip(*(one.marks for one in grades), strict=True))


def _times(grades: Sequence[Grade]) -> str:
    known = [one.seconds for one in grades if one.seconds]
    return words.times(median(known), max(known), len(known)) if known else ""


def _points(grades: Sequence[Grade]) -> str:
    """Draw how many students have how many points."""
    totals = sorted(one.total for one in grades)
    most = max(one.most for one in grades)
    bars = min(BARS, round(most) + 1) or 1
    counts = Counter(min(bars - 1, int(bars * one / (most or 1))) for one in totals)
    said = words.points_said(totals[0], median(totals), totals[-1], most)
    drawn = "".join(_bar(i, counts[i], bars, max(counts.values())) for i in range(bars))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 2 * EDGE}" width="{WIDTH}" role="img" '
        f'aria-label="{escape(said)}">{drawn}{_axis(most)}</svg>\n<p>{escape(said)}</p>'
    )


def _bar(place: int, count: int, bars: int, most: int) -> str:
    step = WIDTH / bars
    x, height = place * step, HEIGHT * count / most
    top = EDGE + HEIGHT - height
    if not count:
        return ""
    return (
        f'<rect class="bar" x="{x + 2:.1f}" y="{top:.1f}" width="{step - 4:.1f}" '
        f'height="{height:.1f}"/><text x="{x + step / 2:.1f}" y="{top - 6:.1f}" '
        f'text-anchor="middle">{count}</text>'
    )


def _axis(most: float) -> str:
    floor = EDGE + HEIGHT
    marks = ((0, "start", "0"), (WIDTH / 2, "middle", f"{most / 2:g}"), (WIDTH, "end", f"{most:g}"))
    texts = "".join(
        f'<text x="{x:g}" y="{floor + 18}" text-anchor="{anchor}">{text}</text>'
        for x, anchor, text in marks
    )
    return f'<path class="line" d="M0 {floor}H{WIDTH}"/>{texts}'


def _share(marks: Sequence[Mark]) -> tuple[str, ...]:
    """Return a row: how many handed in, how many are right, as a number and as a bar."""
    right, tried = (
        sum(one.passed for one in marks),
        sum(one.diagnosis not in EMPTY for one in marks),
    )
    filled = SHARE * right / len(marks)
    bar = (
        f'<svg viewBox="0 0 {SHARE} 14" width="{SHARE}" aria-hidden="true">'
        f'<rect class="line" x="0.5" y="0.5" width="{SHARE - 1}" height="13"/>'
        f'<rect class="bar" width="{filled:.1f}" height="14"/></svg>'
    )
    name = pages.name(marks[0].exercise)
    return name, str(tried), f"{right} of {len(marks)}", f"{bar} {right / len(marks):.0%}"


def _written(grades: Sequence[Grade]) -> str:
    """Return the mean of each written answer, where they are marked."""
    marked = [one.written for one in grades if one.written]
    if not marked:
        return ""
    rows = [
        (
            escape(marks[0].title),
            f"{sum(m.points for m in marks) / len(marks):.1f} of {marks[0].most:g}",
        )
        for marks in zip(*marked, strict=True)
    ]
    return pages.table(words.WRITTEN, words.WRITTEN_COLUMNS, rows)


def _reached(marks: Sequence[Mark]) -> str:
    """List what was measured of the answers to an exercise, the best first, without names."""
    found = [one.facts for one in marks if one.facts]
    measured = sorted(found, key=lambda facts: facts[0], reverse=True)
    if not measured:
        return ""
    title = f"{marks[0].title}: {words.REACHED}"
    rows = [tuple(escape(value) for _, value in facts) for facts in measured]
    columns = [name for name, _ in measured[0]]
    return f"<h2>{escape(title)}</h2>\n{pages.table(title, columns, rows)}"


def _mistakes(marks: Sequence[Mark]) -> str:
    """List the commonest mistakes of an exercise, each with the smallest case that someone met."""
    wrong: dict[str, list[Mark]] = defaultdict(list)
    for one in marks:
        if not one.passed:
            wrong["" if one.diagnosis in EMPTY else one.diagnosis].append(one)
    empty = wrong.pop("", [])
    ranked = sorted(wrong.values(), key=lambda ones: (-len(ones), ones[0].diagnosis))
    if not ranked and not empty:
        return ""
    parts = [f"<h2>{pages.name(marks[0].exercise)}: {escape(marks[0].title)}</h2>"]
    parts += map(_mistake, ranked[:MOST_MISTAKES])
    rest = sum(map(len, ranked[MOST_MISTAKES:]))
    parts += [f"<p>{line}</p>" for line in words.others(rest, len(empty))]
    return "\n".join(parts)


def _mistake(marks: Sequence[Mark]) -> str:
    reason, said = Counter(one.reason for one in marks).most_common(1)[0]
    cased = [one for one in marks if one.case and one.reason == reason]
    # The shortest of the examples is the one to show to a class.
    example = min((one.case for one in cased), key=lambda case: len(str(case)), default=())
    shown = pages.case(f"{CAPTION} of one of them", example) if example else ""
    return f"<h3>{words.of_students(len(marks), said)}: {html_words(reason)}</h3>\n{shown}"


def alike(grades: Sequence[Grade]) -> str:
    """Write which answers are equal but for names: for the instructor alone.

    Parameters
    ----------
    grades : sequence of Grade
        Of all students.

    Returns
    -------
    str
        HTML.
    """
    # What is large and rare comes first.
    found = sorted(_groups(grades), key=lambda one: (len(one[3]) / one[2], -one[1]))
    rows = [
        (
            pages.name(mark.exercise),
            str(size),
            words.share(len(names), total),
            "<br>".join(map(escape, names)),
        )
        for mark, size, total, names in found
    ]
    listed = pages.table(words.ALIKE, words.ALIKE_COLUMNS, rows) if rows else ""
    none = "" if rows else f"<p>{words.NONE_ALIKE}</p>"
    return pages.document(words.ALIKE, f"<p>{words.WHAT_ALIKE_MEANS}</p>", listed, none)


def _groups(grades: Sequence[Grade]) -> Iterable[tuple[Mark, int, int, list[str]]]:
    """Yield an answer, its size, how many answers there are, and who has the same."""
    by_shape: dict[tuple[str, str], list[tuple[Mark, str]]] = defaultdict(list)
    for grade in grades:
        for mark in grade.marks:
            if mark.shape:
                known = f"{grade.student.name} {grade.student.id}".strip()
                by_shape[mark.exercise, mark.shape].append((mark, known))
    answers = Counter(exercise for exercise, _ in by_shape for _ in by_shape[exercise, _])
    for (exercise, shape), members in by_shape.items():
        if len(members) > 1:
            size = int(shape.partition("-")[0])
            yield members[0][0], size, answers[exercise], sorted(name for _, name in members)
