"""Refused associations and handshakes go into the log's audit topic: who asked, from where, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from producers.dicom_router.trust.refusals import Kind
from streams import tracing
from streams.auditing import audit_event
from streams.clock import Clock
from streams.config import Site
from streams.log import Producer
from streams.wire import SchemaIds, encode

# Less than for an image: nobody waits for it, and the main loop has other things to do.
_ACKNOWLEDGED_S_MAX: Final = 5.0


@dataclass(frozen=True)
class RefusalAudit:
    """Writes what `trust.refusals` counted."""

    site: Site
    producer: Producer
    ids: SchemaIds
    clock: Clock
    source: str

    def write(self, kind: Kind, sentence: str, count: int) -> None:
        """One event, for so many refusals. Raises LogAway, LogRefused, and TimeoutError without an acknowledgement."""
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
        message = encode(event, self.ids, source=self.source, extra=tracing.new_root())
        self.producer.send(message).result(timeout=_ACKNOWLEDGED_S_MAX)
