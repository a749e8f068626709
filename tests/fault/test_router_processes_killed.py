"""SIGKILL to one of a router's processes while senders send: nothing acknowledged is lost, and its order holds.

The images of one study go out over four associations by turns, each once the one before is acknowledged: so the
processes have them by turns, too, each on a spool of its own.
"""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest

from radstream.send import router_of
from radstream.sending import send_items
from streams.config import Store
from streams.s3 import S3Store
from tests.pipeline_run import announced, on_the_spool
from tests.raw_peer import RawPeer, p_data, pdv, status_of, store_rq
from tests.routers import Ct
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.fault]

IMAGES, KILL_AFTER = 120, (30, 70)


@pytest.fixture(scope="module")
def several(stack: RunningStack) -> Iterator[RunningStack]:
    """The router of the stack with two processes, whose spool acknowledges; the change is a handover, and so is its
    end."""
    settings = stack.config_path.read_text(encoding="utf-8")
    changed = settings.replace("\n[router]\n", "\n[router]\nprocesses = 2\n")
    changed = changed.replace("\n[router.spool]\n", '\n[router.spool]\nacknowledge = "spool"\n')
    assert changed.count("processes = 2") == changed.count('acknowledge = "spool"') == 1
    stack.config_path.write_text(changed, encoding="utf-8")
    try:
        (restarted,) = stack.restart(("router",))
        assert restarted.how == "handed_over"
        yield stack
    finally:
        stack.config_path.write_text(settings, encoding="utf-8")
        stack.restart(("router",))


def members(stack: RunningStack) -> list[int]:
    return [child.pid for child in psutil.Process(stack.pid("router")).children()]


@contextmanager
def killing(stack: RunningStack, acknowledged: list[str], over: threading.Event) -> Iterator[None]:
    """A process of the router at each of two moments, while the block sends."""

    def kill() -> None:
        for count in KILL_AFTER:
            wait_until(lambda count=count: len(acknowledged) >= count or over.is_set(), f"{count} answers")
            os.kill(secrets.choice(members(stack)), signal.SIGKILL)
            wait_until(lambda: len(members(stack)) == 2, "another process")

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        try:
            yield
        finally:
            over.set()
        killed.result()


class Sender:
    """Four associations, each made anew where it is cut."""

    def __init__(self, stack: RunningStack) -> None:
        self._target = router_of(stack.config)
        self._peers: dict[int, RawPeer] = {}

    def store(self, number: int, image: Ct) -> None:
        """Returns once it is acknowledged."""
        wait_until(lambda: self._stored(number % 4, image), "an image to be acknowledged")

    def close(self) -> None:
        for peer in self._peers.values():
            peer.socket.close()

    def _stored(self, which: int, image: Ct) -> bool:
        try:
            if which not in self._peers:
                self._peers[which] = RawPeer(self._target).associated()
            peer = self._peers[which]
            peer.send(p_data(pdv(store_rq(image.instance), command=True)) + p_data(pdv(image.data_set())))
            answer = peer.read()
        except (OSError, AssertionError):
            answer = None
        if answer is None or answer.kind != 4:
            self._peers.pop(which).socket.close() if which in self._peers else None
            return False
        assert status_of(answer) == 0
        return True


@pytest.mark.timeout(1200)
def test_order_holds_across_processes_that_are_killed(several: RunningStack) -> None:
    study = f"2.25.{secrets.randbits(96)}"
    images = [Ct(study=study, series=f"{study}.1", instance=f"{study}.1.{number}") for number in range(IMAGES)]
    acknowledged: list[str] = []
    sender = Sender(several)
    with killing(several, acknowledged, threading.Event()):
        for number, image in enumerate(images):
            sender.store(number, image)
            acknowledged.append(image.instance)
    sender.close()
    wait_until(lambda: not on_the_spool(several), "the spool to be drained")
    events = announced(several, study)
    # What came again after a cut, or was in hand, has a second record of the same event.
    assert list(dict.fromkeys(event.instance.sop_instance_uid for event in events)) == acknowledged
    assert len({event.meta.event_id for event in events}) == IMAGES


@pytest.mark.timeout(1200)
def test_nothing_acknowledged_is_lost_with_a_process(several: RunningStack) -> None:
    study = f"2.25.{secrets.randbits(96)}"
    images = [
        Ct(study=study, series=f"{study}.1", instance=f"{study}.1.{number}", pixels=secrets.token_bytes(200_000))
        for number in range(IMAGES)
    ]
    acknowledged: list[str] = []
    with killing(several, acknowledged, threading.Event()):
        result = send_items(
            [image.item() for image in images],
            router_of(several.config),
            associations=4,
            retries=60,
            on_sent=lambda sent: acknowledged.append(sent.name),
        )
    assert result.statuses == {"0000": IMAGES}
    wait_until(lambda: not on_the_spool(several), "the spool to be drained")
    events = announced(several, study)
    store = S3Store(several.config.section("store", Store))
    kept = {event.instance.sop_instance_uid: store.read(event.object) for event in events}
    assert [image.instance for image in images if not kept.get(image.instance, b"").endswith(image.data_set())] == []
    assert len({event.meta.event_id for event in events}) == IMAGES
