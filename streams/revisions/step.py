"""Which instances a study holds, as a number that everybody can refer to.

Nobody waits for a study to be complete, since DICOM cannot promise that. A revision lists every instance of the study
that was validated so far and is not held; what depends on the study is made again for the next one. An image that is
held, or rejected, after it was in a revision makes the next one, which is without it; once released it comes back the
same way (docs/decisions/0060).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from schemas import Lane, load_topics
from streams.clock import Clock
from streams.decisions import Decided, Noted, Waiting
from streams.events import SUBJECTS, InstanceQuarantined, InstanceValidated, Meta, StudyRevision
from streams.generation import of_facts
from streams.held import HeldImages
from streams.identity import derived_key
from streams.objects import ObjectStore
from streams.step import Done, Input, NewObject, Stored

STORE = "hot"

Judged = InstanceValidated | InstanceQuarantined


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of a verdict until its study has a revision. `digest` is 32 bytes; `valid` is False of a hold."""

    tenant: str
    site: str
    study_uid: str
    digest: bytes
    lane: Lane
    at: datetime
    valid: bool


class Revisions:
    """Implements `streams.decisions.DecisionStep`. An entity is a tenant's study."""

    name = "revisions"
    reads = SUBJECTS[InstanceValidated]
    writes = SUBJECTS[StudyRevision]

    def __init__(self, store: ObjectStore, held: HeldImages, quiet_s: float) -> None:
        self.quiet_s = quiet_s
        self._store = store
        self._held = held
        self._identity = of_facts(self.name)

    def entity(self, event: Judged) -> str | None:
        study_uid = event.instance.study_uid
        return f"{event.meta.tenant}|{study_uid}" if study_uid else None

    def note(self, event: Judged) -> Seen:
        meta, instance = event.meta, event.instance
        digest = bytes.fromhex(instance.digest)
        # Interned: each event has its own copies of these, and there can be thousands of one study.
        tenant, site, study_uid = map(sys.intern, (meta.tenant, meta.site, instance.study_uid))
        return Seen(tenant, site, study_uid, digest, meta.lane, meta.occurred_at, isinstance(event, InstanceValidated))

    def decided(self, event: StudyRevision) -> Decided:
        return Decided(f"{event.meta.tenant}|{event.study_uid}", event.revision, event.covers)

    def decide(self, waiting: Waiting[Seen], last: Input[StudyRevision] | None, clock: Clock) -> Done | None:
        """The next revision: all that the last one holds and what is new, without what is held. An instance that is
        there already (a second delivery, or validated anew) is nothing new, nor is a hold of one that is not there.

        Raises LogAway, LogRefused, UnknownSchema.
        """
        before = self._listed(last)
        known = before | {noted.note.digest.hex() for noted in waiting.inputs if noted.note.valid}
        one = waiting.inputs[0].note
        inside = known - self._held.among(one.tenant, known, since_s=waiting.last_seen_s)
        if inside == before:
            return None
        number = last.event.revision + 1 if last else 1
        event_id = self._identity.event_id(one.tenant, subject(one.study_uid, number), 0)
        manifest = NewObject(one.tenant, STORE, derived_key(one.tenant, event_id), manifest_of(inside))
        return Done((manifest,), lambda stored: (self._revision(event_id, stored, waiting, last, before, clock.now()),))

    def _listed(self, last: Input[StudyRevision] | None) -> set[str]:
        return set(json.loads(self._store.read(last.event.manifest))) if last else set()

    def _revision(
        self,
        event_id: str,
        stored: tuple[Stored, ...],
        waiting: Waiting[Seen],
        last: Input[StudyRevision] | None,
        before: Collection[str],
        now: datetime,
    ) -> StudyRevision:
        """Says what the store holds: whoever made this revision's manifest first has said which instances are in it."""
        (manifest,) = stored
        digests = set(json.loads(bytes(manifest.data)))
        one, number = waiting.inputs[0].note, last.event.revision + 1 if last else 1
        held = self._held.among(one.tenant, {noted.note.digest.hex() for noted in waiting.inputs})
        new = [noted.note for noted in waiting.inputs if noted.note.valid and noted.note.digest.hex() in digests]
        times = [seen.at for seen in new] + (
            [last.event.first_received_at, last.event.last_received_at] if last else []
        )
        refs = (*waiting.newest.values(), *((last.ref,) if last else ()))
        return StudyRevision(
            meta=Meta(
                event_id=event_id,
                tenant=one.tenant,
                site=one.site,
                lane=most_urgent(noted.note.lane for noted in waiting.inputs),
                subject=subject(one.study_uid, number),
                occurred_at=now,
            ),
            provenance=self._identity.provenance_of(refs),
            study_uid=one.study_uid,
            revision=number,
            instance_count=len(digests),
            set_digest=set_digest(digests),
            manifest=manifest.ref,
            covers=covers(waiting.inputs, _settled(waiting, digests, held), last.event.covers if last else {}),
            first_received_at=min(times, default=now),
            last_received_at=max(times, default=now),
            removals=(last.event.removals if last else {}) | self._removed(one.tenant, number, set(before) - digests),
        )

    def _removed(self, tenant: str, number: int, removed: Collection[str]) -> dict[str, int]:
        """The series that this revision has taken images out of."""
        if removed:
            # Whoever made the manifest may have known of more.
            self._held.among(tenant, removed, since_s=float("inf"))
        return {self._held.series_of(tenant, digest): number for digest in removed}


def _settled(waiting: Waiting[Seen], digests: Collection[str], held: Collection[str]) -> set[str]:
    """The inputs that the revision has seen to: what is valid is in it, what is held is not."""
    said = {noted.note.digest.hex(): False for noted in waiting.inputs}
    said |= {noted.note.digest.hex(): True for noted in waiting.inputs if noted.note.valid}
    return {
        digest
        for digest, valid in said.items()
        if (digest in digests) != (digest in held) or not (valid or digest in digests)
    }


def subject(study_uid: str, revision: int) -> str:
    return f"{study_uid}/{revision}"


def manifest_of(digests: Iterable[str]) -> bytes:
    """A revision's manifest: a JSON list of the instances' digests (hex), sorted."""
    return json.dumps(sorted(digests), separators=(",", ":")).encode()


def set_digest(digests: Iterable[str]) -> str:
    """SHA-256 (hex) over the sorted digests, joined by newlines."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def most_urgent(lanes: Iterable[Lane]) -> Lane:
    return min(lanes, key=load_topics().lanes.index)


class Digested(Protocol):
    """What is kept of an instance."""

    @property
    def digest(self) -> bytes: ...


G = TypeVar("G", bound=Digested)


def covers(inputs: Sequence[Noted[G]], inside: Collection[str], before: Mapping[str, int]) -> dict[str, int]:
    """By topic id, how far a decision has seen its study: up to the first input that it does not hold."""
    reached = dict(before)
    ended: set[str] = set()
    for noted in sorted(inputs, key=lambda noted: (noted.topic_id, noted.offset)):
        if noted.note.digest.hex() not in inside:
            ended.add(noted.topic_id)
        if noted.topic_id not in ended:
            reached[noted.topic_id] = max(noted.offset, reached.get(noted.topic_id, -1))
    return reached
