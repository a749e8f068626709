"""A study sent through the router is found and retrieved by programs that nobody here wrote."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import UID, generate_uid
from pynetdicom import AE, evt

from gateway.dimse.config import Settings
from radstream.items import items_of
from radstream.sending import send_items
from streams.config import Kafka, Site, Store
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.s3 import S3Store
from streams.store_scu import Target
from streams.stored_file import stored_file
from streams.wire import decode
from tests.images import CT, compressed, native
from tests.nodes import node, serving
from tests.orthanc import AE_TITLE, orthanc
from tests.ports import free_port
from tests.retrieves import (
    PATIENT_FIND,
    PATIENT_MOVE,
    STUDY_FIND,
    STUDY_GET,
    STUDY_MOVE,
    Client,
    keys,
    running_retrieve,
)
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

JPEG_2000 = "1.2.840.10008.1.2.4.90"
PATIENT, ACCESSION = f"QR-{uuid.uuid4().hex[:8]}", "QR-ACC-1"
NAME = "Müller-Lüdenscheidt^Zoë"
COUNT, SERIES_COUNT = 5, 2


@dataclass(frozen=True)
class Sent:
    """`files` by SOP Instance UID, `series` in their order: native ones, and one in JPEG 2000."""

    uid: str
    series: tuple[str, str]
    files: dict[str, bytes]
    pixels: dict[str, NDArray[np.integer]]

    @property
    def coded(self) -> str:
        """The instance that is stored in JPEG 2000."""
        return next(uid for uid, data in self.files.items() if JPEG_2000.encode() in data[:1000])

    def data_set(self, uid: str) -> bytes:
        """As it was sent."""
        return body(self.files[uid])


def body(file: bytes) -> bytes:
    """What is behind group 0002."""
    return file[144 + int.from_bytes(file[140:144], "little") :]


@pytest.fixture(scope="module")
def study(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    folder = tmp_path_factory.mktemp("study")
    uid, series = str(generate_uid()), (str(generate_uid()), str(generate_uid()))
    files: dict[str, bytes] = {}
    pixels: dict[str, NDArray[np.integer]] = {}
    for number in range(1, COUNT + 1):
        frame = np.random.default_rng(number).integers(0, 4096, (1, 64, 48)).astype(np.uint16)
        instance = str(generate_uid())
        said: dict[str, Any] = {
            "SpecificCharacterSet": "ISO_IR 192",
            "SOPInstanceUID": instance,
            "StudyInstanceUID": uid,
            "SeriesInstanceUID": series[number == COUNT],
            "PatientName": NAME,
            "PatientID": PATIENT,
            "PatientBirthDate": "19520313",
            "StudyDate": "20261124",
            "StudyTime": "091500",
            "AccessionNumber": ACCESSION,
            "StudyDescription": "Thorax",
            "SeriesNumber": 2 if number == COUNT else 1,
            "InstanceNumber": number,
        }
        if number == COUNT:
            codestream = imagecodecs.jpeg2k_encode(frame[0], level=0, reversible=True, codecformat="j2k")
            files[instance] = compressed(frame, [codestream], JPEG_2000, **said)
        else:
            files[instance] = native(frame, **said)
        pixels[instance] = frame[0]
        (folder / f"{number}.dcm").write_bytes(files[instance])
    done = send_items(list(items_of([folder])), Target("RADSTREAM", "127.0.0.1", stack.ports["router"]))
    assert done.acknowledged == COUNT
    sent = Sent(uid, series, files, pixels)
    client = Client(stack.ports["retrieve"])
    wanted = keys("STUDY", StudyInstanceUID=uid, NumberOfStudyRelatedInstances=None)

    def is_there() -> bool:
        _, found = client.find(wanted)
        return [one.NumberOfStudyRelatedInstances for one in found] == [COUNT]

    wait_until(is_there, "the study")
    return sent


@pytest.fixture
def client(stack: RunningStack, study: Sent) -> Client:
    return Client(stack.ports["retrieve"])


@pytest.fixture
def beside(stack: RunningStack, study: Sent, tmp_path: Path) -> Any:
    """A service of its own beside that of the stack, with other settings."""

    def running(**settings: Any) -> Any:
        config = stack.config
        log = KafkaLog(config.section("kafka", Kafka))
        store = S3Store(config.section("store", Store))
        dsn = config.section("retrieve", Settings).dsn
        return running_retrieve(dsn, store, log, config.section("site", Site), tmp_path / "nodes.toml", **settings)

    return running


@pytest.fixture(autouse=True)
def nodes(stack: RunningStack) -> Iterator[None]:
    """The site's file of nodes is afterwards what it was."""
    path = stack.config_path.parent / "nodes.toml"
    before = path.read_bytes() if path.exists() else None
    yield
    path.write_bytes(before) if before is not None else path.unlink(missing_ok=True)


