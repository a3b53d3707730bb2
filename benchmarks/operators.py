"""Time the operators of the package beside torch and d2l, and measure the memory of their forms.

All rows run in one process. A repeat measures every function once, ours and the other in turn, so
that a slow moment of the machine meets both; the table compares the medians over the repeats. Short
calls are measured in blocks, since the first call after other work finds cold caches. Before any
time is taken, both functions of a row must give the same numbers. One thread, and its CPU time:
on a quiet machine that is the wall time, and on a busy one it leaves out the waiting. What it
cannot leave out is the cache and the memory that other processes use, so the load stands in the
table, too.

Why the ratios are not 1: ``conv2d`` writes the whole matrix of windows into memory before one
matrix product reads it, and its backward pass sends the gradient through that matrix again, where
torch works on blocks that fit into the cache. ``max_pool2d``, ``avg_pool2d`` and ``batch_norm``
make a tensor of each step of their formula, where torch has one loop for all steps. The clear
``corr2d`` is the same loop as d2l's, with checks of its arguments.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.report import machine, table
from cnncourse.channels import BLOCK as IMAGES
from cnncourse.channels import conv2d, im2col
from cnncourse.cross_correlation import corr2d, corr2d_windows
from cnncourse.normalization import batch_norm
from cnncourse.pooling import avg_pool2d, max_pool2d
from cnncourse.windows import windows

DESCRIPTION = """Time the operators beside torch and d2l and print one table; a second one gives the
memory of the forms of a convolution. A target that is missed is printed as missed."""
BLOCK = 0.005  # seconds: a shorter call is repeated until it fills them


@dataclass(frozen=True)
class Pair:
    """One row of the table: two ways to the same numbers.

    Attributes
    ----------
    what, size, other : str
        The operation, the shapes, and whose function stands beside ours.
    ours, theirs : callable
        Without arguments; both return the same tensors.
    target : float or None
        The largest ratio of our time to the other's that is aimed at.
    """

    what: str
    size: str
    other: str
    ours: Callable[[], Sequence[Tensor]]
    theirs: Callable[[], Sequence[Tensor]]
    target: float | None = None


def forward(f: Callable[..., Tensor], *inputs: Tensor) -> Callable[[], Sequence[Tensor]]:
    """Return a call of ``f`` that keeps no graph."""

    def call() -> Sequence[Tensor]:
        with torch.no_grad():
            return (f(*inputs),)

    return call


def forward_backward(f: Callable[..., Tensor], *inputs: Tensor) -> Callable[[], Sequence[Tensor]]:
    """Return a call of ``f`` and of its gradients with respect to every input."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    upstream = torch.ones_like(f(*leaves))

    def call() -> Sequence[Tensor]:
        y = f(*leaves)
        return y.detach(), *torch.autograd.grad(y, leaves, upstream)

    return call


def conv_inputs(n: int) -> tuple[Tensor, Tensor]:
    """Draw the second layer of LeNet: n inputs and its kernels."""
    return torch.randn(n, 6, 14, 14), torch.randn(16, 6, 5, 5)


def pairs(n: int) -> list[Pair]:
    """Build every row for batches of n images, float32."""
    from cnncourse.reference import d2l

    torch.manual_seed(0)
    layer, image = conv_inputs(n), (torch.randn(28, 28), torch.randn(5, 5))
    features, scale = torch.randn(n, 6, 28, 28), (torch.rand(6), torch.randn(6))
    conv, plane = f"({n}, 6, 14, 14) * (16, 6, 5, 5)", "(28, 28) * (5, 5)"
    size, both = f"({n}, 6, 28, 28)", "forward + backward"

    def ours_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return batch_norm(x, None, None, w, b, training=True)

    def their_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, w, b, training=True)

    def against(what: str, size: str, ours: Callable, theirs: Callable, *x: Tensor) -> Pair:
        calls = forward_backward(ours, *x), forward_backward(theirs, *x)
        return Pair(f"{what} {both}", size, "torch", *calls)

    conv_calls = forward(conv2d, *layer), forward(F.conv2d, *layer)
    conv_both = forward_backward(conv2d, *layer), forward_backward(F.conv2d, *layer)
    fast, clear, slow = (forward(f, *image) for f in (corr2d_windows, corr2d, d2l.corr2d))
    return [
        Pair("conv2d forward", conv, "torch", *conv_calls, target=3),
        Pair(f"conv2d {both}", conv, "torch", *conv_both, target=3),
        Pair("corr2d_windows", plane, "d2l.corr2d", fast, slow, target=1 / 100),
        Pair("corr2d", plane, "d2l.corr2d", clear, slow),
        against("max_pool2d(x, 2)", size, *(lambda x, f=f: f(x, 2) for f in MAX), features),
        against("avg_pool2d(x, 2)", size, *(lambda x, f=f: f(x, 2) for f in AVG), features),
        against("batch_norm, training,", size, ours_norm, their_norm, features, *scale),
    ]


MAX, AVG = (max_pool2d, F.max_pool2d), (avg_pool2d, F.avg_pool2d)


