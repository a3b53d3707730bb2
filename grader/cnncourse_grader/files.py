"""Write files that are whole or not there at all."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path


def write(path: Path, content: str | bytes) -> Path:
    """Write a file so that whoever looks, also after a crash, sees the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    return path


def zipped(files: Mapping[str, str | bytes], scripts: Collection[str] = ()) -> bytes:
    """Return a zip whose bytes depend on its content alone; ``scripts`` may be run."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.external_attr = (stat.S_IFREG | (0o755 if name in scripts else 0o644)) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return data.getvalue()
