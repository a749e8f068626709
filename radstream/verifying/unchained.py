"""Images that were validated and are in no chain; and what was made of images, against what its event says."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

from radstream.verifying.chains import Chains, again
from radstream.verifying.finding import NEXT, Finding, Kind, Report
from schemas import load_topics
from streams.events import SUBJECTS, InstanceDerived, InstanceValidated, Representation
from streams.identity import partition_key
from streams.log import Log, TopicPartition
from streams.objects import Absent, Damaged, ObjectStore
from streams.wire import Record, Undecodable, decode

VALIDATED, DERIVED = SUBJECTS[InstanceValidated], SUBJECTS[InstanceDerived]


def check_chained(log: Log, chains: Chains, tenant: str, only: Collection[str], oldest_ms: int, report: Report) -> None:
    """A chain says how far it has seen its study, by topic. What came later, and is not linked under that digest by an
    earlier verdict, waits while it is young. Memory: about 1 kB for each such image.

    Raises LogAway, Stop, UnknownSchema.
    """
    later: dict[bytes, tuple[int, InstanceValidated]] = {}
    for record in _records(log, VALIDATED, chains.number, {partition_key(tenant, study_uid) for study_uid in only}):
        study = chains.studies.get((record.key or b"").decode("utf-8", "replace"))
        if study is not None and study.covers.get(record.topic_id, -1) >= record.offset:
            continue
        with suppress(Undecodable):
            event = decode(record)
            if isinstance(event, InstanceValidated) and event.instance.study_uid:
                later.setdefault(bytes.fromhex(event.instance.digest), (record.timestamp_ms, event))
    if later:
        for one in again(log, chains, None):
            for link in one.event.links:
                later.pop(link.digest, None)
    for at_ms, event in later.values():
        if at_ms >= oldest_ms:
            report.waiting += 1
        else:
            report.findings.append(_unchained(event))


def _unchained(event: InstanceValidated) -> Finding:
    return Finding(
        kind="unchained",
        text="it was validated, and is in no chain",
        next=NEXT["unchained"],
        study_uid=event.instance.study_uid,
        series_uid=event.instance.series_uid,
        sop_instance_uid=event.instance.sop_instance_uid,
        key=event.object.key,
    )


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
                    yield len(store.read(made.object))
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
