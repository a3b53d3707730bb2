"""Reading the source of an answer for forbidden calls."""

from __future__ import annotations

import pytest
from cnncourse_grader.reading import forbidden_calls
from submissions import RIGHT

LINES = "import torch\nimport torch.nn.functional as F\nfrom torch.nn.functional import conv2d as c"


@pytest.mark.parametrize(
    "cells",
    [
        ["def corr2d(x, k): return F.conv2d(x, k)"],
        ["def corr2d(x, k): return torch.nn.functional.conv2d(x, k)"],
        ["def corr2d(x, k): return c(x, k)"],
        ["corr2d = c"],
        ["corr2d = lambda x, k: F.conv2d(x, k)"],
        ["helper = F.conv2d", "def corr2d(x, k): return helper(x, k)"],
        [
            "def helper(x, k): return torch.nn.Conv2d(1, 1, 2)(x)",
            "def corr2d(x, k): return helper(x, k)",
        ],
        ["check('corr2d', F.conv2d)"],
        ["def mine(x, k): return F.conv2d(x, k)", "check('corr2d', mine)"],
        ["from torch import conv2d as corr2d"],
        ["%matplotlib inline\ndef corr2d(x, k): return F.conv2d(x, k)"],
        ["from scipy.signal import convolve2d as s\ndef corr2d(x, k): return s(x, k)"],
        [
            "def g(x, k): return F.conv2d(x, k)",
            "def corr2d(x, k):\n    global g\n    g = g\n    return g(x, k)",
        ],
        ["class corr2d:\n    def __new__(cls, x, k): return F.conv2d(x, k)"],
        ["check(name='corr2d', answer=F.conv2d)"],
    ],
)
def test_forbidden_calls_are_read_from_the_source(cells: list[str]) -> None:
    assert forbidden_calls([LINES, *cells], "corr2d", ("conv",))


@pytest.mark.parametrize(
    "cells",
    [
        [RIGHT],
        [RIGHT, "print(F.conv2d(x, k) - corr2d(x, k))"],
        ["x = F.conv2d(1, 2)", "def corr2d(x, k): return x"],
        ["def conv2d(x): return x", "def corr2d(x, k): return conv2d(x)"],
        ["def corr2d(x, k):\n    # F.conv2d would do\n    return 'F.conv2d'"],
        ["def corr2d(x, k: return F.conv2d"],
        ["def other(x, k): return F.conv2d(x, k)"],
        ["conv = corr2d = lambda x, k: x"],
        ["def corr2d(x, F): return F.conv2d(x)"],
        ["x = " + "-" * 100_000 + "1"],
    ],
)
def test_forbidden_calls_are_not_seen_where_there_are_none(cells: list[str]) -> None:
    assert forbidden_calls([LINES, *cells], "corr2d", ("conv",)) == ()
