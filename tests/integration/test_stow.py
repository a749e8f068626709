"""STOW-RS by HTTP: what is acknowledged is kept, and what fails says why."""

from __future__ import annotations

import hashlib
import socket
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import requests
from pydicom.datadict import tag_for_keyword

from producers.dicom_router.data_set import Room
from producers.dicom_router.incoming_file import Door
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.spool.config import Settings as SpoolSettings
from producers.dicom_router.stow.config import Settings as StowSettings
from producers.dicom_router.stow.listening import StowListener
from streams.clock import SystemClock
from streams.config import ConfigError
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN
from streams.sop_classes import MEDIA_DIRECTORY
from streams.step import NewObject, Stored
from streams.stored_file import stored_file
from tests.gateways import running_gateway
from tests.refusing_stores import RefusingMemoryStore
from tests.routers import CT, EXPLICIT, IMPLICIT, Ct, explicit
from tests.stow import BOUNDARY, MULTIPART, answered, body_of, file_of, request_head, running_stow
from tests.waiting import wait_until

RELATED = 'multipart/related; type="application/dicom"'
DEFLATED = "1.2.840.10008.1.2.1.99"
JSON, XML = "application/dicom+json", "application/dicom+xml"
NATIVE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


class AwayStore(MemoryStore):
    away = True

    def create(self, new: NewObject) -> Stored:
        if self.away:
            raise StoreAway("the store is away")
        return super().create(new)


def test_a_file_is_kept_as_a_c_store_would_keep_it() -> None:
    with running_stow(lanes={"STOW-RS": "bulk"}) as stow:
        answer = stow.store(file_of())
        assert (answer.status, answer.kept, answer.failed) == (200, ["1.2.3.4.5"], {})
        assert answer.headers["content-type"] == "application/dicom+json"
        (event,) = stow.router.received("imaging.instance.received.bulk")
        kept = stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())
        assert stow.router.held.read(event.object) == kept
        assert event.instance.digest == hashlib.sha256(kept).hexdigest()
        source = event.source
        assert (source.protocol, source.calling_ae, source.called_ae) == ("STOW-RS", "STOW-RS", "RADSTREAM")


def test_by_either_door_the_same_instance_is_stored_once() -> None:
    with running_stow() as stow:
        assert stow.router.send(Ct().item()).acknowledged == 1
        assert stow.store(file_of(), file_of()).kept == ["1.2.3.4.5", "1.2.3.4.5"]
        assert len(stow.router.originals()) == 1
        assert len({event.meta.event_id for event in stow.router.received()}) == 1
        assert len(stow.router.received()) == 3


def test_many_parts_and_many_requests_on_one_connection() -> None:
    with running_stow() as stow:
        for number in range(3):
            files = [file_of(Ct(instance=f"1.2.3.{number}.{part}")) for part in range(20)]
            assert len(stow.store(*files).kept) == 20
        assert len(stow.router.originals()) == 60


def test_a_preamble_with_something_in_it_and_private_file_meta_are_left_behind() -> None:
    private = explicit(0x00020100, b"UI", b"1.2.826.0.1") + explicit(0x00020102, b"OB", bytes(70_000))
    meta = explicit(0x00020010, b"UI", EXPLICIT.encode()) + private
    file = b"II*\0" + bytes(124) + b"DICM" + meta + Ct().data_set()
    with running_stow() as stow:
        assert stow.store(file).status == 200
        (event,) = stow.router.received()
        assert stow.router.held.read(event.object) == file_of()


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT_VR_BIG_ENDIAN, DEFLATED])
def test_the_data_set_stays_in_the_transfer_syntax_that_its_header_names(syntax: str) -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = {
        IMPLICIT: Ct().implicit_data_set(),
        EXPLICIT_VR_BIG_ENDIAN: b"".join(explicit(tag, vr, value, ">") for tag, vr, value in Ct().elements()),
        DEFLATED: deflater.compress(Ct().data_set()) + deflater.flush(),
    }[syntax]
    with running_stow() as stow:
        assert stow.store(stored_file(CT, "1.2.3.4.5", syntax, data)).kept == ["1.2.3.4.5"]
        (event,) = stow.router.received()
        assert event.instance.transfer_syntax_uid == syntax
        assert event.instance.study_uid == "1.2.3"
        assert stow.router.held.read(event.object).endswith(data)


