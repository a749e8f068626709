"""Retrieval from the running stack: what comes back is what was sent, in whatever form it is asked for."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesParser
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import numpy as np
import pydicom
import pytest
import requests
import yaml
from dicomweb_client.api import DICOMwebClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array

from consumers.catalog.config import Settings as Catalog
from consumers.catalog.database import snapshot
from gateway.config import Settings
from tests.pipeline_run import settled
from tests.routers import Ct
from tests.running_stack import RunningStack
from tests.stow import MULTIPART, body_of, file_of

pytestmark = [
    pytest.mark.stack,
    pytest.mark.corpus,
    # What pydicom thinks of foreign files is not what is tested.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ANY_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PLAIN_DICOM = 'multipart/related; type="application/dicom"'
ANY_OCTETS = "multipart/related; type=application/octet-stream; transfer-syntax=*"
PLAIN_OCTETS = 'multipart/related; type="application/octet-stream"'
PLAIN = "1.2.840.10008.1.2.1"
NATIVE = (PLAIN, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
# It says nothing (PS3.10 section 7.2); that of one file ends as pixel data do, and so is not looked for.
PADDING = "FFFCFFFC"
# pydicom turns these into other samples than are stored (PS3.3 section C.7.6.3.1.2), or they are lossy and RGB here.
OTHERWISE = ("YBR_FULL_422", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT")


@dataclass(frozen=True)
class Sent:
    study: str
    series: str
    instance: str
    syntax: str
    frames: int
    digest: str

    @property
    def path(self) -> str:
        return f"/studies/{self.study}/series/{self.series}/instances/{self.instance}"


@dataclass(frozen=True)
class Room:
    url: str
    sent: tuple[Sent, ...]

    def get(self, path: str, accept: str | None = None, **headers: str) -> requests.Response:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.get(f"{self.url}{path}", headers={**said, "accept": accept} if accept else said, timeout=120)


@pytest.fixture(scope="module")
def room(stack: RunningStack, corpus: Path) -> Room:
    """A file of each kind of pixels, sent and derived."""
    files = [str(corpus / name) for name in of_each_kind(corpus)]
    environment = {**os.environ, "RADSTREAM_CONFIG": str(stack.config_path)}
    command = [sys.executable, "-m", "radstream", "send", *files, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode in (0, 3), done.stderr
    settled(stack)
    uids = [str(pydicom.dcmread(name, stop_before_pixels=True, force=True).get("SOPInstanceUID", "")) for name in files]
    with snapshot(stack.config.section("catalog", Catalog).dsn) as cursor:
        rows = cursor.execute(
            "SELECT study_uid, series_uid, sop_instance_uid, transfer_syntax_uid, coalesce(frames, 1), digest "
            "FROM served_instances WHERE sop_instance_uid = ANY(%s) ORDER BY sop_instance_uid",
            (uids,),
        ).fetchall()
    gateway = stack.config.section("gateway", Settings)
    return Room(f"http://{gateway.host}:{gateway.port}/dicomweb", tuple(Sent(*row) for row in rows))


def of_each_kind(corpus: Path) -> list[str]:
    """The smallest valid file for each transfer syntax, depth, colour and way of having frames."""
    lines = (corpus / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()
    columns = lines[0].split("\t")
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for line in lines[1:]:
        row = dict(zip(columns, line.split("\t"), strict=False))
        if row["pydicom_read"] != "ok" or row["expect"].startswith(("malformed", "not-storable")):
            continue
        kind = (row["transfer_syntax_uid"], row["bits_allocated"], row["photometric"], str(row["frames"] in ("", "1")))
        if kind not in found or int(row["size"]) < int(found[kind]["size"]):
            found[kind] = row
    return sorted(row["file"] for row in found.values())


def parts_of(answer: requests.Response) -> list[tuple[str, bytes]]:
    """Content type and bytes of each part, as Python's own parser of mail reads them."""
    assert answer.status_code == 200, (answer.status_code, answer.text[:200])
    kind = answer.headers["content-type"]
    assert kind.startswith("multipart/related")
    boundary = kind.rpartition("boundary=")[2].encode()
    found = []
    for piece in answer.content.split(b"--" + boundary)[1:-1]:
        head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        message = BytesParser().parsebytes(head, headersonly=True)
        data = body.removesuffix(b"\r\n")
        assert int(message["content-length"]) == len(data)
        found.append((str(message["content-type"]), data))
    return found


def read(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(data), force=True)


def decoded(data: bytes, **how: Any) -> np.ndarray[Any, Any] | None:
    try:
        return pixel_array(io.BytesIO(data), **how)
    except Exception:  # noqa: BLE001 - pydicom is the judge where it can be
        return None


