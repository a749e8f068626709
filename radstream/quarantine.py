"""`radstream quarantine`: instances that are held, and why. Read from the log, which is the truth."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
import msgspec

from radstream.errors import Failure
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import print_table, show
from schemas import load_topics
from streams.events import SUBJECTS, InstanceQuarantined
from streams.log import Log, TopicPartition
from streams.wire import Record, Undecodable, UnknownSchema, decode


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One quarantined instance. UIDs that cannot be names are empty; the digest always names the stored file."""

    held_at: datetime
    study_uid: str
    sop_instance_uid: str
    digest: str
    code: str
    detail: str
    step: str
    lane: str
    size: int
    event_id: str


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """`unreadable` counts records that are not what their headers say."""

    held: tuple[Held, ...]
    unreadable: int


@click.group()
def quarantine() -> None:
    """Instances that are held, and why."""


@quarantine.command("list")
@config_option
@json_option
def list_(config_path: Path, as_json: bool) -> None:
    """Every quarantined instance, the oldest first."""
    with log_answers():
        found = quarantined(open_log(open_config(config_path)))
    show(as_json, found, lambda: _print(found))


def quarantined(log: Log) -> Quarantined:
    """What the log says was quarantined; of records with one event id the first counts.

    Raises LogAway, LogRefused, and Failure where a newer version of radstream wrote a record.
    """
    first: dict[str, Held] = {}
    unreadable = 0
    for record in _records(log):
        try:
            event = decode(record)
        except Undecodable:
            unreadable += 1
            continue
        except UnknownSchema as error:
            raise Failure(f"{error} is not known to this version of radstream; install a newer one") from None
        if isinstance(event, InstanceQuarantined):
            first.setdefault(event.meta.event_id, _held(event))
    return Quarantined(held=tuple(sorted(first.values(), key=lambda one: one.held_at)), unreadable=unreadable)


def _records(log: Log) -> Iterator[Record]:
    topics = load_topics().physical(SUBJECTS[InstanceQuarantined])
    partitions = [TopicPartition(topic, number) for topic in topics for number in range(log.partitions(topic))]
    for partition, (start, end) in log.bounds(partitions).items():
        if end > start:
            yield from log.read(partition, start, end)


def _held(event: InstanceQuarantined) -> Held:
    return Held(
        held_at=event.meta.occurred_at,
        study_uid=event.instance.study_uid,
        sop_instance_uid=event.instance.sop_instance_uid,
        digest=event.instance.digest,
        code=event.code,
        detail=event.detail,
        step=event.provenance.step,
        lane=event.meta.lane,
        size=event.object.size,
        event_id=event.meta.event_id,
    )


def _print(found: Quarantined) -> None:
    if found.held:
        print_table(
            f"{len(found.held)} quarantined",
            ("since", "study", "SOP instance", "code", "what is wrong"),
            [
                (
                    f"{one.held_at:%Y-%m-%d %H:%M:%S}",
                    one.study_uid or None,
                    one.sop_instance_uid or f"(file {one.digest[:16]})",
                    one.code,
                    one.detail,
                )
                for one in found.held
            ],
        )
    else:
        click.echo("nothing is quarantined")
    if found.unreadable:
        click.echo(f"{found.unreadable} records of the topic cannot be read", err=True)
