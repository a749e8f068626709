"""Paths of a configuration file are beside it, wherever a service or a command is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from consumers.ai.config import Settings as Ai
from consumers.tiering.config import Settings as Tiering
from consumers.validate.config import Settings as Validate
from gateway.config import Settings as Gateway
from gateway.dimse.config import Settings as Retrieve
from producers.dicom_router.__main__ import check, front
from producers.dicom_router.config import Settings as Router
from producers.orders.config import Settings as Orders
from producers.worklist.config import Settings as Worklist
from radstream.checks import spool as doctor
from radstream.demographics.config import Settings as Demographics
from radstream.spool import look
from streams import nodes
from streams.chains.config import Settings as Chains
from streams.config import Config, ConfigError, Kafka, Protected, load
from streams.framecache.config import FrameCacheSettings
from streams.handover.handover import Settings as Handover
from streams.routes.section import Settings as Routes
from streams.windows.config import Settings as Windows
from tests.spools import incoming, opened

_TLS = 'certificate = "c"\nkey = "k"\nca = "a"\ncrl = "r"\n'
_SITE = f"""
[site]
tenant = "hospital"
site = "north"
[kafka]
bootstrap = "127.0.0.1:1"
schema_ids = "ids.json"
[protected]
key_file = "keys"
[routes]
file = "routes.toml"
[handover]
folder = "meeting"
[frame_cache]
folder = "frames"
[dicom]
nodes = "nodes.toml"
[dicom.tls]
{_TLS}
[demographics]
host = "mpi.example"
port = 1
[demographics.tls]
{_TLS}
[router]
http_port = 0
port = 0
peers = "peers.toml"
objects_folder = "objects"
[router.tls]
port = 0
{_TLS}
[router.spool]
folder = "spool"
[router.watch]
folder = "incoming"
[retrieve]
http_port = 0
port = 0
dsn = ""
peers = "peers.toml"
[retrieve.tls]
port = 0
{_TLS}
[worklist]
http_port = 0
port = 0
dsn = ""
peers = "peers.toml"
[worklist.tls]
port = 0
{_TLS}
[orders]
http_port = 0
port = 0
[orders.tls]
port = 0
common_names = ["ris"]
{_TLS}
[gateway]
http_port = 0
port = 0
dsn = ""
viewer = "viewer"
[validate]
http_port = 0
rules = "findings.toml"
[tiering]
http_port = 0
policy = "policy.toml"
[ai]
http_port = 0
repository = "models"
deployments = "deployments.toml"
[chains]
http_port = 0
key_file = "keys"
public_file = "keys.public"
[windows]
http_port = 0
folder = "windows"
"""
_ROUTER = '[router]\nhttp_port = 0\nport = 0\n[router.spool]\nfolder = "{folder}"\n'
_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "kafka": Kafka,
    "protected": Protected,
    "routes": Routes,
    "handover": Handover,
    "frame_cache": FrameCacheSettings,
    "dicom": nodes.Settings,
    "demographics": Demographics,
    "router": Router,
    "retrieve": Retrieve,
    "worklist": Worklist,
    "orders": Orders,
    "gateway": Gateway,
    "validate": Validate,
    "tiering": Tiering,
    "ai": Ai,
    "chains": Chains,
    "windows": Windows,
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the configuration is. Everybody is elsewhere from then on."""
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "radstream.toml").write_text(_SITE, encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


@pytest.fixture
def site(home: Path) -> Config:
    return load(home / "radstream.toml")


def paths(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, msgspec.Struct):
        for one in msgspec.structs.asdict(value).values():
            yield from paths(one)


@pytest.mark.parametrize("name", _SECTIONS)
def test_every_path_of_a_section_is_beside_the_file(site: Config, home: Path, name: str) -> None:
    found = list(paths(site.section(name, _SECTIONS[name])))
    assert found
    assert [path for path in found if path.parent != home] == []


def test_a_file_that_is_named_from_where_one_stands_is_followed_by_its_paths(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = load(Path("../etc/radstream.toml"))
    monkeypatch.chdir("/")
    assert read.section("router", Router).spool.folder is not None
    assert read.section("protected", Protected).key_file.parent.resolve() == home.resolve()


def test_what_was_acknowledged_is_found_from_any_folder(site: Config, home: Path) -> None:
    spool = opened(home / "spool")
    spool.append(incoming(b"an image"))

    found = look(site)
    assert found is not None
    assert (found.state.folder, found.state.instances) == (str(home / "spool"), 1)
    settings = site.section("router", Router)
    assert "1 instances wait to be committed." in [check.found for check in doctor.check(settings.spool)]
    assert front(site, settings).facts["[router.spool] folder"] == str(home / "spool")
    assert list(Path().iterdir()) == []


def test_a_spool_left_where_a_router_of_before_was_started_is_said_and_no_other_is_begun(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "radstream.toml").write_text(_ROUTER.format(folder="spool"), encoding="utf-8")
    site = load(home / "radstream.toml")
    left = opened(Path("spool").absolute())
    check(site, site.section("router", Router))
    assert list(doctor.check_former(site)) == [], "nothing waits there"

    left.append(incoming(b"an image"))
    with pytest.raises(ConfigError) as refused:
        check(site, site.section("router", Router))
    for said in (f"1 acknowledged instances wait in {Path.cwd() / 'spool'}", f"it is {home / 'spool'}", "set it back"):
        assert said in str(refused.value)
    (found,) = doctor.check_former(site)
    assert (found.state, found.found in str(refused.value)) == ("broken", True)

    # As it says; and where the folder of before is the one of now.
    (home / "radstream.toml").write_text(_ROUTER.format(folder=Path.cwd() / "spool"), encoding="utf-8")
    named = load(home / "radstream.toml")
    check(named, named.section("router", Router))
    (home / "radstream.toml").write_text(_ROUTER.format(folder="../elsewhere/spool"), encoding="utf-8")
    monkeypatch.chdir(home)
    beside = load(home / "radstream.toml")
    check(beside, beside.section("router", Router))