def test_there_is_something_to_be_retrieved(room: Room) -> None:
    assert len(room.sent) > 30
    assert len({one.syntax for one in room.sent}) > 10


def test_every_instance_comes_back_byte_for_byte(room: Room) -> None:
    for one in room.sent:
        ((kind, data),) = parts_of(room.get(one.path, ANY_DICOM))
        assert kind == f"application/dicom;transfer-syntax={one.syntax}"
        assert hashlib.sha256(data).hexdigest() == one.digest
        alone = room.get(one.path, "application/dicom; transfer-syntax=*")
        assert (alone.headers["content-type"], alone.content) == (kind, data)


def test_who_names_no_transfer_syntax_gets_the_same_pixels(room: Room) -> None:
    compared = 0
    for one in room.sent:
        stored = parts_of(room.get(one.path, ANY_DICOM))[0][1]
        answer = room.get(one.path, PLAIN_DICOM)
        ((kind, data),) = parts_of(answer)
        syntax = str(read(data).file_meta.TransferSyntaxUID)
        assert kind == f"application/dicom;transfer-syntax={syntax}"
        assert syntax in (PLAIN, one.syntax)
        before = decoded(stored)
        if before is not None and syntax != one.syntax:
            after = decoded(data)
            assert after is not None
            assert np.array_equal(before, after), one
            compared += 1
    assert compared > 10


def test_the_lossless_copy_is_had_by_its_syntax(room: Room) -> None:
    htj2k = "1.2.840.10008.1.2.4.201"
    with_copy = [one for one in room.sent if room.get(one.path, f"{ANY_DICOM[:-1]}{htj2k}").status_code == 200]
    assert len(with_copy) > 5
    for one in with_copy:
        ((_, data),) = parts_of(room.get(one.path, f"{ANY_DICOM[:-1]}{htj2k}"))
        before, after = decoded(parts_of(room.get(one.path, ANY_DICOM))[0][1]), decoded(data)
        if before is not None and after is not None:
            assert np.array_equal(before, after), one
        if one.frames == 1:
            frame = room.get(f"{one.path}/frames/1", "image/jphc")
            assert frame.headers["content-type"] == f"image/jphc;transfer-syntax={htj2k}"
            fragment = next(generate_frames(read(data).PixelData, number_of_frames=1))
            assert frame.content + fragment[len(frame.content) :] == fragment, "but for what pads it"


def test_frames_come_as_they_are_stored(room: Room) -> None:
    compared = 0
    for one in with_pixels(room):
        stored = read(parts_of(room.get(one.path, ANY_DICOM))[0][1])
        if one.syntax in NATIVE or "PixelData" not in stored:
            continue
        numbers = range(1, min(one.frames, 3) + 1)
        came = parts_of(room.get(f"{one.path}/frames/{','.join(map(str, numbers))}", ANY_OCTETS))
        expected = generate_frames(stored.PixelData, number_of_frames=one.frames)
        for (kind, data), frame in zip(came, expected, strict=False):
            assert kind == f"application/octet-stream;transfer-syntax={one.syntax}"
            assert data == frame, one
        assert len(came) == len(numbers)
        compared += 1
    assert compared > 10


def test_frames_are_decoded_where_nothing_else_is_accepted(room: Room) -> None:
    compared = 0
    for one in with_pixels(room):
        stored = parts_of(room.get(one.path, ANY_DICOM))[0][1]
        header = read(stored)
        # What is said to be RGB is that, also where a JPEG says of itself that it was coded otherwise.
        expected = decoded(stored, raw=header.get("PhotometricInterpretation") != "RGB")
        answer = room.get(f"{one.path}/frames/{one.frames}", PLAIN_OCTETS)
        assert answer.status_code in (200, 406, 422)
        if answer.status_code != 200 or expected is None or header.PhotometricInterpretation in OTHERWISE:
            continue
        ((kind, data),) = parts_of(answer)
        assert kind == f"application/octet-stream;transfer-syntax={PLAIN}"
        last = expected.reshape((one.frames, -1))[-1]
        assert np.array_equal(samples(data, header, expected.dtype)[: last.size], last), one
        compared += 1
    assert compared > 20


