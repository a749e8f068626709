"""`radstream deadletters`: records that a group gave up, why, and back to it once the cause is mended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from radstream.audit import account
from radstream.deadletter_filters import LetterPlace, Wanted, filters, known, letters_of
from radstream.deadletter_lines import Line, Redriven, line_of, print_list, print_redriven, print_whole, whole_of
from radstream.errors import Failure
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import show
from radstream.reading import audited
from schemas import load_topics
from streams.clock import SystemClock
from streams.letters import Letter, Place, letter_at
from streams.log import Log, LogAway
from streams.redriving import ACKNOWLEDGED_S_MAX, NotPutBack, put_back, read_letter, redrive_one
from streams.redriving_group import Busy, alone

# Half of what a service stands in ten minutes (dead_letters_max): it does not stop where all of them come back.
_REDRIVEN, _REDRIVEN_MAX = 50, 5000
_LISTED = 100


@click.group()
def deadletters() -> None:
    """Records that a group gave up: why, and back to it once the cause is mended."""


@deadletters.command("list")
@click.argument("group", required=False)
@filters
@click.option("--all", "everything", is_flag=True, help="Also what was redriven and did not come back.")
@click.option("--limit", type=click.IntRange(min=1), default=_LISTED, show_default=True, help="The last so many.")
@config_option
@json_option
def list_(group: str | None, wanted: Wanted, everything: bool, limit: int, config_path: Path, as_json: bool) -> None:
    """Dead letters of GROUP, or of all groups, the oldest first; a record that died twice is one line."""
    with log_answers():
        log = open_log(open_config(config_path))
        groups = [known(group)] if group else list(load_topics().groups)
        found = [one for name in groups for one in letters_of(log, name) if wanted.fits(one)]
    kept = sorted((one for one in found if everything or one.state != "redriven"), key=lambda one: one.at_ms)
    lines, redriven = [line_of(one) for one in kept[-limit:]], len(found) - len(kept)
    facts = {"letters": lines, "left_out": len(kept) - len(lines), "redriven": redriven}
    show(as_json, facts, lambda: print_list(lines, len(kept) - len(lines), redriven))


@deadletters.command("show")
@click.argument("group")
@click.argument("place", type=LetterPlace(), metavar="PARTITION/OFFSET")
@config_option
@json_option
def show_(group: str, place: Place, config_path: Path, as_json: bool) -> None:
    """One dead letter: where it was read, why it was given up, its headers, and its event where it can be decoded."""
    with log_answers():
        log = open_log(open_config(config_path))
        record = letter_at(log, load_topics().entry_of(known(group)), place)
        if record is None:
            raise Failure(f"{group} has no dead letter {place}: radstream deadletters list {group} --all")
        whole = whole_of(log, group, record)
    show(as_json, whole, lambda: print_whole(whole))


@deadletters.command()
@click.argument("group")
@click.argument("places", type=LetterPlace(), metavar="[PARTITION/OFFSET]...", nargs=-1)
@filters
@click.option("--again", is_flag=True, help="Also what was redriven before.")
@click.option(
    "--limit", type=click.IntRange(1, _REDRIVEN_MAX), default=_REDRIVEN, show_default=True, help="At most so many."
)
@click.option("--dry-run", is_flag=True, help="Only say which would be put back, and whether they can be.")
@config_option
@json_option
def redrive(
    group: str,
    places: Sequence[Place],
    wanted: Wanted,
    again: bool,
    limit: int,
    dry_run: bool,
    config_path: Path,
    as_json: bool,
) -> None:
    """Put dead letters of GROUP back to where it reads them again, the oldest first: those named, or all that fit.

    Mend the cause first. It stops at the first that cannot be put back. What was redriven before is left alone unless
    --again is given, also where it came back. The group must run to take them; its offsets are not touched.

    Exit code: 0 where all were put back that were meant, 1 where it stopped or could not begin.
    """
    config = open_config(config_path)
    with log_answers():
        log = open_log(config)
        meant = _meant(group, letters_of(log, known(group)), places, wanted, again=again)
        chosen, left = meant[:limit], max(len(meant) - limit, 0)
        if dry_run or not chosen:
            done, stopped = _tried(log, chosen)
        else:
            audited(config, log, "deadletters.redrive", group, {"letters": str(len(chosen)), "again": str(again)})
            done, stopped = _redriven(log, group, chosen)
    facts = Redriven(dry_run, done, left, stopped)
    show(as_json, facts, lambda: print_redriven(group, facts))
    if stopped:
        raise Failure(
            f"stopped at dead letter {stopped}. Look at it (radstream deadletters show {group} PARTITION/OFFSET), and "
            "name others or filter it out"
        )


def _meant(
    group: str, found: Sequence[Letter], places: Sequence[Place], wanted: Wanted, *, again: bool
) -> list[Letter]:
    """Raises Failure for a place that is none of the group's letters, or one that was redriven already."""
    if not places:
        return [one for one in found if wanted.fits(one) and (again or one.state == "open")]
    by_place = {one.place: one for one in found}
    for place in places:
        if place not in by_place:
            raise Failure(f"{place} is no dead letter of {group}, or a later one is of the same record")
        if not again and by_place[place].state != "open":
            raise Failure(f"dead letter {place} was redriven already; to do it once more, add --again")
    return [by_place[place] for place in dict.fromkeys(places) if wanted.fits(by_place[place])]


def _tried(log: Log, chosen: Sequence[Letter]) -> tuple[list[Line], str | None]:
    """What a redrive would do: those that it would put back, and where it would stop and why."""
    done: list[Line] = []
    for letter in chosen:
        try:
            put_back(log, read_letter(log, letter), letter.group, SystemClock().now())
        except NotPutBack as error:
            return done, f"{letter.place}: {error}"
        done.append(line_of(letter))
    return done, None


def _redriven(log: Log, group: str, chosen: Sequence[Letter]) -> tuple[list[Line], str | None]:
    """What was put back, and where it stopped and why."""
    done: list[Line] = []
    producer = log.producer(linger_ms=0)
    try:
        with alone(log, group):
            for letter in chosen:
                redrive_one(log, producer, letter, account(), SystemClock().now())
                done.append(line_of(letter))
    except NotPutBack as error:
        return done, f"{chosen[len(done)].place}: {error}"
    except (LogAway, TimeoutError) as error:
        said = "the log did not acknowledge it" if isinstance(error, TimeoutError) else str(error)
        return done, f"{chosen[len(done)].place}: {said}"
    except Busy:
        raise Failure(f"another redrive of {group} is under way; wait until it has ended") from None
    finally:
        producer.close(ACKNOWLEDGED_S_MAX)
    return done, None
