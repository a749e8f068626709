"""What the log says of the quarantine: what was held, and what people decided. The log is the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from consumers.validate.releasing import REJECTED
from radstream.errors import Failure
from schemas import load_topics
from streams.events import (
    SUBJECTS,
    Event,
    InstanceQuarantined,
    InstanceReceived,
    Provenance,
    QuarantineCommand,
)
from streams.held import CONTRADICTS, DECISION, covers
from streams.log import Log, TopicPartition
from streams.origin import first_offset
from streams.wire import Record, Undecodable, UnknownSchema, decode

State = Literal["open", "released", "rejected"]
_HEX_MIN = 8


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One quarantined instance. UIDs that cannot be names are empty; the digest always names the stored file."""

    held_at: datetime
    study_uid: str
    sop_instance_uid: str
    digest: str
    code: str
    detail: str
    step: str
    lane: str
    size: int
    event_id: str
    state: State
    decided_by: str | None
    decided_at: datetime | None


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """`unreadable` counts records that are not what their headers say."""

    held: tuple[Held, ...]
    unreadable: int


@dataclass
class Quarantine:
    """By digest: what holds an instance, since when, and what was decided on it, the first decision first."""

    events: dict[str, InstanceQuarantined] = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)
    decisions: dict[str, list[QuarantineCommand]] = field(default_factory=dict)
    unreadable: int = 0

    def last(self, digest: str) -> QuarantineCommand | None:
        return next(reversed(self.decisions.get(digest, [])), None)

    def state(self, digest: str) -> State:
        """A release is of the reason that it was given for (`streams.held.covers`)."""
        last = self.last(digest)
        if last is None or last.action == "other":
            return "open"
        if last.action == "released" and not covers(last.code, self.events[digest].code):
            return "open"
        return last.action

    def held(self, digest: str) -> Held:
        event, last = self.events[digest], self.last(digest)
        return Held(
            held_at=self.since[digest],
            study_uid=event.instance.study_uid,
            sop_instance_uid=event.instance.sop_instance_uid,
            digest=event.instance.digest,
            code=event.code,
            detail=event.detail,
            step=event.provenance.step,
            lane=event.meta.lane,
            size=event.object.size,
            event_id=event.meta.event_id,
            state=self.state(digest),
            decided_by=last.actor if last else None,
            decided_at=last.meta.occurred_at if last else None,
        )

    def named(self, name: str) -> InstanceQuarantined:
        """The one of a digest, of its beginning, or of a SOP Instance UID. Raises Failure for none, and for several."""
        found = self._under(name)
        if not found:
            raise Failure(
                f"nothing is or was held under {name}; see: radstream quarantine list --all "
                f"(of a digest, the first {_HEX_MIN} characters are enough)"
            )
        if len(found) > 1:
            raise Failure(f"{len(found)} instances are held under {name}; say which: {', '.join(sorted(found))}")
        return self.events[found[0]]

    def has(self, name: str) -> bool:
        return bool(self._under(name))

    def _under(self, name: str) -> list[str]:
        """None under an empty name: of an image without a usable UID, that is none."""
        return [
            digest
            for digest, event in self.events.items()
            if (name and name == event.instance.sop_instance_uid)
            or (len(name) >= _HEX_MIN and digest.startswith(name.lower()))
        ]

    def of_study(self, tenant: str, study_uid: str, code: str | None) -> list[InstanceQuarantined]:
        """Those of a study, also what was decided on; with `code` those that are held for that reason."""
        return [
            one
            for one in self.events.values()
            if one.meta.tenant == tenant and one.instance.study_uid == study_uid and (code is None or one.code == code)
        ]


def read(log: Log) -> Quarantine:
    """Reads both topics to their ends. Raises LogAway, LogRefused, and Failure for a record of a newer radstream."""
    found, seen = Quarantine(), set[str]()

    def unreadable() -> None:
        found.unreadable += 1

    for _, event in _events(log, InstanceQuarantined, unreadable):
        # What a person rejected was held before; their decision says the rest.
        if not isinstance(event, InstanceQuarantined) or event.provenance.step == DECISION:
            continue
        if event.meta.event_id not in seen:
            seen.add(event.meta.event_id)
            _keep(found, event)
    commands = [
        (first_offset(record), event)
        for record, event in _events(log, QuarantineCommand, unreadable)
        if isinstance(event, QuarantineCommand)
    ]
    for _, command in sorted(commands, key=lambda pair: pair[0]):
        if command.meta.event_id not in seen:
            seen.add(command.meta.event_id)
            found.decisions.setdefault(command.instance.digest, []).append(command)
    for digest, (first, *_) in found.decisions.items():
        if digest not in found.events and first.code == REJECTED:
            _keep(found, was_never_held(first, first.provenance))
    return found


def was_never_held(of: InstanceReceived | QuarantineCommand, provenance: Provenance) -> InstanceQuarantined:
    """What a person rejects, or rejected, that nothing had held: no event says so."""
    return InstanceQuarantined(
        meta=of.meta,
        provenance=provenance,
        instance=of.instance,
        object=of.object,
        code=REJECTED,
        detail="Nothing held it; a person rejected it.",
    )


def _keep(found: Quarantine, event: InstanceQuarantined) -> None:
    """The highest generation says why, and another patient before all else; the first that held it, since when."""
    digest, at = event.instance.digest, event.meta.occurred_at
    found.since[digest] = min(found.since.get(digest, at), at)
    known = found.events.get(digest)
    if known is None or _weight(event) > _weight(known):
        found.events[digest] = event


def _weight(event: InstanceQuarantined) -> tuple[bool, int]:
    return event.code == CONTRADICTS, event.provenance.generation


def quarantined(log: Log) -> Quarantined:
    """Every instance that was held, once, the oldest first. Raises as `read`."""
    found = read(log)
    held = sorted((found.held(digest) for digest in found.events), key=lambda one: one.held_at)
    return Quarantined(held=tuple(held), unreadable=found.unreadable)


def _events(log: Log, kind: type[Event], unreadable: Callable[[], None]) -> Iterator[tuple[Record, Event]]:
    topics = load_topics().physical(SUBJECTS[kind])
    partitions = [TopicPartition(topic, number) for topic in topics for number in range(log.partitions(topic))]
    for partition, (start, end) in log.bounds(partitions).items():
        for record in log.read(partition, start, end) if end > start else ():
            try:
                yield record, decode(record)
            except Undecodable:
                unreadable()
            except UnknownSchema as error:
                raise Failure(f"{error} is not known to this version of radstream; install a newer one") from None
