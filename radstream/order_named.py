"""An order by its accession number, as the catalog has it."""

from __future__ import annotations

from consumers.catalog.orders import Order
from consumers.catalog.orders import orders as read_orders
from radstream.errors import Failure
from radstream.reading import catalog_snapshot
from streams.config import Config, Site


def standing_order(config: Config, accession: str, issuer: str | None) -> Order:
    """Raises Failure where there is none, or where several parties gave this number and `issuer` does not say whose."""
    with catalog_snapshot(config) as cursor:
        found = read_orders(cursor, config.section("site", Site).tenant, accession=accession, standing=True)
    found = [one for one in found if issuer is None or (one.accession_issuer or "") == issuer]
    if not found:
        raise Failure("the catalog has no standing order with this accession number; see: radstream orders list")
    if len({(one.accession_issuer, one.patient_id, one.patient_issuer) for one in found}) > 1:
        raise Failure("several orders have this accession number; say whose number it is: --issuer NAME")
    return found[0]
