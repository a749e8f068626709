"""The schema registry: reachable, strict, and of one mind with our file of ids."""

from __future__ import annotations

from collections.abc import Iterator

from radstream.checks.check import Check, broken, note, well
from streams.config import ConfigError, Kafka, Registry
from streams.registry import (
    COMPATIBILITY,
    RegistryAway,
    RegistryRefused,
    packaged,
    registry_subject,
)
from streams.registry import Registry as Client
from streams.schema_ids import read_ids
from streams.wire import SchemaIds

PART = "registry"
REGISTER = "Register the schemas: radstream up."


def check(config: Registry, kafka: Kafka) -> Iterator[Check]:
    ids, found = _ids(kafka)
    yield found
    try:
        with Client(config.url) as client:
            yield _compatibility(client)
            yield from _schemas(client, ids)
    except (RegistryAway, RegistryRefused) as error:
        yield broken(PART, "reachable", f"{error}.", "Start it: radstream up. Services run on without it.")


def _ids(kafka: Kafka) -> tuple[SchemaIds, Check]:
    if kafka.schema_ids is None:
        says = "No [kafka] schema_ids: records carry id 0, which no registry knows."
        return SchemaIds(), note(PART, "ids", says, "Other people's readers need them: give the file's path.")
    try:
        return read_ids(kafka.schema_ids), well(PART, "ids", f"{kafka.schema_ids} is read.")
    except ConfigError as error:
        return SchemaIds(), broken(PART, "ids", f"{error}.", REGISTER)


def _compatibility(client: Client) -> Check:
    level = client.compatibility()
    if level == COMPATIBILITY:
        return well(PART, "compatibility", f"{level} for all subjects.")
    return broken(PART, "compatibility", f"{level}, not {COMPATIBILITY}: a break would be taken.", REGISTER)


def _schemas(client: Client, ids: SchemaIds) -> Iterator[Check]:
    wrong = []
    for schema in packaged():
        subject = registry_subject(schema)
        name = f"{subject} version {schema.version}"
        registered, level = client.find(schema), client.compatibility(subject)
        if registered is None:
            wrong.append(broken(PART, name, "Not registered.", REGISTER))
        elif registered.version != schema.version:
            says = f"Registered as version {registered.version}."
            wrong.append(broken(PART, name, says, "Somebody registered others before: give us a registry of our own."))
        elif ids.ids and registered.id != ids.of(schema):
            says = f"Its id is {registered.id}, and {ids.of(schema)} in the file of ids."
            wrong.append(broken(PART, name, says, REGISTER))
        elif level != COMPATIBILITY:
            wrong.append(broken(PART, name, f"Compatibility {level}, not {COMPATIBILITY}.", REGISTER))
    yield from wrong
    if not wrong:
        yield well(PART, "schemas", f"{len(packaged())} schemas are registered, each under {COMPATIBILITY}.")
