"""What is said of an instance without its bytes, and what is not believed of its header."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.archives import image
from tests.catalogs import projected
from tests.event_streams import Hospital, new_log, write
from tests.gateways import Client, running_gateway

FRAMES = 'multipart/related; type="application/octet-stream"'
FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


@pytest.fixture
def client(dsn: str, hospital: Hospital) -> Iterator[Client]:
    """With an image of one frame, whose header says that there are as many as can be said."""
    log, one = new_log(), image(hospital, {"PatientID": "P1", "NumberOfFrames": "2147483647"})
    write(log, [one, hospital.validated(one)])
    projected(dsn, log, hospital)
    uids = one.instance
    with running_gateway(dsn, log, hospital.store) as client:
        client.root += f"/studies/{uids.study_uid}/series/{uids.series_uid}/instances/{uids.sop_instance_uid}"
        yield client


def test_frames_that_are_not_there_are_not_counted(client: Client) -> None:
    """Before, all two thousand million were counted for the ETag, and nobody else was answered meanwhile."""
    headers = {"accept": FRAMES}
    assert requests.head(f"{client.root}/pixeldata", headers=headers, timeout=120).status_code == 200
    assert requests.get(f"{client.root}/frames/1", headers=headers, timeout=120).status_code == 200
    assert requests.get(f"{client.root}/frames/2", headers=headers, timeout=120).status_code == 422


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (FILES, 'multipart/related; type="application/dicom"'),
        ("application/dicom; transfer-syntax=*", "application/dicom;transfer-syntax=1.2.840.10008.1.2.1"),
    ],
)
def test_head_says_the_type_that_get_has(client: Client, accept: str, kind: str) -> None:
    answer = requests.head(client.root, headers={"accept": accept}, timeout=120)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    got = requests.get(client.root, headers={"accept": accept}, timeout=120)
    assert got.headers["content-type"].partition("; boundary")[0] == kind
    assert got.headers["etag"] == answer.headers["etag"]
