"""Signs: every so often a head of all that the chains' topic has got since the last one.

Whoever has partition 0 signs for all partitions, so there is one signer; while it changes hands there may be two for a
moment, and the first head of each number counts. What was signed is read from the log, never remembered.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams import metrics
from streams.chains.heads import SpanDigest, counting, head_hash
from streams.chains.keys import Signing
from streams.chains.links import NOTHING
from streams.chains.reading import events
from streams.chains.step import NAME, Chains, Seen
from streams.decisions import Entities
from streams.emitting import Emitting
from streams.events import SUBJECTS, ChainHead, ChainSpan, Meta, StudyChain
from streams.folding import Folding
from streams.generation import of_facts
from streams.log import LogAway, Producer, TopicPartition
from streams.service import Context
from streams.stop import Stop
from streams.wire import encode

CHAIN, HEADS = SUBJECTS[StudyChain], TopicPartition(SUBJECTS[ChainHead], 0)
# More than one signer leaves in a row while another takes over.
_TAIL = 100
# Who has this partition number signs.
SIGNER = 0
_SEND_S_MAX = 30.0


class Heads:
    """The signer of one member. Used from one thread."""

    def __init__(self, context: Context, producer: Producer, keys: Signing, every_s: float) -> None:
        self._context, self._producer, self._keys, self._every_s = context, producer, keys, every_s
        self._identity = of_facts(NAME)
        self._signed_at_s = float("-inf")

    def sign_if_due(self) -> ChainHead | None:
        """A new head where it is time and there is something new. Raises LogAway, TimeoutError, Stop."""
        now_s = self._context.clock.monotonic()
        if now_s - self._signed_at_s < self._every_s:
            return None
        self._signed_at_s = now_s
        head = self._next(self._last())
        if head is None:
            return None
        message = encode(head, self._context.ids, source=self._context.source)
        self._producer.send(message).result(timeout=_SEND_S_MAX)
        metrics.CHAIN_HEADS.inc()
        return head

    def _last(self) -> ChainHead | None:
        start, end = self._context.log.bounds([HEADS])[HEADS]
        tail = events(self._context.log, HEADS, max(start, end - _TAIL), end, ChainHead)
        heads = counting(one.event for one in tail)
        return heads[max(heads)] if heads else None

    def _next(self, last: ChainHead | None) -> ChainHead | None:
        log, site = self._context.log, self._context.site
        topic_id = log.topic_id(CHAIN)
        if last is not None and last.chain_topic_id != topic_id:
            raise Stop(f"{CHAIN} is not the topic that was signed before; find out who made it anew, and why")
        starts = {span.partition: span.end for span in last.spans} if last else {}
        names = [TopicPartition(CHAIN, number) for number in range(log.partitions(CHAIN))]
        bounds = log.bounds(names)
        spans = tuple(self._span(name, starts.get(name.partition, bounds[name][0]), bounds[name][1]) for name in names)
        if all(span.start == span.end for span in spans):
            return None
        seq, previous = (last.seq + 1, last.hash) if last else (1, NOTHING)
        now = self._context.clock.now()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # What the log keeps of it.
        said = head_hash(site.tenant, site.site, round(now.timestamp() * 1000), seq, previous, topic_id, spans)
        subject = f"head/{seq}"
        return ChainHead(
            meta=Meta(
                event_id=self._identity.event_id(site.tenant, subject, 0),
                tenant=site.tenant,
                site=site.site,
                lane="routine",
                subject=subject,
                occurred_at=now,
            ),
            provenance=self._identity.provenance_of(()),
            seq=seq,
            previous=previous,
            chain_topic_id=topic_id,
            spans=spans,
            hash=said,
            key_id=self._keys.key_id,
            public_key=self._keys.public_key,
            signature=self._keys.sign(said),
        )

    def _span(self, name: TopicPartition, start: int, end: int) -> ChainSpan:
        digest = SpanDigest()
        for one in events(self._context.log, name, start, end, StudyChain):
            digest.add(one.record.offset, one.event)
        return ChainSpan(partition=name.partition, start=start, end=end, digest=digest.value)


class Chaining(Emitting[StudyChain, Seen]):
    """Decides, and signs where this member is the one that does."""

    def __init__(
        self, context: Context, step: Chains, folding: Folding[StudyChain, Seen], producer: Producer, heads: Heads
    ) -> None:
        super().__init__(context, step, folding, producer)
        self._heads = heads

    def decide(self, states: Mapping[int, Entities[Seen]]) -> None:
        super().decide(states)
        if SIGNER not in states:
            return
        try:
            self._heads.sign_if_due()
        except (LogAway, TimeoutError) as error:
            self.hold("log", error)
