"""What waits to be committed: in order within a study, side by side across studies."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from producers.dicom_router.spool.segment_bytes import Found
from producers.dicom_router.spool.shelf import Shelf

# How long an entry that waits for another process is let be: about as long as a commit takes.
_HELD_S: Final = 0.005


@dataclass(eq=False, slots=True)
class Entry:
    """A durable record that is not committed. `again` counts how often the same bytes came meanwhile.

    `was_stuck` is whether it could be neither committed nor set aside once (`stuck`), and `refusals` how often store or
    log refused it.
    """

    shelf: Shelf
    found: Found
    again: int = 0
    was_stuck: bool = False
    refusals: int = 0

    @property
    def study(self) -> str:
        """What it is in order with: an instance without a study stands for itself."""
        return self.found.study or self.found.head.digest.hex()


@dataclass
class Waiting:
    """Used from many threads. A study of which somebody has an entry in hand is nobody else's."""

    count: int = 0
    bytes: int = 0
    # Of those that count, how many were stuck and are tried once more: nobody waits for them.
    stuck: int = 0
    _studies: dict[str, deque[Entry]] = field(default_factory=dict)
    _free: deque[str] = field(default_factory=deque)
    _in_hand: set[str] = field(default_factory=set)
    # When each is looked at again: a heap.
    _held: list[tuple[float, str]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, *entries: Entry) -> None:
        """Each behind those of its study that have no higher tick; perhaps before what somebody has in hand."""
        by_study: dict[str, list[Entry]] = {}
        for entry in entries:
            by_study.setdefault(entry.study, []).append(entry)
        with self._changed:
            for study, block in by_study.items():
                self._add(study, block)

    def take(self, timeout_s: float) -> Entry | None:
        """The first entry of a study that nobody has; None where there is none in that time."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while not self._freed() and (left_s := end - time.monotonic()) > 0:
                held_s = self._held[0][0] - time.monotonic() if self._held else left_s
                self._changed.wait(max(min(left_s, held_s), 0.0))
            if not self._free:
                return None
            study = self._free.popleft()
            self._in_hand.add(study)
            return self._studies[study][0]

    def done(self, entry: Entry) -> None:
        """An entry that was taken needs nothing more."""
        with self._changed:
            queue = self._studies[entry.study]
            queue.remove(entry)
            self.count -= 1
            self.bytes -= entry.found.length
            self.stuck -= entry.was_stuck
            if queue:
                self._let_go(entry.study)
            else:
                self._in_hand.discard(entry.study)
                del self._studies[entry.study]

    def back(self, entry: Entry) -> None:
        """An entry that was taken waits where it was."""
        with self._changed:
            self._let_go(entry.study)

    def hold(self, entry: Entry, for_s: float = _HELD_S) -> None:
        """The same, and nobody takes its study for so long."""
        with self._changed:
            self._in_hand.discard(entry.study)
            heapq.heappush(self._held, (time.monotonic() + for_s, entry.study))
            self._changed.notify()

    def is_first(self, entry: Entry) -> bool:
        """Whether nothing was put before an entry since it was taken."""
        with self._changed:
            return self._studies[entry.study][0] is entry

    def holds(self, study: str) -> bool:
        """Whether something of a study waits that was not stuck."""
        with self._changed:
            return any(not entry.was_stuck for entry in self._studies.get(study, ()))

    def oldest_ms(self) -> int | None:
        """When the oldest was received (Unix time)."""
        with self._changed:
            return min((queue[0].found.head.received_ms for queue in self._studies.values()), default=None)

    def _freed(self) -> bool:
        """Whether there is something to take, what was held for long enough among it."""
        now = time.monotonic()
        while self._held and self._held[0][0] <= now:
            self._free.append(heapq.heappop(self._held)[1])
        return bool(self._free)

    def _add(self, study: str, block: list[Entry]) -> None:
        self.count += len(block)
        self.bytes += sum(entry.found.length for entry in block)
        self.stuck += sum(entry.was_stuck for entry in block)
        queue = self._studies.get(study)
        if queue is None:
            queue = self._studies[study] = deque()
            self._free.append(study)
            self._changed.notify()
        in_order = len(block) == 1 and (not queue or queue[-1].found.tick <= block[0].found.tick)
        queue.extend(block)
        if not in_order:
            self._studies[study] = deque(sorted(queue, key=lambda entry: entry.found.tick))

    def _let_go(self, study: str) -> None:
        self._in_hand.discard(study)
        self._free.append(study)
        self._changed.notify()
