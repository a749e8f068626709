"""SIGKILL to the router while senders send: whatever was acknowledged is in the store and in the log."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from radstream.send import router_of
from radstream.sending import send_items
from streams.config import Store
from streams.s3 import S3Store
from tests.pipeline_run import announced, on_the_spool
from tests.routers import Ct
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.fault]

INSTANCES = 120
KILL_AFTER = (10, 60)


@pytest.mark.timeout(1200)
def test_a_killed_router_loses_nothing_that_it_acknowledged(stack: RunningStack) -> None:
    study = f"2.25.{secrets.randbits(96)}"
    images = [
        Ct(study=study, series=f"{study}.1", instance=f"{study}.1.{number}", pixels=secrets.token_bytes(200_000))
        for number in range(INSTANCES)
    ]
    acknowledged: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(
            send_items,
            [image.item() for image in images],
            router_of(stack.config),
            associations=4,
            retries=60,
            on_sent=lambda sent: acknowledged.append(sent.name),
        )
        for count in KILL_AFTER:
            wait_until(lambda count=count: len(acknowledged) >= count or sending.done(), f"{count} answers")
            stack.kill("router")
            stack.up(("router",))
        result = sending.result(timeout=600)

    assert result.statuses == {"0000": INSTANCES}
    wait_until(lambda: not on_the_spool(stack), "the spool to be drained")
    events = announced(stack, study)
    store = S3Store(stack.config.section("store", Store))
    kept = {event.instance.sop_instance_uid: store.read(event.object) for event in events}
    assert [image.instance for image in images if not kept.get(image.instance, b"").endswith(image.data_set())] == []
    # Sent again after a cut, an instance has a second record and no second event.
    assert len({event.meta.event_id for event in events}) == INSTANCES
