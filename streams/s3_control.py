"""The object store's control plane, by boto3. Bytes go through `streams.s3`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config as Tuning
from botocore.exceptions import BotoCoreError, ClientError

from streams.config import Store
from streams.objects import Listed, StoreAway

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 30
ATTEMPTS_MAX = 2

LOOPBACK = ("127.0.0.1", "localhost", "::1")

# What S3 and its gateways answer where the fault is in the configuration.
KEY_REFUSED = {
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "XAdminUserNotFound",  # versitygw's word, with status 404
}
FULL = {"InsufficientStorage", "QuotaExceeded"}
# What S3 and versitygw answer to the deletion of a version that an object lock protects.
LOCKED = {"AccessDenied", "ObjectLocked"}
# What is gone already. S3 answers 204 to that; versitygw too, unless the key has another version.
GONE = {"NoSuchVersion", "NoSuchKey"}


def client(config: Store) -> S3Client:
    """A boto3 client, safe for many threads. Path-style addresses: a bucket is no host name here."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=config.endpoint,
        # None: the role's.
        aws_access_key_id=config.access_key or None,
        aws_secret_access_key=config.secret_key or None,
        region_name=config.region,
        config=Tuning(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"total_max_attempts": ATTEMPTS_MAX, "mode": "standard"},
            s3={"addressing_style": "path"},
            # Empty is 'none', and None is 'those of the environment'.
            proxies={} if is_loopback(config.endpoint) else None,
        ),
    )


def is_loopback(endpoint: str) -> bool:
    return urlsplit(endpoint).hostname in LOOPBACK


def away(config: Store, code: str | None) -> StoreAway:
    """The error for a store that answers `code`, or does not answer at all (None): what happened and what to do."""
    if code is None:
        return StoreAway(f"the object store at {config.endpoint} does not answer; start it, or mend [store] endpoint")
    if code in KEY_REFUSED:
        return StoreAway(f"the object store at {config.endpoint} refuses the access key ({code}); mend [store]")
    if code in FULL:
        return StoreAway(f"the object store at {config.endpoint} is full ({code}); free space where its data are")
    if code == "NoSuchBucket":
        return StoreAway(f"a bucket is missing at {config.endpoint}; `radstream up` creates those of [store.buckets]")
    return StoreAway(f"the object store at {config.endpoint} answered {code}; its own log says more")


@contextmanager
def answering(config: Store) -> Iterator[None]:
    """Turns boto3's errors into StoreAway."""
    try:
        yield
    except ClientError as error:
        raise away(config, error.response["Error"].get("Code")) from error
    except BotoCoreError as error:
        raise away(config, None) from error


def list_keys(control: S3Client, config: Store, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Key and size (bytes) of each object under a prefix, in key order. Raises StoreAway."""
    with answering(config):
        for page in control.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                yield entry["Key"], entry["Size"]


def list_versions(control: S3Client, config: Store, bucket: str, prefix: str) -> Iterator[Listed]:
    """The latest version of each key under a prefix, in key order; keys whose latest is a delete marker are left out.

    Raises StoreAway.
    """
    with answering(config):
        for page in control.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Versions", ()):
                if entry["IsLatest"]:
                    version_id = entry["VersionId"]
                    kept = None if version_id == "null" else version_id
                    yield Listed(entry["Key"], entry["Size"], kept, entry["LastModified"])


def delete_version(control: S3Client, config: Store, bucket: str, key: str, version_id: str) -> bool:
    """Deletes one version; False where an object lock forbids it. Raises StoreAway."""
    try:
        control.delete_object(Bucket=bucket, Key=key, VersionId=version_id)
    except ClientError as error:
        code = error.response["Error"].get("Code")
        if code in LOCKED:
            return False
        if code not in GONE:
            raise away(config, code) from error
    except BotoCoreError as error:
        raise away(config, None) from error
    return True
