"""Refused associations and handshakes go into the log's audit topic: who asked, from where, and why."""

from __future__ import annotations

from dataclasses import dataclass

from streams import tracing
from streams.auditing import audit_event
from streams.clock import Clock
from streams.config import Site
from streams.peers.refusals import Kind
from streams.wire import Message, SchemaIds, encode


@dataclass(frozen=True)
class RefusalAudit:
    """What `streams.peers.refusals` counted, as events."""

    site: Site
    ids: SchemaIds
    clock: Clock
    source: str

    def made(self, kind: Kind, sentence: str, count: int) -> Message:
        """One event, for so many refusals."""
        event = audit_event(
            self.site,
            self.clock,
            actor=kind.actor,
            action=kind.action,
            subject=kind.address,
            outcome="refused",
            reason=sentence,
            attributes={"address": kind.address, "why": kind.why, "count": str(count)},
        )
        return encode(event, self.ids, source=self.source, extra=tracing.new_root())
