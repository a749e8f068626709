"""What is refused before anything is read for it: too many requests, too many listeners, too long a body."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
import requests

from gateway.app import DICOMWEB
from tests.event_streams import new_log
from tests.gateways import Client, running_gateway
from tests.waiting import wait_until

NOWHERE = "postgresql://127.0.0.1:1/nowhere"
BODY_BYTES_MAX = 2048


def events(client: Client) -> requests.Response:
    """An answer that goes on until it is closed."""
    return requests.get(f"{root_of(client)}/events", stream=True, timeout=30)


def root_of(client: Client) -> str:
    return client.root.removesuffix(DICOMWEB)


def test_more_requests_than_are_taken_at_once_are_told_to_ask_again() -> None:
    with running_gateway(NOWHERE, new_log(), requests_max=1) as client:
        with closing(events(client)) as listening:
            assert listening.status_code == 200
            refused = client.get(f"{root_of(client)}/openapi.json", timeout=30)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["title"] == "Too many requests are under way."

        def is_answered() -> bool:
            return client.get(f"{root_of(client)}/openapi.json", timeout=30).status_code == 200

        wait_until(is_answered, "room for the next request", 30.0)


def test_more_listeners_than_are_told_are_refused_and_everything_else_is_answered() -> None:
    with running_gateway(NOWHERE, new_log(), listeners_max=1) as client:
        with closing(events(client)) as listening:
            assert listening.raw.read(8)
            with closing(events(client)) as refused:
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
                assert refused.json()["title"] == "Too many listen to events."
            assert client.get(f"{root_of(client)}/openapi.json", timeout=30).status_code == 200

        def is_told() -> bool:
            with closing(events(client)) as answer:
                return answer.status_code == 200

        wait_until(is_told, "room for the next listener", 30.0)


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_form_that_is_too_long_is_refused_whether_it_says_so_or_not(is_announced: bool) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"note="
        for _ in range(BODY_BYTES_MAX):
            yield b"x"

    with running_gateway(NOWHERE, new_log(), body_bytes_max=BODY_BYTES_MAX) as client:
        said = {"origin": root_of(client), "content-type": "application/x-www-form-urlencoded"}
        body = b"".join(pieces()) if is_announced else pieces()
        answer = requests.post(f"{root_of(client)}/study/1.2.3/reviews", data=body, headers=said, timeout=30)
    assert answer.status_code == 413
    assert answer.json()["title"] == f"The request's body is larger than {BODY_BYTES_MAX} bytes."
