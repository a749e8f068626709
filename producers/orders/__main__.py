"""`python -m producers.orders --config FILE`"""

from __future__ import annotations

import structlog

from producers.orders.announcing import Announcer
from producers.orders.config import Settings
from producers.orders.listening import Listener
from producers.orders.placed import PlacedOrders
from producers.orders.receiving import Receiver
from streams.allocating import give_back_large_blocks
from streams.clock import Clock
from streams.config import Config, Protected
from streams.health import Health
from streams.lasting import LastingProducer
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.service import Context, run
from streams.tls.ours import as_server
from streams.tls.served import Served

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
    served = served_by(context.config, settings, context.health, context.clock)
    listener = Listener(settings, receiver, served.context if served else lambda: None)
    structlog.get_logger().info("listening", host=settings.host, port=listener.port, tls_port=listener.tls_port)
    while not context.stopping.wait(_BEAT_S):
        context.health.beat()
        receiver.settle()
        if served is not None:
            served.look()
    listener.stop()
    producer.close(settings.commit_timeout_s)


def served_by(config: Config, settings: Settings, health: Health, clock: Clock) -> Served | None:
    """Our side of TLS, where there is a port for it. Raises ConfigError where its files cannot be used."""
    if settings.tls is None:
        return None
    return Served(settings.tls.beside(config.path.absolute().parent), "orders.tls", health, clock)


def check(config: Config, settings: Settings) -> None:
    """Raises ConfigError where a start would."""
    if settings.tls is not None:
        as_server(settings.tls.beside(config.path.absolute().parent), "orders.tls")


if __name__ == "__main__":
    run("orders", Settings, main, check)
