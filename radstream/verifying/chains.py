"""The chains of one partition, as the log has them: whether each record follows the one before it, and is signed."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from radstream.verifying.finding import NEXT, Finding, Report
from radstream.verifying.heads import Signed, SpanCheck
from streams.chains.links import NOTHING, last_hash
from streams.chains.reading import event_of, events
from streams.chains.signing import CHAIN
from streams.events import StudyChain
from streams.identity import partition_key
from streams.log import Log, TopicPartition
from streams.step import Input


@dataclass
class Study:
    """The last record that counts: its number, links and hash, what it covers, and when it was written."""

    seq: int = 0
    links: int = 0
    hash: bytes = NOTHING
    covers: dict[str, int] = field(default_factory=dict)
    at: datetime | None = None


@dataclass
class Chains:
    """`studies` by tenant and study; `offsets` are those of the records that count, `first_ms` when the first was
    written (Unix time)."""

    number: int
    studies: dict[str, Study] = field(default_factory=dict)
    offsets: array[int] = field(default_factory=lambda: array("q"))
    times: array[int] = field(default_factory=lambda: array("q"))
    end: int = 0


def read_chains(
    log: Log, number: int, tenant: str, only: Collection[str], report: Report, spans: SpanCheck | None = None
) -> Chains:
    """Reads a partition of the chains' topic from its beginning. `only` are study UIDs, none for all.

    Where all are read, `spans` is fed on the way. Raises LogAway, Stop, UnknownSchema.
    """
    partition = TopicPartition(CHAIN, number)
    start, end = log.bounds([partition])[partition]
    chains = Chains(number, end=end)
    keys = {partition_key(tenant, study_uid) for study_uid in only}
    for one in _records(log, partition, start, end, keys):
        if spans is not None:
            spans.feed(one.record.offset, one.event)
        study = chains.studies.setdefault(_entity(one.event), Study())
        if one.event.seq <= study.seq:
            continue  # The first of a number counts.
        report.findings.extend(_wrong(study, one.event))
        _take(study, one.event)
        chains.offsets.append(one.record.offset)
        chains.times.append(one.record.timestamp_ms)
    return chains


def check_signed(log: Log, chains: Chains, signed: Signed, oldest_ms: int, report: Report, *, spans: bool) -> None:
    """Whether each record is under a head; those since `oldest_ms` (Unix time) may still wait for one.

    With `spans`, what was signed with them is read again.
    """
    for offset, at_ms in zip(chains.offsets, chains.times, strict=True):
        if not signed.start <= offset < signed.end:
            if offset >= signed.end and at_ms >= oldest_ms:
                report.waiting += 1
                continue
            text = f"offset {offset} of partition {chains.number} of imaging.study.chain is under no signed head"
            report.findings.append(Finding(kind="head_missing", text=text, next=NEXT["head_missing"]))
    if spans:
        wanted = set(chains.offsets)
        for span in signed.spans:
            if not wanted.isdisjoint(range(span.start, span.end)):
                check = SpanCheck(chains.number, [span])
                for one in events(log, TopicPartition(CHAIN, chains.number), span.start, span.end, StudyChain):
                    check.feed(one.record.offset, one.event)
                check.close()
                report.findings.extend(check.findings)


def again(log: Log, chains: Chains, wanted: Collection[str] | None) -> Iterator[Input[StudyChain]]:
    """The records that count once more, in order; of `wanted` entities only, where given."""
    if not chains.offsets:
        return
    offsets = set(chains.offsets)
    partition = TopicPartition(CHAIN, chains.number)
    for one in events(log, partition, chains.offsets[0], chains.offsets[-1] + 1, StudyChain):
        if one.record.offset in offsets and (wanted is None or _entity(one.event) in wanted):
            yield one


def _records(
    log: Log, partition: TopicPartition, start: int, end: int, keys: Collection[bytes]
) -> Iterator[Input[StudyChain]]:
    if end > start:
        for record in log.read(partition, start, end):
            if not keys or record.key in keys:
                yield Input(event_of(record, StudyChain), record)


def _entity(event: StudyChain) -> str:
    return f"{event.meta.tenant}|{event.study_uid}"


def _take(study: Study, event: StudyChain) -> None:
    study.seq, study.links = event.seq, event.first + len(event.links) - 1
    study.hash, study.covers, study.at = event.hash, event.covers, event.meta.occurred_at


def _wrong(study: Study, event: StudyChain) -> Iterator[Finding]:
    if event.seq != study.seq + 1 or event.first != study.links + 1 or event.previous != study.hash:
        yield _broken(event, f"record {event.seq} of its chain does not follow record {study.seq}")
    try:
        said = last_hash(event.previous, event.meta.tenant, event.study_uid, event.first, event.series, event.links)
    except IndexError:
        said = b""
    if said != event.hash:
        yield _broken(event, f"record {event.seq} of its chain was changed after it was written")


def _broken(event: StudyChain, text: str) -> Finding:
    return Finding(kind="broken_link", text=text, next=NEXT["broken_link"], study_uid=event.study_uid)
