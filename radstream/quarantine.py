"""`radstream quarantine`: instances that are held, why, and what a person decides on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from radstream.options import Moment, config_option, json_option, log_answers, open_config, open_log
from radstream.output import show
from radstream.quarantine_deciding import Decided, decide
from radstream.quarantine_lines import print_decided, print_held, print_shown
from radstream.quarantine_log import Quarantined, quarantined
from radstream.quarantine_showing import shown

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
        click.option("--reason", required=True, metavar="TEXT", help="Why. Kept encrypted, outside the log."),
        click.option("--as", "actor", metavar="NAME", help="Account of the person who decides; else yours."),
        click.option("--again", is_flag=True, help="Although another decision was made before."),
    ):
        command = option(command)
    return command


@quarantine.command()
@click.argument("name", metavar="DIGEST|SOP_UID")
@decision_options
@config_option
@json_option
def release(name: str, reason: str, actor: str | None, again: bool, config_path: Path, as_json: bool) -> None:
    """Let a held instance flow all the same, and wait until it does. It keeps a finding that says so."""
    _decided(decide(open_config(config_path), name, "released", reason, actor, again=again), as_json)


@quarantine.command()
@click.argument("name", metavar="DIGEST|SOP_UID")
@decision_options
@config_option
@json_option
def reject(name: str, reason: str, actor: str | None, again: bool, config_path: Path, as_json: bool) -> None:
    """Say that a held instance is never served. Its bytes stay as they were received."""
    _decided(decide(open_config(config_path), name, "rejected", reason, actor, again=again), as_json)


def _decided(found: Decided, as_json: bool) -> None:
    show(as_json, found, lambda: print_decided(found))
