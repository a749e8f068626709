"""What query and retrieve show: never what is held, an outside study as whose it is here, and nothing to who lies."""

from __future__ import annotations

import io
import itertools
import shutil
import struct
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import C_FIND, C_GET

from gateway.dimse import still
from gateway.dimse.finding import PENDING, PENDING_UNSUPPORTED
from streams.config import Site
from streams.events import Event, InstanceReceived
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.stored_file import stored_file
from tests.archives import image
from tests.catalogs import projected
from tests.event_streams import SITE, TENANT, Hospital, new_log, write
from tests.hostile_data_sets import nesting, nesting_of_defined_length
from tests.images import CT
from tests.import_events import DISC, OURS, decided
from tests.logged import lines
from tests.nodes import node
from tests.quarantine_events import assessed_as_strange
from tests.retrieves import PATIENT_FIND, PATIENT_GET, STUDY_FIND, STUDY_GET, Client, keys, running_retrieve
from tests.tiering_events import backed_up, grown_cold

THEIRS = {"PatientID": "X1", "PatientName": "DOE^J", "PatientSex": "F", "AccessionNumber": "A-100"}
STORED = [(CT, EXPLICIT_VR_LITTLE_ENDIAN)]
SECRET = "Geheimrat"


def running(dsn: str, hospital: Hospital, *events: Event, **chosen: Any) -> Any:
    log = new_log()
    write(log, events)
    projected(dsn, log, hospital)
    return running_retrieve(dsn, hospital.store, log, Site(tenant=TENANT, site=SITE), **chosen)


def found(client: Client, **said: Any) -> list[Dataset]:
    status, items = client.find(keys("STUDY", **{"StudyInstanceUID": None, "PatientName": None, **said}))
    assert status == 0x0000
    return items


def test_what_is_held_is_neither_found_nor_sent(dsn: str) -> None:
    hospital = Hospital()
    held, good = image(hospital, {"PatientID": "P1"}), image(hospital, {"PatientID": "P1"})
    mixed = image(hospital, {"PatientID": "P1"}, study_uid=good.instance.study_uid)
    new = image(hospital, {"PatientID": "P2"})
    events = [held, good, mixed, new, hospital.quarantined(held), hospital.quarantined(mixed), hospital.validated(good)]
    with running(dsn, hospital, *events) as client:
        (one,) = found(client, NumberOfStudyRelatedInstances=None)
        assert (one.StudyInstanceUID, one.NumberOfStudyRelatedInstances) == (good.instance.study_uid, 1)
        _, patients = client.find(keys("PATIENT", PatientID=None, NumberOfPatientRelatedStudies=None), PATIENT_FIND)
        assert [(one.PatientID, one.NumberOfPatientRelatedStudies) for one in patients] == [("P1", 1)]
        last, got = client.get(
            keys("STUDY", StudyInstanceUID=[held.instance.study_uid, good.instance.study_uid]), STORED
        )
    assert (last.Status, len(got)) == (0x0000, 1)
    assert body(hospital, good) == got[0][1]


def body(hospital: Hospital, event: InstanceReceived) -> bytes:
    file = hospital.store.read(event.object)
    return file[144 + int.from_bytes(file[140:144], "little") :]


def test_a_study_from_outside_is_shown_once_it_is_known_whose_it_is(dsn: str) -> None:
    hospital = Hospital()
    came = image(hospital, THEIRS, outside=DISC)
    with running(dsn, hospital, came, hospital.validated(came)) as client:
        assert found(client) == []
        last, got = client.get(keys("STUDY", StudyInstanceUID=came.instance.study_uid), STORED)
        assert (last.Status, got) == (0x0000, [])


def test_a_study_from_outside_is_found_and_sent_as_whose_it_is_here(dsn: str) -> None:
    hospital = Hospital()
    came = image(hospital, THEIRS, outside=DISC)
    decision = decided(hospital, came.instance.study_uid)
    with running(dsn, hospital, came, hospital.validated(came), decision) as client:
        for asked in ({"PatientID": "X1"}, {"AccessionNumber": "A-100"}):
            assert found(client, **asked) == []
        for asked in ({"PatientID": "P1"}, {"AccessionNumber": "A-900"}, {"PatientName": "doe^ja*"}):
            (one,) = found(client, IssuerOfPatientID=None, **{"PatientID": None, "AccessionNumber": None, **asked})
            said = (one.PatientID, one.IssuerOfPatientID, str(one.PatientName), one.AccessionNumber)
            assert said == ("P1", "NORTH", "Doe^Jane", "A-900")
        _, patients = client.find(keys("PATIENT", PatientID=None), PATIENT_FIND)
        assert [one.PatientID for one in patients] == ["P1"]
        last, ((syntax, data),) = client.get(keys("STUDY", StudyInstanceUID=came.instance.study_uid), STORED)
    assert last.Status == 0x0000
    read = pydicom.dcmread(BytesIO(stored_file(CT, came.instance.sop_instance_uid, syntax, data)))
    assert (read.PatientID, str(read.PatientName), read.AccessionNumber) == ("P1", OURS["PatientName"], "A-900")
    (before,) = read.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert (before.PatientID, before.AccessionNumber) == ("X1", "A-100")
    assert np.array_equal(read.pixel_array, np.arange(64).reshape(8, 8))


