"""Commands as events: what a person asks for is in the log before anything is done, and no command writes a row."""

from __future__ import annotations

from collections.abc import Sequence

from radstream.errors import Failure
from streams.clock import SystemClock
from streams.config import Config, Kafka, Protected, Site, Store
from streams.events import Event, Meta
from streams.generation import meta_of_fact
from streams.log import Delivery, Log, LogAway, LogRefused
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.s3 import S3Store
from streams.schema_ids import read_ids
from streams.service import source_of
from streams.wire import Message, SchemaIds, encode

_ACKNOWLEDGED_S_MAX = 30.0


def meta_of(site: Site, step: str, subject: str) -> Meta:
    """The envelope of a command; who writes it twice with one subject has written it once."""
    return meta_of_fact(site, SystemClock(), step, subject)


def message_of(config: Config, event: Event, step: str) -> Message:
    path = config.section("kafka", Kafka).schema_ids
    ids = read_ids(path) if path else SchemaIds()
    return encode(event, ids, source=source_of(config.section("site", Site), step))


def write(log: Log, messages: Sequence[Message], what: str) -> list[Delivery]:
    """Writes records and waits for their acknowledgements. `what` was asked for. Raises Failure."""
    producer = log.producer()
    try:
        sent = [producer.send(message) for message in messages]
        return [future.result(timeout=_ACKNOWLEDGED_S_MAX) for future in sent]
    except (LogAway, LogRefused, TimeoutError) as error:
        raise Failure(
            f"{what}: the log has not acknowledged it ({type(error).__name__}), so it may be done or not; see whether "
            "the broker runs (radstream status), then ask again"
        ) from None
    finally:
        producer.close(_ACKNOWLEDGED_S_MAX)


def notes_of(config: Config) -> ProtectedBlocks:
    """Where free text goes. Raises ConfigError."""
    store = S3Store(config.section("store", Store))
    keys = FileKeys(config.section("protected", Protected).key_file)
    return ProtectedBlocks(store, keys, config.section("site", Site).tenant)
