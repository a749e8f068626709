"""`radstream peers`: who may come in, how that is proven, and until when."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import click

from producers.dicom_router.config import Settings
from radstream.checks.check import Check, broken
from radstream.checks.doors import doors
from radstream.checks.lines import print_checks
from radstream.options import config_option, json_option, open_config
from radstream.output import console, print_table, show
from streams.config import Config, ConfigError
from streams.peers.peer import Peer
from streams.peers.reading import read_peers


@dataclass(frozen=True)
class Listed:
    """A peer, and how it may come today. `plain_until` is the last day (UTC) of its exception from TLS."""

    ae_title: str
    addresses: tuple[str, ...]
    common_name: str | None
    fingerprints: tuple[str, ...]
    tls: bool
    plain: bool
    plain_address: str | None
    plain_until: date | None
    associations_max: int | None
    lane: str | None


@click.group()
def peers() -> None:
    """Who may send to the router, how that is proven, and until when."""


@peers.command("check")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@config_option
@json_option
def check(file: Path | None, config_path: Path, as_json: bool) -> None:
    """Check a peers file before a service reads it. What is wrong is said with its line, all of it at once.

    Without FILE: who may come in by each door of the configuration (router, worklist, retrieve, orders), and what of
    that ends soon.
    """
    if file is None:
        found = list(_examined(open_config(config_path)))
        is_well = all(one.state != "broken" for one in found)
        show(as_json, {"well": is_well, "checks": found}, lambda: print_checks(found))
        if not is_well:
            sys.exit(1)
        return
    listed = _listed(file)
    show(as_json, {"well": True, "peers": len(listed)}, lambda: click.echo(f"{file}: {_counted(listed)}"))


def _examined(config: Config) -> Iterator[Check]:
    for section, door in doors(config).items():
        try:
            yield from door()
        except ConfigError as error:
            yield broken(section, f"[{section}]", str(error), f"Mend section [{section}] of {config.path}.")


@peers.command("list")
@config_option
@json_option
def list_(config_path: Path, as_json: bool) -> None:
    """Show the peers of the router's peers file."""
    config = open_config(config_path)
    settings = config.section("router", Settings)
    listed = [] if settings.peers is None else _listed(settings.peers)
    facts = {
        "file": None if settings.peers is None else str(settings.peers),
        "called_ae_title": settings.ae_title,
        "tls_port": settings.tls and settings.tls.port,
        "anybody_on_this_machine": settings.peers is None,
        "peers": listed,
    }
    show(as_json, facts, lambda: _print(settings, listed))


def _listed(file: Path) -> list[Listed]:
    today = datetime.now(UTC).date()
    return [_line(peer, today) for peer in read_peers(file).by_title.values()]


def _line(peer: Peer, today: date) -> Listed:
    exception = peer.plain
    return Listed(
        ae_title=peer.ae_title,
        addresses=tuple(map(str, peer.addresses)),
        common_name=peer.common_name,
        fingerprints=tuple(sorted(peer.fingerprints)),
        tls=peer.has_certificate,
        plain=not peer.needs_tls or (exception is not None and today <= exception.until),
        plain_address=None if exception is None else str(exception.address),
        plain_until=None if exception is None else exception.until,
        associations_max=peer.associations_max,
        lane=peer.lane,
    )


def _counted(listed: list[Listed]) -> str:
    """What the file comes to, and what a person may not have meant."""
    without = sum(one.plain and one.plain_until is not None for one in listed)
    shut_out = [one.ae_title for one in listed if not one.tls and not one.plain]
    said = f"{len(listed)} peers, {sum(one.tls for one in listed)} by certificate, {without} by an exception from TLS"
    return f"{said}; its exception has ended, it may not send: {', '.join(shut_out)}" if shut_out else said


def _print(settings: Settings, listed: list[Listed]) -> None:
    if settings.peers is None:
        console().print(f"No peers file: anybody on this machine may send, and nobody else ({settings.host}).")
        return
    rows = [
        (one.ae_title, "\n".join(one.addresses), _proof(one), _without_tls(one), one.associations_max, one.lane)
        for one in listed
    ]
    print_table(
        f"Who may send to {settings.ae_title} ({settings.peers})",
        ("AE title", "addresses", "by TLS, certificate", "without TLS", "associations", "lane"),
        rows,
        numbers=("associations",),
    )
    if settings.tls is None and any(one.tls for one in listed):
        console().print("There is no [router.tls]: who is known by a certificate cannot come that way.")


def _proof(one: Listed) -> str | None:
    if one.common_name is not None:
        return f"CN={one.common_name}"
    return "\n".join(f"SHA-256 {fingerprint[:16]}..." for fingerprint in one.fingerprints) or None


def _without_tls(one: Listed) -> str | None:
    if one.plain_until is None:
        return "from this machine" if one.plain else None
    return f"{one.plain_address}, {'until' if one.plain else 'ended'} {one.plain_until}"
