"""Connections to the catalog's PostgreSQL, and what its errors mean for who writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow

from streams.step import Away
from streams.stop import Stop

SCHEMA = "catalog"
_CONNECT_S = 5
# A server that vanished without a word is noticed within half a minute.
_IDLE_S, _INTERVAL_S, _PROBES = 10, 5, 3

# The rows are at fault: the same rows fail again. The names are those of PostgreSQL's appendix A: classes 22, 23, 54.
BadRows = (errors.DataError, errors.IntegrityError, errors.ProgramLimitExceeded)

Connection = psycopg.Connection[TupleRow]
Cursor = psycopg.Cursor[TupleRow]


def connect(dsn: str, schema: str = SCHEMA) -> Connection:
    """A connection whose unqualified names are those of `schema`. Raises Away."""
    try:
        return psycopg.connect(dsn, **parameters(schema))
    except psycopg.OperationalError as error:
        raise Away(f"PostgreSQL cannot be reached ({type(error).__name__})") from None


def parameters(schema: str, **settings: str) -> dict[str, Any]:
    """Of a connection, beside its DSN; `settings` are PostgreSQL's own, for the session."""
    session = {"search_path": schema, "timezone": "UTC", **settings}
    return {
        "application_name": "radstream-catalog",
        "connect_timeout": _CONNECT_S,
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
        "keepalives_idle": _IDLE_S,
        "keepalives_interval": _INTERVAL_S,
        "keepalives_count": _PROBES,
    }


def refusal(error: Exception) -> str:
    """Why rows were refused, without their values, which the error's own text quotes."""
    return f"PostgreSQL refuses its rows: {type(error).__name__}"


@contextmanager
def snapshot(dsn: str, schema: str = SCHEMA) -> Iterator[Cursor]:
    """One consistent look: everything read with this cursor is of one moment. Raises Away, Stop."""
    with translated(), closing(connect(dsn, schema)) as connection:
        only_look(connection)
        with connection.transaction(), connection.cursor() as cursor:
            yield cursor


def only_look(connection: Connection) -> None:
    """Every transaction of this connection from now on reads, and reads of one moment."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True


class Writer:
    """One connection for one thread, opened when it is needed and again when it broke."""

    def __init__(self, dsn: str, schema: str = SCHEMA) -> None:
        self.dsn = dsn
        self.schema = schema
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self, *, rehearsal: bool = False) -> Iterator[Cursor]:
        """Commits at the end, or rolls back; a rehearsal always does. Raises Away, Stop; BadRows pass as they are."""
        try:
            with translated():
                if self._connection is None or self._connection.closed:
                    self._connection = connect(self.dsn, self.schema)
                with self._connection.transaction(force_rollback=rehearsal), self._connection.cursor() as cursor:
                    yield cursor
        except Away:
            # The connection may be half dead: the next transaction gets a new one.
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def translated() -> Iterator[None]:
    """What PostgreSQL's errors mean: Away, Stop, or BadRows as they are."""
    try:
        yield
    except BadRows:
        raise
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Away(f"PostgreSQL does not answer as it should ({type(error).__name__})") from None
    except psycopg.ProgrammingError as error:
        raise Stop(
            f"the catalog's tables are not those of this build ({type(error).__name__}); "
            "see what is missing: radstream catalog migrate; or build them anew: radstream catalog rebuild --switch"
        ) from None
