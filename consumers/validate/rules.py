"""The rules: what each finding is called, how much it matters, where the standard says so.

A finding's text is the rule's own: no value of a file ever gets into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from consumers.validate import iod, pixels, quality, values
from consumers.validate.levels import Said
from consumers.validate.rule import Broken, Rule
from streams.events import Finding

__all__ = ["FINDINGS_MAX", "RULES", "Broken", "Rule", "at_site", "limited", "named"]

FINDINGS_MAX = 100

_MATTERS = ("error", "warning", "info")

RULES: dict[str, Rule] = {
    "findings_left_out": Rule("info", None, "findings that matter less are not listed: there are too many."),
    # People
    "released_by_hand": Rule(
        "error", None, "This image was held, and a person let it go: the quarantine says why, by whom and when."
    ),
    # Names
    "uid_leading_zero": Rule("warning", "PS3.5 9.1", "A component of this UID begins with a zero."),
    "sop_class_missing": Rule("error", "PS3.3 C.12.1", "There is no SOP Class UID.", "0008,0016"),
    "sop_class_unknown": Rule(
        "info", "PS3.6 A", "Our list of the standard's SOP classes does not have this one.", "0008,0016"
    ),
    "media_storage": Rule(
        "error", "PS3.10 7.1", "The file header names another SOP class or instance than the data set.", "0002,0003"
    ),
    "modality_missing": Rule("error", "PS3.3 C.7.3.1", "There is no Modality.", "0008,0060"),
    "patient_id_missing": Rule("error", "PS3.3 C.7.1.1", "The Patient ID element is absent.", "0010,0020"),
    "patient_id_empty": Rule("warning", "PS3.3 C.7.1.1", "The Patient ID is empty.", "0010,0020"),
    # Encoding
    "transfer_syntax_unknown": Rule(
        "warning", "PS3.6 A", "Our list of the standard's transfer syntaxes does not have this one.", "0002,0010"
    ),
    "transfer_syntax": Rule(
        "error", "PS3.5 10", "The data set is not written in the transfer syntax that its header names.", "0002,0010"
    ),
    "vr": Rule("error", "PS3.5 6.2", "An element has a value representation that does not exist."),
    "order": Rule("error", "PS3.5 7.1", "Elements do not stand in ascending order of their tags."),
    "repeated": Rule("error", "PS3.5 7.1", "An element occurs twice."),
    "trailing_zeros": Rule(
        "warning",
        "PS3.5 7.1",
        "The file is filled up with zeros behind its last element; some readers stumble over them.",
    ),
    "odd_length": Rule("warning", "PS3.5 7.1.1", "A value has an odd number of bytes."),
    # Pixel data
    "pixel_header": Rule("error", "PS3.3 C.7.6.3", "Without a legal value of this, pixel data cannot be understood."),
    "pixel_data_missing": Rule("error", "PS3.3 C.7.6.3", "This is an image without pixel data.", "7FE0,0010"),
    "pixel_length": Rule(
        "error", "PS3.5 8.1", "There are fewer bytes of pixel data than the header says.", "7FE0,0010"
    ),
    "pixel_length_excess": Rule(
        "warning", "PS3.5 8.1", "There are more bytes of pixel data than the header says.", "7FE0,0010"
    ),
    "pixel_encoding": Rule(
        "error", "PS3.5 A.4", "Pixel data is encapsulated where its syntax says native, or the reverse.", "7FE0,0010"
    ),
    "frames": Rule("error", "PS3.5 A.4", "There are fewer fragments than frames.", "0028,0008"),
    "codestream": Rule(
        "error", "PS3.5 8.2", "The first frame's codestream has another size than the header says.", "7FE0,0010"
    ),
    **values.RULES,
    **pixels.RULES,
    **quality.RULES,
    **iod.RULES,
}


def named(broken: Iterable[Broken]) -> Iterable[Finding]:
    """Findings of rules by name, with a place where the rule has none of its own."""
    return (RULES[name].broken(name, place) for name, place in broken)


def at_site(findings: Iterable[Finding], said: Mapping[str, Said] | None = None) -> tuple[Finding, ...]:
    """`said` is the site's word on rules: another severity, or that nobody wants to know. See `limited`."""
    return limited(tuple(_at_this_site(findings, said or {})))


def _at_this_site(findings: Iterable[Finding], said: Mapping[str, Said]) -> Iterable[Finding]:
    for finding in findings:
        if finding.rule not in said:
            yield finding
        elif (level := said[finding.rule].level) != "off":
            yield structs.replace(finding, severity=level)


def limited(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """All, or of more than FINDINGS_MAX those that matter most, in their order, and how many were left out."""
    if len(findings) <= FINDINGS_MAX:
        return tuple(findings)
    kept = sorted(range(len(findings)), key=lambda at: (_MATTERS.index(findings[at].severity), at))[: FINDINGS_MAX - 1]
    said = RULES["findings_left_out"].broken("findings_left_out", None)
    text = f"{len(findings) - len(kept)} {said.text}"
    return (*(findings[at] for at in sorted(kept)), structs.replace(said, text=text))
