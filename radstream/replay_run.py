"""`radstream replay run`: begins a replay or goes on with one, or says what it would be."""

from __future__ import annotations

import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from radstream.audit import audit
from radstream.errors import Failure
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import console, show
from radstream.reading import audited, parts_answer
from radstream.replay_estimate import Estimate, estimate
from radstream.replay_found import found
from radstream.replay_steps import STEPS, ReplayStep, step_of
from streams.clock import SystemClock
from streams.config import Config, Kafka, Site, Store
from streams.events import Replay
from streams.generation import StepIdentity, build, claim
from streams.log import Log
from streams.replaying import Replaying
from streams.replays import KnownReplay, came_to, planned
from streams.s3 import S3Store
from streams.schema_ids import read_ids
from streams.service import Context
from streams.wire import Record, SchemaIds

LEFT_BEHIND = "replay_left_behind"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`read` records were worked through now, `left_behind` of them in vain; `done` of `records` are in all."""

    step: str
    generation: int
    complete: bool
    records: int
    done: int
    read: int
    left_behind: int
    seconds: float
    records_per_s: float


@click.command()
@click.argument("step", type=click.Choice(STEPS))
@config_option
@json_option
@click.option("--since", metavar="TIME", help="Records written from then on (ISO 8601; without a zone, local time).")
@click.option("--study", "study_uid", metavar="UID", help="The records of this study.")
@click.option("--all", "everything", is_flag=True, help="All that the log holds.")
@click.option("--resume", type=click.IntRange(1), metavar="GENERATION", help="Go on with one that was interrupted.")
@click.option("--dry-run", is_flag=True, help="Only say what it would read and about how long it would take.")
def run(
    step: str,
    config_path: Path,
    as_json: bool,
    since: str | None,
    study_uid: str | None,
    everything: bool,
    resume: int | None,
    dry_run: bool,
) -> None:
    """Make STEP's results anew, as the configuration has it now, into a generation of its own.

    Nothing that is current changes: compare the two, then switch. Interrupted, it goes on where it was with --resume.
    """
    chosen = [option for option in (since, study_uid, everything or None, resume) if option is not None]
    if len(chosen) != 1:
        raise Failure("say what to replay by one of --since TIME, --study UID, --all, --resume GENERATION")
    if resume is not None and dry_run:
        raise Failure("--dry-run is of a replay that is to begin; how far a begun one is: radstream replay list")
    config = open_config(config_path)
    log, made_by = open_log(config), step_of(config, step)
    if resume is not None:
        with log_answers():
            replay = found(config, log, step, resume)
        check_resumable(replay)
        _check_same(made_by, replay)
    else:
        with log_answers():
            wanted = planned(
                log,
                config.section("site", Site).tenant,
                step,
                name=_new_name(),
                since=_time(since) if since else None,
                study_uid=study_uid,
            )
        if dry_run:
            with parts_answer():
                guessed = estimate(config, log, made_by, wanted)
            show(as_json, guessed, lambda: _print_estimate(guessed))
            return
        replay = _claimed(config, log, made_by, wanted)
    report = _work(config, log, made_by, replay)
    show(as_json, report, lambda: _print(report))
    if not report.complete:
        raise Failure(
            f"stopped with {report.done} of {report.records} records done; go on with: "
            f"radstream replay run {step} --resume {replay.generation}"
        )


def _new_name() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:4]}"


def _time(text: str) -> datetime:
    """Raises Failure."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise Failure(f"--since {text}: not a time, for example 2026-11-02T08:00:00+01:00") from None


def check_resumable(replay: KnownReplay) -> None:
    """Raises Failure where what it makes from now on would be current, and would never be published."""
    if "switched" in replay.reached:
        raise Failure(
            f"replay {replay.generation} of {replay.step} was switched to already, as far as it had come; for what it "
            "left, begin another replay"
        )


def _check_same(step: ReplayStep, replay: KnownReplay) -> None:
    if step.digest_of(replay.replay) != replay.claim.digest:
        raise Failure(
            f"{step.name} is not what it was when replay {replay.generation} began: its configuration or its code has "
            "changed. Put the configuration back to go on, or begin another replay"
        )


