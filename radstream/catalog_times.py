"""When instances became rows of the catalog, and what it says of one study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

from consumers.catalog.config import Settings
from consumers.catalog.database import Connection, connect
from radstream.errors import Failure
from streams.config import Config, Site
from streams.step import Away

_SINCE = """
SELECT sop_instance_uid, cataloged_at FROM instances
WHERE tenant = %s AND cataloged_at >= %s ORDER BY cataloged_at
"""
_ARRIVALS = """
SELECT count(*), count(DISTINCT digest) FILTER (WHERE instances.cataloged_at >= %(start)s)
FROM arrivals LEFT JOIN instances USING (tenant, digest)
WHERE tenant = %(tenant)s AND calling_ae = %(calling_ae)s AND arrivals.received_at >= %(start)s
"""
_REVISION = """
SELECT revision, instance_count FROM study_revisions
WHERE tenant = %s AND study_uid = %s ORDER BY revision DESC LIMIT 1
"""
_DERIVED = "SELECT count(DISTINCT digest) FROM derivations WHERE tenant = %s AND study_uid = %s"

_LOSSLESS = """
SELECT coalesce(sum(length), 0) FROM derivatives JOIN derivations USING (event_id)
WHERE derivations.tenant = %s AND study_uid = %s AND kind = 'lossless'
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
    """Reads the catalog of one tenant over one connection. Used from one thread."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        self._connection = connection
        self._tenant = tenant

    def cataloged_since(self, start: datetime) -> dict[str, datetime]:
        """When each SOP instance got its first row since `start`; the row's transaction ends milliseconds later."""
        found: dict[str, datetime] = {}
        for sop_instance, at in self._connection.execute(_SINCE, (self._tenant, start)):
            found.setdefault(sop_instance, at)
        return found

    def arrivals_since(self, start: datetime, calling_ae: str) -> Arrivals:
        named = {"start": start, "tenant": self._tenant, "calling_ae": calling_ae}
        row = self._connection.execute(_ARRIVALS, named).fetchone()
        return Arrivals(*row) if row else Arrivals(0, 0)

    def revision(self, study_uid: str) -> Revision:
        row = self._connection.execute(_REVISION, (self._tenant, study_uid)).fetchone()
        return Revision(*row) if row else Revision(0, 0)

    def derived(self, study_uid: str) -> int:
        """Instances of the study whose derivation is in the catalog."""
        row = self._connection.execute(_DERIVED, (self._tenant, study_uid)).fetchone()
        return int(row[0]) if row else 0

    def lossless_bytes(self, study_uid: str) -> int:
        """Bytes of the study's lossless copies."""
        row = self._connection.execute(_LOSSLESS, (self._tenant, study_uid)).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def catalog_times(config: Config) -> Iterator[CatalogTimes]:
    """Raises Failure where PostgreSQL does not answer."""
    try:
        connection = connect(config.section("catalog", Settings).dsn)
    except Away as error:
        raise Failure(f"{error}; see what runs, and start it: radstream up") from None
    with closing(connection):
        connection.autocommit = True
        yield CatalogTimes(connection, config.section("site", Site).tenant)
