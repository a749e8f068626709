"""The gateway of the running stack: what it answers, and what it refuses before it reads anything."""

from __future__ import annotations

import socket

import pytest
import requests

from gateway.config import Settings
from tests.running_stack import RunningStack


@pytest.fixture
def root(stack: RunningStack) -> str:
    settings = stack.config.section("gateway", Settings)
    return f"http://{settings.host}:{settings.port}"


def test_a_search_is_answered_in_dicom_json(root: str) -> None:
    answer = requests.get(f"{root}/dicomweb/studies", timeout=30)
    if answer.status_code == 204:  # Nothing was sent to this stack so far.
        assert answer.content == b""
    else:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
        assert isinstance(answer.json(), list)


def test_what_is_not_there_is_said_in_a_sentence(root: str) -> None:
    answer = requests.get(f"{root}/nothing", timeout=30)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"status": 404, "title": "There is nothing under this path."}


def test_a_question_without_end_is_refused(stack: RunningStack, root: str) -> None:
    longest = stack.config.section("gateway", Settings).target_bytes_max
    answer = requests.get(f"{root}/dicomweb/studies", params={"PatientID": "1" * longest}, timeout=30)
    assert answer.status_code == 414


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "[::2]:80", ""])
def test_another_sites_name_that_leads_here_gets_no_answer(root: str, host: str) -> None:
    answer = requests.get(f"{root}/dicomweb/studies", headers={"host": host}, timeout=30)
    assert answer.status_code in (400, 421)


def test_it_is_heard_on_this_machine_alone(stack: RunningStack) -> None:
    port = stack.config.section("gateway", Settings).port
    outside = next(
        (
            address
            for *_, (address, *_) in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
            if not str(address).startswith("127.")
        ),
        None,
    )
    if outside is None:
        pytest.skip("this machine has no address but its loopback's")
    with pytest.raises(ConnectionRefusedError), socket.create_connection((str(outside), port), timeout=5):
        pass
