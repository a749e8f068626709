"""`radstream commitments`: what senders asked to be committed, what came of it, and whether they know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from consumers.catalog.commitments import (
    LIMIT_MAX,
    Commitment,
    CommitmentPage,
    WholeCommitment,
    transaction,
)
from consumers.catalog.commitments import commitments as page
from radstream.errors import Failure
from radstream.options import config_option, json_option, open_config, open_log
from radstream.output import console, plain, print_table, show
from radstream.reading import audited, catalog_snapshot
from streams.config import Site

# PS3.3 section C.14.1.1.
REASONS = {
    0x0110: "it is here, but held, rejected, not in as many verified copies as promised, or another sender's is served",
    0x0112: "it never came from who asks",
    0x0119: "it is here as an instance of another SOP class",
    0x0122: "its SOP class is not stored",
    0x0131: "the Transaction UID was used before, for other instances",
}


@click.group()
def commitments() -> None:
    """Storage commitment: what senders asked for, and what they were told."""


@commitments.command("list")
@click.option("--ae", "calling_ae", metavar="AE", help="Only what this sender asked for.")
@click.option("--open", "open_only", is_flag=True, help="Only what is not told yet.")
@click.option("--before", type=click.UUID, metavar="ID", help="Go on before this request: the last page's `next`.")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=50, show_default=True)
@config_option
@json_option
def list_(
    calling_ae: str | None, open_only: bool, before: object, limit: int, config_path: Path, as_json: bool
) -> None:
    """Requests, the newest first."""
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        found = page(
            cursor,
            config.section("site", Site).tenant,
            calling_ae=calling_ae,
            open_only=open_only,
            before=str(before) if before else None,
            limit=limit,
        )
    show(as_json, found, lambda: _print_page(found))


@commitments.command("show")
@click.argument("transaction_uid", metavar="TRANSACTION_UID")
@config_option
@json_option
def show_(transaction_uid: str, config_path: Path, as_json: bool) -> None:
    """One transaction: what was asked for, what is committed, and each failure with its reason."""
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        found = transaction(cursor, config.section("site", Site).tenant, transaction_uid)
    if not found:
        raise Failure("the catalog has no request with this Transaction UID; see: radstream commitments list")
    audited(config, open_log(config), "commitment.shown", transaction_uid, {})
    show(as_json, found, lambda: print_whole(found))


def _print_page(found: CommitmentPage) -> None:
    if not found.commitments:
        click.echo("nobody asked for storage commitment")
        return
    print_table(
        "requests for storage commitment",
        ("asked", "by", "transaction", "instances", "committed", "failed", "standing"),
        [
            (
                f"{one.requested_at:%Y-%m-%d %H:%M:%S}",
                plain(one.calling_ae),
                one.transaction_uid,
                one.instances,
                one.committed,
                one.failed,
                one.standing,
            )
            for one in found.commitments
        ],
        numbers=("instances", "committed", "failed"),
    )
    if found.next:
        click.echo(f"there are more: --before {found.next}")


def print_whole(found: list[WholeCommitment]) -> None:
    """For a person: the standing of each request, and its failures by reason."""
    out = console()
    for one in found:
        out.print(f"{one.transaction_uid}, asked by {plain(one.calling_ae)} at {one.requested_at:%Y-%m-%d %H:%M:%S}")
        out.print(f"  {_standing(one)}", soft_wrap=True)
        if one.decided_at:
            out.print(f"  {one.committed} of {one.instances} committed, each in {one.copies} verified copies or more")
        for failure in one.failures:
            _print_failure(failure)


def _standing(one: Commitment) -> str:
    match one.standing:
        case "waiting":
            return f"waiting for its {one.instances} instances to be safe"
        case "judged":
            return "decided, and the sender has not taken the report yet"
        case "abandoned":
            return f"decided, and the sender could not be told: {plain(one.why or 'no reason is known')}"
    return f"told to {one.node} at {one.said_at:%Y-%m-%d %H:%M:%S}"


def _print_failure(failure: dict[str, Any]) -> None:
    reason = int(failure["reason"])
    out = console()
    out.print(f"  0x{reason:04X}, {REASONS.get(reason, 'another reason')}:", soft_wrap=True)
    for uid in failure["sop_instance_uids"]:
        out.print(f"    {uid}", soft_wrap=True)
