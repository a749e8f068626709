"""The chain of a study grows when the study was quiet: one record binds all that is new to what was there.

The order is that in which instances were read; once it is written, it is a fact. One record for each image would cost
ten times the bytes and say no more (docs/decisions/0050).
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas import Lane
from streams.chains.links import NOTHING, last_hash
from streams.clock import Clock
from streams.decisions import Decided, Waiting
from streams.events import SUBJECTS, ChainLink, InputRef, InstanceValidated, Meta, StudyChain
from streams.generation import of_facts
from streams.revisions.step import covers, most_urgent
from streams.step import Done, Input

NAME = "chains"
# Of one record: 200 bytes each at most, and its topic takes 4 MiB. What is left over comes with the next one at once.
LINKS_MAX = 8000
# Studies of which it is known in memory what is linked already. 32 bytes an instance, and some more.
REMEMBERED_MAX = 200

Before = Callable[[InputRef], Input[StudyChain]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of an instance until it is linked. `digest` and `metadata` are 32 bytes."""

    tenant: str
    site: str
    study_uid: str
    series_uid: str
    sop_instance_uid: str
    digest: bytes
    metadata: bytes | None
    lane: Lane


class Chains:
    """Implements `streams.decisions.DecisionStep`. An entity is a tenant's study; `before` reads an older decision."""

    name = NAME
    reads = SUBJECTS[InstanceValidated]
    writes = SUBJECTS[StudyChain]

    def __init__(self, before: Before, quiet_s: float) -> None:
        self.quiet_s = quiet_s
        self._before = before
        self._identity = of_facts(NAME)
        self._linked: OrderedDict[str, tuple[int, set[bytes]]] = OrderedDict()

    def entity(self, event: InstanceValidated) -> str | None:
        study_uid = event.instance.study_uid
        return f"{event.meta.tenant}|{study_uid}" if study_uid else None

    def note(self, event: InstanceValidated) -> Seen:
        meta, instance, metadata = event.meta, event.instance, event.metadata_sha256
        tenant, site, study_uid = map(sys.intern, (meta.tenant, meta.site, instance.study_uid))
        return Seen(
            tenant=tenant,
            site=site,
            study_uid=study_uid,
            series_uid=sys.intern(instance.series_uid),
            sop_instance_uid=instance.sop_instance_uid,
            digest=bytes.fromhex(instance.digest),
            metadata=None if metadata is None else bytes.fromhex(metadata),
            lane=meta.lane,
        )

    def decided(self, event: StudyChain) -> Decided:
        return Decided(f"{event.meta.tenant}|{event.study_uid}", event.seq, event.covers)

    def decide(self, waiting: Waiting[Seen], last: Input[StudyChain] | None, clock: Clock) -> Done | None:
        """Links what is new. What is linked already (a second delivery, or validated anew) is nothing new."""
        linked = self._linked_by(last)
        new: dict[bytes, Seen] = {}
        for noted in waiting.inputs:
            if noted.note.digest not in linked and len(new) < LINKS_MAX:
                new.setdefault(noted.note.digest, noted.note)
        if not new:
            return None
        return Done.emit(self._chain(waiting, list(new.values()), linked, last, clock))

    def _chain(
        self,
        waiting: Waiting[Seen],
        new: Sequence[Seen],
        linked: set[bytes],
        last: Input[StudyChain] | None,
        clock: Clock,
    ) -> StudyChain:
        one, before = new[0], last.event if last else None
        seq = before.seq + 1 if before else 1
        first = before.first + len(before.links) if before else 1
        previous = before.hash if before else NOTHING
        series = {uid: place for place, uid in enumerate(dict.fromkeys(seen.series_uid for seen in new))}
        links = tuple(_link(seen, series[seen.series_uid]) for seen in new)
        subject = f"{one.study_uid}/{seq}"
        return StudyChain(
            meta=Meta(
                event_id=self._identity.event_id(one.tenant, subject, 0),
                tenant=one.tenant,
                site=one.site,
                lane=most_urgent(seen.lane for seen in new),
                subject=subject,
                occurred_at=clock.now(),
            ),
            # The last one by name: the way back to what is linked (`_linked_by`).
            provenance=self._identity.provenance_of((*((last.ref,) if last else ()), *waiting.newest.values())),
            study_uid=one.study_uid,
            seq=seq,
            first=first,
            previous=previous,
            series=tuple(series),
            links=links,
            hash=last_hash(previous, one.tenant, one.study_uid, first, tuple(series), links),
            covers=covers(waiting.inputs, _texts(linked, new), before.covers if before else {}),
        )

    def _linked_by(self, last: Input[StudyChain] | None) -> set[bytes]:
        """Digests that the chain holds, up to its last decision."""
        if last is None:
            return set()
        entity = self.decided(last.event).entity
        seq, linked = self._linked.pop(entity, (0, set()))
        one = last
        while one.event.seq > seq:
            linked.update(link.digest for link in one.event.links)
            if one.event.seq == 1:
                break
            one = self._before(before_of(one.event))
        self._linked[entity] = last.event.seq, linked
        while len(self._linked) > REMEMBERED_MAX:
            self._linked.popitem(last=False)
        return linked


def before_of(event: StudyChain) -> InputRef:
    """The decision before it: the first of its inputs. Raises IndexError where it names none."""
    return event.provenance.inputs[0]


def _link(seen: Seen, series: int) -> ChainLink:
    return ChainLink(series=series, sop_instance_uid=seen.sop_instance_uid, digest=seen.digest, metadata=seen.metadata)


def _texts(linked: set[bytes], new: Sequence[Seen]) -> set[str]:
    return {digest.hex() for digest in (*linked, *(seen.digest for seen in new))}
