"""What tiering knows of one study: folded out of four topics, so that any process can know the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import msgspec

from streams.events import (
    SUBJECTS,
    AccessRead,
    Event,
    HoldCommand,
    Phase,
    StudyRevision,
    TierCommand,
    TierItem,
    TierMoved,
)

# Instances that one decision can list: more do not fit into a record (streams/sizes.py).
INSTANCES_MAX = 8000
COMMANDS = SUBJECTS[TierCommand]
ENDS: frozenset[Phase] = frozenset({"released", "abandoned"})


class Held(msgspec.Struct, frozen=True, array_like=True):
    """How many instances of a study a store has a copy of, and how many of those copies were verified."""

    store: str
    copies: int
    verified: int


class Study(msgspec.Struct, array_like=True):
    """`revision_offset` and `offset` are places in imaging.study.revision and imaging.tier.moved, -1 for none.

    `covered` is the `revision_offset` that the last decision knew: a newer one has instances that it does not list.
    `failed` says that the last move ended without doing what it was to do, though nobody held it; of a restore the
    next command is the next try. `restored_at` is when the last one was there, `restoring` the offset of the command
    that one is done for, -1 for none: it goes on after a backup that came between. `let_go` are holds that were
    released: a name is never used again, so placing one once more, as who delivers twice does, is nothing.
    """

    revision: int = 0
    revision_offset: int = -1
    instances: int = 0
    received_at: datetime | None = None
    accessed_at: datetime | None = None
    holds: tuple[str, ...] = ()
    seq: int = 0
    offset: int = -1
    move: int = 0
    phase: Phase | None = None
    source: str | None = None
    target: str = ""
    serving: str = ""
    listed: int = 0
    held: tuple[Held, ...] = ()
    covered: int = -1
    failed: bool = False
    decided_at: datetime | None = None
    let_go: tuple[str, ...] = ()
    why: str = ""
    restored_at: datetime | None = None
    restoring: int = -1

    @property
    def moving(self) -> bool:
        """Whether a move is under way."""
        return self.phase is not None and not is_over(self.why, self.source, self.phase)

    @property
    def is_listed(self) -> bool:
        """Whether the last decision lists every instance of the newest revision."""
        return self.covered >= self.revision_offset

    @property
    def last_used_at(self) -> datetime | None:
        """When it was last received or read."""
        times = [time for time in (self.received_at, self.accessed_at) if time is not None]
        return max(times, default=None)

    def verified_in(self, store: str) -> int:
        return next((held.verified for held in self.held if held.store == store), 0)

    def is_in(self, store: str) -> bool:
        return any(held.store == store for held in self.held)


def know(study: Study, event: Event, offset: int) -> None:
    """Takes one record of an input, in the order of its partition. The first record of a revision's number counts."""
    match event:
        case StudyRevision() if event.revision > study.revision:
            study.revision, study.revision_offset = event.revision, offset
            study.instances, study.received_at = event.instance_count, event.last_received_at
        case AccessRead():
            study.accessed_at = max(study.accessed_at or event.last_at, event.last_at)
        case HoldCommand(hold_id=hold_id, action="placed") if hold_id not in (*study.holds, *study.let_go):
            study.holds = tuple(sorted({*study.holds, hold_id}))
        case HoldCommand(hold_id=hold_id, action="released"):
            study.holds = tuple(hold for hold in study.holds if hold != hold_id)
            study.let_go = tuple(sorted({*study.let_go, hold_id}))


def is_over(why: str, source: str | None, phase: Phase) -> bool:
    """Whether a move ends with this phase. What leaves no store ends before a release: a backup when it is verified, a
    restore when readers are sent to it."""
    return phase in ENDS or (source is None and phase == ("switched" if why == "recall" else "verified"))


def asked_by(event: TierMoved) -> int:
    """The offset of the command that a restore is done for, -1 where it names none."""
    return next((ref.offset for ref in event.provenance.inputs if ref.topic == COMMANDS), -1)


def decide(study: Study, event: TierMoved, offset: int, revision_topic_id: str) -> None:
    """Takes one decision that counts: its number follows the last one."""
    study.seq, study.offset, study.move, study.phase = event.seq, offset, event.move, event.phase
    study.why, study.source, study.target, study.serving = event.why, event.source, event.target, event.serving
    study.listed, study.held = len(event.items), held_by(event.items)
    study.covered = event.covers.get(revision_topic_id, -1)
    incomplete = not study.moving and study.verified_in(event.target) < len(event.items)
    # Under a hold, a move to another tier ends without a fault; the policy asks for none while it lasts.
    called_off = event.source is not None and bool(event.holds)
    study.failed = event.why != "recall" and (
        (event.phase == "abandoned" and not called_off) or (event.source is None and incomplete)
    )
    if event.why == "recall":
        study.restoring = -1 if not study.moving else asked_by(event)
        study.restored_at = event.meta.occurred_at if event.phase == "switched" else study.restored_at
    study.decided_at = event.meta.occurred_at


def held_by(items: Iterable[TierItem]) -> tuple[Held, ...]:
    """What each store has of the items, in the order of the stores' names."""
    copies: Counter[str] = Counter()
    verified: Counter[str] = Counter()
    for item in items:
        copies.update(copy.store for copy in item.copies)
        verified.update(copy.store for copy in item.copies if copy.verified)
    return tuple(Held(store, copies[store], verified[store]) for store in sorted(copies))
