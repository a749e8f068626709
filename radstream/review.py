"""`radstream review`: what a person says of a model's result."""

from __future__ import annotations

import re
import time
import uuid
from pathlib import Path
from typing import Literal

import click

from consumers.catalog.inference import Result, has_review, result
from radstream.audit import account
from radstream.commanding import message_of, meta_of, notes_of, write
from radstream.errors import Failure
from radstream.inference_lines import print_results
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import show
from radstream.reading import audited, catalog_snapshot, parts_answer
from streams.config import Config, Site
from streams.events import ReviewEvent
from streams.generation import of_facts

Verdict = Literal["confirmed", "rejected", "modified"]

STEP = "review"
SHOWN_S_MAX = 30.0
_POLL_S = 0.1
_REVIEWER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_NOTE_MAX = 4000


@click.command()
@click.argument("result_id", metavar="RESULT_ID")
@click.option("--verdict", required=True, type=click.Choice(("confirmed", "rejected", "modified")))
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
    name = reviewer if reviewer is not None else account()
    if not _REVIEWER.fullmatch(name):
        raise Failure("--reviewer: an account has 1 to 64 letters, digits, or . _ @ -, a letter or digit first")
    if note is not None and not 0 < len(note.strip()) <= _NOTE_MAX:
        raise Failure(f"--note: 1 to {_NOTE_MAX} characters")
    config = open_config(config_path)
    about = _result(config, result_id)
    if finding_id is not None and finding_id not in {finding.finding_id for finding in about.findings}:
        raise Failure(
            f"the result has no finding with this id, so nothing was said; see: radstream study {about.study_uid}"
        )
    said = say(config, about, verdict, name, finding_id, note)
    shown = _shown(config, about, said)
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


def say(
    config: Config, about: Result, verdict: Verdict, reviewer: str, finding_id: str | None, note: str | None
) -> ReviewEvent:
    """Writes a review: the note first, so that no review is without it; then the audit, then the review itself."""
    subject = f"{about.event_id}/{uuid.uuid4()}"
    log = open_log(config)
    with parts_answer():
        kept = notes_of(config).put_note(subject, note.strip()) if note is not None else None
    audited(config, log, "result_reviewed", about.event_id, {"verdict": verdict, "reviewer": reviewer})
    event = ReviewEvent(
        meta=meta_of(config.section("site", Site), STEP, subject),
        provenance=of_facts(STEP).provenance(),
        study_uid=about.study_uid,
        result_event_id=about.event_id,
        verdict=verdict,
        reviewer=reviewer,
        finding_id=finding_id,
        note=kept,
    )
    with log_answers():
        write(log, [message_of(config, event, STEP)], f"the review of {about.event_id}")
    return event


def _shown(config: Config, about: Result, said: ReviewEvent) -> Result:
    """The result as the catalog has it, once the review is there. Raises Failure where that takes too long."""
    tenant = config.section("site", Site).tenant
    until_s = time.monotonic() + SHOWN_S_MAX
    while time.monotonic() < until_s:
        with catalog_snapshot(config) as cursor:
            if has_review(cursor, tenant, said.meta.event_id):
                return result(cursor, tenant, about.event_id) or about
        time.sleep(_POLL_S)
    raise Failure(
        f"the review is in the log. The catalog has not shown it in {SHOWN_S_MAX:.0f} s; see whether it runs: "
        "radstream lag catalog"
    )
