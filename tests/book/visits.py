"""The built site in a browser: where it is, which pages it has, and a visit to one of them."""

from __future__ import annotations

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml
from playwright.sync_api import Browser, Page, Request, Response
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
LANDING, *CHAPTERS = parse_toc_yaml(ROOT / "_toc.yml")
PAGES = [LANDING, *CHAPTERS, "search"]
NOTEBOOKS = [name for name in CHAPTERS if (ROOT / f"{name}.ipynb").exists()]

DESKTOP = {"width": 1280, "height": 900}
PATIENCE = 120_000  # milliseconds: a busy machine is no mistake of a page


class Contents(NamedTuple):
    """The whole text of a page, which of its folded parts are open, and the answers in them."""

    text: str
    opened: list[bool]
    answers: list[str]


@dataclass
class Visit:
    """An open page, what it held at first, its errors and what it asked other hosts for."""

    page: Page
    base: str
    directory: Path
    before: Contents | None = None
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def hear(self, request: Request) -> None:
        """Note a request that leaves the served folder."""
        if request.url.startswith("http") and not request.url.startswith(self.base):
            self.foreign.append(request.url)

    def check(self, answer: Response) -> None:
        """Note an answer that is an error."""
        if answer.status >= 400:
            self.errors.append(f"{answer.status} {answer.url}")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serve files without a line in the log for each."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@functools.cache
def serve(directory: Path) -> str:
    """Serve a folder on the loopback interface, until the tests end, and return its address."""
    handler = functools.partial(QuietHandler, directory=str(directory))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


@functools.cache
def tab(browser: Browser) -> Page:
    """Return the tab of all visits: what it has fetched for one page, it has for the next."""
    page = browser.new_page()
    page.context.set_default_timeout(PATIENCE)
    return page


def cleared_tab(browser: Browser) -> Page:
    """Return the tab with nothing in it, in a large window, for a reader of light pages."""
    page = tab(browser)
    page.goto("about:blank")
    page.set_viewport_size(DESKTOP)
    page.emulate_media(media="screen", color_scheme="light", reduced_motion="reduce")
    page.context.clear_permissions()
    return page


@contextlib.contextmanager
def visiting(browser: Browser, directory: Path, name: str) -> Iterator[Visit]:
    """Open one page of a served folder, as one who was never there, and look at it."""
    visit = Visit(cleared_tab(browser), serve(directory), directory)
    with watched(visit):
        visit.page.goto(f"{visit.base}{name}.html", wait_until="load")
        visit.page.evaluate("() => document.fonts.ready.then(() => null)")
        yield visit


@contextlib.contextmanager
def watched(visit: Visit) -> Iterator[None]:
    """Record errors and requests to other hosts, which the browser does not find."""
    heard = {
        "pageerror": lambda error: visit.errors.append(str(error)),
        "console": lambda line: line.type == "error" and visit.errors.append(line.text),
        "response": visit.check,
    }
    visit.page.context.on("request", visit.hear)
    for event, note in heard.items():
        visit.page.on(event, note)
    try:
        yield
        visit.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    finally:
        visit.page.context.remove_listener("request", visit.hear)
        for event, note in heard.items():
            visit.page.remove_listener(event, note)


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
    return stale + find_stale_explorers()


def find_stale_explorers() -> list[str]:
    """Name the scripts of explorers that are newer than what the site has of them."""
    built = SITE / "_static" / "explorers"
    sources = (ROOT / "cnncourse" / "explore").glob("*.js")
    return [
        str(source.relative_to(ROOT))
        for source in sources
        if (page := built / source.name).exists() and page.stat().st_mtime < source.stat().st_mtime
    ]


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