def check_same(pair: Pair) -> None:
    """Stop where the two calls of a pair do not give the same numbers."""
    for ours, theirs in zip(pair.ours(), pair.theirs(), strict=True):
        # float32 sums of up to 10^5 products, relative to the largest of them.
        error = (ours - theirs).abs().max() / theirs.abs().max().clamp(min=1)
        if not error < 1e-3:
            raise RuntimeError(f"{pair.what} differs from {pair.other} by {error:.1e}")


def seconds(call: Callable[[], object], count: int) -> float:
    """Measure one call as the mean of ``count`` calls in a row."""
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / count


def block_of(call: Callable[[], object]) -> int:
    """Count the calls that fill a block, after a first one that only warms up."""
    call()
    return max(1, round(BLOCK / seconds(call, 3)))


def medians(rows: Sequence[Pair], repeats: int) -> list[tuple[float, float]]:
    """Time all calls in turn, ``repeats`` times, and return the medians (ours, theirs)."""
    calls = [call for row in rows for call in (row.ours, row.theirs)]
    counts = [block_of(call) for call in calls]
    times = [[seconds(*each) for each in zip(calls, counts, strict=True)] for _ in range(repeats)]
    middle = [statistics.median(column) for column in zip(*times, strict=True)]
    return list(zip(middle[::2], middle[1::2], strict=True))


def time_line(row: Pair, ours: float, theirs: float) -> list[str]:
    """Write one row of the table of times."""
    ratio = ours / theirs
    target = "" if row.target is None else f"at most {_ratio(row.target)}"
    verdict = "" if row.target is None else ("met" if ratio <= row.target else "MISSED")
    milliseconds = f"{ours * 1e3:.3f}", f"{theirs * 1e3:.3f}"
    return [row.what, row.size, row.other, *milliseconds, _ratio(ratio), target, verdict]


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"1/{1 / value:.0f}"


def peak_bytes(call: Callable[[], object]) -> int:
    """Measure the most memory that a call holds at once above what was there before.

    torch's profiler writes down each allocation and release on the CPU.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    del result  # it was alive until here, so that its own bytes count
    memory = sorted((e["ts"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]")
    held = peak = 0
    for _, change in memory:
        held += change
        peak = max(peak, held)
    return peak


def memory_lines(n: int) -> list[list[str]]:
    """Measure the forms of the convolution of LeNet's second layer, and count their tensors."""
    x, weight = conv_inputs(n)
    o, c, kh, kw = weight.shape
    places = 10 * 10
    image, matrix, out = (4 * n * size for size in (x[0].numel(), c * kh * kw * places, o * places))
    forms = [
        ("windows(x, 5), a view", lambda: windows(x, 5), 0, "nothing"),
        ("im2col(x, 5)", lambda: im2col(x, 5), matrix, "matrix"),
        (
            "window form: conv2d(x, weight)",
            lambda: conv2d(x, weight),
            (image + matrix) * min(n, IMAGES) // n + out,
            f"images with the batch last and matrix of {min(n, IMAGES)}, products of all",
        ),
        (
            "im2col form: weight.flatten(1) @ im2col(x, 5)",
            lambda: weight.flatten(1) @ im2col(x, 5),
            matrix + out,
            "matrix, output",
        ),
        (
            "torch: F.conv2d(x, weight)",
            lambda: F.conv2d(x, weight),
            out,
            "output; the rest is torch's own",
        ),
    ]
    return [
        [name, f"{peak_bytes(call) / 1e6:.2f}", f"{count / 1e6:.2f}", counted]
        for name, call, count, counted in forms
    ]


def report(n: int, repeats: int) -> str:
    """Measure everything and write it as markdown."""
    rows = pairs(n)
    for row in rows:
        check_same(row)
    lines = [time_line(row, *pair) for row, pair in zip(rows, medians(rows, repeats), strict=True)]
    times = ("operation", "size", "beside", "ours, ms", "its, ms", "ratio", "target", "")
    memory = ("form", "peak, MB", "arithmetic, MB", "what the arithmetic counts")
    return f"""# Operators beside torch and d2l, {datetime.datetime.now(datetime.UTC).date()}

CPU time of one call on one thread, float32: the median over {repeats} repeats, in each of which
every function had its turn, in one process (calls under {BLOCK * 1e3:g} ms in blocks of that
length). Ratio: our time through the other's.
{machine()}
Why the ratios are what they are stands at the top of benchmarks/operators.py.

{table(times, lines)}

Memory of a convolution forward, ({n}, 6, 14, 14) * (16, 6, 5, 5), float32, above its inputs, by
torch's profiler (MB = 10^6 bytes).

{table(memory, memory_lines(n))}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, measure, print, and write the file that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operators", description=DESCRIPTION)
    parser.add_argument("--repeats", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="images (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables there, too")
    chosen = parser.parse_args(arguments)
    for name in ("repeats", "batch"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(chosen, name)}")
    torch.set_num_threads(1)
    text = report(chosen.batch, chosen.repeats)
    print(text, end="")
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
