"""Where a receiver's time goes: stacks of all its threads and processes, sampled from outside by py-spy.

py-spy is no dependency: it is a program for the one who measures. From outside, since a profiler inside a process of
many threads changes what it measures.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from radstream.errors import Failure

_PROGRAM: Final = "py-spy"
_RATE_HZ: Final = 200
_WRITTEN_S_MAX: Final = 60.0


def profiler() -> str:
    """The program's path. Raises Failure where it is not installed."""
    found = shutil.which(_PROGRAM) or shutil.which(_PROGRAM, path=str(Path(sys.executable).parent))
    if found is None:
        raise Failure(f"--profile needs {_PROGRAM}, which is not installed: pip install {_PROGRAM}")
    return found


@contextlib.contextmanager
def profiled(pid: int, file: Path) -> Iterator[None]:
    """Until the block ends: collapsed stacks, one a line with how often it was seen, of what was not idle.

    Raises Failure where nothing was written: the kernel may let only a parent look into a process (ptrace_scope).
    """
    command = [profiler(), "record", "--pid", str(pid), "--subprocesses", "--nonblocking"]
    command += ["--format", "raw", "--rate", str(_RATE_HZ), "--output", str(file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                _, said = process.communicate(timeout=_WRITTEN_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    if not file.exists():
        raise Failure(f"{_PROGRAM} wrote no profile: {said.strip()[-300:]}")
