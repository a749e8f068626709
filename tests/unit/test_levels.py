"""A site raises, lowers and switches off rules in one file: the most specific word holds, and none holds images up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from consumers.validate.config import Limits
from consumers.validate.levels import Facts
from consumers.validate.levels_reading import load
from consumers.validate.reasons import REASONS
from consumers.validate.step import Validate
from radstream.__main__ import cli
from streams.clock import SystemClock
from streams.config import ConfigError
from streams.events import InstanceValidated, Technical
from streams.memory_store import MemoryStore
from streams.step import Done
from tests import images
from tests.received import identity, received

ROOT = Path(__file__).resolve().parents[2]
CT = "1.2.840.10008.5.1.4.1.1.2"
FILE = """
[rules]
odd_length = "info"
order = "warning"

[[when]]
site = "north"
rules = {odd_length = "warning"}

[[when]]
modality = ["US", "XA"]
[when.rules]
odd_length = "error"

[[when]]
sop_class = "CTImageStorage"
rules = {odd_length = "off"}

[[when]]
calling_ae = "OLD*"
rules = {odd_length = "info"}

[[when]]
calling_ae = "OLDCT"
rules = {odd_length = "error"}

[[when]]
calling_ae = "OLDCT"
modality = "MR"
rules = {odd_length = "off"}
"""


def written(tmp_path: Path, text: str = FILE) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("facts", "level", "line"),
    [
        (Facts(), "info", "[rules]"),
        (Facts(site="south"), "info", "[rules]"),
        (Facts(site="north"), "warning", "line 6"),
        (Facts(site="north", modality="XA"), "error", "line 10"),
        (Facts(site="north", modality="US", sop_class=CT), "off", "line 15"),
        (Facts(modality="US", sop_class=CT, calling_ae="OLDMR"), "info", "line 19"),
        (Facts(modality="US", sop_class=CT, calling_ae="OLDCT"), "error", "line 23"),
        (Facts(modality="MR", calling_ae="OLDCT"), "off", "line 27"),
        (Facts(modality="MR", calling_ae="NEWCT"), "info", "[rules]"),
    ],
)
def test_the_most_specific_word_holds(tmp_path: Path, facts: Facts, level: str, line: str) -> None:
    said = load(written(tmp_path)).of(facts)["odd_length"]
    assert said.level == level
    assert said.where.endswith(line)


def test_the_order_in_the_file_decides_between_two_that_are_alike(tmp_path: Path) -> None:
    part = '[[when]]\nmodality = "{}*"\nrules = {{order = "{}"}}\n'
    path = written(tmp_path, part.format("C", "info") + part.format("CT", "off"))
    assert load(path).of(Facts(modality="CT"))["order"].level == "off"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[rules]\n\nod_length = "off"', 3, "perhaps `odd_length`"),
        ('[rules]\nqwertyuiop = "off"', 2, "no rule is called `qwertyuiop`; all of them: radstream rules list"),
        ('[rules]\norder = "quarantine"', 2, "no rule holds an image up, because a reader waits for it; the most is"),
        ('[rules]\norder = "fatal"', 2, "one of: error, warning, info, off"),
        ("[rules]\norder = true", 2, "one of: error, warning, info, off"),
        ('[rules]\nreleased_by_hand = "off"', 2, "cannot be changed"),
        ('[rules]\npatient_contradicts = "info"', 2, "cannot be changed: it says why images of the study are held"),
        ('[rules]\npatient_not_compared = "off"', 2, "cannot be changed: silence would mean that nothing is wrong"),
        ('[rules]\nseries_gab = "info"', 2, "perhaps `series_gap`"),
        (
            '[[when]]\ncalling_ae = "CT*"\nrules = {series_gap = "off"}',
            3,
            "`series_gap` is about a study, whose images may have several senders",
        ),
        *((f'[rules]\n{code} = "off"', 2, "a reason to hold an image, no rule") for code in sorted(REASONS)),
        ('[[when]]\nmodality = "CT"\n[when.rules]\norder = "off"\nodr = "off"', 5, "perhaps `order`"),
        ('[[when]]\nstation = "CT"\nrules = {order = "off"}', 2, "unknown key `station`; there are: calling_ae"),
        ('[[when]]\nrules = {order = "off"}', 1, "for no images in particular"),
        ('[[when]]\nmodality = "CT"', 1, "says nothing of any rule"),
        ('[[when]]\nmodality = "ct"\nrules = {order = "off"}', 2, "upper case"),
        ('[[when]]\nmodality = []\nrules = {order = "off"}', 2, "a text that is not empty"),
        ('[[when]]\nsop_class = "CTImageStorag"\nrules = {order = "off"}', 2, "perhaps CTImageStorage"),
        ('[when]\nmodality = "CT"', 1, "[[when]]"),
        ("rules = 7", 1, "[rules]"),
        ("[ruels]\n", 1, "unknown key `ruels`"),
        ("[rules]\norder =\n", 2, "not TOML"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert f"{path}:{line}: " in str(raised.value)
    assert said in str(raised.value)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = '[rules]\norder = "no"\n[[when]]\nmodality = "CT"\nrules = {nothing = "off"}'
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, text))
    assert len(str(raised.value).splitlines()) == 2


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: no such file; write it, or take `rules` out of"):
        load(tmp_path / "absent.toml")


def severities(tmp_path: Path, text: str, modality: str) -> dict[str, str]:
    """Of an image without a patient's ID, by rule."""
    store = MemoryStore()
    item = received(store, images.native(np.zeros((1, 4, 4), np.uint16), PatientID=""))
    event = structs.replace(item.event, technical=Technical(modality=modality))
    step = Validate(identity("validate"), store, Limits(), load(written(tmp_path, text)))
    (made,) = step([type(item)(event, item.record)], SystemClock())
    assert isinstance(made, Done)
    (found,) = made.events(())
    assert isinstance(found, InstanceValidated)
    return {finding.rule: finding.severity for finding in found.findings}


