"""`radstream replay switch`: what a replay made becomes current, and its events go where readers look for them."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from radstream.errors import Failure
from radstream.options import config_option, json_option, open_config, open_log
from radstream.output import console, show
from radstream.reading import audited, parts_answer
from radstream.replay_found import found, progress_of
from radstream.replay_steps import STEPS
from streams.clock import SystemClock
from streams.config import Config, Kafka, Site
from streams.generation import generations, holders_of
from streams.log import Log
from streams.replay_publishing import publish
from streams.replays import KnownReplay, came_to, known
from streams.schema_ids import read_ids
from streams.wire import SchemaIds


class Switched(msgspec.Struct, frozen=True, kw_only=True):
    """`published` records went to the topics of their subjects. Where instances have a generation of `higher`, that
    stays current."""

    step: str
    generation: int
    published: int
    forced: bool
    higher: tuple[int, ...]


@click.command()
@click.argument("step", type=click.Choice(STEPS))
@click.argument("generation", type=click.IntRange(1))
@config_option
@json_option
@click.option("--why", required=True, help="For the audit; no patient data.")
@click.option("--force", is_flag=True, help="Also where the replay is not complete.")
def switch(step: str, generation: int, config_path: Path, as_json: bool, why: str, force: bool) -> None:
    """Make current what a replay made, and publish it.

    From the switch on the catalog shows it; whoever reads the topics of its events finds it in the bulk lane.
    Interrupted, it can be asked for again.
    """
    if not why.strip():
        raise Failure("--why is empty: say why, for those who read the audit")
    config = open_config(config_path)
    log = open_log(config)
    with parts_answer():
        replay = found(config, log, step, generation)
        progress = progress_of(log, replay)
        forced = "completed" not in replay.reached
        if forced and not force:
            raise Failure(
                f"replay {generation} of {step} is not complete ({progress.done} of {progress.total} records): go on "
                f"with it (radstream replay run {step} --resume {generation}), or say --force"
            )
        if progress.state == "running":
            raise Failure(
                f"replay {generation} of {step} is running: what it makes after a switch would never be published; "
                "wait for its end, or stop it (Ctrl-C) and switch then"
            )
        higher = _higher(config, log, replay)
    if "published" not in replay.reached:
        about = {"name": replay.replay.name, "done": str(progress.done), "records": str(progress.total)}
        audited(config, log, "replay_switched", f"{step}/{generation}", about, reason=why)
    published = _switch(config, log, replay)
    result = Switched(step=step, generation=generation, published=published, forced=forced, higher=higher)
    show(as_json, result, lambda: _print(result))


def _higher(config: Config, log: Log, replay: KnownReplay) -> tuple[int, ...]:
    """Later generations of the step that are no candidates, or none any more."""
    tenant = config.section("site", Site).tenant
    holders = holders_of(generations(log), tenant, replay.step)
    candidates = {
        one.generation for one in known(log, tenant) if one.step == replay.step and "switched" not in one.reached
    }
    return tuple(sorted(number for number in holders.keys() - candidates if number > replay.generation))


def _switch(config: Config, log: Log, replay: KnownReplay) -> int:
    """First the switch, which is one record; then the rest, which may take its time. Raises Failure."""
    if "published" in replay.reached:
        return 0
    path = config.section("kafka", Kafka).schema_ids
    ids, site, clock = read_ids(path) if path else SchemaIds(), config.section("site", Site), SystemClock()
    columns = (TextColumn("publishing: records looked at"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
    with bar, parts_answer():
        task = bar.add_task("publishing", total=None)
        came_to(log, ids, site, clock, replay, "switched")
        count = publish(log, replay, lambda seen, total, _: bar.update(task, completed=seen, total=total))
        came_to(log, ids, site, clock, replay, "published")
    return count


def _print(result: Switched) -> None:
    out = console()
    out.print(f"generation {result.generation} of {result.step} is switched to; {result.published} records published")
    if result.higher:
        numbers = ", ".join(map(str, result.higher))
        out.print(
            f"where instances have results of generation {numbers}, and those are switched to, these stay current"
        )
