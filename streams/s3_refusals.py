"""What a store answers of one object that it takes at no time, and of nothing else.

Only what speaks of the request itself counts. What can be the state of a store, a proxy or an access key is none:
AccessDenied, a quota (MinIO answers 400 to that), an expired token (400 on AWS), InvalidRequest, a digest that did not
fit, a bare 400, InvalidArgument (Ceph's gateway says it of every EINVAL of its cluster). Who answers that is away as
far as one can tell; an object that fails alone shows as such in time.
"""

from __future__ import annotations

import re
from typing import Final

CODES: Final = frozenset(
    {
        # AWS, versitygw and MinIO answer them with 400.
        "EntityTooLarge",
        "KeyTooLongError",
        "InvalidURI",
        "MetadataTooLarge",
        "XMinioInvalidObjectName",
        # Ceph's and Google's words.
        "InvalidObjectName",
        "KeyTooLong",
    }
)
# Those of a proxy have no code (RFC 9110 sections 15.5.14 and 15.5.15).
STATUSES: Final = frozenset({"413", "414"})

_CODE = re.compile(r"<Code>(\w+)</Code>")
# obstore gives an answer as text only; its own words come before those of the answer.
_STATUS = re.compile(r"non-2xx status code: (\d{3})\b")


def code(error: Exception) -> str | None:
    """The code in an S3 error document; None where there was no such answer."""
    match = _CODE.search(str(error))
    return match[1] if match else None


def answer(error: Exception) -> str | None:
    """The code, or the HTTP status of an answer without one; None where there was no answer."""
    match = _STATUS.search(str(error))
    return code(error) or (match[1] if match else None)


def refusal(error: Exception) -> str | None:
    """What the store refuses an object by, a code or a status; None where it does not say that."""
    match = _STATUS.search(str(error))
    if (said := code(error)) in CODES:
        return said
    return (said or match[1]) if match and match[1] in STATUSES else None
