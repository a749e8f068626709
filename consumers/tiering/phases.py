"""The phases of a move (planned, copied, verified, switched, released): what each does with the bytes, how it ends.

A backup leaves no store: it ends when it is verified, with every copy that could be made. A move to another tier is
done for the whole study or not at all: where one copy is missing it is abandoned, and the source keeps everything. A
restore leaves no store either: it ends when readers are sent to the copies, and keeps those it could make if it fails.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from consumers.tiering.copies import Copies, copy_in, merged
from consumers.tiering.folding import Folding
from consumers.tiering.policy import INTO, Move, Policy, releasable
from consumers.tiering.state import Studies
from consumers.tiering.study import Study
from streams.events import InputRef, Phase, StudyRevision, TierItem, TierMoved
from streams.objects import Absent, Damaged, ObjectStore
from streams.step import Input

Work = Literal["plan", "copy", "verify", "switch", "release", "keep"]
# What comes after a phase. 'keep' stands in for 'release' under a hold.
NEXT: dict[Phase, Work] = {"planned": "copy", "copied": "verify", "verified": "switch", "switched": "release"}


@dataclass(frozen=True)
class Plan:
    """A move that the policy wants, asked about a time."""

    move: Move
    decided_for: datetime


@dataclass(frozen=True)
class Task:
    """One phase of one study. `study` is as it was when the task began; `plan` begins a move, and is None where one
    goes on. `last` and `revision` are read from the log where they are not at hand. `command` asked for a restore.
    """

    state: Studies
    entity: str
    study: Study
    work: Work
    plan: Plan | None
    last: Input[TierMoved] | None
    revision: Input[StudyRevision] | None
    unwanted: threading.Event
    command: InputRef | None = None

    @property
    def tenant(self) -> str:
        return self.entity.split("|", 1)[0]

    @property
    def study_uid(self) -> str:
        return self.entity.split("|", 1)[1]


@dataclass(frozen=True)
class Ended:
    """A phase has ended: this is to be decided."""

    phase: Phase
    items: tuple[TierItem, ...]
    last: Input[TierMoved] | None
    revision: Input[StudyRevision] | None = None


@dataclass(frozen=True)
class Left:
    """Nothing can be decided of the study as it is."""

    why: Literal["too_large", "no_manifest", "nothing_to_move"]


@dataclass(frozen=True)
class Awaited:
    """Copies were asked for and cannot be read yet: the phase is tried again later, or given up as `ended` says."""

    instances: int
    ended: Ended


class Phases:
    """Called in many threads, each with a task of its own."""

    def __init__(self, store: ObjectStore, folding: Folding, policy: Policy, threads: int) -> None:
        self._store, self._folding, self._policy = store, folding, policy
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tiering-object")

    def __call__(self, task: Task) -> Ended | Left | Awaited:
        """Raises StoreAway, LogAway, Unwanted."""
        last = task.last
        if last is None and task.study.seq > 0:
            last = self._folding.last(task.state.number, task.study)
        copies = Copies(self._store, self._pool, task.tenant, task.study_uid, task.unwanted)
        if task.plan is not None:
            return self._plan(task, task.plan.move, last, copies)
        if last is None:
            raise ValueError("a move that goes on has begun")
        if last.event.why == "recall":
            return self._restore(task, last, copies)
        phase, items = self._go_on(task, last.event, copies)
        return Ended(phase, items, last)

    def close(self) -> None:
        """What is in hand ends by itself; nothing new begins."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _plan(self, task: Task, move: Move, last: Input[TierMoved] | None, copies: Copies) -> Ended | Left:
        revision, items = None, last.event.items if last else ()
        if last is None or not task.study.is_listed:
            revision = task.revision or self._folding.revision(task.state.number, task.study)
            try:
                digests = frozenset(json.loads(self._store.read(revision.event.manifest)))
            except (Absent, Damaged):
                return Left("no_manifest")
            items = copies.found(digests, items, INTO)
        if move.why == "recall":
            if archived(items, self._store.archived):
                return Ended("planned", items, last, revision)
            # One that a backup came between is said to be over.
            return Ended("switched", items, last, revision) if task.study.restoring >= 0 else Left("nothing_to_move")
        if revision is not None and not concerned(items, move.source, move.target):
            # A revision that only took images out: all that there is has its backup, and that is to be known.
            if move.source is None and any(is_verified(item, move.target) for item in items):
                return Ended("verified", items, last, revision)
            return Left("nothing_to_move")
        return Ended("planned", items, last, revision)

    def _restore(self, task: Task, last: Input[TierMoved], copies: Copies) -> Ended | Awaited:
        """A phase of a restore: the archived copies stay, and what could be copied of it stays too."""
        target, items = last.event.target, last.event.items
        match task.work:
            case "copy":
                some, awaited = copies.asked(archived(items, self._store.archived))
                if awaited:
                    return Awaited(awaited, Ended("abandoned", items, last))
                items = merged(items, copies.copied(some, None, target))
                is_any = any(copy_in(item, target) for item in items)
                return Ended("copied" if is_any else "abandoned", items, last)
            case "verify":
                done = copies.verified([item for item in items if is_unproven(item, None, target)], target)
                items = merged(items, done)
                is_whole = all(is_verified(item, target) for item in done)
                is_there = is_whole and not archived(items, self._store.archived)
                return Ended("verified" if is_there else "abandoned", items, last)
            case "switch":
                return Ended("switched", items, last)
        raise ValueError("a restore releases nothing")

    def _go_on(self, task: Task, last: TierMoved, copies: Copies) -> tuple[Phase, tuple[TierItem, ...]]:
        source, target, items = last.source, last.target, last.items
        match task.work:
            case "copy":
                some = concerned(items, source, target)
                items = merged(items, copies.copied(some, source, target))
                return after_copy(items, {item.digest for item in some}, source, target), items
            case "verify":
                some = [item for item in items if is_unproven(item, source, target)]
                items = merged(items, copies.verified(some, target))
                return after_verify(items, source, target), items
            case "switch":
                return "switched", items
            case "release" if source is not None:
                some = [item for item in items if copy_in(item, source)]
                done = copies.released(some, source, lambda item: releasable(item, source, self._policy))
                items = merged(items, done)
                return after_release(items, source), items
        return "abandoned", merged(items, copies.there(concerned(items, source, target)))


