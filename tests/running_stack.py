"""A local stack as tests hold it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.local import founding, settings_file
from infra.local import home as homes
from infra.local.errors import StackError
from infra.local.stack import Stack
from streams.config import Config, load

# Two runs with models never have equal catalogs: what a model makes has the time in it, and a pause makes more of it.
NO_MODELS = ""


class RunningStack(Stack):
    """The stack with its configuration read."""

    @property
    def config(self) -> Config:
        return load(self.config_path)

    def deploy(self, deployments: str, settings: Mapping[str, str] | None = None, brokers: int | None = None) -> None:
        """Before the first start: these models (the text of a file of deployments), and more settings by section."""
        homes.make(self.home)
        founding.found(self.home, brokers)
        settings_file.ensure(self._site())
        file = self.home / "deployments.toml"
        file.write_text(deployments, encoding="utf-8")
        self._set("ai", f'deployments = "{file}"')
        for section, lines in (settings or {}).items():
            self._set(section, lines)

    def comes_up(self) -> bool:
        """Whether it could be started again: a part that was hurt may take a moment to end."""
        try:
            self.up()
        except StackError:
            return False
        return True

    def _set(self, section: str, lines: str) -> None:
        text = self.config_path.read_text(encoding="utf-8")
        head = f"\n[{section}]\n"
        text = text.replace(head, f"{head}{lines}\n") if head in text else f"{text}{head}{lines}\n"
        self.config_path.write_text(text, encoding="utf-8")


@contextmanager
def started(
    brokers: int | None = None,
    parts: Collection[str] = (),
    deployments: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[RunningStack]:
    """A stack of its own, or some parts of one, in an empty home; taken down and removed afterwards, also where it
    did not start. `deployments` are other models than those of the project, `settings` come with them."""
    stack = RunningStack(new_home(), say=lambda line: print(line, file=sys.stderr))  # noqa: T201
    try:
        if deployments is not None:
            stack.deploy(deployments, settings, brokers)
        stack.up(parts, brokers=brokers)
        yield stack
    finally:
        stack.down()
        shutil.rmtree(stack.home)


def new_home() -> Path:
    """An empty home beside the default one: on a disk, and where PostgreSQL's account may enter. Never pytest's own
    folder, which is of mode 700."""
    beside = homes.default_home().parent
    beside.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".radstream-test-", dir=beside))
    folder.chmod(0o755)
    return folder
