"""What waits to be committed: in order within a study, side by side across studies."""

from __future__ import annotations

import threading
from collections import deque
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
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, entry: Entry) -> None:
        with self._changed:
            self.count += 1
            self.bytes += entry.found.length
            if (queue := self._studies.get(entry.study)) is not None:
                queue.append(entry)
                return
            self._studies[entry.study] = deque((entry,))
            self._free.append(entry.study)
            self._changed.notify()

    def take(self, timeout_s: float) -> Entry | None:
        """The first entry of a study that nobody has; None where there is none in that time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free, timeout_s):
                return None
            return self._studies[self._free.popleft()][0]

    def done(self, entry: Entry) -> None:
        """An entry that was taken needs nothing more."""
        with self._changed:
            queue = self._studies[entry.study]
            queue.popleft()
            self.count -= 1
            self.bytes -= entry.found.length
            if queue:
                self._free.append(entry.study)
                self._changed.notify()
            else:
                del self._studies[entry.study]

    def back(self, entry: Entry) -> None:
        """An entry that was taken comes first in its study again."""
        with self._changed:
            self._free.append(entry.study)
            self._changed.notify()

    def holds(self, study: str) -> bool:
        with self._changed:
            return study in self._studies

    def oldest_ms(self) -> int | None:
        """When the oldest was received (Unix time)."""
        with self._changed:
            return min((queue[0].found.head.received_ms for queue in self._studies.values()), default=None)
