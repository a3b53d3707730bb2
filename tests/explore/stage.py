"""Explorers in a browser, as a page of the book mounts them, but alone on their page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from cnncourse.explore.explorer import Explorer
from cnncourse.explore.modules import joined
from tests.book.visits import PATIENCE, ROOT, serve
from tools.pages.explorers import FOLDER, markup, write_files

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1000, "height": 800}
STATIC = ROOT / "book" / "_static"
COLOURS = """<style>
html[data-theme=light] {--pst-color-background: #fff} body {margin: 16px}
body {background: var(--pst-color-background); color: var(--pst-color-text-base)}
</style>"""
THEME = """<script>
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; };
dark.onchange = follow;
follow();
</script>"""


@dataclass
class Modules:
    """Calls functions that modules export, in an empty page: what a browser computes."""

    page: Page
    loaded: set[str] = field(default_factory=set)

    def call(self, module: str, function: str, *arguments: Any) -> Any:
        """Call a function with what JSON can hold; arrays of numbers come back as lists."""
        if module not in self.loaded:
            self.page.evaluate(
                """async ([name, text]) => {
                    const blob = new Blob([text], {type: "text/javascript"});
                    (window.modules ??= {})[name] = await import(URL.createObjectURL(blob));
                }""",
                [module, joined(module)],
            )
            self.loaded.add(module)
        return self.page.evaluate(
            """async ([module, name, args]) => {
                const plain = (_, v) => ArrayBuffer.isView(v) ? Array.from(v) : v;
                const value = await modules[module][name](...args);
                return JSON.parse(JSON.stringify(value, plain) ?? "null");
            }""",
            [module, function, list(arguments)],
        )


@dataclass
class Stage:
    """An explorer alone on a page, its errors, and what the page asked other hosts for."""

    page: Page
    errors: list[str]

    def state(self) -> dict[str, Any]:
        """Return what the address holds, as text."""
        return self.page.evaluate(
            "() => Object.fromEntries(new URLSearchParams(location.hash.split('?')[1] ?? ''))"
        )

    def wait_for_state(self, **wanted: str) -> None:
        """Wait until the address holds these."""
        self.page.wait_for_function(
            """wanted => {
                const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
                return Object.entries(wanted).every(([key, text]) => query.get(key) === text);
            }""",
            arg=wanted,
        )

    def wait_for_words(self, words: str) -> None:
        """Wait until this is said."""
        self.page.locator(".explorer-said", has_text=words).wait_for()

    def said(self) -> str:
        """Return what is said, once something is."""
        return self.page.locator(".explorer-said:not(:empty)").inner_text()


def write_page(folder: Path, explorer: Explorer) -> str:
    """Write a page with one explorer, and return its address."""
    facts = explorer.page()
    static = folder / "_static"
    write_files(static / FOLDER, [facts])
    for name in ("explore.js", "custom.css"):
        (static / name).write_bytes((STATIC / name).read_bytes())
    (static / "fonts").symlink_to(STATIC / "fonts")
    still, _ = explorer.still()._repr_png_()
    (folder / "still.png").write_bytes(still)
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>An explorer</title>'
        '<meta name="viewport" content="width=device-width">'
        '<link rel="stylesheet" href="_static/custom.css">'
        f'<link rel="stylesheet" href="_static/{FOLDER}/explore.css">'
        f'<link rel="stylesheet" href="_static/{FOLDER}/{explorer.script}.css">{COLOURS}{THEME}'
        '<link rel="icon" href="still.png"><script src="_static/explore.js" defer></script></head>'
    )
    body = (
        f'<body><main><h1>An explorer</h1><div class="explorer" id="explore-{facts["script"]}">'
        f"{markup(facts)}<figure><img src='still.png' alt='still'></figure></div></main></body>"
    )
    (folder / "index.html").write_text(head + body + "</html>", encoding="utf-8")
    return serve(folder)


def opener(browser: Browser, folder: Path) -> Callable[..., Stage]:
    """Return what opens explorers, each in a context of its own, as (explorer, query, phone)."""

    def opened(
        explorer: Explorer, query: str = "", *, phone: bool = False, **settings: Any
    ) -> Stage:
        place = folder / f"page-{sum(1 for _ in folder.iterdir())}"
        place.mkdir()
        address = write_page(place, explorer)
        size = {"viewport": PHONE, "has_touch": True} if phone else {"viewport": DESKTOP}
        context = browser.new_context(**{"reduced_motion": "reduce", **size, **settings})
        context.set_default_timeout(PATIENCE)
        page, errors = context.new_page(), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and errors.append(line.text))
        listen = functools.partial(note_foreign, errors, address)
        page.on("request", listen)
        page.goto(f"{address}index.html#explore-{explorer.script}{query and '?'}{query}")
        if settings.get("java_script_enabled", True):
            page.locator(".explorer[data-live]").wait_for()
        return Stage(page, errors)

    return opened


def note_foreign(errors: list[str], base: str, request: Any) -> None:
    """Note a request to another host."""
    if request.url.startswith("http") and not request.url.startswith(base):
        errors.append(f"asked for {request.url}")
