"""The worklist as scanners see it: pynetdicom and DCMTK's findscu ask a service over a catalog in PostgreSQL."""

from __future__ import annotations

import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.sequence import Sequence

from streams.memory_log import MemoryLog
from streams.sop_classes import MODALITY_WORKLIST
from streams.store_scu import Target
from streams.tls.files import Port
from tests import secured
from tests.catalogs import projected
from tests.event_streams import Hospital, new_log, write
from tests.integration.test_performed_steps import attributes, begun, create, ended, set_
from tests.order_events import CHEST, HospitalClock, an_order, commanded, of_step, performed
from tests.raw_peer import RawPeer, associate_rq, context_item
from tests.routers import IMPLICIT
from tests.waiting import wait_until
from tests.worklists import Worklist, keys, running_worklist

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")

MEBI = 1 << 20


def ordered(dsn: str, count: int = 2, **other: Any) -> tuple[MemoryLog, Hospital]:
    """So many orders in a catalog."""
    hospital, log = Hospital(), new_log()
    for number in range(count):
        order = an_order(f"A-{number}", said={"PatientID": f"P{number}", **other.get("said", {})})
        write(log, [commanded(hospital, order)])
    projected(dsn, log, hospital)
    return log, hospital


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_scanner_finds_its_day(dsn: str) -> None:
    log, hospital = ordered(dsn)
    other_day = an_order("A-9", steps=(replace(CHEST, start_date="20261124"),))
    write(log, [commanded(hospital, other_day)])
    projected(dsn, log, hospital)
    with running_worklist(log, hospital, dsn) as worklist:
        step = {"Modality": "CT", "ScheduledStationAETitle": "CT1", "ScheduledProcedureStepStartDate": "20261123"}
        status, items = worklist.find(keys(step))
        assert status == 0x0000
        assert sorted(item.AccessionNumber for item in items) == ["A-0", "A-1"]
        assert {str(item.PatientName) for item in items} == {"Doe^Jane"}
        assert all(item.StudyInstanceUID.startswith("2.25.") for item in items)
        assert worklist.find(keys({"Modality": "MR"})) == (0x0000, [])
        assert len(worklist.find(keys())[1]) == 3


@pytest.mark.parametrize(
    ("asked", "calling", "answered"),
    [
        ("CT1", "CT1", "CT1"),
        ("CT1", "BROKER", "CT1"),
        (None, "CT7", "CT7"),
        ("*", "CT7", "CT7"),
        ("CT?", "CT7", "CT7"),
        ("CT*", "MR1", None),
    ],
)
def test_a_step_without_a_station_is_one_of_the_station_that_asks(
    dsn: str, asked: str | None, calling: str, answered: str | None
) -> None:
    """Consoles ask by their own AE title, and it is returned with a value (PS3.4 table K.6-1)."""
    hospital, log = Hospital(), new_log()
    write(log, [commanded(hospital, an_order("A-1", steps=(replace(CHEST, station_aes=()),)))])
    write(log, [commanded(hospital, an_order("A-2", steps=(replace(CHEST, station_aes=("CT9",)),)))])
    projected(dsn, log, hospital)
    with running_worklist(log, hospital, dsn) as worklist, worklist.association(calling) as association:
        step = {"Modality": "CT", "ScheduledStationAETitle": asked, "ScheduledProcedureStepStartDate": "20261123"}
        answers = list(association.send_c_find(keys(step), MODALITY_WORKLIST))
        assert answers[-1][0].Status == 0x0000
        items = [item for _, item in answers if item is not None and item.AccessionNumber == "A-1"]
        assert [one.ScheduledProcedureStepSequence[0].ScheduledStationAETitle for one in items] == (
            [answered] if answered else []
        )
        # What names its station is for that one alone.
        others = [item.AccessionNumber for _, item in answers if item is not None and item.AccessionNumber != "A-1"]
        assert others == ([] if asked == "CT1" else ["A-2"])
        wrong = keys({"Modality": "MR", "ScheduledStationAETitle": calling})
        assert len(list(association.send_c_find(wrong, MODALITY_WORKLIST))) == 1


