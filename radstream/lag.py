"""`radstream lag`: how far each consumer group is behind the end of the log, and for how long."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import click

from radstream.errors import Failure
from radstream.lag_look import Watch
from radstream.lag_watch import watch_json, watch_table
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import console, print_table, show
from radstream.spool import SpoolLook, look, waiting_too
from streams.clock import SystemClock
from streams.lagging.figures import GroupLag, Lag
from streams.lagging.meter import Meter
from streams.log import Log
from streams.routes.section import groups_of

INTERVAL_S = 2.0


@click.command()
@click.argument("groups", nargs=-1, metavar="[GROUP]...")
@config_option
@json_option
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C, with rates and the time to catch up.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.1),
    default=INTERVAL_S,
    show_default=True,
    help="With --watch: seconds between two measurements.",
)
def lag(groups: tuple[str, ...], config_path: Path, as_json: bool, watch: bool, interval_s: float) -> None:
    """How far consumer groups are behind: records that wait, and the age of the oldest.

    Without GROUP, all of them. What waits on the router's spool to be written at all is said beside them. Study
    revisions count an image as waiting until its study was quiet. With --watch and --json, a line for each measurement.
    """
    config = open_config(config_path)
    known = groups_of(config)
    if unknown := [name for name in groups if name not in known]:
        raise Failure(f"no group {', '.join(unknown)}; there are: {', '.join(known)}")
    if watch:
        watching = Watch.of(config, groups or known, interval_s)
        (watch_json if as_json else watch_table)(watching)
        return
    try:
        with log_answers():
            found = measure(open_log(config), groups or known)
    except Failure as error:
        raise Failure(f"{error}{waiting_too(config)}") from None
    spool = look(config)
    show(as_json, {**vars(found), "spool": spool.state if spool else None}, lambda: print_lag(found, spool))


def measure(log: Log, groups: Collection[str]) -> Lag:
    """What each group has yet to read, without rates. Raises LogAway, LogRefused."""
    return Meter(log, groups, SystemClock()).read()


def print_lag(found: Lag, spool: SpoolLook | None = None) -> None:
    """A row for each partition that waits, and one for each group; what waits for the log itself on the spool."""
    columns = ("group", "topic", "lane", "partition", "committed", "end", "lag", "oldest")
    rows = [row for group in found.groups for row in _rows(group)]
    print_table(f"{found.lag} records wait", columns, rows, numbers=("partition", "committed", "end", "lag", "oldest"))
    if spool is not None:
        console().print(f"{spool.state}.")


def _rows(group: GroupLag) -> Iterator[tuple[object, ...]]:
    for one in group.partitions:
        if one.lag:
            place = (group.group, one.topic, one.lane, one.partition)
            yield (*place, one.committed, one.end, one.lag, _seconds(one.oldest_age_s))
    yield (group.group, "all", None, None, None, None, group.lag, _seconds(group.oldest_age_s))


def _seconds(age_s: float | None) -> str | None:
    return None if age_s is None else f"{age_s:.1f} s"
