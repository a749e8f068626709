"""`python -m gateway.dimse --config FILE`"""

from __future__ import annotations

from contextlib import closing
from typing import Any, Final

import structlog
from pynetdicom import evt

from consumers.catalog.reading import Reads
from gateway.dimse.config import Settings
from gateway.dimse.finding import Finder
from gateway.dimse.getting import offer
from gateway.dimse.models import SOP_CLASSES, answered
from gateway.dimse.reading import Budget, Reading
from gateway.dimse.retrieving import SOP_CLASS_NOT_SUPPORTED, Retriever
from gateway.dimse.telling import Told
from gateway.restoring import Restoring
from streams import nodes
from streams.allocating import give_back_large_blocks
from streams.config import Config, Store
from streams.dimse.door import door_of
from streams.dimse.listening import Listener
from streams.lasting import LastingProducer
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.peers.trust import check_files
from streams.service import Context, run
from streams.sop_classes import VERIFICATION
from streams.tls.clients import Clients
from streams.tls.looking import looking

SECTION: Final = "retrieve"
SERVICES: Final = (VERIFICATION, *SOP_CLASSES)
_BEAT_S, _CLOSE_S = 1.0, 10.0


def main(context: Context, settings: Settings) -> None:
    """Answers until `context.stopping` is set. Raises ConfigError for a port that cannot be had, or files of trust."""
    give_back_large_blocks()
    producer = LastingProducer(lambda: context.log.producer(linger_ms=0), context.clock)
    audit = RefusalAudit(context.site, context.ids, context.clock, context.source)
    refusals = Refusals(audit.made, producer, context.clock)
    door = door_of(SECTION, settings, context.health, context.clock, refusals)
    clients = Clients(context.config)
    look = looking(clients, context.health, context.clock)
    told = Told(context.log, context.ids, context.site, context.clock, context.source)
    thought_s = context.config.section("store", Store).restore_s
    with (
        closing(told),
        closing(Reads(settings.dsn, connections_max=settings.catalog_connections_max)) as reads,
        closing(Restoring(context, reads, thought_s)) as restoring,
    ):
        reading = Reading(context.store, settings.limits, Budget(settings.memory_bytes_max, settings.answer_timeout_s))
        finder = Finder(reads, context.site.tenant, settings, told)
        file = nodes.file_of(context.config)
        retriever = Retriever(reads, context.site.tenant, settings, reading, told, file, clients, restoring)
        listener = Listener(SECTION, settings, door, SERVICES, handlers(finder), retriever.serve)
        structlog.get_logger().info(
            "listening",
            host=settings.host,
            port=listener.port,
            tls_port=listener.tls_port,
            ae_title=settings.ae_title,
        )
        while not context.stopping.wait(_BEAT_S):
            context.health.beat()
            door.look()
            look()
            told.flush()
        listener.stop()
    door.close()
    producer.close(_CLOSE_S)


def handlers(finder: Finder) -> list[evt.EventHandlerType]:
    return [
        (evt.EVT_C_FIND, finder.on_c_find),
        (evt.EVT_REQUESTED, offer),
        (evt.EVT_SOP_EXTENDED, agree),
        (evt.EVT_C_STORE, lambda _: SOP_CLASS_NOT_SUPPORTED),
    ]


def agree(event: evt.Event) -> dict[str, bytes]:
    """Bound to EVT_SOP_EXTENDED: what of each proposed SOP class is supported."""
    said: Any = event
    proposed = {str(uid): bytes(asked) for uid, asked in said.app_info.items()}
    return {uid: answered(uid, asked) for uid, asked in proposed.items() if uid in SOP_CLASSES}


def check(_: Config, settings: Settings) -> None:
    """Raises ConfigError where the files of trust cannot be used."""
    check_files(f"{SECTION}.tls", settings.peers, settings.tls)


if __name__ == "__main__":
    run(SECTION, Settings, main, check)
