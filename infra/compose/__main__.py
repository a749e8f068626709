"""What runs once, before the services: `python -m infra.compose folders`, then `python -m infra.compose setup`."""

from __future__ import annotations

import os
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from confluent_kafka import KafkaException

from consumers.catalog.migrate import MigrationChanged, migrate
from infra.dashboards import __main__ as dashboards
from infra.local import buckets, durable, topics
from infra.local.errors import StackError
from streams import config, registry
from streams.chains import keys as chain_keys
from streams.protected_keys import create_key_file
from streams.schema_ids import write_ids
from streams.step import Away

ETC = Path("/etc/radstream")
OBJECTS = Path("/objects")
REGISTRY = Path("/registry")
DASHBOARDS = Path("/dashboards")
SPOOL = Path("/spool")
# The store is one container, and its buckets are lost together; so it is until the site has another and says so.
ONE_PLACE = "\n[copies]\nin_one_place = true\n"
SITE, SECTIONS = Path("/site"), "sections.toml"
ACCOUNT = 10001  # the user of the image, see Dockerfile
WAIT_S_MAX = 180
SECRETS = ("RADSTREAM_STORE_SECRET", "RADSTREAM_DATABASE_PASSWORD")


def main() -> None:
    steps = {"folders": folders, "setup": setup}
    if len(sys.argv) != 2 or sys.argv[1] not in steps:
        sys.exit("usage: python -m infra.compose folders|setup")
    try:
        steps[sys.argv[1]]()
    except (StackError, config.ConfigError, registry.RegistryRefused, MigrationChanged) as error:
        sys.exit(f"radstream: {error}")


def folders() -> None:
    """Before the store starts: folders that are written through, keys, the configuration, dashboards, the spool's."""
    for folder in (OBJECTS / "root", OBJECTS / "versions"):
        folder.mkdir(parents=True, exist_ok=True)
        if not durable.make_synchronous(folder):
            say("WARNING: the volume of the object store cannot write through (chattr +S): not fit for patients")
    durable.make_synchronous(REGISTRY)
    REGISTRY.chmod(0o777)  # the registry's image runs as a user of its own
    dashboards.write(DASHBOARDS)
    (ETC / "radstream.toml").write_text(configuration(SITE, os.environ), encoding="utf-8")
    if not (ETC / "site-keys").exists():
        create_key_file(ETC / "site-keys")
    if not (ETC / "chain-keys").exists():
        chain_keys.create(ETC / "chain-keys", ETC / "chain-keys.public")
    if not (ETC / "peers.toml").exists():
        (ETC / "peers.toml").write_text(dated("peers.toml", datetime.now(UTC).date()), encoding="utf-8")
    files = ("radstream.toml", "site-keys", "chain-keys", "chain-keys.public", "peers.toml")
    for path in (ETC, *(ETC / name for name in files), SPOOL):
        os.chown(path, ACCOUNT, ACCOUNT)
        path.chmod(0o700 if path.is_dir() else 0o600)


def configuration(site: Path, secrets: Mapping[str, str]) -> str:
    """The text of radstream.toml: ours, and behind it the sections of the site. Raises ConfigError, naming the file."""
    text, own = dated("radstream.toml", datetime.now(UTC).date()), site / SECTIONS
    for name in SECRETS:
        text = text.replace(f"@{name}@", secrets[name])
    if "copies" not in config.load(own).names:
        text += ONE_PLACE
    whole = f"{text}\n{own.read_text(encoding='utf-8')}"
    try:
        tomllib.loads(whole)
    except tomllib.TOMLDecodeError as error:
        raise config.ConfigError(
            f"{own} does not fit behind infra/compose/radstream.toml ({error}): change there what stands there"
        ) from None
    return whole


def dated(name: str, today: date) -> str:
    """The text of a file of ours; its exceptions from TLS last a year."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return text.replace("@UNTIL@", (today + timedelta(days=365)).isoformat())


def setup() -> None:
    """Once the servers are there: topics, schemas, buckets, tables."""
    read = config.load(ETC / "radstream.toml")
    servers = read.section("kafka", config.Kafka).bootstrap
    url = read.section("registry", config.Registry).url
    wait("the broker", lambda: topics.ensure(servers, brokers=1), StackError, KafkaException)
    wait("the registry", lambda: write_ids(ETC / "schema_ids.json", registry.register(url)), registry.RegistryAway)
    wait("the store", lambda: buckets.ensure(read.section("store", config.Store)), StackError)
    dsn = f"postgresql://radstream:{os.environ[SECRETS[1]]}@postgres/radstream"
    wait("the database", lambda: (migrate(dsn, "before"), migrate(dsn, "after")), Away)


def wait(what: str, step: Callable[[], object], *away: type[Exception]) -> None:
    """Tries a step until it is done. Raises StackError at the deadline."""
    end = time.monotonic() + WAIT_S_MAX
    say(f"waiting for {what}")
    while True:
        try:
            step()
        except away as error:
            if time.monotonic() > end:
                raise StackError(f"{what} is not there after {WAIT_S_MAX} s: {error}") from None
            time.sleep(1)
        else:
            return


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
