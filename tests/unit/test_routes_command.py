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
        {"destination": "pacs", "forwarded": True, "rules": ["to-pacs"], "once_reconciled": False},
        {"destination": "research", "forwarded": True, "rules": ["trial"], "once_reconciled": False},
    ]
    assert (one["tags"], one["holds"], one["lane"]) == (["trial-7"], ["trial"], None)
    assert other["rules"] == ["to-pacs"]
    assert [to["forwarded"] for to in other["to"]] == [True, False]


def test_who_sends_it_may_change_everything(home: Path) -> None:
    (one,) = facts(home, "test", str(home / "explicit.dcm"), "--calling-ae", "PRIVATE")
    assert one["lane"] == "stat"
    refused = {"destination": "research", "forwarded": False, "rules": ["private"], "once_reconciled": False}
    assert one["to"][1] == refused
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


def test_what_waits_for_a_person_is_told_from_what_is_forwarded(home: Path) -> None:
    said = '[[rules]]\nname = "discs"\nmatch.calling_ae = "DISCS"\noutside = "ST-MARY"\n'
    (home / "routes.toml").write_text(
        RULES.replace('host = "research.example.org"', 'outside = "as_it_came"\nhost = "research.example.org"') + said
    )
    disc = ("test", str(home / "explicit.dcm"), "--calling-ae", "DISCS")
    (one,) = facts(home, *disc)
    assert one["to"] == [
        {"destination": "pacs", "forwarded": False, "rules": ["to-pacs"], "once_reconciled": True},
        {"destination": "research", "forwarded": True, "rules": ["trial"], "once_reconciled": False},
    ]
    shown = run(home, *disc).stdout
    assert "forward to pacs once it is reconciled (to-pacs)" in shown
    assert "forward to research (trial)" in shown


def test_a_file_that_is_no_dicom_has_a_line_and_the_others_are_tried(home: Path) -> None:
    folder = home / "folder"
    folder.mkdir()
    assert "no file in there" in str(run(home, "test", str(folder)).exception)
    (folder / "a.txt").write_text("not DICOM")
    (folder / "b.dcm").write_bytes((home / "explicit.dcm").read_bytes())
    done = run(home, "test", str(folder), "--json")
    text, image = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (text["file"], "no DICOM file" in text["unread"]) == (str(folder / "a.txt"), True)
    assert image["rules"] == ["to-pacs", "trial"]
    assert "not tried: no DICOM file" in run(home, "test", str(folder)).stdout


def test_what_is_no_rules_file_is_said(home: Path) -> None:
    (home / "radstream.toml").write_text("[site]\n")
    assert "no [routes] file" in str(run(home, "check").exception)
    assert facts(home, "check", "--rules", str(home / "routes.toml"))["rules"] == 3
