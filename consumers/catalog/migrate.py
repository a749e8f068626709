"""Migrations: SQL files that run once each, in order, before or after a deploy.

A file that was applied never changes again; what comes later is a new file. The record of what was applied is a table
beside the catalog's own, so every build of the catalog carries its own.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from psycopg import sql
from psycopg.errors import DeadlockDetected

from consumers.catalog.database import SCHEMA, Connection, connect
from streams.step import Away

Phase = Literal["before", "after"]

# The number is the catalog's for life: whoever migrates, of any schema, waits for the one who does.
_LOCK = 7_240_731
# Readers go on meanwhile, and may have the tables in another order. The longest work comes after the last lock.
_TRIES = 10

_RECORD = """
CREATE TABLE IF NOT EXISTS migrations (
    phase text NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (phase, name)
)
"""


class MigrationChanged(Exception):
    """A file that was applied is not what it was. The text says which and what to do."""


@dataclass(frozen=True)
class Migration:
    phase: Phase
    name: str
    text: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text).hexdigest()


def packaged(phase: Phase) -> list[Migration]:
    """The files of a phase, in the order of their names."""
    folder = files("consumers.catalog").joinpath("migrations", phase)
    found = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return [Migration(phase, file.name, file.read_bytes()) for file in sorted(found, key=lambda file: file.name)]


def migrate(dsn: str, phase: Phase = "before", schema: str = SCHEMA) -> list[str]:
    """Applies what is pending, all or nothing; the names of what was applied. Raises MigrationChanged, Away."""
    for _ in range(_TRIES):
        with suppress(DeadlockDetected):
            return _migrate(dsn, phase, schema)
    raise Away(f"readers of the catalog kept its tables from being migrated, {_TRIES} times; try again")


def _migrate(dsn: str, phase: Phase, schema: str) -> list[str]:
    with connect(dsn, schema) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        connection.execute(_RECORD)
        todo = _pending(connection, phase)
        if todo:
            _keep_writers_waiting(connection)
        for migration in todo:
            connection.execute(migration.text)
            connection.execute(
                "INSERT INTO migrations (phase, name, sha256) VALUES (%s, %s, %s)",
                (migration.phase, migration.name, migration.sha256),
            )
    return [migration.name for migration in todo]


def _keep_writers_waiting(connection: Connection) -> None:
    """A batch moves the ledger before it writes: whoever writes is let finish, and nobody begins.

    Else one would hold a table that is to be changed and wait for one that is, and what a migration works out of facts
    would be without those that are not committed yet.
    """
    there = connection.execute("SELECT to_regclass('ledger')").fetchone()
    if there and there[0]:
        connection.execute("LOCK TABLE ledger IN EXCLUSIVE MODE")


def pending(dsn: str, phase: Phase = "before", schema: str = SCHEMA) -> list[str]:
    """Names of what was not applied yet; everything where there are no tables. Raises MigrationChanged, Away."""
    with connect(dsn, schema) as connection:
        there = connection.execute("SELECT to_regclass('migrations')").fetchone()
        if there is None or there[0] is None:
            return [migration.name for migration in packaged(phase)]
        return [migration.name for migration in _pending(connection, phase)]


def _pending(connection: Connection, phase: Phase) -> list[Migration]:
    rows = connection.execute("SELECT name, sha256 FROM migrations WHERE phase = %s", (phase,)).fetchall()
    applied: dict[str, str] = dict(rows)
    known = packaged(phase)
    for migration in known:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise MigrationChanged(
                f"migration {phase}/{migration.name} was applied and has changed since; "
                "put the old text back and write the change as a new migration"
            )
    return [migration for migration in known if migration.name not in applied]
