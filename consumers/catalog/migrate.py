"""Migrations: SQL files that run once each, in order, before or after a deploy.

A file that was applied never changes again; what comes later is a new file. The record of what was applied is a table
beside the catalog's own, so every build of the catalog carries its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from psycopg import sql

from consumers.catalog.database import SCHEMA, Connection, connect

Phase = Literal["before", "after"]

# The number is the catalog's for life: whoever migrates, of any schema, waits for the one who does.
_LOCK = 7_240_731

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
    with connect(dsn, schema) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        connection.execute(_RECORD)
        todo = _pending(connection, phase)
        for migration in todo:
            connection.execute(migration.text)
            connection.execute(
                "INSERT INTO migrations (phase, name, sha256) VALUES (%s, %s, %s)",
                (migration.phase, migration.name, migration.sha256),
            )
    return [migration.name for migration in todo]


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
