"""Requests for storage commitment, what came of them, and that senders know it, for tests of what reads the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import structs

from streams.events import (
    CommitmentReport,
    CommitmentRequest,
    CommitmentResult,
    Event,
    FailedReferences,
    InstanceReceived,
    SopReferences,
    Source,
)
from tests.event_streams import Hospital
from tests.instance_events import provenance_of

CT = "1.2.840.10008.5.1.4.1.1.2"
SOURCE = Source(protocol="DIMSE", calling_ae="CT1", called_ae="RADSTREAM", association="a")


def requested(hospital: Hospital, transaction_uid: str, uids: Sequence[str], sop_class: str = CT) -> CommitmentRequest:
    return CommitmentRequest(
        meta=hospital.meta("dicom_router.commitment", f"{transaction_uid}/{','.join(uids)}"),
        provenance=provenance_of("dicom_router.commitment", 0),
        transaction_uid=transaction_uid,
        source=SOURCE,
        references=(SopReferences(sop_class_uid=sop_class, sop_instance_uids=tuple(uids)),),
    )


def decided(hospital: Hospital, request: CommitmentRequest, failed: Sequence[str] = ()) -> CommitmentResult:
    """All but `failed` are committed."""
    (group,) = request.references
    committed = tuple(uid for uid in group.sop_instance_uids if uid not in failed)
    no_such = FailedReferences(reason=0x0112, sop_class_uid=group.sop_class_uid, sop_instance_uids=tuple(failed))
    return CommitmentResult(
        meta=hospital.meta("commitment", request.meta.event_id),
        provenance=provenance_of("commitment", 0),
        transaction_uid=request.transaction_uid,
        source=request.source,
        request_event_id=request.meta.event_id,
        requested_at=request.meta.occurred_at,
        copies=2,
        committed=(structs.replace(group, sop_instance_uids=committed),) if committed else (),
        failed=(no_such,) if failed else (),
    )


def reported(
    hospital: Hospital, request: CommitmentRequest, outcome: Literal["delivered", "abandoned"]
) -> CommitmentReport:
    ordinal = 1 if outcome == "delivered" else 2
    return CommitmentReport(
        meta=hospital.meta("commitment", request.meta.event_id, ordinal=ordinal),
        provenance=provenance_of("commitment", 0),
        transaction_uid=request.transaction_uid,
        source=request.source,
        request_event_id=request.meta.event_id,
        outcome=outcome,
        node="ct-1",
        status=0 if outcome == "delivered" else None,
        detail="" if outcome == "delivered" else "ct-1: nothing answers there",
    )


def committed(hospital: Hospital, images: Sequence[InstanceReceived]) -> Iterator[Event]:
    """One that all goes well with, twice; one that fails and is abandoned; one with a used Transaction UID."""
    uids = [image.instance.sop_instance_uid for image in images]
    first = requested(hospital, hospital.uid(), uids)
    yield from (first, structs.replace(first, meta=structs.replace(first.meta, occurred_at=hospital.now())))
    yield (result := decided(hospital, first))
    yield structs.replace(result, meta=structs.replace(result.meta, occurred_at=hospital.now()))
    yield reported(hospital, first, "delivered")
    never = requested(hospital, hospital.uid(), [*uids, hospital.uid()])
    yield from (never, decided(hospital, never, never.references[0].sop_instance_uids[-1:]))
    yield reported(hospital, never, "abandoned")
    yield requested(hospital, first.transaction_uid, uids[:1])
