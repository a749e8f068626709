"""Migrations: once each, in order, by one at a time, and never silently changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from consumers.catalog import migrate as migrating
from consumers.catalog.database import connect
from consumers.catalog.migrate import MigrationChanged, migrate, packaged, pending
from streams.step import Away
from tests.ports import free_port
from tests.postgres import Server
from tests.waiting import wait_until

NewDatabase = Callable[[], str]
WAIT_S = 30.0
GUIDE = Path(__file__).parents[3] / "docs" / "operations.md"


def names() -> list[str]:
    return [migration.name for migration in packaged("before")]


def test_every_file_is_applied_once_and_in_order(new_database: NewDatabase) -> None:
    dsn = new_database()
    assert names()
    assert pending(dsn) == names() == sorted(names())
    assert migrate(dsn) == names()
    assert pending(dsn) == []
    assert migrate(dsn) == []
    assert migrate(dsn, "after") == [migration.name for migration in packaged("after")]


def test_those_who_migrate_at_once_wait_for_each_other(new_database: NewDatabase) -> None:
    dsn = new_database()
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(lambda _: migrate(dsn), range(4)))
    assert sorted(applied) == [[], [], [], names()]


def test_a_file_that_changed_after_it_was_applied_is_an_error(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE catalog.migrations SET sha256 = 'other' WHERE name = %s", (names()[0],))
    for check in (pending, migrate):
        with pytest.raises(MigrationChanged, match=names()[0]):
            check(dsn)


def test_a_server_that_is_away_is_said_to_be(postgres: Server) -> None:
    with pytest.raises(Away):
        pending(f"host=127.0.0.1 port={free_port()} user=postgres dbname=postgres")


@pytest.mark.parametrize(
    ("index", "since"), [("arrivals_by_digest", "0017"), ("instances_of_identity_by_time", "0018")]
)
def test_a_large_index_may_be_built_beforehand_while_the_catalog_is_written(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch, index: str, since: str
) -> None:
    """As docs/operations.md says."""
    said = f"CREATE INDEX CONCURRENTLY {index} "
    (statement,) = [line.strip() for line in GUIDE.read_text().splitlines() if said in line]
    dsn = migrated_until(since, new_database, monkeypatch)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())
        there = f"SELECT 'catalog.{index}'::regclass::oid".encode()
        built = connection.execute(there).fetchall()
        assert migrate(dsn)[-1] == names()[-1]
        assert connection.execute(there).fetchall() == built


@pytest.fixture
def of_before(new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database whose tables are those of before 0017."""
    return migrated_until("0017", new_database, monkeypatch)


def migrated_until(name: str, new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database whose tables are those of before a migration."""
    dsn = new_database()
    with monkeypatch.context() as before:
        before.setattr(migrating, "packaged", lambda phase: [one for one in packaged(phase) if one.name < name])
        migrate(dsn)
    return dsn


def waits(dsn: str, migrated: Future[list[str]]) -> None:
    """Until a migration waits for a lock, or has ended."""
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        "WHERE a.datname = current_database() AND NOT l.granted)"
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        wait_until(
            lambda: migrated.done() or connection.execute(waiting).fetchall() == [(True,)], "the migration", WAIT_S
        )


def test_a_batch_that_is_being_written_is_let_finish(of_before: str) -> None:
    """Its verdicts are in tables that are changed last, and then it looks into one that is changed first."""
    with ThreadPoolExecutor(1) as thread, connect(of_before) as writer:
        writer.execute("UPDATE ledger SET next_offset = next_offset")
        writer.execute("DELETE FROM verdicts")
        migrated = thread.submit(migrate, of_before)
        waits(of_before, migrated)
        assert writer.execute("SELECT count(*) FROM instances").fetchall() == [(0,)]
        writer.commit()
        assert migrated.result(WAIT_S)[-1] == names()[-1]


def test_who_reads_the_tables_in_another_order_stops_no_migration(of_before: str) -> None:
    with psycopg.connect(of_before, autocommit=True) as connection:
        # The migration is to be the one that finds out that both wait.
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET deadlock_timeout = '2s'".encode())
    with ThreadPoolExecutor(1) as thread, connect(of_before) as reader:
        reader.execute("SET deadlock_timeout = '1min'")
        reader.execute("SELECT FROM verdicts")
        migrated = thread.submit(migrate, of_before)
        waits(of_before, migrated)
        assert reader.execute("SELECT count(*) FROM instances").fetchall() == [(0,)]
        reader.commit()
        assert migrated.result(WAIT_S)[-1] == names()[-1]
