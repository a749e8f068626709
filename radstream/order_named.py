"""An order by its accession number, as the catalog has it."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.catalog.orders import Order
from consumers.catalog.orders import orders as read_orders
from radstream.errors import Failure
from radstream.output import plain
from radstream.reading import catalog_snapshot
from streams.config import Config, Site


def standing_order(config: Config, accession: str, issuer: str | None) -> Order:
    """Raises Failure where there is none, or where several parties gave this number and `issuer` does not say whose."""
    found = standing_orders(config, accession, issuer)
    if not found:
        raise Failure("the catalog has no standing order with this accession number; see: radstream orders list")
    if len({(one.accession_issuer, one.patient_id, one.patient_issuer) for one in found}) > 1:
        raise Failure("several orders have this accession number; say whose number it is: --issuer NAME")
    return found[0]


def standing_orders(
    config: Config, accession: str, issuer: str | None = None, procedure_id: str | None = None
) -> list[Order]:
    """Those of an accession number, of this issuer ('' for none) and procedure where they are said. Raises Failure."""
    with catalog_snapshot(config) as cursor:
        found = read_orders(cursor, config.section("site", Site).tenant, accession=accession, standing=True)
    return [
        one
        for one in found
        if issuer in (None, one.accession_issuer or "") and procedure_id in (None, one.procedure_id)
    ]


def the_standing_order(config: Config, accession: str, issuer: str | None, procedure_id: str | None) -> Order:
    """The one that is meant. Raises Failure where there is none, or several, and says which there are."""
    found = standing_orders(config, accession, issuer, procedure_id)
    if len(found) == 1:
        return found[0]
    others = found or standing_orders(config, accession)
    if not others:
        raise Failure("the catalog has no standing order with this accession number; see: radstream orders list --all")
    what = "several orders have this accession number" if found else "no order of this accession number is named so"
    raise Failure(f"{what}. There stand: {named(others)}. Say which: --procedure-id ID, --issuer NAME ('' for none)")


def named(found: Sequence[Order]) -> str:
    """What tells orders of one accession number apart."""
    return "; ".join(
        f"procedure ID {plain(one.procedure_id or '-')}, "
        f"{f'issuer {plain(one.accession_issuer)}' if one.accession_issuer else 'no issuer'}"
        for one in found
    )
