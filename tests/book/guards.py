"""What must not be on a page of the site: each guard looks at an open page and lists it.

``collect`` visits a page once and lets every guard look, so a new claim about pages is a new guard.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Locator, Page, expect

from tests.book.visits import (
    CONFIG,
    DESKTOP,
    NOTEBOOKS,
    PATIENCE,
    ROOT,
    Contents,
    Visit,
    visiting,
)

SMALL_PHONE = {"width": 360, "height": 740}
PHONE = {"width": 390, "height": 844}
PAPER = {"width": 650, "height": 950}
# Rules of axe-core: those that a scheme decides, and one that a width decides.
COLOURS, SCROLLABLE = ("color-contrast", "link-in-text-block"), "scrollable-region-focusable"
TEXT = {".html", ".css", ".js", ".svg"}

# ---------------------------------------------------------------------------------------------
# As it is loaded


def find_console_errors(visit: Visit) -> list[str]:
    """Errors in the console, scripts that failed, files of the site that are missing."""
    stopped = "net::ERR_NAME_NOT_RESOLVED"  # a request to another host: the next guard reports it
    return [error for error in visit.errors if stopped not in error]


def find_foreign_requests(visit: Visit) -> list[str]:
    """Requests to another host while the page loads."""
    return visit.foreign


def find_broken_formulas(visit: Visit) -> list[str]:
    """Formulas that were not set, or set with an error; dollars in prose."""
    dollars = visit.page.evaluate(
        """() => [...document.querySelectorAll("article :is(p, li, td, figcaption)")].map(box => {
            const copy = box.cloneNode(true);
            copy.querySelectorAll("code, pre, .math").forEach(part => part.remove());
            return copy.textContent.replace(/\\s+/g, " ").trim();
        }).filter(text => text.includes("$"))"""
    )
    return dollars + visit.page.evaluate(
        """() => [...document.querySelectorAll(".math")].filter(box => {
            const set = box.querySelector("math");
            return !set || box.querySelector("merror");
        }).map(box => box.textContent.replace(/\\s+/g, " ").slice(0, 160))"""
    )


def find_images_without_words(visit: Visit) -> list[str]:
    """Images without alternative text, or with their own file name for it, as Sphinx writes it."""
    images = visit.page.evaluate(
        "() => [...document.images].map(i => [i.getAttribute('alt') ?? '', i.getAttribute('src')])"
    )
    return [src for alt, src in images if not alt.strip() or is_path(alt, src)]


def is_path(alt: str, src: str) -> bool:
    """Tell whether an alternative text is only the name of a file."""
    return alt == src or bool(re.fullmatch(r"\S*(/|\.(png|svg|jpe?g|gif|webp))\S*", alt.strip()))


def find_broken_links(visit: Visit) -> list[str]:
    """Links to pages and anchors of the site that do not exist."""
    links = visit.page.evaluate("() => [...document.links].map(link => link.href)")
    own = {link for link in links if link.startswith(visit.base)}
    return sorted(link.removeprefix(visit.base) for link in own if not resolves(visit, link))


def resolves(visit: Visit, link: str) -> bool:
    """Tell whether a link leads to a file of the site, and its fragment to an element there."""
    parts = urlsplit(link)
    file = visit.directory / unquote(parts.path).lstrip("/")
    file = file / "index.html" if file.is_dir() else file
    return file.is_file() and (not parts.fragment or unquote(parts.fragment) in anchors(file))


@functools.cache
def anchors(file: Path) -> frozenset[str]:
    """Return every id of a page."""
    return frozenset(re.findall(r'\sid="([^"]+)"', file.read_text(encoding="utf-8")))


def find_wrong_launch_links(visit: Visit) -> list[str]:
    """Launch buttons that do not lead to this page's notebook, as the repository holds it."""
    name = urlsplit(visit.page.url).path.strip("/").removesuffix(".html")
    if name not in NOTEBOOKS:
        return []
    links = visit.page.locator(".dropdown-launch-buttons a").all()
    targets = {link.inner_text().strip(): link.get_attribute("href") for link in links}
    return wrong_targets(targets, opened_by_learners(name))