# C-FIND.


def test_a_study_is_found_by_each_of_its_keys(client: Client, study: Sent) -> None:
    for said in (
        {"PatientName": "müller*"},
        {"PatientName": "MULLER-LUDENSCHEIDT^ZOE"},
        {"PatientID": PATIENT},
        {"PatientID": f"{PATIENT[:-2]}??"},
        {"AccessionNumber": ACCESSION},
        {"StudyDate": "20261101-20261130", "PatientID": PATIENT},
        {"StudyDate": "20261124", "StudyTime": "09-10", "PatientID": PATIENT},
        {"StudyInstanceUID": [study.uid, "1.2.3"]},
        {"ModalitiesInStudy": "CT", "PatientID": PATIENT},
        {"StudyDescription": "Thor*", "PatientBirthDate": "19520313"},
    ):
        _, found = client.find(keys("STUDY", **{"StudyInstanceUID": None, **said}))
        assert study.uid in [one.StudyInstanceUID for one in found], said
    for said in (
        {"PatientName": "Mueller*"},
        {"StudyDate": "20261125-", "PatientID": PATIENT},
        {"ModalitiesInStudy": "MR", "PatientID": PATIENT},
        {"StudyTime": "10-", "PatientID": PATIENT},
    ):
        assert client.find(keys("STUDY", **{"StudyInstanceUID": None, **said})) == (0x0000, []), said


def test_a_response_says_what_was_asked_for_and_no_more(client: Client, study: Sent) -> None:
    asked = keys(
        "STUDY",
        StudyInstanceUID=study.uid,
        PatientName=None,
        StudyDate=None,
        ModalitiesInStudy=None,
        SOPClassesInStudy=None,
        NumberOfStudyRelatedSeries=None,
        NumberOfStudyRelatedInstances=None,
        InstanceAvailability=None,
    )
    status, (found,) = client.find(asked)
    assert status == 0x0000
    assert str(found.PatientName) == NAME
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert (found.QueryRetrieveLevel, found.RetrieveAETitle, found.InstanceAvailability) == (
        "STUDY",
        "RADSTREAM",
        "ONLINE",
    )
    assert (found.ModalitiesInStudy, found.SOPClassesInStudy) == ("CT", CT)
    assert (found.NumberOfStudyRelatedSeries, found.NumberOfStudyRelatedInstances) == (SERIES_COUNT, COUNT)
    assert {one.keyword for one in found} == {one.keyword for one in asked} | {
        "SpecificCharacterSet",
        "RetrieveAETitle",
    }


def test_it_answers_in_the_character_set_that_was_asked_for(client: Client, study: Sent) -> None:
    asked = keys("STUDY", StudyInstanceUID=study.uid, PatientName=None, SpecificCharacterSet="ISO_IR 100")
    _, (found,) = client.find(asked)
    assert (found.SpecificCharacterSet, str(found.PatientName)) == ("ISO_IR 100", NAME)


