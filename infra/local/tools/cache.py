"""One folder of tools for all checkouts of a user. A tool is there whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from infra.local.errors import StackError

ENVIRONMENT = "RADSTREAM_TOOLS"
Say = Callable[[str], None]


def folder() -> Path:
    """RADSTREAM_TOOLS, else `radstream/tools` in the user's cache folder."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "radstream" / "tools"


def path(name: str, version: str) -> Path:
    return folder() / f"{name}-{version}"


def installed(name: str, version: str, build: Callable[[Path], None], say: Say, why: str) -> Path:
    """The folder of a tool; `build` fills an empty one where it is missing. Raises StackError."""
    target = path(name, version)
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (target.parent / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                say(f"installing {name} {version}: {why}")
                _build(target, build)
    except OSError as error:
        raise StackError(
            f"{target}: {name} cannot be installed ({error.strerror or error}); make room or mend its permissions, "
            f"or set {ENVIRONMENT} to another folder"
        ) from None
    return target


def _build(target: Path, build: Callable[[Path], None]) -> None:
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        (work / "new").mkdir()
        build(work / "new")
        (work / "new").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
