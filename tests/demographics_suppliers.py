"""Patient demographics suppliers on loopback: one that knows patients and reads by `hl7`, and ones that are hostile."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import hl7


@dataclass(frozen=True)
class Person:
    number: str
    issuer: str
    family: str
    given: str
    birth_date: str = ""
    sex: str = ""

    def pid(self, more: str = "") -> str:
        return f"PID|||{self.number}^^^{self.issuer}^MR{more}||{self.family}^{self.given}||{self.birth_date}|{self.sex}"

    def field(self, name: str) -> str:
        return {
            "PID.3.1": self.number,
            "PID.3.4.1": self.issuer,
            "PID.5.1.1": self.family,
            "PID.5.2": self.given,
            "PID.7": self.birth_date,
            "PID.8": self.sex,
        }[name]


@dataclass
class Knowing:
    """Answers as ITI-21 has it, and keeps the queries that it was asked."""

    persons: list[Person]
    queries: list[hl7.Message] = field(default_factory=list)
    port: int = 0

    @property
    def criteria(self) -> list[dict[str, str]]:
        return [criteria_of(one) for one in self.queries]

    def answer(self, query: hl7.Message) -> str:
        self.queries.append(query)
        asked = criteria_of(query)
        found = [one for one in self.persons if all(_alike(one.field(name), value) for name, value in asked.items())]
        limit = int(str(query["RCP"][0][2]).split("^")[0])
        lines = [
            r"MSH|^~\&|MPI|NORTH|RADSTREAM|here|20261129120000||RSP^K22^RSP_K21|R1|P|2.5||||||UNICODE UTF-8",
            f"MSA|AA|{query['MSH'][0][10]}",
            f"QAK|{query['QPD'][0][2]}|{'OK' if found else 'NF'}",
            str(query["QPD"][0]),
            *(one.pid() for one in found[:limit]),
            *(["DSC|4711|I"] if len(found) > limit else []),
        ]
        return "\r".join(lines) + "\r"


def criteria_of(query: hl7.Message) -> dict[str, str]:
    """QPD-3 by field."""
    said = (str(one).partition("^") for one in query["QPD"][0][3])
    return {name.removeprefix("@"): query.unescape(value) for name, _, value in said}


def _alike(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


@contextmanager
def knowing(*persons: Person, tls: ssl.SSLContext | None = None) -> Iterator[Knowing]:
    """Listens on a free port of loopback until the block ends."""
    made = Knowing(list(persons))

    def say(peer: socket.socket, data: bytes) -> None:
        assert data.startswith(b"\x0b")
        assert data.endswith(b"\x1c\r")
        answer = made.answer(hl7.parse(data[1:-2].decode()))
        hl7.parse(answer)  # raises where it is no message
        peer.sendall(b"\x0b" + answer.encode() + b"\x1c\r")

    with hostile(say, tls) as made.port:
        yield made


@contextmanager
def hostile(say: Callable[[socket.socket, bytes], None], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Its port: each connection is read once, then `say` has it, with what came, until the block ends."""
    listening, ended = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        while not ended.is_set():
            # Whoever comes may go again, or not be let in.
            with suppress(OSError):
                peer, _ = listening.accept()
                with peer if tls is None else tls.wrap_socket(peer, server_side=True) as connected:
                    if query := connected.recv(65_536):
                        say(connected, query)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        ended.set()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)
