"""Each attack on the listener for orders: an order is answered within a second all the while, and memory stays."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from producers.orders.framing import END, START, framed
from tests.hl7_messages import ORM
from tests.siege import Attack, Besieged, besieged

pytestmark = pytest.mark.timed

MIB = 1 << 20
# One address may have 8 connections.
PER_PEER = 8


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged("orders", tmp_path_factory.mktemp("orders")) as one:
        yield one


def saying(data: bytes, more: bytes = b"", times: int = 0) -> Attack:
    """Says something, and more until it is not taken any more, and stays."""

    @contextmanager
    def attack(listener: Besieged, number: int) -> Iterator[None]:
        source = (f"127.0.{listener.attacks}.{9 + number // PER_PEER}", 0)
        with ExitStack() as stack:
            with suppress(OSError):
                ris = socket.create_connection(("127.0.0.1", listener.ports["hl7"]), 30, source_address=source)
                stack.enter_context(ris)
                ris.sendall(data)
                for _ in range(times):
                    ris.sendall(more)
            yield

    return attack


@contextmanager
def flooding(listener: Besieged, number: int) -> Iterator[None]:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", listener.ports["hl7"]), 30) as one:
            one.sendall(START)
    yield


def of_a_thousand() -> bytes:
    """A message with as many orders as allergies, each long."""
    head, pid, visit, *group = ORM.split("\r")
    lines = [head, pid, visit] + ["AL1|||" + "^x&" * 160] * 900 + group[:2] * 500
    return framed("\r".join(lines).encode())


def of_fields(field: str) -> bytes:
    """A message of a megabyte, all of it separators and next to nothing."""
    head, *rest = ORM.split("\r")
    return framed("\r".join((head, "ZZZ" + field * ((MIB - 2000) // len(field.encode())), *rest)).encode())


# By name: how many attackers, and what each of them does.
ATTACKS: dict[str, tuple[int, Attack]] = {
    "idle connections": (30, saying(b"")),
    "messages that do not go on": (30, saying(START + ORM.encode()[:200])),
    "a message that does not end": (24, saying(START + ORM.encode(), bytes(MIB), 100)),
    "messages that lack their end": (30, saying(START + ORM.encode() + b"x" * (MIB - 2000))),
    "no messages at all": (30, saying(b"GET / HTTP/1.1\r\n\r\n")),
    "a thousand orders": (8, saying(of_a_thousand() * 3)),
    "a million fields": (24, saying(of_fields("|") * 3)),
    "fields of two letters": (24, saying(of_fields("|é€") * 3)),
    "lines of nothing": (24, saying(framed(ORM.encode() + b"\r" * (MIB - 2000)) * 3)),
    "empty messages": (8, saying((START + END) * 5000)),
    "a flood of connections": (8, flooding),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_withstood(listener: Besieged, attack: str) -> None:
    attackers, does = ATTACKS[attack]
    listener.withstands(does, attackers)
