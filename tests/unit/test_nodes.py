"""The file of DICOM nodes: a person's own, which commands add to and take from."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from radstream.__main__ import cli
from radstream.checks.nodes import check as check_nodes
from radstream.errors import Failure
from radstream.nodes_file import HEAD
from streams.config import ConfigError, load
from streams.nodes import Node, file_of, namesakes, node_of, read
from streams.routes.rules import Destination

WRITTEN = """\
# our scanners
[ct-1]  # emergency room
ae_title = "CT1"
host = "10.1.2.3"
port = 104

# the MR that is always moved
[mr-1]
ae_title = "MR 1"
host = "mr.example.org"
port = 11112
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "radstream.toml"
    path.write_text("[site]\ntenant = 't'\nsite = 's'\n", encoding="utf-8")
    return path


def run(configuration: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["modality", *arguments, "--config", str(configuration)])


def test_nodes_are_added_listed_and_removed(configuration: Path) -> None:
    where = ("--ae", 'CT "1"', "--host", "10.1.2.3", "--port", "104")
    assert "modality test ct-1" in run(configuration, "add", "ct-1", *where).stdout
    assert run(configuration, "add", "mr-1", "--ae", "MR", "--host", "::1", "--port", "1").exit_code == 0
    listed = json.loads(run(configuration, "list", "--json").stdout)
    plain: dict[str, object] = {
        "tls": False,
        "ca": None,
        "common_name": None,
        "fingerprints": [],
        "commitment_port": None,
    }
    assert listed == {
        "ct-1": {"ae_title": 'CT "1"', "host": "10.1.2.3", "port": 104, **plain},
        "mr-1": {"ae_title": "MR", "host": "::1", "port": 1, **plain},
    }
    assert "10.1.2.3" in run(configuration, "list").stdout
    assert json.loads(run(configuration, "remove", "ct-1", "--json").stdout)["name"] == "ct-1"
    assert list(read(configuration.parent / "nodes.toml")) == ["mr-1"]
    assert (configuration.parent / "nodes.toml").read_text(encoding="utf-8").startswith(HEAD)


def test_what_a_person_wrote_around_a_node_stays_when_another_goes(configuration: Path) -> None:
    file = configuration.parent / "nodes.toml"
    file.write_text(WRITTEN, encoding="utf-8")
    assert run(configuration, "remove", "ct-1").exit_code == 0
    assert file.read_text(encoding="utf-8") == WRITTEN.replace(
        WRITTEN[WRITTEN.index("[ct-1]") : WRITTEN.index("# the MR")], ""
    )
    assert run(configuration, "add", "ct-1", "--ae", "CT1", "--host", "10.1.2.3", "--port", "104").exit_code == 0
    assert dict(read(file)).keys() == {"mr-1", "ct-1"}


def test_a_table_that_cannot_be_cut_out_is_left_as_it_is(configuration: Path) -> None:
    file = configuration.parent / "nodes.toml"
    odd = '[a]\nae_title = "A"\n\nhost = "h"\nport = 1\n'
    file.write_text(odd, encoding="utf-8")
    failed = run(configuration, "remove", "a")
    assert isinstance(failed.exception, Failure)
    assert "by hand" in str(failed.exception)
    assert file.read_text(encoding="utf-8") == odd
    assert {path.name for path in configuration.parent.iterdir()} == {"nodes.toml", "radstream.toml"}


@pytest.mark.parametrize(
    ("name", "ae_title", "host"),
    [("CT", "CT", "h"), ("ct", "seventeen letters", "h"), ("ct", "a\\b", "h"), ("ct", "  ", "h"), ("ct", "CT", "a b")],
)
def test_what_is_no_node_is_refused_and_nothing_is_written(
    configuration: Path, name: str, ae_title: str, host: str
) -> None:
    failed = run(configuration, "add", name, "--ae", ae_title, "--host", host, "--port", "104")
    assert isinstance(failed.exception, Failure)
    assert not (configuration.parent / "nodes.toml").exists()


def test_a_name_that_is_taken_is_not_taken_twice(configuration: Path) -> None:
    where = ("--ae", "CT", "--host", "h", "--port", "104")
    assert run(configuration, "add", "ct", *where).exit_code == 0
    assert "radstream modality remove ct" in str(run(configuration, "add", "ct", *where).exception)
    assert "radstream modality list" in str(run(configuration, "remove", "mr").exception)


def test_a_second_address_of_an_ae_title_is_warned_of_and_a_port_for_reports_is_none(configuration: Path) -> None:
    where = ("--ae", "CT1", "--host", "10.1.2.3", "--port")
    assert run(configuration, "add", "ct", *where, "104", "--commitment-port", "105").stderr == ""
    found = read(configuration.parent / "nodes.toml")
    assert (found["ct"].commitment_port, found["ct"].for_reports.port, namesakes(found)) == (105, 105, {})
    assert run(configuration, "add", "same", *where, "104").stderr == ""
    assert "0xA801" in run(configuration, "add", "reports", *where, "105").stderr
    (told,) = check_nodes(load(configuration), "configuration")
    assert (told.state, "ct, same, reports" in told.found, "commitment_port" in told.mend) == ("note", True, True)


def test_a_destination_is_told_of_no_commitment() -> None:
    with pytest.raises(msgspec.ValidationError, match="no destination is told of commitment"):
        msgspec.convert({"ae_title": "A", "host": "h", "port": 1, "commitment_port": 2}, Destination)


def test_errors_in_the_file_name_its_line(tmp_path: Path) -> None:
    file = tmp_path / "nodes.toml"
    for text, told in (
        (WRITTEN.replace("port = 104", "port = 0"), ":5: [ct-1] port"),
        (WRITTEN.replace("port = 104", "prot = 104"), ":5: [ct-1]"),
        (WRITTEN.replace("[ct-1]", "[CT 1]"), "not TOML"),
        (WRITTEN.replace("[ct-1]", "[CT]"), "small letters"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as raised:
            read(file)
        assert told in str(raised.value)


def test_the_configuration_says_where_the_file_is(configuration: Path) -> None:
    assert file_of(load(configuration)) == configuration.parent / "nodes.toml"
    with configuration.open("a", encoding="utf-8") as file:
        file.write('[dicom]\nnodes = "site/dicom.toml"\n')
    assert file_of(load(configuration)) == configuration.parent / "site" / "dicom.toml"
    with pytest.raises(ConfigError, match="radstream modality add"):
        node_of(load(configuration), "ct-1")
    (configuration.parent / "site").mkdir()
    (configuration.parent / "site" / "dicom.toml").write_text(WRITTEN, encoding="utf-8")
    assert node_of(load(configuration), "mr-1") == Node(ae_title="MR 1", host="mr.example.org", port=11112)
