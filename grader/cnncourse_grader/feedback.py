"""The page that a student reads: one file, no script, no other host."""

from __future__ import annotations

from html import escape
from string import Template

from cnncourse_grader import words
from cnncourse_grader.marks import Grade, Mark

PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; }
caption { text-align: left; }
th, td { text-align: left; padding: 0.25rem 1rem 0.25rem 0; vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
</style>
</head>
<body>
<main>
<h1>$title</h1>
$warning<p><strong>$points: $total</strong> $status</p>
<table>
<caption>$points</caption>
<thead><tr><th scope="col">$exercise</th><th scope="col">$points</th></tr></thead>
<tbody>
$rows
</tbody>
</table>
$failures$marks
</main>
</body>
</html>
"""
)


def page(grade: Grade, warning: str) -> str:
    """Write the page of one student.

    Parameters
    ----------
    grade : Grade
        The result.
    warning : str
        Stands at the top; empty for none.

    Returns
    -------
    str
        HTML; every word of the submission is escaped.
    """
    return PAGE.substitute(
        title=escape(words.feedback_for(grade.student.name)),
        warning=f"<p><strong>{escape(words.warning(warning))}</strong></p>\n" if warning else "",
        points=words.POINTS,
        exercise=words.EXERCISE,
        total=words.of_points(grade.total, grade.most),
        status=escape("" if grade.status == words.GRADED else grade.status),
        rows="\n".join(map(_row, grade.marks)),
        failures=_failures(grade.failures),
        marks="\n".join(map(_section, grade.marks)),
    )


def _row(mark: Mark) -> str:
    points = words.of_points(mark.points, mark.most)
    return f'<tr><th scope="row">{escape(mark.exercise)}</th><td>{points}</td></tr>'


def _section(mark: Mark) -> str:
    return f"<section>\n<h2>{escape(mark.title)}</h2>\n{mark.html}\n</section>"


def _failures(failures: tuple[str, ...]) -> str:
    if not failures:
        return ""
    items = "".join(f"<li><code>{escape(text)}</code></li>" for text in failures)
    return f"<h2>{words.FAILED_CELLS}</h2>\n<ul>{items}</ul>\n"
