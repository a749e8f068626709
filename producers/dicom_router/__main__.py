"""`python -m producers.dicom_router --config FILE`"""

from __future__ import annotations

import structlog

from producers.dicom_router.archive import STEP, STORE, Archive
from producers.dicom_router.config import Settings
from producers.dicom_router.doors import Doors
from producers.dicom_router.listening import Listener
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.spool.keeping import Keeping
from producers.dicom_router.store_check import Checking, check_store
from streams.config import Protected
from streams.generation import of_facts
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.service import Context, run, wait_for_parts

_BEAT_S = 1.0


def main(context: Context, settings: Settings) -> None:
    """Receives until `context.stopping` is set: with a spool soon, whatever is away, else once log and store answer.

    Raises ConfigError for a port or a folder that cannot be had, and for a store that would not keep what is promised.
    """
    at_once = settings.spool.takes_over
    if not at_once:
        if not wait_for_parts(context):
            return
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
    keeping = Keeping(archive, settings.spool, context.health, held=at_once)
    checking = Checking(context, STORE, keeping.release) if at_once else None
    if checking is not None:
        checking.wait(settings.spool.patience_s)
    receiver = Receiver(keeping, context.health, context.clock)
    listener = Listener(settings, receiver)
    doors = Doors(settings, receiver.answer, context.clock, listener.room)
    context.health.ready("started", True)
    structlog.get_logger().info("listening", host=settings.host, port=listener.port, ae_title=settings.ae_title)
    try:
        while not context.stopping.wait(_BEAT_S):
            context.health.beat()
            receiver.settle()
            keeping.look()
            if checking is not None:
                checking.ask()
    finally:
        doors.close()
        listener.stop()
        doors.stop()
        keeping.stop()
        producer.close(settings.commit_timeout_s)


if __name__ == "__main__":
    run("router", Settings, main, waits=False)
