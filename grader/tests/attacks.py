"""Attacks on the grader: none may earn a point, none may reach what is around its sandbox.

Each is the source of a cell that answers one exercise. Attacks that leave their process whole share
a notebook, each with an exercise of its own; those that end or spoil it have one to themselves.
What a spy finds, it says in the error of its answer: that text reaches the feedback.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

from submissions import SETUP, notebook
from torch import Generator

from cnncourse.checks import find

CHAPTERS = [3, 4, 5]
# Where a submission could leave something on an ordinary machine, and in the sandbox.
PLACES = (
    *("/", "/usr", "/usr/local", "/etc", "/home", "/root", "/var/tmp", "/dev", "/dev/shm"),
    *("/proc/sys/kernel", "/course", "/course/cnncourse", "/packages", "/packages/torch"),
)
# Folders in which a spy looks for the secret, on an ordinary machine and in the sandbox.
HAUNTS = ("/tmp", "/course", "/etc", "/home", "/root", "/run", "/var/tmp")
# None of them is there in the sandbox; all are where these tests run.
ABSENT = (
    *("d2l.torch", "scipy.signal", "torchvision", "cnncourse.checks.judge", "submissions"),
    *("cnncourse.checks.chapters.cross_correlation", "cnncourse_grader.grade"),
)


class Host(NamedTuple):
    """What a spy looks for.

    Attributes
    ----------
    outside : str
        Folder to read and to write.
    port : int
        Where the host listens, on loopback.
    secret : str
        The seed.
    calls : tuple of (str, int)
        System calls, and their numbers.
    places, haunts : tuple of str
        Other folders to write to, and to search for the secret.
    """

    outside: str
    port: int
    secret: str
    calls: tuple[tuple[str, int], ...] = ()
    places: tuple[str, ...] = PLACES
    haunts: tuple[str, ...] = HAUNTS


class Attack(NamedTuple):
    """A way to attack.

    Attributes
    ----------
    source : str
        Of a cell; NAME stands for the exercise, COUNT for the number of its cases, HOST_... for a
        field of :class:`Host`.
    says : str
        Pattern of what the feedback, or the status of the submission, says.
    exercise : str
        What the cell answers.
    shared : str
        Name of the notebook it shares with others; empty if it has one to itself.
    """

    source: str
    says: str
    exercise: str = "corr2d"
    shared: str = ""


def numbers_of(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Ask libseccomp for the numbers of system calls on this computer."""
    number = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name
    return tuple((name, number(name.encode())) for name in names)


def submissions(attacks: Mapping[str, Attack], host: Host) -> dict[str, str]:
    """Write the notebooks of some attacks, by the name of the submission."""
    cells: dict[str, list[str]] = {}
    for name, attack in attacks.items():
        cells.setdefault(attack.shared or name, [SETUP]).append(_source(attack, host))
    return {name: notebook(*sources) for name, sources in cells.items()}


def _source(attack: Attack, host: Host) -> str:
    count = len(find(attack.exercise).cases(Generator()))
    source = attack.source.replace("NAME", attack.exercise).replace("COUNT", str(count))
    source = source.replace("ABSENT", repr(ABSENT))
    for name, value in host._asdict().items():
        source = source.replace(f"HOST_{name}", repr(value))
    return source


