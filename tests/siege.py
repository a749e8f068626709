"""A service in a process of its own, a good peer in another, and attackers here: what all of them are measured by.

While an attack is on and after it, the good peer is answered within ANSWER_S each time; the service's memory is never
more than GROWN_BYTES_MAX above what it was at rest; and it goes on.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]
ANSWER_S = 1.0
GROWN_BYTES_MAX = 128 << 20
# So many answers while the attack is at its height, and after it.
_ANSWERS = 5

# Begins an attack and holds it until it is closed.
Attack = Callable[["Besieged", int], AbstractContextManager[None]]


class GoodPeer:
    """`took_s` are its answers so far, in seconds each."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.took_s: list[float] = []
        self._process = process
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def answered(self) -> None:
        """Waits for some more answers."""
        wanted = len(self.took_s) + _ANSWERS
        wait_until(lambda: len(self.took_s) >= wanted or self._process.poll() is not None, "answers to the good peer")
        assert self._process.poll() is None, "the good peer was not answered"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.took_s.append(float(line))


@dataclass
class Besieged:
    """The service: its ports by name, and what memory it had at rest."""

    process: subprocess.Popen[str]
    ports: dict[str, int]
    good: GoodPeer
    resting: int = 0
    # So that each attack may come from addresses of its own.
    attacks: int = 0

    def withstands(self, attack: Attack, attackers: int) -> None:
        good = self.good
        self.attacks += 1
        good.answered()
        if not self.resting:
            self.resting = self._peak()
        self._forget_peak()
        good.took_s.clear()
        self._attacked(attack, attackers)
        good.answered()
        grown = self._peak() - self.resting
        assert self.process.poll() is None, "the service is gone"
        assert grown <= GROWN_BYTES_MAX, f"memory grew by {grown >> 20} MiB"
        assert max(good.took_s) <= ANSWER_S, f"the good peer waited {max(good.took_s):.2f} s"

    def _attacked(self, attack: Attack, attackers: int) -> None:
        over = threading.Event()
        begun = threading.Semaphore(0)

        def run(number: int) -> None:
            try:
                with attack(self, number):
                    begun.release()
                    over.wait(60.0)
            finally:
                begun.release()

        with ThreadPoolExecutor(attackers) as pool:
            running = [pool.submit(run, number) for number in range(attackers)]
            try:
                for _ in running:
                    assert begun.acquire(timeout=60.0), "an attacker is stuck"
                self.good.answered()
            finally:
                over.set()
            for one in running:
                one.result()

    def _peak(self) -> int:
        """VmHWM (proc(5)), in bytes."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) << 10

    def _forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


@contextmanager
def besieged(kind: str, folder: Path) -> Iterator[Besieged]:
    """`kind` as `tests.besieged` has it."""
    with _started("tests.besieged", kind, str(folder)) as process:
        ports = json.loads(_line(process.stdout))
        talks = "hl7" if "hl7" in ports else "dicom"
        secured = (str(folder),) if (folder / "scanner.json").exists() else ()
        with _started("tests.good_peer", talks, str(ports[talks]), *secured) as good:
            yield Besieged(process, ports, GoodPeer(good))


@contextmanager
def _started(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()
