"""Migrations: once each, in order, by one at a time, and never silently changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from consumers.catalog.migrate import MigrationChanged, migrate, packaged, pending
from streams.step import Away
from tests.postgres import Server, free_port

NewDatabase = Callable[[], str]


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
