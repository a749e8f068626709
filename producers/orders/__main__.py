"""`python -m producers.orders --config FILE`"""

from __future__ import annotations

import structlog

from producers.orders.announcing import Announcer
from producers.orders.config import Settings
from producers.orders.door import SECTION, TLS, door_of
from producers.orders.listening import Listener
from producers.orders.placed import PlacedOrders
from producers.orders.receiving import Receiver
from streams.allocating import give_back_large_blocks
from streams.config import Config, Protected
from streams.lasting import LastingProducer
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import Refusals
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.service import Context, run
from streams.tls.ours import as_server

_BEAT_S = 1.0


def main(context: Context, settings: Settings) -> None:
    """Listens until `context.stopping` is set. Raises ConfigError for a port that cannot be had."""
    give_back_large_blocks()
    keys = FileKeys(context.config.section("protected", Protected).key_file)
    producer = LastingProducer(lambda: context.log.producer(linger_ms=0), context.clock)
    receiver = Receiver(
        announcer=Announcer(context.site, ProtectedBlocks(context.store, keys, context.site.tenant), context.clock),
        placed=PlacedOrders(context.log, context.site.tenant),
        producer=producer,
        ids=context.ids,
        health=context.health,
        settings=settings,
        source=context.source,
    )
    audit = RefusalAudit(context.site, context.ids, context.clock, context.source)
    refusals = Refusals(audit.made, producer, context.clock)
    door = door_of(context.config.path, settings, context.health, context.clock, refusals)
    listener = Listener(settings, receiver, door)
    structlog.get_logger().info("listening", host=settings.host, port=listener.port, tls_port=listener.tls_port)
    while not context.stopping.wait(_BEAT_S):
        context.health.beat()
        receiver.settle()
        door.look()
    listener.stop()
    door.close()
    producer.close(settings.commit_timeout_s)


def check(_: Config, settings: Settings) -> None:
    """Raises ConfigError where a start would."""
    if settings.tls is not None:
        as_server(settings.tls, TLS)


if __name__ == "__main__":
    run(SECTION, Settings, main, check)
