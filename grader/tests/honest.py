"""Right answers as honest students write them, each a notebook of its own; all earn full marks.

They passed the public check in Jupyter, from the first cell to the last. What stands around the
answer must not cost a point: a comparison with torch or with the course, a magic, a second try.
"""

from __future__ import annotations

from submissions import CHECK, FLIPPED, RIGHT, SETUP, STUB

MINE = RIGHT.replace("corr2d", "mine")
COMPARE = "import torch.nn.functional as F\nx, k = torch.rand(5, 4), torch.rand(2, 3)\n"
THEIRS = "F.conv2d(x[None, None], k[None, None])[0, 0]"
WINDOW = "(x[i : i + k.shape[0], j : j + k.shape[1]] * k).sum()"
SIZES = "h, w = x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1"
ROWS = f"torch.stack([torch.stack([{WINDOW} for j in range(w)]) for i in range(h)])"
HELPER = "def part(x, kernel, i, j): return (x[i:, j:][: len(kernel), : kernel.shape[1]] * kernel)"
HELPED = RIGHT.replace("(x[i : i + kh, j : j + kw] * kernel)", "part(x, kernel, i, j)")

HONEST = {
    "lambda-beside-a-comparison": [
        f"{COMPARE}y = {THEIRS}",
        "corr2d = lambda x, k: (y := [[" + WINDOW + " for j in range(x.shape[1] - k.shape[1] + 1)]"
        " for i in range(x.shape[0] - k.shape[0] + 1)]) and torch.tensor(y, dtype=x.dtype)",
        f"assert torch.allclose(corr2d(x, k), {THEIRS})\n{CHECK}",
    ],
    "class-beside-a-comparison": [
        f"{COMPARE}y = {THEIRS}",
        f"class corr2d:\n    def __new__(cls, x, k):\n        {SIZES}\n        y = {ROWS}\n"
        "        return y",
        CHECK,
    ],
    "module-beside-a-comparison": [
        f"{COMPARE}result = {THEIRS}",
        "class Layer(torch.nn.Module):\n    def forward(self, x, k):\n"
        f"        {SIZES}\n        result = {ROWS}\n        return result",
        'corr2d = Layer()\nprint(corr2d(x, k) - result)\ncheck("corr2d", corr2d)',
    ],
    "a-comparison-inside-the-file-of-the-answer": [
        RIGHT
        + f"\n{COMPARE}for _ in range(3):\n    y = {THEIRS}\n    print((corr2d(x, k) - y).max())",
        CHECK,
    ],
    "comment-with-a-question": [
        "%matplotlib inline\n" + RIGHT.replace("kernel.shape\n", "kernel.shape  # height first?\n"),
        CHECK,
    ],
    "magics": [
        "%pip install -q it's\nfiles = !ls\nfor name in files: print(name)\n" + RIGHT,
        "torch.stack?\n%time y = corr2d(torch.ones(3, 3), torch.ones(2, 2))\nprint(y.shape)\n"
        + CHECK,
    ],
    "timed-cell": ["%%time\n" + RIGHT, "%%capture out\n" + CHECK],
    "compared-with-the-course": [
        MINE + "from cnncourse.cross_correlation import corr2d as theirs\n"
        "x, k = torch.rand(5, 4), torch.rand(2, 3)\n"
        'assert torch.allclose(mine(x, k), theirs(x, k))\ncheck("corr2d", mine)'
    ],
    "library-that-is-missing": [
        f'{MINE}\nimport nowhere_installed as n\nn.show()\ncheck("corr2d", mine)'
    ],
    "report-looked-at": [
        MINE + 'report = check("corr2d", mine)\n'
        "print(report.headline, report.score, report.cases, report._repr_html_())\n"
        "assert report.passed",
    ],
    "helper-named-again": [HELPER, HELPED, CHECK, "def part(x): return x"],
    "cells-out-of-order": [HELPED, CHECK, HELPER],
    "mended-without-a-check": [FLIPPED, CHECK, RIGHT],
    "right-and-then-played-with": [RIGHT, CHECK, FLIPPED, CHECK],
    "stub-under-the-name": [STUB, MINE, 'check("corr2d", mine)'],
    "never-checked": [RIGHT],
    "other-settings-at-the-end": [
        RIGHT,
        CHECK,
        "torch.set_default_dtype(torch.float64)\ntorch.manual_seed(7)\ndel torch",
    ],
    "numpy": [
        "import numpy as np\n"
        "def corr2d(x, kernel):\n"
        "    windows = np.lib.stride_tricks.sliding_window_view(x.numpy(), tuple(kernel.shape))\n"
        "    return np.einsum('ijab,ab->ij', windows, kernel.numpy())",
        CHECK,
    ],
    "unfold": [
        "def corr2d(x, kernel):\n"
        "    windows = x.unfold(0, kernel.shape[0], 1).unfold(1, kernel.shape[1], 1)\n"
        "    return torch.einsum('ijab,ab->ij', windows, kernel)",
        CHECK,
    ],
    "a-copy-that-warns": [
        RIGHT.replace("    kh, kw", "    kernel = torch.tensor(kernel)\n    kh, kw"),
        CHECK,
    ],
    "annotations": [
        "from __future__ import annotations",
        RIGHT.replace("(x, kernel)", "(x: Picture, kernel: Picture) -> Picture", 1),
        CHECK,
    ],
    "a-statement-without-end": [MINE + 'while True: pass\ncheck("corr2d", mine)'],
    "windows-line-ends": [(RIGHT + "\n%matplotlib inline").replace("\n", "\r\n"), CHECK],
}
# The notebook ends too early; what was checked before counts, and the status says what happened.
CUT = {"exit-at-the-end": [RIGHT, CHECK, "import os\nos._exit(0)"]}


def cells(name: str) -> tuple[str, ...]:
    """Return all cells of one of them."""
    return (SETUP, *(HONEST | CUT)[name])