def test_an_image_gets_its_findings_as_its_site_wants_them(tmp_path: Path) -> None:
    assert severities(tmp_path, "", "CT")["patient_id_empty"] == "warning"
    text = '[[when]]\nmodality = "US"\nrules = {patient_id_empty = "error"}'
    assert severities(tmp_path, text, "US")["patient_id_empty"] == "error"
    assert severities(tmp_path, text, "CT")["patient_id_empty"] == "warning"
    assert "patient_id_empty" not in severities(tmp_path, '[rules]\npatient_id_empty = "off"', "CT")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["rules", *arguments], env={"COLUMNS": "300"})


def test_the_commands_check_a_file_and_say_what_it_says(tmp_path: Path) -> None:
    path, config = str(written(tmp_path)), tmp_path / "radstream.toml"
    assert run("check", path).stdout == f"{path}: 8 levels\n"
    asked = ("test", path, "--calling-ae", "OLDCT", "--modality", "MR", "--json", "--config", str(config))
    found = {one["name"]: one for one in json.loads(run(*asked).stdout)}
    assert set(found) == {"odd_length", "order"}
    assert (found["odd_length"]["severity"], found["odd_length"]["level"]) == ("warning", "off")
    assert found["odd_length"]["where"] == "[[when]] on line 27"
    config.write_text('[site]\ntenant = "t"\nsite = "north"\n[validate]\nhttp_port = 1\nrules = "rules.toml"\n')
    (north, _) = json.loads(run("test", "--json", "--config", str(config)).stdout)
    assert north["level"] == "warning"


def test_every_rule_is_listed_with_what_to_do_and_the_page_is_as_it_is_printed() -> None:
    listed = json.loads(run("list", "--json").stdout)
    assert all(one["text"].endswith(".") and one["todo"].endswith(".") for one in listed)
    page = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    assert run("list", "--markdown").stdout == page, "print it anew: radstream rules list --markdown > docs/findings.md"
    assert all(f"`{one['name']}`" in page for one in listed)
    assert all(f"`{code}`" in page for code in REASONS)