def test_the_study_of_the_path_has_to_be_that_of_the_instance() -> None:
    with running_stow() as stow:
        assert stow.store(file_of(), path="/studies/1.2.3").status == 200
        answer = stow.store(file_of(Ct(study="1.2.9", instance="1.2.9.1")), path="/studies/1.2.3")
        assert (answer.status, answer.failed) == (409, {"1.2.9.1": 0xA901})
        both = stow.store(file_of(), file_of(Ct(study="1.2.9", instance="1.2.9.1")), path="/studies/1.2.3")
        assert (both.status, both.kept, both.failed) == (202, ["1.2.3.4.5"], {"1.2.9.1": 0xA901})
        assert len(stow.router.originals()) == 1
        assert {event.action for event in stow.router.audited()} == {"stow-rs.refused"}


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"hello",
        bytes(128) + b"DICM",
        bytes(128) + b"DICM" + b"\xff" * 400,
        bytes(128) + b"DICM" + explicit(0x00020010, b"UI", EXPLICIT.encode()),
        b"\x08\x00\x05\x00CS\xff\xff",
    ],
)
def test_what_is_no_dicom_file_fails_alone_with_a_reason(file: bytes) -> None:
    with running_stow() as stow:
        answer = stow.store(file)
        assert (answer.status, answer.kept, answer.failed, answer.others) == (409, [], {}, [0xC000])
        mixed = stow.store(file_of(), file, file_of())
        assert (mixed.status, mixed.kept, mixed.others) == (202, ["1.2.3.4.5"] * 2, [0xC000])
        assert len(stow.router.audited()) == 2


def test_a_broken_data_set_whose_header_names_it_is_kept_for_validation_to_judge() -> None:
    with running_stow() as stow:
        answer = stow.store(stored_file(CT, "1.2.9", EXPLICIT, b"\xff" * 500))
        assert (answer.status, answer.kept) == (200, ["1.2.9"])
        assert stow.router.originals()[0].startswith("t/unkeyed/")


def test_a_media_directory_is_refused() -> None:
    with running_stow() as stow:
        answer = stow.store(stored_file(MEDIA_DIRECTORY, "1.2.9", EXPLICIT, b""))
        assert (answer.status, answer.failed) == (409, {"1.2.9": 0x0122})


def test_a_file_over_the_ceiling_fails_and_the_others_are_kept() -> None:
    large = file_of(Ct(instance="1.2.9", pixels=bytes(3 << 20)))
    with running_stow(object_bytes_max=1 << 20) as stow:
        alone = stow.store(large)
        assert (alone.status, alone.failed) == (413, {"1.2.9": 0xA701})
        mixed = stow.store(large, file_of(), large)
        assert (mixed.status, mixed.kept, mixed.failed) == (202, ["1.2.3.4.5"], {"1.2.9": 0xA701})


def test_store_away_means_503_and_when_to_come_again() -> None:
    store = AwayStore()
    with running_stow(store=store, held=store) as stow:
        answer = stow.store(file_of(Ct(name="")))
        assert (answer.status, answer.failed) == (503, {"1.2.3.4.5": 0xA700})
        assert int(answer.headers["retry-after"]) > 0
        store.away = False
        assert stow.store(file_of(Ct(name=""))).status == 200


def test_what_the_store_refuses_is_not_to_be_sent_again() -> None:
    with running_stow(store=RefusingMemoryStore()) as stow:
        answer = stow.store(file_of())
        assert (answer.status, answer.failed) == (409, {"1.2.3.4.5": 0xA702})


def test_log_away_means_503() -> None:
    with running_stow() as stow:
        stow.router.log.away = True
        assert stow.store(file_of()).status == 503
        stow.router.log.away = False
        assert stow.store(file_of()).status == 200


