"""How it starts: `python -m consumers.commitment --config FILE`."""

from __future__ import annotations

from contextlib import closing

from consumers.commitment.catalog import Catalog
from consumers.commitment.config import Settings
from consumers.commitment.step import NAME, Commitment
from consumers.commitment.telling import Teller
from streams import nodes
from streams.commitment_turns import Turns
from streams.generation import of_facts
from streams.runner import Runner
from streams.service import Context, run
from streams.tls.clients import Clients
from streams.tls.looking import looked_at


def main(context: Context, settings: Settings) -> None:
    file = nodes.file_of(context.config)
    # A file that cannot be used is a reason not to start; one that breaks later is a reason to wait.
    identity = of_facts(NAME)
    clients = Clients(context.config)
    for node in nodes.read(file).values():
        clients.of(node)
    teller = Teller(file, clients, settings.answer_s_max, context.clock.monotonic)
    with closing(Catalog(settings.dsn)) as catalog, looked_at(clients, context.health, context.clock):
        step = Commitment(identity, catalog, teller, Turns(context.store, context.clock), settings)
        Runner(context, step, identity, settings.runner).run()


if __name__ == "__main__":
    run(NAME, Settings, main)
