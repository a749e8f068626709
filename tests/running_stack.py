"""A local stack as tests hold it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local import home
from infra.local.stack import Stack
from streams.config import Config, load


class RunningStack(Stack):
    """The stack with its configuration read."""

    @property
    def config(self) -> Config:
        return load(self.config_path)


@contextmanager
def started(brokers: int | None = None, parts: Collection[str] = ()) -> Iterator[RunningStack]:
    """A stack of its own, or some parts of one, in an empty home; taken down and removed afterwards, also where it
    did not start."""
    stack = RunningStack(new_home(), say=lambda line: print(line, file=sys.stderr))  # noqa: T201
    try:
        stack.up(parts, brokers=brokers)
        yield stack
    finally:
        stack.down()
        shutil.rmtree(stack.home)


def new_home() -> Path:
    """An empty home beside the default one: on a disk, and where PostgreSQL's account may enter. Never pytest's own
    folder, which is of mode 700."""
    beside = home.default_home().parent
    beside.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".radstream-test-", dir=beside))
    folder.chmod(0o755)
    return folder
