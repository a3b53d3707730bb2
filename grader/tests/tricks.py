"""Ways around the watch on forbidden calls: each earns nothing, or is named to the instructor."""

from __future__ import annotations

from submissions import CHECK

CALL = "torch.conv2d(x[None, None], k[None, None])[0, 0]"
ANSWER = "def corr2d(x, k):\n    return "
FORGED = """\
import os, torch
import cnncourse.checks as checks
from cnncourse_grader import wire
tries = checks.attempt.__self__
def outcome(x, k):
    y = torch.conv2d(x[None, None], k[None, None])[0, 0]
    texts, lists = dict.fromkeys(["returned", "error"], ""), ["traceback", "changed", "forbidden"]
    return {"value": y, **texts, **dict.fromkeys(lists, ())}
outcomes = [outcome(*case) for case in tries.exercises["corr2d"][1]["cases"]]
tries.results.write(wire.pack({"exercise": "corr2d", "problem": "", "outcomes": outcomes}))
"""
TRICKS = {
    "plain": [ANSWER + CALL, CHECK],
    "getattr": [ANSWER + CALL.replace("torch.conv2d", 'getattr(torch, "co" + "nv2d")'), CHECK],
    "numpy": [
        "import numpy as np\n"
        "def corr2d(x, k):\n"
        "    rows = range(x.shape[0] - k.shape[0] + 1)\n"
        "    return np.stack([sum(np.convolve(x[i + a], k[a].flip(0), 'valid')"
        " for a in range(len(k))) for i in rows])",
        CHECK,
    ],
    "of-the-course": ["from cnncourse.cross_correlation import corr2d", CHECK],
    "thread-pool": [
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)",
        f"{ANSWER}pool.submit(lambda: {CALL}).result()",
        CHECK,
    ],
    "thread-in-a-condition": [
        "from threading import *",
        "if True:\n    def corr2d(x, k):\n        found = []\n"
        f"        one = Thread(target=lambda: found.append({CALL}))\n"
        "        one.start(); one.join()\n        return found[0]",
        CHECK,
    ],
    "fork": [
        "import os, pickle\ndef corr2d(x, k):\n"
        "    r, w = os.pipe()\n"
        f"    if os.fork() == 0:\n        os.write(w, pickle.dumps({CALL}.tolist())); os._exit(0)\n"
        "    os.wait()\n    return torch.tensor(pickle.loads(os.read(r, 1 << 16)), dtype=x.dtype)",
        CHECK,
    ],
    "watch-switched-off": [
        "from torch.utils._python_dispatch import _disable_current_modes\n"
        f"def corr2d(x, k):\n    with _disable_current_modes():\n        return {CALL}",
        CHECK,
    ],
    "runner-patched": [
        "import cnncourse.checks.run as run\nrun._note = lambda *values: None",
        ANSWER + CALL,
        CHECK,
    ],
    "runner-patched-quietly": [
        "for module in list(__import__('sys').modules.values()):\n"
        "    if hasattr(module, '_note'): module._note = lambda *values: None",
        ANSWER + CALL,
        CHECK,
    ],
    "list-cleared-through-frames": [
        "import sys\ndef corr2d(x, k):\n"
        f"    result = {CALL}\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        seen = frame.f_locals.get('forbidden')\n"
        "        if isinstance(seen, list):\n"
        "            seen.clear()\n"
        "        frame = frame.f_back\n"
        "    return result",
        CHECK,
    ],
    "operator-of-ones-own": [
        "@torch.library.custom_op('mine::f', mutates_args=())\n"
        "def f(x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:\n"
        f"    return {CALL}.clone()",
        "corr2d = lambda x, k: f(x, k)",
        CHECK,
    ],
    "forged-and-gone": [FORGED + "os._exit(0)"],
    "forged-and-garbage": [FORGED + "tries.results.write(b'garbage')"],
    "forged-and-ended": [FORGED + "tries.results.write(wire.pack({'end': True}))"],
    "forged-ended-and-gone": [
        FORGED + "tries.results.write(wire.pack({'end': True})); os._exit(0)"
    ],
}
# What else was tried once, in a line each.
SIGNS = (
    "try_model.__code__ = (lambda *values: None).__code__",
    "model.forward = lambda x: answers[x.sum().item()]",
    "translate = lent.__closure__[0].cell_contents",
    "import gc; cases = [one for one in gc.get_objects() if type(one) is list]",
    "lib = torch.library.Library('aten', 'IMPL')",
    "from torch.utils._python_dispatch import _pop_mode",
    "from multiprocessing import *",
    "import ctypes",
    "torch.overrides._get_current_function_mode_stack()",
    "eval('F.' + 'conv2d')",
    "f = getattr (F, name)",
    "import inspect",
    "sys.modules['torch']",
    "os.system('python other.py')",
    "type(answer).__mro__",
)
