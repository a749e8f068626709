"""The compose file draws the same stack as the local one. It is read here, not run: no engine is needed."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import Settings as Gateway
from infra.compose.__main__ import dated
from infra.local import founding
from infra.local.parts import kafka
from infra.local.parts.services import MODULES, Listening
from infra.local.parts.store import BUCKETS
from producers.dicom_router.config import Settings as Router
from radstream import demo_run, sending
from streams.config import Config, Registry, Store
from streams.nameless_file import folder_or_default
from streams.networks import address_of
from streams.peers.peer import Peer
from streams.peers.reading import read_peers

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "compose"
ONCE = {"folders", "setup"}
# Of others' making, beside ours: what they publish on the host.
SERVERS = {"kafka", "registry", "store", "postgres", "triton"}
WATCHING = {"prometheus": 19090, "grafana": 13000}
HOUSE = {**MODULES, "windows": "streams.windows"}  # absent from MODULES where its extra is not installed


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    parsed = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    return dict(parsed["services"])


@pytest.fixture(scope="module")
def config() -> Config:
    path = FOLDER / "radstream.toml"
    text = dated(path.name, datetime.now(UTC).date())
    return Config(path, text, tomllib.loads(text))


def test_the_parts_are_those_of_the_local_stack(services: dict[str, Any]) -> None:
    assert services.keys() - ONCE == {*SERVERS, *WATCHING, *HOUSE}
    for name, module in HOUSE.items():
        assert services[name]["command"][:4] == ["python", "-P", "-m", module]
        assert services[name]["depends_on"] == {"setup": {"condition": "service_completed_successfully"}}


def test_every_port_is_published_on_loopback_and_is_the_usual_one(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") and port.count(":") == 2 for port in published)
    usual = {founding.BROKER, *founding.SERVERS.values(), *founding.HTTP.values(), *founding.TRITON.values()}
    usual |= set(WATCHING.values())
    usual -= {founding.SERVERS["registry-management"]}
    assert {int(port.split(":")[1]) for port in published} == usual


def test_the_broker_is_set_as_the_local_one(services: dict[str, Any]) -> None:
    environment = services["kafka"]["environment"]
    wanted = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in kafka.settings(1).items()}
    assert {name: environment.get(name) for name in wanted} == wanted


def test_the_configuration_holds_for_every_service(config: Config) -> None:
    assert tuple(config.section("store", Store).buckets) == BUCKETS
    assert config.section("registry", Registry).url.endswith("/apis/ccompat/v7")
    for name, module in HOUSE.items():
        config.section(name, import_module(f"{module}.config").Settings)
        found = config.section(name, Listening)
        assert found.http_port == founding.HTTP[f"{name}-http"]
        assert found.port == founding.SERVERS.get(name)


def test_the_demo_and_the_sender_of_this_machine_may_send_through_the_published_port(tmp_path: Path) -> None:
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    (network,) = compose["networks"]["default"]["ipam"]["config"]
    today = date(2026, 2, 28)
    (tmp_path / "peers.toml").write_text(dated("peers.toml", today), encoding="utf-8")
    found = read_peers(tmp_path / "peers.toml")
    for title in (sending.CALLING_AE, demo_run.CALLING_AE):
        assert isinstance(found.judge(title, address_of(network["gateway"]), None, today), Peer)


def test_a_service_is_an_image_of_its_own_that_may_write_nothing_else(services: dict[str, Any]) -> None:
    for name in (*HOUSE, "triton"):
        assert services[name]["build"]["target"] == name
        assert services[name]["read_only"] is True
        assert set(services[name]["tmpfs"]) == {"/run/radstream", "/tmp"}  # noqa: S108
        assert services[name]["cap_drop"] == ["ALL"]
    for name in ONCE:
        assert services[name]["build"]["target"] == "cli"


def test_large_objects_that_come_in_are_on_a_disk_and_not_in_memory_that_looks_like_one(
    services: dict[str, Any], config: Config
) -> None:
    folder = config.section("router", Router).objects_folder
    volumes = [Path(mount.split(":")[1]) for mount in services["router"]["volumes"]]
    assert folder is not None
    assert any(volume in folder.parents for volume in volumes)
    assert not any(Path(mount) in folder.parents for mount in services["router"]["tmpfs"])


def test_large_objects_that_are_read_are_on_a_disk_too(services: dict[str, Any], config: Config) -> None:
    folder = folder_or_default(config.section("store", Store).objects_folder)
    for name in ("validate", "derive", "forward", "retrieve", "tiering", "ai"):
        assert str(folder) in [mount.split(":")[1] for mount in services[name]["volumes"]]
        assert str(folder) not in services[name]["tmpfs"]


def test_images_of_others_have_a_version(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if "build" not in service:
            assert re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", service["image"]), name


def test_what_is_mounted_is_there(services: dict[str, Any]) -> None:
    mounts = [mount.split(":")[0] for service in services.values() for mount in service.get("volumes", [])]
    sources = [FOLDER / mount for mount in mounts if mount.startswith(".")]
    assert sources
    assert all(source.exists() for source in sources)


def test_prometheus_asks_every_service_by_its_name() -> None:
    written = yaml.safe_load((FOLDER.parent / "prometheus" / "compose.yml").read_text(encoding="utf-8"))
    found = {job["job_name"]: job["static_configs"][0]["targets"] for job in written["scrape_configs"]}
    assert found == {name: [f"{name}:{founding.HTTP[f'{name}-http']}"] for name in HOUSE}


def test_the_router_takes_what_is_posted_to_the_gateway(services: dict[str, Any], config: Config) -> None:
    gateway, stow = config.section("gateway", Gateway), config.section("router", Router).stow
    assert stow is not None
    assert gateway.stow_url == f"http://router:{stow.port}"
    address = services["gateway"]["networks"]["default"]["ipv4_address"]
    assert address_of(address) in {one.address for one in stow.exceptions}
