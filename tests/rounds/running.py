"""Rounds: faults at random moments while four associations send, and all is well again after each."""

from __future__ import annotations

import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import urllib3

from producers.dicom_router.spool import aside
from producers.dicom_router.spool.census import census
from streams.config import Store
from streams.s3 import S3Store
from tests.rounds.accounting import account
from tests.rounds.faults import Fault, Faults
from tests.rounds.logbook import Logbook
from tests.rounds.report import Report, report
from tests.rounds.senders import TITLES, Notes, Senders
from tests.rounds.site import FaultSite
from tests.waiting import wait_until

BEFORE_S_MAX, LASTS_S = 0.3, (0.1, 1.2)
LOOK_EVERY = 25
# After the last fault of a round is undone. A breaker probes every five seconds at the most, librdkafka every ten.
WELL_S_MAX, DRAINED_S_MAX = 300.0, 600.0
_REPLICATED = re.compile(rb'(?m)^radstream_acknowledged_total\{promise="replicated"\} (\S+)$')


@contextmanager
def _interrupt() -> Iterator[threading.Event]:
    """Set by SIGINT, which does nothing else meanwhile."""
    event = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


class Rounds:
    """Some rounds on a site, from a seed: the same faults in the same order, at moments of the day."""

    def __init__(self, site: FaultSite, seed: int) -> None:
        self._site = site
        self._chance = random.Random(seed)
        self._faults = Faults(site, self._chance)
        self._counted: Counter[str] = Counter()
        self._notes = Notes(seed)
        self._book = Logbook(site.stack)

    def run(self, rounds: int, say: Callable[[str], None]) -> Report:
        """Ctrl-C ends them after the round that is under way; what was sent until then is accounted for."""
        began_s = time.monotonic()
        senders = Senders(self._site.target, self._notes)
        done = 0
        try:
            with _interrupt() as interrupted:
                while done < rounds and not interrupted.is_set():
                    done += 1
                    self._round(done, senders)
                    if done % LOOK_EVERY == 0:
                        self._look()
                        acknowledged = len(self._notes.acknowledged)
                        say(f"{done} of {rounds} rounds: {acknowledged} instances acknowledged, each has its event")
        finally:
            senders.stop()
        senders.check()
        seconds = time.monotonic() - began_s
        self._look()
        store = S3Store(self._site.stack.config.section("store", Store))
        rows = self._book.rows()
        accounts = account(self._notes.asked, self._notes.acknowledged, self._book.events, store, rows)
        left_out = "" if self._site.disks else "full disks, which need root, loop devices and ext4"
        return report(self._notes, self._counted, accounts, done, seconds, left_out)

    def _round(self, number: int, senders: Senders) -> None:
        faults = self._faults.draw()
        structlog.get_logger().info("round", number=number, faults=[fault.name for fault in faults])
        begun: list[Fault] = []
        try:
            for fault in faults:
                senders.pause(self._chance.uniform(0, BEFORE_S_MAX))
                fault.begin()
                begun.append(fault)
            senders.pause(self._chance.uniform(*LASTS_S))
        finally:
            for fault in reversed(begun):
                fault.end()
        self._counted.update(fault.name for fault in faults)
        self._site.stack.wait()
        self._wait_until_well(senders)

    def _wait_until_well(self, senders: Senders) -> None:
        """Every sender is told 0x0000 again, and some of it with store and log behind it."""
        told, replicated = self._told(), self._replicated()

        def is_well() -> bool:
            senders.check()
            now = self._told()
            return all(now[title] > told[title] for title in TITLES) and self._replicated() > replicated

        wait_until(is_well, "all senders to be acknowledged again, one of them by store and log", WELL_S_MAX)

    def _told(self) -> Counter[str]:
        with self._notes.lock:
            return self._notes.of_title.copy()

    def _replicated(self) -> float:
        """What this process of the router has acknowledged so."""
        port = self._site.stack.ports["router-http"]
        found = _REPLICATED.search(urllib3.request("GET", f"http://127.0.0.1:{port}/metrics", timeout=60.0).data)
        return float(found[1]) if found else 0.0

    def _look(self) -> None:
        """Whether the log has an event of all that was acknowledged when the look began, once the spool is drained."""
        spool = self._site.spool
        with self._notes.lock:
            acknowledged = set(self._notes.acknowledged)
        wait_until(lambda: not acknowledged & census(spool).waiting, "the spool to be drained", DRAINED_S_MAX)
        assert aside.count(spool) == 0, "something was set aside on the spool"
        self._book.read_on()
        missing = acknowledged - {event.instance.digest for event in self._book.events}
        assert not missing, f"acknowledged, and the log has no event: {sorted(missing)[:5]} and {len(missing)} in all"
