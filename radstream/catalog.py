"""`catalog`: what the tables amount to, the tables once more from the log, and their migrations."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumers.catalog.checksum import Checksum, TableSum, checksum
from consumers.catalog.counts import open_work
from consumers.catalog.database import SCHEMA
from consumers.catalog.migrate import Phase, migrate
from consumers.catalog.progress import behind, log_ends
from consumers.catalog.reading import Reads
from consumers.catalog.rebuild import NEW, Rebuild, Rebuilt
from radstream.errors import Failure
from radstream.options import config_option, json_option, open_config, open_log
from radstream.output import console, print_table, show
from radstream.reading import audited, catalog_snapshot, dsn_of, parts_answer
from streams.config import Config, Protected, Site, Store
from streams.log import Log
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.s3 import S3Store

_POLL_S = 0.25


class Sum(msgspec.Struct, frozen=True):
    """`lag` counts records that the log has and the tables have not, by topic; `open` what services have yet to do."""

    total: str
    complete: bool
    tables: dict[str, TableSum]
    lag: dict[str, int]
    open: dict[str, int]


@click.group()
def catalog() -> None:
    """Compare, rebuild and migrate the catalog."""


@catalog.command("checksum")
@config_option
@json_option
@click.option("--wait", "wait_s", type=click.FloatRange(min=0), default=0.0, help="Seconds to wait for completeness.")
def checksum_command(config_path: Path, as_json: bool, wait_s: float) -> None:
    """Sum up what the catalog says: equal numbers mean equal content.

    Complete means that the tables have all that the log has, and that the services have done what it asks for.
    """
    config = open_config(config_path)
    log = open_log(config)
    _wait(config, log, wait_s)
    found = _sum(config, log)
    show(as_json, found, lambda: _print_sum(found))
    if wait_s and not found.complete:
        raise Failure(f"not complete after {wait_s:g} s: see which group lags: radstream lag")


def _wait(config: Config, log: Log, wait_s: float) -> None:
    end = time.monotonic() + wait_s
    with closing(Reads(dsn_of(config))) as reads, parts_answer():
        while time.monotonic() < end:
            ends = log_ends(log)
            with reads.snapshot() as cursor:
                if not behind(cursor, ends) and not any(open_work(cursor).values()):
                    return
            time.sleep(_POLL_S)


def _sum(config: Config, log: Log) -> Sum:
    with parts_answer():
        ends = log_ends(log)
    with catalog_snapshot(config) as cursor:
        lag, todo, found = behind(cursor, ends), open_work(cursor), checksum(cursor)
    return Sum(found.total, not lag and not any(todo.values()), found.tables, lag, todo)


def _print_sum(found: Sum) -> None:
    rows = [(name, table.rows, table.sum) for name, table in found.tables.items()]
    print_table("Catalog", ("table", "rows", "sum"), rows, numbers=("rows",))
    out = console()
    out.print(f"checksum {found.total}")
    for topic, records in found.lag.items():
        out.print(f"not complete: {records} records of {topic} are not in the tables yet")
    for what, count in found.open.items():
        if count:
            out.print(f"not complete: {count} {what}")


@catalog.command()
@config_option
@json_option
@click.option("--switch", is_flag=True, help="Let the new tables take the place of the live ones, unless they differ.")
@click.option("--reason", default="", help="Why, for the audit; no patient data.")
def rebuild(config_path: Path, as_json: bool, switch: bool, reason: str) -> None:
    """Build the catalog once more from the log, and compare it with the live one.

    The live catalog goes on meanwhile, but for the comparison at the end. Its tables are kept until the next switch.
    """
    config = open_config(config_path)
    log, site = open_log(config), config.section("site", Site)
    store = S3Store(config.section("store", Store))
    blocks = ProtectedBlocks(store, FileKeys(config.section("protected", Protected).key_file), site.tenant)
    # Before the work, so that what cannot be audited is not done; and after it, with what came out.
    audited(config, log, "catalog_rebuild", "catalog", {"switch": str(switch).lower()}, reason=reason)
    bar = Progress(
        TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    )
    with bar, parts_answer():
        task = bar.add_task("records", total=None)
        told = Rebuild(dsn_of(config), log, blocks, lambda done, total: bar.update(task, completed=done, total=total))
        found = told.run(switch=switch)
    outcome = {"checksum": found.rebuilt.total, "switched": str(found.switched).lower()}
    audited(config, log, "catalog_rebuilt", "catalog", outcome, reason=reason)
    show(as_json, _facts(found), lambda: _print_rebuilt(found))
    if found.equal is False:
        raise Failure(
            f"the live catalog differs from the log in {', '.join(found.differing)}; it stays as it is, and the "
            f"rebuilt one is beside it in schema {NEW}. Find out which is wrong. To take the rebuilt one, put the live "
            f"one aside, in psql: ALTER SCHEMA {SCHEMA} RENAME TO {SCHEMA}_differing; "
            "then: radstream catalog rebuild --switch"
        )


def _facts(found: Rebuilt) -> dict[str, object]:
    return {"equal": found.equal, **msgspec.structs.asdict(found)}


def _print_rebuilt(found: Rebuilt) -> None:
    out = console()
    out.print(f"{found.records} records read, {found.unreadable} of them dead letters")
    out.print(f"rebuilt  {found.rebuilt.total}")
    out.print(f"live     {_told(found.live)}")
    if found.differing:
        out.print(f"they differ in {', '.join(found.differing)}")
    if found.switched:
        out.print("the rebuilt catalog is the live one now")


def _told(live: Checksum | None) -> str:
    return live.total if live else "not compared: there is none that is as far as the log"


@catalog.command("migrate")
@config_option
@click.option("--after", is_flag=True, help="The migrations that wait until no older service is left.")
def migrate_command(config_path: Path, after: bool) -> None:
    """Bring the tables to what this version needs. Without --after, before its services start."""
    phase: Phase = "after" if after else "before"
    with parts_answer():
        applied = migrate(dsn_of(open_config(config_path)), phase)
    click.echo("\n".join(f"applied {phase}/{name}" for name in applied) or f"nothing to apply {phase} the deploy")
