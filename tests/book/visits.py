"""The built site in a browser: where it is, which pages it has, and a visit to one of them."""

from __future__ import annotations

import contextlib
import functools
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from playwright.sync_api import Browser, Page, Route
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
LANDING, *CHAPTERS = parse_toc_yaml(ROOT / "_toc.yml")
PAGES = [LANDING, *CHAPTERS, "search"]
NOTEBOOKS = [name for name in CHAPTERS if (ROOT / f"{name}.ipynb").exists()]

DESKTOP = {"width": 1280, "height": 900}
PATIENCE = 120_000  # milliseconds: a busy machine is no mistake of a page


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
