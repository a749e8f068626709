"""What processes that are gone left on the spool: their folders, which are this one's until nothing is in them, and
their segments, each until it was read. What cannot be read now is read again, as long as the router runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.places import Owned
from producers.dicom_router.spool.recovery import listed, recovered, take_over
from producers.dicom_router.spool.shelf import Shelf
from streams.backoff import Backoff

_AGAIN: Final = Backoff(first_s=1.0, max_s=60.0)
# So long, what is known of one that cannot be read is waited for. Then its disk is at fault, which a person has to
# mend, and later images of its studies go on, as they do behind what is stuck.
_WAITED_FOR_S: Final = 60.0


@dataclass(frozen=True)
class Unreadable:
    """How many segments, or folders of them, cannot be read now, and what was said of the first of them. What they
    hold is not known."""

    segments: int
    why: str

    def __str__(self) -> str:
        return (
            f"{self.segments} segments on the spool cannot be read ({self.why}): acknowledged images in them wait, and "
            "are in no figure; see the machine's log. They are read again each minute"
        )


class Inherited:
    """Used from one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owned: list[Owned] = []
        # Folders whose segments are not known yet.
        self._unlisted: list[_Unread] = []
        self._unread: list[_Unread] = []
        # Folders of which something is not read yet.
        self._begun: list[Path] = []

    def take_over(self) -> None:
        """The folders of processes that are gone. Raises OSError, MemoryError; nothing is taken over then."""
        for left in take_over(self._folder):
            self._owned.append(left.owned)
            self._begun.append(left.owned.path)
            self.add(*left.segments)
            if left.error is not None:
                self._unlisted.append(_Unread(left.owned.path))
                self._unlisted[-1].failed(left.error)

    def add(self, *paths: Path, refusals: int = 0) -> None:
        """Segments that are to be read. `refusals` is of what is in them, where it stood aside."""
        self._unread += [_Unread(path, refusals) for path in paths]

    def read(self) -> list[tuple[Shelf, list[Entry]]]:
        """Those that are due, as far as they can be read; the oldest first."""
        found = []
        self._list()
        for one in [one for one in self._unread if one.is_due]:
            try:
                shelf, entries = recovered(self._folder, one.path)
            except FileNotFoundError:
                pass  # It goes with the last of it that was committed.
            except (OSError, MemoryError) as error:
                one.failed(error)
                if one.tries > 1:
                    # A disk that fails may take long for each.
                    break
                continue
            else:
                for entry in entries:
                    entry.refusals = one.refusals
                found.append((shelf, entries))
            self._unread.remove(one)
        return found

    def read_by_now(self) -> list[Path]:
        """Folders of which nothing is left to be read that others are to wait for. Each is given once."""
        waited_for = {one.path.parent for one in self._unread if one.is_waited_for}
        waited_for |= {one.path for one in self._unlisted if one.is_waited_for}
        done = [path for path in self._begun if path not in waited_for]
        self._begun = [path for path in self._begun if path in waited_for]
        return done

    def unreadable(self) -> Unreadable | None:
        failed = [one for one in (*self._unlisted, *self._unread) if one.tries]
        return Unreadable(len(failed), failed[0].why) if failed else None

    @property
    def unlisted(self) -> set[Path]:
        """The folders that cannot be listed now."""
        return {one.path for one in self._unlisted}

    def remove_empty(self) -> None:
        """Raises OSError."""
        for owned in [one for one in self._owned if one.path not in self.unlisted and _is_empty(one.path)]:
            self._owned.remove(owned)
            owned.let_go()

    def let_go(self) -> None:
        """Others may have them."""
        for owned in self._owned:
            owned.let_go()
        self._owned = []

    def _list(self) -> None:
        """The segments of folders that could not be listed."""
        for one in [one for one in self._unlisted if one.is_due]:
            try:
                self.add(*listed(one.path))
            except FileNotFoundError:
                self._unlisted.remove(one)  # Somebody took it away.
            except (OSError, MemoryError) as error:
                one.failed(error)
            else:
                self._unlisted.remove(one)


def _is_empty(folder: Path) -> bool:
    """Also where it is gone. Raises OSError."""
    try:
        return not any(folder.iterdir())
    except FileNotFoundError:
        return True


@dataclass(eq=False)
class _Unread:
    path: Path
    refusals: int = 0
    due_at: float = 0.0
    tries: int = 0
    why: str = ""
    _waited_for_until: float = 0.0

    def failed(self, error: OSError | MemoryError) -> None:
        structlog.get_logger().error("spool_unreadable", error=error, file=self.path.name)
        now = time.monotonic()
        if not self.tries:
            self._waited_for_until = now + _WAITED_FOR_S
        self.tries += 1
        self.due_at = now + _AGAIN.delay_s(self.tries)
        self.why = (isinstance(error, OSError) and error.strerror) or type(error).__name__

    @property
    def is_due(self) -> bool:
        return self.due_at <= time.monotonic()

    @property
    def is_waited_for(self) -> bool:
        return not self.tries or time.monotonic() < self._waited_for_until
