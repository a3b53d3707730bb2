"""The page of questions in a browser: with the keyboard, with a screen reader, without a script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.book.guards import in_both_schemes
from tests.book.visits import serve, visiting
from tools.questions import chapters

NAME = "book/questions"
ALL = [one for chapter in chapters() for one in chapter.questions]
OPTIONS = [option for one in ALL for option in one.options]
ANSWER = """answers => answers.map(([id, key]) => {
    const form = document.querySelector(`#question-${id} form`);
    const radio = form.querySelector(`[value="${key}"]`);
    if (radio) radio.checked = true;
    else form.elements.answer.value = key;
    form.requestSubmit();
    return form.querySelector(".said p").textContent.replace(/\\s+/g, " ").trim();
})"""
CHOICE, NUMBER = "corner-with-padding", "windows-on-thirty"


@pytest.fixture(scope="module")
def page(browser: Browser, site: Path) -> Iterator[Page]:
    with visiting(browser, site, NAME) as visit:
        yield visit.page


def box(page: Page, name: str) -> Locator:
    return page.locator(f"#question-{name}")


def said(page: Page, name: str) -> str:
    """Return what a screen reader says after an answer."""
    return box(page, name).get_by_role("status").inner_text()


def test_page_asks_every_question(page: Page) -> None:
    titles = page.locator("article section section > h2").all_inner_texts()
    assert [title.removesuffix("#") for title in titles] == [
        f"{chapter.title}: questions" for chapter in chapters()
    ]
    assert page.locator(".question").evaluate_all("all => all.map(one => one.id)") == [
        f"question-{one.id}" for one in ALL
    ]


def test_keyboard_answers_a_choice(page: Page) -> None:
    box(page, CHOICE).locator("[value=a]").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Check"
    page.keyboard.press("Enter")
    assert "No. The mistake has a name: “padding lets all pixels count alike”." in said(
        page, CHOICE
    )
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert said(page, CHOICE).startswith("c Right.")


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("", "Choose an option, or write a number."),
        ("16", "No. The mistake has a name: “the size is rounded up”."),
        ("7", "No. This number has no name here"),
        ("many", "No. This number has no name here"),
        (" 15,0 ", "Right."),
    ],
)
def test_number_is_answered(page: Page, given: str, part: str) -> None:
    box(page, NUMBER).get_by_label("Your number").fill(given)
    page.keyboard.press("Enter")
    assert part in said(page, NUMBER)


@pytest.mark.parametrize(
    ("name", "given"),
    [("numbers-of-a-film", "3,328"), ("consistency-of-five", "0,52"), ("gradient-of-a-peak", "9")],
)
def test_numbers_are_read_as_people_write_them(page: Page, name: str, given: str) -> None:
    box(page, name).get_by_label("Your number").fill(given)
    page.keyboard.press("Enter")
    assert "Right." in said(page, name)


def test_every_option_is_answered(page: Page) -> None:
    """Answer each question in each way, and compare with the source."""
    given = [[one.id, option.key] for one in ALL for option in one.options]
    firsts = page.evaluate(ANSWER, given)
    for (_, key), option, first in zip(given, OPTIONS, firsts, strict=True):
        verdict = "Right." if option.right else f"No. The mistake has a name: “{option.name}”."
        assert first == f"{key} {verdict}"


def test_answered_questions_are_accessible(page: Page) -> None:
    assert in_both_schemes(page, f"#question-{CHOICE}") == []
    assert in_both_schemes(page, f"#question-{NUMBER}") == []


def test_options_have_a_name_for_a_screen_reader(page: Page) -> None:
    group = box(page, CHOICE).get_by_role("radiogroup")
    asked = group.evaluate(
        "one => document.getElementById(one.getAttribute('aria-labelledby')).textContent"
    )
    assert "In how many windows does the pixel in the corner lie" in asked
    assert group.get_by_role("radio", name="a In as many, because padding").count() == 1


def test_without_a_script_the_key_opens(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page, address = context.new_page(), f"{serve(site)}{NAME}.html"
    page.goto(address)
    one = box(page, CHOICE)
    assert not one.locator("button").is_visible()
    assert not one.get_by_text("three of five positions").is_visible()
    one.locator("summary").click()
    assert one.get_by_text("three of five positions").is_visible()
    box(page, NUMBER).locator("input").press("Enter")
    assert page.url == address  # nothing is sent
    context.close()
