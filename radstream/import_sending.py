"""What is here of a study from outside goes to the destinations that waited for a decision, or had another one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from radstream.commanding import write
from streams.clock import SystemClock
from streams.config import Config, Site
from streams.events import InstanceValidated
from streams.identity import partition_key
from streams.log import Log
from streams.parking import parked
from streams.replays import place_of, planned
from streams.routes.routes import of_site
from streams.routes.section import FORWARD, group_of
from streams.sizes import RECORD_BYTES_MAX, size_of
from streams.wire import Message, Record, Undecodable, decode

# Clocks of the router and of the broker's clients are not the same one.
_CLOCKS_S_MAX = timedelta(minutes=10)
_REASON = "whose the study is here was decided"


@dataclass(frozen=True)
class SentOn:
    """Instances that the forwarder reads again, for each of these destinations; its rules decide as they always do.

    `held` ones are left out: they flow to nobody until a person releases them, and then by their release.
    """

    instances: int
    held: int
    destinations: tuple[str, ...]


def send_on(
    config: Config, log: Log, study_uid: str, first_received_at: datetime, quarantined: Collection[str] = ()
) -> SentOn:
    """Puts the study's records where the forwarder reads them again, as a redrive does. Once more is harmless.

    `quarantined` are digests of what is held, or was rejected. Raises Failure, LogAway, LogRefused, ConfigError,
    UnknownSchema.
    """
    waiting = tuple(name for name, node in of_site(config).destinations.items() if node.outside == "reconciled")
    if not waiting:
        return SentOn(0, 0, ())
    tenant = config.section("site", Site).tenant
    found = [
        (record, _digest(record)) for record in _records(log, tenant, study_uid, first_received_at - _CLOCKS_S_MAX)
    ]
    sent = {digest: record for record, digest in found if digest not in quarantined}
    messages = [message for record in sent.values() for message in _messages(record, waiting)]
    write(log, messages, f"study {study_uid} to be sent on")
    return SentOn(len(sent), len({digest for _, digest in found}) - len(sent), waiting)


def _records(log: Log, tenant: str, study_uid: str, since: datetime) -> Iterator[Record]:
    plan, key = (
        planned(log, tenant, FORWARD, name="", since=since, study_uid=study_uid),
        partition_key(tenant, study_uid),
    )
    for name, end in plan.ends.items():
        yield from (record for record in log.read(place_of(name), plan.starts[name], end) if record.key == key)


def _digest(record: Record) -> str:
    """Whose record it is; where that cannot be read, the forwarder says so of it."""
    try:
        event = decode(record)
    except Undecodable:
        event = None
    return event.instance.digest if isinstance(event, InstanceValidated) else f"{record.topic_id}/{record.offset}"


def _messages(record: Record, destinations: tuple[str, ...]) -> Iterator[Message]:
    at = SystemClock().now()
    for name in destinations:
        message = parked(record, group_of(name), _REASON, at, attempt=0, wait_s=0.0)
        if size_of(message) <= RECORD_BYTES_MAX:
            yield message
