"""Cut a style sheet to the rules that can apply to a page of the site."""

from __future__ import annotations

import re
from collections.abc import Iterator

CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
INSIDE = re.compile(r"\([^()]*\)")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
CONDITIONS = ("@media", "@supports")


def words(text: str) -> set[str]:
    """Collect all that may be the name of a class, in a page or in a script."""
    return set(re.findall(r"[\w-]+", text))


def cut_rules(styles: str, known: set[str]) -> str:
    """Leave out each selector that needs a class nobody names, and each rule left without one."""
    return "".join(cut_block(*block, known) for block in blocks(COMMENT.sub("", styles)))


def blocks(styles: str) -> Iterator[tuple[str, str]]:
    """Split a style sheet into (what stands before the brace, what stands between the braces)."""
    start = depth = 0
    for place, brace in ((match.start(), match[0]) for match in re.finditer(r"[{}]", styles)):
        if brace == "{":
            depth += 1
            opened = place if depth == 1 else opened
        else:
            depth -= 1
            if depth == 0:
                yield styles[start:opened].strip(), styles[opened + 1 : place]
                start = place + 1


def cut_block(before: str, inside: str, known: set[str]) -> str:
    """Cut one rule, or the rules under one condition; keep fonts and animations."""
    if before.startswith(CONDITIONS):
        inside = cut_rules(inside, known)
        return f"{before}{{{inside}}}" if inside else ""
    if not before.startswith("@"):
        before = ",".join(s for s in selectors(before) if classes(s) <= known)
    return f"{before}{{{inside}}}" if before else ""


def selectors(before: str) -> list[str]:
    """Split at the commas that stand outside of parentheses."""
    return [part.strip() for part in re.split(r",(?![^()]*\))", before)]


def classes(selector: str) -> set[str]:
    """Name the classes that an element and its ancestors must have; those in :not() need not be."""
    while INSIDE.search(selector):
        selector = INSIDE.sub("", selector)
    return set(CLASS.findall(selector))