def test_levels_go_from_the_patient_to_the_image(client: Client, study: Sent) -> None:
    _, (patient,) = client.find(
        keys("PATIENT", PatientID=PATIENT, PatientName=None, NumberOfPatientRelatedInstances=None), PATIENT_FIND
    )
    assert (str(patient.PatientName), patient.NumberOfPatientRelatedInstances) == (NAME, COUNT)
    _, studies = client.find(keys("STUDY", PatientID=PATIENT, StudyInstanceUID=None), PATIENT_FIND)
    assert [one.StudyInstanceUID for one in studies] == [study.uid]
    _, series = client.find(
        keys("SERIES", StudyInstanceUID=study.uid, SeriesInstanceUID=None, NumberOfSeriesRelatedInstances=None)
    )
    assert [(one.SeriesInstanceUID, one.NumberOfSeriesRelatedInstances) for one in series] == [
        (study.series[0], COUNT - 1),
        (study.series[1], 1),
    ]
    _, images = client.find(
        keys("IMAGE", StudyInstanceUID=study.uid, SeriesInstanceUID=study.series[0], SOPInstanceUID=None, Rows=None)
    )
    assert {one.SOPInstanceUID for one in images} == set(study.files) - {study.coded}
    assert {one.Rows for one in images} == {64}


def test_what_the_level_needs_is_asked_for_unless_relations_are_agreed(client: Client, study: Sent) -> None:
    asked = keys("IMAGE", SOPInstanceUID=study.coded, StudyInstanceUID=None)
    assert client.find(asked) == (0xA900, [])
    status, found = client.find(asked, extended=b"\1")
    assert (status, [one.StudyInstanceUID for one in found]) == (0x0000, [study.uid])
    assert client.find(keys("PATIENT", PatientID=PATIENT)) == (0xA900, [])


def test_negotiation_answers_what_is_supported(client: Client) -> None:
    with client.association([STUDY_FIND], b"\1\1\1\1\0") as association:
        said = dict(association.acceptor.sop_class_extended)
    assert said == {UID(STUDY_FIND): b"\1\1\1\0\0"}


def test_fuzzy_names_and_one_period_are_for_who_agreed_on_them(client: Client, study: Sent) -> None:
    fuzzy = keys("STUDY", PatientName="zoe mull", PatientID=PATIENT, StudyInstanceUID=None)
    period = keys("STUDY", PatientID=PATIENT, StudyDate="20261123-20261124", StudyTime="10-0930", StudyInstanceUID=None)
    for asked in (fuzzy, period):
        assert client.find(asked) == (0x0000, [])
        _, found = client.find(asked, extended=b"\1\1\1")
        assert [one.StudyInstanceUID for one in found] == [study.uid]


def test_more_matches_than_may_be_are_said_to_be_more(beside: Any, study: Sent) -> None:
    asked = keys("IMAGE", StudyInstanceUID=study.uid, SeriesInstanceUID=study.series[0], SOPInstanceUID=None)
    with beside(matches_max=2) as client:
        status, found = client.find(asked)
    assert (status, len(found)) == (0xA700, 2)


# C-GET.


def test_what_is_got_in_the_stored_syntax_is_what_was_sent(client: Client, study: Sent) -> None:
    stored = [(CT, JPEG_2000), (CT, EXPLICIT_VR_LITTLE_ENDIAN)]
    last, got = client.get(keys("STUDY", StudyInstanceUID=study.uid), stored)
    assert (last.Status, last.NumberOfCompletedSuboperations) == (0x0000, COUNT)
    assert sorted(data for _, data in got) == sorted(study.data_set(uid) for uid in study.files)


def test_what_is_got_in_another_syntax_has_the_same_pixels(client: Client, study: Sent) -> None:
    for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN):
        last, got = client.get(keys("STUDY", StudyInstanceUID=study.uid), [(CT, syntax)])
        assert last.Status == 0x0000
        for _, data in got:
            read = pydicom.dcmread(as_file(data, syntax))
            assert np.array_equal(read.pixel_array, study.pixels[read.SOPInstanceUID])
            assert str(read.PatientName) == NAME


def as_file(data: bytes, syntax: str) -> BytesIO:
    return BytesIO(stored_file(CT, "1.2.3", syntax, data))


