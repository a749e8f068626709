"""A process that stands still: every thread of it, when this returns."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.waiting import wait_until


def freeze(pid: int) -> None:
    """SIGSTOP reaches one thread after the other; until it has, one of them may still answer."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _is_still(pid), "every thread to stop")


def _is_still(pid: int) -> bool:
    try:
        said = [(task / "stat").read_text(encoding="ascii") for task in Path(f"/proc/{pid}/task").iterdir()]
    except FileNotFoundError:
        return False  # One that still ran has ended.
    return all(one.rpartition(")")[2].split()[0] in {"T", "t"} for one in said)
