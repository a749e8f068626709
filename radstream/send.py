"""`radstream send`: real C-STORE or STOW-RS of files and folders."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from producers.dicom_router.config import Settings
from radstream.errors import Failure
from radstream.items import files_below
from radstream.options import AeTitled, config_option, json_option, open_config
from radstream.output import console, print_table, show
from radstream.send_audited import auditing, interrupted, send_audited
from radstream.sending import CALLING_AE, INTERRUPTED, RETRIES, Destination, SendResult
from radstream.stow_scu import Studies
from streams.config import Config
from streams.nodes import Node, file_of, node_of
from streams.store_scu import Target
from streams.tls.clients import Clients
from streams.tls.ours import first_fingerprint

UNSENT, REFUSED = 1, 3
_URL: Final = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[^/@:\s?#\[\]]+)(:[0-9]{1,5})?(/[!-~]*)?\Z")
_TARGET: Final = re.compile(r"(?P<ae>[ -\[\]-~]{1,16})@(?P<host>\[[0-9A-Fa-f:.]+\]|[^@:\s]+):(?P<port>[0-9]{1,5})\Z")


@click.command(short_help="Send DICOM files and folders by C-STORE or STOW-RS.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--to", "to", metavar="NODE", help="A node's name, or AE@HOST:PORT; else the router of the configuration."
)
@click.option("--tls", is_flag=True, help="By TLS, with the certificate of [dicom.tls]; a node says itself whether.")
@click.option("--stow", "stow", metavar="URL", help="Send by STOW-RS to this http(s)://HOST:PORT/studies instead.")
@click.option("--associations", type=click.IntRange(1, 64), default=1, show_default=True, help="How many at once.")
@click.option(
    "--calling", "calling_ae", type=AeTitled(), default=CALLING_AE, show_default=True, help="Calling AE title."
)
@click.option("--retries", type=click.IntRange(0, 20), default=RETRIES, show_default=True, help="After 0xA700.")
@config_option
@json_option
def send(
    paths: tuple[Path, ...],
    to: str | None,
    tls: bool,
    stow: str | None,
    associations: int,
    calling_ae: str,
    retries: int,
    config_path: Path,
    as_json: bool,
) -> None:
    """Send every file in PATHS and below, as it is, by C-STORE or STOW-RS.

    STOW-RS has a request for each file, and the statuses that C-STORE would have.

    Exit code: 0 where every file was acknowledged, also with a warning (0xBxxx), 3 where some were refused with another
    status, 1 where some could not be sent at all. Ctrl-C waits for what is under way, and sums up what was sent.
    """
    if stow and (to or tls):
        raise Failure(f"{'--to' if to else '--tls'} and --stow: one of them; STOW-RS by TLS has an https URL")
    target = destination(to, stow, config_path, tls=tls)
    config = auditing(config_path, to or stow)
    files = files_below(paths)
    if not files:
        raise Failure(f"{', '.join(map(str, paths))}: no file in there")
    sending = send_audited(
        files,
        target,
        config,
        "send",
        calling_ae=calling_ae,
        shown=not as_json and sys.stderr.isatty(),
        associations=associations,
        retries=retries,
    )
    result = sending.result
    try:
        show(as_json, result, lambda: print_result(result, target))
    finally:
        sending.audit()
    if result.unsent:
        sys.exit(UNSENT)
    if result.refused:
        sys.exit(REFUSED)


def destination(to: str | None, stow: str | None, config_path: Path, *, tls: bool) -> Destination:
    """Raises Failure, ConfigError."""
    if stow:
        return parse_url(stow)
    if to is None:
        config = open_config(config_path)
        return secured_router_of(config) if tls else router_of(config)
    if "@" not in to:
        return _node(open_config(config_path), to, tls=tls)
    target = parse_target(to)
    if not tls:
        return target
    node = Node(ae_title=target.ae_title, host=target.host, port=target.port, tls=True)
    return replace(target, secured=Clients(open_config(config_path)).of(node))


def _node(config: Config, name: str, *, tls: bool) -> Target:
    """A node of the site, as its file says. Raises Failure, ConfigError."""
    node = node_of(config, name)
    if tls and not node.tls:
        raise Failure(f"--tls: {name} is a node without TLS; write tls = true in {file_of(config)}")
    return Target(node.ae_title, node.host, node.port, Clients(config).of(node))


def parse_url(text: str) -> Studies:
    """An absolute URL of http or https. Raises Failure."""
    if not _URL.match(text):
        raise Failure(f"--stow {text}: not http(s)://HOST:PORT/studies, for example http://127.0.0.1:8104/studies")
    return Studies(text)


def parse_target(text: str) -> Target:
    """`AE@host:port`, an IPv6 host in brackets. Raises Failure."""
    match = _TARGET.match(text)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise Failure(f"--to {text}: not AE@HOST:PORT, for example RADSTREAM@127.0.0.1:11112")
    return Target(match["ae"].strip(), match["host"].strip("[]"), int(match["port"]))


def router_of(config: Config) -> Target:
    """The router that a configuration describes. Raises ConfigError."""
    settings = config.section("router", Settings)
    return Target(settings.ae_title, settings.host, settings.port)


def secured_router_of(config: Config) -> Target:
    """Its port for TLS; it is known by the very certificate that [router.tls] names. Raises Failure, ConfigError."""
    settings = config.section("router", Settings)
    if settings.tls is None:
        raise Failure(f"--tls: {config.path} has no [router.tls], so the router listens without TLS alone")
    own = first_fingerprint(settings.tls.certificate)
    node = Node(ae_title=settings.ae_title, host=settings.host, port=settings.tls.port, tls=True, fingerprints=(own,))
    return Target(node.ae_title, node.host, node.port, Clients(config).of(node))


def print_faults(result: SendResult, what: str) -> None:
    """Which were refused or not sent, and why; those of an interruption are counted alone."""
    unsent = [one for one in result.unsent if one["reason"] != INTERRUPTED]
    tables = (
        ("Acknowledged with a warning", result.warned, "status"),
        ("Refused", result.refused, "status"),
        ("Not sent", unsent, "reason"),
    )
    for title, faults, column in tables:
        if faults:
            print_table(title, (what, column), [(fault["file"], fault[column]) for fault in faults])
    if count := interrupted(result):
        console().print(f"interrupted: {count} of {result.files} were not sent; the same command sends all again")


def print_result(result: SendResult, target: Destination) -> None:
    print_faults(result, "file")
    times = f", each p50 {result.p50_ms} ms, p99 {result.p99_ms} ms" if result.p50_ms is not None else ""
    warned = f" ({len(result.warned)} with a warning)" if result.warned else ""
    console().print(
        f"{result.acknowledged} of {result.files} files acknowledged{warned} by {target}, "
        f"{len(result.refused)} refused, {len(result.unsent)} not sent; "
        f"{result.bytes / 1e6:.1f} MB in {result.seconds:.1f} s{times}"
    )
