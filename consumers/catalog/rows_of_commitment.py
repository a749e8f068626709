"""What requests for storage commitment, their results and reports say. They are facts: the first record counts."""

from __future__ import annotations

from collections.abc import Iterable

from consumers.catalog.table import Row
from consumers.catalog.tables import Rows
from consumers.catalog.tables_of_commitment import COMMITMENT_REPORTS, COMMITMENT_REQUESTS, COMMITMENT_RESULTS
from streams.events import CommitmentReport, CommitmentRequest, CommitmentResult, FailedReferences, SopReferences


def add_commitment(event: CommitmentRequest | CommitmentResult | CommitmentReport, rows: Rows) -> None:
    of_event = {
        "event_id": event.meta.event_id,
        "tenant": event.meta.tenant,
        "transaction_uid": event.transaction_uid,
    }
    match event:
        case CommitmentRequest():
            rows.add(COMMITMENT_REQUESTS, {**of_event, **_request(event)})
        case CommitmentResult():
            rows.add(COMMITMENT_RESULTS, {**of_event, **_result(event)})
        case CommitmentReport():
            rows.add(COMMITMENT_REPORTS, {**of_event, **_report(event)})


def _request(event: CommitmentRequest) -> Row:
    return {
        "site": event.meta.site,
        "calling_ae": event.source.calling_ae,
        "called_ae": event.source.called_ae,
        "association": event.source.association,
        "instances": _count(event.references),
        "refs": event.references,
        "requested_at": event.meta.occurred_at,
    }


def _result(event: CommitmentResult) -> Row:
    return {
        "request_event_id": event.request_event_id,
        "copies": event.copies,
        "committed": _count(event.committed),
        "failed": _count(event.failed),
        "failures": event.failed,
        "decided_at": event.meta.occurred_at,
        "provenance": event.provenance,
    }


def _report(event: CommitmentReport) -> Row:
    return {
        "request_event_id": event.request_event_id,
        "outcome": event.outcome,
        "node": event.node,
        "status": event.status,
        "detail": event.detail,
        "said_at": event.meta.occurred_at,
    }


def _count(groups: Iterable[SopReferences | FailedReferences]) -> int:
    return sum(len(group.sop_instance_uids) for group in groups)
