"""A router of several processes, as those see it who send to it, watch it and restart it; store and log are away."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import urllib3

from infra.local.ended import reason
from producers.dicom_router.config import Settings
from producers.dicom_router.spool.census import census
from radstream.sending import send_items
from tests.raw_peer import RELEASE_RQ, RawPeer, associate_rq
from tests.routers import Ct
from tests.running_routers import PATIENCE_S, PATIENT, Routers, again_and_again, echoed, running_routers, serves
from tests.stow import MULTIPART, body_of, file_of
from tests.waiting import wait_until

ACCEPTED, REJECTED = 2, 3
PER_PEER_MAX = Settings(http_port=0, port=0).of_one_address_max


@pytest.fixture
def routers(tmp_path: Path) -> Iterator[Routers]:
    with running_routers(tmp_path) as made:
        yield made


def members(parent: subprocess.Popen[str]) -> set[int]:
    return {child.pid for child in psutil.Process(parent.pid).children()}


def by_process(routers: Routers, name: str) -> dict[str, float]:
    """A metric without other labels, by the process that has it."""
    return {
        found[1]: float(found[2])
        for found in re.finditer(rf'^{name}\{{process="(\d+)"\}} (\S+)$', routers.asked("metrics"), re.MULTILINE)
    }


def ended(pids: set[int]) -> None:
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "all processes to end", PATIENCE_S)


def test_all_processes_take_associations_and_count_them_together(routers: Routers) -> None:
    router = routers.start("processes = 2\nassociations_per_peer_max = 40\nassociations_max = 60")
    serves(routers, router)
    taken_by: set[str] = set()

    def each_takes_one() -> bool:
        # Who is first takes it: on a busy machine it may be the same one for a long time.
        with RawPeer(routers.target, source="127.0.0.9").associated():
            taken_by.update(name for name, count in by_process(routers, "radstream_associations").items() if count)
        return taken_by == {"1", "2"}

    def all_are_over() -> bool:
        return sum(by_process(routers, "radstream_associations").values()) == 0

    wait_until(each_takes_one, "each process to take an association", PATIENCE_S)
    wait_until(all_are_over, "those to end", PATIENCE_S)
    with ExitStack() as stack:
        accepted, answers = [], Counter[int]()
        for number in range(60):
            peer = stack.enter_context(RawPeer(routers.target, source=f"127.0.0.{1 + number // 50}"))
            peer.send(associate_rq())
            answer = peer.read()
            assert answer is not None
            answers[answer.kind] += 1
            if answer.kind == ACCEPTED:
                accepted.append(peer)
        # Of the first address 40 of 50, and all of the second.
        assert answers == {ACCEPTED: 50, REJECTED: 10}
        here = by_process(routers, "radstream_associations")
        assert set(here) == {"1", "2"}
        assert sum(here.values()) == 50
        for peer in accepted:
            echoed(peer)
    wait_until(all_are_over, "associations to end", PATIENCE_S)
    all_of_them = {router.pid, *members(router)}
    router.terminate()
    assert router.wait(PATIENCE_S) == 0
    ended(all_of_them)


def test_one_that_is_killed_is_started_again_and_the_others_go_on(routers: Routers) -> None:
    router = routers.start(f"processes = 2\n{PATIENT}")
    serves(routers, router)
    before = members(router)
    with ExitStack() as stack:
        peers: list[RawPeer] = []
        # Each takes what it sees first: it may be the same one many times in a row.
        while len(peers) < PER_PEER_MAX and not all(by_process(routers, "radstream_associations").values()):
            peers.append(stack.enter_context(RawPeer(routers.target)).associated())
        killed, left = sorted(before)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in members(router) and len(members(router)) == 2, "another process", PATIENCE_S)
        went_on = [peer for peer in peers if still_there(peer)]
        assert 0 < len(went_on) < len(peers)
        wait_until(lambda: routers.readyz()["warnings"] == {}, "all processes to serve", PATIENCE_S)
        assert left in members(router)
        assert routers.readyz()["ready"]
        # What the dead one had counts no more.
        more = [stack.enter_context(RawPeer(routers.target)).associated() for _ in range(PER_PEER_MAX - len(went_on))]
        for peer in (*went_on, *more):
            echoed(peer)
    assert '"process_ended"' in routers.said(0)


def still_there(peer: RawPeer) -> bool:
    try:
        echoed(peer)
    except (AssertionError, OSError):
        return False
    return True


def test_where_the_parent_is_killed_the_others_end_and_the_ports_are_free(routers: Routers) -> None:
    router = routers.start("processes = 2")
    serves(routers, router)
    left = members(router)
    assert len(left) == 2
    router.kill()
    router.wait()
    ended(left)
    again = routers.start("processes = 2")
    serves(routers, again)


def test_what_none_of_them_can_use_is_said_and_ends_the_start(routers: Routers) -> None:
    (routers.folder / "spool").write_text("no folder", encoding="utf-8")
    router = routers.start("processes = 2")
    assert router.wait(PATIENCE_S) == 1
    said = routers.said(0)
    assert "[router.spool] folder" in said
    assert said.splitlines()[-1] == (
        "radstream router: one of its processes ended before it served; what it said stands above"
    )
    assert "[router.spool] folder" in str(reason(routers.folder / "0.log", "router"))


def test_any_number_of_processes_takes_over_from_any_other(routers: Routers) -> None:
    numbers, acknowledged = itertools.count(1), itertools.count()
    web = urllib3.PoolManager(retries=False, timeout=PATIENCE_S)

    def image() -> Ct:
        return Ct(study="1.2", series="1.2.3", instance=f"1.2.3.{next(numbers)}")

    def c_store() -> None:
        result = send_items([image().item()], routers.target, retries=0, calling_ae="PEER")
        assert result.statuses == {"0000": 1}, result
        next(acknowledged)

    def stow() -> None:
        url = f"http://127.0.0.1:{routers.ports['stow']}/studies"
        # A connection that is kept may be closed as it is used again (RFC 9112 section 9.3.1), and this asks only once.
        said = {"Content-Type": MULTIPART, "Connection": "close"}
        answer = web.request("POST", url, body=body_of([file_of(image())]), headers=said)
        assert answer.status == 200, answer.data
        next(acknowledged)

    def health() -> None:
        assert routers.serving() is not None

    older = routers.start(f"processes = 2\n{PATIENT}")
    serves(routers, older)
    with again_and_again(c_store, stow, health) as failed:
        for processes in (3, 1):
            with RawPeer(routers.target).associated() as long:
                newer = routers.start(f"processes = {processes}\n{PATIENT}")
                serves(routers, newer)
                # This one is still the older's, and ends as its sender wants it.
                echoed(long)
                long.send(RELEASE_RQ)
                assert long.read() is not None
            assert older.wait(PATIENCE_S) == 0
            assert len(members(newer)) == (processes if processes > 1 else 0)
            before = next(numbers)
            wait_until(lambda before=before: next(numbers) > before + 20, "more to be sent", PATIENCE_S)
            older = newer
    assert failed == []
    assert len(census(routers.folder / "spool").waiting) == next(acknowledged)


def test_one_that_does_not_serve_in_the_end_leaves_all_processes_as_they_were(routers: Routers) -> None:
    older = routers.start("processes = 2")
    serves(routers, older)
    before = members(older)
    newer = routers.start("processes = 2", spool="elsewhere")
    assert newer.wait(PATIENCE_S) == 1
    assert "cannot be handed over" in routers.said(1)
    assert routers.serving() == older.pid
    assert members(older) == before
    with RawPeer(routers.target).associated() as peer:
        echoed(peer)
