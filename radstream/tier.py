"""`radstream tier`: where studies are kept, why, and what the policy wants next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from consumers.catalog.tiers import LIMIT_MAX, TierPage, page
from consumers.tiering.config import Settings
from consumers.tiering.explain import Explanation, explain, read_study
from consumers.tiering.policy import Policy, load_policy
from radstream.errors import Failure
from radstream.options import Moment, config_option, json_option, open_config, open_log
from radstream.output import console, print_table, show
from radstream.reading import audited, catalog_snapshot, parts_answer
from radstream.tier_command import Following, Progress, Ran, command
from radstream.tier_planning import explained
from radstream.tier_restore import Asked
from radstream.tier_restore import restore as bring_back
from streams.clock import SystemClock
from streams.config import Config, Site

now_option = click.option(
    "--now", "at", type=Moment(), metavar="DATE", help="As if it were DATE; UTC where it does not say."
)


@click.group()
def tier() -> None:
    """Where studies are kept, why, and what the policy wants next."""


@tier.command("explain")
@click.argument("study_uid", metavar="UID")
@now_option
@config_option
@json_option
def explain_(study_uid: str, at: datetime | None, config_path: Path, as_json: bool) -> None:
    """Say where a study is, what the policy wants of it, when, and what stands in the way."""
    config = open_config(config_path)
    tenant = config.section("site", Site).tenant
    with parts_answer():
        study = read_study(open_log(config), tenant, study_uid)
    if not study.revision and not study.seq:
        raise Failure(
            "no study with this UID has a revision yet. One that was sent just now has its first when it was quiet "
            "for a while; see: radstream studies"
        )
    found = explain(tenant, study_uid, study, _policy(config), at or SystemClock().now())
    show(as_json, found, lambda: _print_explanation(found))


@tier.command()
@now_option
@click.option("--study", "study_uid", metavar="UID", help="Only this study.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done first.")
@click.option("--yes", is_flag=True, help="Do not ask, though the date is not today's.")
@config_option
@json_option
def run(at: datetime | None, study_uid: str | None, dry_run: bool, yes: bool, config_path: Path, as_json: bool) -> None:
    """Let tiering look at every study now, and follow what it moves.

    With --now it acts as if it were DATE: what the policy then wants elsewhere is moved, and its source deleted once
    enough copies are verified. Nothing is deleted under a hold.
    """
    config = open_config(config_path)
    now = at or SystemClock().now()
    if dry_run:
        _dry_run(config, now, study_uid, as_json)
        return
    if at is not None and not yes:
        _confirm(at)
    log = open_log(config)
    event = command(config, now, study_uid, simulated=at is not None)
    attributes = {"now": now.isoformat(), "simulated": str(at is not None).lower(), "command": event.meta.event_id}
    audited(config, log, "tier_run", study_uid or "studies", attributes)
    with _progress(shown=not as_json and sys.stderr.isatty()) as told, parts_answer():
        found = Following(log).run(config, event, told)
    show(as_json, found, lambda: _print_ran(found))


@tier.command()
@click.argument("study_uid", metavar="UID")
@click.option("--wait", is_flag=True, help="Until it is there, or cannot be restored.")
@config_option
@json_option
def restore(study_uid: str, wait: bool, config_path: Path, as_json: bool) -> None:
    """Bring a study back out of an archive, as a reader's request does.

    Only what lies in stores that [store] archived names, and in no other, has to be brought back. It stays in the hot
    store for the days that the policy says, and goes back by itself.
    """
    config = open_config(config_path)
    with parts_answer():
        found = bring_back(config, open_log(config), study_uid, wait=wait)
    show(as_json, found, lambda: _print_asked(found))


@tier.command("list")
@click.option("--store", "serving", metavar="NAME", help="Only studies that this store serves.")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=50, show_default=True, help="Studies on a page.")
@click.option("--after", metavar="UID", help="The next page: the study that the last one ended with.")
@config_option
@json_option
def list_(serving: str | None, limit: int, after: str | None, config_path: Path, as_json: bool) -> None:
    """Studies by the store that serves them, in the order of UIDs."""
    config = open_config(config_path)
    with catalog_snapshot(config) as cursor:
        found = page(cursor, config.section("site", Site).tenant, limit=limit, serving=serving, after=after)
    show(as_json, found, lambda: _print_page(found, serving))


def _policy(config: Config) -> Policy:
    return load_policy(config.section("tiering", Settings).policy)


def _confirm(at: datetime) -> None:
    question = (
        f"Tiering will act as if it were {at:%Y-%m-%d}: studies that the policy then wants elsewhere are moved, and "
        "deleted where they were. Go on?"
    )
    if not sys.stdin.isatty():
        raise Failure(f"--now {at:%Y-%m-%d} is not the clock's time, and nobody can be asked; add --yes, or --dry-run")
    click.confirm(question, abort=True, err=True)


def _dry_run(config: Config, now: datetime, study_uid: str | None, as_json: bool) -> None:
    with parts_answer():
        found = explained(open_log(config), config.section("site", Site).tenant, _policy(config), now)
    wanted = [one for one in found if study_uid in (None, one.study_uid) and (one.wants != "stay" or one.why_not)]
    show(as_json, wanted, lambda: _print_wanted(wanted, len(found)))


def _print_wanted(wanted: list[Explanation], studies: int) -> None:
    out = console()
    for one in wanted:
        out.print(one.study_uid, soft_wrap=True)
        out.print(f"  {_what(one)}", soft_wrap=True)
    moves = sum(one.wants in ("backup", "age") for one in wanted)
    out.print(f"{moves} of {studies} studies would be moved or backed up first; nothing was done")


def _what(one: Explanation) -> str:
    way = f"{one.source} to {one.target}: " if one.source else f"to {one.target}: " if one.target else ""
    return f"{way}{one.why}{f', but: {one.why_not}' if one.why_not else ''}"


def _print_explanation(found: Explanation) -> None:
    out = console()
    out.print(f"study {found.study_uid}, revision {found.revision}, {found.instances} instances", soft_wrap=True)
    out.print(f"served by {found.serving}; {_copies(found)}")
    received, read = found.last_received_at, found.last_access_at
    out.print(
        f"last received {received:%Y-%m-%d %H:%M}" if received else "never received",
        f"last read {read:%Y-%m-%d %H:%M}" if read else "never read",
        sep=", ",
    )
    for hold in found.holds:
        out.print(f"held by {hold}")
    out.print(f"at {found.asked_for:%Y-%m-%d %H:%M} the policy wants: {found.wants}")
    out.print(f"  {_what(found)}", soft_wrap=True)
    if found.due_at:
        out.print(f"  until {found.due_at:%Y-%m-%d}")


def _copies(found: Explanation) -> str:
    copies = ", ".join(f"{held.copies} in {held.store} ({held.verified} verified)" for held in found.copies)
    return f"copies: {copies}" if copies else "no copy was made or read back yet"


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[Progress], None]]:
    if not shown:
        yield lambda _: None
        return
    with Console(stderr=True).status("waiting for tiering") as line:
        yield lambda found: line.update(
            f"{len(found.done)} moves done, {len(found.moving)} studies under way: {found.objects} objects, "
            f"{found.bytes / 1e6:.1f} MB, {found.verified} copies verified"
        )


def _print_ran(found: Ran) -> None:
    out = console()
    for move in found.moves:
        way = f"{move.source} to {move.target}" if move.source else f"to {move.target}"
        out.print(f"{move.study_uid}", soft_wrap=True)
        out.print(f"  {move.why}, {way}: {move.phase}, {move.objects} objects, {move.verified} copies verified")
    abandoned = f", {found.abandoned} moves abandoned: radstream tier explain UID says why" if found.abandoned else ""
    out.print(
        f"{found.studies} studies moved or backed up as of {found.now:%Y-%m-%d}: {found.objects} objects, "
        f"{found.bytes / 1e6:.1f} MB, {found.verified} copies verified in {found.seconds:.1f} s{abandoned}",
        soft_wrap=True,
    )


def _print_asked(found: Asked) -> None:
    said = {
        "online": "nothing of it has to be restored: every image can be read",
        "asked": f"{found.instances} images are being restored, expected at {found.expected_at:%Y-%m-%d %H:%M} UTC"
        if found.expected_at
        else "",
        "restored": f"{found.instances} images were restored",
    }
    console().print(said[found.state], soft_wrap=True)


def _print_page(found: TierPage, serving: str | None) -> None:
    out = console()
    for line in found.studies:
        held = f", {line.holds} holds" if line.holds else ""
        read = f", last read {line.last_read_at:%Y-%m-%d}" if line.last_read_at else ""
        out.print(line.study_uid, soft_wrap=True)
        out.print(
            f"  {line.serving}: {line.objects} objects, {line.bytes / 1e6:.1f} MB; {line.why} to {line.target} "
            f"{line.phase} for {line.decided_for:%Y-%m-%d}{read}{held}",
            soft_wrap=True,
        )
    if found.next:
        store = f" --store {serving}" if serving else ""
        out.print(f"more: radstream tier list{store} --after {found.next}", soft_wrap=True)
    if found.sums:
        rows = [(one.serving, one.studies, one.objects, f"{one.bytes / 1e6:.1f}") for one in found.sums]
        print_table("Served by", ("store", "studies", "objects", "MB"), rows, numbers=("studies", "objects", "MB"))
    else:
        out.print("tiering has not looked at a study yet")
