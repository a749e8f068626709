"""Received bytes go to a real store from where they came in, memory or a file, and are whole there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.s3 import S3Store
from tests.gateway import Gateway, run_gateway
from tests.routers import Ct, running_router

MIB = 1 << 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with run_gateway(tmp_path_factory.mktemp("gateway")) as running:
        running.make_buckets()
        yield running


@pytest.mark.parametrize("memory", [0, 64 * MIB], ids=["files", "memory"])
def test_objects_of_all_sizes_are_whole_in_the_store(gateway: Gateway, memory: int, tmp_path: Path) -> None:
    store = S3Store(gateway.config)
    study = f"2.25.{secrets.randbits(90)}"
    images = [
        Ct(study=study, instance=f"{study}.{number}", pixels=secrets.token_bytes(size))
        for number, size in enumerate([500_000] * 24 + [3 * MIB] * 4 + [40 * MIB])
    ]
    with running_router(store=store, objects_memory_bytes_max=memory, objects_folder=tmp_path) as router:
        result = router.send(*(image.item() for image in images), associations=4)
        assert result.statuses == {"0000": len(images)}
        kept = {event.instance.sop_instance_uid: store.read(event.object) for event in router.received()}
    assert [image.instance for image in images if not kept[image.instance].endswith(image.data_set())] == []
    assert list(tmp_path.iterdir()) == []
