"""Orders in words, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consumers.catalog.orders import Order, Performed, WholeOrder
from radstream.output import console, plain

_HOW = {True: "from outside, by a person's decision", False: "by accession number and patient"}


def print_orders(found: Sequence[Order], limit: int) -> None:
    """Two lines an order: numbers and who it is for, then its study."""
    out = console()
    if not found:
        out.print("no orders")
    for one in found:
        state = "" if one.standing else ", cancelled"
        begins = one.first_date or "no date"
        out.print(f"{begins}  {plain(one.accession_number or '-')}  {one.priority}{state}  {patient(one)}")
        out.print(f"            study {one.study_uid}", soft_wrap=True)
    if len(found) == limit:
        out.print(f"there may be more than {limit}: give --limit")


def order_line(one: Order) -> str:
    state = "" if one.standing else ", cancelled"
    return f"ordered: accession number {plain(one.accession_number or '-')}, {one.priority}{state}"


def patient(one: Order) -> str:
    if one.attributes is None:
        return f"(patient attributes {one.block_state or 'absent'})"
    named = (one.patient_id, one.attributes.get("PatientName"))
    return "  ".join(plain(value) for value in named if value)


def print_whole(found: Sequence[WholeOrder]) -> None:
    for one in found:
        _print_order(one)


def _print_order(found: WholeOrder) -> None:
    out, one = console(), found.order
    state = "stands" if one.standing else "is cancelled"
    out.print(f"order {plain(one.accession_number or one.order_id)} {state}: {one.priority}", soft_wrap=True)
    out.print(f"study {one.study_uid}", soft_wrap=True)
    _print_texts(one.attributes or {"patient attributes": one.block_state})
    for step in found.steps:
        at = f"{step['start_date'] or '-'} {_clock(step['start_time'])}"
        stations = ", ".join(plain(title) for title in step["station_aes"]) or "any station"
        named = f"step {plain(step['step_id'] or '-')}: {plain(step['modality'])}"
        out.print(f"{named}, {at}, {stations}{_performed(step)}", soft_wrap=True)
        _print_texts(step["attributes"] or {})
    for command in found.commands:
        out.print(f"{command['action']} by {plain(command['actor'])} at {command['commanded_at']:%Y-%m-%d %H:%M}")
    for performed in found.performed:
        out.print(performed_line(performed), soft_wrap=True)
    for study in found.studies:
        how = "by its UID" if study["by_uid"] else _HOW[study["by_decision"]]
        out.print(f"images: radstream study {study['study_uid']} ({how})", soft_wrap=True)


def performed_line(one: Performed) -> str:
    status = one.status.replace("_", " ")
    performed = (
        f"performed: {plain(one.modality or '-')} on {plain(one.calling_ae)} since {one.started_at:%H:%M}, {status}"
    )
    return f"{performed}{_ris(one)}"


def _ris(one: Performed) -> str:
    """What the RIS knows of it; nothing where it was told nothing, as where a site has none."""
    told = f"; {one.ris} was told: {one.ris_told.replace('_', ' ')}" if one.ris_told else ""
    return f"{told}; the RIS did not take {one.ris_refused}" if one.ris_refused else told


def _performed(step: Mapping[str, Any]) -> str:
    return f", {str(step['performed']).replace('_', ' ')}" if step["performed"] else ""


def _clock(text: str | None) -> str:
    return f"{text[:2]}:{text[2:4]}" if text else "-"


def _print_texts(texts: Mapping[str, Any]) -> None:
    for keyword, value in texts.items():
        told = ", ".join(value) if isinstance(value, list) else str(value)
        console().print(f"  {keyword}: {plain(told)}", soft_wrap=True)
