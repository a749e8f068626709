"""DCMTK's clients over TLS, with the options that hospitals know. Skipped, saying so, where DCMTK is not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from streams.store_scu import Target
from streams.stored_file import stored_file
from tests.certificates import Identity
from tests.routers import CT, EXPLICIT, Ct
from tests.secured import Hospital, hospital, known
from tests.waiting import wait_until


@pytest.fixture
def site(tmp_path: Path) -> Hospital:
    for program in ("echoscu", "storescu"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is absent (Debian's package dcmtk): its TLS is not tried")
    said = subprocess.run(["echoscu", "--version"], capture_output=True, text=True, check=False).stdout
    if "OPENSSL" not in said.upper():
        pytest.skip("this DCMTK was built without OpenSSL: its TLS is not tried")
    return hospital(tmp_path)


def dcmtk(program: str, target: Target | None, site: Hospital, identity: Identity, *more: str) -> tuple[int, str]:
    """Exit code and what was said."""
    assert target is not None
    secured = ["+tls", str(identity.key_file), str(identity.certificate_file), "+cf", str(site.authority.file)]
    titles = ["-v", "-aet", "CT1", "-aec", "RADSTREAM"]
    command = [program, *titles, *secured, target.host, str(target.port), *more]
    environment = {**os.environ, "TCP_NODELAY": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    return done.returncode, done.stdout + done.stderr


def test_echoscu_and_storescu_come_through(site: Hospital, tmp_path: Path) -> None:
    file = tmp_path / "image.dcm"
    file.write_bytes(stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set()))
    scanner = site.scanner()
    with site.router() as router:
        code, said = dcmtk("echoscu", router.secured, site, scanner)
        assert code == 0, said
        assert "Received Echo Response (Success)" in said
        code, said = dcmtk("storescu", router.secured, site, scanner, str(file))
        assert code == 0, said
        (event,) = router.received()
        assert router.held.read(event.object) == file.read_bytes()


def test_storescu_by_the_profile_of_bcp_195_with_large_pdus(site: Hospital, tmp_path: Path) -> None:
    pixels = bytes(range(256)) * 8192
    file = tmp_path / "image.dcm"
    file.write_bytes(stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct(pixels=pixels).data_set()))
    with site.router() as router:
        code, said = dcmtk("storescu", router.secured, site, site.scanner(), "+px", "-pdu", "131072", str(file))
        assert code == 0, said
        (event,) = router.received()
        assert router.held.read(event.object) == file.read_bytes()


def test_echoscu_with_an_expired_certificate_is_refused(site: Hospital) -> None:
    with site.router() as router:
        code, said = dcmtk("echoscu", router.secured, site, site.scanner(days=(-30, -1)))
        assert code != 0, said

        def why() -> list[str]:
            router.refusals.publish()
            return [event.attributes["why"] for event in router.audited()]

        # The client knows before the router has noted it.
        wait_until(why, "the refusal in the audit")
        assert why() == ["certificate_expired"]


def test_echoscu_with_the_certificate_of_another_title_is_rejected(site: Hospital) -> None:
    site.write_peers(known("CT1", 'common_name = "ct1.example"'), known("MR1", 'common_name = "mr1.example"'))
    with site.router() as router:
        code, said = dcmtk("echoscu", router.secured, site, site.scanner("mr1.example"))
        assert code != 0, said
        assert "Calling AE Title Not Recognized" in said


def test_echoscu_with_tls_at_the_port_without_it_ends_by_itself(site: Hospital) -> None:
    with site.router() as router:
        code, said = dcmtk("echoscu", router.target, site, site.scanner())
        assert code != 0, said
