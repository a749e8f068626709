"""The router's spool: a folder of the router's alone, on a disk that keeps what it is given and has room for it."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from producers.dicom_router.spool.census import SpoolCensus, census
from producers.dicom_router.spool.config import Settings
from producers.dicom_router.spool.left_behind import left_behind
from producers.dicom_router.spool.room import try_disk
from radstream.checks.check import Check, broken, note, well
from streams.config import Config

PART = "spool"
_MEND = (
    "See the machine's log, and mend the disk. A router that runs tries again each minute, and one that starts at "
    "once. Copy what can still be read of the folder before the disk is exchanged."
)


def check_former(config: Config) -> Iterator[Check]:
    """Whether something waits in the folder that a relative one meant before, from where this is run."""
    if left := left_behind(config):
        yield broken(PART, "former folder", left.found, left.remedy)


def check(settings: Settings) -> Iterator[Check]:
    folder = settings.folder
    if folder is None:
        yield note(
            PART,
            "folder",
            "There is none: while store or log are away, senders are told to try again.",
            "Set [router.spool] folder to one on a disk that is encrypted as the store's is.",
        )
        return
    try:
        yield _mode(folder)
        yield _disk(folder)
        found = census(folder)
        yield _room(folder, settings, found.disk_bytes)
        yield from _held(folder, found)
    except FileNotFoundError:
        yield broken(
            PART, "folder", f"{folder} is not there.", "The router makes it at its start: radstream up router."
        )
    except PermissionError:
        yield note(PART, "folder", f"{folder} is not this user's to look at.", "Run this as the router's user.")
    except OSError as error:
        yield broken(PART, "folder", f"{folder} cannot be read ({error.strerror}).", _MEND)


def _mode(folder: Path) -> Check:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        return broken(
            PART,
            "folder",
            f"{folder} has mode {mode:o}: others may read images.",
            f"chmod 700 {folder}, and find out why.",
        )
    return well(PART, "folder", f"{folder} is its owner's alone.")


def _disk(folder: Path) -> Check:
    try:
        try_disk(folder)
    except PermissionError:
        raise
    except OSError as error:
        found = f"The disk of {folder} does not keep what is written ({error.strerror})."
        return broken(PART, "disk", found, "Mend the disk, or set [router.spool] folder to another one.")
    return well(PART, "disk", "It keeps what is written (fsync).")


def _room(folder: Path, settings: Settings, used: int) -> Check:
    free = shutil.disk_usage(folder).free
    left = max(min(settings.budget_bytes - used, free - settings.free_bytes_min), 0)
    found = f"Room for {left / 1e9:.1f} GB of a budget of {settings.budget_bytes / 1e9:.1f} GB."
    if not left:
        return broken(
            PART, "room", found, "radstream status shows whether it is drained; make room, or raise budget_bytes."
        )
    if left < settings.budget_bytes - used:
        return note(PART, "room", found, "The disk has less than the budget: make room, or lower budget_bytes.")
    return well(PART, "room", found)


def _held(folder: Path, found: SpoolCensus) -> Iterator[Check]:
    if found.unreadable:
        what = f"{found.unreadable} segments in {folder} cannot be read: acknowledged images in them wait, uncounted."
        yield broken(PART, "segments", what, _MEND)
    if aside := found.aside + found.damaged:
        what = f"{aside} instances or damaged parts stand aside in {folder}/aside."
        yield broken(
            PART, "aside", what, "Read the .reason beside each, and mend it. A restart of the router tries all at once."
        )
    elif found.waiting:
        yield note(PART, "instances", f"{len(found.waiting)} instances wait to be committed.")
    elif not found.unreadable:
        yield well(PART, "instances", "Nothing waits.")