def test_what_is_cancelled_or_completed_is_gone(dsn: str) -> None:
    log, hospital = ordered(dsn)
    with running_worklist(log, hospital, dsn) as worklist:
        (first, _) = sorted(worklist.find(keys())[1], key=lambda item: str(item.AccessionNumber))
        write(log, [commanded(hospital, an_order("A-1", action="cancelled"))])
        group = [of_step(str(first.StudyInstanceUID))]
        write(log, [performed(hospital, "2.25.1", "created", "in_progress", scheduled=group)])
        projected(dsn, log, hospital)
        (left,) = worklist.find(keys({"ScheduledProcedureStepStatus": None}))[1]
        assert left.AccessionNumber == "A-0"
        assert left.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStatus == "STARTED"
        write(log, [performed(hospital, "2.25.1", "set", "completed")])
        projected(dsn, log, hospital)
        assert worklist.find(keys())[1] == []


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"ScheduledProcedureStepID": ""}, id="no step"),
        pytest.param({"ScheduledProcedureStepID": None, "AccessionNumber": None}, id="an empty step and number"),
        pytest.param({"StudyInstanceUID": "2.25.99"}, id="a study of its own"),
    ],
)
def test_what_a_scanner_completed_is_gone_whatever_it_leaves_out(dsn: str, said: dict[str, str | None]) -> None:
    log, hospital = ordered(dsn)
    with running_worklist(log, hospital, dsn, HospitalClock(hospital)) as worklist:
        (item,) = worklist.find(keys(AccessionNumber="A-0"))[1]
        named = {
            "StudyInstanceUID": item.StudyInstanceUID,
            "AccessionNumber": item.AccessionNumber,
            "ScheduledProcedureStepID": item.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID,
        }
        scheduled = Sequence([attributes(**{**named, **said})])
        with worklist.association() as association:
            create(association, begun(PatientID=item.PatientID, ScheduledStepAttributesSequence=scheduled))
            set_(association, ended())
        projected(dsn, log, hospital)
        assert [one.AccessionNumber for one in worklist.find(keys())[1]] == ["A-1"]


def test_a_step_that_nobody_performed_leaves_the_list_after_its_days(dsn: str) -> None:
    log, hospital = ordered(dsn, 1)
    old = an_order("A-9", steps=(replace(CHEST, start_date="20261101"),))
    write(log, [commanded(hospital, old)])
    projected(dsn, log, hospital)
    for days, found in ((30, {"A-0", "A-9"}), (7, {"A-0"})):
        with running_worklist(log, hospital, dsn, expires_days=days) as worklist:
            assert {item.AccessionNumber for item in worklist.find(keys())[1]} == found


def test_more_matches_than_the_limit_are_refused_and_said_to_be(dsn: str) -> None:
    log, hospital = ordered(dsn, 4)
    with running_worklist(log, hospital, dsn, matches_max=3) as worklist:
        status, items = worklist.find(keys())
        assert (status, len(items)) == (0xA700, 3)
        assert worklist.find(keys(PatientID="P1"))[0] == 0x0000


def test_a_query_that_is_cancelled_ends_with_fe00(dsn: str) -> None:
    log, hospital = ordered(dsn, 900)
    with running_worklist(log, hospital, dsn) as worklist, worklist.association() as association:
        statuses = []
        for status, _ in association.send_c_find(keys(), MODALITY_WORKLIST, msg_id=7):
            statuses.append(status.Status)
            if len(statuses) == 1:
                association.send_c_cancel(7, query_model=MODALITY_WORKLIST)
        assert statuses[-1] == 0xFE00
        assert len(statuses) < 900


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"ScheduledProcedureStepStartDate": "yesterday"}, "date"),
        ({"ScheduledProcedureStepID": ["A", "B"]}, "more than one value"),
    ],
)
def test_a_query_that_means_nothing_says_so(dsn: str, step: dict[str, Any], why: str) -> None:
    log, hospital = ordered(dsn, 1)
    with running_worklist(log, hospital, dsn) as worklist, worklist.association() as association:
        ((status, _),) = association.send_c_find(keys(step), MODALITY_WORKLIST)
        assert status.Status == 0xC000
        assert why in status.ErrorComment
        # The association goes on.
        assert len(list(association.send_c_find(keys(), MODALITY_WORKLIST))) == 2


def test_a_catalog_that_is_away_is_a700_and_the_service_goes_on() -> None:
    with running_worklist(new_log(), Hospital()) as worklist:
        assert worklist.find(keys()) == (0xA700, [])
        assert worklist.find(keys()) == (0xA700, [])


