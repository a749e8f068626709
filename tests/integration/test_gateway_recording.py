"""What the gateway writes of who reads, and what it takes from a browser's page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from consumers.catalog.migrate import migrate
from gateway import listings
from streams import accesses
from streams.events import AccessRead, AuditEvent, Event
from streams.memory_log import MemoryLog
from tests.catalogs import projected
from tests.event_streams import Hospital, inputs, new_log, partitions_of, write
from tests.gateways import running_gateway
from tests.postgres import Server, run_postgres
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_postgres() as running:
        yield running


@pytest.fixture
def log() -> MemoryLog:
    return new_log()


@pytest.fixture
def study(server: Server, log: MemoryLog, request: pytest.FixtureRequest) -> tuple[str, str]:
    """DSN of a catalog, and the study that is in it."""
    dsn = server.new_database(request.node.name)
    migrate(dsn)
    hospital = Hospital()
    images = hospital.study("P1", "DOE^JANE")
    write(log, [*images, *map(hospital.validated, images)])
    projected(dsn, log, hospital)
    return dsn, images[0].instance.study_uid


def events(log: MemoryLog, kind: type[Event]) -> list[Event]:
    return [item.event for name in partitions_of(log) for item in inputs(log, name) if isinstance(item.event, kind)]


def test_who_is_shown_a_study_from_his_cache_reads_it_too(log: MemoryLog, study: tuple[str, str]) -> None:
    dsn, uid = study
    with running_gateway(dsn, log) as client:
        answer = client.get(f"{client.root}/studies/{uid}/metadata", headers={"if-none-match": "*"}, timeout=30)
    assert answer.status_code == 304
    (read,) = events(log, AccessRead)
    assert isinstance(read, AccessRead)
    assert (read.study_uid, read.reads) == (uid, 6)


def test_what_was_summed_is_told_in_its_time_though_nobody_asks_any_more(
    log: MemoryLog, study: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accesses, "INTERVAL_S", 2.0)
    monkeypatch.setattr(listings, "INTERVAL_S", 2.0)
    dsn, uid = study
    with running_gateway(dsn, log) as client:
        for _ in range(2):
            assert client.find("/studies").status_code == 200
            client.get(f"{client.root}/studies/{uid}/metadata", headers={"if-none-match": "*"}, timeout=30)
        wait_until(lambda: len(events(log, AccessRead)) == 2, "the second event of reads")
        wait_until(lambda: len(events(log, AuditEvent)) == 2, "the second event of lists")


def test_what_skips_more_than_it_may_is_told_to_narrow_down(log: MemoryLog, study: tuple[str, str]) -> None:
    with running_gateway(study[0], log, skipped_max=5) as client:
        for offset in (6, 9_999_999_999):
            refused = client.find("/instances", offset=str(offset))
            assert (refused.status_code, "narrow" in refused.json()["title"]) == (400, True)
        assert len(client.find("/instances", offset="5").json()) == 1


class _Router(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


@contextmanager
def router() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Router) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}"
        finally:
            running.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 200),
        ({"origin": "{own}", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "null", "sec-fetch-site": "cross-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "https://evil.example", "sec-fetch-site": "same-origin"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_nothing_is_stored_that_another_sites_page_has_sent(
    log: MemoryLog, server: Server, said: dict[str, str], status: int
) -> None:
    with router() as url, running_gateway(server.dsn(), log, stow_url=url) as client:
        own = client.root.removesuffix("/dicomweb")
        headers = {name: value.format(own=own) for name, value in said.items()}
        headers["content-type"] = 'multipart/related; type="application/dicom"; boundary=b'
        assert requests.post(f"{client.root}/studies", data=b"--b--", headers=headers, timeout=30).status_code == status
