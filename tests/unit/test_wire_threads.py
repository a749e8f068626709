"""Structs whose first use may come to several threads at once: the first records, the first race, the first topic."""

import subprocess
import sys

import pytest

# A process for each try: what crashed was the very first use of a Struct, and a crash takes its process with it.
FIRST_USE_BY_MANY = """
import sys, threading
sys.setswitchinterval(1e-6)
{prepare}

barrier = threading.Barrier(8)

def use():
    barrier.wait()
    {use}

threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

EVENTS = """
import msgspec
from streams import wire
from streams.events import EVENTS

def convert_all():
    for kind in EVENTS.values():
        try:
            msgspec.convert({"meta": {"event_id": "e"}, "provenance": {"step": "s"}}, kind)
        except msgspec.ValidationError:
            pass
"""
PACK = """
from consumers.derive.pack import index_of, packed
pack = packed([], ())
"""
TOPICS = """
from schemas import load_topics
"""


@pytest.mark.parametrize(
    ("prepare", "use"),
    [(EVENTS, "convert_all()"), (PACK, "index_of(pack)"), (TOPICS, "load_topics()")],
    ids=["events", "pack", "topics"],
)
def test_the_first_use_may_come_to_many_threads_at_once(prepare: str, use: str) -> None:
    body = FIRST_USE_BY_MANY.format(prepare=prepare, use=use)
    tries = [subprocess.Popen([sys.executable, "-c", body]) for _ in range(6)]
    assert [one.wait(timeout=240) for one in tries] == [0] * 6