@pytest.mark.skipif(shutil.which("findscu") is None, reason="findscu (DCMTK) is not installed")
def test_findscu_finds_names_in_its_own_character_set(dsn: str, tmp_path: Path) -> None:
    log, hospital = ordered(dsn, 1, said={"PatientName": "Müller^Änne"})
    with running_worklist(log, hospital, dsn) as worklist:
        done = subprocess.run(
            [
                *("findscu", "-W", "-aec", "RADSTREAM", "-aet", "CT1", "-X", "-od", str(tmp_path)),
                *("-k", "SpecificCharacterSet=ISO_IR 100", "-k", "PatientName=mull*", "-k", "PatientID"),
                *("-k", "AccessionNumber", "-k", "StudyInstanceUID"),
                *("-k", "ScheduledProcedureStepSequence[0].Modality=CT"),
                *("-k", "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=20261120-20261124"),
                *("-k", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle"),
                *(worklist.host, str(worklist.port)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.iterdir()
    found = pydicom.dcmread(path, force=True)
    assert found.SpecificCharacterSet == "ISO_IR 100"
    assert str(found.PatientName) == "Müller^Änne"
    assert (found.PatientID, found.AccessionNumber) == ("P0", "A-0")
    assert list(found.ScheduledProcedureStepSequence[0].ScheduledStationAETitle) == ["CT1", "CT2"]


@pytest.mark.skipif(shutil.which("findscu") is None, reason="findscu (DCMTK) is not installed")
def test_findscu_finds_by_tls(dsn: str, tmp_path: Path) -> None:
    version = subprocess.run(["findscu", "--version"], capture_output=True, text=True, check=False)
    if "OPENSSL" not in version.stdout.upper():
        pytest.skip("this findscu was built without OpenSSL")
    site = secured.hospital(tmp_path, secured.known("CT1", 'common_name = "ct1.example"'))
    tls = Port(port=0, certificate=site.ours.certificate_file, key=site.ours.key_file, ca=site.authority.file)
    own = site.scanner()
    log, hospital = ordered(dsn, 1)
    with running_worklist(log, hospital, dsn, peers=site.peers, tls=tls) as worklist:
        done = subprocess.run(
            [
                *("findscu", "-v", "-W", "-aec", "RADSTREAM", "-aet", "CT1", "-k", "AccessionNumber=A-0"),
                *("+tls", str(own.key_file), str(own.certificate_file), "+cf", str(site.authority.file)),
                *(worklist.host, str(worklist.tls_port)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert "Success" in done.stdout + done.stderr
    assert "A-0" in done.stdout + done.stderr


def test_the_programs_of_pynetdicom_find_and_echo(dsn: str, tmp_path: Path) -> None:
    log, hospital = ordered(dsn, 1)
    with running_worklist(log, hospital, dsn) as worklist:
        address = (worklist.host, str(worklist.port), "-aec", "RADSTREAM")
        wanted = ("-k", "AccessionNumber", "-k", "ScheduledProcedureStepSequence[0].Modality=CT")
        for app, more in (("echoscu", ()), ("findscu", ("-W", "-w", *wanted))):
            done = subprocess.run(
                (sys.executable, "-m", "pynetdicom", app, *address, *more),
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
                cwd=tmp_path,
            )
            assert done.returncode == 0, done.stderr
    (path,) = tmp_path.iterdir()
    assert pydicom.dcmread(path, force=True).AccessionNumber == "A-0"


def attacked(worklist: Worklist, *payloads: bytes) -> list[socket.socket]:
    peers = []
    for payload in payloads:
        peer = socket.create_connection((worklist.host, worklist.port), timeout=20)
        peer.sendall(payload)
        peers.append(peer)
    return peers


def test_peers_that_talk_no_dicom_or_never_end_harm_nobody(dsn: str) -> None:
    log, hospital = ordered(dsn, 1)
    limits = {"set_up_timeout_s": 4.0, "pdu_timeout_s": 4.0, "idle_timeout_s": 6.0, "associations_per_peer_max": 16}
    with running_worklist(log, hospital, dsn, **limits) as worklist:
        peers = attacked(
            worklist,
            b"",
            b"GET / HTTP/1.1\r\n\r\n",
            struct.pack(">BxI", 1, 0xFFFFFFF0),
            struct.pack(">BxI", 1, 500) + b"\x00" * 10,
            b"\x01",
        )
        assert len(worklist.find(keys())[1]) == 1
        for peer in peers:
            while peer.recv(4096):
                pass
            peer.close()


def has_room(worklist: Worklist) -> bool:
    """Whether an association is accepted."""
    with suppress(ConnectionError), RawPeer(Target("RADSTREAM", worklist.host, worklist.port)) as peer:
        peer.send(associate_rq(context_item(1, MODALITY_WORKLIST, (IMPLICIT,))))
        return (answer := peer.read()) is not None and answer.kind == 2
    return False


def test_one_peer_cannot_take_all_associations_for_ever(dsn: str) -> None:
    log, hospital = ordered(dsn, 1)
    limits = {"set_up_timeout_s": 6.0, "associations_per_peer_max": 3}
    with running_worklist(log, hospital, dsn, **limits) as worklist:
        peers = attacked(worklist, *[b""] * 10)
        # Twice as many as it may have associations stay.
        wait_until(lambda: len(select.select(peers, [], [], 0)[0]) == 4, "refusals at once")
        # The others lose theirs when they have not begun in time, and then there is room again.
        for peer in peers:
            with suppress(ConnectionError):
                assert peer.recv(1) == b""
            peer.close()
        wait_until(lambda: has_room(worklist), "room for another association")
        assert len(worklist.find(keys())[1]) == 1


def test_a_query_over_the_ceiling_is_refused_in_bounded_memory(dsn: str) -> None:
    log, hospital = ordered(dsn, 1)
    # Other tests of this process may have left some.
    threads = threading.active_count()
    with running_worklist(log, hospital, dsn, data_set_bytes_max=1 << 16) as worklist:
        large = keys(PatientName="Doe*")
        large.add_new(0x00091001, "UN", bytes(20 * MEBI))
        before = resident_bytes()
        status, items = worklist.find(large)
        assert (status, items) == (0xC000, [])
        assert resident_bytes() - before < 128 * MEBI  # the sender's own copies are in it
        assert len(worklist.find(keys())[1]) == 1
    assert threading.active_count() - threads < 50
