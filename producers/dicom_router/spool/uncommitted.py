"""Which instances this machine has acknowledged and the log does not have: what is asked about them has to wait.

They are known by the short forms of their UIDs (`record.short`), so perhaps another is taken for one of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from producers.dicom_router.spool import aside
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.reading import appended


class Uncommitted:
    """What waits here, whoever has it in hand, and what stands aside. Used from many threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._counts: dict[int, int] = {}
        # By name: whoever sets something aside writes it once.
        self._aside: dict[str, frozenset[int]] = {}

    def came(self, entries: Iterable[Entry]) -> None:
        """Before they wait."""
        with self._lock:
            for entry in entries:
                self._counts[entry.found.instance] = self._counts.get(entry.found.instance, 0) + 1

    def over(self, entry: Entry) -> None:
        """When it is committed, or stands aside."""
        with self._lock:
            left = self._counts.get(entry.found.instance, 0) - 1
            if left > 0:
                self._counts[entry.found.instance] = left
            else:
                self._counts.pop(entry.found.instance, None)

    def has_any(self, instances: AbstractSet[int]) -> bool:
        with self._lock:
            return not self._counts.keys().isdisjoint(instances)

    def has_any_aside(self, instances: AbstractSet[int]) -> bool:
        """Raises OSError: what cannot be read may be one of them."""
        with self._lock:
            paths = {path.name: path for path in aside.records(self._folder)}
            self._aside = {name: known for name, known in self._aside.items() if name in paths}
            for name in paths.keys() - self._aside.keys():
                # One that was taken back meanwhile may come again under its name.
                with suppress(FileNotFoundError):
                    self._aside[name] = frozenset(one.instance for one in appended(paths[name])[0])
            return any(not known.isdisjoint(instances) for known in self._aside.values())
