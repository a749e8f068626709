"""The step: a study revision becomes an assessment; each instance of another patient is held, and each other image that
came under a SOP Instance UID of the study."""

from __future__ import annotations

from collections.abc import Iterator

import structlog
from msgspec import structs

from consumers.validate.counting import count_held
from consumers.validate.levels import Levels
from consumers.validate.study import attributes, places
from consumers.validate.study.at_site import at_site
from consumers.validate.study.contents import Compared
from consumers.validate.study.decided import NOTHING, Decided, Decisions
from consumers.validate.study.header import Header
from consumers.validate.study.looking import Look, seen
from consumers.validate.study.reading import Reading
from consumers.validate.study.rules import CONFLICT, CONTRADICTION, FINDINGS_MAX, PARTLY, PATIENT_UNKNOWN, finding
from streams import metrics
from streams.clock import Clock
from streams.events import (
    Instance,
    InstanceQuarantined,
    Provenance,
    StudyAssessed,
    StudyFinding,
    StudyRevision,
)
from streams.generation import StepIdentity, of_facts
from streams.held import CONTRADICTS, OTHER_CONTENT
from streams.log import Log, LogAway, LogRefused
from streams.objects import ObjectStore
from streams.revisions.step import subject
from streams.step import Done, Input, Outcome, RetryLater
from streams.working import QUARANTINE_ORDINAL

# Raised by hand when a change here changes what comes out.
CODE_VERSION = 4
_DETAIL = "It names another patient than the rest of its study; find out whose it is, then release or reject it."
# What is held as other content is so for ever, whichever generation found it: the first that says so counts.
_CONTENTS = of_facts("contents")
_OTHER = (
    "Another image came first under its SOP Instance UID, and is the one that is shown and sent; find out which is "
    "right, then release or reject this one."
)


class Assess:
    """From one revision to what is said of it. Safe for many threads."""

    name = "assess"

    def __init__(
        self,
        identity: StepIdentity,
        store: ObjectStore,
        log: Log,
        decisions: Decisions,
        instances_max: int,
        levels: Levels | None = None,
    ) -> None:
        self._identity = identity
        self._levels = levels or Levels()
        self._decisions = decisions
        self._reading = Reading(store, instances_max)
        self._compared = Compared(log, self._reading)

    def __call__(self, item: Input[StudyRevision], clock: Clock) -> Outcome:
        """Raises Absent where the list of instances is in no store, StoreAway."""
        try:
            look = seen(item, self._decided(item.event), self._reading, self._compared)
        except (LogAway, LogRefused) as error:
            return RetryLater(f"the log does not say what people decided, or what came first ({error})", "world")
        return self._assessed(look, clock)

    def _decided(self, event: StudyRevision) -> Decided:
        """Before the first revision nothing was held of which a person could have said whose it is."""
        meta = event.meta
        return self._decisions.until(meta.occurred_at, meta.tenant, event.study_uid) if event.revision > 1 else NOTHING

    def _assessed(self, look: Look, clock: Clock) -> Done:
        event = look.item.event
        findings = [*self._whose(look), *at_site(self._found(look), self._levels, look.series, event.meta.site)]
        meta = structs.replace(
            event.meta,
            event_id=self._identity.event_id(event.meta.tenant, subject(event.study_uid, event.revision), 0),
            occurred_at=clock.now(),
        )
        assessed = StudyAssessed(
            meta=meta,
            provenance=self._provenance(look, self._identity),
            study_uid=event.study_uid,
            revision=event.revision,
            set_digest=event.set_digest,
            instance_count=event.instance_count,
            read_count=len(look.compared),
            held_count=len(look.waiting) + len(look.contents.away),
            findings=tuple(findings[:FINDINGS_MAX]),
        )
        if look.held:
            self._count(look)
        for one in look.contents.second:
            count_held(OTHER_CONTENT, one.modality)
        strangers = (self._held(one, look, clock, self._identity, CONTRADICTS, _DETAIL) for one in look.held)
        others = (self._held(one, look, clock, _CONTENTS, OTHER_CONTENT, _OTHER) for one in look.contents.second)
        return Done.emit(*strangers, *others, assessed)

    def _whose(self, look: Look) -> Iterator[StudyFinding]:
        """What no site changes."""
        if look.waiting:
            yield finding(CONTRADICTION, look.waiting)
        if not look.knows_whose:
            unread = look.inside & look.read.unread
            named = [one for one in look.read.others if one.digest in unread]
            yield finding(PATIENT_UNKNOWN, named, count=len(unread))

    def _found(self, look: Look) -> Iterator[StudyFinding]:
        """What was not looked at comes first, as the list of findings has an end."""
        if missing := look.inside - look.compared:
            named = [one for one in look.read.others if one.digest in missing]
            yield finding(PARTLY, named, count=len(missing))
        if look.contents.about:
            yield finding(CONFLICT, look.contents.about)
        yield from attributes.check(look.rest, look.series)
        yield from places.check(look.series)

    def _count(self, look: Look) -> None:
        event, away = look.item.event, {one.digest for one in look.held}
        # What the revision before this one had was held then, and whoever was called for it came.
        before = (self._reading.listed(event, event.revision - 1) or set()) if event.revision > 1 else set()
        metrics.CONTRADICTING.inc(len(away - before - look.out))
        structlog.get_logger().warning("instances_contradict_their_patient", held=len(away), of=len(look.read.headers))

    def _provenance(self, look: Look, identity: StepIdentity) -> Provenance:
        decided = (look.decided.last,) if look.decided.last else ()
        return identity.provenance_of((look.item.ref, *decided))

    def _held(
        self, one: Header, look: Look, clock: Clock, identity: StepIdentity, code: str, detail: str
    ) -> InstanceQuarantined:
        """Named by the instance alone: each later revision says the same event again, which changes nothing, whatever a
        person has decided since."""
        event = look.item.event
        meta = structs.replace(
            event.meta,
            event_id=identity.event_id(event.meta.tenant, one.digest, QUARANTINE_ORDINAL),
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
            provenance=self._provenance(look, identity),
            instance=instance,
            object=one.ref,
            code=code,
            detail=detail,
        )