def _claimed(config: Config, log: Log, step: ReplayStep, wanted: Replay) -> KnownReplay:
    if not wanted.ends:
        raise Failure("there is nothing to replay: the log holds no record of that")
    with log_answers():
        identity = claim(
            log,
            _ids(config),
            config.section("site", Site),
            SystemClock(),
            step=step.name,
            code_version=step.code_version,
            config_digest=step.config_digest,
            replay=wanted,
        )
        return found(config, log, step.name, identity.generation)


def _ids(config: Config) -> SchemaIds:
    path = config.section("kafka", Kafka).schema_ids
    return read_ids(path) if path else SchemaIds()


def _work(config: Config, log: Log, step: ReplayStep, replay: KnownReplay) -> Report:
    site, name = config.section("site", Site), f"{step.name}/{replay.generation}"
    audited(config, log, "replay_started", name, {"name": replay.replay.name, "records": str(replay.total)})
    context = Context("replay", config, site, log, S3Store(config.section("store", Store)), _ids(config))
    identity = StepIdentity(step.name, build(), replay.generation, step.config_digest)

    def bury(record: Record, reason: str) -> None:
        place = {"topic": record.topic, "partition": str(record.partition), "offset": str(record.offset)}
        audit(
            log, context.ids, site, action=LEFT_BEHIND, subject=name, outcome="failure", reason=reason, attributes=place
        )

    with _bar(replay) as told, _signals(context.stopping), parts_answer():
        replaying = Replaying(
            context, step.make(identity, context.store), identity, replay, step.settings, bury, told.update
        )
        began_s = time.monotonic()
        complete = replaying.run()
        seconds = time.monotonic() - began_s
        if complete:
            came_to(log, context.ids, site, context.clock, replay, "completed")
    return Report(
        step=step.name,
        generation=replay.generation,
        complete=complete,
        records=replay.total,
        done=told.done,
        read=told.done - told.first,
        left_behind=replaying.left_behind,
        seconds=round(seconds, 3),
        records_per_s=round((told.done - told.first) / max(seconds, 0.001), 1),
    )


class _Told:
    """How far it is: what was done when this process began, and what is done now."""

    def __init__(self, bar: Progress, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("records", total=total, rate="")
        self._began_s = time.monotonic()
        self.first = self.done = -1

    def update(self, done: int, left_behind: int) -> None:
        self.first = done if self.first < 0 else self.first
        self.done = done
        rate = (done - self.first) / max(time.monotonic() - self._began_s, 0.001)
        left = f", {left_behind} left behind" if left_behind else ""
        self._bar.update(self._task, completed=done, rate=f"{rate:.0f}/s{left}")


@contextmanager
def _bar(replay: KnownReplay) -> Iterator[_Told]:
    columns = (
        TextColumn(f"replay of {replay.step} into generation {replay.generation}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        yield _Told(bar, replay.total)


@contextmanager
def _signals(stopping: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM end it after the batch in hand, which is committed."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stopping.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _print(report: Report) -> None:
    out = console()
    out.print(
        f"{report.read} records in {report.seconds:.1f} s ({report.records_per_s:.1f}/s) into generation "
        f"{report.generation} of {report.step}; {report.done} of {report.records} done"
    )
    if report.left_behind:
        out.print(f"{report.left_behind} could not be worked through: radstream tail imaging.audit.event")
    if report.complete:
        out.print(f"nothing is current of it yet. Compare: radstream replay compare {report.step} {report.generation}")


def _print_estimate(guessed: Estimate) -> None:
    out = console()
    out.print(f"{guessed.records} records of {guessed.instances} instances, {guessed.bytes:,} bytes to read")
    out.print(f"it would take generation {guessed.generation} of {guessed.step}")
    if guessed.seconds is not None:
        out.print(f"about {guessed.seconds:.0f} s, by {guessed.sampled} records worked through now and not written")
