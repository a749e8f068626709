"""Orthanc as a modality: what it was told to send arrives, also by TLS, and it is told what is safe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streams.store_scu import Target
from tests.commitment_world import REQUESTS, TOPICS, World, with_topics
from tests.orthanc import AE_TITLE, Orthanc, orthanc
from tests.routers import CT, Ct, Router, running_router
from tests.secured import Hospital, hospital, known, secured
from tests.waiting import wait_until

IMAGES = [Ct(instance=f"1.2.3.4.{number}", pixels=bytes((number, 1)) * 50_000) for number in range(1, 4)]
UIDS = {image.instance for image in IMAGES}


@dataclass(frozen=True)
class Modality:
    """Orthanc with a study, and a site that knows its certificate."""

    orthanc: Orthanc
    site: Hospital

    def knows(self, router: Target, **more: object) -> None:
        node = {"AET": router.ae_title, "Host": router.host, "Port": router.port, **more}
        self.orthanc.ask("PUT", "/modalities/router", node)

    def sends(self) -> Any:
        return self.orthanc.ask("POST", "/modalities/router/store", {"Resources": self.orthanc.ask("GET", "/studies")})

    def asks(self) -> str:
        """For commitment of all it has. The path of the answer."""
        studies = {"Resources": self.orthanc.ask("GET", "/studies")}
        return str(self.orthanc.ask("POST", "/modalities/router/storage-commitment", studies)["Path"])

    def told(self, path: str) -> Any:
        """What it was told, once it was."""
        return wait_until(lambda: self._report(path), "the report")

    def _report(self, path: str) -> Any:
        said = self.orthanc.ask("GET", path)
        return None if said["Status"] == "Pending" else said


@pytest.fixture(scope="module")
def modality(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Modality]:
    folder = tmp_path_factory.mktemp("orthanc")
    site = hospital(folder / "site", known(AE_TITLE, 'common_name = "orthanc.example"'))
    own = site.scanner("orthanc.example")
    tls = {
        "DicomTlsCertificate": str(own.certificate_file),
        "DicomTlsPrivateKey": str(own.key_file),
        "DicomTlsTrustedCertificates": str(site.authority.file),
    }
    with orthanc(folder, ("RADSTREAM", 104), rest=True, more=tls) as running:
        assert running.fill([image.item() for image in IMAGES]).acknowledged == len(IMAGES)
        yield Modality(running, site)


def received(router: Router) -> set[str]:
    return {event.instance.sop_instance_uid for event in router.received()}


@pytest.fixture
def router(modality: Modality) -> Iterator[Router]:
    with running_router() as running:
        modality.knows(running.target)
        yield running


def test_what_it_sends_arrives(modality: Modality, router: Router) -> None:
    done = modality.sends()
    assert (done["InstancesCount"], done["FailedInstancesCount"]) == (len(IMAGES), 0)
    assert received(router) == UIDS
    assert {event.source.calling_ae for event in router.received()} == {AE_TITLE}


def test_what_it_sends_by_tls_arrives(modality: Modality) -> None:
    with modality.site.router() as router:
        modality.knows(secured(router), UseDicomTls=True)
        assert modality.sends()["FailedInstancesCount"] == 0
        assert received(router) == UIDS


@pytest.fixture
def world(router: Router, tmp_path: Path, modality: Modality) -> World:
    with_topics(router.log, [name for name in TOPICS if name != REQUESTS])
    made = World(tmp_path / "nodes.toml", router.log)
    made.node(modality.orthanc.port, AE_TITLE)
    return made


def test_it_is_told_that_all_is_committed(modality: Modality, world: World) -> None:
    world.shelf.holds(CT, *UIDS)
    with world.running():
        said = modality.told(modality.asks())
    assert (said["Status"], said["RemoteAET"]) == ("Success", "RADSTREAM")
    assert {one["SOPInstanceUID"] for one in said["Success"]} == UIDS


def test_it_is_told_what_is_not_committed_and_why(modality: Modality, world: World) -> None:
    lost = "1.2.3.4.2"
    world.shelf.holds(CT, *(UIDS - {lost}))
    with world.running():
        asked = modality.asks()
        wait_until(world.shelf.asked.is_set, "a look")
        world.clock.ahead_s = world.settings.deadline_s + 1
        said = modality.told(asked)
    assert said["Status"] == "Failure"
    assert {one["SOPInstanceUID"] for one in said["Success"]} == UIDS - {lost}
    assert [(one["SOPInstanceUID"], one["FailureReason"]) for one in said["Failures"]] == [(lost, 0x0112)]
