"""What is on a spool, read from its folder by somebody else: whether or not a router runs. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from producers.dicom_router.spool import aside, places, progress
from producers.dicom_router.spool.reading import Found, walk


@dataclass
class SpoolCensus:
    """Instances that were acknowledged and are not noted as committed: `waiting` has their digests (hex).

    `aside` counts those among them that could not be committed, `damaged` the parts that are no records. `bytes` are
    of the records, `disk_bytes` of all files.
    """

    waiting: set[str] = field(default_factory=set)
    aside: int = 0
    damaged: int = 0
    bytes: int = 0
    disk_bytes: int = 0
    oldest: datetime | None = None


def census(folder: Path) -> SpoolCensus:
    """Reads the heads of all records. Raises OSError where the folder cannot be read."""
    found = SpoolCensus(disk_bytes=places.bytes_under(folder))
    for path in _segments(folder):
        for one in _waiting(path):
            found.waiting.add(one.head.digest.hex())
            found.bytes += one.length
            at = datetime.fromtimestamp(one.head.received_ms / 1000, UTC)
            found.oldest = min(found.oldest or at, at)
            found.aside += path.parent.name == places.ASIDE
    found.damaged = sum(path.suffix == aside.BYTES for path in (folder / places.ASIDE).iterdir())
    return found


def _segments(folder: Path) -> Iterator[Path]:
    for owned in (*places.owned_folders(folder), folder / places.ASIDE):
        try:
            yield from places.segments(owned)
        except FileNotFoundError:
            continue


def _waiting(path: Path) -> list[Found]:
    """Nothing of a segment that goes meanwhile: all of it is committed."""
    try:
        walked, done = walk(path), frozenset(progress.marked(path))
    except FileNotFoundError:
        return []
    return [one for one in walked.found if one.head.check not in done]
