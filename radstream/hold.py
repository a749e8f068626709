"""`radstream hold`: nothing of a study is deleted while a hold is in force."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import click

from consumers.catalog.holds import Hold, holds
from consumers.catalog.study import study as read_study
from radstream.audit import account
from radstream.commanding import message_of, meta_of, notes_of, write
from radstream.errors import Failure
from radstream.hold_lines import history, hold_line
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import console, show
from radstream.reading import audited, catalog_snapshot, parts_answer
from streams.config import Config, Site
from streams.events import HoldCommand
from streams.generation import of_facts

STEP = "hold"
SHOWN_S_MAX = 30.0
_POLL_S = 0.1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WHY_MAX = 4000

why_option = click.option("--why", required=True, metavar="TEXT", help="Why. Kept encrypted, outside the log.")


@click.group()
def hold() -> None:
    """Holds: while one is in force, nothing of its study is deleted from any store."""


@hold.command()
@click.argument("study_uid", metavar="UID")
@why_option
@click.option("--id", "hold_id", metavar="NAME", help="Name of the hold, for its release; else one is made up.")
@config_option
@json_option
def add(study_uid: str, why: str, hold_id: str | None, config_path: Path, as_json: bool) -> None:
    """Hold a study, and wait until the catalog shows it."""
    name = hold_id if hold_id is not None else f"hold-{uuid.uuid4().hex[:8]}"
    if not _NAME.fullmatch(name):
        raise Failure("--id: a hold's name has 1 to 64 letters, digits, dots, dashes or underscores, a letter first")
    config = open_config(config_path)
    tenant = config.section("site", Site).tenant
    with catalog_snapshot(config) as cursor:
        if read_study(cursor, tenant, study_uid) is None:
            raise Failure("the catalog has no study with this UID, so nothing was held; see: radstream studies")
        if taken := holds(cursor, tenant, hold_id=name):
            raise Failure(f"the name {name} is taken ({history(taken[0])}); choose another one")
    _say(config, study_uid, name, "placed", why)
    _print_one(_shown(config, study_uid, name, in_force=True), as_json)


@hold.command()
@click.argument("hold_id", metavar="NAME")
@why_option
@config_option
@json_option
def release(hold_id: str, why: str, config_path: Path, as_json: bool) -> None:
    """Release a hold, and wait until the catalog shows it. Other holds of the study stay in force."""
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        found = holds(cursor, config.section("site", Site).tenant, hold_id=hold_id)
    if not found:
        raise Failure("the catalog has no hold of this name; see: radstream hold list")
    for held in found:
        if not held.in_force:
            raise Failure(f"nothing was done: {history(held)}")
    # Two who placed a hold of one name at the same moment have both held their study.
    for held in found:
        _say(config, held.study_uid, hold_id, "released", why)
    for held in found:
        _print_one(_shown(config, held.study_uid, hold_id, in_force=False), as_json)


@hold.command("list")
@click.option("--study", "study_uid", metavar="UID", help="Only of this study.")
@click.option("--all", "all_", is_flag=True, help="Those that were released, too.")
@config_option
@json_option
def list_(study_uid: str | None, all_: bool, config_path: Path, as_json: bool) -> None:
    """Holds in force, the first placed first."""
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        found = holds(cursor, config.section("site", Site).tenant, study_uid=study_uid, in_force=not all_)
    # Reasons are free text of people: each look at them is an event.
    audited(config, open_log(config), "holds_listed", study_uid or "holds", {"holds": str(len(found))})
    show(as_json, found, lambda: _print(found))


def _say(config: Config, study_uid: str, hold_id: str, action: Literal["placed", "released"], why: str) -> None:
    """The note first, so that no hold is without its reason; then the audit, then the hold."""
    if not 0 < len(why.strip()) <= _WHY_MAX:
        raise Failure(f"--why: say why, in 1 to {_WHY_MAX} characters")
    subject = f"{study_uid}/{hold_id}/{action}"
    log = open_log(config)
    with parts_answer():
        note = notes_of(config).put_note(subject, why.strip())
    audited(config, log, f"hold_{action}", study_uid, {"hold": hold_id})
    event = HoldCommand(
        meta=meta_of(config.section("site", Site), STEP, subject),
        provenance=of_facts(STEP).provenance(),
        study_uid=study_uid,
        hold_id=hold_id,
        action=action,
        actor=account(),
        why=note,
    )
    with log_answers():
        write(log, [message_of(config, event, STEP)], f"hold {hold_id} of {study_uid} {action}")


def _shown(config: Config, study_uid: str, hold_id: str, *, in_force: bool) -> Hold:
    """The hold as the catalog has it, once it is as was asked. Raises Failure where that takes too long."""
    tenant = config.section("site", Site).tenant
    until_s = time.monotonic() + SHOWN_S_MAX
    while time.monotonic() < until_s:
        # What is placed is placed, also where the catalog went away since.
        with suppress(Failure), catalog_snapshot(config) as cursor:
            for found in holds(cursor, tenant, study_uid=study_uid, hold_id=hold_id):
                if found.in_force == in_force:
                    return found
        time.sleep(_POLL_S)
    done = "placed" if in_force else "released"
    raise Failure(
        f"hold {hold_id} of {study_uid} is {done}: it is in the log, and tiering will see it. The catalog has not "
        f"shown it in {SHOWN_S_MAX:.0f} s; see whether it runs: radstream lag catalog"
    )


def _print_one(found: Hold, as_json: bool) -> None:
    show(as_json, found, lambda: console().print(f"{hold_line(found)}\nstudy {found.study_uid}", soft_wrap=True))


def _print(found: Sequence[Hold]) -> None:
    if not found:
        click.echo("no holds")
    for one in found:
        console().print(f"{one.study_uid}\n  {hold_line(one)}", soft_wrap=True)
