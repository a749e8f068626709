"""`radstream modality`: scanners and other DICOM nodes by name, and what stands between them and the archive."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from producers.dicom_router.config import Settings as Router
from radstream import nodes_file
from radstream.checks.check import Check
from radstream.checks.lines import print_checks
from radstream.errors import Failure
from radstream.options import AeTitled, config_option, json_option, open_config
from radstream.output import console, print_table, show
from streams.config import Config
from streams.nodes import Node, file_of, namesakes, node_of, read


class Listen(click.ParamType):
    name = "HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        host, _, port = str(value).rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
            self.fail(f"{value} is not HOST:PORT, for example 10.1.2.3:11119", param, ctx)
        return host.strip("[]"), int(port)


@dataclass(frozen=True)
class _Asked:
    """What a person asked to be tested."""

    store: bool
    commit: bool
    archive: bool
    calling_ae: str | None
    listen: tuple[str, int] | None
    wait_s: float

    def __post_init__(self) -> None:
        if self.archive and (self.store or self.commit):
            raise Failure(
                "--archive is of a node that keeps images, --store and --commit of one that sends: one of them"
            )
        if not self.archive and (self.listen or self.calling_ae):
            raise Failure("--calling and --listen go with --archive")


@click.group()
def modality() -> None:
    """Scanners and other DICOM nodes, by name: connect, test, list."""


@modality.command()
@click.argument("name")
@click.option("--ae", "ae_title", required=True, help="Its AE title; capitals count.")
@click.option("--host", required=True, help="Its address or host name.")
@click.option("--port", required=True, type=click.IntRange(1, 65535), help="The port where it listens.")
@click.option("--commitment-port", type=click.IntRange(1, 65535), help="Where it is told of commitment, if elsewhere.")
@click.option("--tls", is_flag=True, help="It listens with TLS; [dicom.tls] has our certificate (docs/hospitals.md).")
@click.option("--ca", metavar="FILE", help="With TLS: the roots of its certificate; else [dicom.tls] ca.")
@click.option("--common-name", help="With TLS: that of its certificate, where it is not for its host.")
@click.option("--fingerprint", "fingerprints", multiple=True, help="With TLS: SHA-256 of its certificate. Repeatable.")
@config_option
@json_option
def add(name: str, config_path: Path, as_json: bool, **asked: Any) -> None:
    """Add a node to the file of nodes."""
    config = open_config(config_path)
    try:
        node = Node(**asked)
    except ValueError as error:
        raise Failure(f"{name}: {error}") from None
    nodes_file.add(file_of(config), name, node)
    if others := [one for one in namesakes(read(file_of(config))).get(node.ae_title.strip(), ()) if one != name]:
        warning = f"{', '.join(others)} has this AE title at another address, so C-MOVE to it is refused (0xA801)"
        click.echo(f"radstream: warning: {warning}; a port for reports of commitment is --commitment-port", err=True)
    then = f"{name} is {node}, in {file_of(config)}\nnow: radstream modality test {name} --store"
    show(as_json, {"name": name, "node": node}, lambda: click.echo(then))


@modality.command("list")
@config_option
@json_option
def list_(config_path: Path, as_json: bool) -> None:
    """Nodes, in the order of the file."""
    nodes = read(file_of(open_config(config_path)))
    rows = [(name, node.ae_title, node.host, node.port, "yes" if node.tls else "no") for name, node in nodes.items()]
    columns = ("name", "AE title", "host", "port", "TLS")
    show(as_json, nodes, lambda: print_table("Nodes", columns, rows, numbers=("port",)))


@modality.command()
@click.argument("name")
@config_option
@json_option
def remove(name: str, config_path: Path, as_json: bool) -> None:
    """Take a node out of the file. What came from it stays."""
    removed = nodes_file.remove(file_of(open_config(config_path)), name)
    show(as_json, {"name": name, "node": removed}, lambda: click.echo(f"removed: {name}, {removed}"))


@modality.command()
@click.argument("name")
@click.option("--store", is_flag=True, help="Send a generated image to the router as this node; it stays there.")
@click.option("--commit", is_flag=True, help="With --store: ask as this node for its commitment; the node is told.")
@click.option("--archive", is_flag=True, help="Send a generated image to the node, and have it commit to keep it.")
@click.option("--calling", "calling_ae", type=AeTitled(), help="With --archive: our AE title; else that of the router.")
@click.option("--listen", type=Listen(), help="With --archive: where it may report on a new association.")
@click.option("--wait", "wait_s", type=click.FloatRange(1, 3600), default=60, show_default=True, help="For a report.")
@config_option
@json_option
def test(name: str, config_path: Path, as_json: bool, **asked: Any) -> None:
    """Look at everything between a node and the archive, and say what to enter on its console.

    A scanner: --store --commit. An archive that we send to: --archive.

    Ends with exit code 1 where something is broken; each such line says what to do. The router is asked from this
    machine under the node's AE title: that it takes the node's address too, only the node itself can show.
    """
    config = open_config(config_path)
    node = node_of(config, name)
    router = config.section("router", Router)
    found = list(_checks(config, node, router, _Asked(**asked)))
    entered = None if asked["archive"] else _entered(node, router)
    well = all(one.state != "broken" for one in found)
    facts = {"name": name, "node": node, "well": well, "checks": found, "enter": entered}
    show(as_json, facts, lambda: _print(found, name, entered))
    if not well:
        sys.exit(1)


def _checks(config: Config, node: Node, router: Router, asked: _Asked) -> Iterator[Check]:
    # pynetdicom, pydicom and the log are loaded for a test alone.
    from radstream import modality_checks, modality_commit, modality_store
    from radstream.dicom_peer import quiet
    from radstream.modality_trust import Trust
    from streams.tls.clients import Clients

    quiet()
    clients, calling_ae = Clients(config), asked.calling_ae or router.ae_title
    of_node = list(modality_checks.of_node(node, calling_ae, clients.of(node)))
    answers = all(one.state != "broken" for one in of_node)
    came = None
    if of_node[-1].name == modality_checks.REACH and not asked.archive:
        came = modality_store.arrived(config, node)
        of_node = modality_checks.only_sends(of_node, came)
    yield from of_node
    if asked.archive:
        if answers:
            asking = modality_commit.Asking(calling_ae, asked.listen, asked.wait_s)
            yield from modality_commit.of_archive(node, clients, modality_store.Image.make(), asking)
        return
    if answers:
        yield modality_commit.takes_reports(node, calling_ae, clients)
    trust = Trust.of(node, router)
    yield from trust.checks()
    yield from modality_checks.of_address(node, router)
    if trust.lets_this_machine:
        yield from modality_checks.of_router(node, router)
        if asked.store or asked.commit:
            image = modality_store.Image.make()
            of_store = list(modality_store.stored(config, node, router, image))
            yield from of_store
            if asked.commit and all(one.state != "broken" for one in of_store):
                yield from modality_commit.of_router(config, node, router, image, asked.wait_s)
    else:
        yield modality_checks.not_from_here(node)
    yield came or modality_store.arrived(config, node)


def _entered(node: Node, router: Router) -> dict[str, str | int]:
    """What the node's console asks for."""
    from radstream.modality_checks import address_for
    from radstream.modality_trust import Trust

    port = Trust.of(node, router).port
    tls = router.tls is not None and port == router.tls.port
    return {"ae_title": router.ae_title, "host": address_for(node, router), "port": port, "tls": tls}


def _print(found: list[Check], name: str, entered: dict[str, str | int] | None) -> None:
    print_checks(found)
    if entered is None:
        return
    where = f"AE title {entered['ae_title']}, host {entered['host']}, port {entered['port']}"
    console().print(
        f"\nOn the console of {name} enter as destination: {where}{', with TLS' if entered['tls'] else ''}.\n"
        "Then press its verify button (C-ECHO), send one study, and look at it: radstream studies",
        soft_wrap=True,
    )
