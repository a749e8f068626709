"""A site's rules: what is wrong with them is said with its line, and what they say of an instance needs no guess."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from streams import part10
from streams.config import ConfigError
from streams.routes.matching import Facts, applying, forwarding, lane
from streams.routes.routes import Routes, load
from tests import images

RULES = """\
[destinations.pacs]
ae_title = "PACS"
host = "pacs.example.org"
port = 104

[destinations.research]
ae_title = "RESEARCH"
host = "10.0.0.8"
port = 11112
calling_ae = "RAD1"
associations = 2

[[rules]]
name = "all-to-pacs"
forward = ["pacs"]

[[rules]]
name = "trial"
match.tags.ClinicalTrialProtocolID = "NCT*"
match.modality = ["CT", "MR"]
forward = ["research"]
tag = ["trial"]
hold = "kept for the trial"

[[rules]]
name = "never-research"
do_not_forward = ["research"]
[rules.match]
calling_ae = "ER_*"
[rules.match.tags]
"(0008,0080)" = ["Klinik S?d", "Praxis*"]

[[rules]]
name = "emergency"
match = {calling_ae = "ER_*", sop_class = "CTImageStorage"}
lane = "stat"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "routes.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def routes(tmp_path: Path) -> Routes:
    return load(written(tmp_path, RULES))


def file(**attributes: object) -> part10.Part10:
    return part10.read(images.native(np.zeros((1, 4, 4), np.uint16), **attributes))


def wanted(routes: Routes, destination: str, facts: Facts) -> bool | None:
    found = forwarding(routes.about(destination), destination, facts)
    return None if found is None else found.wanted


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("port = 104", "port = 104000"), 4, "port: Expected `int` <= 65535"),
        (("port = 11112", "porte = 11112"), 9, "unknown field `porte`"),
        (('host = "10.0.0.8"\n', ""), 6, "missing required field `host`"),
        (("[destinations.research]", "[destinations.Research]"), 6, "matching regex"),
        (('forward = ["pacs"]', 'forward = ["pax"]'), 15, "no destination is called `pax`; there are: pacs, research"),
        (('forward = ["pacs"]', 'forwrad = ["pacs"]'), 15, "unknown field `forwrad`"),
        (('forward = ["pacs"]\n', ""), 13, "it does nothing"),
        (('match.modality = ["CT", "MR"]', 'match.modality = ["ct"]'), 20, "upper case"),
        (('match.modality = ["CT", "MR"]', 'match.modality = ["CT", "CTA"]'), 20, "`CTA` is none of the defined terms"),
        (('match.modality = ["CT", "MR"]', 'match.modality = "?TA"'), 20, "match on tags.Modality"),
        (('match.modality = ["CT", "MR"]', 'match.body_part = "KNEE LEFT"'), 20, "match on tags.BodyPartExamined"),
        (('match.modality = ["CT", "MR"]', 'match.body_part = ["KNEE", "KNEE L*"]'), 20, "`KNEE L*` is none"),
        (('match.modality = ["CT", "MR"]', "match.modality = 7"), 20, "give one pattern or a list"),
        (('match.modality = ["CT", "MR"]', "match.modality = []"), 20, "give one pattern or a list"),
        (("ClinicalTrialProtocolID", "ClinicalTrialProtokollID"), 19, "no keyword of PS3.6 and not (gggg,eeee)"),
        (('"(0008,0080)"', '"(0008,008)"'), 31, "no keyword of PS3.6 and not (gggg,eeee)"),
        (("ClinicalTrialProtocolID", "RequestAttributesSequence"), 19, "is a sequence"),
        (("ClinicalTrialProtocolID", "PixelData"), 19, "is bytes"),
        (('"(0008,0080)"', '"(0002,0016)"'), 31, "is of the file header"),
        (('calling_ae = "ER_*"\n[', 'caling_ae = "ER_*"\n['), 29, "nothing can be matched on `caling_ae`"),
        (("CTImageStorage", "CTImagestorage"), 35, "perhaps CTImageStorage"),
        (('lane = "stat"', 'lane = "urgent"'), 36, "lane"),
        (('sop_class = "CTImageStorage"', 'modality = "CT"'), 35, "a lane is chosen before the data set is read"),
        (('name = "trial"', 'name = "emergency"'), 18, "another rule has this name"),
        (('do_not_forward = ["research"]', 'do_not_forward = ["pacs"]\nforward = ["pacs"]'), 27, "and forbids it"),
        (("[[rules]]", "[[rule]]"), 13, "unknown key `rule`"),
        (('name = "trial"', "name = trial"), 18, "not TOML"),
        (('name = "trial"', 'name = ["trial"]'), 18, "name: Expected `str`"),
        (('name = "trial"', f"name = {'9' * 5000}"), 1, "not a file of rules"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, change: tuple[str, str], line: int, says: str) -> None:
    path = written(tmp_path, RULES.replace(*change, 1))
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert f"{path}:{line}: " in str(raised.value)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("name", "patterns"),
    [
        ("modality", '"*"'),
        ("modality", '"RT*"'),
        ("modality", '["C?", "??", "US"]'),
        ("body_part", '["*SPINE", "KNEE"]'),
        *(("body_part", f'"{term}"') for term in ("FIBULA", "TIBIA", "SIJOINT", "UPRURINARYTRACT", "3RDVENTRICLE")),
    ],
)
def test_a_pattern_that_fits_any_term_is_taken(tmp_path: Path, name: str, patterns: str) -> None:
    load(written(tmp_path, RULES.replace('match.modality = ["CT", "MR"]', f"match.{name} = {patterns}")))


