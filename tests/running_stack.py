"""A local stack as tests hold it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.local import founding, settings_file
from infra.local import home as homes
from infra.local.errors import StackError
from infra.local.parts.kafka import Broker
from infra.local.parts.part import Part
from infra.local.process import Launch
from infra.local.stack import Stack
from streams.config import Config, load

# Two runs with models never have equal catalogs: what a model makes has the time in it, and a pause makes more of it.
NO_MODELS = ""
# Settings with which a study has its revision after two seconds without a new image, and not after ten. Who counts
# revisions cannot have it: a pause of a slow machine makes one more.
SOON: Mapping[str, str] = {"revisions": "quiet_s = 2.0"}


class QuickBroker(Broker):
    """With the quick compiler alone: a broker of a test lives for minutes and is killed again and again."""

    def launch(self) -> Launch:
        program, *options = super().launch().argv
        return Launch([program, "-XX:TieredStopAtLevel=1", *options], super().launch().environment)


class RunningStack(Stack):
    """The stack with its configuration read."""

    @property
    def config(self) -> Config:
        return load(self.config_path)

    def deploy(
        self,
        deployments: str | None = None,
        settings: Mapping[str, str] | None = None,
        brokers: int | None = None,
    ) -> None:
        """Before the first start: these models (the text of a file of deployments; the project's without), and more
        settings by section.
        """
        homes.make(self.home)
        founding.found(self.home, brokers)
        settings_file.ensure(self._site())
        if deployments is not None:
            file = self.home / "deployments.toml"
            file.write_text(deployments, encoding="utf-8")
            self._set("ai", f'deployments = "{file}"')
        for section, lines in (settings or {}).items():
            self._set(section, lines)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """A study has its revision after the usual ten seconds, not after those of `SOON`, until the block ends."""
        before = self.config_path.read_text(encoding="utf-8")
        assert SOON["revisions"] in before
        self.config_path.write_text(before.replace(f"{SOON['revisions']}\n", ""), encoding="utf-8")
        self.restart(("revisions",))
        try:
            yield
        finally:
            self.config_path.write_text(before, encoding="utf-8")
            self.restart(("revisions",))

    @contextmanager
    def archived(self) -> Iterator[None]:
        """The cold and the backup store do not answer at once, until the block ends."""
        services = ("gateway", "retrieve", "tiering")
        before = self.config_path.read_text(encoding="utf-8")
        self._set("store", 'archived = ["cold", "backup"]')
        self.restart(services)
        try:
            yield
        finally:
            self.config_path.write_text(before, encoding="utf-8")
            self.restart(services)

    def comes_up(self) -> bool:
        """Whether it could be started again: a part that was hurt may take a moment to end."""
        try:
            self.up()
        except StackError:
            return False
        return True

    def launch(self, name: str) -> None:
        """Starts a part that was killed, and does not wait for it."""
        part = self._part(name)
        part.prepare()
        self._launch(part)

    def wait(self, parts: Collection[str] = ()) -> None:
        """Until these parts answer, or all. Raises StackError for one that ended, by itself or while it started."""
        for name in parts or self.names:
            self._wait(self._part(name))

    def signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.pid(name), number)

    def _part(self, name: str) -> Part:
        return next(part for wave in self._waves() for part in wave if part.name == name)

    def _waves(self) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        servers, services = super()._waves()
        brokers = (QuickBroker(self._site(), number) for number in range(1, self.state.brokers + 1))
        return (*brokers, *(part for part in servers if not isinstance(part, Broker))), services

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
    did not start. `deployments` are other models than those of the project."""
    stack = RunningStack(new_home(), say=lambda line: print(line, file=sys.stderr))  # noqa: T201
    try:
        if deployments is not None or settings is not None:
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
