"""Name the hardware and the software that a number depends on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path

import torch

import cnncourse


def environment() -> dict[str, object]:
    """Describe this machine as a run that starts now meets it."""
    return {
        "cpu": cpu_model(),
        # Which instructions torch uses; the last digits depend on it.
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "numpy", "d2l")},
        "cnncourse": cnncourse.__version__,
    }


def cpu_model() -> str:
    """Name the processor as the system does."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0] if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
