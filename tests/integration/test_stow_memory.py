"""What attackers send by STOW-RS costs the router's process little memory, and it goes on."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stow import BOUNDARY, DICOM_PART, answered, body_of, file_of, request_head

ROOT = Path(__file__).resolve().parents[2]
OBJECT_BYTES_MAX = 4 << 20
ALLOWED_BYTES = 128 << 20
AT_ONCE = 12
SENT_BYTES = 32 << 20
# A router as in the other tests, in a process of its own: it says its port, and ends with its standard input.
ROUTER = f"""
import sys
from tests.stow import running_stow
with running_stow(object_bytes_max={OBJECT_BYTES_MAX}) as stow:
    print(stow.port, flush=True)
    sys.stdin.read()
"""


@dataclass
class Process:
    pid: int
    port: int

    def peak_bytes(self) -> int:
        """VmHWM (proc(5))."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) << 10

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60.0, source_address=(source, 0))

    def keeps(self) -> bool:
        """Whether a good sender, who has another address than the attackers, is served."""
        body = body_of([file_of()])
        with self.connect("127.0.0.2") as peer:
            peer.sendall(request_head(len(body), "Connection: close") + body)
            return answered(peer).status == 200


@contextmanager
def process() -> Iterator[Process]:
    command = [sys.executable, "-c", ROUTER]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        lines = (line for line in child.stdout if line.strip().isdigit())
        try:
            yield Process(child.pid, int(next(lines)))
        finally:
            child.stdin.close()
            child.wait(timeout=60)


def opening(head: str = DICOM_PART) -> bytes:
    return f"--{BOUNDARY}\r\n{head}".encode()


CHUNKED, LONG = request_head(None), request_head(1 << 40)
ATTACKS = {
    "a part over the ceiling": (LONG + opening(), bytes(1 << 20)),
    "a part of what looks like boundaries": (LONG + opening(), f"\r\n--{BOUNDARY[:-1]}".encode() * 40_000),
    "a preamble that does not end": (LONG, b"\r\n" + bytes(1 << 20)),
    "a header that does not end": (LONG + opening("X: "), b"y" * (1 << 20)),
    "headers that do not end": (LONG + opening(""), b"X: y\r\n" * 150_000),
    "an epilogue that does not end": (LONG + body_of([file_of()]), bytes(1 << 20)),
    "parts that do not end": (LONG, (opening() + b"no DICOM\r\n") * 20_000),
    "chunks of a byte": (CHUNKED + b"40\r\n" + opening()[:64].ljust(64, b" ") + b"\r\n", b"1\r\nx\r\n" * 150_000),
    "a chunk extension that does not end": (CHUNKED + b"1;", b"x" * (1 << 20)),
    "a head that does not end": (b"POST /studies HTTP/1.1\r\nX: ", b"y" * (1 << 20)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_costs_little_memory_and_a_good_sender_is_served(attack: str) -> None:
    begin, more = ATTACKS[attack]
    with process() as router, ThreadPoolExecutor(AT_ONCE) as pool:
        assert router.keeps()
        router.forget_peak()
        resting = router.peak_bytes()
        attackers = [pool.submit(flooded, router.connect, begin, more) for _ in range(AT_ONCE)]
        assert router.keeps()
        for attacker in attackers:
            attacker.result(timeout=120)
        assert router.keeps()
        assert router.peak_bytes() - resting < ALLOWED_BYTES


def flooded(connect: Callable[[], socket.socket], begin: bytes, more: bytes) -> None:
    """Sends until it is told to stop, or much has gone."""
    with connect() as peer, suppress(OSError):
        peer.sendall(begin)
        for _ in range(SENT_BYTES // len(more)):
            peer.sendall(more)
