"""`radstream orders`: what is to be done, for sites without a RIS that says so, and for whoever looks after one."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from consumers.catalog.orders import ORDERS_MAX, WholeOrder, has_command, whole
from consumers.catalog.orders import orders as read_orders
from producers.orders.announcing import STEP, Announcer
from producers.orders.order import BadOrder, Order, Priority, Step
from radstream.audit import account
from radstream.commanding import message_of, notes_of, write
from radstream.errors import Failure
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.order_lines import print_orders, print_whole
from radstream.order_named import named, standing_orders, the_standing_order
from radstream.output import show
from radstream.reading import audited, catalog_snapshot, parts_answer
from streams.clock import SystemClock
from streams.config import Config, Site
from streams.events import OrderCommand

SHOWN_S_MAX = 30.0
_POLL_S = 0.1

issuer_option = click.option("--issuer", metavar="NAME", help="Issuer of the accession number; '' for none.")
procedure_option = click.option("--procedure-id", metavar="ID", help="Requested procedure ID.")


@click.group()
def orders() -> None:
    """Orders: what scanners find in their worklist."""


@orders.command()
@click.option("--accession", required=True, metavar="NUMBER", help="Accession number.")
@issuer_option
@procedure_option
@click.option("--patient-id", required=True, metavar="ID")
@click.option("--patient-issuer", default="", metavar="NAME", help="Issuer of the patient ID.")
@click.option("--patient-name", required=True, metavar="NAME", help="As DICOM writes it: Family^Given.")
@click.option("--birth-date", default="", metavar="YYYYMMDD")
@click.option("--sex", type=click.Choice(("F", "M", "O")))
@click.option("--modality", required=True, metavar="CODE", help="CT, MR, DX and so on.")
@click.option("--station", "stations", multiple=True, metavar="AE", help="AE title of a scanner; may be repeated.")
@click.option("--start", "start", required=True, type=click.DateTime(("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")))
@click.option("--description", default="", metavar="TEXT", help="What is to be done.")
@click.option("--priority", type=click.Choice(("stat", "high", "routine", "medium", "low")), default="routine")
@click.option("--study-uid", metavar="UID", help="Study Instance UID to be used; else one follows from the order.")
@click.option("--change", is_flag=True, help="State an order that is there anew.")
@config_option
@json_option
def add(
    accession: str,
    issuer: str | None,
    procedure_id: str | None,
    change: bool,
    config_path: Path,
    as_json: bool,
    **said: Any,
) -> None:
    """Place an order for one procedure with one step, and wait until the catalog shows it.

    Without --procedure-id the accession number is the requested procedure's ID.
    """
    config = open_config(config_path)
    if change:
        there = the_standing_order(config, accession, issuer, procedure_id)
        order = _ordered(accession, there.accession_issuer or "", there.procedure_id or accession, change, **said)
    elif others := standing_orders(config, accession, issuer, procedure_id):
        raise Failure(
            f"there is an order with this accession number: {named(others)}. State it anew with --change; a second "
            "one of this number has a --procedure-id (or an --issuer) of its own"
        )
    else:
        order = _ordered(accession, issuer or "", procedure_id or accession, change, **said)
    _say_and_show(config, order, as_json)


def _ordered(
    accession: str,
    issuer: str,
    procedure_id: str,
    change: bool,
    *,
    patient_id: str,
    patient_issuer: str,
    patient_name: str,
    birth_date: str,
    sex: str | None,
    modality: str,
    stations: tuple[str, ...],
    start: datetime,
    description: str,
    priority: Priority,
    study_uid: str | None,
) -> Order:
    patient = {
        "PatientID": patient_id,
        "IssuerOfPatientID": patient_issuer,
        "PatientName": patient_name,
        "PatientBirthDate": birth_date,
        "PatientSex": sex or "",
    }
    step = {"ScheduledProcedureStepID": procedure_id, "ScheduledProcedureStepDescription": description}
    return Order(
        action="changed" if change else "placed",
        accession=accession,
        procedure_id=procedure_id,
        issuer=issuer,
        priority=priority,
        study_uid=study_uid,
        said=_filled({**patient, "RequestedProcedureDescription": description}),
        steps=(Step(_filled(step), modality, stations, f"{start:%Y%m%d}", f"{start:%H%M%S}"),),
    )


def _filled(texts: dict[str, str]) -> dict[str, str | list[str]]:
    return {name: text for name, text in texts.items() if text}


@orders.command()
@click.argument("accession", metavar="ACCESSION")
@issuer_option
@procedure_option
@config_option
@json_option
def cancel(accession: str, issuer: str | None, procedure_id: str | None, config_path: Path, as_json: bool) -> None:
    """Cancel an order, and wait until the catalog shows it."""
    config = open_config(config_path)
    there = the_standing_order(config, accession, issuer, procedure_id)
    order = Order("cancelled", accession, there.procedure_id or accession, there.accession_issuer or "")
    _say_and_show(config, order, as_json)


@orders.command("list")
@click.option("--all", "all_", is_flag=True, help="Cancelled ones, too.")
@click.option("--limit", type=click.IntRange(1, ORDERS_MAX), default=100, show_default=True, help="So many at most.")
@config_option
@json_option
def list_(all_: bool, limit: int, config_path: Path, as_json: bool) -> None:
    """Orders, those that begin last first."""
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        found = read_orders(cursor, config.section("site", Site).tenant, standing=not all_, limit=limit)
    audited(config, open_log(config), "orders_listed", "orders", {"orders": str(len(found))})
    show(as_json, found, lambda: print_orders(found, limit))


@orders.command("show")
@click.argument("accession", metavar="ACCESSION")
@config_option
@json_option
def show_(accession: str, config_path: Path, as_json: bool) -> None:
    """Show the orders of an accession number: patient, steps, who asked for what, and what was performed."""
    config = open_config(config_path)
    tenant = config.section("site", Site).tenant
    with catalog_snapshot(config) as cursor:
        found = [whole(cursor, tenant, one) for one in read_orders(cursor, tenant, accession=accession)]
    if not found:
        raise Failure(
            "the catalog has no order with this accession number. One that came just now is there when the catalog has "
            "caught up: radstream lag catalog"
        )
    for one in found:
        audited(config, open_log(config), "order_shown", one.order.order_id, {})
    show(as_json, found, lambda: print_whole(found))


def _announcer(config: Config) -> Announcer:
    return Announcer(config.section("site", Site), notes_of(config), SystemClock())


def _say_and_show(config: Config, order: Order, as_json: bool) -> None:
    """The blocks first, then the audit, then the command; then waits for the catalog. Raises Failure."""
    log = open_log(config)
    try:
        with parts_answer():
            event = _announcer(config).event(order, str(uuid.uuid4()), account())
    except BadOrder as error:
        raise Failure(f"nothing was ordered: {error}") from None
    audited(config, log, f"order_{order.action}", event.order_id, {"priority": order.priority})
    with log_answers():
        write(log, [message_of(config, event, STEP)], f"the order {event.order_id} {order.action}")
    found = _shown(config, event)
    show(as_json, found, lambda: print_whole(found))


def _shown(config: Config, event: OrderCommand) -> list[WholeOrder]:
    """The order as the catalog has it, once the command is there. Raises Failure where that takes too long."""
    tenant, until_s = config.section("site", Site).tenant, time.monotonic() + SHOWN_S_MAX
    while time.monotonic() < until_s:
        # What is in the log is ordered, also where the catalog went away since.
        with suppress(Failure), catalog_snapshot(config) as cursor:
            if has_command(cursor, event.meta.event_id):
                return [whole(cursor, tenant, one) for one in read_orders(cursor, tenant, order_id=event.order_id)]
        time.sleep(_POLL_S)
    raise Failure(
        f"order {event.order_id} is {event.action}: it is in the log. The catalog has not shown it in "
        f"{SHOWN_S_MAX:.0f} s; see whether it runs: radstream lag catalog"
    )
