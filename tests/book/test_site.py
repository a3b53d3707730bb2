"""The built site, page by page in a real browser; and each guard, on a page broken on purpose.

Every guard is a function ``find_*(visit)`` that returns what is wrong with a page, one line each.
``collect`` visits a page once and runs them all. ``test_page`` reads what was found on every page
of ``_toc.yml``; ``test_guard_reports``, what was found on a copy of the landing page with many
damages.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route
from sphinx_external_toc.parsing import parse_toc_yaml

from tests.book.chromium import NO_BROWSER, find_chromium

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
LANDING, *CHAPTERS = parse_toc_yaml(ROOT / "_toc.yml")
PAGES = [LANDING, *CHAPTERS, "search"]
NOTEBOOKS = [name for name in CHAPTERS if (ROOT / f"{name}.ipynb").exists()]

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}
PATIENCE = 120_000  # milliseconds: a busy machine is no mistake of a page
COLOURS = ("color-contrast", "link-in-text-block")  # the rules of axe-core that a scheme decides


# ---------------------------------------------------------------------------------------------
# A page in the browser


@dataclass
class Visit:
    """An open page, what it printed to the console and what it asked other hosts for."""

    page: Page
    base: str
    directory: Path
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serve files without a line in the log for each."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve(directory: Path) -> Iterator[str]:
    """Serve a folder on the loopback interface and yield its address."""
    handler = functools.partial(QuietHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def visiting(browser: Browser, directory: Path, name: str) -> Iterator[Visit]:
    """Open one page of a served folder in a fresh context that can reach no other host."""
    with (
        serve(directory) as base,
        contextlib.closing(browser.new_context(viewport=DESKTOP, reduced_motion="reduce")) as tab,
    ):
        tab.set_default_timeout(PATIENCE)
        visit = Visit(tab.new_page(), base, directory)
        watch(visit)
        visit.page.goto(f"{base}{name}.html", wait_until="load")
        visit.page.evaluate("() => document.fonts.ready.then(() => null)")
        yield visit


def watch(visit: Visit) -> None:
    """Record errors, and record and stop every request that leaves the served folder."""

    def stop(route: Route) -> None:
        visit.foreign.append(route.request.url)
        route.abort()

    elsewhere = re.compile(f"^(?!{re.escape(visit.base)})")
    visit.page.context.route(elsewhere, stop)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("console", lambda line: line.type == "error" and visit.errors.append(line.text))
    visit.page.on(
        "response",
        lambda answer: (
            answer.status >= 400 and visit.errors.append(f"{answer.status} {answer.url}")
        ),
    )


# ---------------------------------------------------------------------------------------------
# The guards


def find_console_errors(visit: Visit) -> list[str]:
    """Errors in the console, scripts that failed, files of the site that are missing."""
    stopped = "net::ERR_FAILED"  # a request to another host: the next guard reports it
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


def find_violations(visit: Visit) -> list[str]:
    """Violations of axe-core's rules in light, and of those about colours in dark."""
    return in_both_schemes(visit.page)


def in_both_schemes(page: Page, part: str = "html") -> list[str]:
    """Run axe-core on a part of the page in light, and its rules about colours in dark."""
    light = violations_in(page, "light", part=part)
    return light + violations_in(page, "dark", *COLOURS, part=part)


def unfold(page: Page) -> None:
    """Open what is closed at first: axe-core does not see what is hidden."""
    page.evaluate(
        """() => {
            document.querySelectorAll("details").forEach(box => { box.open = true; });
            document.querySelectorAll(".toggle-button-hidden").forEach(button => button.click());
        }"""
    )


def keep_one_token_of_each_kind(page: Page) -> None:
    """Write all but the first of the code tokens with the same classes, up to the root, as text.

    Equal classes have equal colours. A chapter has thousands of tokens, and axe-core would look at
    each of them.
    """
    page.evaluate(
        """() => {
            const style = element => element.className + element.getAttribute("style");
            const kind = element => element && [style(element), kind(element.parentElement)].join();
            const seen = new Set();
            for (const token of document.querySelectorAll(".highlight span")) {
                const one = kind(token);
                if (seen.has(one)) token.replaceWith(...token.childNodes);
                seen.add(one);
            }
        }"""
    )


