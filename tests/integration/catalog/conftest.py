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


@pytest.fixture(scope="session")
def migrated(postgres: Server) -> str:
    """The name of a database that was migrated and is copied: ten times as fast as to migrate each."""
    migrate(postgres.new_database("migrated"))
    return "migrated"


@pytest.fixture
def new_catalog(postgres: Server, migrated: str) -> Callable[[], str]:
    """Makes databases of this test's own, migrated."""
    return lambda: postgres.new_database(f"catalog{next(_NUMBERS)}", migrated)


@pytest.fixture
def dsn(new_catalog: Callable[[], str]) -> str:
    """A database of this test's own, migrated."""
    return new_catalog()
