"""Connections whose server has to answer in time. One that hangs while its machine goes on is else waited for without
end: its kernel acknowledges what is sent, and a limit of its own (`statement_timeout`) hangs with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, ConnectionPool

# Whether a server answers at all. And for how long, beyond its own limit, one is waited for that does.
ANSWERS_S: Final = 3.0
BEYOND_S: Final = 5.0
_INTERVAL_S: Final = 0.1


class Answering(psycopg.Connection[TupleRow]):
    """`answer_s` bounds every wait for the server. One that is over raises OperationalError, and ends the connection:
    what it would still say is an answer to nothing."""

    answer_s: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = _INTERVAL_S, timeout: float | None = None) -> RV:
        with _ended_where_unanswered(self):
            return super().wait(gen, interval, timeout if timeout is not None else self.answer_s)


class AsyncAnswering(psycopg.AsyncConnection[TupleRow]):
    """As `Answering`, for an event loop."""

    answer_s: float | None = None

    async def wait(self, gen: PQGen[RV], interval: float = _INTERVAL_S, timeout: float | None = None) -> RV:
        with _ended_where_unanswered(self):
            return await super().wait(gen, interval, timeout if timeout is not None else self.answer_s)


def answers(connection: Answering) -> None:
    """A pool's check of a connection. Raises OperationalError."""
    with _within(connection, ANSWERS_S):
        ConnectionPool[Answering].check_connection(connection)


async def answers_now(connection: AsyncAnswering) -> None:
    """As `answers`, for an event loop."""
    with _within(connection, ANSWERS_S):
        await AsyncConnectionPool.check_connection(connection)


@contextmanager
def _within(connection: Answering | AsyncAnswering, answer_s: float) -> Iterator[None]:
    before, connection.answer_s = connection.answer_s, answer_s
    try:
        yield
    finally:
        connection.answer_s = before


@contextmanager
def _ended_where_unanswered(connection: Answering | AsyncAnswering) -> Iterator[None]:
    """A question that failed and is still being answered was given up."""
    try:
        yield
    except psycopg.OperationalError:
        if connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
            connection.pgconn.finish()
        raise
