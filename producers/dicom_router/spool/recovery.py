"""What a segment holds that nobody in this process wrote: after a crash, or taken over, or back from aside."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from producers.dicom_router.spool import aside, places, progress
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.places import Owned
from producers.dicom_router.spool.reading import Part, Walk, walk
from producers.dicom_router.spool.shelf import Shelf


@dataclass(frozen=True)
class Left:
    """A folder of a process that is gone, locked, and its segments; or why they cannot be listed now."""

    owned: Owned
    segments: list[Path]
    error: OSError | MemoryError | None = None


def take_over(folder: Path) -> list[Left]:
    """All that is left, the oldest folder first. Raises OSError; nothing is locked then."""
    found: list[Left] = []
    try:
        for owned in places.free_ones(folder):
            found.append(_left(owned))
    except (OSError, MemoryError):
        for left in found:
            left.owned.let_go()
        raise
    return sorted(found, key=_written_ns)


def listed(folder: Path) -> list[Path]:
    """The segments that a process left in its folder, without what nobody needs. Raises OSError, MemoryError."""
    segments = places.segments(folder)
    _remove_leftovers(folder)
    return segments


def _left(owned: Owned) -> Left:
    try:
        return Left(owned, listed(owned.path))
    except (OSError, MemoryError) as error:
        return Left(owned, [], error)


def _written_ns(left: Left) -> int:
    with suppress(OSError):
        return left.segments[0].stat().st_mtime_ns if left.segments else 0
    return 0


def recovered(folder: Path, path: Path) -> tuple[Shelf, list[Entry]]:
    """A segment and what of it is to be committed yet. Damage is set aside, a torn end is cut off. Raises OSError."""
    walked, done = walk(path), frozenset(progress.marked(path))
    structlog.get_logger().info(
        "spool_recovered",
        segment=f"{path.parent.name}/{path.name}",
        records=len(walked.found),
        damaged=len(walked.damaged),
        torn_at=walked.torn,
    )
    found = [one for one in walked.found if one.head.check not in done]
    kept = [part for part in _damaged(walked, done) if not _set_aside(folder, path, part)]
    if walked.torn is not None:
        os.truncate(path, walked.torn)
    # Damage that cannot be set aside now keeps its segment, until the next start.
    shelf = Shelf(path, waiting=len(found) + len(kept), sealed=True)
    return shelf, [Entry(shelf, one) for one in found]


def sync(shelves: Collection[Shelf]) -> None:
    """Asks the disk to keep them and says where it does not: who was killed may have left in the page cache alone what
    nobody was told of. A start waits for it, so nothing is asked twice: whatever is whole was kept before its name.
    """
    folders = {folder: _synced(folder) for folder in {shelf.path.parent for shelf in shelves}}
    for shelf in shelves:
        is_kept = places.is_whole(shelf.path) or _synced(shelf.path)
        shelf.is_durable = is_kept and folders[shelf.path.parent]


def _synced(path: Path) -> bool:
    try:
        places.sync(path)
    except OSError as error:
        structlog.get_logger().error("spool_not_synced", error=error, file=path.name)
        return False
    return True


def _damaged(walked: Walk, done: frozenset[bytes]) -> list[Part]:
    return [part for part in walked.damaged if progress.check_of(part) not in done]


def _set_aside(folder: Path, path: Path, part: Part) -> bool:
    try:
        aside.set_bytes_aside(folder, path, part)
    except OSError as error:
        structlog.get_logger().error("spool_not_set_aside", error=error, file=path.name)
        return False
    return True


def _remove_leftovers(folder: Path) -> None:
    """Notes of progress whose segment is gone, and large objects that nobody was told of."""
    for path in folder.iterdir():
        noted = path.suffix == places.PROGRESS and not path.with_suffix(places.SEGMENT).exists()
        if noted or path.suffix == places.UNFINISHED:
            with suppress(OSError):
                path.unlink(missing_ok=True)