def test_a_refusal_that_cannot_be_audited_is_to_be_tried_again() -> None:
    with running_stow() as stow:
        stow.router.log.away = True
        assert stow.store(b"hello").status == 503


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "application/dicom"}, 415),
        ({"Content_Type": "multipart/form-data; boundary=b"}, 415),
        ({"Content_Type": 'multipart/related; type="application/dicom+json"; boundary=b'}, 415),
        ({"Content_Type": 'multipart/related; type="application/dicom+xml"; boundary=b'}, 415),
        ({"Content_Type": "multipart/mixed; boundary=b"}, 415),
        ({"Content_Type": ""}, 415),
        ({"Content_Type": "\xff;;=;"}, 415),
        ({"Content_Type": 'multipart/related; type="application/dicom"'}, 400),
        ({"Content_Type": 'multipart/related; type="application/dicom"; boundary=""'}, 400),
        ({"Content_Type": f'multipart/related; type="application/dicom"; boundary="{"b" * 71}"'}, 400),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Accept": "application/dicom+json;q=0"}, 406),
        ({"Accept": "*/*;q=0"}, 406),
        ({"Accept": "application/dicom+json;q=0, application/dicom+xml;q=0.0, */*"}, 406),
        ({"Accept": "application/dicom"}, 406),
        ({"Accept": 'multipart/related; type="application/dicom+xml"'}, 406),
        ({"Accept": "text/html, application/json;q=0.1"}, 200),
        ({"Accept": "*/*"}, 200),
        ({"Accept": "application/dicom+json;q*=utf-8''0.5"}, 200),
        ({"Accept": "*/*;q*=utf-8''0"}, 406),
        ({"Content_Type": f'multipart/related; type="Application/DICOM; x=1.2.3"; boundary="{BOUNDARY}"'}, 200),
        ({"Content_Type": f"{RELATED}; boundary*=utf-8''{quote(BOUNDARY)}"}, 200),
        ({"Content_Type": f"{RELATED}; boundary*0*=utf-8''a%20boundary; boundary*1*=%20of%20%27parts%27"}, 200),
        ({"Content_Type": f"{RELATED}; boundary*=utf-8''%80"}, 400),
        # Character sets that decode nothing (RFC 2231 section 4), and a section of a parameter that nobody counts to.
        ({"Content_Type": f"{RELATED}; boundary*=idna''b"}, 415),
        ({"Accept": f"*/*;q*{'9' * 5000}=1"}, 406),
    ],
)
def test_the_head_alone_decides_with_a_sentence(headers: dict[str, str], status: int) -> None:
    with running_stow() as stow:
        answer = stow.post(body_of([file_of()]), **headers)
        assert answer.status == status
        if status != 200:
            assert answer.text.endswith(".\n")
            assert stow.router.received() == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/studies/", 400),
        ("/studies/abc", 400),
        (f"/studies/{'1' * 65}", 400),
        ("/studies/1.2/series", 404),
        ("/studies/../etc", 404),
        ("/studies?purpose=test", 200),
    ],
)
def test_paths(path: str, status: int) -> None:
    with running_stow() as stow:
        assert stow.store(file_of(), path=path).status == status


def test_other_methods_are_told_which_one_there_is() -> None:
    with running_stow() as stow:
        response = stow.client.request("GET", f"http://127.0.0.1:{stow.port}/studies", retries=False)
        assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "head",
    [
        "Content-Type: multipart/related; boundary=inner\r\n\r\n",
        "Content-Type: application/dicom+json\r\n\r\n",
        "Content-Type: application/dicom\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    ],
)
def test_parts_of_another_kind_fail_and_say_so(head: str) -> None:
    with running_stow() as stow:
        inner = b"--inner\r\nContent-Type: application/dicom\r\n\r\nhello\r\n--inner--\r\n"
        answer = stow.post(body_of([inner], head=head))
        assert (answer.status, answer.others) == (409, [0xC000])
        assert stow.router.received() == []
        assert len(stow.router.audited()) == 1


def test_preamble_and_epilogue_are_passed_over() -> None:
    with running_stow() as stow:
        body = b"This is a message in\r\nseveral parts.\r\n" + body_of([file_of()]) + b"and that was that"
        assert stow.post(body).kept == ["1.2.3.4.5"]


def test_the_body_may_come_in_chunks_of_any_size() -> None:
    body = body_of([file_of(), file_of(Ct(instance="1.2.9"))])
    with running_stow() as stow, stow.raw() as peer:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in cut(body, 7))
        peer.sendall(request_head(None, "Connection: close") + chunks + b"0\r\n\r\n")
        answer = answered(peer)
        assert (answer.status, answer.kept) == (200, ["1.2.3.4.5", "1.2.9"])


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    body = body_of([file_of()])
    with running_stow() as stow, stow.raw() as peer:
        peer.sendall(request_head(len(body), "Expect: 100-continue", "Connection: close"))
        assert peer.recv(12) == b"HTTP/1.1 100"
        peer.sendall(body)
        assert b" 200 " in all_of(peer)


