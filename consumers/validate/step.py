"""The step: a received instance becomes a validated one, with findings, or is quarantined.

Only what is unreadable or unidentifiable is quarantined here; everything else flows with findings. Whether an instance
contradicts its patient depends on what else is known of the study: that is for a decision step, since a pure step
depends on its subject alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from consumers.validate import releasing, rules
from consumers.validate.config import Limits
from consumers.validate.counting import count_accepted, count_held
from consumers.validate.judging import findings_of, judged, opened, too_large, unidentified
from consumers.validate.levels import Facts, Levels
from streams.clock import Clock
from streams.events import Finding, InstanceReceived, InstanceValidated, QuarantineCommand
from streams.fetching import fetched
from streams.generation import StepIdentity
from streams.mapped import File
from streams.objects import ObjectStore
from streams.one_large import OneLarge
from streams.part10 import Part10
from streams.step import Done, Input, Outcome, Quarantine, RetryLater

# Raised by hand when a change here changes what comes out.
CODE_VERSION = 5

Judged = InstanceReceived | QuarantineCommand


class Validate:
    """Implements `streams.step.Step[InstanceReceived | QuarantineCommand]`."""

    name = "validate"

    def __init__(
        self, identity: StepIdentity, store: ObjectStore, limits: Limits, levels: Levels | None = None
    ) -> None:
        self._identity = identity
        self._store = store
        self._limits = limits
        self._levels = levels or Levels()
        self._large = OneLarge()

    def __call__(self, batch: Sequence[Input[Judged]], clock: Clock) -> Sequence[Outcome]:
        return [self._outcome(item, clock) for item in batch]

    def _outcome(self, item: Input[Judged], clock: Clock) -> Outcome:
        match item:
            case Input(event=QuarantineCommand() as event) as command:
                with self._large.turn(event.object.length):
                    return releasing.released(command, self._read, self._released, clock)
            case Input(event=InstanceReceived() as event) as received:
                with self._large.turn(event.object.length):
                    outcome = self._one(received, clock)
                if isinstance(outcome, Quarantine):
                    count_held(outcome.code, event.technical.modality)
                return outcome
            case _:
                raise TypeError("only an instance that was received, or a decision on one, can be judged")

    def _released(self, file: Part10 | None, command: QuarantineCommand) -> Iterable[Finding]:
        """Of what was held, and flows: that it was, first of all; then what else is wrong, if it can be read."""
        others = () if file is None else findings_of(file, self._limits, command.meta.occurred_at)
        return self._findings((*rules.named([(releasing.RULE, None)]), *others), command)

    def _findings(self, found: Iterable[Finding], event: Judged) -> tuple[Finding, ...]:
        facts = Facts(
            calling_ae=event.source.calling_ae if event.source else None,
            sop_class=event.instance.sop_class_uid,
            modality=event.technical.modality,
            site=event.meta.site,
        )
        findings = rules.at_site(found, self._levels.of(facts))
        count_accepted(findings, event.technical.modality)
        return findings

    def _one(self, item: Input[InstanceReceived], clock: Clock) -> Outcome:
        event = item.event
        data = self._fetched(event)
        if isinstance(data, Quarantine | RetryLater):
            return data
        verdict = judged(data, self._limits, event.meta.occurred_at, event.instance)
        if verdict.held:
            return verdict.held
        meta = msgspec.structs.replace(
            event.meta,
            event_id=self._identity.event_id(event.meta.tenant, event.instance.digest, 0),
            subject=event.instance.digest,
            occurred_at=clock.now(),
        )
        validated = InstanceValidated(
            meta=meta,
            provenance=self._identity.provenance(item),
            instance=event.instance,
            object=event.object,
            technical=event.technical,
            findings=self._findings((*verdict.findings, *_of_the_preamble(event)), event),
            source=event.source,
            outside=event.outside,
            metadata_sha256=verdict.metadata_sha256,
        )
        return Done.emit(validated)

    def _fetched(self, event: Judged) -> File | Quarantine | RetryLater:
        """The stored file's bytes, or why there are none to look at."""
        return too_large(event.object.length, self._limits) or fetched(self._store, event.object)

    def _read(self, event: Judged) -> Part10 | Quarantine | RetryLater:
        """The stored file, or why there is none to look at, or none of that name: what was held before its UIDs were
        looked at may have others."""
        data = self._fetched(event)
        file = data if isinstance(data, Quarantine | RetryLater) else opened(data, self._limits)
        return (unidentified(file, event.instance) or file) if isinstance(file, Part10) else file


def _of_the_preamble(event: InstanceReceived) -> Iterable[Finding]:
    """The file as it was sent is still somewhere, and somebody may open it."""
    return rules.named([("preamble_program", None)]) if event.preamble == "program" else ()
