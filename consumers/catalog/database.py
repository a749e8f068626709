"""Connections to the catalog's PostgreSQL, and what its errors mean for who writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import TupleRow

from streams.step import Away

SCHEMA = "catalog"
_CONNECT_S = 5
# A server that vanished without a word is noticed within half a minute.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

# The rows are at fault: the same rows fail again. The names are those of PostgreSQL's appendix A: classes 22, 23, 54.
BadRows = (errors.DataError, errors.IntegrityError, errors.ProgramLimitExceeded)

Connection = psycopg.Connection[TupleRow]
Cursor = psycopg.Cursor[TupleRow]


def connect(dsn: str, schema: str = SCHEMA, **options: Any) -> Connection:
    """A connection whose unqualified names are those of `schema`. Raises Away."""
    try:
        connection = psycopg.connect(
            dsn, application_name="radstream-catalog", connect_timeout=_CONNECT_S, **_KEEPALIVE, **options
        )
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
        connection.execute("SET timezone TO 'UTC'")
        connection.commit()
    except psycopg.OperationalError as error:
        raise Away(f"PostgreSQL cannot be reached ({type(error).__name__})") from None
    return connection


class Writer:
    """One connection for one thread, opened when it is needed and again when it broke."""

    def __init__(self, dsn: str, schema: str = SCHEMA) -> None:
        self.dsn = dsn
        self.schema = schema
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """Commits at the end, or rolls back. Raises Away where the server is; BadRows pass as they are."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(self.dsn, self.schema)
            with self._connection.transaction(), self._connection.cursor() as cursor:
                yield cursor
        except BadRows:
            raise
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            # The connection may be half dead: the next transaction gets a new one.
            self.close()
            raise Away(f"PostgreSQL does not answer as it should ({type(error).__name__})") from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
