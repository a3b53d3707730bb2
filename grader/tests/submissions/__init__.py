"""Makers of submissions: right ones, wrong ones, and ones that attack the grader.

Each attack is the source of a notebook's cells. None of them may earn a point, and none may reach
what is outside of its sandbox.
"""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

SETUP = "import torch\n\nfrom cnncourse import check, hint"
CHECK = 'check("corr2d", corr2d)'
RIGHT = """\
def corr2d(x, kernel):
    kh, kw = kernel.shape
    y = x.new_zeros(x.shape[0] - kh + 1, x.shape[1] - kw + 1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + kh, j : j + kw] * kernel).sum()
    return y
"""
WINDOWS = """\
def corr2d(x, kernel):
    kh, kw = kernel.shape
    return x.unfold(0, kh, 1).unfold(1, kw, 1).flatten(2) @ kernel.flatten()
"""
FLIPPED = RIGHT.replace("* kernel)", "* kernel.flip(0, 1))")
STUB = "def corr2d(x, kernel):\n    raise NotImplementedError\n"


def notebook(*cells: str, metadata: Mapping[str, object] | None = None) -> str:
    """Write a notebook with these code cells."""
    code = [
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": c}
        for c in cells
    ]
    content = {"cells": code, "metadata": dict(metadata or {}), "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content)


def solved(answer: str = RIGHT) -> str:
    """Write a notebook with an answer to corr2d."""
    return notebook(SETUP, answer, CHECK)


# Where a submission could leave something on an ordinary machine, and in the sandbox.
PLACES = (
    *("/", "/usr", "/usr/local", "/etc", "/home", "/root", "/var/tmp", "/dev", "/dev/shm"),
    *("/proc/sys/kernel", "/course", "/course/cnncourse", "/packages", "/packages/torch"),
)


def attacks(
    outside: Path, port: int, secret: str, places: tuple[str, ...] = PLACES
) -> dict[str, str]:
    """Return attacks by name.

    Parameters
    ----------
    outside : Path
        Folder of the host that they try to read and to write.
    port : int
        Where the host listens, on loopback.
    secret : str
        The seed they look for.
    places : tuple of str
        Other folders that they try to write to.
    """
    cells = {name: [source] for name, source in ATTACKS.items()}
    cells["seed"] = [SEED.replace("SECRET", secret)]
    cells["outside"] = [OUTSIDE.replace("FOLDER", str(outside)).replace("PLACES", repr(places))]
    cells["network"] = [NETWORK.replace("PORT", str(port))]
    cells["pickle"] = [PICKLE.replace("FOLDER", str(outside))]
    cells["answer-in-package"] = [SETUP, "from cnncourse.cross_correlation import corr2d", CHECK]
    cells["answer-elsewhere"] = [ELSEWHERE]
    cells["limits"] = [LIMITS]
    return {name: notebook(*sources) for name, sources in cells.items()}


# What an attack finds, it says in the error of its answer: that text reaches the feedback.
# The report is made before, since the feedback shows the line that raises.
SAYS = """
report = " ".join(["found:", *found] if found else ["nothing", "found"])
def corr2d(x, kernel):
    raise RuntimeError(report)
"""

ATTACKS = {
    "endless-cell": "def corr2d(x, kernel): return x\nwhile True: pass",
    "endless-answer": "def corr2d(x, kernel):\n    while True: pass",
    "endless-stubborn": """\
import signal
def corr2d(x, kernel):
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True: pass
""",
    "exit-in-cell": "import os\ndef corr2d(x, kernel): return x\nos._exit(0)",
    "exit-in-answer": "import os\ndef corr2d(x, kernel): os._exit(0)",
    "exit-by-signal": "import os\ndef corr2d(x, kernel): os.kill(os.getpid(), 9)",
    "fork-bomb": """\
import os, time
def corr2d(x, kernel): return x
for _ in range(300):
    try:
        if os.fork() == 0:
            os.setsid()
            time.sleep(3600)
    except OSError: pass
time.sleep(3600)
""",
    "thread-bomb": """\
import threading, time
def corr2d(x, kernel): return x
for _ in range(300):
    threading.Thread(target=time.sleep, args=(3600,)).start()
time.sleep(3600)
""",
    "memory-bomb": """\
import torch
keep = []
while True: keep.append(torch.ones(1 << 24))
""",
    "memory-bomb-in-answer": """\
import torch
def corr2d(x, kernel):
    keep = []
    while True: keep.append(torch.ones(1 << 24))
""",
    "memory-of-many": """\
import os, time
def corr2d(x, kernel): return x
for _ in range(8):
    if os.fork() == 0:
        keep = b"x" * (1 << 28)
        time.sleep(3600)
time.sleep(3600)
""",
    "output": """\
import os
def corr2d(x, kernel): return x
line = b"x" * (1 << 20)
for _ in range(1 << 9): os.write(1, line)
for _ in range(1 << 9): print("x" * (1 << 20))
""",
    "result": """\
import os
def corr2d(x, kernel): return x
line = b"x" * (1 << 20)
for fd in range(3, 64):
    try:
        for _ in range(1 << 10): os.write(fd, line)
    except OSError: pass
""",
    "large-value": "import torch\ndef corr2d(x, kernel): return torch.zeros(600, 600)",
    "large-file": """\
def corr2d(x, kernel): return x
with open("/tmp/large", "wb") as file:
    while True: file.write(b"x" * (1 << 20))
""",
    "patched-torch": """\
import builtins, torch
yes = lambda *values, **options: True
for name in ("allclose", "equal", "isclose", "all"): setattr(torch, name, yes)
torch.Tensor.__eq__ = torch.Tensor.allclose = torch.Tensor.equal = yes
for name in ("all", "any", "isinstance", "abs"): setattr(builtins, name, yes)
def corr2d(x, kernel): return x
""",
    "patched-runner": """\
import sys, torch
import torch.nn.functional as F
import cnncourse.checks.run as run
run._note = lambda *values: None
def corr2d(x, kernel): return F.conv2d(x[None, None], kernel[None, None])[0, 0]
""",
    "equal-to-everything": """\
class Yes:
    shape = dtype = property(lambda self: self)
    def __eq__(self, other): return True
    def __getattr__(self, name): return self
    def __call__(self, *values, **options): return self
    def __bool__(self): return True
def corr2d(x, kernel): return Yes()
""",
    "equal-tensor": """\
import torch
class Yes(torch.Tensor):
    def __eq__(self, other): return torch.tensor(True)
    @classmethod
    def __torch_function__(cls, *values, **options): return torch.tensor(True)
def corr2d(x, kernel): return torch.zeros(1).as_subclass(Yes)
""",
    "forbidden": """\
import torch
def corr2d(x, kernel):
    return getattr(torch, "con" + "v2d")(x[None, None], kernel[None, None])[0, 0]
""",
    "forged-results": """\
import os, torch
from cnncourse_grader import wire
outcome = {"value": torch.zeros(2, 2), "returned": "", "error": "", "traceback": (),
           "changed": (), "forbidden": ()}
forged = wire.pack({"exercise": "corr2d", "problem": "", "outcomes": [outcome] * 8})
for fd in range(3, 64):
    try: os.write(fd, forged)
    except OSError: pass
def corr2d(x, kernel): return x
""",
    "malformed-results": """\
import os
for fd in range(3, 64):
    try: os.write(fd, b'CNN1\\xff\\xff\\xff\\xff[[[[')
    except OSError: pass
def corr2d(x, kernel): return x
""",
    "script-in-error": """\
def corr2d(x, kernel):
    raise ValueError("<script>alert(1)</script><img src=x onerror=alert(2)>")
""",
}

ELSEWHERE = (
    """\
import importlib
found = []
for name in ("d2l.torch", "scipy.signal", "torchvision", "cnncourse.checks.cross_correlation",
             "cnncourse.checks.judge", "cnncourse_grader.grade", "submissions"):
    try:
        importlib.import_module(name)
        found.append(name)
    except ImportError: pass
"""
    + SAYS
)

SEED = (
    """\
import os, sys
found = []
def look(place):
    try:
        with open(place, "rb") as file:
            if b"SECRET" in file.read(1 << 20): found.append(place)
    except OSError: pass
if "SECRET" in " ".join([*os.environ.values(), *sys.argv]): found.append("environment")
for pid in os.listdir("/proc"):
    if pid.isdigit() and int(pid) != os.getpid():
        for name in ("environ", "cmdline"): look(f"/proc/{pid}/{name}")
for name in ("environ", "cmdline"): look(f"/proc/self/{name}")
for folder in ("/tmp", "/course", "/etc", "/home", "/root", "/run", "/var/tmp"):
    for path, _, names in os.walk(folder):
        if path.count("/") < 6 and "packages" not in path and "python3" not in path:
            for name in names: look(os.path.join(path, name))
"""
    + SAYS
)

OUTSIDE = (
    """\
import os
found = []
for folder in ["FOLDER", *PLACES]:
    try:
        with open(os.path.join(folder, "planted.txt"), "w") as file: file.write("x")
        found.append(folder)
    except OSError: pass
try: found += [f"read {name}" for name in os.listdir("FOLDER")]
except OSError: pass
"""
    + SAYS
)

NETWORK = (
    """\
import socket
found = []
for host in ("127.0.0.1", "localhost"):
    try:
        socket.create_connection((host, PORT), timeout=1).close()
        found.append(host)
    except OSError: pass
try: found.append(str(socket.getaddrinfo("example.org", 80)[0]))
except OSError: pass
"""
    + SAYS
)

PICKLE = """\
import os, pickle
class Bomb:
    def __reduce__(self): return (open, ("FOLDER/unpickled.txt", "w"))
data = pickle.dumps(Bomb())
for fd in range(3, 64):
    try: os.write(fd, data)
    except OSError: pass
def corr2d(x, kernel): return Bomb()
"""


# Looks for a limit that was not set, and for a way to new rights.
LIMITS = (
    """\
import ctypes, resource, socket
most = {"CPU": 21, "FSIZE": 1 << 25, "CORE": 0, "NOFILE": 256, "NPROC": 64}
now = {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))[0] for name in most}
found = [name for name in most if not 0 <= now[name] <= most[name]]
if ctypes.CDLL(None).unshare(0x10000000) == 0:
    found.append("user namespace")
if socket.gethostname() != "sandbox":
    found.append("host name")
"""
    + SAYS
)


def write_zip(path: Path, members: Mapping[str, str | bytes], links: tuple[str, ...] = ()) -> Path:
    """Write a zip with any names; those in ``links`` are symbolic links to their content."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            kind = stat.S_IFLNK if name in links else stat.S_IFREG
            member.external_attr = (kind | 0o644) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return path
