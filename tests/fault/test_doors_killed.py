"""SIGKILL to the router while files come by STOW-RS and into its folder: what was acknowledged, or is done, is kept."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from producers.dicom_router.config import Settings as Router
from radstream.sending import send_items
from radstream.stow_scu import Studies
from streams.config import Store
from streams.s3 import S3Store
from tests.fault.test_router_killed import announced
from tests.routers import Ct
from tests.running_stack import RunningStack
from tests.stow import file_of
from tests.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.fault]

INSTANCES = 60
KILL_AFTER = (5, 30)


def images_of(study: str) -> list[Ct]:
    return [
        Ct(study=study, series=f"{study}.1", instance=f"{study}.1.{number}", pixels=secrets.token_bytes(100_000))
        for number in range(INSTANCES)
    ]


@pytest.mark.timeout(1200)
def test_a_killed_router_loses_nothing_by_its_other_doors(stack: RunningStack) -> None:
    sent, dropped = images_of(f"2.25.{secrets.randbits(96)}"), images_of(f"2.25.{secrets.randbits(96)}")
    watch = stack.config.section("router", Router).watch
    assert watch is not None
    folder = watch.folder
    acknowledged: list[str] = []

    def done() -> set[str]:
        return {path.name for path in (folder / "done").glob("[0-9]*")}

    with ThreadPoolExecutor(1) as pool:
        for image in dropped:
            # A file that stands still for a moment while it is written would be taken as it is then.
            written = folder / f".{image.instance}"
            written.write_bytes(file_of(image))
            written.rename(folder / image.instance)
        sending = pool.submit(
            send_items,
            [image.item() for image in sent],
            Studies(f"http://127.0.0.1:{stack.ports['stow']}/studies"),
            associations=2,
            retries=60,
            on_sent=lambda one: acknowledged.append(one.name),
        )
        for count in KILL_AFTER:
            wait_until(lambda count=count: len(acknowledged) >= count or sending.done(), f"{count} answers")
            stack.kill("router")
            stack.up(("router",))
        assert sending.result(timeout=600).statuses == {"0000": INSTANCES}
        wait_until(lambda: len(done()) == INSTANCES, "every file in done")

        store = S3Store(stack.config.section("store", Store))
        for images in (sent, dropped):
            events = announced(stack, images[0].study)
            kept = {event.instance.sop_instance_uid: store.read(event.object) for event in events}
            assert [image.instance for image in images if kept.get(image.instance) != file_of(image)] == []
            # Stored again after a kill, an instance has a second record and no second event.
            assert len({event.meta.event_id for event in events}) == INSTANCES
        assert {event.source.protocol for event in announced(stack, dropped[0].study)} == {"folder"}
        assert list((folder / "failed").iterdir()) == []
