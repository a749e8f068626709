"""`radstream review`: what a person says of a model's result."""

from __future__ import annotations

import time
from pathlib import Path

import click

from consumers.catalog.inference import Result, has_review, result
from radstream.audit import account
from radstream.commanding import message_of, notes_of, write
from radstream.errors import Failure
from radstream.inference_lines import print_results
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import show
from radstream.reading import audited, catalog_snapshot, parts_answer
from streams.clock import SystemClock
from streams.config import Config, Site
from streams.events import ReviewEvent
from streams.reviewing import STEP, VERDICTS, Said, Verdict

SHOWN_S_MAX = 30.0
_POLL_S = 0.1


@click.command()
@click.argument("result_id", metavar="RESULT_ID")
@click.option("--verdict", required=True, type=click.Choice(VERDICTS))
@click.option("--finding", "finding_id", metavar="ID", help="One finding; else the result as a whole.")
@click.option("--note", metavar="TEXT", help="Kept encrypted, outside the log.")
@click.option("--reviewer", metavar="NAME", help="Account of the person; else yours.")
@config_option
@json_option
def review(
    result_id: str,
    verdict: Verdict,
    finding_id: str | None,
    note: str | None,
    reviewer: str | None,
    config_path: Path,
    as_json: bool,
) -> None:
    """Say what a person thinks of a result, and wait until the catalog shows it."""
    config = open_config(config_path)
    about = _result(config, result_id)
    if finding_id is not None and finding_id not in {finding.finding_id for finding in about.findings}:
        raise Failure(
            f"the result has no finding with this id, so nothing was said; see: radstream study {about.study_uid}"
        )
    try:
        name = account() if reviewer is None else reviewer
        said = Said(about.study_uid, about.event_id, verdict, name, finding_id, note)
    except ValueError as error:
        raise Failure(f"--{error}") from None
    event = say(config, said)
    shown = _shown(config, about, event)
    show(as_json, shown, lambda: print_results([shown]))


def _result(config: Config, result_id: str) -> Result:
    with catalog_snapshot(config) as cursor:
        found = result(cursor, config.section("site", Site).tenant, result_id.lower())
    if found is None:
        raise Failure(
            "the catalog has no result with this id, so nothing was said; results and their ids: radstream study UID. "
            "One that was made just now is there when the catalog has caught up: radstream lag catalog"
        )
    return found


def say(config: Config, said: Said) -> ReviewEvent:
    """Writes a review: the note first, so that no review is without it; then the audit, then the review itself."""
    log = open_log(config)
    with parts_answer():
        event = said.event(config.section("site", Site), SystemClock(), notes_of(config))
    facts = {"verdict": said.verdict, "reviewer": said.reviewer}
    audited(config, log, "result_reviewed", said.result_event_id, facts)
    with log_answers():
        write(log, [message_of(config, event, STEP)], f"the review of {said.result_event_id}")
    return event


def _shown(config: Config, about: Result, event: ReviewEvent) -> Result:
    """The result as the catalog has it, once the review is there. Raises Failure where that takes too long."""
    tenant = config.section("site", Site).tenant
    until_s = time.monotonic() + SHOWN_S_MAX
    while time.monotonic() < until_s:
        with catalog_snapshot(config) as cursor:
            if has_review(cursor, tenant, event.meta.event_id):
                return result(cursor, tenant, about.event_id) or about
        time.sleep(_POLL_S)
    raise Failure(
        f"the review is in the log. The catalog has not shown it in {SHOWN_S_MAX:.0f} s; see whether it runs: "
        "radstream lag catalog"
    )
