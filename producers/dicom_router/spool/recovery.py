"""What a segment holds that nobody in this process wrote: after a crash, or taken over, or back from aside."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from producers.dicom_router.spool import aside, places, progress
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.places import Owned
from producers.dicom_router.spool.reading import Part, Walk, walk
from producers.dicom_router.spool.shelf import Shelf


def take_over(folder: Path) -> list[tuple[Owned, list[Path]]]:
    """The folders of processes that are gone, locked, each with its segments; the oldest folder first.

    Raises OSError; none is locked then, so that all can be had by who looks next.
    """
    found: list[tuple[Owned, list[Path]]] = []
    try:
        for owned in places.free_ones(folder):
            found.append((owned, []))
            found[-1][1].extend(places.segments(owned.path))
            _remove_leftovers(owned.path)
        return sorted(found, key=lambda one: one[1][0].stat().st_mtime_ns if one[1] else 0)
    except OSError:
        for owned, _ in found:
            owned.let_go()
        raise


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
    """Notes of progress whose segment is gone."""
    for path in folder.iterdir():
        if path.suffix == places.PROGRESS and not path.with_suffix(places.SEGMENT).exists():
            path.unlink(missing_ok=True)