def test_what_events_do_not_carry_is_matched_on_in_the_image(tmp_path: Path) -> None:
    text = RULES.replace('match.modality = ["CT", "MR"]', 'match.tags.BodyPartExamined = "KNEE *"')
    routes = load(written(tmp_path, text))
    image = file(ClinicalTrialProtocolID="NCT0042", BodyPartExamined="KNEE LEFT")
    assert wanted(routes, "research", Facts(calling_ae="CT1", file=image)) is True


def test_everything_that_is_wrong_is_said_at_once_and_no_value_of_a_tag(tmp_path: Path) -> None:
    text = RULES.replace("port = 104", "port = -1").replace('"NCT*"', '["DOE^JANE", 7]').replace('["pacs"]', '["p"]')
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, text))
    lines = str(raised.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["4", "15", "19"]
    assert "DOE" not in str(raised.value)


def test_every_rule_that_fits_applies_and_who_forbids_wins(routes: Routes) -> None:
    trial = file(ClinicalTrialProtocolID="NCT0042", InstitutionName="Klinik Süd", SpecificCharacterSet="ISO_IR 100")
    seen = Facts(calling_ae="CT1", modality="CT", file=trial)
    from_emergency = Facts(calling_ae="ER_CT", modality="CT", file=trial)

    assert [rule.name for rule in applying(routes.rules, seen) or ()] == ["all-to-pacs", "trial"]
    assert (wanted(routes, "pacs", seen), wanted(routes, "research", seen)) == (True, True)
    assert (wanted(routes, "pacs", from_emergency), wanted(routes, "research", from_emergency)) == (True, False)
    found = forwarding(routes.about("research"), "research", from_emergency)
    assert found is not None
    assert found.rules == ("never-research",)


def test_bytes_are_asked_for_only_where_a_tag_decides(routes: Routes) -> None:
    assert wanted(routes, "pacs", Facts(modality="CT")) is True
    assert wanted(routes, "research", Facts(modality="US")) is False
    assert wanted(routes, "research", Facts(modality="CT")) is None
    assert applying(routes.rules, Facts(modality="CT")) is None


def test_a_lane_is_known_from_the_request_alone(routes: Routes) -> None:
    assert lane(routes.rules, Facts(calling_ae="ER_1", sop_class=images.CT)) == "stat"
    assert lane(routes.rules, Facts(calling_ae="CT_1", sop_class=images.CT)) is None
    assert lane(routes.rules, Facts(calling_ae="ER_1", sop_class="1.2.3")) is None


def test_what_is_not_known_fits_no_pattern(tmp_path: Path) -> None:
    rule = '[[rules]]\nname = "any"\ntag = ["any"]\nmatch.calling_ae = "*"\n'
    routes = load(written(tmp_path, rule))
    assert applying(routes.rules, Facts()) == ()
    assert applying(routes.rules, Facts(calling_ae="X")) != ()


MATCHES = [
    ("called_ae", '"RAD*"', Facts(called_ae="RADSTREAM"), Facts(called_ae="STREAM")),
    ("body_part", '"CHEST"', Facts(body_part="CHEST"), Facts(body_part="CHESTABDOMEN")),
    ("sop_class", f'"{images.CT}"', Facts(sop_class=images.CT), Facts(sop_class=images.CT + ".1")),
    ("transfer_syntax", '"RLELossless"', Facts(transfer_syntax="1.2.840.10008.1.2.5"), Facts(transfer_syntax="1.2")),
    ("tags.PatientName", '"DOE^*"', Facts(file=file(PatientName="DOE^JANE")), Facts(file=file(PatientName="ROE"))),
    ("tags.Rows", '"4"', Facts(file=file()), Facts(file=file(Rows=5))),
    ("tags.ImageType", '"PRIMARY"', Facts(file=file()), Facts(file=file(ImageType=["DERIVED"]))),
    ("tags.SliceThickness", '"1.5"', Facts(file=file(SliceThickness="1.5 ")), Facts(file=file(SliceThickness="15"))),
    ("tags.PatientID", '"T?ST"', Facts(file=file()), Facts(file=file(PatientID="T[ST]"))),
]


@pytest.mark.parametrize(("condition", "pattern", "fits", "does_not"), MATCHES, ids=[one[0] for one in MATCHES])
def test_every_kind_of_condition(tmp_path: Path, condition: str, pattern: str, fits: Facts, does_not: Facts) -> None:
    text = f'[[rules]]\nname = "one"\ntag = ["one"]\nmatch.{condition} = {pattern}\n'
    routes = load(written(tmp_path, text))
    assert [rule.name for rule in applying(routes.rules, fits) or ()] == ["one"]
    assert applying(routes.rules, does_not) == ()


@pytest.mark.parametrize("encoding", ["explicit", "implicit", "big", "deflated"])
def test_tags_are_read_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    text = '[[rules]]\nname = "one"\ntag = ["one"]\nmatch.tags."0008,0080" = "Süd"\nmatch.tags.Columns = "4"\n'
    data = images.native(
        np.zeros((1, 4, 4), np.uint16), encoding, InstitutionName="Süd", SpecificCharacterSet="ISO_IR 192"
    )
    routes = load(written(tmp_path, text))
    assert applying(routes.rules, Facts(file=part10.read(data))) != ()


def test_a_digest_is_of_what_the_rules_say(tmp_path: Path) -> None:
    first = load(written(tmp_path, RULES)).digest
    assert load(written(tmp_path, "# a comment\n" + RULES)).digest == first
    assert load(written(tmp_path, RULES.replace("NCT*", "NCT1*"))).digest != first


def test_a_file_that_cannot_be_read_is_said_without_a_trace(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "absent.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(io.BytesIO(b"# M\xfcller").getvalue())
    with pytest.raises(ConfigError, match="cannot be read"):
        load(path)
