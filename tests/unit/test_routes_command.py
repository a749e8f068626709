"""`radstream routes`: what the rules would do with files, said offline and without a value that a rule looks at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from radstream.__main__ import cli
from streams.config import ConfigError
from tests import images

RULES = """
[destinations.pacs]
ae_title = "PACS"
host = "pacs.example.org"
port = 104

[destinations.research]
ae_title = "RESEARCH"
host = "research.example.org"
port = 104

[[rules]]
name = "to-pacs"
match.modality = "CT"
forward = ["pacs"]

[[rules]]
name = "trial"
match.tags.PatientName = "DOE^*"
forward = ["research"]
tag = ["trial-7"]
hold = "kept for the trial"

[[rules]]
name = "private"
match.calling_ae = "PRIVATE"
do_not_forward = ["research"]
lane = "stat"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "routes.toml").write_text(RULES)
    (tmp_path / "radstream.toml").write_text('[routes]\nfile = "routes.toml"\n')
    for encoding, name in (("explicit", "DOE^JANE"), ("deflated", "ROE^RICHARD")):
        data = images.native(np.zeros((1, 4, 4), np.uint16), encoding, PatientName=name)
        (tmp_path / f"{encoding}.dcm").write_bytes(data)
    return tmp_path


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["routes", *arguments, "--config", str(home / "radstream.toml")])


def facts(home: Path, *arguments: str) -> Any:
    done = run(home, *arguments, "--json")
    assert done.exception is None, done.exception
    return json.loads(done.stdout)


def test_a_test_says_which_rules_fit_and_what_would_happen(home: Path) -> None:
    one, other = facts(home, "test", str(home / "explicit.dcm"), str(home / "deflated.dcm"))
    assert one["rules"] == ["to-pacs", "trial"]
    assert one["to"] == [
        {"destination": "pacs", "forwarded": True, "rules": ["to-pacs"]},
        {"destination": "research", "forwarded": True, "rules": ["trial"]},
    ]
    assert (one["tags"], one["holds"], one["lane"]) == (["trial-7"], ["trial"], None)
    assert other["rules"] == ["to-pacs"]
    assert [to["forwarded"] for to in other["to"]] == [True, False]


def test_who_sends_it_may_change_everything(home: Path) -> None:
    (one,) = facts(home, "test", str(home / "explicit.dcm"), "--calling-ae", "PRIVATE")
    assert one["lane"] == "stat"
    assert one["to"][1] == {"destination": "research", "forwarded": False, "rules": ["private"]}
    said = run(home, "test", str(home / "explicit.dcm"), "--calling-ae", "PRIVATE").stdout
    assert "forward to pacs (to-pacs)" in said
    assert "not to research (private)" in said
    assert "hold its study (trial)" in said


def test_show_says_what_is_understood_and_no_value(home: Path) -> None:
    shown = facts(home, "show")
    assert list(shown["destinations"]) == ["pacs", "research"]
    assert [rule["matches_on"] for rule in shown["rules"]] == [["modality"], ["tags.PatientName"], ["calling_ae"]]
    assert "DOE" not in json.dumps(shown) + run(home, "show").stdout


def test_check_counts_or_names_the_line(home: Path) -> None:
    assert facts(home, "check") == {"file": str(home / "routes.toml"), "rules": 3, "destinations": 2}
    (home / "routes.toml").write_text(RULES.replace('"pacs"]', '"pax"]'))
    done = run(home, "check")
    assert isinstance(done.exception, ConfigError)
    assert "routes.toml:15: no destination is called `pax`" in str(done.exception)


@pytest.mark.parametrize("command", ["check", "test"])
def test_a_rule_that_no_image_could_ever_fit_is_said(home: Path, command: str) -> None:
    (home / "routes.toml").write_text(RULES.replace('match.modality = "CT"', 'match.modality = "CTA"'))
    done = run(home, command, *([str(home / "explicit.dcm")] if command == "test" else []))
    assert isinstance(done.exception, ConfigError)
    assert "routes.toml:14: `CTA` is none of the defined terms" in str(done.exception)
    assert "tags.Modality" in str(done.exception)


def test_what_is_no_dicom_file_and_what_is_no_rules_file_is_said(home: Path) -> None:
    (home / "text.dcm").write_text("not DICOM")
    assert "no DICOM file" in str(run(home, "test", str(home / "text.dcm")).exception)
    (home / "radstream.toml").write_text("[site]\n")
    assert "no [routes] file" in str(run(home, "check").exception)
    assert facts(home, "check", "--rules", str(home / "routes.toml"))["rules"] == 3
