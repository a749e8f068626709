"""What is to be said of a file: the same for the step, and for files that nobody has sent (`radstream validate`).

Only what is unreadable or unidentifiable is held here; everything else is a finding, and the image flows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from pydicom.config import IGNORE
from pydicom.uid import UID

from consumers.validate import iod, pixels, quality, rules, values
from consumers.validate.config import ELEMENTS_BELIEVED, INFLATED_BELIEVED_BYTES, Limits
from consumers.validate.once import said_once
from consumers.validate.rule import Broken
from streams import elements, part10
from streams.elements import Malformed, TooComplex
from streams.events import Finding, Instance
from streams.identity import uid_has_leading_zero, uid_is_usable
from streams.mapped import File
from streams.part10 import Part10
from streams.step import Quarantine

SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
MODALITY, PATIENT_ID = 0x00080060, 0x00100020
MEDIA_STORAGE_CLASS, MEDIA_STORAGE_INSTANCE = 0x00020002, 0x00020003
# Media Storage Directory Storage (PS3.3 annex F, PS3.10 section 8.6): a DICOMDIR has a SOP class in its header alone.
_DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
# Objects of no patient and no study: hanging protocols, palettes, implants, defined protocols and inventories
# (PS3.4 annex GG).
_WITHOUT_STUDY = frozenset(
    f"1.2.840.10008.5.1.4.{number}"
    for number in ("1.1.200.1", "1.1.200.3", "1.1.200.7", "1.1.201.1", "38.1", "39.1", "43.1", "44.1", "45.1")
)
_OF_NO_STUDY = "It is of no patient and no study: a palette, a hanging protocol or a template. Studies are kept here."
_DIRECTORY = "It is a DICOMDIR: the list of what is on a disc or stick, and no image. Send the images that it lists."
_ILLEGAL = "UIDs of digits and dots, at most 64 characters, are what an instance is known by; one of these is not."


@dataclass(frozen=True)
class Verdict:
    """`held` says why an instance is quarantined. `findings` are all there are, as the rules have them; of a file that
    can be read and that no event announced they are there beside the reason, for who asks before anything is sent.

    `sop_class` and `modality` are what the data set says, for those who ask what a site's rules say of such an image.
    """

    held: Quarantine | None = None
    findings: tuple[Finding, ...] = ()
    metadata_sha256: str | None = None
    sop_class: str | None = None
    modality: str | None = None


def judged(data: File, limits: Limits, received_at: datetime, announced: Instance | None = None) -> Verdict:
    """The verdict on a file's bytes. `announced` is what an event said that it is, where there was one."""
    file = opened(data, limits)
    if isinstance(file, Quarantine):
        return Verdict(file)
    held = unidentified(file, announced)
    if held and announced:
        return Verdict(held)  # An event of what is held has no findings: nothing is decoded for them.
    findings, metadata_sha256 = findings_of(file, limits, received_at), part10.metadata_sha256(file)
    return Verdict(held, findings, metadata_sha256, file.text(SOP_CLASS), file.text(MODALITY))


def too_large(size: int, limits: Limits) -> Quarantine | None:
    """Whether a file of `size` bytes is read at all."""
    if size > limits.object_bytes_max:
        return Quarantine("too_large", "It is larger than this site's limit for one object (object_bytes_max).")
    return None


def opened(data: File, limits: Limits) -> Part10 | Quarantine:
    """The file, walked through; or why that cannot be."""
    ceilings, names = _ceilings(len(data), limits)
    try:
        return part10.read(data, ceilings)
    except TooComplex as error:
        name = names.get(error.limit)
        met = f"The limit that it met is {name}." if name else "No setting raises this limit."
        return Quarantine("too_complex", f"{error} {met}")
    except Malformed as error:
        return Quarantine("truncated" if error.code == "truncated" else "unreadable", str(error))


