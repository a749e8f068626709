"""The signed heads: each follows the one before it, is signed by a key of the site, and says what stands in the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from radstream.verifying.finding import NEXT, Finding, Report
from streams.chains.heads import SpanDigest, hash_of
from streams.chains.keys import Trusted
from streams.chains.links import NOTHING
from streams.chains.reading import events
from streams.chains.signing import HEADS
from streams.events import ChainHead, ChainSpan, StudyChain
from streams.log import Log


@dataclass
class Signed:
    """What heads say of one partition: its spans that hold something, in order, where the first of all that were read
    starts, and the offset after the last."""

    spans: list[ChainSpan] = field(default_factory=list)
    start: int = 0
    end: int = 0


def read_heads(log: Log, trusted: Trusted, since_ms: int | None, report: Report) -> dict[int, Signed]:
    """What was signed, by partition. Reads all heads, or those since a time (Unix, ms): there is none before the first.

    Raises LogAway, Stop, UnknownSchema.
    """
    first, end = log.bounds([HEADS])[HEADS]
    start = first if since_ms is None else log.since([HEADS], since_ms)[HEADS]
    signed: dict[int, Signed] = {}
    last: ChainHead | None = None
    for one in events(log, HEADS, start, end, ChainHead):
        head = one.event
        if last is not None and head.seq <= last.seq:
            continue  # Of a second signer, while one took over: the first of a number counts.
        report.findings.extend(_wrong(head, last, trusted, whole=start == first))
        report.heads += 1
        last = head
        for span in head.spans:
            of = signed.setdefault(span.partition, Signed(start=span.start, end=span.start))
            if span.start != of.end:
                report.findings.append(
                    _finding("head_missing", f"head {head.seq} leaves out offsets of partition {span.partition}")
                )
            of.end = span.end
            if span.end > span.start:
                of.spans.append(span)
    return signed


def _wrong(head: ChainHead, last: ChainHead | None, trusted: Trusted, *, whole: bool) -> Iterator[Finding]:
    if last is None:
        if whole and (head.seq, head.previous) != (1, NOTHING):
            yield _finding("head_missing", f"the first head in the log is number {head.seq}")
    elif head.seq != last.seq + 1:
        yield _finding("head_missing", f"after head {last.seq} comes head {head.seq}")
    elif head.previous != last.hash:
        yield _finding("head_missing", f"head {head.seq} does not follow the head {last.seq} that is in the log")
    if hash_of(head) != head.hash:
        yield _finding("bad_signature", f"head {head.seq} was changed after it was signed")
    elif not trusted.knows(head.key_id):
        yield _finding("bad_signature", f"head {head.seq} is signed with a key that is not published")
    elif not trusted.signed(head.key_id, head.signature, head.hash):
        yield _finding("bad_signature", f"head {head.seq} is not signed by the key that it names")


def _finding(kind: str, text: str) -> Finding:
    if kind == "bad_signature":
        return Finding(kind="bad_signature", text=text, next=NEXT["bad_signature"])
    return Finding(kind="head_missing", text=text, next=NEXT["head_missing"])


class SpanCheck:
    """Compares spans with the records that stand there, fed in order of offsets."""

    def __init__(self, partition: int, spans: list[ChainSpan]) -> None:
        self._partition, self._spans, self._at = partition, spans, 0
        self._digest = SpanDigest()
        self.findings: list[Finding] = []

    def feed(self, offset: int, event: StudyChain) -> None:
        while self._at < len(self._spans) and offset >= self._spans[self._at].end:
            self._close()
        if self._at < len(self._spans) and offset >= self._spans[self._at].start:
            self._digest.add(offset, event)

    def close(self) -> None:
        """After the last record."""
        while self._at < len(self._spans):
            self._close()

    def _close(self) -> None:
        span, value = self._spans[self._at], self._digest.value
        self._at, self._digest = self._at + 1, SpanDigest()
        if value != span.digest:
            where = f"offsets {span.start} to {span.end - 1} of partition {self._partition}"
            text = f"the log does not hold what was signed: {where} of imaging.study.chain"
            self.findings.append(Finding(kind="broken_link", text=text, next=NEXT["broken_link"]))
