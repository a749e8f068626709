"""When instances became rows of the catalog, and what it says of one study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import TupleRow

from consumers.catalog.reading import Reads
from radstream.reading import dsn_of, parts_answer
from streams.config import Config, Site

_SINCE = """
SELECT sop_instance_uid, cataloged_at FROM instances
WHERE tenant = %(tenant)s AND cataloged_at >= %(start)s ORDER BY cataloged_at
"""
_ARRIVALS = """
SELECT count(*), count(DISTINCT digest) FILTER (WHERE instances.cataloged_at >= %(start)s)
FROM arrivals LEFT JOIN instances USING (tenant, digest)
WHERE tenant = %(tenant)s AND calling_ae = %(calling_ae)s AND arrivals.received_at >= %(start)s
"""
_REVISION = """
SELECT revision, instance_count FROM study_revisions
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s ORDER BY revision DESC LIMIT 1
"""
_DERIVED = "SELECT count(*) FROM current_derivations WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s"

_LOSSLESS = """
SELECT coalesce(sum(r.length), 0) FROM derivatives r JOIN current_derivations d USING (event_id)
WHERE d.tenant = %(tenant)s AND d.study_uid = %(study_uid)s AND r.kind = 'lossless'
"""


@dataclass(frozen=True)
class Arrivals:
    """`records` is how often something arrived; `new` is how much of it had no row before."""

    records: int
    new: int


@dataclass(frozen=True)
class Revision:
    """Revision 0 is a study that was never quiet yet."""

    number: int
    instances: int


class CatalogTimes:
    """Reads the catalog of one tenant, again and again: a database that was started anew meanwhile is no matter."""

    def __init__(self, reads: Reads, tenant: str) -> None:
        self._reads = reads
        self._tenant = tenant

    def cataloged_since(self, start: datetime) -> dict[str, datetime]:
        """When each SOP instance got its first row since `start`; the row's transaction ends milliseconds later."""
        found: dict[str, datetime] = {}
        for sop_instance, at in self._rows(_SINCE, {"tenant": self._tenant, "start": start}):
            found.setdefault(sop_instance, at)
        return found

    def arrivals_since(self, start: datetime, calling_ae: str) -> Arrivals:
        rows = self._rows(_ARRIVALS, {"start": start, "tenant": self._tenant, "calling_ae": calling_ae})
        return Arrivals(*rows[0]) if rows else Arrivals(0, 0)

    def revision(self, study_uid: str) -> Revision:
        rows = self._rows(_REVISION, {"tenant": self._tenant, "study_uid": study_uid})
        return Revision(*rows[0]) if rows else Revision(0, 0)

    def derived(self, study_uid: str) -> int:
        """Instances of the study whose derivation is in the catalog."""
        return self._number(_DERIVED, study_uid)

    def lossless_bytes(self, study_uid: str) -> int:
        """Bytes of the study's lossless copies."""
        return self._number(_LOSSLESS, study_uid)

    def _number(self, query: str, study_uid: str) -> int:
        rows = self._rows(query, {"tenant": self._tenant, "study_uid": study_uid})
        return int(rows[0][0]) if rows else 0

    def _rows(self, query: str, asked: Mapping[str, object]) -> list[TupleRow]:
        """Raises Failure where PostgreSQL does not answer."""
        with parts_answer(), self._reads.snapshot() as cursor:
            return cursor.execute(query.encode(), asked).fetchall()


@contextmanager
def catalog_times(config: Config) -> Iterator[CatalogTimes]:
    """Raises Failure where PostgreSQL does not answer: now, or to a question."""
    with closing(Reads(dsn_of(config))) as reads:
        with parts_answer(), reads.snapshot():
            pass
        yield CatalogTimes(reads, config.section("site", Site).tenant)
