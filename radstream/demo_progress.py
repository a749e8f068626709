"""The demo's progress, on stderr: bars for people, lines where nobody watches a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from radstream.errors import Failure
from radstream.flow import DERIVED, POLL_S, QUARANTINED, RECEIVED, VALIDATED, Flow, Gauge
from radstream.sending import Sent

STAGES = ("sent", "received", "validated", "derived", "cataloged")
LINE_S = 5.0


class DemoProgress:
    """Counts records since `before`. Called from several threads."""

    def __init__(self, objects: int, before: Flow) -> None:
        self._objects = objects
        self._before = before
        self._done = dict.fromkeys(STAGES, 0)
        self._total = dict.fromkeys(STAGES, objects)
        self._said_s, self._said = time.monotonic(), dict(self._done)
        columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._tasks = {stage: self._bars.add_task(stage, total=objects) for stage in STAGES}

    @contextmanager
    def following(self, gauge: Gauge) -> Iterator[None]:
        """Shows bars, and moves them by what the log says until the end."""
        ended = threading.Event()

        def follow() -> None:
            while not ended.wait(POLL_S):
                try:
                    self.flow(gauge.read())
                except Failure:
                    # Who waits for the pipeline is told; bars only stand still.
                    continue

        thread = threading.Thread(target=follow, daemon=True)
        with self._bars:
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()
                self._say()

    def also(self, settled: Callable[[Sent], None]) -> Callable[[Sent], None]:
        """`settled`, counted."""

        def counted(one: Sent) -> None:
            settled(one)
            self._done["sent"] += 1
            self._show()

        return counted

    def flow(self, seen: Flow) -> None:
        new = {topic: seen.records[topic] - self._before.records[topic] for topic in seen.records}
        judged = new[VALIDATED] + new[QUARANTINED]
        self._done |= {
            "received": new[RECEIVED],
            "validated": judged,
            "derived": new[DERIVED],
            "cataloged": max(0, sum(new.values()) - seen.lag["catalog"]),
        }
        received = max(new[RECEIVED], judged)
        if self._done["sent"] == self._objects:
            self._total |= {"received": received, "validated": received, "derived": received - new[QUARANTINED]}
            self._total["cataloged"] = sum(new.values())
        self._show()

    def _show(self) -> None:
        for stage, task in self._tasks.items():
            self._bars.update(task, completed=self._done[stage], total=self._total[stage])
        if self._bars.disable and time.monotonic() - self._said_s > LINE_S:
            self._said_s = time.monotonic()
            self._say()

    def _say(self) -> None:
        if self._bars.disable and self._done != self._said:
            self._said = dict(self._done)
            stages = ", ".join(f"{stage} {self._done[stage]}" for stage in STAGES)
            print(stages, file=sys.stderr, flush=True)  # noqa: T201
