"""`doctor`: looks at everything that a site stands on and says what to do about what is broken."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from consumers.catalog.config import Settings as CatalogSettings
from producers.dicom_router.config import Settings as RouterSettings
from radstream.checks import (
    broker,
    configuration,
    database,
    destinations,
    doors,
    large_objects,
    machine,
    object_store,
    schema_registry,
    services,
    spool,
    trust,
)
from radstream.checks.check import Check
from radstream.checks.lines import print_checks
from radstream.options import config_option, json_option, open_config
from radstream.output import show
from radstream.stack_state import StackState, stack_state
from streams.config import Config, ConfigError, Kafka, Registry, Service, Store


@click.command()
@config_option
@json_option
def doctor(config_path: Path, as_json: bool) -> None:
    """Check configuration, machine, broker, registry, store, database and services.

    Ends with exit code 1 where something is broken; each such line says what to do.
    """
    config = open_config(config_path)
    found = list(examine(config))
    well = all(one.state != "broken" for one in found)
    show(as_json, {"well": well, "checks": found}, lambda: print_checks(found))
    if not well:
        sys.exit(1)


def examine(config: Config) -> Iterator[Check]:
    """Every check, in the order in which parts depend on each other."""
    home = config.path.absolute().parent
    stack = stack_state(home)
    yield from configuration.check(config)
    yield from machine.check(home, stack)
    for part in _parts(config, stack):
        try:
            yield from part()
        except ConfigError:
            # The part's section cannot be used, which was said above.
            continue


def _parts(config: Config, stack: StackState | None) -> Iterator[Callable[[], Iterator[Check]]]:
    yield lambda: broker.check(config.section("kafka", Kafka), local=stack is not None)
    yield lambda: destinations.check(config)
    yield lambda: schema_registry.check(config.section("registry", Registry), config.section("kafka", Kafka))
    yield lambda: object_store.check(config.section("store", Store))
    yield lambda: large_objects.check_read(config.section("store", Store).objects_folder)
    yield lambda: database.check(config.section("catalog", CatalogSettings))
    yield lambda: large_objects.check_coming_in(config.section("router", RouterSettings).objects_folder)
    yield lambda: spool.check(config.section("router", RouterSettings).spool)
    yield lambda: spool.check_former(config)
    yield from doors.doors(config).values()
    yield lambda: trust.check_nodes(config)
    for name, kind in configuration.services(config).items():
        yield _service(config, name, kind, None if stack is None else stack.ended.get(name))


def _service(config: Config, name: str, kind: type[Service], ended: str | None) -> Callable[[], Iterator[Check]]:
    return lambda: services.check(name, config.section(name, kind), ended)
