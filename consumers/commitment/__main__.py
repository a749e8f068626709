"""How it starts: `python -m consumers.commitment --config FILE`."""

from __future__ import annotations

from contextlib import closing

import structlog

from consumers.commitment.arrivals import Arrivals
from consumers.commitment.catalog import Catalog
from consumers.commitment.config import Settings
from consumers.commitment.places import of_stores, read
from consumers.commitment.step import NAME, Commitment
from consumers.commitment.telling import Teller
from streams import nodes
from streams.commitment_turns import Turns
from streams.config import Config
from streams.generation import of_facts
from streams.runner import Runner
from streams.service import Context, run
from streams.tls.clients import Clients
from streams.tls.looking import looked_at


def check(config: Config, settings: Settings) -> None:
    """Raises ConfigError where what is promised could not be kept."""
    of_stores(config, settings.copies)


def main(context: Context, settings: Settings) -> None:
    file = nodes.file_of(context.config)
    # A file that cannot be used is a reason not to start; one that breaks later is a reason to wait.
    identity = of_facts(NAME)
    clients = Clients(context.config)
    for node in nodes.read(file).values():
        clients.of(node)
    places = of_stores(context.config, settings.copies)
    if read(context.config).in_one_place and settings.copies > 1:
        structlog.get_logger().warning("copies_are_not_independent", promised=settings.copies)
    teller = Teller(file, clients, settings.answer_s_max, context.clock.monotonic)
    arrivals = Arrivals(context.log)
    arrivals.check()
    with (
        closing(Catalog(settings.dsn, arrivals, settings.asks_for, places)) as catalog,
        looked_at(clients, context.health, context.clock),
    ):
        step = Commitment(identity, catalog, teller, Turns(context.store, context.clock), settings)
        Runner(context, step, identity, settings.runner).run()


if __name__ == "__main__":
    run(NAME, Settings, main, check)
