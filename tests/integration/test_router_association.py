"""C-STORE over real associations: what is acknowledged is kept, what is not kept is not acknowledged."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from producers.dicom_router.config import Settings
from producers.dicom_router.listening import Listener
from producers.dicom_router.upper_layer.pdu import PDU_BYTES_MAX
from radstream.__main__ import cli
from radstream.items import SECONDARY_CAPTURE, Item
from radstream.sending import send_items
from streams.config import ConfigError
from streams.identity import event_id
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.sop_classes import MEDIA_DIRECTORY, STORAGE_COMMITMENT
from streams.step import NewObject, Stored
from streams.store_scu import Lost, StoreScu, Target
from streams.stored_file import stored_file
from tests.raw_peer import p_data, pdv, store_rq
from tests.refusing_stores import RefusingMemoryStore
from tests.routers import CT, EXPLICIT, IMPLICIT, Ct, running_router
from tests.waiting import wait_until


class AwayStore(MemoryStore):
    """A store that takes nothing while `away`."""

    away = True

    def create(self, new: NewObject) -> Stored:
        if self.away:
            raise StoreAway("the store is away")
        return super().create(new)


def raw(data: bytes, sop_class: str = CT, instance: str = "1.2.3.4.5", syntax: str = EXPLICIT) -> Item:
    return Item("memory", sop_class, instance, syntax, lambda: data)


def test_what_is_acknowledged_is_stored_and_announced() -> None:
    with running_router() as router:
        result = router.send(Ct().item())

        assert result.statuses == {"0000": 1}
        (event,) = router.received()
        file = stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())
        assert event.instance.digest == event.object.sha256 == hashlib.sha256(file).hexdigest()
        assert event.object.key == f"t/studies/1.2.3/1.2.3.4/1.2.3.4.5/{event.instance.digest}.dcm"
        assert router.held.read(event.object) == file
        assert event.meta.event_id == event_id("t", "dicom_router", event.instance.digest, 0, 0)
        assert (event.meta.lane, event.provenance.generation) == ("routine", 0)
        assert (event.source.protocol, event.source.calling_ae, event.source.called_ae) == (
            "DIMSE",
            "SCANNER",
            "RADSTREAM",
        )
        assert (event.technical.modality, event.technical.rows) == ("CT", 8)
        assert router.blocks.read(event.protected[0]) == {
            "PatientID": "MRN-4711",
            "PatientName": "Doe^Jane",
            "StudyDescription": "Chest of a patient",
        }
        assert router.blocks.read(event.protected[1]) == {"SeriesDescription": "Lung window"}


def test_no_patient_data_is_in_the_event() -> None:
    with running_router() as router:
        router.send(Ct().item())
        text = str(router.events())
        assert not [word for word in ("Doe", "Jane", "MRN-4711", "Chest", "Lung") if word in text]


@pytest.mark.parametrize("size", [0, 1, 2, 131_066, 131_068, 131_070, 1_000_000])
@pytest.mark.parametrize("pdu_bytes_max", [4096, 131_072])
def test_data_sets_of_any_length_come_through_whole(size: int, pdu_bytes_max: int) -> None:
    with running_router(pdu_bytes_max=pdu_bytes_max) as router:
        data = Ct().data_set()[:200] + bytes(range(256)) * (size // 256 + 1)
        data = data[:size]
        assert router.send(raw(data)).statuses == {"0000": 1}
        (event,) = router.received()
        assert router.held.read(event.object).endswith(data)
        assert event.object.size == len(stored_file(CT, "1.2.3.4.5", EXPLICIT, data))


def test_bytes_that_nobody_can_read_are_kept_without_a_name() -> None:
    with running_router() as router:
        assert router.send(raw(b"not a data set", instance="1.2.9")).statuses == {"0000": 1}
        (event,) = router.received()
        assert event.object.key == f"t/unkeyed/{event.instance.digest}.dcm"
        assert (event.instance.study_uid, event.instance.sop_instance_uid, event.protected) == ("", "", ())


def test_the_store_away_means_a700_and_no_event_and_later_it_is_taken() -> None:
    store = AwayStore()
    with running_router(store=store, held=store) as router:
        assert router.send(Ct(name="").item()).statuses == {"A700": 1}
        assert router.received() == []
        assert "commit" in router.health.failing()

        store.away = False
        assert router.send(Ct(name="").item()).statuses == {"0000": 1}
        assert len(router.received()) == 1


def test_the_log_away_means_a700_and_the_next_try_announces_the_object_that_is_there() -> None:
    with running_router() as router:
        router.log.away = True
        assert router.send(Ct().item()).statuses == {"A700": 1}
        assert len(router.originals()) == 1

        router.log.away = False
        assert router.received() == []
        assert router.send(Ct().item()).statuses == {"0000": 1}
        assert len(router.originals()) == len(router.received()) == 1


def test_a_sender_tries_again_until_the_log_is_back() -> None:
    with running_router() as router, ThreadPoolExecutor(1) as pool:
        router.log.away = True
        sending = pool.submit(router.send, Ct().item(), retries=8)
        wait_until(lambda: "commit" in router.health.failing(), "the first refusal")
        router.log.away = False
        assert sending.result(timeout=120).statuses == {"0000": 1}


def test_the_same_bytes_again_are_stored_once_and_announced_with_the_same_id() -> None:
    with running_router() as router:
        assert router.send(Ct().item(), Ct().item()).statuses == {"0000": 2}
        first, second = router.received()
        assert first.meta.event_id == second.meta.event_id
        assert len(router.originals()) == 1


def test_the_same_uid_with_other_content_is_kept_beside_the_first() -> None:
    with running_router() as router:
        router.send(Ct().item(), Ct(pixels=b"\x09\x09" * 64).item(), Ct().item(IMPLICIT))
        assert len(router.originals()) == 3
        assert len({event.meta.event_id for event in router.received()}) == 3
        assert {event.instance.sop_instance_uid for event in router.received()} == {"1.2.3.4.5"}


def test_damaged_bytes_under_the_key_are_not_acknowledged() -> None:
    with running_router() as router:
        file = stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())
        digest = hashlib.sha256(file).hexdigest()
        router.held.create(NewObject("t", "hot", f"t/studies/1.2.3/1.2.3.4/1.2.3.4.5/{digest}.dcm", b"damaged"))
        assert router.send(Ct().item()).statuses == {"A700": 1}
        assert router.received() == []
        assert "damaged" in router.health.failing()["commit"]


@pytest.mark.parametrize("sop_class", [CT, "1.2.840.10008.5.1.4.1.1.30", "1.2.826.0.1.3680043.99", "2.25.4711"])
def test_storage_classes_that_nobody_knows_are_stored(sop_class: str) -> None:
    with running_router() as router:
        assert router.send(Ct(sop_class=sop_class).item()).statuses == {"0000": 1}
        assert router.received()[0].instance.sop_class_uid == sop_class


@pytest.mark.parametrize("sop_class", [MEDIA_DIRECTORY, STORAGE_COMMITMENT], ids=["media directory", "commitment"])
def test_what_is_no_instance_is_refused_and_audited(sop_class: str) -> None:
    with running_router() as router:
        result = router.send(raw(b"", sop_class=sop_class))
        assert result.refused == [{"file": "memory", "status": "0x0122"}]
        assert router.originals() == []
        (event,) = router.audited()
        assert (event.actor, event.action, event.outcome) == ("SCANNER", "c-store.refused", "refused")
        assert event.attributes["status"] == "0x0122"
        assert event.attributes["sop_class"] == sop_class


def test_another_instance_than_the_command_says_is_refused_and_audited() -> None:
    with running_router() as router:
        assert router.send(raw(Ct().data_set(), instance="9.9.9")).statuses == {"A900": 1}
        assert router.originals() == []
        assert router.audited()[0].attributes["status"] == "0xA900"


def test_another_sop_class_than_the_command_says_is_kept() -> None:
    with running_router() as router:
        assert router.send(raw(Ct().data_set(), sop_class=SECONDARY_CAPTURE)).statuses == {"0000": 1}
        assert router.received()[0].instance.sop_class_uid == CT


def test_a_refusal_that_cannot_be_audited_is_to_be_tried_again() -> None:
    with running_router() as router:
        router.log.away = True
        assert router.send(raw(b"", sop_class=MEDIA_DIRECTORY)).statuses == {"A700": 1}


def test_an_object_over_the_ceiling_is_refused_and_the_association_goes_on() -> None:
    with running_router(object_bytes_max=1 << 20) as router:
        large = Ct(pixels=bytes(3 << 20))
        assert router.send(large.item(), Ct().item()).statuses == {"0000": 1, "A701": 1}
        assert router.audited()[0].attributes["status"] == "0xA701"
        assert len(router.originals()) == 1


def test_an_object_that_the_store_refuses_is_refused_with_its_reason_and_the_router_stays_ready() -> None:
    with running_router(store=RefusingMemoryStore()) as router:
        assert router.send(Ct().item(), retries=3).statuses == {"A702": 1}
        (audited,) = router.audited()
        assert audited.attributes["status"] == "0xA702"
        assert "EntityTooLarge" in (audited.reason or "")
        assert "commit" not in router.health.failing()
        assert router.received() == []


def test_a_calling_ae_title_has_its_lane() -> None:
    with running_router(lanes={"STROKE": "stat"}) as router:
        router.send(Ct().item(), calling_ae="STROKE")
        router.send(Ct().item(), calling_ae="OTHER")
        (urgent,) = router.received("imaging.instance.received.stat")
        assert urgent.meta.lane == "stat"
        assert [event.meta.lane for event in router.received()] == ["routine"]


def test_many_associations_at_once_lose_nothing() -> None:
    with running_router() as router:
        items = [Ct(instance=f"1.2.3.4.{number}").item() for number in range(80)]
        assert router.send(*items, associations=4).statuses == {"0000": 80}
        assert len(router.originals()) == len(router.received()) == 80
        assert len({event.source.association for event in router.received()}) > 1


def test_more_presentation_contexts_than_an_association_holds_are_sent_all_the_same() -> None:
    with running_router() as router:
        items = [Ct(sop_class=f"2.25.{number}", instance=f"1.2.{number}").item() for number in range(150)]
        assert router.send(*items).statuses == {"0000": 150}


def test_an_echo_is_answered() -> None:
    with running_router() as router:
        entity = AE()
        entity.add_requested_context(Verification)
        association = entity.associate(router.target.host, router.target.port)
        assert association.send_c_echo().Status == 0x0000
        association.release()


def test_more_associations_than_the_limit_are_rejected_and_the_others_go_on() -> None:
    with running_router(associations_max=1) as router:
        first = StoreScu(router.target, "SCANNER", [(CT, EXPLICIT)])
        result = router.send(Ct().item())
        assert "rejected" in result.unsent[0]["reason"]
        assert first.store(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set()) == 0x0000
        first.close()


@pytest.mark.parametrize("begin", [b"", b"\x01", b"GET / HTTP/1.1\r\n\r\n", struct.pack(">BxI", 4, 0xFFFFFFF0)])
def test_a_peer_that_talks_no_dicom_harms_nobody(begin: bytes) -> None:
    with running_router() as router, socket.create_connection((router.target.host, router.target.port)) as peer:
        peer.sendall(begin)
        assert router.send(Ct().item()).statuses == {"0000": 1}


def test_a_pdu_over_the_ceiling_ends_its_association_alone() -> None:
    with running_router() as router:
        scu = StoreScu(router.target, "SCANNER", [(CT, EXPLICIT)])
        scu._socket.sendall(struct.pack(">BxI", 4, PDU_BYTES_MAX + 1))
        with pytest.raises(Lost):
            scu.store(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())
        scu.abort()
        assert router.send(Ct().item()).statuses == {"0000": 1}


def test_a_connection_cut_in_mid_object_leaves_nothing_and_harms_nobody() -> None:
    with running_router() as router:
        scu = StoreScu(router.target, "SCANNER", [(CT, EXPLICIT)])
        half = struct.pack(">BxIIBB", 4, 106, 102, 1, 0) + bytes(10)
        scu._socket.sendall(p_data(pdv(store_rq(), command=True)) + half)
        scu._socket.shutdown(socket.SHUT_RDWR)
        scu.abort()
        assert router.send(Ct().item()).statuses == {"0000": 1}
        assert len(router.received()) == 1


def test_nobody_there_is_one_message_and_everything_is_in_the_result() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        target = Target("RADSTREAM", "127.0.0.1", unused.getsockname()[1])
        result = send_items([Ct().item(), Ct().item()], target, retries=0)
    assert result.statuses == {}
    assert len(result.unsent) == 2
    assert "nothing listens there" in result.unsent[0]["reason"]


def test_a_port_in_use_is_one_clear_message() -> None:
    with running_router() as router, pytest.raises(ConfigError, match=r"cannot be listened on .*set another port"):
        Listener(
            Settings(http_port=0, port=router.target.port), router.receiver, router.trust, router.refusals, router.clock
        )


def test_after_stop_nobody_is_answered() -> None:
    with running_router() as router:
        assert router.send(Ct().item()).acknowledged == 1
    assert "nothing listens there" in router.send(Ct().item()).unsent[0]["reason"]


def test_the_command_sends_a_folder_and_says_how_it_went(tmp_path: Path) -> None:
    with running_router() as router:
        (tmp_path / "image").write_bytes(stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set()))
        (tmp_path / "directory").write_bytes(stored_file(MEDIA_DIRECTORY, "1.2.9", EXPLICIT, b""))
        (tmp_path / "text").write_bytes(b"hello")

        no_site = ("--config", str(tmp_path / "none.toml"))
        run = CliRunner().invoke(cli, ["send", str(tmp_path), "--to", str(router.target), "--json", *no_site])

        said = json.loads(run.stdout)
        assert run.exit_code == 3
        assert said["statuses"] == {"0000": 2, "0122": 1}
        assert [refused["status"] for refused in said["refused"]] == ["0x0122"]
        assert said["files"] == 3
        assert len(router.originals()) == 2
