"""The step: a study revision becomes an assessment, and each instance of another patient is held."""

from __future__ import annotations

import structlog
from msgspec import structs

from consumers.validate.levels import Levels
from consumers.validate.study import attributes, places
from consumers.validate.study.at_site import at_site
from consumers.validate.study.header import Header
from consumers.validate.study.identity import strangers
from consumers.validate.study.reading import Reading, by_series
from consumers.validate.study.rules import CONTRADICTION, FINDINGS_MAX, finding
from streams import metrics
from streams.clock import Clock
from streams.events import Event, Instance, InstanceQuarantined, StudyAssessed, StudyRevision
from streams.generation import StepIdentity
from streams.held import CONTRADICTS
from streams.objects import ObjectStore
from streams.revisions.step import subject
from streams.step import Done, Input
from streams.working import QUARANTINE_ORDINAL

# Raised by hand when a change here changes what comes out.
CODE_VERSION = 1
_DETAIL = "It names another patient than the rest of its study; find out whose it is, then release or reject it."


class Assess:
    """From one revision to what is said of it. Safe for many threads."""

    name = "assess"

    def __init__(
        self, identity: StepIdentity, store: ObjectStore, instances_max: int, levels: Levels | None = None
    ) -> None:
        self._identity = identity
        self._levels = levels or Levels()
        self._reading = Reading(store, instances_max)

    def __call__(self, item: Input[StudyRevision], clock: Clock) -> Done:
        """Raises Absent where the list of instances is in no store, StoreAway."""
        event = item.event
        inside = self._reading.of(event)
        out = self._taken_out(event)
        headers = self._reading.headers(event, inside | out)
        # Of the first revision, all there is was in it.
        held = strangers(headers, self._reading.listed(event, 1) if event.revision > 1 else ())
        # An instance that is held is of another study in all but name: what else differs in it is no news.
        away = {one.digest for one in held}
        rest = [one for one in headers if one.digest in inside and one.digest not in away]
        series = by_series(rest)
        findings = [finding(CONTRADICTION, held)] if held else []
        findings += at_site(
            (*attributes.check(rest, series), *places.check(series)), self._levels, series, event.meta.site
        )
        meta = structs.replace(
            event.meta,
            event_id=self._identity.event_id(event.meta.tenant, subject(event.study_uid, event.revision), 0),
            occurred_at=clock.now(),
        )
        assessed = StudyAssessed(
            meta=meta,
            provenance=self._identity.provenance(item),
            study_uid=event.study_uid,
            revision=event.revision,
            set_digest=event.set_digest,
            instance_count=event.instance_count,
            read_count=sum(one.digest in inside for one in headers),
            held_count=len(held),
            findings=tuple(findings[:FINDINGS_MAX]),
        )
        if held:
            # What the revision before this one had was held then, and whoever was called for it came.
            before = self._reading.listed(event, event.revision - 1) if event.revision > 1 else set()
            metrics.CONTRADICTING.inc(len(away - before - out))
            structlog.get_logger().warning("instances_contradict_their_patient", held=len(held), of=len(headers))
        return Done.emit(*(self._held(one, item, clock) for one in held), assessed)

    def _taken_out(self, event: StudyRevision) -> set[str]:
        """What was in the study before: held, it still says whose the study is not, and that is to go on being said."""
        numbers = range(1, event.revision) if event.removals else ()
        return set().union(*(self._reading.listed(event, number) for number in numbers))

    def _held(self, one: Header, item: Input[StudyRevision], clock: Clock) -> Event:
        """Named by the instance alone: each later revision says the same event again, which changes nothing, whatever a
        person has decided since."""
        event = item.event
        meta = structs.replace(
            event.meta,
            event_id=self._identity.event_id(event.meta.tenant, one.digest, QUARANTINE_ORDINAL),
            subject=one.digest,
            occurred_at=clock.now(),
        )
        instance = Instance(
            study_uid=event.study_uid,
            series_uid=one.series_uid,
            sop_instance_uid=one.sop_instance_uid,
            sop_class_uid=one.sop_class_uid,
            transfer_syntax_uid=one.transfer_syntax_uid,
            digest=one.digest,
        )
        return InstanceQuarantined(
            meta=meta,
            provenance=self._identity.provenance(item),
            instance=instance,
            object=one.ref,
            code=CONTRADICTS,
            detail=_DETAIL,
        )