SAYS = """
report = " ".join(["found:", *found] if found else ["nothing", "found"])
def NAME(*values, report=report): raise RuntimeError(report)
"""
SEED = """\
import os, sys
found, secret = [], HOST_secret
def look(place):
    try:
        with open(place, "rb") as file:
            if secret.encode() in file.read(1 << 20): found.append(place)
    except OSError: pass
if secret in " ".join([*os.environ.values(), *sys.argv]): found.append("environment")
for pid in os.listdir("/proc"):
    if pid.isdigit():
        for name in ("environ", "cmdline"): look(f"/proc/{pid}/{name}")
for folder in HOST_haunts:
    for path, _, names in os.walk(folder):
        for name in names: look(os.path.join(path, name))
"""
OUTSIDE = """\
found = []
for folder in [HOST_outside, *HOST_places]:
    try:
        with open(os.path.join(folder, "planted.txt"), "w") as file: file.write("x")
        found.append(folder)
    except OSError: pass
try: found += [f"read {name}" for name in os.listdir(HOST_outside)]
except OSError: pass
"""
NETWORK = """\
import socket
found = []
for host in ("127.0.0.1", "localhost"):
    try:
        socket.create_connection((host, HOST_port), timeout=1).close()
        found.append(host)
    except OSError: pass
try: found.append(str(socket.getaddrinfo("example.org", 80)[0]))
except OSError: pass
"""
ELSEWHERE = """\
import importlib
found = []
for name in ABSENT:
    try:
        importlib.import_module(name)
        found.append(name)
    except ImportError: pass
"""
# Looks for a limit that was not set, and for a way to new rights.
LIMITS = """\
import ctypes, resource, socket
most = {"CPU": 90, "FSIZE": 1 << 25, "CORE": 0, "NOFILE": 256, "NPROC": 64}
now = {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))[0] for name in most}
found = [name for name in most if not 0 <= now[name] <= most[name]]
if ctypes.CDLL(None).unshare(0x10000000) == 0: found.append("user namespace")
if socket.gethostname() != "sandbox": found.append("host name")
if "PATH" in open("/proc/1/environ").read(): found.append("variables")
"""
# Looks for a way to the kernel: a switch that can be turned, a call that is let through.
KERNEL = """\
import ctypes, errno, os, socket
found = []
call = ctypes.CDLL(None, use_errno=True).syscall
for name, number in HOST_calls:
    call(number, -1, 0, 0, 0, 0, 0)
    refused = errno.ENOSYS if name == "clone3" else errno.EPERM
    if ctypes.get_errno() != refused: found.append(name)
for family in (socket.AF_NETLINK, socket.AF_ALG, socket.AF_VSOCK):
    try:
        socket.socket(family, socket.SOCK_DGRAM).close()
        found.append(family.name)
    except OSError: pass
switches = ["/proc/self/comm", "/proc/self/oom_score_adj", "/proc/sysrq-trigger"]
for folder in ("/proc/sys", "/sys"):
    switches += [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names]
for name in switches:
    try:
        os.close(os.open(name, os.O_WRONLY))
        found.append(name)
    except OSError: pass
"""
# Calls that a process without any right may make where nothing is filtered.
CALLS = (
    *("add_key", "keyctl", "request_key", "io_uring_setup", "name_to_handle_at", "unshare"),
    *("setns", "ptrace", "process_vm_readv", "pidfd_getfd", "kcmp", "memfd_create", "shmget"),
    *("msgget", "clone3"),
)
NOTHING = "nothing found"
_quiet = partial(Attack, shared="quiet")
X = "def NAME(x, *values): return x\n"
ATTACKS = {
    "seed": _quiet(SEED + SAYS, NOTHING, "second_derivative_kernel"),
    "outside": _quiet("import os\n" + OUTSIDE + SAYS, NOTHING, "kernel_between"),
    "network": _quiet(NETWORK + SAYS, NOTHING, "output_size"),
    "elsewhere": _quiet(ELSEWHERE + SAYS, NOTHING, "same_padding"),
    "kernel": _quiet(KERNEL + SAYS, NOTHING, "sole_kernel"),
    "limits": _quiet(LIMITS + SAYS, NOTHING, "reflect_pad"),
    "in-the-package": _quiet(
        'from cnncourse.cross_correlation import NAME\ncheck("NAME", NAME)',
        "not there while a notebook is graded",
        "convolve2d",
    ),
    "forbidden": _quiet(
        """\
import torch
def NAME(x, kernel):
    return getattr(torch, "con" + "v2d")(x[None, None], kernel[None, None])[0, 0]
""",
        "calls `torch.conv2d`",
        "corr2d",
    ),
    "script-in-error": _quiet(
        """\
def NAME(direction):
    raise ValueError("<script>alert(1)</script><img src=x onerror=alert(2)>")
""",
        "ValueError",
        "edge_kernel",
    ),
    "large-value": _quiet(
        "import torch\ndef NAME(*values): return torch.zeros(600, 600)",
        "too many numbers",
        "conv2d",
    ),
    "equal-to-everything": _quiet(
        """\
class Yes:
    shape = dtype = property(lambda self: self)
    def __eq__(self, other): return True
    def __getattr__(self, name): return self
    def __call__(self, *values, **options): return self
    def __bool__(self): return True
def NAME(*values, yes=Yes()): return yes
""",
        "type Yes",
        "conv1x1",
    ),
    "equal-tensor": _quiet(
        """\
import torch
class Right(torch.Tensor):
    def __eq__(self, other): return torch.tensor(True)
    @classmethod
    def __torch_function__(cls, *values, **options): return torch.tensor(True)
def NAME(*values): return torch.zeros(1).as_subclass(Right)
""",
        "type Right",
        "im2col",
    ),
    "output": _quiet(
        """\
import os
line = b"x" * (1 << 20)
for _ in range(1 << 9): os.write(1, line)
for _ in range(1 << 9): print("x" * (1 << 20))
def NAME(*values): return "said"
""",
        "returned a text",
        "conv_cost",
    ),
    "large-file": _quiet(
        """\
def NAME(*values): return "written"
with open("/tmp/large", "wb") as file:
    while True: file.write(b"x" * (1 << 20))
""",
        "returned a text",
        "compose_kernels",
    ),
    "exit-in-cell": Attack(X + "import os\nos._exit(0)", "its results have no end"),
    "exit-in-answer": Attack("import os\ndef NAME(x, kernel): os._exit(0)", "have no end"),
    "exit-by-signal": Attack(
        "import os\ndef NAME(x, kernel): os.kill(os.getpid(), 9)", "signal 9|exit code 137"
    ),
    "fork-bomb": Attack(
        X
        + """\
import os, time
for _ in range(300):
    try:
        if os.fork() == 0:
            os.setsid()
            time.sleep(3600)
    except OSError: pass
time.sleep(3600)
""",
        "more than 64 processes|more than 1024 MB",
    ),
    "memory-bomb": Attack(
        """\
import torch
keep = []
while True: keep.append(torch.ones(1 << 24))
""",
        "no answer of this name|more than 1024 MB|stopped",
    ),
    "memory-bomb-in-answer": Attack(
        """\
import torch
def NAME(x, kernel):
    keep = []
    while True: keep.append(torch.ones(1 << 24))
""",
        "too much memory|more than 1024 MB|stopped",
    ),
    "memory-of-many": Attack(
        X
        + """\
import os, time
for _ in range(8):
    if os.fork() == 0:
        keep = b"x" * (1 << 28)
        time.sleep(3600)
time.sleep(3600)
""",
        "more than 1024 MB of memory",
    ),
    "result": Attack(
        X
        + """\
import os
line = b"x" * (1 << 20)
for fd in range(3, 64):
    try:
        for _ in range(1 << 10): os.write(fd, line)
    except OSError: pass
""",
        "it returned more than 64 MB",
    ),
    "patched-torch": Attack(
        """\
import builtins, torch
yes = lambda *values, **options: True
for name in ("allclose", "equal", "isclose", "all"): setattr(torch, name, yes)
torch.Tensor.__eq__ = torch.Tensor.allclose = torch.Tensor.equal = yes
for name in ("all", "any", "isinstance", "abs"): setattr(builtins, name, yes)
"""
        + X,
        "",
    ),
    "forged-results": Attack(
        X
        + """\
import os, torch
from cnncourse_grader import wire
outcome = {"value": torch.zeros(2, 2), "returned": "", "error": "", "traceback": (),
           "changed": (), "forbidden": ()}
forged = wire.pack({"exercise": "corr2d", "problem": "", "outcomes": [outcome] * COUNT})
for fd in range(3, 64):
    try: os.write(fd, forged)
    except OSError: pass
""",
        "Every number is zero",
    ),
    "malformed-results": Attack(
        X
        + """\
import os
for fd in range(3, 64):
    try: os.write(fd, b'CNN1\\xff\\xff\\xff\\xff[[[[')
    except OSError: pass
""",
        "something was written among its results",
    ),
    "pickle": Attack(
        """\
import os, pickle
class Bomb:
    def __reduce__(self): return (open, (HOST_outside + "/unpickled.txt", "w"))
data = pickle.dumps(Bomb())
for fd in range(3, 64):
    try: os.write(fd, data)
    except OSError: pass
def NAME(x, kernel): return Bomb()
""",
        "something was written among its results",
    ),
}
# These find nothing in the sandbox, and must find something where there is none.
SPIES = {name: ATTACKS[name] for name in ("seed", "outside", "network", "kernel")}
# They stop only at a limit on time.
ENDLESS = {
    "endless-cell": Attack(X + "while True: pass", "shape is", shared="endless"),
    "endless-answer": Attack(
        "def NAME(*values):\n    while True: pass", "took too long", "convolve2d", "endless"
    ),
    "endless-stubborn": Attack(
        """\
import signal
def NAME(x, kernel):
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True: pass
""",
        "it took more than 6 seconds",
    ),
    "thread-bomb": Attack(
        X
        + """\
import threading, time
for _ in range(300):
    threading.Thread(target=time.sleep, args=(3600,)).start()
time.sleep(3600)
""",
        "shape is|more than 64 processes",
    ),
}
