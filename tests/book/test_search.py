"""The search leads to sections, by keyboard, from a folder on disk, and never to an answer."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.book.guards import anchors, in_both_schemes
from tests.book.visits import LANDING, SITE, cleared_tab, visiting

pytestmark = pytest.mark.usefixtures("site")
RESULTS = "article .search-results li > a"


def sections() -> list[dict[str, str]]:
    """Read the index that the build wrote."""
    script = (SITE / "sections.js").read_text(encoding="utf-8")
    return json.loads(script.removeprefix("window.SECTIONS = ").removesuffix(";\n"))


@contextlib.contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """Open a file of the site as a reader does who has it on a disk."""
    page = cleared_tab(browser)
    page.goto(f"{SITE.as_uri()}/{address}")
    yield page


def test_entries_lead_to_sections_that_exist() -> None:
    places = [section["url"].partition("#") for section in sections()]
    assert places
    assert [page for page, _, _ in places if not (SITE / page).is_file()] == []
    assert [f"{p}#{key}" for p, _, key in places if key and key not in anchors(SITE / p)] == []


# Type each title, and read the first three results when the page has said how many there are.
SEARCH_EACH = """async ([titles, results]) => {
    const field = document.querySelector("article form.bd-search input");
    const status = document.querySelector("article [role=status]");
    const found = [];
    for (const title of titles) {
        status.textContent = "";
        const said = new Promise(resolve => {
            const watch = new MutationObserver(() => { watch.disconnect(); resolve(); });
            watch.observe(status, {childList: true, characterData: true, subtree: true});
        });
        field.value = title;
        field.dispatchEvent(new Event("input"));
        await said;
        const links = [...document.querySelectorAll(results)].slice(0, 3);
        found.push([title, links.map(link => link.innerText)]);
    }
    return found;
}"""


def test_title_of_a_section_finds_it(browser: Browser) -> None:
    titles = {section["title"] for section in sections()}
    with opened(browser, "search.html") as page:
        found = page.evaluate(SEARCH_EACH, [sorted(titles), RESULTS])
    assert len(found) == len(titles) > 100
    assert [title for title, results in found if title not in results] == []


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("cross-correlation", "book/03_cross_correlation.html"),
        ("why does LeNet stand still", "book/08_lenet.html#why-it-stands-still"),
        ("correlations cross", "book/03_cross_correlation.html"),
    ],
)
def test_question_leads_to_its_section(browser: Browser, query: str, wanted: str) -> None:
    with opened(browser, f"search.html?q={query}") as page:
        assert page.locator(RESULTS).first.get_attribute("href").endswith(wanted)


def test_half_a_word_finds_the_whole(browser: Browser) -> None:
    with opened(browser, "search.html?q=correlat") as page:
        assert "correlation" in page.locator(RESULTS).first.inner_text()


@pytest.mark.parametrize("query", ["zzzz", "(", "the"])
def test_search_says_what_it_found(browser: Browser, query: str) -> None:
    with opened(browser, f"search.html?q={query}") as page:
        number = page.locator(RESULTS).count()
        said = page.locator("article [role=status]").inner_text()
        assert said == {"zzzz": "Nothing found.", "(": ""}.get(query, said)
        assert bool(number) == bool(re.search(r"\d+ sections", said))


def test_results_are_reached_with_the_keyboard(browser: Browser) -> None:
    with opened(browser, f"{LANDING}.html") as page:
        page.keyboard.press("Control+K")
        page.keyboard.type("receptive field")
        page.locator("#pst-search-dialog li > a").first.wait_for()
        page.keyboard.press("Tab")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert re.search(r"book/.+\.html#.+", page.url)


def test_enter_opens_the_page_of_results(browser: Browser) -> None:
    with opened(browser, f"{LANDING}.html") as page:
        page.keyboard.press("Control+K")
        page.keyboard.type("kernel")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.locator(RESULTS).count() > 1


def test_no_answer_is_in_the_index(browser: Browser) -> None:
    index = json.dumps(sections(), ensure_ascii=False)
    with opened(browser, "book/03_cross_correlation.html") as page:
        answers = page.locator("details.sd-dropdown .sd-summary-content > p").all_text_contents()
    assert answers
    assert [answer for answer in answers if " ".join(answer.split())[:40] in index] == []


def test_search_is_accessible_and_asks_no_other_host(browser: Browser) -> None:
    with visiting(browser, SITE, "search") as visit:
        visit.page.locator("article form.bd-search input").fill("kernel")
        visit.page.locator(RESULTS).first.wait_for()
        assert in_both_schemes(visit.page) == []
        assert visit.foreign == []
        assert visit.errors == []


def test_search_in_the_dialog_is_accessible(browser: Browser) -> None:
    with visiting(browser, SITE, LANDING) as visit:
        visit.page.keyboard.press("Control+K")
        visit.page.keyboard.type("kernel")
        visit.page.locator("#pst-search-dialog li").first.wait_for()
        assert in_both_schemes(visit.page, "#pst-search-dialog[open]") == []


def test_pages_do_not_load_the_index_before_a_search(browser: Browser) -> None:
    with visiting(browser, SITE, LANDING) as visit:
        entries = 'performance.getEntriesByType("resource").map(entry => entry.name)'
        assert not any("sections.js" in name for name in visit.page.evaluate(entries))
