"""The same bytes again from the same sender: what waits already is not written once more, and its event is published as
often as it came.

From somebody else, or after other content under the UID, they are a record of their own: who delivered what, and what
came last, is in the event of each, and has to outlive a crash (docs/decisions/0086).
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from msgspec.structs import replace

from producers.dicom_router.spool.incoming import Incoming
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.reading import kept_whole
from producers.dicom_router.spool.record import Kept, NotARecord, short


class Repeats:
    """Of each SOP Instance UID what came last, while it waits. Used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By the short forms of UIDs: where two share one, the same bytes are written again, which is harmless.
        self._last: dict[int, Entry] = {}

    def put(self, entries: Collection[Entry]) -> None:
        """They wait, whole as far as is known."""
        with self._lock:
            for entry in entries:
                known = self._last.get(entry.found.instance)
                if known is None or known.found.tick <= entry.found.tick:
                    self._last[entry.found.instance] = entry

    def last(self, incoming: Incoming) -> Entry | None:
        """What came last under its SOP Instance UID, where that has the same bytes and waits on the disk."""
        with self._lock:
            entry = self._last.get(short(incoming.kept.sop_instance_uid))
        if entry is None or entry.found.head.digest != incoming.digest or not entry.shelf.is_durable:
            return None
        return entry

    def came(self, entry: Entry, kept: Kept) -> bool:
        """Whether an entry is whole, is of this sender, and is still the last: it is then published once more."""
        try:
            if _named(kept_whole(entry.shelf.path, entry.found)) != _named(kept):
                return False
        except (NotARecord, OSError):
            return False
        with self._lock:
            if self._last.get(entry.found.instance) is not entry:
                return False
            entry.again += 1
        return True

    def once_more(self, entry: Entry) -> bool:
        """Whether the same bytes came since, for which the event is to be published again; else it is forgotten."""
        with self._lock:
            if entry.again:
                entry.again -= 1
                return True
            if self._last.get(entry.found.instance) is entry:
                del self._last[entry.found.instance]
            return False


def _named(kept: Kept) -> Kept:
    """Without what is of one request alone."""
    return replace(kept, trace="", association="", tick=0)
