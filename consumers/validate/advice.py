"""What a person does about a broken rule: by its name, else by how much it matters."""

from __future__ import annotations

from consumers.validate.rules import Rule

_DEVICE = (
    "Show it to the vendor of the device that made it, with the section: its export is not as the standard wants it."
)
_TODO = {
    "released_by_hand": "Read why in the quarantine (radstream quarantine show) before you rely on the image.",
    "uid_leading_zero": "Nothing at once. Tell the vendor: other systems may refuse the image.",
    "sop_class_unknown": "Nothing. It is a private or a very new class; viewers may not show it.",
    "media_storage": "Nothing at once. The file was renamed or rewritten by an export program; tell its vendor.",
    "modality_missing": "Nothing at once: rules by modality do not fit it. Tell the vendor.",
    "patient_id_missing": "Find out whose image it is and correct it at the device, then send it again.",
    "patient_id_empty": "Find out whose image it is and correct it at the device, then send it again.",
    "transfer_syntax_unknown": "Nothing at once. Viewers may not show it; let the device send a usual syntax.",
    "pixel_data_missing": "Look at it. If there should be a picture, send it again.",
    "pixel_length": "Look at it: a part of the picture is missing. Send it again; then show it to the vendor.",
    "trailing_zeros": "Nothing. What is behind the last element is ignored.",
    "codestream_colour": "Compare its colours with the original's. Tell the vendor of what wrapped the picture.",
    "codestream_cut": "Look at it: a part of the picture is missing. Send it again; then show it to the vendor.",
    "pixel_length_excess": "Nothing. The bytes behind the picture are ignored.",
    "offset_table": "Nothing. Frames are found without the table.",
    "frames": "Look at it: frames are missing. Send it again; then show it to the vendor.",
    # Of a study
    "patient_contradicts": "Find out whose images these are, then release or reject each (radstream quarantine).",
    "patient_not_compared": "Restore the study (radstream tier restore), look yourself whose its late images are, and "
    "reject those of others (radstream quarantine reject): nothing compares them again before it has another image.",
    "study_not_all_compared": "Nothing, unless the study is archived: restored, its next revision is compared whole.",
    "patient_id_varies": "Find out whose images these are, and correct the ID at the device.",
    "patient_name_varies": "Find out whose images these are. A correction in between is no fault.",
    "birth_date_varies": "Find out whose images these are. A correction in between is no fault.",
    "sex_varies": "Find out whose images these are. A correction in between is no fault.",
    "instance_conflict": "Release or reject those that are held (radstream quarantine): the device gave one UID to "
    "several images, or they were changed on the way. Tell its vendor.",
    "series_gap": "Send the series again if images are missing at the archive.",
    "instance_numbers_gap": "Nothing, unless images are missed: then send the series again.",
    "positions_repeat": "Look whether the series was sent, or joined, twice.",
    "codestream": "Look at it: header and picture differ. Send it again; then show it to the vendor.",
}
_BY_SEVERITY = {
    "error": f"Look at the image. {_DEVICE}",
    "warning": _DEVICE,
    "info": "Nothing: it is for whoever looks after the devices.",
}


def todo(name: str, rule: Rule) -> str:
    return _TODO.get(name, _BY_SEVERITY[rule.severity])
