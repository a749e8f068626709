"""The durable write: object, then event, then the acknowledgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from producers.dicom_router import header as headers
from producers.dicom_router.arrival import REFUSED, Arrival, Refusal
from producers.dicom_router.data_set import StoredFile
from producers.dicom_router.header import SERIES_BLOCK, STUDY_BLOCK, Header
from producers.dicom_router.lane_rules import NO_RULES, LaneRules
from producers.dicom_router.lanes import Lanes
from producers.dicom_router.outside_rules import NOTHING_OUTSIDE, OutsideRules
from schemas import Lane
from streams import tracing
from streams.auditing import audit_event
from streams.clock import Clock
from streams.config import Site
from streams.events import Event, Instance, InstanceReceived, Meta, ObjectRef, ProtectedRef, Source
from streams.generation import StepIdentity
from streams.identity import original_key, uid_is_usable
from streams.log import Producer
from streams.objects import Damaged, ObjectStore
from streams.protected import Level, ProtectedBlocks
from streams.step import NewObject
from streams.wire import Headers, SchemaIds, encode

STEP = "dicom_router"
STORE = "hot"
_BLOCKS: Final[tuple[tuple[Level, Mapping[int, str]], ...]] = (("study", STUDY_BLOCK), ("series", SERIES_BLOCK))


@dataclass(frozen=True)
class Receipt:
    """What is known of a request when it comes, and not from its bytes. `trace` is its trace context."""

    at: datetime
    lane: Lane
    trace: Headers


class Request(Protocol):
    """What a commit takes of a request beside its bytes."""

    @property
    def transfer_syntax_uid(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    @property
    def calling_ae(self) -> str: ...
    @property
    def called_ae(self) -> str: ...
    @property
    def association(self) -> str: ...
    @property
    def preamble(self) -> str: ...


@dataclass(frozen=True)
class Archive:
    """Where arrivals are kept. Used from the threads of all associations at once."""

    site: Site
    store: ObjectStore
    producer: Producer
    ids: SchemaIds
    blocks: ProtectedBlocks
    clock: Clock
    identity: StepIdentity
    lanes: Lanes
    source: str
    commit_timeout_s: float
    lane_rules: LaneRules = NO_RULES
    outside_rules: OutsideRules = NOTHING_OUTSIDE

    def receipt(self, arrival: Arrival) -> Receipt:
        """Of a request that comes now."""
        return Receipt(self.clock.now(), self._lane(arrival), tracing.new_root())

    def keep(self, request: Request, header: Header, file: StoredFile, receipt: Receipt) -> None:
        """Durable when it returns: the object in the store, its event acknowledged.

        Finding the object there is no proof of its event, so the event is published again, with the same id. Raises
        StoreAway, StoreRefused, LogAway, LogRefused, TimeoutError, and Damaged where the store holds other bytes under
        the key.
        """
        instance = _instance(request, header, file.sha256)
        blocks = self._protected(header)
        ref = self._put(instance, file.data)
        self._publish(self._received(request, header, instance, ref, blocks, receipt), receipt.trace)

    def refuse(self, arrival: Arrival, refusal: Refusal) -> None:
        """Writes the audit event of a refusal, so that every request is accounted for. Raises as `keep` does."""
        named = {
            "sop_class": arrival.sop_class_uid or arrival.abstract_syntax,
            "sop_instance": arrival.sop_instance_uid,
        }
        self._publish(
            audit_event(
                self.site,
                self.clock,
                actor=arrival.calling_ae,
                action=REFUSED[arrival.protocol],
                subject=arrival.association,
                outcome="refused",
                reason=refusal.reason,
                attributes={
                    "status": f"0x{refusal.status:04X}",
                    "association": arrival.association,
                    **{name: uid for name, uid in named.items() if uid_is_usable(uid)},
                },
                lane=self._lane(arrival),
            ),
            tracing.new_root(),
        )

    def _protected(self, header: Header) -> tuple[ProtectedRef, ...]:
        blocks = ((level, header.protected(block)) for level, block in _BLOCKS)
        return tuple(self.blocks.put(level, attributes) for level, attributes in blocks if attributes)

    def _put(self, instance: Instance, data: bytes | memoryview) -> ObjectRef:
        tenant = self.site.tenant
        key = original_key(tenant, instance.study_uid, instance.series_uid, instance.sop_instance_uid, instance.digest)
        ref = self.store.create(NewObject(tenant, STORE, key, data, instance.digest)).ref
        if ref.sha256 != instance.digest:
            raise Damaged(key)
        return ref

    def _publish(self, event: Event, trace: Headers) -> None:
        message = encode(event, self.ids, source=self.source, extra=trace)
        self.producer.send(message).result(timeout=self.commit_timeout_s)

    def _lane(self, arrival: Arrival) -> Lane:
        return self.lane_rules.of(arrival) or self.lanes.of(arrival.calling_ae)

    def _received(
        self,
        request: Request,
        header: Header,
        instance: Instance,
        ref: ObjectRef,
        blocks: tuple[ProtectedRef, ...],
        receipt: Receipt,
    ) -> InstanceReceived:
        return InstanceReceived(
            meta=Meta(
                event_id=self.identity.event_id(self.site.tenant, instance.digest, 0),
                tenant=self.site.tenant,
                site=self.site.site,
                lane=receipt.lane,
                subject=instance.digest,
                occurred_at=receipt.at,
            ),
            provenance=replace(self.identity, config_digest=self._digest()).provenance(),
            instance=instance,
            object=ref,
            technical=header.technical(),
            protected=blocks,
            source=Source(
                protocol=request.protocol,
                calling_ae=request.calling_ae,
                called_ae=request.called_ae,
                association=request.association,
            ),
            outside=self.outside_rules.of(request.calling_ae, request.called_ae),
            preamble=request.preamble or None,
        )

    def _digest(self) -> str:
        return self.outside_rules.digest(self.lane_rules.digest(self.lanes.digest))


def file_of(arrival: Arrival, header: Header) -> StoredFile:
    """The file to store. SOP class and instance for group 0002: the data set's, else the command's, else empty."""
    asked = ((headers.SOP_CLASS, arrival.sop_class_uid), (headers.SOP_INSTANCE, arrival.sop_instance_uid))
    sop_class, sop_instance = (header.uid(tag) or (uid if uid_is_usable(uid) else "") for tag, uid in asked)
    return arrival.content.stored_file(sop_class, sop_instance)


def _instance(request: Request, header: Header, digest: str) -> Instance:
    return Instance(
        study_uid=header.uid(headers.STUDY),
        series_uid=header.uid(headers.SERIES),
        sop_instance_uid=header.uid(headers.SOP_INSTANCE),
        sop_class_uid=header.uid(headers.SOP_CLASS),
        transfer_syntax_uid=request.transfer_syntax_uid,
        digest=digest,
    )
