"""`radstream migrate`: the studies of an old PACS, pulled, and compared with the catalog instance by instance."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from consumers.catalog.presence import Present, present
from consumers.catalog.reading import Reads
from producers.dicom_router.config import Settings as Router
from radstream.dicom_peer import NoAssociation, quiet
from radstream.errors import Failure
from radstream.migrate_lines import facts_of, is_complete, print_result, progress
from radstream.migrating.allowed import check_lane, check_relay
from radstream.migrating.journal import Entry, Journal
from radstream.migrating.old_pacs import Gone, OldPacs, Refused
from radstream.migrating.ours import router_away
from radstream.migrating.pace import Night, Pace
from radstream.migrating.pulling import Puller, Retrieve
from radstream.migrating.relay import Relay
from radstream.migrating.report import report
from radstream.migrating.run import Migration, Tally
from radstream.migrating.selecting import Selection
from radstream.modality_checks import router_node
from radstream.options import Moment, config_option, json_option, open_config, open_log
from radstream.output import show
from radstream.reading import audited, dsn_of, parts_answer
from radstream.send import router_of
from streams.clock import SystemClock
from streams.config import Config, Site
from streams.nodes import Node, node_of
from streams.tls.clients import Clients

INCOMPLETE: Final = 3
# Before this no PACS kept digital images; years without studies cost a few questions each.
_OLDEST: Final = datetime(1985, 1, 1, tzinfo=UTC)


class NightTime(click.ParamType):
    name = "night"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Night:
        try:
            return Night.parse(str(value))
        except ValueError:
            self.fail(f"{value} is no night; write 20:00-06:00", param, ctx)


@dataclass(frozen=True)
class _Asked:
    """What a person asked for."""

    source: str
    since: datetime
    until: datetime | None
    modality: tuple[str, ...]
    study: tuple[str, ...]
    studies_at_once: int
    per_minute: float | None
    night: Night | None
    get: bool
    dry_run: bool
    journal: Path | None
    report: Path | None


@click.command(short_help="Pull studies from an old PACS, and compare each with the catalog.")
@click.argument("source", metavar="FROM")
@click.option("--since", type=Moment(), default=_OLDEST, help="Study date of the first studies; else the oldest.")
@click.option("--until", type=Moment(), help="Study date of the last studies; else tomorrow.")
@click.option("--modality", multiple=True, metavar="CT", help="Only studies that have it. May be given again.")
@click.option("--study", multiple=True, metavar="UID", help="Only this one, whatever its date. May be given again.")
@click.option("--studies-at-once", type=click.IntRange(1, 16), default=1, show_default=True, help="How many at once.")
@click.option("--per-minute", type=click.FloatRange(0, min_open=True), help="At most so many studies a minute.")
@click.option("--night", type=NightTime(), metavar="20:00-06:00", help="Pull only at these hours of this machine.")
@click.option("--get", is_flag=True, help="By C-GET, where the old PACS cannot send to the router (C-MOVE).")
@click.option("--dry-run", is_flag=True, help="Only compare what it has with what is here; pull nothing.")
@click.option("--journal", type=click.Path(path_type=Path, dir_okay=False), help="Else migrations/FROM.jsonl.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="A line of CSV for each study.")
@config_option
@json_option
def migrate(config_path: Path, as_json: bool, **asked: Any) -> None:
    """Pull the studies of FROM, a node by its name, to the router, and compare what came with what FROM lists.

    A run that was stopped goes on where it was: the same command again. Studies that are here already are not pulled.
    Studies without a study date are in no range of dates: name them with --study.

    Exit code: 0 where every instance that FROM lists is in the catalog, 3 where some are missing or may be,
    1 where the run could not go on.
    """
    quiet()
    config, wanted = open_config(config_path), _Asked(**asked)
    node, router = node_of(config, wanted.source), config.section("router", Router)
    if not wanted.dry_run:
        check_lane(config, router, node)
        if wanted.get:
            check_relay(router, node)
    pacs = OldPacs(node, router.ae_title, Clients(config).of(node))
    retrieve = _retrieve(config, wanted, node, pacs, router.ae_title)
    since, until = wanted.since.date(), (wanted.until or datetime.now(UTC) + timedelta(days=1)).date()
    if since > until:
        raise click.UsageError(f"--since {since} is after --until {until}")
    bar = progress((until - since).days + 1, len(wanted.study), shown=not as_json)
    with _reads(config) as held, report(wanted.report) as on_report, bar as shown:
        selection = Selection(pacs, since, until, wanted.modality, wanted.study, on_window=shown.on_window)
        puller = Puller(pacs, retrieve, held)

        def on_study(entry: Entry) -> None:
            on_report(entry)
            shown.on_study(entry)

        if wanted.dry_run:
            tally = _compare(puller, selection, on_study)
        else:
            away = partial(router_away, router_node(router), node.ae_title)
            tally = _run(config, wanted, puller, selection, pacs, on_study, shown.say, away)
    unproven, by_time = selection.unproven, selection.by_time
    show(as_json, facts_of(tally, unproven, by_time), lambda: print_result(tally, unproven, by_time))
    if tally.stopped:
        raise Failure(tally.stopped)
    if not is_complete(tally, unproven):
        sys.exit(INCOMPLETE)


def _retrieve(config: Config, wanted: _Asked, node: Node, pacs: OldPacs, destination: str) -> Retrieve:
    if wanted.get:
        return Relay(pacs, router_of(config), node.ae_title).get
    return lambda listing, series: pacs.move(listing.study_uid, series, destination)


@contextmanager
def _reads(config: Config) -> Iterator[Callable[[str, Any], dict[str, Present]]]:
    """Asks the catalog over connections that are kept. Raises Failure where it does not answer."""
    reads, tenant = Reads(dsn_of(config)), config.section("site", Site).tenant

    def held(study_uid: str, uids: Any) -> dict[str, Present]:
        with parts_answer(), reads.snapshot() as cursor:
            return present(cursor, tenant, study_uid, uids)

    try:
        yield held
    finally:
        reads.close()


def _compare(puller: Puller, selection: Selection, on_study: Callable[[Entry], None]) -> Tally:
    tally = Tally()
    for study in selection.studies():
        try:
            entry = puller.compare(study)
        except (NoAssociation, Refused, Gone) as error:
            entry = Entry(study=study.uid, state="failed", said=study.instances, reason=str(error))
        tally.count(entry)
        on_study(entry)
    return tally


def _run(
    config: Config,
    wanted: _Asked,
    puller: Puller,
    selection: Selection,
    pacs: OldPacs,
    on_study: Callable[[Entry], None],
    say: Callable[[str], None],
    away: Callable[[], str],
) -> Tally:
    journal = Journal(wanted.journal or config.path.absolute().parent / "migrations" / f"{wanted.source}.jsonl")
    pace = Pace(SystemClock(), wanted.per_minute, wanted.night, say)
    log = open_log(config)
    audited(config, log, "migration_started", wanted.source, _audit_of(wanted))
    migration = Migration(
        puller,
        journal,
        pace,
        at_once=wanted.studies_at_once,
        abort=pacs.abort,
        router_away=away,
        on_study=on_study,
    )
    try:
        return migration.run(selection.studies())
    except KeyboardInterrupt:
        raise Failure("interrupted; the same command goes on where this one was") from None
    except OSError as error:
        raise Failure(f"journal or report cannot be written ({error.strerror}), so nothing more was pulled") from None
    finally:
        journal.close()
        # What was pulled is pulled, also where the log went away since.
        with suppress(Failure):
            audited(config, log, "migration_ended", wanted.source, {**_audit_of(wanted), **_counts(migration.tally)})


def _audit_of(wanted: _Asked) -> dict[str, str]:
    until = f"{wanted.until:%Y-%m-%d}" if wanted.until else ""
    return {"since": f"{wanted.since:%Y-%m-%d}", "until": until, "studies_named": str(len(wanted.study))}


def _counts(tally: Tally) -> dict[str, str]:
    return {f"studies_{state}": str(count) for state, count in tally.states.items()} | {"moves": str(tally.moves)}
