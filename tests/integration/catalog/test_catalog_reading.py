"""Kept connections: none while nobody asks, a restart goes unnoticed, and a question cannot run for ever."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from consumers.catalog import answering, reading
from consumers.catalog.migrate import migrate
from consumers.catalog.reading import Reads
from gateway import catalog
from gateway.catalog import Catalog
from streams.step import Away
from streams.stop import Stop
from tests.ports import free_port
from tests.postgres import Server, run_postgres
from tests.waiting import wait_until

_OPEN = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'radstream-catalog' AND datname = %s"


@pytest.fixture
def server() -> Iterator[Server]:
    """One that may be killed."""
    with run_postgres() as started:
        yield started


def connections(server: Server, database: str) -> int:
    with psycopg.connect(server.dsn()) as watching:
        found = watching.execute(_OPEN, (database,)).fetchone()
    return int(found[0]) if found else 0


def asked(reads: Reads, query: str = "SELECT count(*) FROM studies") -> object:
    with reads.snapshot() as cursor:
        found = cursor.execute(query.encode()).fetchone()
    return found and found[0]


def test_a_connection_is_kept_for_the_next_question_and_a_restart_goes_unnoticed(server: Server) -> None:
    dsn = server.new_database("kept")
    migrate(dsn)
    with closing(Reads(dsn)) as reads:
        assert connections(server, "kept") == 0
        backends = {asked(reads, "SELECT pg_backend_pid()") for _ in range(5)}
        assert len(backends) == 1
        for how in (signal.SIGINT, signal.SIGQUIT):
            server.stop(how)
            server.start()
            assert asked(reads) == 0, f"the first question after {how.name}"
        assert asked(reads, "SELECT pg_backend_pid()") not in backends
    wait_until(lambda: connections(server, "kept") == 0, "the connections being closed")


def test_many_ask_at_once_over_a_few_connections(postgres: Server, dsn: str) -> None:
    database = dsn.rpartition("=")[2]
    with closing(Reads(dsn, connections_max=2)) as reads, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: asked(reads), range(40))) == [0] * 40
        assert 1 <= connections(postgres, database) <= 2


def test_a_question_is_of_one_moment_writes_nothing_and_ends(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_STATEMENT_MS_MAX", 2000)
    with closing(Reads(dsn)) as reads:
        assert asked(reads, "SELECT current_setting('transaction_isolation')") == "repeatable read"
        with pytest.raises(Stop):
            asked(reads, "SELECT nothing FROM studies")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            asked(reads, "DELETE FROM studies")
        with pytest.raises(Away, match="QueryCanceled"):
            asked(reads, "SELECT pg_sleep(60)")
        assert asked(reads) == 0


@pytest.mark.timed
def test_a_server_that_is_away_is_said_so_within_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_WAIT_S_MAX", 1.0)
    began = time.monotonic()
    dsn = f"host=127.0.0.1 port={free_port()} user=postgres dbname=none"
    with closing(Reads(dsn)) as reads, pytest.raises(Away):
        asked(reads)
    assert time.monotonic() - began < 20.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (answering, "ANSWERS_S", 1.5),
        (reading, "_WAIT_S_MAX", 3.0),
        (catalog, "_WAIT_S_MAX", 3.0),
        (reading, "BEYOND_S", 3.0),
        (catalog, "BEYOND_S", 3.0),
        (reading, "_STATEMENT_MS_MAX", 3000),
        (catalog, "_STATEMENT_MS_MAX", 3000),
    ):
        monkeypatch.setattr(module, name, value)


def asked_by_threads(dsn: str, disturb: Callable[[Callable[[str], object]], None]) -> None:
    with closing(Reads(dsn)) as reads:
        disturb(lambda query: asked(reads, query))


def asked_in_a_loop(dsn: str, disturb: Callable[[Callable[[str], object]], None]) -> None:
    """By the gateway's pool, from another thread than its loop's."""

    async def ask(pool: Catalog, query: str) -> object:
        async with pool.snapshot() as cursor:
            found = await (await cursor.execute(query.encode())).fetchone()
        return found and found[0]

    async def run() -> None:
        loop, pool = asyncio.get_running_loop(), Catalog(dsn, 2)
        await pool.open()
        try:
            ask_it = lambda query: asyncio.run_coroutine_threadsafe(ask(pool, query), loop).result()  # noqa: E731
            await asyncio.to_thread(disturb, ask_it)
        finally:
            await pool.close()

    asyncio.run(run())


@pytest.mark.parametrize("asking", [asked_by_threads, asked_in_a_loop])
@pytest.mark.usefixtures("impatient")
def test_a_server_that_hangs_is_said_so_and_asked_again_when_it_goes_on(
    server: Server, asking: Callable[[str, Callable[[Callable[[str], object]], None]], None]
) -> None:
    dsn = server.new_database("hangs")
    migrate(dsn)
    one, slow = "SELECT 1", "SELECT pg_sleep(2.7)"

    def disturb(ask: Callable[[str], object]) -> None:
        # On a busy machine the first connection may not be made in three seconds.
        wait_until(lambda: is_answered(ask, one), "the first answer")
        with ThreadPoolExecutor(2) as threads:
            with server.frozen():
                # By a connection that is kept, and by one that is to be made.
                asked_now = [threads.submit(ask, one) for _ in range(2)]
                assert [type(done.exception(timeout=180)) for done in asked_now] == [Away, Away]
            wait_until(lambda: is_answered(ask, one), "an answer")
            # A connection is not made in the time that the question takes, on a busy machine.
            with psycopg.connect(server.dsn(), autocommit=True) as watching:
                asked_slowly = [threads.submit(ask, slow)]

                def is_under_way() -> bool:
                    # A pause may be longer than the question: then it is asked again.
                    if asked_slowly[-1].done():
                        asked_slowly.append(threads.submit(ask, slow))
                    return is_active(watching, slow)

                wait_until(is_under_way, "the question under way")
                with server.frozen():
                    assert type(asked_slowly[-1].exception(timeout=180)) is Away
        wait_until(lambda: is_answered(ask, one), "an answer again")
        # What was given up is no connection any more.
        wait_until(lambda: connections(server, "hangs") <= 2, "connections that nobody has to be closed")

    asking(dsn, disturb)


def is_answered(ask: Callable[[str], object], query: str) -> bool:
    try:
        return ask(query) == 1
    except Away:
        return False


def is_active(watching: psycopg.Connection, query: str) -> bool:
    found = watching.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s", (query,)
    ).fetchone()
    return bool(found and found[0])
