"""The router's archive as a test has it: on what the test gives it for a store and a log."""

from __future__ import annotations

from producers.dicom_router.archive import STEP, Archive
from producers.dicom_router.lanes import Lanes
from streams.clock import Clock
from streams.config import Site
from streams.generation import of_facts
from streams.log import Producer
from streams.objects import ObjectStore
from streams.protected import ProtectedBlocks
from streams.wire import SchemaIds

SITE, SOURCE = Site(tenant="t", site="here"), "radstream/t/here/router"


def archive_on(
    store: ObjectStore,
    producer: Producer,
    blocks: ProtectedBlocks,
    clock: Clock,
    lanes: Lanes | None = None,
    commit_timeout_s: float = 5.0,
) -> Archive:
    return Archive(
        site=SITE,
        store=store,
        producer=producer,
        ids=SchemaIds(),
        blocks=blocks,
        clock=clock,
        identity=of_facts(STEP),
        lanes=lanes or Lanes({}, dict),
        source=SOURCE,
        commit_timeout_s=commit_timeout_s,
    )
