"""The built site, page by page in a real browser; and each guard, on a page broken on purpose.

``test_page`` reads what the guards found on every page of ``_toc.yml``; ``test_guard_reports``,
what they found on a copy of the landing page with many damages.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from playwright.sync_api import Browser

from tests.book.chromium import NO_BROWSER, find_chromium
from tests.book.guards import (
    GUARDS,
    Findings,
    Guard,
    collect,
    find_answers_lost_on_paper,
    find_broken_formulas,
    find_broken_links,
    find_console_errors,
    find_controls_on_paper,
    find_cut_content_on_a_phone,
    find_cut_content_on_paper,
    find_foreign_requests,
    find_images_without_words,
    find_outputs_lost_on_paper,
    find_traces_of_printing,
    find_trouble_on_a_small_phone,
    find_violations,
    find_wrong_launch_links,
    in_both_schemes,
    jupyterhub_target,
    leads_to,
    opened_by_learners,
    weight,
    wrong_targets,
)
from tests.book.visits import CONFIG, LANDING, NOTEBOOKS, PAGES, ROOT, damage, visiting

# Bytes sent when a page opens: the first chapter of a reader, and each one after it. Figures
# further down follow as the reader comes near.
FIRST, NEXT = 400_000, 150_000


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
@pytest.mark.parametrize("name", PAGES)
def test_page(findings, name: str, guard: Guard) -> None:
    assert findings(name).breaches[guard] == []


@pytest.mark.parametrize("name", [LANDING, *NOTEBOOKS])
def test_page_is_light_as_the_first_one(findings, name: str) -> None:
    assert weight(findings(name).files) <= FIRST


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_page_is_light_as_the_next_one(findings, name: str) -> None:
    before = next(other for other in NOTEBOOKS if other != name)
    assert weight(findings(name).files - findings(before).files) <= NEXT


def test_open_menus_are_accessible(browser: Browser, site: Path) -> None:
    with visiting(browser, site, PAGES[-2]) as visit:
        menus = visit.page.locator(".article-header-buttons .dropdown > button").all()
        for button in menus:
            button.click()
            assert in_both_schemes(visit.page, ".article-header-buttons") == []


def test_landing_page_cites_the_course_as_its_citation_file_does() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    landing = (ROOT / f"{LANDING}.md").read_text(encoding="utf-8")
    facts = [citation["title"], citation["authors"][0]["name"], citation["repository-code"]]
    for fact in facts:
        assert landing.count(fact) >= 2, fact  # in words and in BibTeX


def test_jupyterhub_button_asks_for_the_hub(browser: Browser, site: Path) -> None:
    answers = ["hub.school.edu", " https://hub.school.edu/hub/home "]
    with visiting(browser, site, NOTEBOOKS[0]) as visit:
        for answer in answers:
            visit.page.once("dialog", lambda dialog, answer=answer: dialog.accept(answer))
            visit.page.locator(".dropdown-launch-buttons > button").click()
            with visit.page.expect_popup() as popup:
                visit.page.get_by_role("link", name="JupyterHub").click()
            popup.value.close()
        assert len(visit.foreign) == len(answers)
        for asked in visit.foreign:
            assert asked.startswith("https://hub.school.edu/hub/user-redirect/git-pull?")
            assert leads_to(jupyterhub_target(asked), opened_by_learners(NOTEBOOKS[0]))


# ---------------------------------------------------------------------------------------------
# The guards themselves: a page broken on purpose must be reported

END = "</article>"
DIM = "<style>html[data-theme=dark] .dim { color: #444; background: #222 }</style>"
PALE = 'style="color: #999; background: #fff"'
CODE = f'<div class="highlight"><pre><span>code</span> <span {PALE}>pale code</span></pre></div>'
TRAP = f'<div style="overflow: auto; white-space: nowrap">{"no focus " * 99}</div>'
NAMELESS = """<div><details><summary>Answer</summary><div class="sd-summary-content">
    an answer to nothing</div></details></div>"""
LOST = """<style>@media print { .lost { content-visibility: hidden !important } }</style>
    <div class="lost" hidden="until-found">lost on paper</div>"""
FORMULA = '<p><span class="math notranslate nohighlight">{}</span></p>'.format
DAMAGES: dict[str, tuple[Guard, str, str]] = {
    # what is wrong with the copy: the guard, what is added to it, and a part of the report
    "script that throws": (find_console_errors, "<script>boom()</script>", "boom"),
    "missing file": (find_console_errors, '<script src="no.js"></script>', "no.js"),
    "image of another host": (
        find_foreign_requests,
        '<img src="http://example.invalid/x.png" alt="x">',
        "example.invalid",
    ),
    "formula cut by a new line": (find_broken_formulas, "<p>so $x = y</p>", "so $x"),
    "formula not set": (find_broken_formulas, FORMULA("19"), "19"),
    "formula with an error": (
        find_broken_formulas,
        FORMULA("<math><merror>?</merror></math>"),
        "?",
    ),
    "image without alt": (find_images_without_words, '<img src="no-alt.png">', "no-alt.png"),
    "image named by its path": (
        find_images_without_words,
        '<img src="../path.png" alt="../path.png">',
        "path.png",
    ),
    "link to no page": (find_broken_links, '<a href="no.html">x</a>', "no.html"),
    "link to no anchor": (find_broken_links, '<a href="#nowhere">x</a>', "#nowhere"),
    "code that does not wrap": (
        find_cut_content_on_a_phone,
        f'<div class="cell_input"><pre style="white-space: pre">{"long " * 99}</pre></div>',
        "long long",
    ),
    "table that scrolls on paper": (
        find_cut_content_on_paper,
        '<div class="output" style="overflow: auto"><p style="width: 2000px">far away</p></div>',
        "far away",
    ),
    "code over the edge of the paper": (
        find_cut_content_on_paper,
        '<pre style="width: 9em; white-space: pre !important">over the edge of a box</pre>',
        "over the edge",
    ),
    "button on paper": (
        find_controls_on_paper,
        '<button style="display: block !important">press here</button>',
        "press here",
    ),
    "answer without a name": (find_answers_lost_on_paper, NAMELESS, "1 answers, 0 names"),
    "output that paper does not show": (find_outputs_lost_on_paper, LOST, "lost on paper"),
    "form on paper": (
        find_outputs_lost_on_paper,
        '<div class="predict"><form style="display: block !important">guess</form></div>',
        "a form on paper",
    ),
    "trace of printing": (
        find_traces_of_printing,
        "<script>addEventListener('afterprint', () => document.querySelector('article').append(1))"
        "</script>",
        "printing changed",
    ),
    "wide element": (
        find_trouble_on_a_small_phone,
        '<div style="width: 900px">a wide box</div>',
        "a wide box",
    ),
    "scrolling box without focus": (find_trouble_on_a_small_phone, TRAP, "overflow: auto"),
    "pale text": (find_violations, f"<p {PALE}>pale text</p>", "light: color-contrast: <p style"),
    "pale code": (find_violations, CODE, "light: color-contrast: <span style"),
    "dim in the dark": (
        find_violations,
        f'{DIM}<p class="dim">dim text</p>',
        'dark: color-contrast: <p class="dim"',
    ),
    "unnamed button": (find_violations, "<button></button>", "button-name"),
}


@pytest.fixture(scope="session")
def damaged(browser: Browser, site: Path, tmp_path_factory) -> Findings:
    """Return what is found on a copy of the landing page with every damage."""
    copy = tmp_path_factory.mktemp("damaged")
    damage(site, copy, LANDING, END, "".join(added for _, added, _ in DAMAGES.values()) + END)
    return collect(browser, copy, LANDING)


@pytest.mark.parametrize(("guard", "added", "report"), DAMAGES.values(), ids=DAMAGES)
def test_guard_reports(damaged, guard: Guard, added: str, report: str) -> None:
    assert report in "\n".join(damaged.breaches[guard])


def test_launch_guard_reports() -> None:
    here, branch = CONFIG["repository"]["url"], CONFIG["repository"]["branch"]
    course, path = urlsplit(here).path, f"{NOTEBOOKS[0]}.ipynb"
    query = f"repo={here}&urlpath=lab/tree/clone/{path}&branch={branch}"
    right = {
        "Colab": f"https://colab.research.google.com/github{course}/blob/{branch}/{path}",
        "JupyterHub": f"https://hub.example.org/hub/user-redirect/git-pull?{query}",
    }
    assert wrong_targets(right, path) == []
    assert wrong_targets({}, path) == ["no button Colab", "no button JupyterHub"]
    for old, new in [(branch, "other"), (course, "/other/course"), (".ipynb", ".md")]:
        moved = {text: link.replace(old, new) for text, link in right.items()}
        assert len(wrong_targets(moved, path)) == 2, f"{new} in the place of {old}"


def test_every_guard_is_shown_to_fail() -> None:
    shown = {guard for guard, _, _ in DAMAGES.values()}
    assert shown == set(GUARDS) - {find_wrong_launch_links}


def test_launch_targets_must_be_in_the_repository() -> None:
    repository = CONFIG["repository"]
    target = (repository["url"], repository["branch"], "book/no_such_chapter.ipynb")
    assert not leads_to(target, "book/no_such_chapter.ipynb")


def test_missing_browser_is_named(monkeypatch) -> None:
    monkeypatch.setenv("CNNCOURSE_CHROMIUM", "/no/such/browser")
    assert find_chromium() is None
    assert "CNNCOURSE_CHROMIUM" in NO_BROWSER