def samples(data: bytes, header: pydicom.Dataset, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if header.BitsAllocated == 1:
        return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    flat = np.frombuffer(data, dtype.newbyteorder("<"))
    if header.SamplesPerPixel == 3 and header.get("PlanarConfiguration") == 1:
        flat = np.moveaxis(flat.reshape(3, header.Rows, header.Columns), 0, -1).reshape(-1)
    return flat


def with_pixels(room: Room) -> Iterator[Sent]:
    for one in room.sent:
        if "7FE00010" in room.get(f"{one.path}/metadata").json()[0]:
            yield one


def test_metadata_say_what_the_object_says_and_where_the_rest_is(room: Room) -> None:
    for one in room.sent:
        answer = room.get(f"{one.path}/metadata")
        assert answer.headers["content-type"] == "application/dicom+json"
        (model,) = answer.json()
        stored = read(parts_of(room.get(one.path, ANY_DICOM))[0][1])
        assert model["00080018"]["Value"] == [one.instance]
        assert {f"{tag:08X}" for tag in map(int, stored.keys()) if tag & 0xFFFF} <= {*model, PADDING}
        for element in model.values():
            if "BulkDataURI" in element:
                assert requests.get(element["BulkDataURI"], timeout=60).status_code in (200, 422)


def test_metadata_are_had_as_xml_too(room: Room) -> None:
    for one in room.sent[:5]:
        (model,) = room.get(f"{one.path}/metadata").json()
        answer = room.get(f"{one.path}/metadata", 'multipart/related; type="application/dicom+xml"')
        ((kind, data),) = parts_of(answer)
        document = fromstring(data)  # noqa: S314 - our own
        assert (kind, len(document)) == ("application/dicom+xml", len(model))
        bulk = {each.attrib["uri"] for each in document.iter() if each.tag.endswith("}BulkData")}
        assert {each["BulkDataURI"] for each in model.values() if "BulkDataURI" in each} <= bulk


def test_dicomweb_client_retrieves_all_of_it(room: Room) -> None:
    client = DICOMwebClient(room.url)
    for one in room.sent[:10]:
        uids = (one.study, one.series, one.instance)
        came = client.retrieve_series(*uids[:2], media_types=(("application/dicom", "*"),))
        (mine,) = [dataset for dataset in came if dataset.SOPInstanceUID == one.instance]
        ((_, stored),) = parts_of(room.get(one.path, ANY_DICOM))
        assert hashlib.sha256(stored).hexdigest() == one.digest
        assert mine == pydicom.dcmread(io.BytesIO(stored))
        metadata = client.retrieve_instance_metadata(*uids)
        assert pydicom.Dataset.from_json(metadata).SOPInstanceUID == one.instance
        assert one.instance in [each["00080018"]["Value"][0] for each in client.retrieve_study_metadata(one.study)]


def test_pictures_are_pictures_and_fit(room: Room) -> None:
    shown = 0
    for one in with_pixels(room):
        for path in (
            "rendered",
            "rendered?viewport=100,80",
            "thumbnail",
            f"frames/{one.frames}/rendered?window=40,400",
        ):
            for accept in ("image/jpeg", "image/png", "image/webp"):
                answer = room.get(f"{one.path}/{path}", accept)
                assert answer.status_code in (200, 406, 422), (one, path)
                if answer.status_code == 200:
                    assert answer.headers["content-type"] == accept
                    with Image.open(io.BytesIO(answer.content)) as picture:
                        assert f"image/{(picture.format or '').lower()}" == accept
                        if "viewport" in path:
                            assert picture.width <= 100
                            assert picture.height <= 80
                    shown += 1
    assert shown > 200
    study = next(with_pixels(room))
    for path in (f"/studies/{study.study}", f"/studies/{study.study}/series/{study.series}"):
        assert room.get(f"{path}/thumbnail", "image/*").headers["content-type"] in ("image/jpeg", "image/webp")
        assert room.get(f"{path}/rendered", "image/gif").status_code == 406


def test_what_was_not_done_is_said(room: Room) -> None:
    one = next(with_pixels(room))
    answer = room.get(f"{one.path}/rendered?annotation=patient,technique&iccprofile=srgb")
    assert answer.status_code == 200
    assert answer.headers["warning"].count("299 radstream") == 2
    for query in (
        "window=1",
        "window=a,b",
        "window=1,0,linear",
        "viewport=0,5",
        "viewport=1",
        "quality=101",
        "frame=x",
    ):
        assert room.get(f"{one.path}/rendered?{query}").status_code == 400, query
    assert room.get(f"{one.path}/rendered?frame={one.frames + 1}").status_code == 404


def test_who_has_it_is_told_that_nothing_changed(room: Room) -> None:
    one = next(with_pixels(room))
    for path, accept in (
        ("", ANY_DICOM),
        ("/metadata", None),
        ("/frames/1", ANY_OCTETS),
        ("/rendered", None),
        ("/thumbnail", None),
        ("/bulkdata/7FE00010", None),
    ):
        first = room.get(one.path + path, accept)
        assert first.status_code == 200
        assert first.headers["cache-control"] == "private, no-cache"
        again = room.get(one.path + path, accept, if_none_match=first.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")
        assert room.get(one.path + path, accept, if_none_match='"else"').status_code == 200
        head = requests.head(room.url + one.path + path, headers={"accept": accept or "*/*"}, timeout=60)
        assert (head.status_code, head.content) == (200, b"")


def test_a_range_of_a_frame(room: Room) -> None:
    one = next(with_pixels(room))
    path, accept = f"{one.path}/frames/1", "application/octet-stream; transfer-syntax=*"
    whole = room.get(path, accept)
    assert whole.headers["accept-ranges"] == "bytes"
    part = room.get(path, accept, range="bytes=10-19")
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert room.get(path, accept, range="bytes=-4").content == whole.content[-4:]
    assert room.get(path, accept, range=f"bytes={len(whole.content)}-").status_code == 416
    assert room.get(path, accept, range="bytes=0-1", if_range='"else"').content == whole.content


def test_what_there_is_not(room: Room) -> None:
    one = next(with_pixels(room))
    assert room.get("/studies/1.2.3").status_code == 404
    assert room.get("/studies/1.2.x").status_code == 400
    assert room.get(f"/studies/1.2.3/series/{one.series}/instances/{one.instance}/metadata").status_code == 404
    assert room.get(f"{one.path}/frames/0").status_code == 404
    assert room.get(f"{one.path}/frames/{one.frames + 1}").status_code == 404
    assert room.get(f"{one.path}/frames/one").status_code == 400
    assert room.get(f"{one.path}/bulkdata/00100010").status_code == 404
    assert room.get(f"{one.path}/bulkdata/x").status_code == 400
    assert room.get(one.path, "application/dicom+xml").status_code == 406
    assert room.get(f"{one.path}/metadata", "application/dicom+xml").status_code == 406
    assert room.get(f"{one.path}/frames/1", "application/dicom").status_code == 406


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
WORDS = st.sampled_from(
    [
        "multipart/related",
        "*/*",
        "image/jls",
        "type=",
        '"application/dicom"',
        "transfer-syntax=*",
        ";",
        ",",
        "q=0",
        "q=1",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(accept=st.lists(st.one_of(WORDS, TEXT), max_size=8).map("".join), number=st.integers(0, 5), text=TEXT)
@example(accept="", number=0, text="%00")
@example(accept="*/*", number=3, text="window=1,2,3,4,5&viewport=1e999,1&quality=&frame=1")
def test_no_question_makes_it_fail(room: Room, accept: str, number: int, text: str) -> None:
    one = room.sent[number % len(room.sent)]
    for path in ("", "/metadata", "/frames/1", f"/frames/{text}", f"/rendered?{text}", f"/bulkdata/{text}", f"/{text}"):
        answer = requests.get(room.url + one.path + path, headers={"accept": accept.strip()}, timeout=60)
        assert answer.status_code < 500, (path, answer.status_code)
        answer = requests.get(f"{room.url}/studies/{text}{path}", headers={"accept": accept.strip()}, timeout=60)
        assert answer.status_code < 500, (path, answer.status_code)


def test_what_is_posted_is_handed_to_the_router(stack: RunningStack, room: Room) -> None:
    ct = Ct(instance="2.25.7001", study="2.25.7000")
    answer = requests.post(
        f"{room.url}/studies",
        data=body_of([file_of(ct)]),
        headers={"content-type": MULTIPART, "accept": "application/dicom+json"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["00081199"]["Value"][0]["00081155"]["Value"] == ["2.25.7001"]
    assert requests.post(f"{room.url}/studies/else", data=b"", timeout=60).status_code == 400
    assert requests.post(f"{room.url}/studies", data=b"", timeout=60).status_code == 415


def test_every_path_of_the_description_is_answered_as_it_says(room: Room) -> None:
    described = yaml.safe_load((resources.files("gateway.openapi") / "retrieve.yaml").read_text(encoding="utf-8"))
    one = next(with_pixels(room))
    names = {"study": one.study, "series": one.series, "instance": one.instance, "frames": "1", "path": "7FE00010"}
    for path, item in described["paths"].items():
        answer = room.get(path.format(**names))
        assert answer.status_code == 200, path
        declared = item["get"]["responses"]["200"]["content"]
        assert {answer.headers["content-type"].partition(";")[0], "*/*"} & set(declared), path
