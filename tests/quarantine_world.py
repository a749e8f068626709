"""`radstream quarantine` beside a log in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from radstream import (
    quarantine,
    quarantine_commanding,
    quarantine_deciding,
    quarantine_shared,
    quarantine_showing,
)
from radstream.__main__ import cli
from streams.events import AuditEvent, InputRef, InstanceReceived, QuarantineCommand
from streams.log import TopicPartition
from streams.wire import decode
from tests.catalog_config import catalog_config
from tests.event_streams import Hospital, new_log, write

WHY = "the referring physician has the rest"


class World:
    """A log with one instance that is held."""

    def __init__(self, folder: Path) -> None:
        self.hospital, self.log = Hospital(), new_log(partitions=1)
        (self.image,) = self.hospital.study("P1", "DOE", series=1, images=1)
        write(self.log, [self.image])
        read = InputRef(
            topic="imaging.instance.received", topic_id="x", partition=0, offset=0, event_id=self.image.meta.event_id
        )
        held = self.hospital.quarantined(self.image)
        self.held = structs.replace(held, provenance=structs.replace(held.provenance, inputs=(read,)))
        write(self.log, [self.held])
        (folder / "radstream.toml").write_text(catalog_config("postgresql://127.0.0.1:1/x"))
        self._config = str(folder / "radstream.toml")

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["quarantine", *arguments, "--config", self._config], env={"COLUMNS": "300"})

    def decide(self, action: str, *more: str) -> Result:
        return self.run(action, self.held.instance.digest, "--reason", WHY, *more)

    def commands(self) -> list[QuarantineCommand]:
        return [one for one in self._all("imaging.quarantine.command") if isinstance(one, QuarantineCommand)]

    def audits(self) -> list[AuditEvent]:
        return [one for one in self._all("imaging.audit.event") if isinstance(one, AuditEvent)]

    def received(self) -> list[InstanceReceived]:
        return [one for one in self._all("imaging.instance.received") if isinstance(one, InstanceReceived)]

    def _all(self, topic: str) -> list[object]:
        place = TopicPartition(topic, 0)
        start, end = self.log.bounds([place])[place]
        return [decode(record) for record in self.log.read(place, start, end)]


def world_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Its commands read and write this log, and no part that runs."""
    made = World(tmp_path)
    for module in (quarantine, quarantine_deciding, quarantine_shared):
        monkeypatch.setattr(module, "open_log", lambda *_: made.log)
    for module in (quarantine_commanding, quarantine_showing):
        monkeypatch.setattr(module, "notes_of", lambda _: made.hospital.blocks)
    # The catalog is tried where there is one (tests/integration/catalog, tests/integration).
    monkeypatch.setattr(quarantine_deciding, "wait", lambda *_: None)
    monkeypatch.setattr(quarantine_deciding, "flow_by_now", lambda *_: frozenset())
    monkeypatch.setattr(quarantine_deciding, "replaced", lambda *_: [])
    monkeypatch.setattr(quarantine_showing, "_findings", lambda *_: [])
    return made
