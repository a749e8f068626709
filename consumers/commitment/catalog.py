"""What the catalog knows of a request and of its instances. It only reads, what migrations describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import psycopg
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from consumers.commitment.arrivals import Arrivals
from consumers.commitment.judging import Content, Known
from streams.events import CommitmentRequest
from streams.log import TopicPartition
from streams.step import Away

_CONNECTIONS_MAX: Final = 4
# For a connection, or for another question's end.
_WAIT_S_MAX: Final = 10.0
_SETTINGS: Final = (
    "-c search_path=catalog -c timezone=UTC -c statement_timeout=30000 -c default_transaction_read_only=on"
)

# Requests with one Transaction UID are in one partition, so the first that is here is the first that was written.
_FIRST = """
SELECT event_id::text FROM commitment_requests
WHERE tenant = %(tenant)s AND calling_ae = %(calling_ae)s AND transaction_uid = %(transaction_uid)s
ORDER BY requested_at, event_id LIMIT 1
"""
_READ = """
SELECT topic, partition, next_offset FROM ledger
WHERE consumer_group = 'catalog' AND topic = ANY(%(topics)s)
"""
# A copy counts where the newest decision on its study says that it was read back (imaging.tier.moved). What is held
# after its backup keeps its copies: `standing` (migration 0017) is 2 of what is held, 3 of what was rejected. In the
# order in which contents came: the first is served (served_instances, 0016).
_CONTENTS = """
WITH places AS (SELECT key AS store, value AS place FROM jsonb_each_text(%(places)s))
SELECT i.sop_instance_uid, i.sop_class_uid, (
    SELECT count(DISTINCT p.place)
    FROM tier_items t
    JOIN study_tiers s USING (tenant, study_uid, seq)
    CROSS JOIN LATERAL jsonb_to_recordset(t.copies) AS c(store text, verified boolean)
    JOIN places p USING (store)
    WHERE t.tenant = i.tenant AND t.study_uid = i.study_uid AND t.digest = i.digest AND c.verified
), i.standing = 2, i.standing = 3, d.at IS NOT NULL,
    coalesce(d.at < max(d.at) OVER (PARTITION BY i.sop_instance_uid), false)
FROM instances i
CROSS JOIN LATERAL (
    SELECT max(a.received_at) FROM arrivals a
    WHERE a.digest = i.digest AND a.tenant = i.tenant AND a.calling_ae = ANY(%(senders)s)
) AS d(at)
WHERE i.tenant = %(tenant)s AND i.sop_instance_uid = ANY(%(uids)s)
ORDER BY i.received_at, i.digest
"""


class Knowing(Protocol):
    """Who is asked what is known."""

    def of(self, request: CommitmentRequest) -> Known:
        """Raises Away."""


class Catalog:
    """Used from several threads at once. Holds no connection while nobody asks. `asks_for` is of the settings, and
    `places` says what copies in each store count as (`consumers.commitment.places`).
    """

    def __init__(
        self, dsn: str, arrivals: Arrivals, asks_for: Mapping[str, Sequence[str]], places: Mapping[str, str]
    ) -> None:
        self._arrivals = arrivals
        self._asks_for = asks_for
        self._places = Jsonb(dict(places))
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            dsn,
            kwargs={"application_name": "radstream-commitment", "connect_timeout": 5, "options": _SETTINGS},
            min_size=0,
            max_size=_CONNECTIONS_MAX,
            timeout=_WAIT_S_MAX,
            max_idle=60.0,
            check=ConnectionPool.check_connection,
            name="commitment",
            open=True,
        )

    def of(self, request: CommitmentRequest) -> Known:
        """Raises Away: also while the catalog's tables are not there yet."""
        arrived = self._arrivals.until(request.meta.occurred_at)
        uids = [uid for group in request.references for uid in group.sop_instance_uids]
        requester = request.source.calling_ae
        asked = {
            "tenant": request.meta.tenant,
            "calling_ae": requester,
            "senders": [requester, *self._asks_for.get(requester, ())],
            "transaction_uid": request.transaction_uid,
            "uids": uids,
            "places": self._places,
            "topics": sorted({name.topic for name in arrived}),
        }
        contents: dict[str, list[Content]] = {}
        with self._cursor() as cursor:
            # How far it is before what it says: in between it only comes to know more.
            read = {TopicPartition(*name): at for *name, at in cursor.execute(_READ.encode(), asked)}
            first = cursor.execute(_FIRST.encode(), asked).fetchone()
            for uid, *content in cursor.execute(_CONTENTS.encode(), asked):
                contents.setdefault(uid, []).append(Content(*content))
        is_behind = any(read.get(name, 0) < end for name, end in arrived.items())
        return Known(first[0] if first else None, contents, is_behind)

    def close(self) -> None:
        self._pool.close()

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        try:
            with self._pool.connection() as connection, connection.cursor() as cursor:
                yield cursor
        except psycopg.Error as error:
            raise Away(f"the catalog does not answer as it should ({type(error).__name__})") from None
