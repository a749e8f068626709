"""A PostgreSQL server for the catalog's tests, and an empty catalog for each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from consumers.catalog.migrate import migrate
from tests.postgres import Server, run_postgres

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with run_postgres() as server:
        yield server


@pytest.fixture
def new_database(postgres: Server) -> Callable[[], str]:
    """Makes empty databases of this test's own."""
    return lambda: postgres.new_database(f"catalog{next(_NUMBERS)}")


@pytest.fixture
def dsn(new_database: Callable[[], str]) -> str:
    """A database of this test's own, migrated."""
    name = new_database()
    migrate(name)
    return name
