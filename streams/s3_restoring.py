"""Objects of S3's archive classes, which answer `InvalidObjectState` until a temporary copy of them was restored.

The copy lies beside the object, under its key and version, and goes away by itself (RestoreObject of the S3 API).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from streams.config import Store
from streams.events import ObjectRef
from streams.objects import Absent, NotRestorable
from streams.s3_control import GONE, KEY_REFUSED, away

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ARCHIVED: Final = "InvalidObjectState"
# The classes that have to be asked. GLACIER_IR answers at once.
CLASSES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
# Tiering copies it within minutes of its coming; what it was away for meanwhile is within the rest.
DAYS: Final = 2
_UNDER_WAY: Final = "RestoreAlreadyInProgress"
_REFUSED: Final = KEY_REFUSED | {ARCHIVED, "NotImplemented", "MethodNotAllowed"}


@dataclass(frozen=True)
class Kept:
    """The latest version of a key. `sha256` (hex) is what the store worked out when it was put, if it keeps it."""

    version_id: str | None
    sha256: str | None


def kept(control: S3Client, config: Store, store: str, key: str) -> Kept | None:
    """What the store says of an object that it cannot give. Raises StoreAway."""
    try:
        found = control.head_object(Bucket=config.buckets[store], Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code in GONE or code == "404":
            return None
        raise away(config, code) from error
    except BotoCoreError as error:
        raise away(config, None) from error
    digest = found.get("ChecksumSHA256")
    return Kept(found.get("VersionId"), base64.b64decode(digest).hex() if digest else None)


def restore(control: S3Client, config: Store, ref: ObjectRef) -> bool:
    """Whether the referred version can be read now; where it cannot, it is asked for, once.

    Raises Absent, NotRestorable, StoreAway.
    """
    bucket = config.buckets[ref.store]
    version = {} if ref.version_id is None else {"VersionId": ref.version_id}
    try:
        found = control.head_object(Bucket=bucket, Key=ref.key, **version)  # type: ignore[arg-type]
        if found.get("StorageClass", "") not in CLASSES:
            return True
        if said := found.get("Restore"):
            return 'ongoing-request="true"' not in said
        control.restore_object(
            Bucket=bucket,
            Key=ref.key,
            RestoreRequest={"Days": DAYS, "GlacierJobParameters": {"Tier": "Standard"}},
            **version,  # type: ignore[arg-type]
        )
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        # A HEAD has no body: its errors are numbers.
        if code in GONE or code == "404":
            raise Absent(f"{ref.store}/{ref.key}") from error
        if code in _REFUSED or code == "403":
            raise NotRestorable(f"the object store at {config.endpoint} does not restore it ({code})") from error
        if code != _UNDER_WAY:
            raise away(config, code) from error
    except BotoCoreError as error:
        raise away(config, None) from error
    return False
