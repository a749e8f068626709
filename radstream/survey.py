"""One look at a whole site: spool, catalog, log and bucket, read in an order that lets their sums be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consumers.catalog import ledger
from consumers.catalog.config import Settings as Catalog
from consumers.catalog.counts import counts
from consumers.catalog.database import snapshot
from radstream.accounts import Equation, of_catalog, of_log, of_store
from radstream.errors import Failure
from radstream.log_census import LogCensus
from radstream.log_scan import moved_since, scan
from radstream.options import open_log
from radstream.spool import SpoolState, look
from radstream.store_census import StoreCensus, census_of
from streams.config import Config, Site, Store
from streams.log import LogAway, LogRefused
from streams.objects import StoreAway
from streams.s3 import S3Store
from streams.step import Away
from streams.stop import Stop


@dataclass(frozen=True)
class Survey:
    log: LogCensus
    store: StoreCensus
    catalog: Mapping[str, int]
    equations: tuple[Equation, ...]
    spool: SpoolState | None

    @property
    def agree(self) -> bool:
        return all(equation.agrees for equation in self.equations)


def survey(config: Config) -> Survey:
    """Counts everything: the spool, the catalog and how far it is in one transaction, then the log, then the bucket.

    Whatever is written meanwhile is in the later count, where it is named as in flight. Raises Failure where a part
    does not answer.
    """
    spool = look(config)
    try:
        with snapshot(config.section("catalog", Catalog).dsn) as cursor:
            rows = counts(cursor)
            read = {partition: place.next_offset for partition, place in ledger.read(cursor).items()}
        reader = open_log(config)
        log = scan(reader, read)
        stores = config.section("store", Store)
        store = census_of(S3Store(stores), config.section("site", Site).tenant, stores.buckets)
        moving = moved_since(reader, log)
    except (Away, LogAway, LogRefused, StoreAway) as error:
        raise Failure(f"{_part(error)} does not answer; see what runs, and start it: radstream up") from None
    except Stop as stop:
        raise Failure(stop.reason) from None
    sums = (*of_log(log, spool.digests if spool else None), *of_store(log, store, moving), *of_catalog(log, rows))
    return Survey(log, store, rows, sums, spool.state if spool else None)


def _part(error: Exception) -> str:
    if isinstance(error, StoreAway):
        return "the object store"
    return "PostgreSQL" if isinstance(error, Away) else "the broker"