def test_the_stored_lossless_copy_is_sent_to_who_takes_it(client: Client, study: Sent) -> None:
    htj2k = "1.2.840.10008.1.2.4.201"
    native_ones = keys("SERIES", StudyInstanceUID=study.uid, SeriesInstanceUID=study.series[0])

    def all_sent() -> Any:
        last, got = client.get(native_ones, [(CT, htj2k)])
        return got if last.Status == 0x0000 else None

    got = wait_until(all_sent, "lossless copies")
    assert {syntax for syntax, _ in got} == {htj2k}
    for _, data in got:
        read = pydicom.dcmread(as_file(data, htj2k))
        frame = next(pydicom.encaps.generate_frames(read.PixelData, number_of_frames=1))
        assert np.array_equal(imagecodecs.htj2k_decode(frame), study.pixels[read.SOPInstanceUID])


def test_what_nobody_takes_is_listed(client: Client, study: Sent) -> None:
    last, got = client.get(keys("STUDY", StudyInstanceUID=study.uid), [("1.2.840.10008.5.1.4.1.1.4", JPEG_2000)])
    assert (last.Status, got) == (0xA702, [])
    assert last.NumberOfFailedSuboperations == COUNT


# C-MOVE.


def entered(stack: RunningStack, name: str, ae_title: str, port: int) -> Path:
    """The site's file of nodes, with this one in it."""
    path = stack.config_path.parent / "nodes.toml"
    with path.open("a", encoding="utf-8") as file:
        file.write(f'\n[{name}]\nae_title = "{ae_title}"\nhost = "127.0.0.1"\nport = {port}\n')
    return path


def test_a_node_of_the_site_gets_what_was_sent_byte_for_byte(stack: RunningStack, client: Client, study: Sent) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN, JPEG_2000]) as receiver:
        entered(stack, "move-one", "MOVEONE", receiver.port)
        answers = client.move(keys("STUDY", StudyInstanceUID=study.uid), "MOVEONE")
    pending, (last, failed) = answers[:-1], answers[-1]
    assert [one.NumberOfRemainingSuboperations for one, _ in pending] == list(range(COUNT - 1, 0, -1))
    assert (last.Status, last.NumberOfCompletedSuboperations, failed) == (0x0000, COUNT, None)
    assert sorted(receiver.data_sets) == sorted(study.data_set(uid) for uid in study.files)
    assert receiver.associations == 1


def test_a_node_that_fails_some_is_told_of(stack: RunningStack, client: Client, study: Sent) -> None:
    with node([EXPLICIT_VR_LITTLE_ENDIAN], lambda place: 0xA700 if place == 1 else 0x0000) as receiver:
        entered(stack, "move-two", "MOVETWO", receiver.port)
        last, listed = client.move(keys("STUDY", StudyInstanceUID=study.uid), "MOVETWO")[-1]
    assert (last.Status, last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations) == (
        0xB000,
        COUNT - 1,
        1,
    )
    assert listed is not None
    assert listed.FailedSOPInstanceUIDList == receiver.instances[1]


def test_a_destination_that_is_not_known_gets_nothing(client: Client, study: Sent) -> None:
    (last, _) = client.move(keys("STUDY", StudyInstanceUID=study.uid), "NOBODY")[-1]
    assert last.Status == 0xA801
    (last, _) = client.move(keys("STUDY"), "NOBODY")[-1]
    assert last.Status == 0xA900


def test_a_node_that_is_down_fails_all_of_it(stack: RunningStack, client: Client, study: Sent) -> None:
    entered(stack, "move-down", "MOVEDOWN", 1)
    (last, listed) = client.move(keys("STUDY", StudyInstanceUID=study.uid), "MOVEDOWN")[-1]
    assert (last.Status, last.NumberOfFailedSuboperations) == (0xA702, COUNT)
    assert listed is not None
    assert set(listed.FailedSOPInstanceUIDList) == set(study.files)


