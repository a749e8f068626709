"""Wheels that carry programs, for machines where nobody may install packages."""

from __future__ import annotations

import importlib
import sys

from infra.local import process
from infra.local.home import checkout
from infra.local.tools.cache import Say


def install(lock: str, why: str, say: Say) -> None:
    """Installs a lock into the environment that runs this. Raises StackError with pip's last lines."""
    say(f"installing locks/{lock}.txt: {why}")
    options = ("--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes")
    file = checkout() / "locks" / f"{lock}.txt"
    process.run([sys.executable, "-m", "pip", "install", *options, "-r", str(file)], f"installing locks/{lock}.txt")
    importlib.invalidate_caches()