def opened_by_learners(name: str) -> str:
    """Return the notebook that the buttons of a page lead to: a chapter has one without checks."""
    folder, _, stem = name.rpartition("/")
    return f"learn/{stem}.ipynb" if folder == "book" else f"{name}.ipynb"


def wrong_targets(targets: dict[str, str], path: str) -> list[str]:
    """List the buttons that are missing, and those that do not lead to this file."""
    wanted = {"Colab": colab_target, "JupyterHub": jupyterhub_target}
    missing = [f"no button {text}" for text in wanted if text not in targets]
    return missing + [
        f"{text}: {targets[text]}"
        for text, read in wanted.items()
        if text in targets and not leads_to(read(targets[text]), path)
    ]


def colab_target(href: str) -> tuple[str, str, str]:
    """Read (repository, branch, path) from https://colab.../github/OWNER/NAME/blob/BRANCH/PATH."""
    _, _, owner, name, _, branch, path = urlsplit(href).path.split("/", 6)
    return f"https://github.com/{owner}/{name}", branch, path


def jupyterhub_target(href: str) -> tuple[str, str, str]:
    """Read (repository, branch, path) from the query of an nbgitpuller link."""
    query = {key: values[0] for key, values in parse_qs(urlsplit(href).query).items()}
    _lab, _tree, _clone, path = query["urlpath"].split("/", 3)
    return query["repo"], query["branch"], path


def leads_to(target: tuple[str, str, str], path: str) -> bool:
    """Tell whether a target is this file, in the repository and on the branch of _config.yml."""
    repository = CONFIG["repository"]
    return target == (repository["url"], repository["branch"], path) and path in tracked_files()


