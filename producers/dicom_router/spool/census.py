"""What is on a spool, read from its folder by somebody else: whether or not a router runs. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from producers.dicom_router.spool import aside, places, progress
from producers.dicom_router.spool.reading import walk


@dataclass
class SpoolCensus:
    """Instances that were acknowledged and are not noted as committed: `waiting` has their digests (hex).

    `aside` counts those among them that could not be committed, `damaged` the parts that are no records, `unreadable`
    the segments, or folders of them, that the disk does not give back: what is in them is not in `waiting`. `bytes` are
    of the records, `disk_bytes` of all files.
    """

    waiting: set[str] = field(default_factory=set)
    aside: int = 0
    damaged: int = 0
    unreadable: int = 0
    bytes: int = 0
    disk_bytes: int = 0
    oldest: datetime | None = None


def census(folder: Path) -> SpoolCensus:
    """Reads the heads of all records. Raises OSError where the folder cannot be read, and PermissionError where
    anything in it is not this user's to read."""
    found = SpoolCensus()
    paths, unlisted = _segments(folder, found)
    found.disk_bytes = places.bytes_under(folder, unlisted)
    for path in paths:
        with _readable(found):
            _count(path, found)
    found.damaged = sum(path.suffix == aside.BYTES for path in (folder / places.ASIDE).iterdir())
    return found


def _segments(folder: Path, found: SpoolCensus) -> tuple[list[Path], set[Path]]:
    """All segments, and the folders whose own cannot be listed."""
    paths: list[Path] = []
    unlisted = {*places.owned_folders(folder), folder / places.ASIDE}
    for owned in sorted(unlisted):
        with _readable(found):
            paths += places.segments(owned)
            unlisted.remove(owned)
    return paths, unlisted


def _count(path: Path, found: SpoolCensus) -> None:
    """Raises OSError; nothing of it is counted then."""
    walked, done = walk(path), frozenset(progress.marked(path))
    for one in walked.found:
        if one.head.check not in done:
            found.waiting.add(one.head.digest.hex())
            found.bytes += one.length
            at = datetime.fromtimestamp(one.head.received_ms / 1000, UTC)
            found.oldest = min(found.oldest or at, at)
            found.aside += path.parent.name == places.ASIDE


@contextmanager
def _readable(found: SpoolCensus) -> Iterator[None]:
    """What goes meanwhile is nothing: all of it is committed. What cannot be read is counted as that."""
    try:
        yield
    except FileNotFoundError:
        pass
    except PermissionError:
        raise
    except OSError:
        found.unreadable += 1