def test_a_move_ends_where_it_is_cancelled(beside: Any, study: Sent, tmp_path: Path) -> None:
    with beside() as client, client.association([STUDY_MOVE]) as association:

        def cancel(place: int) -> int:
            if place == 1:
                association.send_c_cancel(1, query_model=STUDY_MOVE)
                wait_until(client.is_cancelled, "the cancel to arrive")
            return 0x0000

        with node([EXPLICIT_VR_LITTLE_ENDIAN], cancel) as receiver:
            said = f'[one]\nae_title = "MOVECANCEL"\nhost = "127.0.0.1"\nport = {receiver.port}\n'
            (tmp_path / "nodes.toml").write_text(said, encoding="utf-8")
            asked = keys("STUDY", StudyInstanceUID=study.uid)
            last, _ = list(association.send_c_move(asked, "MOVECANCEL", STUDY_MOVE, msg_id=1))[-1]
    assert last.Status == 0xFE00
    assert (last.NumberOfRemainingSuboperations, last.NumberOfCompletedSuboperations) == (COUNT - 2, 2)
    assert len(receiver.instances) == 2


def test_a_get_ends_where_it_is_cancelled(client: Client, study: Sent) -> None:
    got: list[str] = []

    def cancel(event: Any) -> int:
        got.append(event.request.AffectedSOPInstanceUID)
        event.assoc.send_c_cancel(1, query_model=STUDY_GET)
        return 0x0000

    stored = [(CT, EXPLICIT_VR_LITTLE_ENDIAN)]
    with client.association([STUDY_GET], stored=stored, EVT_C_STORE=cancel) as association:
        asked = keys("STUDY", StudyInstanceUID=study.uid)
        last, _ = list(association.send_c_get(asked, STUDY_GET, msg_id=1))[-1]
    assert (last.Status, last.NumberOfCompletedSuboperations, len(got)) == (0xFE00, 1, 1)


def test_sub_operations_say_who_asked(stack: RunningStack, client: Client, study: Sent) -> None:
    said: list[tuple[str, int]] = []

    def keep(event: Any) -> int:
        asked = event.request
        said.append((str(asked.MoveOriginatorApplicationEntityTitle), int(asked.MoveOriginatorMessageID)))
        return 0x0000

    entity = AE("MOVEWHO")
    entity.add_supported_context(CT, [EXPLICIT_VR_LITTLE_ENDIAN])
    with serving(entity, [(evt.EVT_C_STORE, keep)]) as port, client.association([PATIENT_MOVE]) as association:
        entered(stack, "move-who", "MOVEWHO", port)
        last, _ = list(association.send_c_move(keys("PATIENT", PatientID=PATIENT), "MOVEWHO", PATIENT_MOVE, msg_id=77))[
            -1
        ]
    assert last.Status == 0x0000
    assert set(said) == {("VIEWER", 77)}


# Programs of others.


def ran(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} (DCMTK) is not installed")
    return found


def test_dcmtk_finds_moves_and_gets(stack: RunningStack, study: Sent, tmp_path: Path) -> None:
    for program in ("findscu", "movescu", "getscu"):
        needs(program)
    here = ("-aec", "RADSTREAM", "127.0.0.1", str(stack.ports["retrieve"]))
    wanted = ("-k", f"StudyInstanceUID={study.uid}", "-k", "QueryRetrieveLevel=STUDY")
    (tmp_path / "found").mkdir()
    done = ran("findscu", "-S", "-X", "-od", str(tmp_path / "found"), *wanted, "-k", "PatientName", *here)
    assert done.returncode == 0, done.stderr
    (found,) = (tmp_path / "found").iterdir()
    assert str(pydicom.dcmread(found, force=True).PatientName) == NAME

    (tmp_path / "got").mkdir()
    done = ran("getscu", "-S", "-B", "-od", str(tmp_path / "got"), *wanted, *here)
    assert done.returncode == 0, done.stderr
    same_pixels(tmp_path / "got", study)

    (tmp_path / "moved").mkdir()
    with storing(stack, tmp_path / "moved"):
        done = ran("movescu", "-S", "-aem", "STORESCP", *wanted, *here)
    assert done.returncode == 0, done.stderr
    same_pixels(tmp_path / "moved", study)


