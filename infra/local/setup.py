"""What is set up once its servers answer: topics, schemas, buckets, tables, the site's keys. All can be repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Literal

import msgspec

from infra.local import buckets, settings_file, state, topics
from infra.local.errors import StackError
from infra.local.parts import kafka, registry, store
from infra.local.parts.database import Database, dsn
from infra.local.parts.part import Site
from streams import config

# Of a hundred questions and more, each has ten seconds; a registry that has just started on a busy machine may pause.
REGISTERED_TRIES, REGISTERED_PAUSE_S = 6, 1.0
NOT_DURABLE = (
    "WARNING: the file system of {0} cannot write through (chattr +S): after a power loss the object store may have "
    "lost what it acknowledged. Fit for a demonstration, not for patients; set RADSTREAM_HOME to a folder on ext4, xfs "
    "or btrfs."
)


def servers(site: Site, running: Collection[str]) -> None:
    """Sets up each server that runs. Raises StackError."""
    steps: dict[str, Callable[[Site], None]] = {
        "kafka": _topics,
        "registry": _schemas,
        "store": _buckets,
        "postgres": _tables,
    }
    _keys(site)
    for part, step in steps.items():
        needed = kafka.names(site.state.brokers) if part == "kafka" else (part,)
        if all(name in running for name in needed):
            step(site)


def _topics(site: Site) -> None:
    made = topics.ensure(kafka.bootstrap(site.state.ports, site.state.brokers), site.state.brokers)
    if made:
        site.say(f"kafka: made {made} topics")


def _schemas(site: Site) -> None:
    from streams.registry import RegistryAway, RegistryRefused, register
    from streams.schema_ids import write_ids

    for left in reversed(range(REGISTERED_TRIES)):
        try:
            ids = register(registry.url(site.state.ports["registry"]))
            break
        except (RegistryAway, RegistryRefused) as error:
            if isinstance(error, RegistryRefused) or not left:
                raise StackError(f"the schemas could not be registered: {error}") from None
            site.say("registry: it did not answer in time; what is registered by now is found, the rest is tried again")
            time.sleep(REGISTERED_PAUSE_S)
    write_ids(site.home / settings_file.SCHEMA_IDS, ids)


def _buckets(site: Site) -> None:
    root, _, tiers = store.folders(site)
    configured = config.load(site.config).section("store", config.Store)
    buckets.ensure(configured, lambda bucket: buckets.move_to_tier(root / bucket, tiers / bucket))
    durable = store.is_durable(site)
    if durable != site.state.durable:
        state.write(site.home, msgspec.structs.replace(site.state, durable=durable))
    if not durable:
        site.say(NOT_DURABLE.format(site.home))


def _tables(site: Site) -> None:
    Database(site).set_up()
    _migrate(site, "before")


def finish(site: Site, running: Collection[str]) -> None:
    """What waits until the new code runs: the migrations of the phase after a deployment."""
    if "postgres" in running and "catalog" in running:
        _migrate(site, "after")


def _migrate(site: Site, phase: Literal["before", "after"]) -> None:
    from consumers.catalog.migrate import MigrationChanged, migrate
    from streams.step import Away

    try:
        migrate(dsn(site.state.ports["postgres"], site.state.secrets.database), phase)
    except (Away, MigrationChanged) as error:
        raise StackError(f"the catalog's tables could not be made: {error}") from None


def _keys(site: Site) -> None:
    path = settings_file.keys_file(site.home)
    if not path.exists():
        from streams.protected_keys import create_key_file

        create_key_file(path)
    private, public = settings_file.chain_keys_files(site.home)
    if not private.exists():
        from streams.chains import keys

        keys.create(private, public)
