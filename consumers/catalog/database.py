"""Connections to the catalog's PostgreSQL, and what its errors mean for who writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

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
        return psycopg.connect(
            dsn,
            application_name="radstream-catalog",
            connect_timeout=_CONNECT_S,
            options=f"-c search_path={schema} -c timezone=UTC",
            keepalives_idle=_IDLE_S,
            keepalives_interval=_INTERVAL_S,
            keepalives_count=_PROBES,
        )
    except psycopg.OperationalError as error:
        raise Away(f"PostgreSQL cannot be reached ({type(error).__name__})") from None


def refusal(error: Exception) -> str:
    """Why rows were refused, without their values, which the error's own text quotes."""
    return f"PostgreSQL refuses its rows: {type(error).__name__}"


@contextmanager
def snapshot(dsn: str, schema: str = SCHEMA) -> Iterator[Cursor]:
    """One consistent look: everything read with this cursor is of one moment. Raises Away, Stop."""
    with _translated(), closing(connect(dsn, schema)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction(), connection.cursor() as cursor:
            yield cursor


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
            with _translated():
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
def _translated() -> Iterator[None]:
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
