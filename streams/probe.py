"""What an object store really enforces, tried at its own door.

S3 gateways differ, and some ignore a header without a word: an answer of 200 says nothing. Each probe writes small
objects under `.radstream-probe/`, looks at what came of them, and removes every version of them.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from streams import s3_control
from streams.config import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = ".radstream-probe/"

Verdict = Literal["enforced", "ignored", "refused", "unknown"]
"""The store does it; takes the request and does nothing; says that it does not; cannot be told from outside."""

# Without these an acknowledged image can be overwritten or stored damaged: a site must not run on such a store.
REQUIRED = ("conditional_create", "digest")

NOT_IMPLEMENTED = 501
# How a store says that it does not know a header. Anything else that it answers is about its state: a gateway that maps
# keys to files was seen to say 409, an existing directory, where its disk was full.
_NOT_OFFERED = (400, NOT_IMPLEMENTED)


@dataclass(frozen=True)
class Probe:
    """What one probe found; `detail` is a sentence for a person."""

    name: str
    verdict: Verdict
    detail: str


def missing(probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
    """Those that must be enforced and are not."""
    return tuple(probe for probe in probes if probe.name in REQUIRED and probe.verdict != "enforced")


def probe(config: Store, bucket: str) -> tuple[Probe, ...]:
    """Tries a bucket, in under a second and with a dozen objects of a few bytes.

    Raises StoreAway, also where the store fails while it is asked for what it must do: one that is full, or about to
    stop, says nothing of what it enforces.
    """
    control = s3_control.client(config)
    prefix = f"{PREFIX}{uuid.uuid4()}/"
    with s3_control.answering(config):
        # Not HEAD: a refusal of that has no body, and so does not say why.
        control.list_objects_v2(Bucket=bucket, MaxKeys=1)
        try:
            return tuple(_ask(name, ask, control, bucket, prefix) for name, ask in _PROBES.items())
        finally:
            _remove(control, bucket, prefix)


Found = tuple[Verdict, str]
Ask = Callable[["S3Client", str, str], Found]


def _ask(name: str, ask: Ask, control: S3Client, bucket: str, prefix: str) -> Probe:
    verdict: Verdict
    try:
        verdict, detail = ask(control, bucket, prefix + name)
    except ClientError as error:
        if name in REQUIRED and _status(error) not in _NOT_OFFERED:
            raise
        verdict = "unknown" if _fails(error) else "refused"
        detail = f"The store answers {error.response['Error'].get('Code', _status(error))}."
    return Probe(name, verdict, detail)


def _fails(error: ClientError) -> bool:
    """Whether the store did not get to decide: it is at fault, or full."""
    full = error.response["Error"].get("Code") in s3_control.FULL
    return full or (_status(error) >= 500 and _status(error) != NOT_IMPLEMENTED)


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _conditional_create(control: S3Client, bucket: str, key: str) -> Found:
    control.put_object(Bucket=bucket, Key=key, Body=b"first", IfNoneMatch="*")
    with _refused(by=412) as codes:
        control.put_object(Bucket=bucket, Key=key, Body=b"second", IfNoneMatch="*")
    if not codes:
        return "ignored", "A second create of one key was taken: an original could be overwritten."
    return "enforced", "A second create of one key is refused (If-None-Match)."


def _digest(control: S3Client, bucket: str, key: str) -> Found:
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    with _refused(by=400) as codes:
        control.put_object(Bucket=bucket, Key=key, Body=b"content", ChecksumSHA256=wrong)
    if not codes:
        return "ignored", "Bytes that do not match their SHA-256 were taken: damage on the way would be stored."
    return "enforced", "Bytes that do not match their SHA-256 are refused."


def _versioning(control: S3Client, bucket: str, key: str) -> Found:
    status = control.get_bucket_versioning(Bucket=bucket).get("Status", "off")
    kept = control.put_object(Bucket=bucket, Key=key, Body=b"v").get("VersionId")
    if status == "Enabled" and kept:
        return "enforced", "Older versions of an object are kept."
    return "ignored", f"Versioning is {status}: what is deleted or replaced is gone."


def _object_lock(control: S3Client, bucket: str, key: str) -> Found:
    """By a legal hold, which can be taken away again; a retention could not be."""
    version = control.put_object(Bucket=bucket, Key=key, Body=b"held").get("VersionId", "")
    if not version:
        return "refused", "No versions, so nothing can be held."
    control.put_object_legal_hold(Bucket=bucket, Key=key, VersionId=version, LegalHold={"Status": "ON"})
    try:
        with _refused() as codes:
            control.delete_object(Bucket=bucket, Key=key, VersionId=version)
    finally:
        with _refused():
            control.put_object_legal_hold(Bucket=bucket, Key=key, VersionId=version, LegalHold={"Status": "OFF"})
    if not codes:
        return "ignored", "An object under a legal hold was deleted."
    return "enforced", "An object under a legal hold cannot be deleted."


def _storage_class(control: S3Client, bucket: str, key: str) -> Found:
    control.put_object(Bucket=bucket, Key=key, Body=b"c", StorageClass="STANDARD_IA")
    kept = control.head_object(Bucket=bucket, Key=key).get("StorageClass", "STANDARD")
    if kept == "STANDARD_IA":
        return "enforced", "Storage classes are kept."
    return "ignored", f"Storage class STANDARD_IA was taken and became {kept}: tiers need buckets of their own."


def _encryption(control: S3Client, bucket: str, key: str) -> Found:
    control.put_object(Bucket=bucket, Key=key, Body=b"e", ServerSideEncryption="AES256")
    said = control.head_object(Bucket=bucket, Key=key).get("ServerSideEncryption")
    if said == "AES256":
        return "enforced", "The store says that it encrypts what it holds (SSE-S3)."
    return "ignored", "Encryption was asked for and not done: encrypt the disk below the store."


def _lifecycle(control: S3Client, bucket: str, _: str) -> Found:
    """Reads only: the rules of a bucket are its owner's."""
    with _refused() as codes:
        control.get_bucket_lifecycle_configuration(Bucket=bucket)
    if codes and codes[0] != "NoSuchLifecycleConfiguration":
        return "refused", f"The store answers {codes[0]} to lifecycle rules: nothing expires or moves by itself."
    return "unknown", "The store takes lifecycle rules; whether it follows them shows only in time."


_PROBES: dict[str, Ask] = {
    "conditional_create": _conditional_create,
    "digest": _digest,
    "versioning": _versioning,
    "object_lock": _object_lock,
    "storage_class": _storage_class,
    "encryption": _encryption,
    "lifecycle": _lifecycle,
}


@contextmanager
def _refused(by: int | None = None) -> Iterator[list[str]]:
    """Collects the code of a refusal; the list stays empty where the request was taken. A failure is no refusal.

    `by` is the status that says that it is refused for what was asked, and not for the state that the store is in.
    """
    codes: list[str] = []
    try:
        yield codes
    except ClientError as error:
        if _fails(error) or (by and _status(error) != by):
            raise
        codes.append(error.response["Error"].get("Code", "no code"))


def _remove(control: S3Client, bucket: str, prefix: str) -> None:
    page: Any
    for page in control.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            control.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