def _ceilings(size: int, limits: Limits) -> tuple[elements.Limits, dict[str, str]]:
    """What a file of `size` bytes may cost, and by what settings: what few bytes can ask for is less."""
    inflated = max(INFLATED_BELIEVED_BYTES, limits.inflated_ratio_max * size)
    count = max(ELEMENTS_BELIEVED, size // limits.element_bytes_min)
    ceilings = elements.Limits(
        elements=min(limits.elements_max, count),
        depth=limits.depth_max,
        inflated_bytes=min(limits.inflated_bytes_max, inflated),
    )
    return ceilings, {
        "elements": "element_bytes_min" if count < limits.elements_max else "elements_max",
        "depth": "depth_max",
        "inflated_bytes": "inflated_ratio_max" if inflated < limits.inflated_bytes_max else "inflated_bytes_max",
    }


def unidentified(file: Part10, announced: Instance | None) -> Quarantine | None:
    """Why an instance cannot be told from others, or None. Its UIDs must be there, legal, and those of the event."""
    if file.meta.get(MEDIA_STORAGE_CLASS) == _DIRECTORY_CLASS and file.text(SOP_CLASS) in (None, "", _DIRECTORY_CLASS):
        return Quarantine("media_directory", _DIRECTORY)
    if file.text(SOP_CLASS) in _WITHOUT_STUDY and not file.text(STUDY):
        return Quarantine("without_study", _OF_NO_STUDY)
    uids = [file.text(tag) or "" for tag in (STUDY, SERIES, SOP_INSTANCE)]
    for uid, level in zip(uids, ("Study", "Series", "SOP"), strict=True):
        if not uid:
            return Quarantine("unidentifiable", f"It has no {level} Instance UID; send it again with one.")
    if not all(uid_is_usable(uid) for uid in uids):
        return Quarantine("illegal_uid", _ILLEGAL)
    if announced and uids != [announced.study_uid, announced.series_uid, announced.sop_instance_uid]:
        return Quarantine("uids_differ", "The stored data set has other UIDs than the event that announced it.")
    return None


def findings_of(file: Part10, limits: Limits, received_at: datetime) -> tuple[Finding, ...]:
    """All that can be said of a file. What is in the future is so at `received_at`."""
    return tuple(said_once((*rules.named(_broken(file, limits, received_at)), *iod.check(file).findings)))


def _broken(file: Part10, limits: Limits, received_at: datetime) -> Iterator[Broken]:
    yield from _names(file)
    yield from ((name, None) for name in sorted(file.oddities))
    if _kind_of(file.transfer_syntax_uid) != "Transfer Syntax":
        yield "transfer_syntax_unknown", None
    yield from pixels.check(file, limits, is_image=_is_image(file))
    yield from quality.check(file, received_at)
    yield from values.check(file)


def _names(file: Part10) -> Iterator[Broken]:
    for tag in (SOP_CLASS, SOP_INSTANCE, STUDY, SERIES):
        if uid_has_leading_zero(file.text(tag) or ""):
            yield "uid_leading_zero", tag
    sop_class = file.text(SOP_CLASS)
    if not sop_class:
        yield "sop_class_missing", None
    elif _kind_of(sop_class) != "SOP Class":
        yield "sop_class_unknown", None
    stored = (file.meta.get(MEDIA_STORAGE_CLASS), file.meta.get(MEDIA_STORAGE_INSTANCE))
    if stored != (sop_class, file.text(SOP_INSTANCE)):
        yield "media_storage", None
    known = iod.knows(sop_class or "")
    if not known and not file.text(MODALITY):
        yield "modality_missing", None
    if not known and PATIENT_ID not in file.elements:
        yield "patient_id_missing", None
    if PATIENT_ID in file.elements and file.elements[PATIENT_ID].length == 0:
        yield "patient_id_empty", None


def _is_image(file: Part10) -> bool:
    """Whether there should be pixel data: it has an image's measures, or its SOP class is one of images."""
    if pixels.ROWS in file.elements and pixels.COLUMNS in file.elements:
        return True
    return _name_of(file.text(SOP_CLASS) or "").endswith("Image Storage")


@lru_cache(maxsize=1024)
def _kind_of(uid: str) -> str:
    """What the standard's registry (PS3.6 annex A) says a UID is: 'SOP Class', 'Transfer Syntax', or nothing."""
    known = _uid(uid)
    return known.type if not known.is_private else ""


@lru_cache(maxsize=1024)
def _name_of(uid: str) -> str:
    return _uid(uid).name


def _uid(text: str) -> UID:
    """Whatever it is: pydicom would warn of what is no UID, and log it."""
    return UID(text, validation_mode=IGNORE)
