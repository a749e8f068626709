"""`python -m producers.orders --config FILE`"""

from __future__ import annotations

import structlog

from producers.orders.announcing import Announcer
from producers.orders.config import Settings
from producers.orders.listening import Listener
from producers.orders.receiving import Receiver
from streams.allocating import give_back_large_blocks
from streams.config import Protected
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.service import Context, run

_BEAT_S = 1.0


def main(context: Context, settings: Settings) -> None:
    """Listens until `context.stopping` is set. Raises ConfigError for a port that cannot be had."""
    give_back_large_blocks()
    keys = FileKeys(context.config.section("protected", Protected).key_file)
    producer = context.log.producer(linger_ms=0)
    receiver = Receiver(
        announcer=Announcer(context.site, ProtectedBlocks(context.store, keys, context.site.tenant), context.clock),
        producer=producer,
        ids=context.ids,
        health=context.health,
        settings=settings,
        source=context.source,
    )
    listener = Listener(settings, receiver)
    structlog.get_logger().info("listening", host=settings.host, port=listener.port)
    while not context.stopping.wait(_BEAT_S):
        context.health.beat()
        receiver.settle()
    listener.stop()
    producer.close(settings.commit_timeout_s)


if __name__ == "__main__":
    run("orders", Settings, main)
