"""Senders that nobody here wrote get through: pynetdicom, and DCMTK where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from streams.stored_file import stored_file
from tests.routers import CT, EXPLICIT, Ct, Router, running_router

STUDY = [Ct(instance=f"1.2.3.4.{number}", pixels=bytes((number, 1)) * 100_000) for number in range(1, 4)]


def file_of(image: Ct) -> bytes:
    return stored_file(CT, image.instance, EXPLICIT, image.data_set())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for image in STUDY:
        (tmp_path / f"{image.instance}.dcm").write_bytes(file_of(image))
    return tmp_path


def said(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def dcmtk(program: str) -> str:
    if (found := shutil.which(program)) is None:
        pytest.skip(f"{program} of DCMTK is not installed")
    return found


def address(router: Router) -> tuple[str, str]:
    return router.target.host, str(router.target.port)


def received(router: Router) -> set[str]:
    return {event.instance.sop_instance_uid for event in router.received()}


@pytest.mark.parametrize("maximum_length", [0, 100, 16_382])
def test_pynetdicom_stores_and_echoes_with_all_that_it_can_ask_for(maximum_length: int) -> None:
    window, identity, extended = (
        AsynchronousOperationsWindowNegotiation(),
        UserIdentityNegotiation(),
        SOPClassExtendedNegotiation(),
    )
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 8
    identity.user_identity_type, identity.primary_field = 1, b"somebody"
    extended.sop_class_uid, extended.service_class_application_information = UID(CT), b"\x02\0\x03\0\x01\0"
    entity = AE(ae_title="ORACLE")
    entity.maximum_pdu_size = maximum_length
    entity.add_requested_context(CT, EXPLICIT)
    entity.add_requested_context(Verification)
    with running_router() as router:
        association = entity.associate(router.target.host, router.target.port, ext_neg=[window, identity, extended])
        assert association.is_established
        assert association.send_c_echo().Status == 0x0000
        for image in STUDY:
            assert association.send_c_store(pydicom.dcmread(BytesIO(file_of(image)))).Status == 0x0000
        association.release()
        assert association.is_released
        assert received(router) == {image.instance for image in STUDY}


def test_a_peer_that_proposes_everything_may_store_anything() -> None:
    entity = AE()
    entity.requested_contexts = AllStoragePresentationContexts[:128]
    with running_router() as router:
        association = entity.associate(router.target.host, router.target.port)
        assert len(association.accepted_contexts) == 128
        association.abort()


@pytest.mark.parametrize("app", ["echoscu", "storescu"])
def test_the_programs_of_pynetdicom_get_through(app: str, folder: Path) -> None:
    with running_router() as router:
        files = [str(folder)] if app == "storescu" else []
        done = said(sys.executable, "-m", "pynetdicom", app, *address(router), *files)
        assert done.returncode == 0, done.stderr
        assert received(router) == ({image.instance for image in STUDY} if files else set())


@pytest.mark.parametrize("options", [[], ["--required"], ["-pdu", "4096"], ["--max-send-pdu", "4096"], ["-xs"]])
def test_dcmtk_storescu_gets_through(options: list[str], folder: Path) -> None:
    with running_router() as router:
        done = said(dcmtk("storescu"), *options, *address(router), *(str(one) for one in folder.iterdir()))
        assert done.returncode == 0, done.stderr
        assert received(router) == {image.instance for image in STUDY}
        assert {event.instance.transfer_syntax_uid for event in router.received()} == {EXPLICIT}


def test_dcmtk_dcmsend_and_echoscu_get_through(folder: Path) -> None:
    with running_router() as router:
        echoed = said(dcmtk("echoscu"), "--propose-pc", "40", *address(router))
        assert echoed.returncode == 0, echoed.stderr
        sent = said(dcmtk("dcmsend"), "--scan-directories", *address(router), str(folder))
        assert sent.returncode == 0, sent.stderr
        assert received(router) == {image.instance for image in STUDY}


def test_dcmtk_may_ask_to_abort(folder: Path) -> None:
    with running_router() as router:
        assert said(dcmtk("echoscu"), "--abort", *address(router)).returncode == 0
        assert said(dcmtk("echoscu"), *address(router)).returncode == 0
