"""`radstream orders` and `imports` beside a catalog in PostgreSQL and a log in memory: what is meant, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consumers.catalog.database import snapshot
from consumers.catalog.imports import imports as found
from radstream import imports, orders
from radstream.__main__ import cli
from radstream.commanding import write as written
from streams.events import OrderCommand
from streams.log import Log
from streams.wire import Message
from tests.catalog_config import catalog_config
from tests.catalogs import projected
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.import_events import decided, from_outside
from tests.listeners import commands_in
from tests.order_events import an_order, commanded

WHOM = ("--patient-id", "P1", "--patient-name", "Doe^Jane", "--modality", "CT", "--start", "2026-11-23T09:30")


class World:
    """A site whose catalog has all of its log at once."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.hospital, self.log, self.dsn = Hospital(), new_log(), dsn
        self._config = folder / "radstream.toml"
        self._config.write_text(catalog_config(dsn))

    def write(self, log: Log, messages: Sequence[Message], what: str) -> None:
        written(log, messages, what)
        projected(self.dsn, self.log, self.hospital)

    def by_hl7(self, accession: str, procedure_id: str, issuer: str = "") -> OrderCommand:
        placed = commanded(self.hospital, an_order(accession, procedure_id=procedure_id, issuer=issuer))
        write(self.log, [placed])
        projected(self.dsn, self.log, self.hospital)
        return placed

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--config", str(self._config)], env={"COLUMNS": "300"})

    def said(self) -> list[tuple[str, str]]:
        return [(one.action, one.order_id) for one in commands_in(self.log)]


@pytest.fixture
def world(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path, dsn)
    for module in (orders, imports):
        monkeypatch.setattr(module, "open_log", lambda _: made.log)
        monkeypatch.setattr(module, "notes_of", lambda _: made.hospital.blocks)
        monkeypatch.setattr(module, "write", made.write)
    return made


def test_an_order_is_cancelled_by_its_accession_number_whoever_gave_it_and_for_whatever_procedure(world: World) -> None:
    placed = world.by_hl7("H-30", "RP-9", "NORTH")
    done = world.run("orders", "cancel", "H-30")
    assert done.exit_code == 0, done.exception
    assert "order H-30 is cancelled" in done.stdout
    assert world.said() == [("placed", placed.order_id), ("cancelled", placed.order_id)]
    again = world.run("orders", "cancel", "H-30")
    assert "no standing order with this accession number" in str(again.exception)


def test_no_second_order_of_a_number_is_placed_without_a_word(world: World) -> None:
    placed = world.by_hl7("H-30", "RP-9", "NORTH")
    refused = world.run("orders", "add", "--accession", "H-30", *WHOM)
    assert refused.exit_code != 0
    assert "procedure ID RP-9, issuer NORTH" in str(refused.exception)
    assert all(option in str(refused.exception) for option in ("--change", "--procedure-id", "--issuer"))
    assert world.said() == [("placed", placed.order_id)]

    changed = world.run("orders", "add", "--accession", "H-30", *WHOM, "--change", "--json")
    assert changed.exit_code == 0, changed.exception
    (shown,) = json.loads(changed.stdout)
    assert shown["order"]["study_uid"] == placed.study_uid
    assert (shown["order"]["procedure_id"], shown["order"]["accession_issuer"]) == ("RP-9", "NORTH")

    second = world.run("orders", "add", "--accession", "H-30", "--procedure-id", "RP-10", *WHOM)
    assert second.exit_code == 0, second.exception
    assert len(set(world.said())) == 3


@pytest.mark.parametrize(
    ("more", "meant"),
    [
        (("--procedure-id", "RP-8"), 0),
        (("--issuer", "NORTH", "--procedure-id", "RP-9"), 1),
        (("--issuer", "SOUTH"), 2),
        (("--issuer", ""), 0),
    ],
)
def test_which_of_several_orders_is_meant_is_asked_and_can_be_said(
    world: World, more: tuple[str, ...], meant: int
) -> None:
    there = [("RP-8", ""), ("RP-9", "NORTH"), ("RP-9", "SOUTH")]
    placed = [world.by_hl7("H-30", procedure_id, issuer) for procedure_id, issuer in there]
    for command in (("cancel", "H-30"), ("add", "--accession", "H-30", "--change", *WHOM)):
        refused = str(world.run("orders", *command).exception)
        assert "several orders have this accession number" in refused
        for name in ("procedure ID RP-8, no issuer", "procedure ID RP-9, issuer NORTH", "issuer SOUTH"):
            assert name in refused
    unknown = str(world.run("orders", "cancel", "H-30", "--issuer", "WEST").exception)
    assert "procedure ID RP-9, issuer NORTH" in unknown
    assert "--issuer NAME" in unknown

    done = world.run("orders", "cancel", "H-30", *more)
    assert done.exit_code == 0, done.exception
    assert [named for action, named in world.said() if action == "cancelled"] == [placed[meant].order_id]


@pytest.mark.parametrize("why", ["", "  ", "x" * 4001])
@pytest.mark.parametrize("undone", [False, True], ids=["reconcile", "unreconcile"])
def test_a_study_is_given_to_nobody_without_a_reason(world: World, why: str, undone: bool) -> None:
    world.by_hl7("H-30", "RP-9")
    image = from_outside(world.hospital)
    write(world.log, [image])
    if undone:
        write(world.log, [decided(world.hospital, image.instance.study_uid)])
    projected(world.dsn, world.log, world.hospital)
    command = ("unreconcile",) if undone else ("reconcile", "--order", "H-30")
    refused = world.run("imports", *command, image.instance.study_uid, "--why", why)
    assert "--why: say why, in 1 to 4000 characters" in str(refused.exception)
    with snapshot(world.dsn) as cursor:
        (kept,) = found(cursor, TENANT, study_uid=image.instance.study_uid)
    assert kept.reconciled == undone
