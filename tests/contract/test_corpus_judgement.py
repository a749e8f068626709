"""The whole of validate's judgement, held against what the corpus' manifest expects of each foreign file.

What is valid is accepted and nothing false is said of it; what is malformed, or no instance, is held, or flows with
the finding that says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest

from consumers.validate.config import Limits
from consumers.validate.judging import Verdict, judged
from tests.received import CORPUS, manifest

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

CAME: Final = datetime(2026, 11, 29, tzinfo=UTC)
# True, though the manifest calls the files valid: dciodvfy looks neither into codestreams nor at private blocks.
TRUE_ALL_THE_SAME: Final = {
    "157": {"codestream_sign"},
    # Private elements below 0010, and a creator without a name (PS3.5 sections 7.8 and 7.8.1).
    **{number: {"private_element", "private_creator_empty"} for number in ("183", "184", "185", "186")},
}
# Colour palettes belong to no patient and no study: there is nothing by which they could be served or found.
NOT_OF_A_STUDY: Final = ("145", "146", "147", "148")
# What is held, and why; what flows, and with which finding.
HELD: Final = {
    **dict.fromkeys(("047", "209"), "unidentifiable"),
    **dict.fromkeys(NOT_OF_A_STUDY, "without_study"),
    **dict.fromkeys(("050", "055", "154", "155", "208", "222", "227", "228", "229"), "unreadable"),
    "221": "truncated",
}
FLAGGED: Final = {
    **dict.fromkeys(("054", "167", "242"), "pixel_length"),
    "062": "pixels_undecodable",
    **dict.fromkeys(("013", "243", "246"), "decoder_absent"),
    "159": "codestream",
    "172": "transfer_syntax",
    "179": "pixel_header",
}
# Readable, and not fit to be an instance: a UID is missing, or in one is none.
NAMELESS: Final = {
    *("113", "116", "140", "141", "144", "149", "150", "151", "160", "161", "170", "171", "178", "202", "210", "211"),
    *("226", "252"),
}
# The manifest's tools decode none of these; the decoder here does, as DCMTK does.
DECODED_AFTER_ALL: Final = ("035", "036", "037", "158")
_GRAVE: Final = ("malformed", "undecodable-pixels", "not-storable")


@pytest.fixture(scope="module")
def verdicts() -> list[tuple[str, str, Verdict]]:
    """A file's number, what is expected of it, and what is said of it."""
    return list(_judged())


def _judged() -> Iterator[tuple[str, str, Verdict]]:
    for row in manifest():
        verdict = judged((CORPUS / row["file"]).read_bytes(), Limits(), CAME)
        yield row["file"].removeprefix("files/")[:3], row["expect"], verdict


def test_what_is_valid_is_accepted_and_nothing_false_is_said_of_it(verdicts: list[tuple[str, str, Verdict]]) -> None:
    valid = {number: verdict for number, expect, verdict in verdicts if expect.startswith("valid")}
    said = {number: {one.rule for one in verdict.findings} for number, verdict in valid.items() if not verdict.held}

    assert len(valid) > 40
    assert [number for number, verdict in valid.items() if verdict.held] == list(NOT_OF_A_STUDY)
    assert {number: rules for number, rules in said.items() if rules} == TRUE_ALL_THE_SAME


def test_what_is_broken_is_held_or_flows_with_the_reason(verdicts: list[tuple[str, str, Verdict]]) -> None:
    broken = {number: verdict for number, expect, verdict in verdicts if expect.startswith(_GRAVE[:2])}

    assert broken.keys() == HELD.keys() - set(NOT_OF_A_STUDY) | FLAGGED.keys() | set(DECODED_AFTER_ALL)
    for number, verdict in broken.items():
        assert (verdict.held.code if verdict.held else None) == HELD.get(number), number
        if number in FLAGGED:
            assert FLAGGED[number] in {one.rule for one in verdict.findings}, number
        if number in DECODED_AFTER_ALL:
            assert {one.severity for one in verdict.findings} <= {"info", "warning"}, number


def test_nothing_else_is_held_but_what_has_no_name(verdicts: list[tuple[str, str, Verdict]]) -> None:
    """Directories of media are no instances, and a Storage SCP has to refuse them."""
    rest = {number: (expect, verdict) for number, expect, verdict in verdicts if not expect.startswith(_GRAVE[:2])}
    held = {number: verdict.held.code for number, (_, verdict) in rest.items() if verdict.held}
    directories = {number for number, (expect, _) in rest.items() if expect.startswith("not-storable")}

    assert held.keys() == directories | NAMELESS | set(NOT_OF_A_STUDY)
    assert {held[number] for number in NAMELESS} == {"unidentifiable", "illegal_uid", "without_study"}
    assert {held[number] for number in directories} == {"media_directory", "truncated"}


def test_of_what_is_held_and_can_be_read_all_else_is_said_too(verdicts: list[tuple[str, str, Verdict]]) -> None:
    (verdict,) = (verdict for number, _, verdict in verdicts if number == "160")

    assert ("type_1_missing", "0020,000D") in {(one.rule, one.tag) for one in verdict.findings}
