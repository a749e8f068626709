"""`radstream imports remember`: the forwarder knows which studies are from outside by the log, and of those that came
before it was asked for that, the catalog alone knows (docs/decisions/0092)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor
from radstream.commanding import message_of, meta_of, write
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import show
from radstream.reading import audited, catalog_snapshot
from streams.clock import SystemClock
from streams.config import Config, Site
from streams.events import Outside, StudyOutside
from streams.generation import of_facts
from streams.log import Log
from streams.outside_studies import STEP, OutsideStudies
from streams.wire import Message

# Of what is from before migration 0017 the study alone says it.
_FROM_OUTSIDE = """
SELECT DISTINCT ON (study_uid) study_uid, outside AS rule, coalesce(outside_issuer, '') AS issuer
FROM (
    SELECT study_uid, outside, outside_issuer FROM studies WHERE tenant = %(tenant)s AND outside IS NOT NULL
    UNION ALL
    SELECT study_uid, outside, outside_issuer FROM study_identities
    WHERE tenant = %(tenant)s AND outside IS NOT NULL AND standing <> 4
) AS said
ORDER BY study_uid, outside
"""


class Remembered(msgspec.Struct, frozen=True):
    """Studies with an image from outside, and of how many the log did not know it yet."""

    studies: int
    new: int


class _Said(msgspec.Struct, frozen=True):
    study_uid: str
    rule: str
    issuer: str


@click.command("remember")
@config_option
@json_option
def remember(config_path: Path, as_json: bool) -> None:
    """Say in the log which studies are from outside, of those that the catalog has: once, after an upgrade.

    Until then an image that another sender brings of a study that came before the upgrade is not known to be from
    outside, and is sent on as it is. What is known already is not said again.
    """
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        found = _found(cursor, config.section("site", Site).tenant)
    log = open_log(config)
    with log_answers():
        messages = list(_messages(config, log, found))
    told = Remembered(len(found), len(messages))
    audited(config, log, "imports_remembered", "imports", {"studies": str(told.new)})
    write(log, messages, "studies from outside to be remembered")
    show(as_json, told, lambda: click.echo(f"{told.studies} studies from outside, {told.new} of them new to the log"))


def _found(cursor: Cursor, tenant: str) -> list[_Said]:
    with cursor.connection.cursor(row_factory=class_row(_Said)) as rows:
        return rows.execute(_FROM_OUTSIDE, {"tenant": tenant}).fetchall()


def _messages(config: Config, log: Log, found: list[_Said]) -> Iterator[Message]:
    """Raises LogAway, LogRefused."""
    site, known = config.section("site", Site), OutsideStudies(log, SystemClock())
    known.read_on()
    for one in found:
        if known.of(site.tenant, one.study_uid) is None:
            event = StudyOutside(
                meta=meta_of(site, STEP, one.study_uid),
                provenance=of_facts(STEP).provenance(),
                study_uid=one.study_uid,
                outside=Outside(rule=one.rule, issuer=one.issuer),
            )
            yield message_of(config, event, STEP)
