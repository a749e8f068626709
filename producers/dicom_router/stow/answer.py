"""What became of the parts, as an HTTP status and a Store Instances Response (PS3.18 table 10.5.3-1 and annex I.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from producers.dicom_router.arrival import OUT_OF_RESOURCES, SUCCESS, TOO_LARGE
from producers.dicom_router.stow.media_types import JSON
from streams.xml_model import XML, native

PLAIN: Final = "text/plain; charset=utf-8"
# Store and log come back, or a person brings them back; a sender that asks more often helps nobody.
RETRY_AFTER_S: Final = 10
_PROCESSING_FAILURE: Final = 0x0110

_SOP_CLASS, _SOP_INSTANCE, _RETRIEVE_URL = "00081150", "00081155", "00081190"
_FAILURE_REASON, _FAILED, _REFERENCED, _OTHER_FAILURES = "00081197", "00081198", "00081199", "0008119A"


@dataclass(frozen=True)
class Part:
    """What became of one part. UIDs are usable ones or empty; `status` is that of the same C-STORE."""

    sop_class_uid: str
    sop_instance_uid: str
    status: int


@dataclass(frozen=True)
class Trouble:
    """Why a body was not read to its end: what came before it stands. `sentence` holds nothing out of the body."""

    http: int
    sentence: str


@dataclass(frozen=True)
class Answer:
    http: int
    media_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def of_text(http: int, sentence: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(http, PLAIN, f"{sentence}\n".encode(), headers or {})


def try_again(sentence: str) -> Answer:
    return of_text(503, sentence, {"Retry-After": str(RETRY_AFTER_S)})


def of_parts(parts: Sequence[Part], trouble: Trouble | None, media_type: str = JSON) -> Answer:
    """`media_type` is that of the DICOM JSON model (PS3.18 annex F) or of the Native DICOM Model (PS3.19 annex A.1)."""
    http = _http(parts, trouble)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if http == 503 else {}
    if trouble:
        # RFC 7234 section 5.5, as PS3.18 section 8.4.2 has servers explain themselves.
        headers["Warning"] = f'299 radstream "{trouble.sentence}"'
    model = _response(parts, trouble)
    body = native(model) if media_type == XML else msgspec.json.encode(model)
    return Answer(http, media_type, body, headers)


def _http(parts: Sequence[Part], trouble: Trouble | None) -> int:
    failed = {part.status for part in parts if part.status != SUCCESS}
    if any(part.status == SUCCESS for part in parts):
        return 202 if failed or trouble else 200
    if OUT_OF_RESOURCES in failed:
        return 503
    if trouble:
        return trouble.http
    return 413 if failed == {TOO_LARGE} else 409


def _response(parts: Sequence[Part], trouble: Trouble | None) -> dict[str, Any]:
    """In the DICOM JSON model (PS3.18 annex F). What has no UID of its own is among the other failures."""
    kept = [_named(part) | {_RETRIEVE_URL: {"vr": "UR"}} for part in parts if part.status == SUCCESS]
    failed = [part for part in parts if part.status != SUCCESS]
    named = [_named(part) | _reason(part.status) for part in failed if part.sop_class_uid and part.sop_instance_uid]
    others = [_reason(part.status) for part in failed if not (part.sop_class_uid and part.sop_instance_uid)]
    if trouble:
        others.append(_reason(_PROCESSING_FAILURE))
    sequences = ((_FAILED, named), (_REFERENCED, kept), (_OTHER_FAILURES, others))
    return {_RETRIEVE_URL: {"vr": "UR"}} | {tag: {"vr": "SQ", "Value": items} for tag, items in sequences if items}


def _named(part: Part) -> dict[str, Any]:
    return {_SOP_CLASS: _uid(part.sop_class_uid), _SOP_INSTANCE: _uid(part.sop_instance_uid)}


def _uid(uid: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [uid]} if uid else {"vr": "UI"}


def _reason(status: int) -> dict[str, Any]:
    return {_FAILURE_REASON: {"vr": "US", "Value": [status]}}
