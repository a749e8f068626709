"""Values of foreign files against dciodvfy (Debian's dicom3tools): what it finds is found, what else is, explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from consumers.validate import values
from consumers.validate.rules import RULES
from streams import part10
from streams.elements import Malformed, TooComplex
from tests.received import CORPUS, manifest

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

# What it says of a value, and the rules that say the same; any for None.
_THEIRS = {
    "Value invalid for this VR": None,
    # Of an element below 0010 in its group it says that it is a maker's name, and a bad one.
    "Private creator is not LO VR": {"private_creator_vr", "private_element", "private_group"},
    "Bad private owner value - element": {"private_element", "private_group"},
    "Bad private owner value - empty": {
        "private_creator_empty",
        "private_creator_vr",
        "private_element",
        "private_group",
    },
    "Private tag without owner": {"private_creator_missing", "private_element"},
    "not in a legal private group": {"private_group"},
    "doesn't match data dictionary": {"vr_differs"},
}
_TAG = re.compile(r"\(0x([0-9a-f]{4}),0x([0-9a-f]{4})\)")
# The step says the same of the UIDs that an instance is known by.
_OF_THE_STEP = (0x00080018, 0x0020000D, 0x0020000E)

# Where it sees it otherwise, and why we do not.
_NOT_FOUND_HERE = {
    ("204_pydicom_examples_ybr_color.dcm", 0x00191060): "PS3.5 table 6.1-1 allows tabs in UT; dciodvfy is older",
    ("205_pydicom_image_dfl.dcm", 0xDDED6ECF): "it reads deflated bytes as elements",
    ("210_pydicom_no_meta_group_length.dcm", 0x00020013): "of a file's own header, UIDs alone are looked at",
}
# What it does not say: by rule, why we do.
_FOUND_HERE_ALONE = {
    "element_unknown": "it says 'unrecognized tag', which is no line of a value",
    "enumerated_value": "of an attribute that the IOD does not have, it says just that; Modality by its own list",
    "padding": "a date of NULs alone, and a private text that ends with one, are empty to it",
    "too_long": "PS3.5 table 6.2-1 gives DS 16 bytes; it does not count them",
    "vm": "it names attribute and module, not the tag",
    "private_group": "it names the group's first elements alone",
}
# It ends with an assertion at 32-bit pixel data, so that it says little of these.
_ABORTED = "rc=-6"
# Of this one, whose private elements stand where none may, it names a part.
_PART_OF = "126_deid-data_ctbrain2.dcm"


Compared = tuple[str, dict[int, set[str]], dict[int, list[str]]]


@cache
def _compared() -> tuple[Compared, ...]:
    return tuple(_all_compared())


def _all_compared() -> Iterator[Compared]:
    """Of each file that is readable: its name, and by the last tag of a path what is said here and there."""
    for row in manifest():
        path = CORPUS / row["file"]
        try:
            file = part10.read(path.read_bytes())
        except (Malformed, TooComplex):
            continue
        ours: dict[int, set[str]] = {}
        for rule, place in values.check(file):
            tag = (
                place
                if isinstance(place, int)
                else int((place or RULES[rule].tag or "0").split("/")[-1].replace(",", ""), 16)
            )
            ours.setdefault(tag, set()).add(rule)
        yield path.name, ours, _theirs(path)


def _theirs(path: Path) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    text = (CORPUS / "dciodvfy" / f"{path.name}.txt").read_text(encoding="latin-1")
    for line in text.splitlines():
        match = _TAG.search(line)
        if match is None or not any(word in line for word in _THEIRS):
            continue
        tag = int(match[1] + match[2], 16)
        # It has dictionaries of some makers' private elements.
        if not (tag >> 16 & 1 and "data dictionary" in line):
            found.setdefault(tag, []).append(line)
    return found


def _has_stopped(name: str) -> bool:
    text = (CORPUS / "dciodvfy" / f"{name}.txt").read_text(encoding="latin-1")
    return name == _PART_OF or text.startswith(_ABORTED)


def test_what_dciodvfy_says_of_a_value_is_said_here_too() -> None:
    missed, found = [], 0
    for name, ours, theirs in _compared():
        for tag, lines in theirs.items():
            for line in lines:
                wanted = next(rules for word, rules in _THEIRS.items() if word in line)
                said = ours.get(tag, set())
                if (said if wanted is None else said & wanted) or tag in _OF_THE_STEP:
                    found += 1
                elif (name, tag) not in _NOT_FOUND_HERE:
                    missed.append((name, f"{tag:08X}", line[:120]))

    assert missed == []
    assert found > 250


def test_what_dciodvfy_does_not_say_is_explained() -> None:
    unexplained = [
        (name, f"{tag:08X}", rule)
        for name, ours, theirs in _compared()
        for tag, rules in ours.items()
        for rule in rules
        if tag not in theirs and rule not in _FOUND_HERE_ALONE and not _has_stopped(name)
    ]

    assert unexplained == []


def test_files_that_are_valid_have_no_error_said_of_their_values() -> None:
    valid = {Path(row["file"]).name for row in manifest() if row["expect"].startswith("valid")}
    wrong = [
        (name, rule)
        for name, ours, _ in _compared()
        for rules in ours.values()
        for rule in rules
        if name in valid and RULES[rule].severity == "error"
    ]

    assert wrong == []
    assert len(valid) > 40
