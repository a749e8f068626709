"""What a person runs around a deployment: tables before and after it, schemas before the first.

The registry's ids go to stdout, as the parameter of the schema ids wants them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Literal

from consumers.catalog.config import Settings
from consumers.catalog.migrate import MigrationChanged, migrate
from infra.container.configuration import write
from streams import config, registry
from streams.schema_ids import write_ids
from streams.step import Away


def set_up(phase: Literal["before", "after"]) -> int:
    """0 when done; else one line says what is away or wrong. It can be run again."""
    try:
        path, _ = write(os.environ)
        read = config.load(path)
        migrate(read.section("catalog", Settings).dsn, phase)
        ids = registry.register(read.section("registry", config.Registry).url)
    except (config.ConfigError, registry.RegistryAway, registry.RegistryRefused, MigrationChanged, Away) as error:
        sys.stderr.write(f"radstream: {error}\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "schema_ids.json"
        write_ids(file, ids)
        sys.stdout.write(file.read_text(encoding="utf-8"))
    return 0
