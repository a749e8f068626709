"""`radstream reconcile`: bucket, spool and log against each other, and the event of what a crash left without one."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console

from producers.dicom_router.archive import STEP, Archive
from producers.dicom_router.config import Settings
from producers.dicom_router.lanes import Lanes
from producers.dicom_router.outside_rules import OutsideRules
from producers.dicom_router.reconciling.orphan import PROTOCOL
from producers.dicom_router.reconciling.reconciling import Reconciling
from producers.dicom_router.spool.census import census
from radstream.errors import Failure
from radstream.options import Duration, config_option, json_option, open_config, open_log
from radstream.output import show
from radstream.reading import audited, parts_answer
from radstream.reconcile_lines import Report, print_report
from radstream.spool import ROUTER
from streams.clock import SystemClock
from streams.config import Config, ConfigError, Kafka, Protected, Site, Store
from streams.generation import of_facts
from streams.log import Log
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.s3 import S3Store
from streams.schema_ids import read_ids
from streams.service import source_of
from streams.wire import SchemaIds

DIFFERENT, NOT_COMPARED = 1, 2
_TOLD_EVERY = 1000
_ACKNOWLEDGED_S_MAX = 30.0


@click.command(short_help="Compare bucket, spool and log, and publish the event of what a crash left without one.")
@click.option("--publish", is_flag=True, help="Publish the events that are missing; without it, only say which.")
@click.option(
    "--older-than",
    type=Duration(),
    default="15m",
    show_default=True,
    help="Leave alone what was put more lately: it may be on its way. 90s, 15m, 2h, 1d.",
)
@config_option
@json_option
def reconcile(publish: bool, older_than: timedelta, config_path: Path, as_json: bool) -> None:
    """Compare bucket, spool and log, and publish the event of what a crash left without one.

    Reads the spool's heads, then all received events, then lists every store, in bounded memory. With --publish each
    original without an event is read and compared with its SHA-256, and its event is written with the id that the
    router gives it; a second run finds nothing to do. No object is ever changed or removed.

    Exit code: 0 where they agree (or do now), 1 where differences are left, 2 where they could not be compared.
    """
    try:
        report = _reconciled(open_config(config_path), publish, older_than, shown=not as_json and sys.stderr.isatty())
    except (Failure, ConfigError) as error:
        click.echo(f"radstream: {error}", err=True)
        sys.exit(NOT_COMPARED)
    show(as_json, report, lambda: print_report(report))
    if not report.agree:
        sys.exit(DIFFERENT)


def _reconciled(config: Config, publish: bool, older_than: timedelta, *, shown: bool) -> Report:
    site, log, store = config.section("site", Site), open_log(config), S3Store(config.section("store", Store))
    until = datetime.now(UTC) - older_than
    spooled = _spooled(config)
    if publish:
        audited(config, log, "reconcile.publish", site.tenant, {"put_until": until.isoformat()})
    with (
        tempfile.TemporaryDirectory(prefix="radstream-reconcile-") as folder,
        _progress(shown=shown) as told,
        parts_answer(),
        _archive(config, log, store, publish=publish) as archive,
    ):
        found = Reconciling(log, store, site.tenant, spooled, until, Path(folder), archive, told)
        report = Report.of(found, publish=publish)
    if publish:
        counts: dict[str, str] = {kind: str(count) for kind, count in report.differences.items()}
        audited(config, log, "reconcile.published", site.tenant, counts)
    return report


def _spooled(config: Config) -> set[str]:
    """Digests (hex) of what waits on the router's spool. Raises Failure where there is one that cannot be read: what is
    on it is to get its event from the drain, which knows the sender."""
    settings = config.section(ROUTER, Settings).spool if ROUTER in config.names else None
    if settings is None or settings.folder is None:
        return set()
    try:
        found = census(settings.folder)
    except OSError as error:
        raise Failure(
            f"the router's spool {settings.folder} cannot be read ({error.strerror}), and what waits there is no "
            "difference: run this on the router's machine, as its user"
        ) from None
    if found.unreadable:
        raise Failure(
            f"{found.unreadable} segments of the router's spool {settings.folder} cannot be read, and what waits in "
            "them is no difference: radstream doctor says what to do"
        )
    return found.waiting


@contextmanager
def _archive(config: Config, log: Log, store: S3Store, *, publish: bool) -> Iterator[Archive | None]:
    """The router's own way to store and log; None where nothing is to be written."""
    if not publish:
        yield None
        return
    site, ids = config.section("site", Site), config.section("kafka", Kafka).schema_ids
    producer = log.producer(linger_ms=0)
    try:
        yield Archive(
            site=site,
            store=store,
            producer=producer,
            ids=read_ids(ids) if ids else SchemaIds(),
            blocks=ProtectedBlocks(store, FileKeys(config.section("protected", Protected).key_file), site.tenant),
            clock=SystemClock(),
            identity=of_facts(STEP),
            lanes=Lanes({}),
            source=source_of(site, PROTOCOL),
            commit_timeout_s=_ACKNOWLEDGED_S_MAX,
            outside_rules=OutsideRules.of_site(config),
        )
    except TimeoutError:
        raise Failure(
            f"the log did not acknowledge an event in {_ACKNOWLEDGED_S_MAX:g} s; see whether the broker runs "
            "(radstream status), then run this again: what is published already is found"
        ) from None
    finally:
        producer.close(_ACKNOWLEDGED_S_MAX)


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[str, int], None]]:
    if not shown:
        yield lambda _what, _count: None
        return
    with Console(stderr=True).status("comparing") as line:

        def told(what: str, count: int) -> None:
            if count % _TOLD_EVERY == 0:
                line.update(f"comparing: {count} {what}")

        yield told
