"""docs/conformance.md says what the worklist, STOW-RS and the models do: attributes, HTTP statuses, codes, TLS."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from consumers.ai import codes as ai_codes
from consumers.catalog.worklist import Scheduled
from producers.dicom_router.arrival import (
    CANNOT_UNDERSTAND,
    NOT_OF_STUDY,
    OUT_OF_RESOURCES,
    SOP_CLASS_NOT_SUPPORTED,
    STORE_REFUSES,
    SUCCESS,
    TOO_LARGE,
)
from producers.dicom_router.stow import request
from producers.dicom_router.stow.answer import Part, Trouble, of_parts
from producers.dicom_router.stow.parts import PARTS_MAX
from producers.worklist.attribute_list import NOT_SET
from producers.worklist.item import item_of
from streams.events import Code
from streams.tls.files import Files
from streams.tls.ours import as_client, as_server
from tests.certificates import Authority
from tests.statement import codes, column, table

STEP = "ScheduledProcedureStepSequence"
MULTIPART = 'multipart/related; type="application/dicom"; boundary=b'


# The worklist.


def tag(keyword: str) -> str:
    number = tag_for_keyword(keyword)
    assert number is not None
    return f"({number >> 16:04X},{number & 0xFFFF:04X})"


def rows(item: Dataset, place: str) -> list[tuple[str, ...]]:
    return [(element.keyword, tag(element.keyword), place) for element in item if element.keyword != STEP]


def test_attributes_of_the_worklist_are_those_of_an_item() -> None:
    item = item_of(
        Scheduled(
            order_id="1",
            place=0,
            modality="CT",
            station_aes=["CT1"],
            start_date=date(2026, 11, 23),
            start_time="093000",
            study_uid="2.25.1",
            performed=None,
            priority="routine",
            order={},
            step={},
        )
    )
    known = [*rows(item, "item"), *rows(item[STEP].value[0], "step")]
    assert table("WORKLIST-SCP returns:") == known


def test_attributes_that_n_set_may_not_touch() -> None:
    assert column("N-SET may not touch") == sorted(NOT_SET)


# STOW-RS.


def of_head(method: str = "POST", target: str = "/studies", **headers: str) -> int:
    asked = request.read(method, target, {name.replace("_", "-"): text for name, text in headers.items()})
    assert isinstance(asked, request.Rejected)
    return asked.status


def of_body(statuses: Sequence[int], trouble: Trouble | None = None) -> int:
    return of_parts([Part("1.2", "1.3", status) for status in statuses], trouble).http


def test_http_statuses_are_those_that_are_answered() -> None:
    answered = {
        of_body([SUCCESS]),
        of_body([SUCCESS, CANNOT_UNDERSTAND]),
        of_body([], Trouble(400, "")),
        of_body([], Trouble(408, "")),
        of_body([CANNOT_UNDERSTAND]),
        of_body([TOO_LARGE]),
        of_body([OUT_OF_RESOURCES]),
        of_head(target="/series"),
        of_head("GET"),
        of_head(accept="text/html"),
        of_head(content_type="text/plain"),
        431,  # h11's hint of a head over the ceiling; test_stow_attacks sends one
    }
    assert [int(cell.split()[0]) for cell in column("STOW-RS, as STOW-SERVER answers it")] == sorted(answered)


def test_failure_reasons_of_stow_rs() -> None:
    not_read = of_parts([], Trouble(400, "")).body
    assert b"272" in not_read  # 0x0110
    known = {
        0x0110,
        SOP_CLASS_NOT_SUPPORTED,
        OUT_OF_RESOURCES,
        TOO_LARGE,
        STORE_REFUSES,
        NOT_OF_STUDY,
        CANNOT_UNDERSTAND,
    }
    assert codes("Failure Reason of an instance in a Store") == sorted(known)


def test_resources_and_sizes_of_stow_rs() -> None:
    for target, _ in table("5.3.1"):
        asked = request.read("POST", target.replace("{StudyInstanceUID}", "1.2.3"), {"content-type": MULTIPART})
        assert isinstance(asked, request.Accepted)
    said: dict[str, str] = dict(table("What a request may be"))
    assert f"at most {PARTS_MAX:,} parts" in said["size"]


# Models.


def test_codes_of_models() -> None:
    private = [one for one in vars(ai_codes).values() if isinstance(one, Code)]
    assert sorted(table("Codes of the models")) == sorted((one.value, one.scheme, one.meaning) for one in private)


# TLS.


def test_tls_is_as_it_is_said(tmp_path: Path) -> None:
    said: dict[str, str] = dict(table("TLS, as server and as client:"))
    authority = Authority(tmp_path)
    ours = authority.issue("router.example")
    files = Files(certificate=ours.certificate_file, key=ours.key_file, ca=authority.file)
    for made in (as_server(files, "router.tls"), as_client(files, "dicom.tls", by_host=True)):
        context = made.context
        suites = {cipher["name"]: cipher["protocol"] for cipher in context.get_ciphers()}
        for version in ("TLSv1.2", "TLSv1.3"):
            listed = said[f"cipher suites of {version.replace('v', ' ')}"].split(", ")
            assert sorted(listed) == sorted(name for name, of in suites.items() if of == version)
        assert context.verify_mode == ssl.CERT_REQUIRED
        least = context.minimum_version.name.replace("TLSv", "TLS ").replace("_", ".")
        assert said["versions"].split(", ")[0] == least
