"""Requests for storage commitment as events: in the log before they are answered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from producers.dicom_router.commitment.references import Asked
from streams import tracing
from streams.auditing import audit_event
from streams.clock import Clock
from streams.config import Site
from streams.events import CommitmentRequest, Event, Source
from streams.generation import meta_of_fact, of_facts
from streams.log import Producer
from streams.wire import SchemaIds, encode

STEP: Final = "dicom_router.commitment"


@dataclass(frozen=True)
class Requests:
    """Used from the threads of all associations at once. Raises what the log does: LogAway, LogRefused, TimeoutError.

    A request is named by who asks, its Transaction UID and its references: asked again, it is the same event. The same
    Transaction UID for others is another one, and `consumers/commitment` says what becomes of it.
    """

    site: Site
    producer: Producer
    ids: SchemaIds
    clock: Clock
    source: str
    commit_timeout_s: float

    def keep(self, asked: Asked, source: Source) -> None:
        """In the log when it returns."""
        subject = _digest(asked, source.calling_ae)
        self._publish(
            CommitmentRequest(
                meta=meta_of_fact(self.site, self.clock, STEP, subject),
                provenance=of_facts(STEP).provenance(),
                transaction_uid=asked.transaction_uid,
                source=source,
                references=asked.references,
            )
        )

    def refuse(self, source: Source, status: int, reason: str) -> None:
        """Writes the audit event of a refusal. `reason` is a sentence of ours."""
        self._publish(
            audit_event(
                self.site,
                self.clock,
                actor=source.calling_ae,
                action="n-action.refused",
                subject=source.association,
                outcome="refused",
                reason=reason,
                attributes={"status": f"0x{status:04X}", "association": source.association},
            )
        )

    def _publish(self, event: Event) -> None:
        message = encode(event, self.ids, source=self.source, extra=tracing.new_root())
        self.producer.send(message).result(timeout=self.commit_timeout_s)


def source_of(calling_ae: str, called_ae: str, association: str) -> Source:
    return Source(protocol="DIMSE", calling_ae=calling_ae, called_ae=called_ae, association=association)


def _digest(asked: Asked, calling_ae: str) -> str:
    """SHA-256 (hex) of a request; the order of its references does not matter."""
    named = sorted((one.sop_class_uid, sorted(one.sop_instance_uids)) for one in asked.references)
    return hashlib.sha256(msgspec.json.encode((calling_ae, asked.transaction_uid, named))).hexdigest()
