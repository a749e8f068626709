"""What people ask of storage commitment: who asked for what, what came of it, and whether they know. Reading only."""

from __future__ import annotations

from datetime import datetime

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor

LIMIT_MAX = 1000

_COLUMNS = """
SELECT event_id::text AS event_id, transaction_uid, calling_ae, requested_at, instances, decided_at, committed, failed,
    standing, node, said_at, why
"""
_PAGE = f"""{_COLUMNS}
FROM commitments c
WHERE tenant = %(tenant)s
    AND (%(calling_ae)s::text IS NULL OR calling_ae = %(calling_ae)s)
    AND (NOT %(open)s OR standing IN ('waiting', 'judged'))
    AND (%(before)s::uuid IS NULL OR (requested_at, event_id)
        < (SELECT b.requested_at, b.event_id FROM commitment_requests b WHERE b.event_id = %(before)s::uuid))
ORDER BY requested_at DESC, event_id DESC
LIMIT %(limit)s
"""
_WHOLE = f"""{_COLUMNS}, copies, refs, coalesce(failures, '[]') AS failures
FROM commitments
WHERE tenant = %(tenant)s AND transaction_uid = %(transaction_uid)s
ORDER BY requested_at, event_id
"""


class Commitment(msgspec.Struct, frozen=True, kw_only=True):
    """`standing` is waiting, judged, delivered or abandoned; `why` says why a report was abandoned."""

    event_id: str
    transaction_uid: str
    calling_ae: str
    requested_at: datetime
    instances: int
    decided_at: datetime | None
    committed: int | None
    failed: int | None
    standing: str
    node: str | None
    said_at: datetime | None
    why: str | None


class WholeCommitment(Commitment, frozen=True, kw_only=True):
    """`refs` is what was asked for; of a judged request, what is not in `failures` was committed."""

    copies: int | None
    refs: list[dict[str, object]]
    failures: list[dict[str, object]]


class CommitmentPage(msgspec.Struct, frozen=True):
    """`next` is the event of a request to go on before, or None at the end."""

    commitments: list[Commitment]
    next: str | None


def commitments(
    cursor: Cursor,
    tenant: str,
    *,
    calling_ae: str | None = None,
    open_only: bool = False,
    before: str | None = None,
    limit: int = 50,
) -> CommitmentPage:
    """Requests, the newest first."""
    limit = min(limit, LIMIT_MAX)
    asked = {"tenant": tenant, "calling_ae": calling_ae, "open": open_only, "before": before, "limit": limit + 1}
    with cursor.connection.cursor(row_factory=class_row(Commitment)) as rows:
        found = rows.execute(_PAGE.encode(), asked).fetchall()
    return CommitmentPage(found[:limit], found[limit - 1].event_id if len(found) > limit else None)


def transaction(cursor: Cursor, tenant: str, transaction_uid: str) -> list[WholeCommitment]:
    """Every request with a Transaction UID, the first first: more than one where senders used it again."""
    with cursor.connection.cursor(row_factory=class_row(WholeCommitment)) as rows:
        return rows.execute(_WHOLE.encode(), {"tenant": tenant, "transaction_uid": transaction_uid}).fetchall()
