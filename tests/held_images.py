"""Images that are held after they were found valid, and what people decide on them, for tests of who would use them."""

from __future__ import annotations

import uuid
from typing import Literal

from msgspec import structs

from schemas import load_topics
from streams.events import (
    SUBJECTS,
    Event,
    InstanceQuarantined,
    InstanceReceived,
    InstanceValidated,
    ProtectedNote,
    QuarantineCommand,
)
from streams.held import CONTRADICTS, DECISION
from streams.identity import event_id
from streams.log import Log
from streams.memory_log import MemoryLog
from streams.wire import SchemaIds, encode
from tests.instance_events import provenance_of


def log_of_holds() -> MemoryLog:
    """With the topics that say what came and what is held, and nothing in them."""
    log = MemoryLog()
    for kind in (InstanceReceived, InstanceQuarantined, QuarantineCommand):
        for topic in load_topics().physical(SUBJECTS[kind]):
            log.create_topic(topic, 1)
    return log


def write(log: Log, *events: Event) -> None:
    producer = log.producer()
    for event in events:
        producer.send(encode(event, SchemaIds(), source="test")).result(5)


def held(
    valid: InstanceValidated, code: str = CONTRADICTS, step: str = "assess", generation: int = 1
) -> InstanceQuarantined:
    name = event_id(valid.meta.tenant, step, valid.instance.digest, 1, generation)
    return InstanceQuarantined(
        meta=structs.replace(valid.meta, event_id=name, subject=valid.instance.digest),
        provenance=provenance_of(step, generation),
        instance=valid.instance,
        object=valid.object,
        code=code,
        detail="",
    )


def decision(
    valid: InstanceValidated, action: Literal["released", "rejected"], code: str = CONTRADICTS
) -> QuarantineCommand:
    return QuarantineCommand(
        meta=structs.replace(valid.meta, event_id=str(uuid.uuid4()), subject=valid.instance.digest),
        provenance=provenance_of(DECISION),
        instance=valid.instance,
        object=valid.object,
        technical=valid.technical,
        action=action,
        code=code,
        actor="night.shift",
        why=ProtectedNote(block_id="b", object=valid.object),
    )


def let_go(valid: InstanceValidated) -> InstanceValidated:
    """What validate says of what was released."""
    name = event_id(valid.meta.tenant, DECISION, valid.instance.digest, 0, 0)
    return structs.replace(valid, meta=structs.replace(valid.meta, event_id=name), provenance=provenance_of(DECISION))
