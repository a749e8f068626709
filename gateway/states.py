"""In which state studies are in the catalog: what each request asks, in as little as it takes.

The state is the transaction that wrote the study's summary last, which is written anew after each change of the study.
A study has none while a change of it is noted that no summary has yet, and where there is nothing to show of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, pq

from consumers.catalog.database import parameters, translated
from streams.step import Away

_NAME: Final = b"states"
# For whoever asks for more in one question than the state. `tenant` and `of` are expressions of it.
STATES: Final = """
SELECT s.study_uid, s.xmin::text::bigint AS state FROM study_summaries s
WHERE s.tenant = {tenant} AND s.study_uid {of} AND NOT EXISTS (
    SELECT FROM study_changes c WHERE c.tenant = s.tenant AND c.study_uid = s.study_uid
)
"""
_PREPARE: Final = "PREPARE states (text, text[]) AS" + STATES.format(tenant="$1", of="= ANY($2)")
_ANSWERED_S_MAX: Final = 2.0


class Question:
    """Prepared once, on a connection of its own, and asked through libpq's own calls: a cursor of psycopg takes five
    times as much of a processor as they do. For one event loop, and one task at a time."""

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn, self._schema = dsn, schema
        self._connection: AsyncConnection[Any] | None = None
        self._waiting: asyncio.Future[None] | None = None
        # What is read from; libpq names it no more once the connection is lost.
        self._socket = -1

    async def states(self, tenant: str, studies: Sequence[str]) -> Mapping[str, int]:
        """By Study Instance UID, of those that are in any. Each is of digits and dots. Raises Away, Stop.

        Whoever asks again after that may be answered by another server.
        """
        try:
            with translated():
                async with asyncio.timeout(_ANSWERED_S_MAX):
                    connection = self._connection or await self._opened()
                    return await self._asked(connection.pgconn, tenant, studies)
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                raise Away("PostgreSQL does not answer in time") from None
            raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._leave()
            await connection.close()

    async def _opened(self) -> AsyncConnection[Any]:
        settings = parameters(self._schema, default_transaction_read_only="on")
        connection = await AsyncConnection.connect(self._dsn, autocommit=True, **settings)
        try:
            await connection.execute(_PREPARE.encode())
        except BaseException:
            await connection.close()
            raise
        self._connection, self._socket = connection, connection.pgconn.socket
        asyncio.get_running_loop().add_reader(self._socket, self._readable, connection.pgconn)
        return connection

    async def _asked(self, pgconn: pq.abc.PGconn, tenant: str, studies: Sequence[str]) -> Mapping[str, int]:
        self._waiting = asyncio.get_running_loop().create_future()
        pgconn.send_query_prepared(_NAME, [tenant.encode(), f"{{{','.join(studies)}}}".encode()])
        while pgconn.flush():
            await asyncio.sleep(0)
        await self._waiting
        found: dict[str, int] = {}
        while (result := pgconn.get_result()) is not None:
            if result.status != pq.ExecStatus.TUPLES_OK:
                raise psycopg.errors.error_from_result(result)
            for row in range(result.ntuples):
                uid, state = result.get_value(row, 0), result.get_value(row, 1)
                found[(uid or b"").decode()] = int(state or 0)
        return found

    def _readable(self, pgconn: pq.abc.PGconn) -> None:
        """Also where nobody waits: the server says that it goes."""
        waiting = self._waiting
        try:
            pgconn.consume_input()
            is_there = not pgconn.is_busy()
        except psycopg.Error as error:
            self._leave()
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)
            return
        if is_there and waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _leave(self) -> None:
        if self._socket >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket = -1
