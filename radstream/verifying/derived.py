"""What was made of images, against what its event says."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from radstream.verifying.finding import NEXT, Finding, Kind, Report
from schemas import load_topics
from streams.events import SUBJECTS, InstanceDerived, Representation
from streams.identity import partition_key
from streams.log import Log, TopicPartition
from streams.objects import Absent, Damaged, ObjectStore
from streams.reading_large import verify
from streams.wire import Record, Undecodable, decode

DERIVED = SUBJECTS[InstanceDerived]


def check_derived(
    log: Log, store: ObjectStore, number: int, tenant: str, only: Collection[str], report: Report
) -> Iterator[int]:
    """Reads each object that an event says was made, and yields its bytes. Raises LogAway, StoreAway."""
    for record in _records(log, DERIVED, number, {partition_key(tenant, study_uid) for study_uid in only}):
        try:
            event = decode(record)
        except Undecodable:
            continue
        if isinstance(event, InstanceDerived):
            for made in event.representations:
                report.derived += 1
                try:
                    verify(store, made.object)
                    yield made.object.length
                except (Absent, Damaged) as error:
                    report.findings.append(_derived(event, made, lost=isinstance(error, Absent)))


def _derived(event: InstanceDerived, made: Representation, *, lost: bool) -> Finding:
    kind: Kind = "derived_lost" if lost else "derived_changed"
    return Finding(
        kind=kind,
        text=f"its {made.kind} {'is not there' if lost else 'has other bytes than its event says'}",
        next=NEXT[kind],
        study_uid=event.instance.study_uid,
        series_uid=event.instance.series_uid,
        sop_instance_uid=event.instance.sop_instance_uid,
        store=made.object.store,
        key=made.object.key,
        version_id=made.object.version_id,
    )


def _records(log: Log, topic: str, number: int, keys: Collection[bytes]) -> Iterator[Record]:
    partitions = [TopicPartition(name, number) for name in load_topics().physical(topic)]
    for partition, (start, end) in log.bounds(partitions).items():
        if end > start:
            yield from (record for record in log.read(partition, start, end) if not keys or record.key in keys)
