"""The catalog as commands open it: what its parts say when they are away, and the audit of each look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from consumers.catalog.config import Settings
from consumers.catalog.database import Cursor, snapshot
from consumers.catalog.migrate import MigrationChanged
from radstream.audit import audit, audit_each
from radstream.errors import Failure
from streams.config import Config, Kafka, Site
from streams.log import Log, LogAway, LogRefused, OffsetOutOfRange
from streams.objects import StoreAway, StoreRefused
from streams.schema_ids import read_ids
from streams.step import Away, TopicChanged
from streams.stop import Stop
from streams.wire import SchemaIds, UnknownSchema


@contextmanager
def parts_answer() -> Iterator[None]:
    """Turns what a person can mend into a Failure."""
    try:
        yield
    except (Away, LogAway, StoreAway) as error:
        raise Failure(f"{error}; see what runs, and start it: radstream up") from None
    except Stop as stop:
        raise Failure(stop.reason) from None
    except UnknownSchema as error:
        raise Failure(f"{error} is not known to this version of radstream; install a newer one") from None
    except (LogRefused, StoreRefused, OffsetOutOfRange, TopicChanged, MigrationChanged) as error:
        raise Failure(str(error)) from None


def dsn_of(config: Config) -> str:
    return config.section("catalog", Settings).dsn


@contextmanager
def catalog_snapshot(config: Config) -> Iterator[Cursor]:
    """One consistent look at the catalog. Raises Failure."""
    with parts_answer(), snapshot(dsn_of(config)) as cursor:
        yield cursor


def audited(
    config: Config, log: Log, action: str, subject: str, attributes: Mapping[str, str], *, reason: str = ""
) -> None:
    """Writes the audit event of what is about to be shown or done, or was. Raises Failure: then it is not done."""
    audit(
        log,
        _ids(config),
        config.section("site", Site),
        action=action,
        subject=subject,
        outcome="success",
        reason=reason,
        attributes=attributes,
    )


def audited_each(config: Config, log: Log, action: str, of: Mapping[str, Mapping[str, str]]) -> None:
    """As `audited`, of many subjects with the attributes of each."""
    audit_each(log, _ids(config), config.section("site", Site), action=action, of=of)


def _ids(config: Config) -> SchemaIds:
    path = config.section("kafka", Kafka).schema_ids
    return read_ids(path) if path else SchemaIds()
