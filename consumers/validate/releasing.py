"""What a person's decision on a held instance leads to: released, it flows; rejected, its study goes on without it.

The decision is a command in the log, and everything that is needed to let the instance flow stands in it. So this is as
pure as the rest of the step, and asking twice is harmless: what comes of a decision has one id for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import structs

from consumers.validate.reasons import refusal
from streams.clock import Clock
from streams.events import Finding, InstanceQuarantined, InstanceValidated, QuarantineCommand
from streams.generation import of_facts
from streams.held import DECISION
from streams.part10 import Part10, metadata_sha256
from streams.step import DeadLetter, Done, Input, Outcome, Quarantine, RetryLater
from streams.working import QUARANTINE_ORDINAL

# Of what a decision leads to: facts, of no generation, since no code decided them.
STEP = DECISION
RULE = "released_by_hand"
REJECTED = "rejected"
_REJECTED = (
    "A person decided that nothing is to come of it; its bytes are kept. Who, and why: radstream quarantine show."
)


def released(
    item: Input[QuarantineCommand],
    read: Callable[[QuarantineCommand], Part10 | Quarantine | RetryLater],
    judged: Callable[[Part10 | None, QuarantineCommand], Iterable[Finding]],
    clock: Clock,
) -> Outcome:
    """`read` gives the stored file; `judged` its findings, those of the release first, also where it cannot be read."""
    command = item.event
    if command.action == "rejected":
        return Done.emit(_rejected(item, clock))
    if command.action != "released":
        return Done()
    if why := refusal(command.instance, command.code):
        return DeadLetter(f"An instance was to be released that cannot be: {why}.")
    file = read(command)
    if isinstance(file, RetryLater):
        return file
    if isinstance(file, Quarantine) and (why := refusal(command.instance, file.code)):
        return DeadLetter(f"An instance was to be released that cannot be: {why}.")
    identity = of_facts(STEP)
    findings = tuple(judged(file if isinstance(file, Part10) else None, command))
    meta = structs.replace(
        command.meta,
        event_id=identity.event_id(command.meta.tenant, command.instance.digest, 0),
        occurred_at=clock.now(),
    )
    return Done.emit(
        InstanceValidated(
            meta=meta,
            provenance=identity.provenance(item),
            instance=command.instance,
            object=command.object,
            technical=command.technical,
            findings=findings,
            source=command.source,
            outside=command.outside,
            metadata_sha256=metadata_sha256(file) if isinstance(file, Part10) else None,
        )
    )


def _rejected(item: Input[QuarantineCommand], clock: Clock) -> InstanceQuarantined:
    """For who follows studies: it may have been in a revision. That it is rejected is said by the command alone."""
    command, identity = item.event, of_facts(STEP)
    return InstanceQuarantined(
        meta=structs.replace(
            command.meta,
            event_id=identity.event_id(command.meta.tenant, command.instance.digest, QUARANTINE_ORDINAL),
            occurred_at=clock.now(),
        ),
        provenance=identity.provenance(item),
        instance=command.instance,
        object=command.object,
        code=REJECTED,
        detail=_REJECTED,
    )
