"""A PostgreSQL server for the catalog's tests, and an empty catalog for each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from consumers.catalog.migrate import migrate
from tests.postgres import Server, run_postgres

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with run_postgres() as server:
        yield server


@pytest.fixture
def dsn(postgres: Server) -> str:
    """A database of this test's own, migrated."""
    name = postgres.new_database(f"catalog{next(_NUMBERS)}")
    migrate(name)
    return name
