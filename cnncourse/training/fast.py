"""Switches that make a step of `fit` faster, each alone, and the plain step where one is missing.

They change how a step is computed and never what: same batches, same loss, same rule. What they
gain depends on the network and the device, so turn on one at a time and measure. Fused and
foreach optimizers need no switch, they are torch's own arguments:
``optimizer=partial(torch.optim.SGD, lr=0.1, fused=True)``.

The CUDA graph was written without a GPU at hand: its parts are tested on a CPU, the recording
itself never ran.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim import Optimizer

from cnncourse._arguments import check_choice
from cnncourse.training.history import Pair

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WARM_UP = 3  # plain steps before a recording, so that every kernel has been loaded and chosen

Scores = tuple[Float[Tensor, ""], Int64[Tensor, ""]]
Forward = Callable[[Int64[Tensor, " n"]], Scores]
Step = Callable[[Int64[Tensor, " n"]], Scores]


@dataclass(frozen=True)
class Switches:
    """What `fit` may do to be faster; with all of them off it is the plain loop.

    Parameters
    ----------
    channels_last : bool
        The numbers of one pixel stand side by side in memory, as the library's kernels like it.
        ``x.view(n, -1)`` cannot read pictures in this order; ``x.flatten(1)`` can.
    precision : str
        ``float32``; or ``bfloat16`` or ``float16``, in which the forward pass multiplies. Weights,
        loss and update stay in float32. For ``float16`` the loss is scaled up before it goes
        backwards, or small gradients would become zero.
    compile : bool
        ``torch.compile`` writes and compiles code for the network, which takes seconds to minutes.
    cuda_graph : bool
        Forward and backward pass are recorded once and replayed, without Python. The update stays
        outside, because its rate changes from step to step.

    Examples
    --------
    >>> Switches(channels_last=True, precision="bfloat16").compile
    False
    """

    channels_last: bool = False
    precision: str = "float32"
    compile: bool = False
    cuda_graph: bool = False

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, PRECISIONS)
        for name in ("channels_last", "compile", "cuda_graph"):
            if not isinstance(value := getattr(self, name), bool):
                raise TypeError(f"`{name}` must be True or False, got {value!r}")


OFF = Switches()


def usable(
    switches: Switches, model: nn.Module, images: Float[Tensor, "_n ..."], processes: int = 1
) -> Switches:
    """Turn off each switch that the device, the model or the pictures lack, and warn by its name.

    Examples
    --------
    >>> usable(Switches(channels_last=True), nn.Flatten(), torch.zeros(2, 1, 4, 4)).channels_last
    True
    """
    for name, default in vars(OFF).items():
        if getattr(switches, name) == default:
            continue
        if lack := _lack(name, switches, model, images, processes):
            warnings.warn(f"`{name}` stays off: {lack}", stacklevel=3)
            switches = replace(switches, **{name: default})
    return switches


def _lack(
    name: str, switches: Switches, model: nn.Module, images: Tensor, processes: int
) -> str | None:
    """Say what is missing for one switch, or nothing."""
    device = images.device
    if processes > 1 and name != "precision":
        return "not for a model that several processes train"
    if name == "channels_last":
        return _no_channels_last(model, images)
    if name == "precision" and not _multiplies_in(switches.precision, device):
        return f"this {device.type} has no instructions for {switches.precision}"
    if name == "compile":
        return _no_compiler(device.type)
    if name == "cuda_graph" and device.type != "cuda":
        return f"only a CUDA GPU replays graphs, the device is {device}"
    return None


def _no_channels_last(model: nn.Module, images: Tensor) -> str | None:
    if images.ndim != 4:
        return f"pictures must have shape (n, c, h, w), got {tuple(images.shape)}"
    mode = model.training
    try:
        with _channels_last(model.eval()), torch.no_grad():
            model(images[:2].to(memory_format=torch.channels_last))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        return f"the model fails with it; does it need x.flatten(1) for x.view(n, -1)? {reason}"
    finally:
        model.train(mode)
    return None


def _multiplies_in(precision: str, device: torch.device) -> bool:
    if device.type == "cuda":
        return precision == "float16" or torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        asked = {"bfloat16": "bf16", "float16": "fp16"}[precision]
        return getattr(torch.ops.mkldnn, f"_is_mkldnn_{asked}_supported")()
    return torch.amp.is_autocast_available(device.type)


@cache
def _no_compiler(device: str) -> str | None:
    """Compile one multiplication: only that tells whether there is a compiler that works."""
    try:
        torch.compile(lambda x: 2 * x)(torch.ones(4, device=device))
    except Exception as error:  # compilers that are missing or broken fail in many ways
        return f"torch.compile found no compiler that works ({type(error).__name__})"
    return None


@contextmanager
def laid_out(model: nn.Module, train: Pair, channels_last: bool) -> Iterator[Pair]:
    """Yield the split in the order that is asked for; afterwards the model is as it was."""
    if not channels_last:
        yield train
        return
    images, labels = train
    with _channels_last(model):
        yield images.to(memory_format=torch.channels_last), labels


@contextmanager
def _channels_last(model: nn.Module) -> Iterator[None]:
    model.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        model.to(memory_format=torch.contiguous_format)


def scaler_for(model: nn.Module, switches: Switches) -> torch.amp.GradScaler:
    """Return what scales the loss: by one, unless the precision has few exponents."""
    device = next((weight.device.type for weight in model.parameters()), "cpu")
    return torch.amp.GradScaler(device, enabled=switches.precision == "float16")


def faster(
    switches: Switches,
    forward: Callable[[nn.Module, Pair, Int64[Tensor, " n"]], Scores],
    model: nn.Module,
    train: Pair,
    optimizer: Optimizer,
    scaler: torch.amp.GradScaler,
    batch_size: int,
) -> Step:
    """Return the step of `fit` with these switches on."""
    chosen = torch.compile(model, dynamic=False) if switches.compile else model
    passes = partial(_in_precision, switches.precision, partial(forward, chosen, train))
    if switches.cuda_graph:
        return GraphedStep(passes, optimizer, scaler, batch_size)
    return partial(scaled_step, passes, optimizer, scaler)


def _in_precision(precision: str, passes: Forward, batch: Int64[Tensor, " n"]) -> Scores:
    kind = PRECISIONS[precision]
    with torch.autocast(batch.device.type, kind, enabled=kind is not torch.float32):
        return passes(batch)


def scaled_step(
    passes: Forward, optimizer: Optimizer, scaler: torch.amp.GradScaler, batch: Int64[Tensor, " n"]
) -> Scores:
    """Update the weights; a scaler that is on leaves out an update with infinite gradients."""
    loss, hits = passes(batch)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return loss.detach(), hits


class GraphedStep:
    """The same step: recorded as a CUDA graph after a few plain ones, and replayed from then on.

    A recording computes nothing, so no step is lost or done twice. A batch of another size, the
    last one of an epoch, takes the plain step.
    """

    def __init__(
        self,
        passes: Forward,
        optimizer: Optimizer,
        scaler: torch.amp.GradScaler,
        batch_size: int,
    ) -> None:
        self.passes, self.optimizer, self.scaler = passes, optimizer, scaler
        self.plain = partial(scaled_step, passes, optimizer, scaler)
        self.weights = [w for group in optimizer.param_groups for w in group["params"]]
        self.batch_size, self.steps, self.replay = batch_size, 0, None

    def __call__(self, batch: Int64[Tensor, " n"]) -> Scores:
        """Make one step."""
        if len(batch) != self.batch_size:
            return self.plain(batch)
        self.steps += 1
        if self.steps <= WARM_UP:
            return self.beside(partial(self.plain, batch))
        if self.replay is None:
            self.record(batch.clone())
        self.batch.copy_(batch)
        self.replay()
        # A plain step in between has put other tensors in the place of those that a replay fills.
        for weight, gradient in zip(self.weights, self.gradients, strict=True):
            weight.grad = gradient
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return self.loss.clone(), self.hits.clone()

    def record(self, batch: Int64[Tensor, " n"]) -> None:
        """Keep the kernels of one forward and backward pass, and the tensors they read and fill."""
        self.batch, graph = batch, torch.cuda.CUDAGraph()
        self.optimizer.zero_grad()  # so that the backward pass makes gradients that are its own
        with torch.cuda.graph(graph):
            loss, self.hits = self.passes(self.batch)
            self.scaler.scale(loss).backward()
        self.loss, self.replay = loss.detach(), graph.replay
        self.gradients = [weight.grad for weight in self.weights]

    @staticmethod
    def beside(work: Callable[[], Scores]) -> Scores:
        """Work on a stream of its own, as torch asks for before a recording."""
        here, stream = torch.cuda.current_stream(), torch.cuda.Stream()
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            scores = work()
        here.wait_stream(stream)
        return scores