@pytest.mark.parametrize("verdict", ["validated", "quarantined"])
def test_a_study_from_outside_is_not_ours_by_who_brings_more_of_it(dsn: str, verdict: str) -> None:
    """A workstation sends an image of the disc's study; of the disc's own it may be held, and then speaks no more."""
    hospital = Hospital()
    came = image(hospital, THEIRS, outside=DISC)
    further = image(hospital, THEIRS, study_uid=came.instance.study_uid, number=2)
    of_disc = hospital.validated(came) if verdict == "validated" else hospital.quarantined(came)
    with running(dsn, hospital, came, further, of_disc, hospital.validated(further)) as client:
        assert found(client) == []
        last, got = client.get(keys("STUDY", StudyInstanceUID=came.instance.study_uid), STORED)
        assert (last.Status, got) == (0x0000, [])


def test_of_a_study_that_was_ours_what_came_since_one_from_outside_waits(dsn: str) -> None:
    hospital = Hospital()
    own = image(hospital, {"PatientID": "P1", "PatientName": "DOE^J"})
    study_uid = own.instance.study_uid
    since = [
        image(hospital, THEIRS, study_uid=study_uid, number=number, outside=origin)
        for number, origin in ((2, DISC), (3, None))
    ]
    said = [own, *since, *map(hospital.validated, (own, *since))]
    asked = keys("STUDY", StudyInstanceUID=study_uid)
    with running(dsn, hospital, *said) as client:
        (one,) = found(client, NumberOfStudyRelatedInstances=None, NumberOfStudyRelatedSeries=None)
        assert (one.NumberOfStudyRelatedInstances, one.NumberOfStudyRelatedSeries) == (1, 1)
        _, series = client.find(keys("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID=None))
        assert [one.SeriesInstanceUID for one in series] == [own.instance.series_uid]
        last, got = client.get(asked, STORED)
    assert (last.Status, [data for _, data in got]) == (0x0000, [body(hospital, own)])


def test_a_study_that_was_ours_is_whole_once_a_person_has_said_whose_it_is(dsn: str) -> None:
    hospital = Hospital()
    own = image(hospital, {"PatientID": "P1", "PatientName": "DOE^J"})
    back = image(hospital, THEIRS, study_uid=own.instance.study_uid, number=2, outside=DISC)
    said = [own, back, *map(hospital.validated, (own, back)), decided(hospital, own.instance.study_uid)]
    with running(dsn, hospital, *said) as client:
        last, got = client.get(keys("STUDY", StudyInstanceUID=own.instance.study_uid), STORED)
    assert (last.Status, len(got)) == (0x0000, 2)


def test_a_study_is_found_and_sent_as_its_images_that_count_say(dsn: str) -> None:
    """Its first image is another patient's, and is held."""
    hospital = Hospital()
    stray = image(hospital, {"PatientID": "P2", "PatientName": "ROE^R", "AccessionNumber": "A-2"})
    own = image(hospital, {"PatientID": "P1", "PatientName": "DOE^J"}, study_uid=stray.instance.study_uid)
    events = [stray, own, hospital.validated(stray), hospital.validated(own), assessed_as_strange(hospital, stray)]
    with running(dsn, hospital, *events) as client:
        (one,) = found(client, PatientID=None)
        assert (one.PatientID, str(one.PatientName)) == ("P1", "DOE^J")
        for asked in ({"PatientID": "P2"}, {"PatientName": "ROE*"}, {"AccessionNumber": "A-2"}):
            assert found(client, **asked) == []
        _, patients = client.find(keys("PATIENT", PatientID=None, PatientName=None), PATIENT_FIND)
        assert [(one.PatientID, str(one.PatientName)) for one in patients] == [("P1", "DOE^J")]
        for patient, sent in (("P2", []), ("P1", [body(hospital, own)])):
            last, got = client.get(keys("PATIENT", PatientID=patient), STORED, PATIENT_GET)
            assert (last.Status, [data for _, data in got]) == (0x0000, sent)


NORTH, SOUTH = (
    {"PatientID": "P1", "PatientName": name, "IssuerOfPatientID": issuer}
    for name, issuer in (("DOE^J", "NORTH"), ("ROE^R", "SOUTH"))
)


def test_a_patient_id_of_two_patients_names_neither(dsn: str) -> None:
    """An ID is unique with its issuer alone: whoever names none gets nobody's images as one patient's."""
    hospital = Hospital()
    one, other = image(hospital, NORTH), image(hospital, SOUTH)
    with running(dsn, hospital, one, other, hospital.validated(one), hospital.validated(other)) as client:
        last, got = client.get(keys("PATIENT", PatientID="P1"), STORED, PATIENT_GET)
        assert (last.Status, got) == (0xC000, [])
        assert last.ErrorComment == "several patients have this ID; say its issuer, or name studies"
        last, ((_, data),) = client.get(keys("PATIENT", PatientID="P1", IssuerOfPatientID="SOUTH"), STORED, PATIENT_GET)
        assert (last.Status, data) == (0x0000, body(hospital, other))
        last, got = client.get(keys("PATIENT", PatientID="P1", IssuerOfPatientID="EAST"), STORED, PATIENT_GET)
        assert (last.Status, got) == (0x0000, [])
        named = keys("STUDY", PatientID="P1", StudyInstanceUID=one.instance.study_uid)
        last, ((_, data),) = client.get(named, STORED, PATIENT_GET)
        assert (last.Status, data) == (0x0000, body(hospital, one))


def test_who_has_an_id_with_others_is_found_with_the_issuer(dsn: str) -> None:
    hospital = Hospital()
    one, other = image(hospital, NORTH), image(hospital, SOUTH)
    with running(dsn, hospital, one, other, hospital.validated(one), hospital.validated(other)) as client:
        _, patients = client.find(keys("PATIENT", PatientID="P1", IssuerOfPatientID=None), PATIENT_FIND)
        assert {one.IssuerOfPatientID for one in patients} == {"NORTH", "SOUTH"}
        # Below a patient: whoever asks would put what is found under that patient.
        below = {"PatientID": "P1", "StudyInstanceUID": None}
        assert client.find(keys("STUDY", **below), PATIENT_FIND) == (0xC000, [])
        status, studies = client.find(keys("STUDY", **below, IssuerOfPatientID="NORTH"), PATIENT_FIND)
        assert (status, [item.StudyInstanceUID for item in studies]) == (0x0000, [one.instance.study_uid])
        # A search among all studies, whose answers say whose they are.
        assert {
            (str(item.PatientName), item.IssuerOfPatientID)
            for item in found(client, PatientID="P1", IssuerOfPatientID=None)
        } == {("DOE^J", "NORTH"), ("ROE^R", "SOUTH")}


def test_who_is_said_without_an_issuer_is_who_is_said_with_one(dsn: str) -> None:
    """Modalities drop it; and a study from outside gets it from who knows the patients here."""
    hospital = Hospital()
    own = image(hospital, {"PatientID": "P1", "PatientName": "DOE^JANE", "PatientSex": "F"})
    came = image(hospital, THEIRS, outside=DISC)
    decision = decided(hospital, came.instance.study_uid)
    with running(dsn, hospital, own, came, hospital.validated(own), hospital.validated(came), decision) as client:
        last, got = client.get(keys("PATIENT", PatientID="P1"), STORED, PATIENT_GET)
    assert (last.Status, len(got)) == (0x0000, 2)


def test_movescu_moves_one_patient_and_not_two(dsn: str, tmp_path: Path) -> None:
    if shutil.which("movescu") is None:
        pytest.skip("needs movescu")
    hospital, nodes = Hospital(), tmp_path / "nodes.toml"
    one, other = image(hospital, NORTH), image(hospital, SOUTH)
    events = (one, other, hospital.validated(one), hospital.validated(other))

    def moved(client: Client, *more: str) -> int:
        wanted = ("-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=P1", *more)
        peer = ("-aec", "RADSTREAM", "-aem", "NODE", "127.0.0.1", str(client.port))
        return subprocess.run(
            ["movescu", "-P", *wanted, *peer], timeout=60, check=False, capture_output=True
        ).returncode

    with node([EXPLICIT_VR_LITTLE_ENDIAN], sop_classes=(CT,)) as there:
        nodes.write_text(f'[there]\nae_title = "NODE"\nhost = "127.0.0.1"\nport = {there.port}\n', encoding="utf-8")
        with running(dsn, hospital, *events, nodes=nodes) as client:
            assert moved(client) != 0
            assert there.instances == []
            assert moved(client, "-k", "IssuerOfPatientID=SOUTH") == 0
    assert there.instances == [other.instance.sop_instance_uid]


def test_an_image_that_is_held_while_a_retrieve_runs_is_not_sent(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still, "_OLD_S", 0.0)
    hospital, log = Hospital(), new_log()
    images = [image(hospital, {"PatientID": "P1"}, study_uid="1.2.3", number=number) for number in (1, 2)]
    write(log, [*images, *map(hospital.validated, images)])
    projected(dsn, log, hospital)
    got: list[str] = []

    def take(event: Any) -> int:
        if not got:
            write(log, [assessed_as_strange(hospital, one) for one in images])
            projected(dsn, log, hospital)
        got.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    with (
        running_retrieve(dsn, hospital.store, log, Site(tenant=TENANT, site=SITE)) as client,
        client.association([STUDY_GET], stored=STORED, EVT_C_STORE=take) as association,
    ):
        last = list(association.send_c_get(keys("STUDY", StudyInstanceUID="1.2.3"), STUDY_GET))[-1][0]
    assert len(got) == 1
    assert (last.Status, last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations) == (0xB000, 1, 1)


@pytest.mark.parametrize("service", ["C-GET", "C-MOVE"])
@pytest.mark.parametrize("is_nobodys", [False, True])
def test_what_becomes_another_patients_while_a_retrieve_runs_is_not_sent(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str, is_nobodys: bool
) -> None:
    """Before, the rest went out under the Patient ID that the study had when the retrieve began."""
    monkeypatch.setattr(still, "_OLD_S", 0.0)
    hospital, log, nodes = Hospital(), new_log(), tmp_path / "nodes.toml"
    images = [image(hospital, THEIRS, study_uid="1.2.3", number=number, outside=DISC) for number in (1, 2, 3)]
    write(log, [*images, *map(hospital.validated, images), decided(hospital, "1.2.3")])
    projected(dsn, log, hospital)
    again = decided(hospital, "1.2.3", "unreconciled" if is_nobodys else "reconciled", PatientID="P2")

    def take(number: int) -> int:
        if not number:
            write(log, [again])
            projected(dsn, log, hospital)
        return 0x0000

    asked, numbers = keys("STUDY", StudyInstanceUID="1.2.3"), itertools.count()
    with (
        node([EXPLICIT_VR_LITTLE_ENDIAN], take) as there,
        running_retrieve(dsn, hospital.store, log, Site(tenant=TENANT, site=SITE), nodes) as client,
        client.association([STUDY_GET], stored=STORED, EVT_C_STORE=lambda _: take(next(numbers))) as association,
    ):
        nodes.write_text(f'[there]\nae_title = "NODE"\nhost = "127.0.0.1"\nport = {there.port}\n', encoding="utf-8")
        if service == "C-MOVE":
            last = client.move(asked, "NODE")[-1][0]
        else:
            last = list(association.send_c_get(asked, STUDY_GET))[-1][0]
    assert (last.Status, last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations) == (0xB000, 1, 2)
    assert last.ErrorComment == "whose it is here has changed meanwhile; ask again"
    assert len(there.instances) == (service == "C-MOVE")


def test_how_fast_it_is_there_is_said(dsn: str) -> None:
    hospital = Hospital()
    images = [image(hospital, {"PatientID": "P1"})]
    events: list[Event] = [*images, *map(hospital.validated, images), hospital.revision(images)]
    with running(dsn, hospital, *events, *backed_up(hospital, images), *grown_cold(hospital, images)) as client:
        (one,) = found(client, InstanceAvailability=None)
        assert one.InstanceAvailability == "ONLINE"
        last, got = client.get(keys("STUDY", StudyInstanceUID=images[0].instance.study_uid), STORED)
    assert (last.Status, len(got)) == (0x0000, 1)


def test_what_no_store_has_is_a_sub_operation_that_failed(dsn: str) -> None:
    hospital = Hospital()
    here, gone = (
        image(hospital, {"PatientID": "P1"}),
        hospital.received(hospital.uid(), hospital.uid(), {"PatientID": "P1"}),
    )
    with running(dsn, hospital, here, gone, hospital.validated(here), hospital.validated(gone)) as client:
        both = [here.instance.study_uid, gone.instance.study_uid]
        last, got = client.get(keys("STUDY", StudyInstanceUID=both), STORED)
        assert (last.Status, last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations) == (0xB000, 1, 1)
        assert last.ErrorComment == "no store has it now; it has to be restored"
        last, _ = client.get(keys("STUDY", StudyInstanceUID=both[1]), STORED)
        assert last.Status == 0xA702
    assert len(got) == 1


def test_a_retrieve_over_a_limit_is_refused(dsn: str) -> None:
    hospital = Hospital()
    images = [image(hospital, {"PatientID": "P1"}, study_uid="1.2.3") for _ in range(3)]
    with running(dsn, hospital, *images, *map(hospital.validated, images), instances_max=2) as client:
        last, got = client.get(keys("STUDY", StudyInstanceUID="1.2.3"), STORED)
    assert (last.Status, got) == (0xA701, [])


@pytest.fixture
def known(dsn: str) -> Iterator[Client]:
    hospital = Hospital()
    one = image(hospital, {"PatientID": "P1", "PatientName": SECRET})
    with running(dsn, hospital, one, hospital.validated(one)) as client:
        yield client


TEXT = st.text(st.characters(codec="utf-8", categories=None), max_size=70) | st.sampled_from(
    ["*", "?*", "'; DROP TABLE studies", "%s", "%(tenant)s", "{more}", "\\", "1.2.3\\4", "-", "20260101-20251231", "="]
)
KEYWORDS = (
    *("PatientName", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "AccessionNumber"),
    *("StudyDate", "StudyTime", "ModalitiesInStudy", "NumberOfStudyRelatedInstances", "PatientBirthDate"),
    *("SpecificCharacterSet", "InstanceAvailability", "StudyDescription", "Rows"),
)
KEYS = st.dictionaries(st.sampled_from(KEYWORDS), TEXT, max_size=6)
ENDS = {0x0000, 0xA700, 0xA701, 0xA900, 0xC000}


# What such identifiers make pydicom say, and no log of ours quotes.
ASKED_SO = pytest.mark.filterwarnings("ignore::UserWarning")


@ASKED_SO
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(level=st.sampled_from(["PATIENT", "STUDY", "SERIES", "IMAGE", "study", "", "\0"]), said=KEYS)
@example(level="STUDY", said={"PatientID": "", "PatientName": "", "SpecificCharacterSet": "\x000"})
@example(level="IMAGE", said={"SOPInstanceUID": "1.2\0003"})
def test_a_hostile_identifier_ends_one_query_and_is_in_no_log(
    known: Client, written: io.StringIO, level: str, said: dict[str, str]
) -> None:
    texts = {**{number(keyword): text for keyword, text in said.items()}, 0x00080052: level}
    encoded = b"".join(element(tag, text) for tag, text in sorted(texts.items()))
    assert asked(known, encoded) in ENDS
    assert [one["where"] for one in lines(written) if one["event"] == "query_failed"] == []
    assert SECRET not in written.getvalue()


@ASKED_SO
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(encoded=st.binary(min_size=2, max_size=400))
@example(encoded=nesting(explicit=False)[:400_000])
@example(encoded=nesting_of_defined_length())
def test_bytes_that_are_no_identifier_end_one_query(known: Client, written: io.StringIO, encoded: bytes) -> None:
    for sop_class in (STUDY_FIND, STUDY_GET):
        assert asked(known, encoded, sop_class) in ENDS
    assert SECRET not in written.getvalue()
    assert [one.StudyInstanceUID for one in found(known, PatientName=SECRET)] != []


def number(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag


def element(tag: int, text: str) -> bytes:
    """In implicit VR, with its value as it is: what pydicom would not write."""
    value = text.encode("utf-8", "surrogatepass")
    value += b" " * (len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def asked(client: Client, encoded: bytes, sop_class: str = STUDY_FIND) -> int:
    """The last status of a request with these bytes for its identifier."""
    with client.association([sop_class], b"\1\1\1", STORED) as association:
        request: Any = C_FIND() if sop_class == STUDY_FIND else C_GET()
        request.MessageID, request.AffectedSOPClassUID, request.Priority = 1, sop_class, 2
        request.Identifier = BytesIO(encoded)
        association._reactor_checkpoint.clear()
        association.dimse.send_msg(request, 1)
        status = PENDING
        while status in (PENDING, PENDING_UNSUPPORTED):
            _, response = association.dimse.get_msg(block=True)
            assert response is not None
            status = int(response.Status)
        association._reactor_checkpoint.set()
    return status
