"""The catalog for an event loop: connections that are kept, tested, and given back; reading only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncCursor
from psycopg_pool import AsyncConnectionPool

from consumers.catalog.answering import BEYOND_S, AsyncAnswering, answers_now
from consumers.catalog.database import SCHEMA, parameters, translated
from gateway.states import Question

# A question that takes longer is a fault: no page of a viewer waits so long.
_STATEMENT_MS_MAX = 20_000
_WAIT_S_MAX = 5.0
_IDLE_S_MAX = 300.0

Cursor = AsyncCursor[tuple[Any, ...]]


class Catalog:
    """A pool, opened in the loop that uses it. `states` is the question that each request asks."""

    def __init__(self, dsn: str, connections_max: int, schema: str = SCHEMA) -> None:
        self.states = Question(dsn, schema)
        self._pool: AsyncConnectionPool[AsyncAnswering] = AsyncConnectionPool(
            dsn,
            connection_class=AsyncAnswering,
            kwargs=parameters(schema, statement_timeout=str(_STATEMENT_MS_MAX)),
            min_size=1,
            max_size=connections_max,
            timeout=_WAIT_S_MAX,
            max_idle=_IDLE_S_MAX,
            reconnect_timeout=_WAIT_S_MAX,
            configure=_only_look,
            check=answers_now,
            name="gateway",
            open=False,
        )

    async def open(self) -> None:
        """Returns at once: a database that is away is waited for by whoever asks."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close()
        await self.states.close()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Cursor]:
        """One consistent look: everything read with this cursor is of one moment. Raises Away, Stop.

        Held while rows are fetched and no longer: never while a client is written to.
        """
        with translated():
            async with self._pool.connection() as connection, connection.cursor() as cursor:
                yield cursor


async def _only_look(connection: AsyncAnswering) -> None:
    connection.answer_s = _STATEMENT_MS_MAX / 1000 + BEYOND_S
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)
