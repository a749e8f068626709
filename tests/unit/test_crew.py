"""The parent of several processes: what it does with those that die, and with those that do not answer."""

from __future__ import annotations

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from streams.backoff import Backoff
from streams.clock import SystemClock
from streams.handover import crew as crews
from streams.handover.crew import Crew, State
from streams.handover.crew_health import CrewHealth
from streams.handover.shares import Shares
from streams.health import Health
from streams.ports import Ports
from tests.waiting import wait_until

# A process that has three associations until it is told to die.
MEMBER = """
import os, sys, threading, time
from streams.handover.member import Membership
Membership(threading.Event(), int(sys.argv[-1])).shares.tell("associations", 3)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
os.kill(os.getpid(), 9)
"""


def test_what_a_process_had_is_free_when_it_is_dead_and_not_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crews, "_AGAIN", Backoff(first_s=300.0, max_s=300.0))
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", MEMBER, str(tmp_path / "die")])
    crew = Crew(2, Ports())
    other = Shares(os.dup(crew._shares), 2, 2)
    crew.members[0].start()
    try:
        assert wait_until(lambda: other.elsewhere("associations"), "what it has") == 3
        (tmp_path / "die").touch()
        wait_until(lambda: not other.elsewhere("associations"), "nothing of what it had")
        assert crew.members[0].port is None
    finally:
        crew.ending.set()
        with crew.changed:
            crew.changed.notify_all()
        crew.members[0].ended(10.0)
        os.close(crew._shares)


def test_who_ends_while_others_hand_over_is_started_again() -> None:
    """Nothing may come of the handover, and then all of them go on."""
    crew = Crew(1, Ports())
    assert crew.failed(1), "before anybody served the next would end in the same way"
    crew = Crew(1, Ports())
    crew.resume()
    crew.pause()
    assert not crew.failed(1)


class _Somebody(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello {")

    def log_message(self, *_: Any) -> None:
        pass


def test_a_port_that_somebody_else_has_by_now_does_not_end_the_parent() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Somebody)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        crew, health = Crew(1, Ports()), Health(SystemClock())
        crew.members[0].state, crew.members[0].port = State.SERVING, server.server_port
        together = CrewHealth(crew, health)
        together.look()
        assert b"process_" in generate_latest(health.registry)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