def concerned(items: Iterable[TierItem], source: str | None, target: str) -> list[TierItem]:
    """The items that a move is about: those in its source, or for a backup those without a verified copy there."""
    if source is not None:
        return [item for item in items if copy_in(item, source)]
    return [item for item in items if item.copies and not is_verified(item, target)]


def archived(items: Iterable[TierItem], stores: Collection[str]) -> list[TierItem]:
    """The items that have copies, and none where it can be read at once. `stores` are those that are archived."""
    return [item for item in items if item.copies and all(copy.store in stores for copy in item.copies)]


def is_unproven(item: TierItem, source: str | None, target: str) -> bool:
    """Whether the copy in the target is to be read back: it never was, or the one in the source depends on it."""
    return copy_in(item, target) is not None and (
        not is_verified(item, target) or (source is not None and copy_in(item, source) is not None)
    )


def is_verified(item: TierItem, store: str) -> bool:
    copy = copy_in(item, store)
    return copy is not None and copy.verified


def after_copy(items: Iterable[TierItem], tried: set[str], source: str | None, target: str) -> Phase:
    there = [copy_in(item, target) is not None for item in items if item.digest in tried]
    return "copied" if (any(there) if source is None else all(there)) else "abandoned"


def after_verify(items: Iterable[TierItem], source: str | None, target: str) -> Phase:
    if source is None:
        return "verified" if any(is_verified(item, target) for item in items) else "abandoned"
    return "verified" if all(is_verified(item, target) for item in concerned(items, source, target)) else "abandoned"


def after_release(items: Iterable[TierItem], source: str) -> Phase:
    return "abandoned" if any(copy_in(item, source) for item in items) else "released"
