"""Heads: what is signed. A head says of each partition which offsets were written since the head before it, and what
stands there; and it names the head before it. So a chain that is taken out of the log shows, and a head as well.

What no signature can show is that the newest heads are gone: publish them, or their printed hash, somewhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from streams.chains.links import framed, number
from streams.events import ChainHead, ChainSpan, StudyChain

_HEAD = b"radstream chain head 1"


class SpanDigest:
    """The digest of a span, taken record by record. It is for ever, like those of links."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, offset: int, event: StudyChain) -> None:
        names = (event.meta.tenant.encode(), event.study_uid.encode())
        self._digest.update(framed(number(offset), *names, number(event.seq), event.hash))

    @property
    def value(self) -> bytes:
        """32 bytes."""
        return self._digest.digest()


def head_hash(
    tenant: str, site: str, at_ms: int, seq: int, previous: bytes, chain_topic_id: str, spans: Sequence[ChainSpan]
) -> bytes:
    """The hash (32 bytes) of a head, which is what is signed. `at_ms` is Unix time."""
    said = (tenant.encode(), site.encode(), number(at_ms), number(seq), previous, chain_topic_id.encode())
    return hashlib.sha256(framed(_HEAD, *said, *(_span(span) for span in spans))).digest()


def hash_of(head: ChainHead) -> bytes:
    """What a head's hash must be."""
    meta = head.meta
    at_ms = round(meta.occurred_at.timestamp() * 1000)
    return head_hash(meta.tenant, meta.site, at_ms, head.seq, head.previous, head.chain_topic_id, head.spans)


def counting(heads: Iterable[ChainHead]) -> dict[int, ChainHead]:
    """The heads that count, by number: of each the first. Others are of a second signer, while one took over."""
    first: dict[int, ChainHead] = {}
    for head in heads:
        first.setdefault(head.seq, head)
    return first


def _span(span: ChainSpan) -> bytes:
    return framed(number(span.partition), number(span.start), number(span.end), span.digest)
