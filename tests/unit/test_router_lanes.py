"""The first of the site's rules that fits and has a lane chooses it; where none does, the peer's own lane holds."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from producers.dicom_router.arrival import Arrival
from producers.dicom_router.data_set import DataSet, Room
from producers.dicom_router.lane_rules import LaneRules
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.outside_rules import OutsideRules
from schemas import Lane
from streams.config import Config, ConfigError
from streams.events import Outside

RULES = """
[[rules]]
name = "emergency"
match.calling_ae = "ER_*"
match.called_ae = "STROKE"
lane = "stat"

[[rules]]
name = "archive"
match.sop_class = "CTImageStorage"
match.transfer_syntax = ["RLELossless"]
lane = "bulk"

[[rules]]
name = "tagged"
tag = ["seen"]
"""
CT, RLE, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1"


def config(folder: Path, rules: str = RULES) -> Config:
    (folder / "rules.toml").write_text(rules)
    text = '[routes]\nfile = "rules.toml"\n'
    return Config(folder / "radstream.toml", text, tomllib.loads(text))


def arrival(calling: str, called: str = "RADSTREAM", syntax: str = EXPLICIT) -> Arrival:
    """A request of which no byte of its data set was read."""
    content = DataSet(Room(1 << 20, BufferPool(Budget(0)), Budget(0)), CT, "1.2.3", syntax)
    return Arrival(CT, "1.2.3", CT, syntax, content, calling, called, "association")


@pytest.mark.parametrize(
    ("request_", "lane"),
    [
        (arrival("ER_CT", "STROKE"), "stat"),
        (arrival("ER_CT"), "routine"),
        (arrival("OLD_PACS", syntax=RLE), "bulk"),
        (arrival("ANY"), "routine"),
    ],
)
def test_the_first_rule_that_fits_chooses(tmp_path: Path, request_: Arrival, lane: Lane) -> None:
    assert (LaneRules.of_site(config(tmp_path)).of(request_) or "routine") == lane


def test_the_digest_is_of_all_that_chooses(tmp_path: Path) -> None:
    assert LaneRules().digest("abc") == "abc"
    assert LaneRules.of_site(config(tmp_path, '[[rules]]\nname = "a"\ntag = ["b"]\n')).digest("abc") == "abc"
    assert LaneRules.of_site(config(tmp_path)).digest("abc") != "abc"


def test_rules_that_cannot_be_used_stop_the_router_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rules\.toml:5: "):
        LaneRules.of_site(config(tmp_path, RULES.replace('called_ae = "STROKE"', 'modality = "CT"')))


def test_who_brings_it_says_what_is_from_outside(tmp_path: Path) -> None:
    rules = '[[rules]]\nname = "discs"\nmatch.calling_ae = "CD*"\noutside = "ST-MARY"\n'
    outside = OutsideRules.of_site(config(tmp_path, RULES + rules))
    assert outside.of("CD1", "RADSTREAM") == Outside(rule="discs", issuer="ST-MARY")
    assert outside.of("CT1", "RADSTREAM") is None
    assert outside.digest("abc") != "abc"
    assert OutsideRules.of_site(config(tmp_path)).digest("abc") == "abc"
    with pytest.raises(ConfigError, match=r"rules\.toml:3: what a sender brings is from outside, or nothing of it"):
        OutsideRules.of_site(config(tmp_path, rules.replace("calling_ae", "modality").replace("CD*", "CT")))


def test_a_destination_may_not_have_the_name_of_the_group_for_the_ris(tmp_path: Path) -> None:
    node = '[destinations.mpps]\nae_title = "A"\nhost = "h"\nport = 104\n'
    with pytest.raises(ConfigError, match="is the name of a group that radstream has"):
        LaneRules.of_site(config(tmp_path, node))
