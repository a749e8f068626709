"""What a browser is told with every answer, and which of its requests are none of the reader's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request

from gateway.dicomweb.answering import byte_range
from streams.memory_log import MemoryLog
from tests.gateways import Client, running_gateway

NOWHERE = "postgresql://127.0.0.1:1/nowhere"
PAGES = ("/openapi.json", "/static/page.js", "/nothing", "/study/x", "/dicomweb/studies/1.2/rendered", "/dicomweb")
FOLLOWED = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
EMBEDDED = {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with running_gateway(NOWHERE, MemoryLog()) as client:
        yield client


def address(client: Client, path: str) -> str:
    return client.root.removesuffix("/dicomweb") + path


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT"])
def test_nothing_is_guessed_at_embedded_or_kept_unasked(client: Client, path: str, method: str) -> None:
    said = client.request(method, address(client, path), headers={"accept": "*/*"}, timeout=30).headers
    assert said["x-content-type-options"] == "nosniff"
    assert said["cross-origin-resource-policy"] == "same-origin"
    assert said["cache-control"] in ("no-store", "no-cache")
    # The list of names and values of an answer, each once.
    assert "," not in said["cache-control"] + said["x-content-type-options"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/openapi.json", "/dicomweb/studies/1.2/rendered", "/dicomweb/studies", "/events"])
def test_another_sites_page_has_nothing_read_in_a_readers_name(client: Client, site: str, path: str) -> None:
    answer = client.get(address(client, path), headers={"sec-fetch-site": site, **EMBEDDED}, timeout=30)
    assert answer.status_code == 403
    assert "window of its own" in answer.json()["title"]


@pytest.mark.parametrize(
    "said",
    [
        {"sec-fetch-site": "same-origin", **EMBEDDED},
        {"sec-fetch-site": "none", **FOLLOWED},
        {"sec-fetch-site": "cross-site", **FOLLOWED},
        {},
    ],
)
def test_our_pages_links_and_programs_are_answered(client: Client, said: dict[str, str]) -> None:
    assert client.get(address(client, "/openapi.json"), headers=said, timeout=30).status_code == 200


@pytest.mark.parametrize(
    ("method", "more"), [("POST", FOLLOWED), ("GET", FOLLOWED | {"sec-fetch-dest": "iframe"}), ("GET", {})]
)
def test_what_is_no_link_is_not_followed(client: Client, method: str, more: dict[str, str]) -> None:
    said = {"sec-fetch-site": "cross-site", **more}
    assert client.request(method, address(client, "/openapi.json"), headers=said, timeout=30).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender"])
def test_another_sites_page_has_nothing_read_ahead_of_a_click(client: Client, site: str, purpose: str) -> None:
    """Before, a page's speculation rules read as a link that is followed: a study was read, and restored, unasked."""
    said = {"sec-fetch-site": site, "sec-purpose": purpose, **FOLLOWED}
    assert client.get(address(client, "/openapi.json"), headers=said, timeout=30).status_code == 403
    for ours in ("same-origin", "none"):
        answer = client.get(address(client, "/openapi.json"), headers=said | {"sec-fetch-site": ours}, timeout=30)
        assert answer.status_code == 200


@pytest.mark.parametrize("said", ["203.0.113.9", "nobody", "127.0.0.2, 127.0.0.3", ""])
def test_who_asks_is_who_is_connected(client: Client, said: str) -> None:
    """Before, any program of this machine could say of itself who it is: in the audit, and to the limits."""
    more = {"x-forwarded-for": said, "x-forwarded-proto": "https"}
    answer = client.options(address(client, "/dicomweb"), headers={"accept": "*/*", **more}, timeout=30)
    assert answer.status_code == 200
    assert f'base="{client.root}"' in answer.text


@pytest.mark.parametrize(
    ("said", "status"),
    [("203.0.113.9", 200), ("198.51.100.1", 403), ("nobody", 403), ("203.0.113.9, 198.51.100.1", 403)],
)
def test_a_proxy_that_is_named_says_for_whom_it_asks(said: str, status: int) -> None:
    named = {"proxies": ("127.0.0.1",), "addresses": ("203.0.113.0/24",)}
    with running_gateway(NOWHERE, MemoryLog(), **named) as client:
        more = {"x-forwarded-for": said, "x-forwarded-proto": "https"}
        answer = client.options(address(client, "/dicomweb"), headers={"accept": "*/*", **more}, timeout=30)
        assert answer.status_code == status
        assert status != 200 or f'base="{client.root.replace("http:", "https:")}"' in answer.text
        itself = client.options(address(client, "/dicomweb"), headers={"accept": "*/*"}, timeout=30)
        assert itself.status_code == 403


def ranged(text: str) -> tuple[int, int] | None:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"range", text.encode())], "query_string": b""}
    return byte_range(Request(scope), '"1"', 100)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("text", ["bytes=%sx", "bytes%s", "bytes=1%sx", "bytes=1-%sx", "%sbytes"])
def test_a_range_of_blanks_is_read_at_once(text: str) -> None:
    """Before, 60 kB of them took nine seconds, in which nobody was answered."""
    assert ranged(text % (" " * 60_000)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("bytes=0-9", (0, 10)), (" Bytes = 5 - 7 ", (5, 3)), ("bytes=-10", (90, 10)), ("bytes=200-", (-1, 0))],
)
def test_ranges(text: str, expected: tuple[int, int]) -> None:
    assert ranged(text) == expected


def test_the_viewers_page_shows_documents_of_ours_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>viewer</p>", encoding="utf-8")
    with running_gateway(NOWHERE, MemoryLog(), viewer=tmp_path) as client:
        said = client.get(address(client, "/viewer"), timeout=30).headers
    assert "object-src 'self';" in said["content-security-policy"]
    assert said["cross-origin-embedder-policy"] == "require-corp"
