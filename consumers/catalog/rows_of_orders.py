"""What orders say of what is to be done, and modalities of what they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import msgspec

from consumers.catalog.attributes import Described, Reader
from consumers.catalog.table import Row
from consumers.catalog.tables import Rows
from consumers.catalog.tables_of_orders import MPPS_EVENTS, MPPS_SCHEDULED, ORDER_COMMANDS, SCHEDULED_STEPS
from consumers.catalog.text import clean
from streams.events import MppsEvent, OrderCommand, OrderStep

_ABOUT = "About"
# Of the DICOM JSON model (PS3.18 annex F): Scheduled Step Attributes Sequence and what is in its items.
_SCHEDULED = "00400270"
_ITEM = {"accession_number": "00080050", "procedure_id": "00401001", "step_id": "00400009"}
_STUDY = "0020000D"


def add_ordering(event: OrderCommand | MppsEvent, offset: int, reader: Reader, rows: Rows) -> None:
    """Of several records of one event the first counts. Raises as `Reader.read`."""
    if isinstance(event, OrderCommand):
        _add_order(event, offset, reader, rows)
    else:
        _add_mpps(event, offset, reader.read(event.block), rows)


def _add_order(event: OrderCommand, offset: int, reader: Reader, rows: Rows) -> None:
    if not rows.add(ORDER_COMMANDS, _command(event, offset, reader.read(event.block) if event.block else None)):
        return
    for place, step in enumerate(event.steps):
        rows.add(SCHEDULED_STEPS, _step(event, place, step, reader.read(step.block)))


def _command(event: OrderCommand, offset: int, said: Described | None) -> Row:
    return {
        "event_id": event.meta.event_id,
        "tenant": event.meta.tenant,
        "order_id": event.order_id,
        "record_offset": offset,
        "action": event.action,
        "actor": event.actor,
        "site": event.meta.site,
        "lane": event.meta.lane,
        "priority": event.priority,
        "stated_uid": event.study_uid,
        "stated_uid_made": event.study_uid_made,
        "block_id": said.ref.block_id if said else None,
        "block_state": said.state if said else None,
        "accession_number": _text_of(said, "AccessionNumber"),
        "accession_issuer": _text_of(said, "IssuerOfAccessionNumber"),
        "procedure_id": _text_of(said, "RequestedProcedureID"),
        "patient_id": _text_of(said, "PatientID"),
        "patient_issuer": _text_of(said, "IssuerOfPatientID"),
        "attributes": _attributes(said) if said else None,
        "commanded_at": event.meta.occurred_at,
    }


def _step(event: OrderCommand, place: int, step: OrderStep, said: Described) -> Row:
    return {
        "event_id": event.meta.event_id,
        "place": place,
        "tenant": event.meta.tenant,
        "order_id": event.order_id,
        "modality": step.modality or _text_of(said, "Modality"),
        "station_aes": step.station_aes,
        "start_date": _date(step.start_date),
        "start_time": step.start_time,
        "block_id": said.ref.block_id,
        "block_state": said.state,
        "step_id": _text_of(said, "ScheduledProcedureStepID"),
        "attributes": _attributes(said),
    }


def _text_of(said: Described | None, keyword: str) -> str | None:
    return (said.text(keyword) or None) if said else None


def _attributes(said: Described) -> Mapping[str, Any] | None:
    if said.state != "open":
        return None
    return {name: value for name, value in said.attributes.items() if name != _ABOUT}


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _add_mpps(event: MppsEvent, offset: int, said: Described, rows: Rows) -> None:
    data_set = _data_set(said)
    row = {
        "event_id": event.meta.event_id,
        "tenant": event.meta.tenant,
        "mpps_uid": event.mpps_uid,
        "record_offset": offset,
        "action": event.action,
        "status": event.status,
        "calling_ae": event.calling_ae,
        "modality": event.modality,
        "study_uids": event.study_uids,
        "series": event.series,
        "block_id": said.ref.block_id,
        "block_state": said.state,
        "data_set": data_set,
        "said_at": event.meta.occurred_at,
    }
    if not rows.add(MPPS_EVENTS, row) or event.action != "created":
        return
    of_event = {"event_id": event.meta.event_id, "tenant": event.meta.tenant, "mpps_uid": event.mpps_uid}
    for place, item in enumerate(_items(data_set or {}, _SCHEDULED)):
        named = {name: _text(item, tag) or None for name, tag in _ITEM.items()}
        rows.add(MPPS_SCHEDULED, {**of_event, "place": place, "study_uid": _text(item, _STUDY), **named})


def _data_set(said: Described) -> dict[str, Any] | None:
    """None where the block is not open, or holds something else."""
    try:
        found = msgspec.json.decode(said.text("DataSet") or "null")
    except msgspec.DecodeError:
        return None
    return clean(found) if isinstance(found, dict) else None


def _items(data_set: Mapping[str, Any], tag: str) -> Iterator[Mapping[str, Any]]:
    element = data_set.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return (item for item in values if isinstance(item, dict)) if isinstance(values, list) else iter(())


def _text(item: Mapping[str, Any], tag: str) -> str:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]) if isinstance(values, list) and values else ""
