"""`radstream replay list`: every replay, how far it is, and whether anybody works on it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
import msgspec

from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import print_table, show
from radstream.replay_found import State, progress_of
from streams.config import Site
from streams.log import Log
from streams.replays import KnownReplay, known


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One replay. `reached` says when it came to each of its phases; `records` are those of its input."""

    step: str
    generation: int
    name: str
    state: State
    done: int
    records: int
    since: datetime | None
    study_uid: str | None
    build: str
    config_digest: str
    group: str
    reached: dict[str, datetime]


@click.command("list")
@config_option
@json_option
def list_(config_path: Path, as_json: bool) -> None:
    """Every replay, the oldest first: running, interrupted, completed, switched to, published."""
    config = open_config(config_path)
    log = open_log(config)
    with log_answers():
        lines = [_line(log, replay) for replay in known(log, config.section("site", Site).tenant)]
    show(as_json, {"replays": lines}, lambda: _print(lines))


def _line(log: Log, replay: KnownReplay) -> Line:
    progress = progress_of(log, replay)
    return Line(
        step=replay.step,
        generation=replay.generation,
        name=replay.replay.name,
        state=progress.state,
        done=progress.done,
        records=progress.total,
        since=replay.replay.since,
        study_uid=replay.replay.study_uid,
        build=replay.claim.build,
        config_digest=replay.claim.config_digest,
        group=replay.group,
        reached=replay.reached,
    )


def _print(lines: list[Line]) -> None:
    if not lines:
        click.echo("no replays")
        return
    columns = ("step", "generation", "state", "done", "of", "begun", "reads")
    rows = [
        (line.step, line.generation, line.state, line.done, line.records, _begun(line), _scope(line)) for line in lines
    ]
    print_table("Replays", columns, rows, numbers=("generation", "done", "of"))
    for line in lines:
        if line.state == "interrupted":
            click.echo(f"nobody works on it: radstream replay run {line.step} --resume {line.generation}")


def _begun(line: Line) -> str:
    return line.reached["claimed"].isoformat(sep=" ", timespec="seconds")


def _scope(line: Line) -> str:
    if line.study_uid:
        return f"study {line.study_uid}"
    return f"since {line.since.isoformat(sep=' ', timespec='seconds')}" if line.since else "all"