def test_a_client_that_asks_first_with_the_wrong_thing_sends_no_body() -> None:
    with running_stow() as stow, stow.raw() as peer:
        peer.sendall(request_head(1 << 30, "Expect: 100-continue", content_type="text/plain"))
        assert peer.recv(12) == b"HTTP/1.1 415"


def all_of(peer: socket.socket) -> bytes:
    return b"".join(iter(lambda: peer.recv(65536), b""))


def test_many_at_once_lose_nothing() -> None:
    def one(number: int) -> int:
        return len(stow.store(*(file_of(Ct(instance=f"1.2.{number}.{part}")) for part in range(10))).kept)

    with running_stow() as stow, ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(16))) == 160
        assert len(stow.router.originals()) == len(stow.router.received()) == 160


def test_a_port_in_use_is_one_clear_message() -> None:
    door = Door("STOW-RS", "A", "B", Room(1, BufferPool(Budget(0)), Budget(0)))
    with running_stow() as stow, pytest.raises(ConfigError, match=r"\[router.stow\].*set another port"):
        StowListener(StowSettings(port=stow.port), door, lambda _: 0, stow.router.refusals, SystemClock())


def test_no_patient_data_is_in_events_or_answers() -> None:
    with running_stow() as stow:
        answer = stow.store(file_of(), b"Doe^Jane", stored_file(MEDIA_DIRECTORY, "1.2.9", EXPLICIT, Ct().data_set()))
        text = answer.text + str(stow.router.events()) + str(stow.router.audited()) + str(answer.headers)
        assert not [word for word in ("Doe", "Jane", "MRN-4711", "Chest", "Lung") if word in text]


def test_the_answer_is_the_dicom_json_model() -> None:
    with running_stow() as stow:
        said: dict[str, Any] = stow.client.request(
            "POST",
            f"http://127.0.0.1:{stow.port}/studies",
            body=body_of([file_of(), b"?"]),
            headers={"Content-Type": MULTIPART},
        ).json()
        assert said == {
            "00081190": {"vr": "UR"},
            "00081199": {
                "vr": "SQ",
                "Value": [
                    {
                        "00081150": {"vr": "UI", "Value": [CT]},
                        "00081155": {"vr": "UI", "Value": ["1.2.3.4.5"]},
                        "00081190": {"vr": "UR"},
                    }
                ],
            },
            "0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]},
        }


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("application/dicom+xml", XML),
        ("application/xml", XML),
        ("application/dicom+json;q=0.5, application/dicom+xml", XML),
        ("application/dicom+json;q=0, */*", XML),
        ("application/*;q=0.2, application/dicom+xml; charset=utf-8; q=0.3", XML),
        ("application/dicom+xml, application/dicom+json", JSON),
        ("application/dicom+xml;q=0.9, */*", JSON),
        ("application/dicom+xml;q=never, application/dicom+json;q=0.1", JSON),
        ("text/html, */*;q=0.1", JSON),
        ("", JSON),
    ],
)
def test_the_answer_is_of_the_type_that_the_client_likes_best(accept: str, answered: str) -> None:
    with running_stow() as stow:
        assert stow.post(body_of([file_of()]), Accept=accept).headers["content-type"] == answered


def test_the_answer_in_xml_says_the_same_in_the_native_dicom_model() -> None:
    """PS3.19 annex A.1, as a parser of XML and one of the JSON model read them."""
    files = [file_of(), b"?", stored_file(MEDIA_DIRECTORY, "1.2.9", EXPLICIT, b"")]
    with running_stow() as stow:
        xml = stow.post(body_of(files), Accept="application/dicom+xml")
        json = stow.post(body_of(files))
    assert (xml.status, json.status) == (202, 202)
    assert native_of(xml.body) == {
        "RetrieveURL": [],
        "FailedSOPSequence": [
            {
                "ReferencedSOPClassUID": [MEDIA_DIRECTORY],
                "ReferencedSOPInstanceUID": ["1.2.9"],
                "FailureReason": ["290"],
            }
        ],
        "ReferencedSOPSequence": [
            {"ReferencedSOPClassUID": [CT], "ReferencedSOPInstanceUID": ["1.2.3.4.5"], "RetrieveURL": []}
        ],
        "OtherFailuresSequence": [{"FailureReason": [str(0xC000)]}],
    }
    assert (json.kept, json.failed, json.others) == (["1.2.3.4.5"], {"1.2.9": 0x0122}, [0xC000])


