"""Starts the catalog: `python -m consumers.catalog --config FILE`."""

from __future__ import annotations

from contextlib import closing

import structlog

from consumers.catalog.burial import Burial
from consumers.catalog.config import Settings
from consumers.catalog.database import Writer
from consumers.catalog.holding import watching
from consumers.catalog.migrate import MigrationChanged, pending
from consumers.catalog.step import Catalog
from consumers.catalog.summarizing import summarizing
from streams.backoff import Backoff
from streams.config import ConfigError, Protected
from streams.projecting import ProjectionRunner
from streams.protected import ProtectedBlocks
from streams.protected_keys import FileKeys
from streams.service import Context, run
from streams.step import Away

_WAIT = Backoff(0.25, 5.0)


def main(context: Context, settings: Settings) -> None:
    keys = FileKeys(context.config.section("protected", Protected).key_file)
    blocks = ProtectedBlocks(context.store, keys, context.site.tenant)
    if not _tables_are_there(context, settings.dsn):
        return
    with (
        closing(Writer(settings.dsn)) as writer,
        closing(Burial(context, settings.projecting)) as burial,
        watching(settings.dsn),
        summarizing(settings.dsn),
    ):
        catalog = Catalog(writer, blocks, context.log.topic_id, burial.bury)
        ProjectionRunner(context, catalog, settings.projecting).run()


def _tables_are_there(context: Context, dsn: str) -> bool:
    """Waits for the database; False where the service is to stop before it answers. Raises ConfigError."""
    tries = 0
    while not context.stopping.is_set():
        context.health.beat()
        try:
            missing = pending(dsn)
        except Away as error:
            tries += 1
            wait_s = _WAIT.delay_s(tries)
            structlog.get_logger().warning("waiting", part="database", reason=str(error), again_s=round(wait_s, 3))
            context.health.ready("database", False, "the database does not answer; waiting for it")
            context.stopping.wait(wait_s)
        except MigrationChanged as error:
            raise ConfigError(str(error)) from None
        else:
            if missing:
                raise ConfigError(
                    f"the catalog's tables lack {', '.join(missing)}; apply them: radstream catalog migrate"
                )
            context.health.ready("database", True)
            return True
    return False


if __name__ == "__main__":
    run("catalog", Settings, main)
