"""STOW-RS with clients that nobody here wrote: requests, as people use it, and dicomweb-client, which stands on it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from urllib3.filepost import encode_multipart_formdata

from streams.sop_classes import MEDIA_DIRECTORY
from streams.stored_file import stored_file
from tests.routers import CT, EXPLICIT, Ct
from tests.stow import Stow, file_of, running_stow

IMAGES = [Ct(instance=f"1.2.3.4.{number}", pixels=bytes((number, 1)) * 50_000) for number in range(1, 4)]
UIDS = [image.instance for image in IMAGES]
DIRECTORY = stored_file(MEDIA_DIRECTORY, "1.2.9", EXPLICIT, b"")
JSON = {"Accept": "application/dicom+json"}


def url(stow: Stow) -> str:
    return f"http://127.0.0.1:{stow.port}"


def stored(stow: Stow) -> list[str]:
    return [event.instance.sop_instance_uid for event in stow.router.received()]


def pieces(files: Iterable[bytes], boundary: str) -> Iterator[bytes]:
    """A body as it is made: requests sends it in chunks."""
    for file in files:
        yield f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file + b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def uids(said: dict[str, Any], tag: str) -> list[str]:
    return [item["00081155"]["Value"][0] for item in said[tag]["Value"]]


def test_requests_with_a_body_in_one_piece() -> None:
    boundary = uuid.uuid4().hex
    content_type = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    body = b"".join(pieces(map(file_of, IMAGES), boundary))
    with running_stow() as stow:
        answer = requests.post(f"{url(stow)}/studies", body, headers={"Content-Type": content_type, **JSON}, timeout=30)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/dicom+json")
        assert uids(answer.json(), "00081199") == UIDS
        assert stored(stow) == UIDS


def test_requests_with_a_body_that_is_made_as_it_goes() -> None:
    """Without quotes around the type, as many write it, and a session with several requests."""
    content_type = "multipart/related; type=application/dicom; boundary=XX"
    with running_stow() as stow, requests.Session() as session:
        session.headers.update(JSON)
        for image in IMAGES:
            body = pieces([file_of(image)], "XX")
            answer = session.post(
                f"{url(stow)}/studies/1.2.3", data=body, headers={"Content-Type": content_type}, timeout=30
            )
            answer.raise_for_status()
        assert stored(stow) == UIDS


def test_requests_with_parts_of_a_form_that_are_said_to_be_related() -> None:
    """As tutorials do it: each part has a name and a file name, and the content type names no type."""
    fields = [(f"file{at}", (f"{at}.dcm", file_of(image), "application/dicom")) for at, image in enumerate(IMAGES)]
    body, form = encode_multipart_formdata(fields)
    content_type = form.replace("form-data", "related")
    with running_stow() as stow:
        answer = requests.post(f"{url(stow)}/studies", body, headers={"Content-Type": content_type, **JSON}, timeout=30)
        assert answer.status_code == 200
        assert stored(stow) == UIDS


def test_requests_is_told_which_parts_failed_and_why() -> None:
    body = b"".join(pieces([file_of(), DIRECTORY, b"no file at all"], "XX"))
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=XX', **JSON}
    with running_stow() as stow:
        answer = requests.post(f"{url(stow)}/studies", body, headers=headers, timeout=30)
        assert answer.status_code == 202
        said = answer.json()
        assert uids(said, "00081199") == ["1.2.3.4.5"]
        assert uids(said, "00081198") == ["1.2.9"]
        assert said["00081198"]["Value"][0]["00081197"]["Value"] == [0x0122]
        assert said["0008119A"]["Value"][0]["00081197"]["Value"] == [0xC000]
        with pytest.raises(requests.HTTPError, match="409"):
            requests.post(
                f"{url(stow)}/studies", b"".join(pieces([DIRECTORY], "XX")), headers=headers, timeout=30
            ).raise_for_status()


def test_dicomweb_client_stores_a_study_and_reads_the_answer() -> None:
    read = [pydicom.dcmread(BytesIO(file_of(image))) for image in IMAGES]
    with running_stow() as stow:
        answer = DICOMwebClient(url(stow)).store_instances(read, study_instance_uid="1.2.3")
        assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == UIDS
        assert {item.ReferencedSOPClassUID for item in answer.ReferencedSOPSequence} == {CT}
        assert stored(stow) == UIDS


def test_dicomweb_client_reads_a_partial_failure() -> None:
    read = [pydicom.dcmread(BytesIO(file_of(image))) for image in (IMAGES[0], Ct(study="1.2.8", instance="1.2.8.1"))]
    with running_stow() as stow:
        answer = DICOMwebClient(url(stow)).store_instances(read, study_instance_uid="1.2.3")
        assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == UIDS[:1]
        (failed,) = answer.FailedSOPSequence
        assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.8.1", 0xA901)