@functools.cache
def tracked_files() -> frozenset[str]:
    """Return the files that git knows: what is not among them is not on GitHub either."""
    command = ["git", "ls-files"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return frozenset(listing.stdout.splitlines())


# ---------------------------------------------------------------------------------------------
# On a phone and on paper


def find_cut_content_on_a_phone(visit: Visit) -> list[str]:
    """Code and errors that do not wrap, tables of results and figures that must be scrolled."""
    wrapping = "article :is(.cell_input, .traceback, .highlight-python) pre"
    return scrolling(visit.page, f"{wrapping}, article :is(.output.text_html, figure)")


def find_cut_content_on_paper(visit: Visit) -> list[str]:
    """Boxes that would have to be scrolled, and code that runs over its box."""
    wide = "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    boxes = scrolling(visit.page, "article :is(pre, .output, div.math, table)")
    return boxes + visit.page.locator("article pre").evaluate_all(wide)


def find_controls_on_paper(visit: Visit) -> list[str]:
    """Menus and buttons that are of no use on paper; a page without its title, or a dark one."""
    menus = "#jb-print-toc, #pst-primary-sidebar, #pst-secondary-sidebar, .prev-next-footer"
    page = visit.page
    found = page.locator(f"{menus}, article :is(.copybtn, .headerlink, button)").evaluate_all(
        """all => all.filter(
            e => e.offsetWidth && e.checkVisibility({visibilityProperty: true})
        ).map(e => e.outerHTML.slice(0, 160))"""
    )
    theme = page.evaluate("document.documentElement.dataset.theme")
    found += [] if page.locator("article h1").is_visible() else ["no title"]
    return found + ([] if theme == "light" else [f"printed in the scheme {theme}"])


def find_answers_lost_on_paper(visit: Visit) -> list[str]:
    """Answers that do not stand at the end under a name; what stays closed."""
    closed = visit.page.locator("article details:not([open])").all_text_contents()
    found = [f"closed on paper: {squeezed(text)[:80]}" for text in closed]
    if not visit.before.answers:
        return found
    return found + misplaced(visit.before.answers, visit.page.locator("article > section").last)


def find_outputs_lost_on_paper(visit: Visit) -> list[str]:
    """Outputs behind a question that paper does not show, and forms that it does."""
    found = visit.page.locator('article [hidden="until-found"]').evaluate_all(
        """all => all.filter(e => !e.checkVisibility() || !e.offsetHeight
            || getComputedStyle(e).contentVisibility === "hidden")
            .map(e => `folded: ${e.textContent.trim().slice(0, 80)}`)"""
    )
    forms = visit.page.locator(".predict :is(form, .guess)").all()
    return found + ["a form on paper" for form in forms if form.is_visible()]


def find_traces_of_printing(visit: Visit) -> list[str]:
    """A page that is another one after it was printed."""
    return [] if contents(visit.page) == visit.before else ["printing changed the page"]


def misplaced(answers: list[str], end: Locator) -> list[str]:
    """List the answers that are missing from the last section of a page, and those without name."""
    if end.locator("h2").all_inner_texts() != ["Answers"]:
        return ["the last section is not that of the answers"]
    there = squeezed(end.text_content())
    missing = [f"missing: {text}" for text in map(squeezed, answers) if text not in there]
    names = [name for name in end.locator("h3").all_inner_texts() if name]
    return missing + [f"{len(answers)} answers, {len(names)} names"] * (len(names) != len(answers))


def squeezed(text: str) -> str:
    """Write every space or line end as one space."""
    return " ".join(text.split())


def contents(page: Page) -> Contents:
    """Read the whole text, what of it is open, and the answers."""
    opened = page.locator("article details").evaluate_all("all => all.map(one => one.open)")
    answers = page.locator("article details").evaluate_all(
        """all => all.filter(e => /^answer/i.test(e.querySelector("summary").textContent.trim()))
            .map(e => e.querySelector(".sd-summary-content").textContent)"""
    )
    return Contents(page.locator("article").text_content(), opened, answers)


def scrolling(page: Page, boxes: str) -> list[str]:
    """List the boxes that hold more than they show."""
    return page.locator(boxes).evaluate_all(
        """boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1
            && getComputedStyle(box).overflowX !== "visible")
            .map(box => box.textContent.slice(0, 80))"""
    )


@contextlib.contextmanager
def window(page: Page, size: dict[str, int]) -> Iterator[Page]:
    """Look at a page in a window of another size."""
    page.set_viewport_size(size)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    yield page
    page.set_viewport_size(DESKTOP)


@contextlib.contextmanager
def printed(page: Page) -> Iterator[Page]:
    """Lay a page out for paper as the browser does, for a reader who has chosen a dark scheme."""
    with window(page, PAPER):
        page.emulate_media(media="print", color_scheme="dark")
        wait_for_theme(page, "dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        yield page
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen", color_scheme="light")
        wait_for_theme(page, "light")


def wait_for_theme(page: Page, scheme: str) -> None:
    """Wait until the page has followed the reader's scheme."""
    page.wait_for_function(
        "scheme => document.documentElement.dataset.theme === scheme", arg=scheme
    )


# ---------------------------------------------------------------------------------------------
# With everything folded out; after the last, the page is no longer as it was


def find_trouble_on_a_small_phone(visit: Visit) -> list[str]:
    """Elements wider than a window of 360 px, and boxes that scroll but take no keyboard focus."""
    too_wide = visit.page.evaluate(
        """() => {
            const page = document.scrollingElement;
            const boxed = e => e && e !== page && e !== document.body
                && (getComputedStyle(e).overflowX !== "visible" || boxed(e.parentElement));
            const wide = [...document.querySelectorAll("article *")].filter(
                e => e.getBoundingClientRect().right > innerWidth + 1
                    && !boxed(e.parentElement));
            const names = wide.slice(0, 3).map(e => `too wide: ${e.outerHTML.slice(0, 160)}`);
            if (page.scrollWidth > page.clientWidth) names.push(`page: ${page.scrollWidth} px`);
            return names;
        }"""
    )
    return too_wide + violations_in(visit.page, "light", SCROLLABLE)


def find_violations(visit: Visit) -> list[str]:
    """Violations of axe-core's rules in light, and of those about colours in dark."""
    page = visit.page
    found = violations_in(page, "light", SCROLLABLE)
    for scheme in ("light", "dark"):
        set_scheme(page, scheme)
        page.evaluate(NOTE_LOOKS)
    page.evaluate(THIN_OUT)
    return found + in_both_schemes(page)


# A chapter has thousands of texts, and axe-core takes a millisecond for the contrast of each. Texts
# that look alike have the same: alike, in both schemes, in colour and size, in their classes and
# those around them, and in all that lies behind. Of a single letter axe-core does not judge. What
# other rules read stays: names of links and buttons, headings, the text around a link.
NOTE_LOOKS = """() => {
    const behind = new Map([[null, ""]]);
    const ground = e => {
        if (behind.has(e)) return behind.get(e);
        const {backgroundColor, backgroundImage, opacity, filter, position} = getComputedStyle(e);
        const own = [backgroundColor, backgroundImage, opacity, filter, position];
        behind.set(e, [ground(e.parentElement), e.tagName, e.className, ...own].join());
        return behind.get(e);
    };
    const look = (e, text) => {
        const {color, fontSize, fontWeight, textShadow} = getComputedStyle(e);
        return [color, fontSize, fontWeight, textShadow, text.length > 1, ground(e)].join();
    };
    window.looks ??= new Map();
    for (const e of document.body.querySelectorAll("*")) {
        const own = [...e.childNodes].filter(node => node.nodeType === Node.TEXT_NODE);
        const text = own.map(node => node.data.trim()).join("");
        if (!text || !e.checkVisibility({visibilityProperty: true})) continue;
        looks.set(e, (looks.get(e) ?? "") + look(e, text));
    }
}"""
THIN_OUT = """() => {
    const seen = new Set();
    const read = "a, button, label, summary, th, [role=heading], h1, h2, h3, h4, h5, h6";
    const isRead = e => e.closest(read) || e.querySelector("a");
    for (const [e, look] of looks) {
        if (seen.has(look) && !isRead(e)) {
            e.childNodes.forEach(n => { if (n.nodeType === Node.TEXT_NODE) n.data = ""; });
            if (!e.children.length && e.matches(".highlight span, math *")) e.remove();
        }
        seen.add(look);
    }
}"""


def in_both_schemes(page: Page, part: str = "html") -> list[str]:
    """Run axe-core on a part of the page in light, and its rules about colours in dark."""
    dark = violations_in(page, "dark", *COLOURS, part=part)
    return dark + violations_in(page, "light", part=part)


def show_outputs(page: Page, show: bool = True) -> None:
    """Open what is folded behind a question, for no box in it has a width before; or fold it."""
    page.evaluate(
        """folded => document.querySelectorAll(`.predict [aria-expanded=${folded}]`).forEach(
            button => button.click())""",
        not show,
    )


def unfold(page: Page) -> None:
    """Open what is closed at first: axe-core does not see what is hidden."""
    page.evaluate(
        """() => {
            document.querySelectorAll("details").forEach(box => { box.open = true; });
            document.querySelectorAll(".toggle-button-hidden").forEach(button => button.click());
        }"""
    )


def violations_in(page: Page, scheme: str, *rules: str, part: str = "html") -> list[str]:
    """Run axe-core in one colour scheme: all rules or the named ones, on a part of the page."""
    set_scheme(page, scheme)
    # Without `preload: false` axe-core fetches style sheets again, from addresses it gets wrong.
    options = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = rules
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    run = "([part, options]) => axe.run(part, options).then(found => found.violations)"
    return [
        f"{scheme}: {rule['id']}: {node['html'][:160]}"
        for rule in page.evaluate(run, [part, options])
        for node in rule["nodes"]
    ]


def set_scheme(page: Page, scheme: str) -> None:
    """Ask for a colour scheme as a reader's system does, and wait until the page has followed."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    wait_for_theme(page, scheme)


# ---------------------------------------------------------------------------------------------
# All of them


Guard = Callable[[Visit], list[str]]
AS_LOADED: list[Guard] = [
    find_console_errors,
    find_foreign_requests,
    find_broken_formulas,
    find_images_without_words,
    find_broken_links,
    find_wrong_launch_links,
]
ON_PAPER: list[Guard] = [
    find_cut_content_on_paper,
    find_controls_on_paper,
    find_answers_lost_on_paper,
    find_outputs_lost_on_paper,
]
AFTER_PRINTING: list[Guard] = [find_traces_of_printing]
ON_A_PHONE: list[Guard] = [find_cut_content_on_a_phone]
UNFOLDED_ON_A_SMALL_PHONE: list[Guard] = [find_trouble_on_a_small_phone]
UNFOLDED: list[Guard] = [find_violations]
GUARDS = [
    *AS_LOADED,
    *ON_PAPER,
    *AFTER_PRINTING,
    *ON_A_PHONE,
    *UNFOLDED_ON_A_SMALL_PHONE,
    *UNFOLDED,
]


@dataclass
class Findings:
    """What the guards found on a page, and the files that opening it sends."""

    breaches: dict[Guard, list[str]]
    files: set[Path]


def collect(browser: Browser, directory: Path, name: str) -> Findings:
    """Visit a page once, and lay it out once for each of the ways to look at it."""
    with visiting(browser, directory, name) as visit:
        files, found = files_of(visit), {}

        def look(guards: list[Guard]) -> None:
            found.update({guard: guard(visit) for guard in guards})

        fetch_figures(visit.page)
        show_outputs(visit.page)
        mount_explorers(visit.page)
        show_outputs(visit.page, False)
        visit.before = contents(visit.page)
        look(AS_LOADED)
        with printed(visit.page):
            look(ON_PAPER)
        look(AFTER_PRINTING)
        show_outputs(visit.page)
        with window(visit.page, PHONE):
            look(ON_A_PHONE)
        unfold(visit.page)
        mount_explorers(visit.page)
        with window(visit.page, SMALL_PHONE):
            look(UNFOLDED_ON_A_SMALL_PHONE)
        look(UNFOLDED)
        return Findings(found, files)


def fetch_figures(page: Page) -> None:
    """Fetch the figures further down too."""
    page.evaluate(
        """async () => {
            for (const image of document.images) image.loading = "eager";
            await Promise.allSettled([...document.images].map(image => image.decode()));
        }"""
    )


def mount_explorers(page: Page) -> None:
    """Come near every explorer in sight, and wait until it draws and has said its first words."""
    for explorer in page.locator(".explorer").all():
        if not explorer.is_visible():
            continue  # behind a question: for later
        explorer.scroll_into_view_if_needed()
        explorer.locator(".explorer-said:not(:empty)").wait_for()
        answers = explorer.locator(".explorer-answer, .explorer-said")
        expect(answers.filter(has_text="…")).to_have_count(0, timeout=PATIENCE)  # all are known
    page.evaluate("scrollTo(0, 0)")


def files_of(visit: Visit) -> set[Path]:
    """List a page's file and all that it has asked for so far: at first, what opening it sends."""
    names = visit.page.evaluate(
        """() => performance.getEntriesByType("resource").map(entry => entry.name)"""
    )
    own = [unquote(urlsplit(url).path) for url in [visit.page.url, *names] if visit.base in url]
    return {visit.directory / path.lstrip("/") for path in own}


def weight(files: set[Path]) -> int:
    """Add up what a usual static host sends: text as gzip, the rest as it is."""
    return sum(
        len(gzip.compress(file.read_bytes())) if file.suffix in TEXT else file.stat().st_size
        for file in files
    )
