"""Why an instance is held, in words for a technologist, and whether a person can let it go.

Only what cannot be read, cannot be named, contradicts its own patient, or would take another image's place is held.
Nothing here can be switched off.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.events import Instance
from streams.held import CONTRADICTS, OTHER_CONTENT


@dataclass(frozen=True)
class Reason:
    """`text` says what is wrong, `todo` what a person does. `keeps` says why it can never be let go, or is None."""

    text: str
    todo: str
    keeps: str | None = None


_NAMELESS = "nobody could ask for it: what has no legal UIDs cannot be served, forwarded or found"
REASONS = {
    "unreadable": Reason(
        "The file is not readable as DICOM.",
        "Send it again from the device. If it comes the same way twice, its export is broken: tell the vendor.",
    ),
    "truncated": Reason(
        "The file ends before its data set does: a part is missing.",
        "Send it again; the transfer or the disk it came from was cut short. Release it only if no whole one exists.",
    ),
    "too_complex": Reason(
        "The file has more elements, deeper sequences or a larger inflated data set than this site reads.",
        "Ask what it is. If such files are meant to come here, raise the limit that the detail names in "
        "[validate.limits] (lower element_bytes_min), or release it.",
    ),
    "too_large": Reason(
        "The file is larger than this site's limit for one object.",
        "Raise object_bytes_max in [validate] limits if objects of this size are meant to come here.",
    ),
    "hash_mismatch": Reason(
        "The stored bytes are not those that were acknowledged to the sender.",
        "Do not send or release anything: tell whoever runs the archive. The copy is damaged or was changed.",
        "other bytes would be served under the name of what was received",
    ),
    "unidentifiable": Reason(
        "A Study, Series or SOP Instance UID is missing.",
        "Send it again from a system that gives it UIDs.",
        _NAMELESS,
    ),
    "media_directory": Reason(
        "This is a DICOMDIR: the directory of a disc or another medium, which lists images and is none.",
        "Send the images of the medium, without it. Nothing is missing here: reject this one.",
        _NAMELESS,
    ),
    "without_study": Reason(
        "This is an object of no patient and no study, such as a palette, a hanging protocol or an implant's template.",
        "Keep it where it is used: this archive keeps studies. Nothing is wrong with it: reject this one.",
        _NAMELESS,
    ),
    "illegal_uid": Reason(
        "A UID has other characters than digits and dots, or more than 64 of them.",
        "The device or export program makes illegal UIDs: tell the vendor, and send the study from elsewhere.",
        _NAMELESS,
    ),
    "uids_differ": Reason(
        "The stored data set has other UIDs than those that were announced.",
        "Tell whoever runs the archive: this is no fault of the device.",
        "it would be served under the UIDs of another instance",
    ),
    CONTRADICTS: Reason(
        "The image says another patient than the study it belongs to.",
        "Find out whose image it is before anybody reads it. Release it if it is this patient's; else reject it, and "
        "send it again under the right patient.",
    ),
    OTHER_CONTENT: Reason(
        "Another image came first under the same SOP Instance UID, and is the one that is shown and sent.",
        "Look at both: the device gave one UID to two images, or this is the same one, changed. Reject it; or release "
        "it in place of the first, which is rejected then.",
    ),
    "rejected": Reason(
        "A person rejected it.",
        "Send it again under the right patient, if it is another's. If that was a slip, release it with --again.",
    ),
}
_OTHER = Reason("It is held for a reason that this version has no words for.", "Read the detail, and ask the support.")


def reason_of(code: str) -> Reason:
    return REASONS.get(code, _OTHER)


def refusal(instance: Instance, code: str) -> str | None:
    """Why a held instance can never be let go; None where a person may."""
    if reason_of(code).keeps is None and not all((instance.study_uid, instance.series_uid, instance.sop_instance_uid)):
        return _NAMELESS
    return reason_of(code).keeps
