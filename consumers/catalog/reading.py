"""The catalog for those who ask it again and again: connections that are kept, tested, and given back.

The consumer writes over one connection, in one thread and one transaction at a time; a command that asks once opens a
connection for that (`database.snapshot`). What follows the catalog, or serves people, asks here: a question costs no
new connection, and a server that hangs or was started anew meanwhile is noticed before the question and not by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg_pool import ConnectionPool

from consumers.catalog.answering import BEYOND_S, Answering, answers
from consumers.catalog.database import SCHEMA, Cursor, only_look, parameters, translated

_CONNECTIONS_MAX = 4
# A question that takes longer is a fault. What has to read whole tables (a checksum, a comparison) is no question.
_STATEMENT_MS_MAX = 30_000
# How long to wait for a connection: for another question's end, or for a server that is away.
_WAIT_S_MAX = 10.0
_IDLE_S_MAX = 60.0


class Reads:
    """A pool that holds nothing while nobody asks. Safe for several threads."""

    def __init__(self, dsn: str, schema: str = SCHEMA, connections_max: int = _CONNECTIONS_MAX) -> None:
        self._pool: ConnectionPool[Answering] = ConnectionPool(
            dsn,
            connection_class=Answering,
            # Each question is planned for the study that it names: a plan for all of them takes seconds where one has
            # many images, and PostgreSQL makes such a one of a statement that is prepared.
            kwargs={**parameters(schema, statement_timeout=str(_STATEMENT_MS_MAX)), "prepare_threshold": None},
            min_size=0,
            max_size=connections_max,
            timeout=_WAIT_S_MAX,
            max_idle=_IDLE_S_MAX,
            reconnect_timeout=_WAIT_S_MAX,
            configure=_only_look,
            check=answers,
            name="catalog-reads",
            open=False,
        )
        self._pool.open()

    @contextmanager
    def snapshot(self) -> Iterator[Cursor]:
        """One consistent look: everything read with this cursor is of one moment. Raises Away, Stop."""
        with translated(), self._pool.connection() as connection, connection.cursor() as cursor:
            yield cursor

    def close(self) -> None:
        self._pool.close()


def _only_look(connection: Answering) -> None:
    only_look(connection)
    connection.answer_s = _STATEMENT_MS_MAX / 1000 + BEYOND_S