def violations_in(page: Page, scheme: str, *rules: str, part: str = "html") -> list[str]:
    """Run axe-core in one colour scheme: all rules or the named ones, on a part of the page."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.wait_for_function(
        "scheme => document.documentElement.dataset.theme === scheme", arg=scheme
    )
    # Without `preload: false` axe-core fetches style sheets again, from addresses it gets wrong.
    options = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = list(rules)
    found = Axe().run(page, part, options).response["violations"]
    return [
        f"{scheme}: {rule['id']}: {node['html'][:160]}" for rule in found for node in rule["nodes"]
    ]


def find_trouble_on_a_phone(visit: Visit) -> list[str]:
    """Elements wider than a window of 360 px, and boxes that scroll but take no keyboard focus."""
    visit.page.set_viewport_size(PHONE)
    visit.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    too_wide = visit.page.evaluate(
        """() => {
            const page = document.scrollingElement;
            const boxed = e => e && e !== page && e !== document.body
                && (getComputedStyle(e).overflowX !== "visible" || boxed(e.parentElement));
            const wide = [...document.querySelectorAll("article *")].filter(
                e => e.getBoundingClientRect().right > innerWidth + 1 && !boxed(e.parentElement));
            const names = wide.slice(0, 3).map(e => `too wide: ${e.outerHTML.slice(0, 160)}`);
            if (page.scrollWidth > page.clientWidth) names.push(`page: ${page.scrollWidth} px`);
            return names;
        }"""
    )
    scheme = "light"
    unreachable = violations_in(visit.page, scheme, "scrollable-region-focusable")
    visit.page.set_viewport_size(DESKTOP)
    return too_wide + unreachable


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


Guard = Callable[[Visit], list[str]]
# The first two look at what happened while the page loaded.
AS_LOADED: list[Guard] = [
    find_console_errors,
    find_foreign_requests,
    find_broken_formulas,
    find_images_without_words,
    find_broken_links,
    find_wrong_launch_links,
]
UNFOLDED: list[Guard] = [find_trouble_on_a_phone, find_violations]
GUARDS = AS_LOADED + UNFOLDED


def collect(browser: Browser, directory: Path, name: str) -> dict[Guard, list[str]]:
    """Visit a page once; return what every guard found there."""
    with visiting(browser, directory, name) as visit:
        found = {guard: guard(visit) for guard in AS_LOADED}
        unfold(visit.page)
        keep_one_token_of_each_kind(visit.page)
        return found | {guard: guard(visit) for guard in UNFOLDED}


# ---------------------------------------------------------------------------------------------
# Fixtures


def find_stale_files() -> list[str]:
    """Name the sources that are newer than their page, and static files that differ."""
    sources = [next(ROOT.glob(f"{name}.ipynb"), ROOT / f"{name}.md") for name in PAGES[:-1]]
    pages = [SITE / f"{name}.html" for name in PAGES[:-1]]
    stale = [
        str(source.relative_to(ROOT))
        for source, page in zip(sources, pages, strict=True)
        if not page.exists() or page.stat().st_mtime < source.stat().st_mtime
    ]
    static = ROOT / "book" / "_static"
    for source in [*static.glob("*.css"), *static.glob("*.js")]:
        built = SITE / "_static" / source.name
        if not built.exists() or built.read_bytes() != source.read_bytes():
            stale.append(str(source.relative_to(ROOT)))
    return stale


@pytest.fixture(scope="session")
def site() -> Path:
    if stale := find_stale_files():
        pytest.fail(f"_build/html is missing or older than {', '.join(stale)}. Run: make book")
    return SITE


@pytest.fixture(scope="session")
def findings(browser: Browser, site: Path) -> Callable[[str], dict[Guard, list[str]]]:
    """Visit each page once, and keep what every guard found there."""
    return functools.cache(functools.partial(collect, browser, site))


# ---------------------------------------------------------------------------------------------
# The site


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
@pytest.mark.parametrize("name", PAGES)
def test_page(findings, name: str, guard: Guard) -> None:
    assert findings(name)[guard] == []


def test_open_menus_are_accessible(browser: Browser, site: Path) -> None:
    with visiting(browser, site, PAGES[-2]) as visit:
        menus = visit.page.locator(".article-header-buttons .dropdown > button").all()
        for button in menus:
            button.click()
            assert in_both_schemes(visit.page, ".article-header-buttons") == []
        visit.page.keyboard.press("Control+K")
        dialog = "#pst-search-dialog[open]"
        visit.page.locator(dialog).wait_for()
        assert in_both_schemes(visit.page, dialog) == []


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
    "wide element": (
        find_trouble_on_a_phone,
        '<div style="width: 900px">a wide box</div>',
        "a wide box",
    ),
    "scrolling box without focus": (find_trouble_on_a_phone, TRAP, "overflow: auto"),
    "pale text": (find_violations, f"<p {PALE}>pale text</p>", "light: color-contrast: <p style"),
    "pale code": (find_violations, CODE, "light: color-contrast: <span style"),
    "dim in the dark": (
        find_violations,
        f'{DIM}<p class="dim">dim text</p>',
        'dark: color-contrast: <p class="dim"',
    ),
    "unnamed button": (find_violations, "<button></button>", "button-name"),
}


def damage(site: Path, copy: Path, name: str, old: str, new: str) -> None:
    """Copy one page beside links to the rest of the site, with its first ``old`` replaced."""
    text = (site / f"{name}.html").read_text(encoding="utf-8")
    assert old in text, f"{name}.html no longer holds {old!r}: choose another damage"
    page = copy / f"{name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text.replace(old, new, 1), encoding="utf-8")
    for neighbour in [*site.iterdir(), *(site / name).parent.iterdir()]:
        place = copy / neighbour.relative_to(site)
        if not place.exists():
            place.symlink_to(neighbour)


@pytest.fixture(scope="session")
def damaged(browser: Browser, site: Path, tmp_path_factory) -> dict[Guard, list[str]]:
    """Return what the guards find on a copy of the landing page with every damage."""
    copy = tmp_path_factory.mktemp("damaged")
    damage(site, copy, LANDING, END, "".join(added for _, added, _ in DAMAGES.values()) + END)
    return collect(browser, copy, LANDING)


@pytest.mark.parametrize(("guard", "added", "report"), DAMAGES.values(), ids=DAMAGES)
def test_guard_reports(damaged, guard: Guard, added: str, report: str) -> None:
    assert report in "\n".join(damaged[guard])


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
