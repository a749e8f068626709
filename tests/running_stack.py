"""A local stack as tests hold it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from infra.local import home
from infra.local.stack import Stack
from streams.config import Config, load


class RunningStack(Stack):
    """The stack with its configuration read."""

    @property
    def config(self) -> Config:
        return load(self.config_path)


def new_home() -> Path:
    """An empty home beside the default one: on a disk, and where PostgreSQL's account may enter. Never pytest's own
    folder, which is of mode 700."""
    beside = home.default_home().parent
    beside.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".radstream-test-", dir=beside))
    folder.chmod(0o755)
    return folder
