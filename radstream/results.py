"""`radstream results`: what models found and people said of it, as a radiology information system reads it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from radstream.options import Moment, config_option, json_option, open_config, open_log
from radstream.output import print_json_line
from radstream.reading import parts_answer
from radstream.results_reading import ResultReader
from radstream.results_text import moment, text_of
from streams.config import Site
from streams.events import SUBJECTS, InferenceResult, ReviewEvent
from streams.log import LogAway

RECENT = timedelta(days=1)
_FOLLOW_S = 0.5


class Line(msgspec.Struct, frozen=True):
    """One result or review. `type` is the CloudEvents type, which is the topic's name without its lane."""

    type: str
    event: InferenceResult | ReviewEvent


@click.command()
@config_option
@json_option
@click.option("--study", metavar="UID", help="Only of this study.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only from this time on; UTC where it does not say.")
@click.option("--follow", is_flag=True, help="Go on with what is written, until Ctrl-C.")
def results(config_path: Path, as_json: bool, study: str | None, since: datetime | None, follow: bool) -> None:
    """Show what models found, and what people said of it, in the order of time.

    Of a study all of it, else of the last day unless --since says more. With --json an event is a line. Every result
    is preliminary: a person has to look.
    """
    config = open_config(config_path)
    if since is None and study is None:
        since = datetime.now(UTC) - RECENT
    with parts_answer():
        reader = ResultReader(open_log(config), config.section("site", Site).tenant, since, study, _say_skipped)
        try:
            found = _in_time(reader.round())
            _print(found, as_json)
            if not found:
                click.echo(_none_yet(study, since), err=True)
            if follow:
                _follow(reader, as_json)
        except KeyboardInterrupt:
            return


def _in_time(events: Sequence[InferenceResult | ReviewEvent]) -> list[InferenceResult | ReviewEvent]:
    return sorted(events, key=lambda event: (event.meta.occurred_at, event.meta.event_id))


def _follow(reader: ResultReader, as_json: bool) -> None:
    """Prints what comes, the most urgent lane first, until KeyboardInterrupt; a log that is away is waited for."""
    away = False
    while True:
        time.sleep(_FOLLOW_S)
        try:
            found = reader.round()
        except LogAway:
            if not away:
                click.echo("radstream: the broker does not answer; waiting for it (Ctrl-C ends)", err=True)
            away = True
            continue
        if away:
            click.echo("radstream: the broker answers again", err=True)
        away = False
        _print(found, as_json)


def _print(events: Sequence[InferenceResult | ReviewEvent], as_json: bool) -> None:
    for event in events:
        if as_json:
            print_json_line(Line(SUBJECTS[type(event)], event))
        else:
            click.echo(text_of(event))


def _say_skipped(what: str) -> None:
    click.echo(f"radstream: skipped {what}", err=True)


def _none_yet(study: str | None, since: datetime | None) -> str:
    whose = f" of study {study}" if study else ""
    when = f" since {moment(since)}" if since else ""
    next_step = "what waits to be analysed: radstream lag ai"
    if since:
        next_step = f"--since TIME looks further back; {next_step}"
    return f"no results{whose}{when} yet; {next_step}"
