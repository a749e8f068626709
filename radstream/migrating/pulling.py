"""One study: what the old PACS has, what is here, the request for the difference, and the wait until it is here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

import msgspec

from consumers.catalog.presence import Present
from radstream.migrating.journal import Entry, State
from radstream.migrating.listing import Difference, Listing, difference
from radstream.migrating.old_pacs import Moved
from radstream.migrating.windows import Found

# The catalog may be behind in the bulk lane. It is waited for while it grows, and for so long when it does not.
SETTLE_S_MAX: Final = 60.0
_POLL_S: Final = 0.25

Held = Callable[[str, Collection[str]], Mapping[str, Present]]


class Lists(Protocol):
    def listing(self, study_uid: str) -> Listing:
        """What the old PACS says that a study has."""


class Retrieve(Protocol):
    def __call__(self, listing: Listing, series_uids: Collection[str]) -> Moved:
        """Has a study sent to the router, or some series of it; returns when the old PACS says that it is done."""


@dataclass(frozen=True)
class Pulled:
    """`lanes` are those in which what is new came."""

    entry: Entry
    lanes: frozenset[str] = frozenset()


class Puller:
    """`held` asks the catalog: all instances of a study, and those named. Safe for several threads."""

    def __init__(self, pacs: Lists, retrieve: Retrieve, held: Held, settle_s_max: float = SETTLE_S_MAX) -> None:
        self._pacs = pacs
        self._retrieve = retrieve
        self._held = held
        self._settle_s_max = settle_s_max

    def compare(self, study: Found) -> Entry:
        """Pulls nothing."""
        listing, here = self._look(study)
        return _entry(study, listing, here, "there")

    def pull(self, study: Found, stopping: threading.Event, last: Entry | None = None) -> Pulled:
        """One try; `last` is what the one before left. Raises what the old PACS's calls raise, and Failure where the
        catalog does not answer."""
        listing, before = self._look(study)
        entry = _entry(study, listing, before, "there")
        in_doubt = last is not None and last.failed and entry.state == "there" and not _has_all(listing, before)
        if entry.state != "short" and not in_doubt:
            return Pulled(entry)
        missing = difference(listing, before)
        series = _to_retrieve(listing, missing)
        moved = self._retrieve(listing, series)
        after = self._settled(listing, missing, moved, stopping)
        entry = _entry(study, listing, after, "pulled", moves=len(series) or 1)
        if entry.state == "short" or (moved.failed and not _has_all(listing, after)):
            entry = _because(entry, moved)
        return Pulled(entry, frozenset(after[uid].lane for uid in after.keys() - before.keys()))

    def _look(self, study: Found) -> tuple[Listing, Mapping[str, Present]]:
        listing = replace(self._pacs.listing(study.uid), said=study.instances)
        return listing, self._held(study.uid, listing.instances)

    def _settled(
        self, listing: Listing, missing: Difference, moved: Moved, stopping: threading.Event
    ) -> Mapping[str, Present]:
        """What is here, once all of it is, or all that the old PACS says it sent, or nothing more has come for long."""
        wanted = missing.count
        sent = min(wanted, moved.completed + moved.warned)
        left, since_s = wanted, time.monotonic()
        while True:
            here = self._held(listing.study_uid, listing.instances)
            still = difference(listing, here).count
            if still != left:
                left, since_s = still, time.monotonic()
            if still <= wanted - sent or time.monotonic() - since_s > self._settle_s_max:
                return here
            if stopping.wait(_POLL_S):
                return here


def _to_retrieve(listing: Listing, missing: Difference) -> Collection[str]:
    """The series of which something is missing; none for the whole study."""
    some = not missing.of_study and missing.series_uids < {one.uid for one in listing.series}
    return missing.series_uids if some else ()


def _has_all(listing: Listing, here: Mapping[str, Present]) -> bool:
    """Whether as many are here as the old PACS counts of the study: what it then failed to send came before."""
    of_study = sum(one.study_uid == listing.study_uid for one in here.values())
    return listing.said is not None and of_study >= listing.said


def _entry(study: Found, listing: Listing, here: Mapping[str, Present], complete: State, moves: int = 0) -> Entry:
    found = difference(listing, here)
    listed = listing.instances
    state: State = complete if found.none_missing else "short"
    reason = "" if found.none_missing else "not pulled"
    if not listed and found.none_missing and not listing.said:
        state, reason = "failed", "the old PACS lists no instance of it"
    return Entry(
        study=study.uid,
        state=state,
        said=study.instances,
        listed=len(listed),
        here=len(listed & here.keys()),
        held=sum(here[uid].verdict == "quarantined" for uid in listed & here.keys()),
        missing=tuple(one.sop_instance_uid for one in found.missing),
        unlisted=found.without_uid,
        elsewhere=found.elsewhere,
        moves=moves,
        reason=reason,
    )


def _because(entry: Entry, moved: Moved) -> Entry:
    """Why a study is short after it was pulled."""
    if moved.failed:
        reason = f"the old PACS failed to send {moved.failed} instances (status {moved.status})"
    elif not moved.completed and not moved.warned:
        reason = f"the old PACS sent nothing, and says that this was all (status {moved.status})"
    elif entry.missing:
        reason = "the old PACS says that it sent them, and the catalog does not have them"
    else:
        reason = "the old PACS counts more instances than it lists"
    failed = max(moved.failed - len(entry.missing) - entry.unlisted, 0)
    return replaced(entry, state="short", reason=reason, failed=failed)


def replaced(entry: Entry, **changes: object) -> Entry:
    """The entry with other values in some fields."""
    return msgspec.structs.replace(entry, **changes)
