"""How it starts: `python -m consumers.forward --config FILE`."""

from __future__ import annotations

import logging

from msgspec import structs

from consumers.forward.acting import Acting
from consumers.forward.config import Settings
from consumers.forward.members import Member, run_all
from consumers.forward.outside import Outside
from consumers.forward.peer import Peer
from consumers.forward.ris import Ris
from consumers.forward.step import Forward
from consumers.forward.telling import Telling
from streams import nodes, ris
from streams.config import Protected
from streams.generation import of_facts
from streams.held import HeldImages
from streams.import_decisions import ImportDecisions
from streams.outside_studies import OutsideStudies
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.routes.routes import Routes, of_site
from streams.routes.section import FORWARD, group_of
from streams.service import Context, run, wait_for_parts
from streams.tls.clients import Clients
from streams.tls.looking import looking


def main(context: Context, settings: Settings) -> None:
    """Started is who has a beginning for each of its groups: what comes from then on is forwarded."""
    if not wait_for_parts(context):
        return
    # Without its text, which may quote anything, a message of it says nothing that ours does not.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    routes = of_site(context.config)
    clients = Clients(context.config)
    for node in routes.destinations.values():
        clients.of(node)  # Files that cannot be used are a reason not to start.
    peers = {name: Peer(node, clients) for name, node in routes.destinations.items()}
    members = [_acting(context, settings, routes)]
    # One for all: what is decided is the same whoever is sent it.
    decisions = ImportDecisions(context.log, context.site.tenant, context.clock)
    studies = OutsideStudies(context.log, context.clock)
    outside = Outside(studies, decisions, _blocks(context), context.store.objects_folder)
    held = HeldImages(context.log, context.clock)
    members += [_forwarding(context, settings, routes, name, peer, held, outside) for name, peer in peers.items()]
    if (filler := _ris(context, clients)) is not None:
        members.append(_telling(context, settings, filler))
    run_all(context, members, looking(clients, context.health, context.clock))
    for peer in peers.values():
        peer.close()
    if filler is not None:
        filler.close()


def _ris(context: Context, clients: Clients) -> Ris | None:
    """Raises ConfigError: who names a RIS that is no node of the site wants to know it now."""
    if (settings := ris.of_site(context.config)) is None:
        return None
    clients.of(nodes.node_of(context.config, settings.node))
    return Ris(nodes.file_of(context.config), settings, clients)


def _telling(context: Context, settings: Settings, filler: Ris) -> Member:
    identity = of_facts(ris.GROUP)
    runner = structs.replace(settings.runner, threads=1)
    step = Telling(filler, identity, _blocks(context))
    return Member(context, step, identity, runner, filler.release_idle, in_order=True)


def _blocks(context: Context) -> ProtectedBlocks:
    keys = FileKeys(context.config.section("protected", Protected).key_file)
    return ProtectedBlocks(context.store, keys, context.site.tenant)


def _acting(context: Context, settings: Settings, routes: Routes) -> Member:
    identity = of_facts(FORWARD, routes.digest)
    step = Acting(routes.rules, identity, context.store, _blocks(context), settings.limits.object_bytes_max)
    return Member(context, step, identity, settings.runner)


def _forwarding(
    context: Context,
    settings: Settings,
    routes: Routes,
    name: str,
    peer: Peer,
    held: HeldImages,
    outside: Outside,
) -> Member:
    identity = of_facts(group_of(name), routes.digest)
    node = routes.destinations[name]
    decides = outside if node.outside == "reconciled" else None
    step = Forward(name, routes.about(name), peer, identity, context.store, settings.limits, held, decides)
    runner = structs.replace(settings.runner, threads=node.associations)
    return Member(context, step, identity, runner, peer.release_idle, in_order=True)


if __name__ == "__main__":
    run(FORWARD, Settings, main, waits=False)
