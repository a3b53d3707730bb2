"""d2l comes in whole where it is installed, and its absence is said in words one can act on.

What depends on a first import runs in a process of its own.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import ModuleType

import pytest
import torch

from cnncourse import reference

PROGRAM = """
import random, sys, matplotlib, numpy, torch
import cnncourse.reference

def state():
    return (dict(matplotlib.rcParams), random.getstate(), str(numpy.random.get_state()),
            torch.get_rng_state().tolist(), torch.get_default_dtype(),
            torch.is_grad_enabled(), torch.get_num_threads())

assert 'torchvision' not in sys.modules, 'only the question for d2l may import it'
before = state()
sys.modules['d2l'] = None  # Python then answers as if it were not installed
try:
    from cnncourse.reference import d2l
except ImportError as error:
    print(error)
del sys.modules['d2l']
"""
# In the same process, which has d2l again.
TRAIN = """
from cnncourse.reference import d2l
print([a == b for a, b in zip(before, state())])
model = d2l.LeNet(lr=0.1)
x, y = torch.rand(4, 1, 28, 28), torch.arange(4)
model.apply_init([x], d2l.init_cnn)
loss = model.loss(model(x), y)
loss.backward()
print(sum(p.numel() for p in model.parameters()), loss.isfinite().item())
"""
HAS_D2L = importlib.util.find_spec("d2l") is not None


@pytest.fixture(scope="module")
def told() -> str:
    """Return what a new process prints that asks for d2l in vain, and then, if it is here, trains.

    One process for both: to import d2l and all it needs takes seconds.
    """
    program = PROGRAM + TRAIN if HAS_D2L else PROGRAM
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.skipif(not HAS_D2L, reason="needs d2l")
def test_import_gives_a_d2l_that_trains_and_leaves_no_trace(told: str) -> None:
    assert told.endswith(f"\n{[True] * 7}\n61706 True\n")


def test_absent_d2l_is_named_with_the_command_that_installs_it(told: str) -> None:
    assert told.startswith("d2l")
    assert "    pip install --no-deps d2l==1.0.3\n" in told


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch):
    """Let a scripted list of failures stand for torchvision and d2l, and note what is asked."""

    def script(*failures: Exception | None) -> tuple[list[str], list[str]]:
        answers, names, defined = iter(failures), [], []

        def import_module(name: str) -> ModuleType:
            names.append(name)
            failure = next(answers)
            if failure is not None:
                raise failure
            return ModuleType(name)

        monkeypatch.setattr(reference.importlib, "import_module", import_module)
        monkeypatch.setattr(torch.library, "define", lambda name, schema: defined.append(name))
        return names, defined

    return script


def test_healthy_torchvision_is_left_alone(imported) -> None:
    names, defined = imported(None, None)
    assert reference.import_d2l().__name__ == "d2l.torch"
    assert names == ["torchvision", "d2l.torch"]
    assert defined == []


def test_missing_operators_are_declared_and_the_import_repeated(imported) -> None:
    failure = RuntimeError("operator torchvision::nms does not exist")
    names, defined = imported(failure, None, None)
    assert reference.import_d2l().__name__ == "d2l.torch"
    assert names == ["torchvision", "torchvision", "d2l.torch"]
    assert defined == ["torchvision::nms", "torchvision::qnms"]


def test_another_failure_of_torchvision_is_not_swallowed(imported) -> None:
    _, defined = imported(RuntimeError("broken disk"), None, None)
    with pytest.raises(RuntimeError, match="broken disk"):
        reference.import_d2l()
    assert defined == []


@pytest.mark.parametrize("failures", [0, 1])
def test_absent_package_is_named(imported, failures: int) -> None:
    imported(*[None] * failures, ModuleNotFoundError("No module", name="requests"))
    with pytest.raises(ImportError, match="requests is not installed") as caught:
        reference.import_d2l()
    assert "pip install torchvision pandas scipy requests" in str(caught.value)
    assert caught.value.name == "requests"


def test_module_has_no_other_lazy_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'keras'"):
        _ = reference.keras
