"""Performed steps between modalities, the worklist, the forwarder and a RIS that pynetdicom speaks for."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.dsutils import decode as decode_data_set
from pynetdicom.dsutils import encode

from consumers.forward.__main__ import main
from consumers.forward.config import Settings
from streams.clock import SystemClock
from streams.config import Config, ConfigError, Site
from streams.events import AuditEvent
from streams.health import Health
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.protected_keys import FileKeys, create_key_file
from streams.ris import GROUP
from streams.routes.section import groups_of
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.sop_classes import PERFORMED_PROCEDURE_STEP
from streams.wire import SchemaIds, decode
from tests.event_streams import SITE, TENANT, Hospital, new_log
from tests.hooked_log import everything
from tests.integration.test_performed_steps import attributes, begun, create, ended, set_
from tests.nodes import silent
from tests.ports import free_port
from tests.risses import Request, Ris, listening, switched_off
from tests.waiting import wait_until
from tests.worklists import Worklist, running_worklist

QUICK = RunnerSettings(deadline_s=5.0, world_wait_s=0.02, world_wait_s_max=0.05, dead_letters_max=50)
CREATE, SET = "N-CREATE", "N-SET"


@dataclass
class World:
    """A site: its log and store outlive its services."""

    folder: Path
    log: MemoryLog = field(default_factory=lambda: new_log(3))

    def __post_init__(self) -> None:
        create_key_file(self.folder / "site-keys")
        keys: Any = FileKeys(self.folder / "site-keys")
        self.hospital = Hospital(keys=keys)
        self.ris("")

    def ris(self, section: str = '[ris]\nnode = "ris"\n', port: int = 0) -> None:
        key_file = self.folder / "site-keys"
        (self.folder / "radstream.toml").write_text(f'[protected]\nkey_file = "{key_file}"\n{section}')
        if port:
            (self.folder / "nodes.toml").write_text(f'[ris]\nae_title = "RIS"\nhost = "127.0.0.1"\nport = {port}\n')

    @property
    def config(self) -> Config:
        text = (self.folder / "radstream.toml").read_text()
        return Config(self.folder / "radstream.toml", text, tomllib.loads(text))

    def context(self) -> Context:
        site, store, health = Site(tenant=TENANT, site=SITE), self.hospital.store, Health(SystemClock())
        return Context("forward", self.config, site, self.log, store, SchemaIds(), health=health)

    @contextmanager
    def forwarding(self, settings: RunnerSettings = QUICK) -> Iterator[Context]:
        context = self.context()
        health = context.health
        thread = threading.Thread(target=main, args=(context, Settings(http_port=0, runner=settings)), daemon=True)
        thread.start()
        try:
            wait_until(lambda: "started" not in health.failing(), "the start")
            yield context
        finally:
            context.stopping.set()
            thread.join(60)
            assert not thread.is_alive()

    @contextmanager
    def worklist(self) -> Iterator[Worklist]:
        with running_worklist(self.log, self.hospital) as worklist:
            yield worklist

    def lag(self) -> int:
        names = [TopicPartition("imaging.mpps.event", number) for number in range(3)]
        committed = self.log.committed(GROUP, names)
        return sum(end - (committed[name] or 0) for name, (_, end) in self.log.bounds(names).items())

    def caught_up(self) -> None:
        wait_until(lambda: self.lag() == 0, "a lag of zero")

    def audited(self) -> list[AuditEvent]:
        found = [decode(record) for record in everything(self.log, "imaging.audit.event")]
        return [one for one in found if isinstance(one, AuditEvent) and one.action == "mpps.told"]

    def dead(self) -> list[Any]:
        return everything(self.log, "imaging.deadletter.forward")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def perform(worklist: Worklist, *uids: str, calling_ae: str = "CT1") -> None:
    """Each begun, told of, and completed."""
    with worklist.association(calling_ae) as association:
        for uid in uids:
            assert create(association, begun(PerformedStationAETitle=calling_ae), uid).Status == 0x0000
            assert set_(association, attributes(PerformedProcedureStepDescription="Chest"), uid).Status == 0x0000
            assert set_(association, ended(), uid).Status == 0x0000


def test_the_ris_gets_each_message_in_order_as_the_modality_sent_it(world: World) -> None:
    said = begun()
    block = said.private_block(0x0029, "ACME", create=True)
    block.add_new(1, "LO", "Grüße")
    said.PatientWeight = "71.50"
    with listening(Ris()) as ris, world.worklist() as worklist:
        world.ris(port=ris.port)
        with world.forwarding():
            for uid, syntax in (("2.25.1", IMPLICIT_VR_LITTLE_ENDIAN), ("2.25.2", EXPLICIT_VR_LITTLE_ENDIAN)):
                association = modality(worklist, syntax)
                assert create(association, said, uid).Status == 0x0000
                assert set_(association, ended(), uid).Status == 0x0000
                association.release()
            wait_until(lambda: len(ris.requests) == 4, "all four")
            world.caught_up()
    assert ris.steps == {"2.25.1": "COMPLETED", "2.25.2": "COMPLETED"}
    for uid, syntax in (("2.25.1", IMPLICIT_VR_LITTLE_ENDIAN), ("2.25.2", EXPLICIT_VR_LITTLE_ENDIAN)):
        first, second = (one for one in ris.requests if one.mpps_uid == uid)
        implicit = syntax == IMPLICIT_VR_LITTLE_ENDIAN
        assert (first.kind, first.transfer_syntax, first.data) == (CREATE, syntax, encode(said, implicit, True))
        assert (second.kind, second.transfer_syntax, second.data) == (SET, syntax, encode(ended(), implicit, True))
        assert first.calling_ae == "RADSTREAM"
    told = world.audited()
    assert [(one.outcome, one.attributes["status"]) for one in told] == [("success", "0x0000")] * 4
    assert {one.attributes["node"] for one in told} == {"ris"}
    text = str([record.value for record in everything(world.log, "imaging.audit.event")])
    assert not [word for word in ("ller", "P1", "PPS1") if word in text]


def modality(worklist: Worklist, syntax: str) -> Any:
    entity = AE("CT1")
    entity.add_requested_context(PERFORMED_PROCEDURE_STEP, syntax)
    association = entity.associate(worklist.host, worklist.port, ae_title="RADSTREAM")
    assert association.is_established
    return association


def test_a_ris_that_knows_the_default_alone_gets_it_written_anew(world: World) -> None:
    with listening(Ris(), syntaxes=(IMPLICIT_VR_LITTLE_ENDIAN,)) as ris, world.worklist() as worklist:
        world.ris(port=ris.port)
        with world.forwarding():
            association = modality(worklist, EXPLICIT_VR_LITTLE_ENDIAN)
            create(association, begun())
            association.release()
            (request,) = wait_until(lambda: ris.requests, "the N-CREATE")
    assert request.data == encode(begun(), True, True)


def test_what_n_set_may_not_touch_is_not_told_and_the_rest_is_as_it_was(world: World) -> None:
    with listening(Ris()) as ris, world.worklist() as worklist:
        world.ris(port=ris.port)
        with world.forwarding():
            association = modality(worklist, IMPLICIT_VR_LITTLE_ENDIAN)
            create(association, begun())
            more = {"SpecificCharacterSet": "ISO_IR 100", "PerformedProcedureStepDescription": "Schädel"}
            assert set_(association, attributes(PatientName="Other^Name", **more)).Status == 0x0107
            association.release()
            wait_until(lambda: len(ris.requests) == 2, "both")
    told = decode_data(ris.requests[1])
    assert told.PerformedProcedureStepDescription == "Schädel"
    assert "PatientName" not in told


def decode_data(request: Request) -> Dataset:
    implicit = request.transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN
    return decode_data_set(BytesIO(request.data), implicit, True)


def test_while_the_ris_is_away_everything_waits_in_order_and_nothing_else_does(world: World) -> None:
    off = switched_off()
    world.ris(port=(port := off.getsockname()[1]))
    uids = [f"2.25.{number}" for number in range(1, 7)]
    with world.worklist() as worklist, world.forwarding() as context:
        perform(worklist, *uids[:3])
        perform(worklist, *uids[3:], calling_ae="MR1")
        # Modalities were answered; the service is well, and what waits is its lag.
        assert world.lag() == 18
        assert context.health.failing() == {}
        off.close()
        with listening(Ris(), port) as ris:
            world.caught_up()
    assert {uid: ris.told(uid) for uid in uids} == {uid: [CREATE, SET, SET] for uid in uids}
    assert set(ris.steps.values()) == {"COMPLETED"}
    assert world.dead() == []


def test_a_ris_that_is_restarted_midway_has_each_step_once_and_whole(world: World) -> None:
    """It takes the fourth request and dies before the answer; then it is gone for a while."""
    ris = Ris(lost=lambda number: number == 3)
    uids = [f"2.25.{number}" for number in range(1, 5)]
    with world.worklist() as worklist:
        perform(worklist, "2.25.99")  # before there was a RIS: nothing of it is forwarded
        with listening(ris, free_port()) as first:
            world.ris(port=first.port)
            with world.forwarding():
                perform(worklist, *uids[:2])
                wait_until(lambda: len(ris.requests) > 4, "what came after the loss")
        off = switched_off(ris.port)
        with world.forwarding():
            perform(worklist, *uids[2:])
            off.close()
            with listening(ris, ris.port):
                world.caught_up()
    assert ris.steps == dict.fromkeys(uids, "COMPLETED")
    # What was taken and not heard of was said again; the standard makes that harmless.
    assert world.dead() == []
    assert {one.outcome for one in world.audited()} == {"success"}
    assert len({one.attributes["event"] for one in world.audited()}) == 12


def test_what_is_told_again_after_a_kill_is_taken_as_done(world: World) -> None:
    """The RIS knows all of it, and the group has committed nothing."""
    with listening(Ris()) as ris, world.worklist() as worklist:
        world.ris(port=ris.port)
        with world.forwarding():
            perform(worklist, "2.25.1")
            world.caught_up()
        names = [TopicPartition("imaging.mpps.event", number) for number in range(3)]
        world.log.place(GROUP, {name: start for name, (start, _) in world.log.bounds(names).items()})
        with world.forwarding():
            world.caught_up()
    assert ris.told("2.25.1") == [CREATE, SET, SET] * 2
    assert world.dead() == []
    reasons = [one.reason for one in world.audited()]
    assert reasons[3:] == ["The RIS had it already.", *["The RIS has the step as final already; " + MORE] * 2]
    # And they are the same events: what was said first counts.
    assert len({one.meta.event_id for one in world.audited()}) == 3


MORE = "nothing more can be said of it."


def test_what_the_ris_refuses_is_a_dead_letter_and_audited_and_the_others_go_on(world: World) -> None:
    def answer(number: int, request: Any) -> int | None:
        return 0x0106 if request.mpps_uid == "2.25.1" and request.kind == CREATE else None

    with listening(Ris(answer=answer)) as ris, world.worklist() as worklist:
        world.ris(port=ris.port)
        with world.forwarding():
            perform(worklist, "2.25.1", "2.25.2")
            world.caught_up()
    assert ris.steps == {"2.25.2": "COMPLETED"}
    letters = world.dead()
    assert [record.header("reason") for record in letters] == [
        "ris: The RIS answered 0x0106.",
        *["ris: The RIS answered 0x0112."] * 2,
    ]
    assert {record.header("origin_group") for record in letters} == {GROUP}
    refused = [one for one in world.audited() if one.outcome == "refused"]
    assert [(one.meta.subject, one.attributes["status"]) for one in refused] == [
        ("2.25.1", "0x0106"),
        ("2.25.1", "0x0112"),
        ("2.25.1", "0x0112"),
    ]
    assert len(world.audited()) == 6


def test_a_ris_in_trouble_is_waited_for_and_a_step_that_is_its_trouble_is_not(world: World) -> None:
    """Processing failure: while nothing is taken it is the RIS's; once others are, it is the step's."""
    well = threading.Event()

    def answer(_: int, request: Any) -> int | None:
        return None if well.is_set() and request.mpps_uid != "2.25.1" else 0x0110

    with listening(Ris(answer=answer)) as ris, world.worklist() as worklist:
        world.ris(port=ris.port)
        with world.forwarding():
            uids = [f"2.25.{number}" for number in range(1, 9)]
            with worklist.association() as association:
                for uid in uids:
                    create(association, begun(), uid)
            wait_until(lambda: len(ris.requests) > 40, "many tries")
            assert world.dead() == []
            well.set()
            world.caught_up()
    assert ris.steps == dict.fromkeys(uids[1:], "IN PROGRESS")
    assert [record.header("reason") for record in world.dead()] == ["ris: The RIS answered 0x0110."]


def test_a_silent_ris_keeps_no_image_waiting_and_stops_with_the_service(world: World) -> None:
    with silent() as hung, world.worklist() as worklist:
        world.ris('[ris]\nnode = "ris"\nanswer_s = 1.0\n', hung.port)
        with world.forwarding():
            perform(worklist, "2.25.1")
            wait_until(lambda: hung.associations > 0, "a try")
            assert world.lag() == 3


def test_erased_attributes_are_not_told(world: World) -> None:
    with listening(Ris()) as ris, world.worklist() as worklist:
        world.ris(port=ris.port)
        with world.forwarding():
            pass  # its group begins here
        with worklist.association() as association:
            create(association, begun(), "2.25.1")
            create(association, begun(), "2.25.2")
        erased = next(event for event in worklist.said() if event.mpps_uid == "2.25.1")
        world.hospital.store.delete(erased.block.object)
        with world.forwarding():
            world.caught_up()
    assert ris.steps == {"2.25.2": "IN PROGRESS"}
    assert [record.header("reason") for record in world.dead()] == ["ris: Its attributes were erased."]


def test_a_site_without_a_ris_has_no_group_for_it_and_one_that_it_does_not_know_is_an_error(world: World) -> None:
    assert GROUP not in groups_of(world.config)
    world.ris()
    assert GROUP in groups_of(world.config)
    with pytest.raises(ConfigError, match="has no node 'ris'"):
        main(world.context(), Settings(http_port=0))
