"""`python -m producers.worklist --config FILE`"""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import datetime
from typing import Final

import structlog
from pynetdicom import evt

from consumers.catalog.reading import Reads
from producers.worklist.config import Settings
from producers.worklist.finding import Finder
from producers.worklist.known_steps import KnownSteps
from producers.worklist.performing import Performing
from streams.allocating import give_back_large_blocks
from streams.config import Config, Protected
from streams.dimse.door import door_of
from streams.dimse.listening import Listener
from streams.lasting import LastingProducer
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.peers.trust import check_files
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.service import Context, run
from streams.sop_classes import MODALITY_WORKLIST, PERFORMED_PROCEDURE_STEP, VERIFICATION

SECTION: Final = "worklist"
SERVICES: Final = (VERIFICATION, MODALITY_WORKLIST, PERFORMED_PROCEDURE_STEP)
_BEAT_S = 1.0


def main(context: Context, settings: Settings) -> None:
    """Answers until `context.stopping` is set. Raises ConfigError for a port that cannot be had.

    The catalog may be away: then queries are refused, and performed steps are taken all the same.
    """
    give_back_large_blocks()
    keys = FileKeys(context.config.section("protected", Protected).key_file)
    producer = LastingProducer(lambda: context.log.producer(linger_ms=0), context.clock)
    audit = RefusalAudit(context.site, context.ids, context.clock, context.source)
    refusals = Refusals(audit.made, producer, context.clock)
    door = door_of(SECTION, settings, context.health, context.clock, refusals)
    performing = Performing(
        site=context.site,
        producer=producer,
        ids=context.ids,
        blocks=ProtectedBlocks(context.store, keys, context.site.tenant),
        steps=KnownSteps(context.log, context.clock),
        clock=context.clock,
        source=context.source,
        commit_timeout_s=settings.commit_timeout_s,
        deciding=threading.Lock(),
    )
    with closing(Reads(settings.dsn)) as reads:
        # Steps are scheduled by the site's own clock, as it hangs on the wall.
        finder = Finder(reads, context.site.tenant, settings, lambda: datetime.now().astimezone().date())
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_C_FIND, finder.on_c_find),
            (evt.EVT_N_CREATE, performing.on_n_create),
            (evt.EVT_N_SET, performing.on_n_set),
        ]
        listener = Listener(SECTION, settings, door, SERVICES, handlers)
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
        listener.stop()
    door.close()
    producer.close(settings.commit_timeout_s)


def check(_: Config, settings: Settings) -> None:
    """Raises ConfigError where the files of trust cannot be used."""
    check_files(f"{SECTION}.tls", settings.peers, settings.tls)


if __name__ == "__main__":
    run(SECTION, Settings, main, check)