@contextmanager
def storing(stack: RunningStack, folder: Path) -> Iterator[None]:
    """DCMTK's storescp, which is a node of the site and writes what it gets as it came."""
    port = free_port()
    entered(stack, "storescp", "STORESCP", port)
    words = ("-B", "-xs", "-od", str(folder), "-aet", "STORESCP", str(port))
    with subprocess.Popen([needs("storescp"), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: listens(port), "storescp to listen")
            yield
        finally:
            process.terminate()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def same_pixels(folder: Path, study: Sent) -> None:
    """And in the stored syntax, the same bytes."""
    read = {one.SOPInstanceUID: (one, path) for path in folder.iterdir() if (one := pydicom.dcmread(path))}
    assert set(read) == set(study.files)
    for uid, (one, path) in read.items():
        assert np.array_equal(one.pixel_array, study.pixels[uid])
        if uid != study.coded:
            assert body(path.read_bytes()) == study.data_set(uid)


def test_the_programs_of_pynetdicom_find_and_get(stack: RunningStack, study: Sent, tmp_path: Path) -> None:
    here = ("127.0.0.1", str(stack.ports["retrieve"]), "-aec", "RADSTREAM", "-S")
    wanted = ("-k", f"StudyInstanceUID={study.uid}", "-k", "QueryRetrieveLevel=STUDY")
    done = ran(sys.executable, "-m", "pynetdicom", "findscu", *here, *wanted)
    assert done.returncode == 0, done.stderr
    done = ran(sys.executable, "-m", "pynetdicom", "getscu", *here, *wanted, "-od", str(tmp_path))
    assert done.returncode == 0, done.stderr
    got = {pydicom.dcmread(path).SOPInstanceUID for path in tmp_path.iterdir()}
    assert got == set(study.files)


def test_orthanc_queries_and_retrieves(stack: RunningStack, study: Sent, tmp_path: Path) -> None:
    known = {"radstream": {"AET": "RADSTREAM", "Host": "127.0.0.1", "Port": stack.ports["retrieve"]}}
    with orthanc(tmp_path, ("NONE", 1), rest=True, more={"DicomModalities": known}) as running:
        entered(stack, "orthanc-qr", AE_TITLE, running.port)
        asked = {"Level": "Study", "Query": {"StudyInstanceUID": study.uid, "PatientName": "Müller*"}}
        query = running.ask("POST", "/modalities/radstream/query", asked)["ID"]
        (answer,) = running.ask("GET", f"/queries/{query}/answers")
        said = running.ask("GET", f"/queries/{query}/answers/{answer}/content?simplify")
        assert (said["PatientName"], said["StudyInstanceUID"]) == (NAME, study.uid)
        done = running.ask("POST", f"/queries/{query}/answers/{answer}/retrieve", {"Synchronous": True})
        assert done
        stored = {
            one["MainDicomTags"]["SOPInstanceUID"]: running.file(one["ID"])
            for one in running.ask("GET", "/instances?expand")
        }
    assert stored.keys() == study.files.keys()
    for uid, file in stored.items():
        came, sent = pydicom.dcmread(BytesIO(file)), pydicom.dcmread(BytesIO(study.files[uid]))
        assert came == sent
        assert came.pixel_array.tobytes() == sent.pixel_array.tobytes()


# What is told of it.


def test_who_retrieved_is_in_the_log(stack: RunningStack, client: Client, study: Sent) -> None:
    Client(client.port, "READER1").get(keys("STUDY", StudyInstanceUID=study.uid), [(CT, EXPLICIT_VR_LITTLE_ENDIAN)])
    log = KafkaLog(stack.config.section("kafka", Kafka))

    def said(topic: str) -> list[Any]:
        names = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
        return [
            decode(record) for name, (first, end) in log.bounds(names).items() for record in log.read(name, first, end)
        ]

    def told() -> bool:
        readers = {one.reader for one in said("imaging.access.read") if one.study_uid == study.uid}
        actions = {(one.actor, one.action) for one in said("imaging.audit.event")}
        return "READER1@127.0.0.1" in readers and ("READER1@127.0.0.1", "retrieve.get") in actions

    wait_until(told, "access and audit")
