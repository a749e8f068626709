"""`python -m producers.dicom_router --config FILE`"""

from __future__ import annotations

import structlog

from producers.dicom_router.archive import STEP, STORE, Archive
from producers.dicom_router.config import Settings
from producers.dicom_router.doors import Doors
from producers.dicom_router.listening import Listener
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.store_check import check_store
from streams.config import Protected
from streams.generation import of_facts
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.service import Context, run

_BEAT_S = 1.0


def main(context: Context, settings: Settings) -> None:
    """Receives until `context.stopping` is set. Raises ConfigError for a port that cannot be had, and for a
    store that would not keep what is promised.
    """
    check_store(context, STORE)
    keys = FileKeys(context.config.section("protected", Protected).key_file)
    producer = context.log.producer()
    archive = Archive(
        site=context.site,
        store=context.store,
        producer=producer,
        ids=context.ids,
        blocks=ProtectedBlocks(context.store, keys, context.site.tenant),
        clock=context.clock,
        identity=of_facts(STEP, settings.lanes_digest()),
        lanes=settings.lanes,
        source=context.source,
        commit_timeout_s=settings.commit_timeout_s,
    )
    receiver = Receiver(archive, context.health, context.clock)
    listener = Listener(settings, receiver)
    structlog.get_logger().info("listening", host=settings.host, port=listener.port, ae_title=settings.ae_title)
    doors = Doors(settings, receiver.answer, context.clock, listener.room)
    while not context.stopping.wait(_BEAT_S):
        context.health.beat()
        receiver.settle()
    listener.stop()
    doors.stop()
    producer.close(settings.commit_timeout_s)


if __name__ == "__main__":
    run("router", Settings, main)
