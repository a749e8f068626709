"""A newer process of a part that takes over from the one that runs, without anybody being refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from infra.local import process, state
from infra.local.errors import StackError
from infra.local.parts.part import Serving
from infra.local.parts.services import Service
from infra.local.process import Running

POLL_S = 0.1
END_S_MAX = 10.0


class Restarted(msgspec.Struct, frozen=True, kw_only=True):
    """`how` is handed_over, or stopped_and_started. `before` is None where the part did not run, or did not say."""

    part: str
    how: str
    before: Serving | None = None
    now: Serving | None = None
    seconds: float


class TakingOver:
    """One take-over. `record` is the file that says which process the part is."""

    def __init__(self, part: Service, record: Path, log: Path, home: Path, say: Callable[[str], None]) -> None:
        self._part = part
        self._record = record
        self._next = next_of(record)
        self._log = log
        self._home = home
        self._say = say

    def run(self, old: Running, tail: Callable[[], str]) -> Restarted:
        """Returns when the older process has ended. Raises StackError, and OSError, where it goes on instead."""
        began, name = time.monotonic(), self._part.name
        settle(self._part, self._record)
        self._part.prepare()
        before = self._part.serving()
        new = process.start(self._part.launch(), self._log, self._home)
        state.write_private(self._next, msgspec.json.encode(new))
        try:
            now = self._wait(old, new, tail)
        finally:
            settle(self._part, self._record)
        version = before.version if before and before.pid == old.pid else "unknown"
        self._say(f"{name}: process {new.pid} (version {now.version}) serves; process {old.pid} ({version}) ends")
        if not process.wait(old, seconds_max := self._part.handing_over_s_max):
            self._say(f"{name}: process {old.pid} did not end in {seconds_max:.0f} s and was killed")
            process.kill(old)
        process.reap()
        seconds = round(time.monotonic() - began, 3)
        return Restarted(part=name, how="handed_over", before=before, now=now, seconds=seconds)

    def _wait(self, old: Running, new: Running, tail: Callable[[], str]) -> Serving:
        name = self._part.name
        self._say(f"{name}: process {new.pid} starts beside process {old.pid}, which serves")
        end = time.monotonic() + self._part.start_s_max
        while True:
            process.reap()
            if not process.is_alive(new):
                goes_on = f"; process {old.pid} goes on as before" if process.is_alive(old) else ""
                raise StackError(f"{name}: the new process ended before it served{goes_on}.{tail()}")
            serving = self._part.serving()
            if serving is not None and serving.pid == new.pid and self._part.ready():
                return serving
            if time.monotonic() > end:
                raise StackError(
                    f"{name}: the new process did not serve in {self._part.start_s_max:.0f} s and was ended; "
                    f"see which one serves: radstream status.{tail()}"
                )
            time.sleep(POLL_S)


def next_of(record: Path) -> Path:
    """Where the process is recorded that is about to take over."""
    return record.with_suffix(".next")


def settle(part: Service, record: Path) -> None:
    """What is left of a take-over: the newer process is the part where it serves, else it is ended."""
    try:
        new = msgspec.json.decode(next_of(record).read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.MsgspecError):
        return
    serving = part.serving()
    if serving is not None and serving.pid == new.pid and process.is_alive(new):
        next_of(record).replace(record)
        return
    process.end(process.ask(new, part.stop_signal), END_S_MAX)
    next_of(record).unlink(missing_ok=True)
