"""Where the stack keeps everything it writes."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from infra.local.errors import StackError

ENVIRONMENT = "RADSTREAM_HOME"
FREE_BYTES_MIN = 1 << 30
FOLDERS = ("run", "logs", "data")
STATE = "stack.json"
LOCK = "lock"
# Separators of Kafka's log.dirs and of H2's settings, and what Java properties and TOML escape.
_UNUSABLE = re.compile(r'[,;"\\\x00-\x1f]')


def checkout() -> Path:
    """The folder that holds this source tree."""
    return Path(__file__).resolve().parents[2]


def default_home() -> Path:
    """RADSTREAM_HOME; else `.radstream` in the checkout; for root, a folder under /var/lib.

    PostgreSQL refuses to run as root, and the user it runs as may be unable to enter the checkout (a home of mode
    700). So root's data lies where every user may pass.
    """
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).absolute()
    source = checkout()
    if os.geteuid() != 0:
        return source / ".radstream"
    mark = hashlib.sha256(os.fsencode(source)).hexdigest()[:8]
    return Path("/var/lib/radstream") / f"{source.name}-{mark}"


def make(home: Path) -> None:
    """Creates the folder. Raises StackError where it cannot be used."""
    if wrong := _UNUSABLE.search(str(home)):
        raise StackError(f"{home}: Kafka or H2 cannot use a path with {wrong[0]!r}; set {ENVIRONMENT} to another one")
    mode = 0o755 if os.geteuid() == 0 else 0o700
    try:
        home.mkdir(mode=mode, parents=True, exist_ok=True)
        if not _is_ours(home):
            raise StackError(
                f"{home}: is not empty and no stack was made here; set {ENVIRONMENT} to a new or an empty folder"
            )
        for folder in FOLDERS:
            (home / folder).mkdir(mode=mode, exist_ok=True)
    except OSError as error:
        raise StackError(
            f"{home}: cannot be the stack's home ({error.strerror}); set {ENVIRONMENT} to a folder that can be written"
        ) from None


def check_room(home: Path) -> None:
    """Before anything is written: on a full disk not even a folder can be made. Raises StackError."""
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    state = os.statvfs(there)
    if (free := state.f_bavail * state.f_frsize) < FREE_BYTES_MIN:
        raise StackError(
            f"{home}: only {free >> 20} MiB free on its disk, the stack needs {FREE_BYTES_MIN >> 20}; "
            f"make room, or set {ENVIRONMENT} to a folder on another disk"
        )


def _is_ours(home: Path) -> bool:
    """A stack was made here, or was about to be: what is here is removed by `radstream down --wipe`."""
    return (home / STATE).exists() or {path.name for path in home.iterdir()} <= {*FOLDERS, LOCK}
