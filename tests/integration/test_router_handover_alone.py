"""Routers by processes of their own, with a spool, whose store and log are away: all ports go over, also in a chain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import urllib3

from producers.dicom_router.spool.census import census
from radstream.sending import send_items
from tests.raw_peer import RELEASE_RQ, RawPeer
from tests.routers import Ct
from tests.running_routers import PATIENCE_S, PATIENT, Routers, again_and_again, echoed, running_routers, serves
from tests.secured import echoes, trusted
from tests.stow import MULTIPART, body_of, file_of
from tests.waiting import wait_until


@pytest.fixture
def routers(tmp_path: Path) -> Iterator[Routers]:
    with running_routers(tmp_path) as made:
        yield made


def test_every_port_goes_over_and_what_waits_on_the_spool_too_from_the_first_to_the_third(routers: Routers) -> None:
    context, numbers, acknowledged = (
        trusted(routers.site, routers.site.scanner()),
        itertools.count(1),
        itertools.count(),
    )
    web = urllib3.PoolManager(retries=False, timeout=PATIENCE_S)

    def image() -> Ct:
        return Ct(study="1.2", series="1.2.3", instance=f"1.2.3.{next(numbers)}")

    def c_store() -> None:
        result = send_items([image().item()], routers.target, retries=0, calling_ae="PEER")
        assert result.statuses == {"0000": 1}, result
        next(acknowledged)

    def over_tls() -> None:
        assert echoes(routers.secured, "CT1", context)

    def stow() -> None:
        """On one connection, as long as the router lets it."""
        url = f"http://127.0.0.1:{routers.ports['stow']}/studies"
        answer = web.request("POST", url, body=body_of([file_of(image())]), headers={"Content-Type": MULTIPART})
        assert answer.status == 200, answer.data
        next(acknowledged)

    def health() -> None:
        assert routers.serving() is not None

    first = routers.start(PATIENT)
    serves(routers, first)
    with RawPeer(routers.target) as long, again_and_again(c_store, over_tls, stow, health) as failed:
        long.associated()
        others = [routers.start(PATIENT), routers.start(PATIENT)]
        wait_until(lambda: any(one.poll() is not None for one in others), "the third to take over", PATIENCE_S)
        (last,) = (one for one in others if one.poll() is None)
        assert routers.serving() == last.pid
        assert first.poll() is None
        echoed(long)
        long.send(RELEASE_RQ)
        assert long.read() is not None
        assert [one.wait(PATIENCE_S) for one in routers.running if one is not last] == [0, 0]
        assert routers.serving() == last.pid
        before = next(numbers)
        wait_until(lambda: next(numbers) > before + 20, "more to be sent", PATIENCE_S)
    assert failed == []
    count = next(acknowledged)
    assert len(census(routers.folder / "spool").waiting) == count > 20
    wait_until(
        lambda: routers.metric("radstream_spool_instances") == count, "all of it to wait in the last", PATIENCE_S
    )
    last.terminate()
    assert last.wait(PATIENCE_S) == 0


def test_a_newer_router_with_another_spool_does_not_take_over(routers: Routers) -> None:
    first = routers.start()
    serves(routers, first)
    elsewhere = routers.start(spool="elsewhere")
    assert elsewhere.wait(PATIENCE_S) == 1
    line = routers.said(1).splitlines()[-1]
    assert line == (
        f"radstream router: process {first.pid} (version {version('radstream')}) serves with [router.spool] folder "
        f"{routers.folder / 'spool'}, and this configuration has {routers.folder / 'elsewhere'}: that cannot be handed "
        "over; stop that process, then start this one"
    )
    assert routers.serving() == first.pid
    assert first.poll() is None
