"""What waits to be committed: in order within a study, side by side across studies."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from producers.dicom_router.spool.reading import Found
from producers.dicom_router.spool.shelf import Shelf


@dataclass(eq=False, slots=True)
class Entry:
    """A durable record that is not committed. `again` counts how often the same bytes came meanwhile."""

    shelf: Shelf
    found: Found
    again: int = 0

    @property
    def study(self) -> str:
        """What it is in order with: an instance without a study stands for itself."""
        return self.found.study or self.found.head.digest.hex()


@dataclass
class Waiting:
    """Used from many threads. A study of which somebody has an entry in hand is nobody else's."""

    count: int = 0
    bytes: int = 0
    _studies: dict[str, deque[Entry]] = field(default_factory=dict)
    _free: deque[str] = field(default_factory=deque)
    _in_hand: set[str] = field(default_factory=set)
    _held: set[str] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, entry: Entry) -> None:
        with self._changed:
            self._add(entry.study, [entry], behind=True)

    def put_first(self, entries: Iterable[Entry]) -> None:
        """Entries, in their order, that come before all of their studies, also before what somebody has in hand."""
        by_study: dict[str, list[Entry]] = {}
        for entry in entries:
            by_study.setdefault(entry.study, []).append(entry)
        with self._changed:
            for study, block in by_study.items():
                self._add(study, block, behind=False)

    def take(self, timeout_s: float) -> Entry | None:
        """The first entry of a study that nobody has; None where there is none in that time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free, timeout_s):
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
            if queue:
                self._let_go(entry.study)
            else:
                self._in_hand.discard(entry.study)
                del self._studies[entry.study]

    def back(self, entry: Entry) -> None:
        """An entry that was taken waits where it was."""
        with self._changed:
            self._let_go(entry.study)

    def hold(self, entry: Entry) -> None:
        """The same, and nobody takes its study until `release`."""
        with self._changed:
            self._in_hand.discard(entry.study)
            self._held.add(entry.study)

    def release(self) -> None:
        """What was held may be taken."""
        with self._changed:
            self._free.extend(self._held)
            self._held.clear()
            self._changed.notify_all()

    def is_first(self, entry: Entry) -> bool:
        """Whether nothing was put before an entry since it was taken."""
        with self._changed:
            return self._studies[entry.study][0] is entry

    def holds(self, study: str) -> bool:
        with self._changed:
            return study in self._studies

    def oldest_ms(self) -> int | None:
        """When the oldest was received (Unix time)."""
        with self._changed:
            return min((queue[0].found.head.received_ms for queue in self._studies.values()), default=None)

    def _add(self, study: str, block: list[Entry], *, behind: bool) -> None:
        self.count += len(block)
        self.bytes += sum(entry.found.length for entry in block)
        queue = self._studies.get(study)
        if queue is None:
            self._studies[study] = deque(block)
            self._free.append(study)
            self._changed.notify()
            return
        if behind:
            queue.extend(block)
        else:
            queue.extendleft(reversed(block))

    def _let_go(self, study: str) -> None:
        self._in_hand.discard(study)
        self._free.append(study)
        self._changed.notify()