def test_a_uid_that_is_none_does_not_break_the_xml() -> None:
    """It is what the sender calls its instance, and is said back to it."""
    with running_stow() as stow:
        answer = stow.post(body_of([file_of(Ct(instance="1.2<&>]]3"))]), Accept="application/dicom+xml")
        assert answer.status == 200
        assert native_of(answer.body)["ReferencedSOPSequence"][0]["ReferencedSOPInstanceUID"] == ["1.2<&>]]3"]


def native_of(document: bytes) -> dict[str, list[Any]]:
    """By keyword, its values; of a sequence its items."""
    return _attributes(ElementTree.fromstring(document))  # noqa: S314 - our own


def _attributes(element: ElementTree.Element) -> dict[str, list[Any]]:
    said = {}
    for attribute in element:
        assert attribute.tag == f"{NATIVE}DicomAttribute"
        assert f"{tag_for_keyword(attribute.attrib['keyword']):08X}" == attribute.attrib["tag"]
        assert [int(one.attrib["number"]) for one in attribute] == list(range(1, len(attribute) + 1))
        is_sequence = attribute.attrib["vr"] == "SQ"
        assert {one.tag for one in attribute} <= {f"{NATIVE}{'Item' if is_sequence else 'Value'}"}
        said[attribute.attrib["keyword"]] = [_attributes(one) if is_sequence else one.text for one in attribute]
    return said


def test_metadata_and_bulk_data_are_refused_with_what_is_taken_instead() -> None:
    """PS3.18 section 10.5.2 has them beside files; RFC 9110 section 15.5.16 has a server say what it takes."""
    metadata = b'[{"00080018": {"vr": "UI", "Value": ["1.2.9"]}}]'
    with running_stow() as stow:
        for of in ("json", "xml"):
            kind = f'multipart/related; type="application/dicom+{of}"; boundary=b'
            body = body_of([metadata], head=f"Content-Type: application/dicom+{of}\r\n\r\n", boundary="b")
            answer = stow.post(body, Content_Type=kind)
            assert (answer.status, answer.headers["accept"]) == (415, 'multipart/related; type="application/dicom"')
            assert "metadata and bulk data are not" in answer.text
        assert stow.router.received() == []
        assert stow.store(file_of()).status == 200


def test_through_the_gateway_both_are_as_the_router_has_them() -> None:
    with (
        running_stow() as stow,
        running_gateway(
            "postgresql://127.0.0.1:1/nowhere", MemoryLog(), stow_url=f"http://127.0.0.1:{stow.port}"
        ) as gateway,
    ):
        said = {"Content-Type": MULTIPART, "Accept": "application/dicom+xml"}
        kept = requests.post(f"{gateway.root}/studies", data=body_of([file_of()]), headers=said, timeout=30)
        assert (kept.status_code, kept.headers["content-type"]) == (200, XML)
        assert native_of(kept.content)["ReferencedSOPSequence"][0]["ReferencedSOPInstanceUID"] == ["1.2.3.4.5"]
        said["Content-Type"] = 'multipart/related; type="application/dicom+json"; boundary=b'
        refused = requests.post(f"{gateway.root}/studies", data=b"--b--", headers=said, timeout=30)
        assert (refused.status_code, refused.headers["accept"]) == (415, 'multipart/related; type="application/dicom"')


def test_what_came_by_another_door_and_waited_on_the_spool_says_so(tmp_path: Path) -> None:
    store = AwayStore()
    spool = SpoolSettings(folder=tmp_path, patience_s=0.2)
    with running_stow(store=store, held=store, spool=spool) as stow:
        assert stow.store(file_of(Ct(name=""))).status == 200
        assert stow.router.received() == []
        store.away = False
        (event,) = wait_until(stow.router.received, "the spool to be drained")
        assert (event.source.protocol, event.source.calling_ae) == ("STOW-RS", "STOW-RS")
