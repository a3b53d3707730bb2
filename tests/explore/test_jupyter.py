"""An explorer in a real JupyterLab: what a hand changes reaches Python, and the other way round."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.book.visits import PATIENCE
from tools.notebooks import KERNEL

TOKEN = "explorers"
CELLS = [
    "from cnncourse import explore\nexplorer = explore.kernel()\nexplorer",
    "print('python has', explorer.kernel.tolist(), explorer.y[0, 0].item())",
    "explorer.kernel = 2 * explorer.kernel",
    "explore.lenet()",
]


@contextlib.contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Run JupyterLab on a free port, with no settings but its own, and give its address."""
    own = {key: str(folder / key.lower()) for key in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    options = [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}", "--port=0"]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *options]
    log = folder / "log.txt"
    with log.open("w") as out:
        server = subprocess.Popen(command, env={**os.environ, **own}, stdout=out, stderr=out)
    try:
        yield wait_for_address(log, server)
    finally:
        server.terminate()
        server.wait(30)


def wait_for_address(log: Path, server: subprocess.Popen) -> str:
    """Read the address from the log, once it is there."""
    while not (found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text())):
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.2)
            pytest.fail(f"JupyterLab ended:\n{log.read_text()}")
    return found[0]


def run_next(page: Page) -> None:
    """Run the active cell and go on to the next."""
    page.keyboard.press("Shift+Enter")


def test_value_reaches_python_and_back(browser: Browser, tmp_path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    notebook.metadata["kernelspec"] = KERNEL  # else JupyterLab asks
    nbformat.write(notebook, tmp_path / "explore.ipynb")
    with jupyterlab(tmp_path) as address, browser.new_context() as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(f"{address}lab/tree/explore.ipynb?token={TOKEN}")
        # A key that comes before the kernel is lost.
        page.get_by_text("| Idle").wait_for()
        page.locator(".jp-CodeCell .cm-content").first.click()
        run_next(page)
        weight = page.get_by_role("slider", name="Weight, row 0, column 0")
        weight.press("ArrowUp")
        expect(weight).to_have_text("0.5", timeout=PATIENCE)
        page.locator(".jp-CodeCell .cm-content").nth(1).click()
        run_next(page)
        page.get_by_text("python has [[0.5, 1.0], [2.0, 3.0]] 19.0").wait_for()
        run_next(page)
        expect(weight).to_have_text("1", timeout=PATIENCE)
        run_next(page)
        page.get_by_label("Network").select_option("clothes, sigmoid")  # Python sends its file
        page.locator(".explorer-said", has_text="LeNet answers dress").wait_for()
