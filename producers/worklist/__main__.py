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
from streams.dimse.listening import Listener
from streams.dimse.trust import Trust, check_files
from streams.lasting import LastingProducer
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
    settings = settings.beside(context.config.path.absolute().parent)
    trust = Trust(SECTION, settings, context.health, context.clock)
    keys = FileKeys(context.config.section("protected", Protected).key_file)
    producer = LastingProducer(lambda: context.log.producer(linger_ms=0), context.clock)
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
        listener = Listener(SECTION, settings, trust, SERVICES, handlers)
        structlog.get_logger().info(
            "listening",
            host=settings.host,
            port=listener.port,
            tls_port=listener.tls_port,
            ae_title=settings.ae_title,
        )
        while not context.stopping.wait(_BEAT_S):
            context.health.beat()
            trust.look()
        listener.stop()
    producer.close(settings.commit_timeout_s)


def check(config: Config, settings: Settings) -> None:
    """Raises ConfigError where the files of trust cannot be used."""
    check_files(SECTION, settings.beside(config.path.absolute().parent))


if __name__ == "__main__":
    run(SECTION, Settings, main, check)
