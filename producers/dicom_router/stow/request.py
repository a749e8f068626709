"""What a request asks for, out of its head alone (PS3.18 sections 8 and 10.5.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Final

from streams.identity import uid_is_usable

DICOM: Final = "application/dicom"
JSON: Final = "application/dicom+json"
# RFC 2046 section 5.1.1.
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]\Z")
_PATH: Final = re.compile(r"(?:https?://[^/]*)?/studies(?:/(?P<study>[^/]*))?\Z")
_PLAIN_ENCODINGS: Final = frozenset(("", "identity"))
# What the answer can be sent as, for clients that ask for more or less than its own name.
_TAKES_JSON: Final = frozenset((JSON, "application/json", "application/*", "*/*"))


@dataclass(frozen=True)
class Accepted:
    """A request to store. `study_uid` is the study that its path names, or empty."""

    study_uid: str
    boundary: bytes


@dataclass(frozen=True)
class Rejected:
    """Answered without a look at the body. `sentence` is for a person; `allow` names the methods of the resource."""

    status: int
    sentence: str
    allow: str = ""


def read(method: str, target: str, headers: Mapping[str, str]) -> Accepted | Rejected:
    """`headers` by name in lower case."""
    path = _PATH.match(target.partition("?")[0])
    if path is None:
        return Rejected(404, "Here are /studies and /studies/{StudyInstanceUID}, to POST to (STOW-RS).")
    if method != "POST":
        return Rejected(405, "Only POST: studies are stored here and not retrieved.", allow="POST")
    study = path["study"]
    if study is not None and not uid_is_usable(study):
        return Rejected(400, "The study that the path names is not a UID.")
    if not _takes_json(headers.get("accept", "")):
        return Rejected(406, f"The answer is {JSON}, and the request accepts no such thing.")
    if headers.get("content-encoding", "").strip().lower() not in _PLAIN_ENCODINGS:
        return Rejected(415, "The body has a content encoding: send it without.")
    return _body(headers.get("content-type", ""), study or "")


def _body(content_type: str, study: str) -> Accepted | Rejected:
    kind, parameters = _typed(content_type)
    if kind != "multipart/related":
        return Rejected(415, f'The body has to be multipart/related; type="{DICOM}".')
    of = parameters.get("type", DICOM).lower()
    if of != DICOM:
        return Rejected(415, f"Parts of {DICOM} are stored, files with all they have; metadata and bulk data are not.")
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.match(boundary):
        return Rejected(400, "The content type names no boundary, or none that RFC 2046 allows.")
    return Accepted(study, boundary.encode("ascii"))


def media_type(content_type: str) -> str:
    """Type and subtype in lower case, without parameters."""
    return _typed(content_type)[0]


def _typed(content_type: str) -> tuple[str, Mapping[str, str]]:
    """Type and parameters (RFC 2045 section 5.1); an empty type where the text is none."""
    message = Message()
    message["content-type"] = content_type
    first, *rest = message.get_params([("", "")])
    parameters = {name.lower(): value.strip() for name, value in rest}
    return first[0].strip().lower(), parameters


def _takes_json(accept: str) -> bool:
    """Whether the answer may be JSON (RFC 9110 section 12.5.1). An absent header takes anything."""
    if not accept.strip():
        return True
    return any(media_type(part) in _TAKES_JSON and not _excluded(part) for part in accept.split(","))


def _excluded(part: str) -> bool:
    return re.search(r";\s*q\s*=\s*0(\.0*)?\s*\Z", part) is not None
