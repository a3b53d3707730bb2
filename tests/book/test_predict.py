"""Predict, then see: the forms in a browser, by hand, by ear, on paper and without a script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.book.guards import in_both_schemes, printed, window
from tests.book.visits import serve, visiting
from tools import predictions
from tools.notebooks import chapters

NAME = "book/04_padding_stride"
SUMS, LEFT, BORDERS = 1, 2, 5  # a list, a number and a choice of that chapter
FOLDED = '[hidden="until-found"]'


# How a word ends that leaves the output closed.
UNNAMED = ("asks for 3 numbers.", "numbers are right.", "too large.", "too small.")


@pytest.fixture
def page(browser: Browser, site: Path) -> Iterator[Page]:
    with visiting(browser, site, NAME) as visit:
        yield visit.page


def box(page: Page, place: int) -> Locator:
    return page.locator(f"#predict-{place}")


def output(page: Page, place: int) -> Locator:
    """Return the output of the cell behind a question."""
    return page.locator(f"#predict-{place} + .cell .cell_output")


def beside(page: Page, place: int) -> Locator:
    """Return the line right before that output."""
    return page.locator(f"#predict-{place} + .cell .guess:has(+ .cell_output)")


def is_open(page: Page, place: int) -> bool:
    return output(page, place).get_attribute("hidden") is None


def said(page: Page, place: int) -> str:
    """Return what a screen reader says after a guess."""
    return " ".join(box(page, place).get_by_role("status").inner_text().split())


def guess(page: Page, place: int, given: str) -> str:
    """Write a number, or choose an answer, and check it."""
    if box(page, place).get_by_role("radio").count():
        box(page, place).get_by_label(given, exact=True).check()
    else:
        box(page, place).get_by_role("textbox").fill(given)
    box(page, place).get_by_role("button", name="Check").click()
    return said(page, place)


def test_output_and_its_text_are_folded_and_the_code_is_not(page: Page) -> None:
    assert not is_open(page, LEFT)
    assert beside(page, LEFT).inner_text() == "The output waits for your guess."
    assert page.get_by_text("It costs ten times four pixels").get_attribute("hidden") is not None
    code = page.locator(f"#predict-{LEFT} + .cell .cell_input")
    assert "conv_output_size" in code.inner_text()
    assert "200 pixels a side" not in page.locator("article").inner_text()


def test_text_before_the_next_question_stays(browser: Browser, site: Path) -> None:
    with visiting(browser, site, "book/03_cross_correlation") as visit:
        assert visit.page.get_by_text("Now change the five pixels").is_visible()
        shown = visit.page.locator("#predict-3").evaluate("e => e.previousElementSibling.hidden")
        assert shown is False


def test_second_output_waits_and_a_near_guess_gets_the_words_of_the_answer(
    browser: Browser, site: Path
) -> None:
    with visiting(browser, site, "book/08_lenet") as visit:
        assert visit.page.locator(f"#predict-2 ~ .cell .cell_output{FOLDED}").count() == 2
        words = guess(visit.page, 2, "11 %")
        assert words.startswith("You said 11 %; it is 10 %. That is near. This is no better than")
        assert visit.page.locator(f"#predict-2 ~ .cell .cell_output{FOLDED}").count() == 0


@pytest.mark.parametrize("name", ["03_cross_correlation", "04_padding_stride"])
def test_explorer_beside_a_question_is_there_without_a_guess(
    browser: Browser, site: Path, name: str
) -> None:
    with visiting(browser, site, f"book/{name}") as visit:
        for explorer in visit.page.locator(".explorer").all():
            assert explorer.is_visible()


def test_right_answer_opens(page: Page) -> None:
    assert guess(page, LEFT, "200") == "You said 200. That is right."
    assert is_open(page, LEFT)
    assert page.get_by_text("It costs ten times four pixels").is_visible()
    assert beside(page, LEFT).inner_text() == "You said 200. That is right."
    assert not is_open(page, SUMS)  # the others stay as they are


def test_mistake_is_named_and_stands_beside_the_result(page: Page) -> None:
    words = guess(page, LEFT, "190")
    assert words.startswith("You said 190; it is 200. A kernel of five takes four pixels away")
    assert is_open(page, LEFT)
    assert beside(page, LEFT).inner_text() == "You said 190; it is 200."
    assert "200 pixels a side" in output(page, LEFT).inner_text()


def test_unknown_mistake_gets_no_answer(page: Page) -> None:
    words = guess(page, LEFT, "199")
    assert words.startswith("You said 199. That is too small.")
    assert "200" not in words
    assert not is_open(page, LEFT)
    box(page, LEFT).get_by_role("button", name="Show").click()
    assert said(page, LEFT) == beside(page, LEFT).inner_text() == "You said 199; it is 200."
    assert is_open(page, LEFT)


@pytest.mark.parametrize(
    ("place", "given", "part"),
    [
        (LEFT, "", "Write a number first, such as 2"),
        (LEFT, "many", "Write your guess as digits, such as 2"),
        (SUMS, "all alike", "Write your guess as digits, such as 2, 3"),
    ],
)
def test_what_is_no_number_opens_nothing(page: Page, place: int, given: str, part: str) -> None:
    assert part in guess(page, place, given)
    assert not is_open(page, place)


def test_nothing_chosen_opens_nothing(page: Page) -> None:
    box(page, BORDERS).get_by_role("button", name="Check").click()
    assert said(page, BORDERS).startswith("Choose an answer first")
    assert not is_open(page, BORDERS)


@pytest.mark.parametrize(
    "given", ["9, 6, 4", "9,6,4", "(9, 6, 4)", "[9 6 4]", "9x6x4", "9 × 6 × 4"]
)
def test_list_is_read_as_people_write_it(page: Page, given: str) -> None:
    assert guess(page, SUMS, given).endswith("That is right.")


@pytest.mark.parametrize(
    ("answer", "near", "given", "part"),
    [
        ("6 × 24 × 24", "", "6x24x24", "That is right."),
        ("6 × 24 × 24", "", "(6, 24, 24)", "That is right."),
        ("6 × 24 × 24", "", "6,24,24", "That is right."),
        ("6 × 24 × 24", "", "6, 24", "The question asks for 3 numbers."),
        ("6 × 24 × 24", "", "6, 28, 24", "2 of the 3 numbers are right."),
        ("0.83", "", "0.9", "That is too large."),
        ("0.83", "", "0,83", "That is right."),
        ("0.83", "", "83 %", "That is right."),
        ("83 %", "", "83%", "That is right."),
        ("83 %", "", "0.83", "That is right."),
        ("1,296", "", "1296", "That is right."),
        ("−6", "", "-6", "That is right."),
        ("13", "", "13 pixels", "That is right."),
        ("8", "1", "7", "You said 7; it is 8. That is near."),
        ("8", "1", "5", "You said 5; it is 8. This is measured."),
    ],
)
def test_guesses_are_read_and_compared(
    browser: Browser, site: Path, answer: str, near: str, given: str, part: str
) -> None:
    """Give a question another key before the script reads it."""
    with visiting(browser, site, NAME) as visit:
        page = visit.page

        def changed(route) -> None:
            text = (site / f"{NAME}.html").read_text("utf-8")
            assert 'data-answer="200" data-near=""' in text
            key = f'data-answer="{answer}" data-near="{near}"'
            text = text.replace('data-answer="200" data-near=""', key)
            route.fulfill(body=text, content_type="text/html; charset=utf-8")

        page.route(f"**/{NAME}.html", changed)
        page.reload(wait_until="load")
        assert part in guess(page, LEFT, given)
        assert is_open(page, LEFT) != part.endswith(UNNAMED)
        page.unroute_all()


def test_choice_is_answered(page: Page) -> None:
    assert guess(page, BORDERS, "with none").startswith(
        "You said “with none”; it is “with all but the circular one”. A convolution treats"
    )
    assert is_open(page, BORDERS)
    assert guess(page, BORDERS, "with all but the circular one").endswith("That is right.")


def test_keyboard_alone(page: Page) -> None:
    """Guess, show and fold away; the reader keeps the place and the focus."""
    box(page, LEFT).get_by_role("textbox").focus()
    page.keyboard.type("190")
    before = box(page, LEFT).bounding_box()["y"]
    page.keyboard.press("Enter")
    assert is_open(page, LEFT)
    assert box(page, LEFT).bounding_box()["y"] == before
    for name in ("Check", "Fold away again"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
    page.keyboard.press("Enter")
    assert not is_open(page, LEFT)
    assert page.evaluate("document.activeElement.ariaExpanded") == "false"
    page.keyboard.press("Enter")
    assert is_open(page, LEFT)


def test_choice_by_keyboard(page: Page) -> None:
    box(page, BORDERS).get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert said(page, BORDERS).startswith("You said “with the four that put something”")


def test_screen_reader_hears_the_question_with_the_field(page: Page) -> None:
    field = box(page, LEFT).get_by_role("textbox", name="Your guess")
    about = field.evaluate("e => document.getElementById(e.getAttribute('aria-describedby')).id")
    assert about == f"predict-{LEFT}-ask"
    group = box(page, BORDERS).get_by_role("group", name="Your guess")
    assert group.get_by_role("radio").count() == 4


def test_folded_and_answered_page_is_accessible(page: Page) -> None:
    guess(page, LEFT, "190")
    guess(page, BORDERS, "with none")
    for place in (SUMS, LEFT, BORDERS):
        assert in_both_schemes(page, f"#predict-{place}") == []


def test_no_request_and_nothing_remembered(browser: Browser, site: Path) -> None:
    with visiting(browser, site, NAME) as visit:
        visit.page.evaluate("performance.clearResourceTimings()")
        guess(visit.page, LEFT, "190")
        stored = visit.page.evaluate("Object.keys(localStorage).concat(document.cookie)")
        assert not any("190" in one or "predict" in one for one in stored)
        visit.page.reload(wait_until="load")
        assert not is_open(visit.page, LEFT)
        assert (visit.foreign, visit.errors) == ([], [])


def test_paper_shows_all_and_no_form(page: Page) -> None:
    guess(page, LEFT, "190")
    with printed(page):
        hidden = page.locator(f"article {FOLDED}").evaluate_all(
            """all => all.filter(e => getComputedStyle(e).contentVisibility === "hidden"
                || getComputedStyle(e).display === "none" || !e.getBoundingClientRect().height)
                .map(e => e.textContent)"""
        )
        assert hidden == []
        assert not page.locator(".predict form").first.is_visible()
        assert not page.locator(".guess").first.is_visible()
        assert page.get_by_text("What is left of 240 pixels").is_visible()
        assert "200 pixels a side" in page.locator("article").inner_text()


def test_without_a_script_all_is_shown(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{serve(site)}{NAME}.html")
    assert page.get_by_text("What is left of 240 pixels").is_visible()
    assert page.get_by_text("It costs ten times four pixels").is_visible()
    assert not page.locator(".predict form").first.is_visible()
    assert not page.get_by_text("A kernel of five takes four pixels away").is_visible()
    context.close()


def test_link_into_what_is_folded_opens_it(browser: Browser, site: Path) -> None:
    """Both when the page is opened there and when a reader follows a link later."""
    term = "term-padding"
    with visiting(browser, site, NAME) as visit:
        page = visit.page
        assert page.locator(f"{FOLDED} #{term}").count() == 1
        page.evaluate(f"location.hash = '{term}'")
        page.wait_for_function(f"!document.querySelector('{FOLDED} #{term}')")
        page.goto("about:blank")
        page.goto(f"{visit.base}{NAME}.html#{term}", wait_until="load")
        assert is_open(page, LEFT)
        assert not is_open(page, SUMS)
        top = page.locator(f"#{term}").bounding_box()["y"]
        assert 0 <= top < page.viewport_size["height"]


def test_search_of_the_browser_opens(page: Page) -> None:
    """What a browser does when its search, or a link to a text, finds what is folded."""
    output(page, LEFT).evaluate("e => e.dispatchEvent(new Event('beforematch', {bubbles: true}))")
    assert is_open(page, LEFT)
    assert not is_open(page, SUMS)


def test_link_to_a_text_opens(browser: Browser, site: Path) -> None:
    """The browser looks for the text as its search does."""
    with visiting(browser, site, NAME) as visit:
        visit.page.goto("about:blank")
        found = "#:~:text=200%20pixels%20a%20side"
        visit.page.goto(f"{visit.base}{NAME}.html{found}", wait_until="load")
        visit.page.wait_for_function(f"!document.querySelector('#predict-{LEFT} + .cell {FOLDED}')")
        assert not is_open(visit.page, SUMS)


def test_every_key_is_answered(browser: Browser, site: Path) -> None:
    """Give each form of the book its answer and each mistake, and compare with the source."""
    for text in chapters():
        notebook = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
        cells = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
        keys = [predictions.read(content) for content in predictions.boxes(cells)]
        with visiting(browser, site, f"book/{text.stem}") as visit:
            assert visit.page.locator(".predict form").count() == len(keys)
            for place, key in enumerate(keys, 1):
                assert output_is_folded(visit.page, place), (text.stem, place)
                for given in {key.answer, *key.said}:
                    words = answer(visit.page, place, given)
                    right = "That is right." in words
                    assert right == (given == key.answer), (text.stem, place, words)


FOLDED_BEHIND = """([place, folded]) => {
    const follows = (one, other) => other
        && one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;
    const [box, next] = [place, place + 1].map(n => document.getElementById(`predict-${n}`));
    return [...document.querySelectorAll(`.cell_output${folded}`)].some(
        output => follows(box, output) && !follows(next ?? output, output));
}"""


def output_is_folded(page: Page, place: int) -> bool:
    """Tell whether an output is folded behind a question, and before the next one."""
    return page.evaluate(FOLDED_BEHIND, [place, FOLDED])


ANSWER = """([place, given]) => {
    const form = document.querySelector(`#predict-${place} form`);
    const radio = [...form.querySelectorAll("[type=radio]")].find(one => one.value === given);
    if (radio) radio.checked = true;
    else form.elements.guess.value = given;
    form.requestSubmit();
    return form.querySelector(".said").textContent;
}"""


def answer(page: Page, place: int, given: str) -> str:
    """Answer at once, without the clicks of a reader."""
    return page.evaluate(ANSWER, [place, given])


def test_forms_fit_on_a_small_phone(page: Page) -> None:
    guess(page, BORDERS, "with none")
    with window(page, {"width": 360, "height": 740}):
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
