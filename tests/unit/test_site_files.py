"""infra/site: every file is read as its reader reads it, as it is and with its examples in force."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumers.commitment import places
from consumers.commitment.places import of_stores
from consumers.derive.config import Output
from consumers.validate import levels_reading
from infra.compose import __main__ as compose
from infra.container.configuration import FILES
from radstream.demographics import config as demographics
from streams import config, nodes, ris
from streams.config import Config, ConfigError
from streams.routes.routes import load
from tests.site_files import SITE, in_force

FOLDER = Path(compose.__file__).parent
READERS: dict[str, Callable[[Path], Any]] = {
    "routes.toml": load,
    "nodes.toml": nodes.read,
    "findings.toml": levels_reading.load,
    "sections.toml": config.load,
}
SECRETS = dict.fromkeys(compose.SECRETS, "s")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy with all examples in force."""
    for name in READERS:
        (tmp_path / name).write_text(in_force(name), encoding="utf-8")
    return tmp_path


def test_there_is_a_reader_for_each_file() -> None:
    assert {path.name for path in SITE.glob("*.toml")} == READERS.keys()


@pytest.mark.parametrize("name", READERS)
def test_nothing_is_said_until_a_site_says_it(name: str) -> None:
    assert tomllib.loads((SITE / name).read_text(encoding="utf-8")) == {}
    READERS[name](SITE / name)


def test_the_examples_hold(site: Path) -> None:
    rules = load(site / "routes.toml")
    assert list(rules.destinations) == ["pacs"]
    assert list(nodes.read(site / "nodes.toml")) == ["ris", "ct-1"]
    assert levels_reading.load(site / "findings.toml").file.rules == {"burned_in": "error"}
    read = composed(site)
    settings = ris.of_site(read)
    assert settings is not None
    assert settings.node in nodes.read(site / "nodes.toml")
    assert demographics.of_site(read) is not None
    assert of_stores(read, 2)["backup"] == "building B"
    output = read.section("derive", DeriveSection).output
    assert [rule.syntax for rule in output.lossless.rules] == ["jpeg-ls"]


class DeriveSection(config.Section, frozen=True, kw_only=True, forbid_unknown_fields=False):
    output: Output


def composed(site: Path) -> Config:
    """The configuration of the containers, of a site with these files."""
    text = compose.configuration(site, SECRETS)
    return Config(site / "radstream.toml", text, tomllib.loads(text))


def test_compose_names_the_files_where_it_mounts_them() -> None:
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]
    mounted = "${RADSTREAM_SITE:-../site}:/site:ro"
    with_configuration = [name for name, one in services.items() if "etc:/etc/radstream" in one.get("volumes", [])]
    assert [name for name in with_configuration if mounted not in services[name]["volumes"]] == ["setup"]
    assert (FOLDER / "../site").resolve() == SITE
    read = composed(SITE)
    named = [
        read.section("routes", dict)["file"],
        read.section("dicom", dict)["nodes"],
        read.section("validate", dict)["rules"],
    ]
    assert named == ["/site/routes.toml", "/site/nodes.toml", "/site/findings.toml"]
    assert str(compose.SITE) == "/site"


def test_the_one_store_of_the_containers_is_said_to_be_one_place() -> None:
    assert places.read(composed(SITE)).in_one_place


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ("[ris\n", r"sections.toml:1: not TOML"),
        (
            "[forward]\nlog_level = 'debug'\n",
            r"sections.toml does not fit behind infra/compose/radstream.toml .*change",
        ),
    ],
)
def test_sections_that_cannot_be_are_named_with_the_file(tmp_path: Path, sections: str, why: str) -> None:
    (tmp_path / "sections.toml").write_text(sections)
    with pytest.raises(ConfigError, match=why):
        compose.configuration(tmp_path, SECRETS)


def test_a_folder_without_sections_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sections.toml: no such file"):
        compose.configuration(tmp_path, SECRETS)


def test_a_container_of_the_cloud_gets_each_of_them_as_a_file() -> None:
    names = {f"RADSTREAM_{path.stem.upper()}": path.name for path in SITE.glob("*.toml") if path.stem != "sections"}
    assert names.items() <= FILES.items()
