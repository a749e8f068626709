"""`radstream quarantine`: instances that are held, why, and what a person decides on them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from radstream.errors import Failure
from radstream.options import Moment, config_option, json_option, log_answers, open_config, open_log
from radstream.output import show
from radstream.quarantine_asking import Asked, Told, asked_by
from radstream.quarantine_deciding import StudyDecided, decide, decide_study
from radstream.quarantine_lines import deciding_progress, print_decided, print_held, print_shown, print_study_decided
from radstream.quarantine_log import Quarantined, quarantined
from radstream.quarantine_shared import reject_shared
from radstream.quarantine_showing import shown
from streams.identity import uid_is_usable

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def quarantine() -> None:
    """Instances that are held: why, and what people decided.

    What is held is kept as it was received, and flows to nobody.
    """


@quarantine.command("list")
@click.option("--study", "study_uid", metavar="UID", help="Only of this study.")
@click.option("--code", metavar="REASON", help="Only for this reason: truncated, unreadable, contradicts_patient, ...")
@click.option("--since", type=Moment(), help="Only what was held from then on.")
@click.option("--open", "which", flag_value="open", default="open", help="Only what no person has decided on (usual).")
@click.option("--all", "which", flag_value="all", help="Also what was released or rejected.")
@config_option
@json_option
def list_(
    study_uid: str | None, code: str | None, since: datetime | None, which: str, config_path: Path, as_json: bool
) -> None:
    """Quarantined instances, the oldest first."""
    with log_answers():
        found = quarantined(open_log(open_config(config_path)))
    wanted = tuple(
        one
        for one in found.held
        if (study_uid is None or one.study_uid == study_uid)
        and (code is None or one.code == code)
        and (since is None or one.held_at >= since)
        and (which == "all" or one.state == "open")
    )
    kept = Quarantined(held=wanted, unreadable=found.unreadable)
    show(as_json, kept, lambda: print_held(kept, decided=which == "all"))


@quarantine.command("show")
@click.argument("name", metavar="DIGEST|SOP_UID")
@config_option
@json_option
def show_(name: str, config_path: Path, as_json: bool) -> None:
    """Show why an instance is held, where it came from, what to do, and what people decided and why."""
    config = open_config(config_path)
    with log_answers():
        found = shown(config, open_log(config), name)
    show(as_json, found, lambda: print_shown(found))


def decision_options(command: F) -> F:
    for option in (
        click.option("--again", is_flag=True, help="Although another decision was made before."),
        click.option("--as", "actor", metavar="NAME", help="Account of the person who decides; else yours."),
        click.option("--reason", required=True, metavar="TEXT", help="Why. Kept encrypted, outside the log."),
        click.option("--code", metavar="REASON", help="With --study: only those that are held for this reason."),
        click.option("--study", "study_uid", metavar="UID", help="All of this study that wait for a decision."),
        click.argument("name", metavar="[DIGEST|SOP_UID]", required=False),
    ):
        command = option(command)
    return command


@quarantine.command()
@decision_options
@config_option
@json_option
def release(
    name: str | None,
    study_uid: str | None,
    code: str | None,
    reason: str,
    actor: str | None,
    again: bool,
    config_path: Path,
    as_json: bool,
) -> None:
    """Let a held instance flow all the same, and wait until it does. It keeps a finding that says so.

    With --study, all of a study that wait for a decision, for one reason.
    """
    _decide(config_path, (name, study_uid, code), asked_by(actor, "released", reason, again=again), as_json)


@quarantine.command()
@click.option(
    "--shared", is_flag=True, help="With --study: those whose SOP Instance UID an image of another study has."
)
@decision_options
@config_option
@json_option
def reject(
    name: str | None,
    study_uid: str | None,
    code: str | None,
    reason: str,
    actor: str | None,
    again: bool,
    shared: bool,
    config_path: Path,
    as_json: bool,
) -> None:
    """Say that a held instance is never served. Its bytes stay as they were received.

    Also of an image that flows and that nothing held, by its SOP Instance UID or its whole digest: its study goes on
    without it.

    With --study, all of a study that wait for a decision, for one reason; with --shared, too, all of it that flow, and
    are in another study as well (radstream study UID names it), where they stay.
    """
    asked = asked_by(actor, "rejected", reason, again=again)
    if not shared:
        _decide(config_path, (name, study_uid, code), asked, as_json)
    elif study_uid is None or name is not None or code is not None:
        raise Failure("--shared is of a study: --study UID, without --code and without an instance")
    else:
        _print_of_study(as_json, lambda told: reject_shared(open_config(config_path), study_uid, asked, told))


def _decide(config_path: Path, which: tuple[str | None, str | None, str | None], asked: Asked, as_json: bool) -> None:
    name, study_uid, code = which
    if (name is None) == (study_uid is None):
        raise Failure("name one instance, or --study UID: which wait is in radstream quarantine list")
    if code is not None and study_uid is None:
        raise Failure("--code narrows --study UID; an instance is named by itself")
    # Held images without a usable UID are of any patient: a variable that is not set is not to name them all.
    if study_uid is not None and not uid_is_usable(study_uid):
        raise Failure("--study is no Study Instance UID; an image that has none is decided on by its digest")
    config = open_config(config_path)
    if name is not None:
        one = decide(config, name, asked)
        show(as_json, one, lambda: print_decided(one))
    elif study_uid is not None:
        _print_of_study(as_json, lambda told: decide_study(config, study_uid, code, asked, told))


def _print_of_study(as_json: bool, decided: Callable[[Told], StudyDecided]) -> None:
    with deciding_progress(shown=not as_json and sys.stderr.isatty()) as told:
        many = decided(told)
    show(as_json, many, lambda: print_study_decided(many))
