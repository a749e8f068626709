"""What was announced of instances before they were held: from whom they came, of what kind, whether from outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from streams.events import InstanceQuarantined, InstanceReceived, InstanceValidated, StudyRevision
from streams.identity import partition_key
from streams.log import Log, OffsetOutOfRange, TopicPartition
from streams.receipts import receipts_of
from streams.step import Input
from streams.wire import Undecodable, UnknownSchema, decode

Origin = InstanceReceived | InstanceValidated


def origin_of(log: Log, event: InstanceQuarantined) -> Origin | None:
    """What was announced of the instance before it was held; None where the log has that no more."""
    return origins_of(log, [event]).get(event.instance.digest)


def announced(
    log: Log, tenant: str, study_uid: str, digests: set[str], since: datetime
) -> dict[str, Input[InstanceReceived]]:
    """How instances of a study came, the first of them at about `since`; without those of which the log has that no
    more."""
    return receipts_of(log, partition_key(tenant, study_uid), digests, since)


def origins_of(log: Log, events: Iterable[InstanceQuarantined]) -> Mapping[str, Origin]:
    """As `origin_of`, by digest. What was held beside its study is looked for once for all of a study."""
    found: dict[str, Origin] = {}
    beside: dict[bytes, list[tuple[InstanceQuarantined, StudyRevision]]] = defaultdict(list)
    for event in events:
        match _input_of(log, event):
            case StudyRevision() as revision:
                beside[partition_key(event.meta.tenant, event.instance.study_uid)].append((event, revision))
            case InstanceReceived() | InstanceValidated() as origin:
                found[event.instance.digest] = origin
    for key, held in beside.items():
        since = min(revision.first_received_at for _, revision in held)
        came = receipts_of(log, key, {event.instance.digest for event, _ in held}, since)
        found |= {digest: item.event for digest, item in came.items()}
    return found


def _input_of(log: Log, event: InstanceQuarantined) -> Origin | StudyRevision | None:
    """What the step that held it has read."""
    for ref in event.provenance.inputs:
        try:
            for record in log.read(TopicPartition(ref.topic, ref.partition), ref.offset, ref.offset + 1):
                found = decode(record)
                if isinstance(found, InstanceReceived | InstanceValidated) and found.instance == event.instance:
                    return found
                if isinstance(found, StudyRevision):
                    return found
        except (OffsetOutOfRange, Undecodable, UnknownSchema):
            continue
    return None
