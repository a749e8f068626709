"""Our side of TLS: files that cannot be used are said with what to do, and the doctor looks at them before they end."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from msgspec.structs import replace

from producers.dicom_router.config import Settings
from producers.dicom_router.stow.config import Settings as Stow
from producers.dicom_router.trust.config import Tls
from producers.dicom_router.trust.current import trust_of
from radstream.checks import doors
from radstream.checks.check import Check
from streams.clock import SystemClock
from streams.config import Config, ConfigError
from streams.health import Health
from streams.peers.exceptions import Excepted
from streams.tls.ours import as_server
from tests.certificates import Authority, Identity
from tests.ports import free_port


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def ours(authority: Authority) -> Identity:
    return authority.issue("router.example")


def tls(authority: Authority, ours: Identity, **other: Path) -> Tls:
    files = {"certificate": ours.certificate_file, "key": ours.key_file, "ca": authority.file, **other}
    return Tls(port=0, **files)


def refused(settings: Tls) -> str:
    with pytest.raises(ConfigError) as raised:
        as_server(settings, "router.tls")
    return str(raised.value)


def test_files_that_belong_together_are_used(authority: Authority, ours: Identity) -> None:
    found = as_server(tls(authority, ours), "router.tls")
    assert found.ends_at["certificate"] == ours.certificate.not_valid_after_utc
    assert set(found.ends_at) == {"certificate", "ca"}


def test_a_key_that_others_can_read_is_refused(authority: Authority, ours: Identity) -> None:
    ours.key_file.chmod(0o644)
    assert "chmod 600" in refused(tls(authority, ours))


def test_a_key_of_another_certificate_is_refused(authority: Authority, ours: Identity) -> None:
    assert "is not the key of" in refused(tls(authority, ours, key=authority.issue("other").key_file))


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(authority: Authority, ours: Identity) -> None:
    ours.key_file.write_bytes(
        ours.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    assert "has a password" in refused(tls(authority, ours))


@pytest.mark.parametrize("name", ["certificate", "key", "ca", "crl"])
def test_what_is_absent_or_no_pem_is_named(authority: Authority, ours: Identity, tmp_path: Path, name: str) -> None:
    assert "absent.pem cannot be read" in refused(tls(authority, ours, **{name: tmp_path / "absent.pem"}))
    (tmp_path / "text.pem").write_text("no certificate")
    (tmp_path / "text.pem").chmod(0o600)
    assert "text.pem" in refused(tls(authority, ours, **{name: tmp_path / "text.pem"}))


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("10.20.3.1", False),
        ("router.example", False),
    ],
)
def test_only_on_this_machine_may_anybody_send(tmp_path: Path, host: str, may: bool) -> None:
    text = f'[router]\nhttp_port = 1\nport = 2\nhost = "{host}"\n'
    read = Config(tmp_path / "radstream.toml", text, tomllib.loads(text))
    if may:
        assert read.section("router", Settings).host == host
    else:
        with pytest.raises(ConfigError, match=r"toml:1: \[router\].*write a peers file.*radstream peers check"):
            read.section("router", Settings)


def test_tls_without_a_peers_file_is_refused(authority: Authority, ours: Identity) -> None:
    with pytest.raises(ValueError, match="no AE title is bound to it"):
        Settings(http_port=1, port=2, tls=tls(authority, ours))


def test_a_service_does_not_start_with_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text("[[peer]]\nae_title = 7\n", encoding="utf-8")
    config = tmp_path / "radstream.toml"
    config.write_text(f'[router]\nhttp_port = {free_port()}\nport = 0\npeers = "peers.toml"\n', encoding="utf-8")
    command = [sys.executable, "-m", "producers.dicom_router", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"radstream router: {tmp_path}/peers.toml:2: [[peer]]")


# The doctor.


def looked_at(settings: Settings) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {"well": [], "note": [], "broken": []}
    for check in doors.check_router(settings):
        found[check.state].append(check)
    return found


def router(folder: Path, peers: str, tls: Tls | None = None) -> Settings:
    (folder / "peers.toml").write_text(peers, encoding="utf-8")
    return Settings(http_port=1, port=2, peers=folder / "peers.toml", tls=tls)


KNOWN = '[[peer]]\nae_title = "CT1"\naddresses = ["10.0.0.1"]\ncommon_name = "ct1.example"\n'


def test_the_doctor_finds_a_whole_router_well(tmp_path: Path, authority: Authority, ours: Identity) -> None:
    found = looked_at(router(tmp_path, KNOWN, tls(authority, ours)))
    assert [check.name for check in found["well"]] == ["peers", "TLS"]
    assert found["note"] == found["broken"] == []


def test_the_doctor_says_what_ends_soon_and_what_has_ended(tmp_path: Path, authority: Authority) -> None:
    old = '[[peer]]\nae_title = "OLD"\naddresses = ["10.0.0.2"]\nplain = {address = "10.0.0.2", until = 2020-02-29}\n'
    crl = authority.revoke(days=(-9, -1))
    settings = router(tmp_path, KNOWN + old, tls(authority, authority.issue("r", days=(-1, 9)), crl=crl))
    found = looked_at(settings)
    assert [check.found.partition(" ended on")[0] for check in found["broken"]] == [
        "The revocation list in [router.tls]"
    ]
    assert found["note"][0].found == "The exception from TLS of OLD ended on 2020-02-29."
    assert found["note"][1].found.endswith("in 8 days.")


def test_the_doctor_says_that_an_exception_of_stow_ends_soon(tmp_path: Path) -> None:
    stow = Stow(port=0, plain=(Excepted(address="10.0.0.2", until=datetime.now(UTC).date() + timedelta(days=5)),))
    for peers in (KNOWN, None):
        settings = router(tmp_path, KNOWN)
        settings = replace(settings, stow=stow, peers=settings.peers if peers else None)
        (found,) = [check.found for check in looked_at(settings)["note"] if check.name == "ends"]
        assert found.startswith("The exception from TLS of 10.0.0.2 in [router.stow] ends on ")


def test_who_reads_that_more_ends_than_is_said_is_sent_to_where_all_of_it_is(tmp_path: Path) -> None:
    until = datetime.now(UTC).date() + timedelta(days=5)
    stow = Stow(port=0, plain=tuple(Excepted(address=f"10.0.0.{number}", until=until) for number in range(1, 13)))
    settings = replace(router(tmp_path, KNOWN), stow=stow, peers=None)
    clock = SystemClock()
    health = Health(clock)
    trust_of(settings, health, clock).look()
    assert health.warnings()["ends"].endswith("and 2 more: radstream doctor")
    assert len([check for check in looked_at(settings)["note"] if check.name == "ends"]) == 12


def test_the_doctor_names_the_line_of_a_broken_peers_file(tmp_path: Path) -> None:
    (check,) = looked_at(router(tmp_path, KNOWN.replace("10.0.0.1", "10.0.0.999")))["broken"]
    assert "peers.toml:3:" in check.found
    assert "radstream peers check" in check.mend


def test_the_doctor_sees_certificates_without_a_port_for_them(tmp_path: Path) -> None:
    (check,) = looked_at(router(tmp_path, KNOWN))["note"]
    assert "no port for TLS" in check.found
