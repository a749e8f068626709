"""The compose file draws the same stack as the local one. It is read here, not run: no engine is needed."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local import founding
from infra.local.parts import kafka
from infra.local.parts.services import MODULES, Listening
from infra.local.parts.store import BUCKETS
from streams.config import Config, Registry, Store

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "compose"
ONCE = {"folders", "setup"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    parsed = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    return dict(parsed["services"])


@pytest.fixture(scope="module")
def config() -> Config:
    path = FOLDER / "radstream.toml"
    text = path.read_text(encoding="utf-8")
    return Config(path, text, tomllib.loads(text))


def test_the_parts_are_those_of_the_local_stack(services: dict[str, Any]) -> None:
    assert services.keys() - ONCE == {"kafka", "registry", "store", "postgres", *MODULES}
    for name, module in MODULES.items():
        assert services[name]["command"][:3] == ["python", "-m", module]
        assert services[name]["depends_on"] == {"setup": {"condition": "service_completed_successfully"}}


def test_every_port_is_published_on_loopback_and_is_the_usual_one(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") and port.count(":") == 2 for port in published)
    usual = {founding.BROKER, *founding.SERVERS.values(), *founding.HTTP.values()}
    usual -= {founding.SERVERS["registry-management"]}
    assert {int(port.split(":")[1]) for port in published} == usual


def test_the_broker_is_set_as_the_local_one(services: dict[str, Any]) -> None:
    environment = services["kafka"]["environment"]
    wanted = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in kafka.settings(1).items()}
    assert {name: environment.get(name) for name in wanted} == wanted


def test_the_configuration_holds_for_every_service(config: Config) -> None:
    assert tuple(config.section("store", Store).buckets) == BUCKETS
    assert config.section("registry", Registry).url.endswith("/apis/ccompat/v7")
    for name, module in MODULES.items():
        config.section(name, import_module(f"{module}.config").Settings)
        found = config.section(name, Listening)
        assert found.http_port == founding.HTTP[f"{name}-http"]
        assert found.port == (founding.SERVERS["router"] if name == "router" else None)
