"""The rules over a study. A finding names the series and the instances that it is about, and no value of them."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.validate.rule import Rule
from consumers.validate.study.header import Header
from streams.events import NamedInstance, StudyFinding

# What is wrong with a thousand images shows on the first few.
INSTANCES_MAX = 20
FINDINGS_MAX = 100

# Why images are held, and why none could be: silence would mean that nothing is wrong, so no site's file changes these.
CONTRADICTION, PATIENT_UNKNOWN = "patient_contradicts", "patient_not_compared"
# What is held for it is so whatever a site's file says of the finding.
CONFLICT = "instance_conflict"
# What nobody looked at is said.
PARTLY = "study_not_all_compared"

RULES: dict[str, Rule] = {
    # Patient and study
    CONTRADICTION: Rule(
        "error",
        "PS3.3 A.1.2",
        "Images of another patient are in this study. They are held until a person decides.",
        "0010,0020",
    ),
    PATIENT_UNKNOWN: Rule(
        "warning",
        None,
        "The images that say whose this study is cannot be read now: others may be of another patient.",
        "0010,0020",
    ),
    PARTLY: Rule(
        "info",
        None,
        "Not all images of this study were compared: some cannot be read now, or there are too many.",
        None,
    ),
    "patient_id_varies": Rule(
        "error", "PS3.3 A.1.2", "The Patient ID is not the same in the whole study.", "0010,0020"
    ),
    "patient_name_varies": Rule(
        "warning", "PS3.3 A.1.2", "The patient's name is not the same in the whole study.", "0010,0010"
    ),
    "birth_date_varies": Rule(
        "warning", "PS3.3 A.1.2", "The patient's birth date is not the same in the whole study.", "0010,0030"
    ),
    "sex_varies": Rule("warning", "PS3.3 A.1.2", "The patient's sex is not the same in the whole study.", "0010,0040"),
    "study_date_varies": Rule(
        "warning", "PS3.3 C.7.2.1", "The study's date is not the same in the whole study.", "0008,0020"
    ),
    "accession_varies": Rule(
        "warning", "PS3.3 C.7.2.1", "The Accession Number is not the same in the whole study.", "0008,0050"
    ),
    CONFLICT: Rule(
        "error",
        "PS3.3 C.12.1",
        "One SOP Instance UID names several images. The first received is shown and sent until a person decides.",
        "0008,0018",
    ),
    # Series
    "series_modalities": Rule("error", "PS3.3 C.7.3.1", "One series has images of several modalities.", "0008,0060"),
    "series_frames_of_reference": Rule(
        "warning", "PS3.3 C.7.4.1", "One series has several frames of reference.", "0020,0052"
    ),
    "positions_repeat": Rule(
        "warning",
        None,
        "Images of this series lie at one position and differ in nothing that would say why.",
        "0020,0032",
    ),
    "series_gap": Rule("warning", None, "Images seem to be missing between others of this series.", "0020,0032"),
    "instance_numbers_gap": Rule(
        "info", None, "Numbers are missing between those of this series' images.", "0020,0013"
    ),
    "orientation_changes": Rule("warning", None, "The orientation changes within the series.", "0020,0037"),
    "spacing_changes": Rule(
        "warning", None, "The size of pixels, or of images, changes within the series.", "0028,0030"
    ),
}


def finding(
    name: str, about: Sequence[Header | NamedInstance], series_uid: str | None = None, count: int | None = None
) -> StudyFinding:
    """`count` is how many it is about, where not all of them can be named."""
    rule = RULES[name]
    ordered = sorted(about, key=lambda one: (one.sop_instance_uid, one.digest))
    return StudyFinding(
        rule=name,
        severity=rule.severity,
        text=rule.text,
        tag=rule.tag,
        section=rule.section,
        series_uid=series_uid,
        instance_count=len(ordered) if count is None else count,
        instances=tuple(
            NamedInstance(sop_instance_uid=one.sop_instance_uid, digest=one.digest) for one in ordered[:INSTANCES_MAX]
        ),
    )
