"""Events decoded by several threads from the first record on."""

import subprocess
import sys

# A process for each try: what crashed was the very first use of a Struct, and a crash takes its process with it.
FIRST_USE_BY_MANY = """
import sys, threading
sys.setswitchinterval(1e-6)
import msgspec
from streams import wire
from streams.events import EVENTS

barrier = threading.Barrier(8)

def use():
    barrier.wait()
    for kind in EVENTS.values():
        try:
            msgspec.convert({"meta": {"event_id": "e"}, "provenance": {"step": "s"}}, kind)
        except msgspec.ValidationError:
            pass

threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_the_first_records_may_come_to_many_threads_at_once():
    tries = [subprocess.Popen([sys.executable, "-c", FIRST_USE_BY_MANY]) for _ in range(6)]
    assert [one.wait(timeout=60) for one in tries] == [0] * 6
