"""What a request asks for, out of its head alone (PS3.18 sections 8 and 10.5.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from producers.dicom_router.stow.media_types import DICOM, JSON, of_answer, parsed
from streams.identity import uid_is_usable
from streams.xml_model import XML

# RFC 2046 section 5.1.1.
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]\Z")
_PATH: Final = re.compile(r"(?:https?://[^/]*)?/studies(?:/(?P<study>[^/]*))?\Z")
_PLAIN_ENCODINGS: Final = frozenset(("", "identity"))
# What a request that is refused for its type or its coding may be instead (RFC 9110 section 15.5.16).
_TAKEN: Final = {"Accept": f'multipart/related; type="{DICOM}"'}
_UNCODED: Final = {"Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Accepted:
    """A request to store. `study_uid` is the study that its path names, or empty; `answer` the answer's media type."""

    study_uid: str
    boundary: bytes
    answer: str


@dataclass(frozen=True)
class Rejected:
    """Answered without a look at the body. `sentence` is for a person; `headers` say what can be had instead."""

    status: int
    sentence: str
    headers: Mapping[str, str] = field(default_factory=dict)


def read(method: str, target: str, headers: Mapping[str, str]) -> Accepted | Rejected:
    """`headers` by name in lower case."""
    path = _PATH.match(target.partition("?")[0])
    if path is None:
        return Rejected(404, "Here are /studies and /studies/{StudyInstanceUID}, to POST to (STOW-RS).")
    if method != "POST":
        return Rejected(405, "Only POST: studies are stored here and not retrieved.", {"Allow": "POST"})
    study = path["study"]
    if study is not None and not uid_is_usable(study):
        return Rejected(400, "The study that the path names is not a UID.")
    if (answer := of_answer(headers.get("accept", ""))) is None:
        return Rejected(406, f"The answer is {JSON} or {XML}, and the request accepts no such thing.")
    if headers.get("content-encoding", "").strip().lower() not in _PLAIN_ENCODINGS:
        return Rejected(415, "The body has a content encoding: send it without.", _UNCODED)
    boundary = _boundary(headers.get("content-type", ""))
    return boundary if isinstance(boundary, Rejected) else Accepted(study or "", boundary, answer)


def _boundary(content_type: str) -> bytes | Rejected:
    kind, parameters = parsed(content_type)
    if kind != "multipart/related":
        return Rejected(415, f'The body has to be multipart/related; type="{DICOM}".', _TAKEN)
    of = parsed(parameters.get("type", DICOM))[0]
    if of != DICOM:
        return Rejected(
            415, f"Parts of {DICOM} are stored, files with all they have; metadata and bulk data are not.", _TAKEN
        )
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.match(boundary):
        return Rejected(400, "The content type names no boundary, or none that RFC 2046 allows.")
    return boundary.encode("ascii")
