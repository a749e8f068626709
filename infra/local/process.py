"""Processes that outlive the command that started them, and are never mistaken for others."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

from infra.local.errors import StackError

LOG_BYTES_MAX = 10 << 20
POLL_S = 0.05
KILL_S_MAX = 60.0  # a killed process first finishes what it has given to the disk
# A log is only ever rotated here, at a start: one older file is kept.
OLDER = ".1"


# Ours to wait for as long as we live; what outlives us is init's.
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Launch:
    """How a part is started. `user` is the account it runs as, where that is not ours."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None


class Running(msgspec.Struct, frozen=True):
    """One process for ever: a pid is used again, a pid with its start time and boot is not.

    `log_from` is the byte of its log at which its output begins.
    """

    pid: int
    started_ticks: int
    boot: str
    log_from: int = 0


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)); None where the process is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" and not _has_threads(pid) else int(fields[19])


def _has_threads(pid: int) -> bool:
    """Of a killed process the first thread is a zombie while others still hold files and ports."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except OSError:
        return False


def is_alive(process: Running) -> bool:
    return _ticks(process.pid) == process.started_ticks and _boot() == process.boot


def start(launch: Launch, log: Path, folder: Path) -> Running:
    """Starts a process in a session of its own, its output appended to `log`. Raises OSError."""
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_name(log.name + OLDER))
    with log.open("ab") as output:
        begins = output.tell()
        child = subprocess.Popen(
            launch.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **launch.environment},
            start_new_session=True,
            user=launch.user,
            group=launch.user,
            extra_groups=[] if launch.user else None,
        )
    # A child that has ended already is still ours until it is waited for: its start time can always be read.
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    _children.append(child)
    return Running(child.pid, int(fields[19]), _boot(), begins)


def reap() -> None:
    """Takes leave of the children of this process that have ended."""
    _children[:] = [child for child in _children if child.poll() is None]


@dataclass(frozen=True)
class Ending:
    """A process that was asked to end, and what it had started until then."""

    process: Running
    family: Sequence[psutil.Process]


def ask(process: Running, how: signal.Signals) -> Ending:
    """Asks a process to end, without waiting: several may end together."""
    ending = Ending(process, _family(process))
    if is_alive(process):
        _send(process.pid, how)
    return ending


def end(ending: Ending, deadline_s: float) -> bool:
    """Waits, and kills what is left with everything it started. Returns whether asking was enough."""
    asked = wait(ending.process, deadline_s)
    if not asked:
        _send(ending.process.pid, signal.SIGKILL)
        wait(ending.process, KILL_S_MAX)
    _kill(ending.family)
    return asked


def kill(process: Running) -> None:
    """SIGKILL to the process and all it started, without a warning."""
    family = _family(process)
    if is_alive(process):
        _send(process.pid, signal.SIGKILL)
    _kill(family)
    wait(process, KILL_S_MAX)


def _family(process: Running) -> list[psutil.Process]:
    if not is_alive(process):
        return []
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(family: Sequence[psutil.Process]) -> None:
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):  # psutil compares start times: never a stranger
            child.kill()
    psutil.wait_procs(family, timeout=KILL_S_MAX)


def _send(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)


def wait(process: Running, deadline_s: float) -> bool:
    end = time.monotonic() + deadline_s
    while is_alive(process):
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def run(argv: Sequence[str], what: str, environment: Mapping[str, str] | None = None, user: str | None = None) -> str:
    """Runs a program to its end and returns its output. Raises StackError with its last lines."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, **(environment or {})},
            user=user,
            group=user,
            extra_groups=[] if user else None,
            check=False,
        )
    except OSError as error:
        raise StackError(f"{what} failed: {argv[0]} cannot be run ({error.strerror})") from None
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        tail = "\n  ".join(text.strip().splitlines()[-12:])
        raise StackError(f"{what} failed ({Path(argv[0]).name}, exit code {done.returncode}):\n  {tail}")
    return text
