"""The store's buckets: one for each tier, on a path of its own, versioned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.client import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.errors import StackError
from streams.config import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def ensure(store: Store, place: Callable[[str], None] = lambda _: None) -> None:
    """Makes the buckets that are missing; `place` is called for each that is there. Raises StackError."""
    client = _client(store)
    try:
        there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for bucket in store.buckets.values():
            if bucket not in there:
                # Object lock, which holds need, can only be chosen here; it brings versions with it.
                client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
            place(bucket)
            if client.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
                client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    except (ClientError, BotoCoreError) as error:
        raise StackError(f"the store did not make its buckets: {error}; its log says more") from None
    finally:
        client.close()


def move_to_tier(made: Path, tier: Path) -> None:
    """The gateway makes a bucket as a folder of its root, and takes a link for a bucket too (--bucketlinks)."""
    if made.is_symlink():
        return
    made.rename(tier)
    made.symlink_to(Path("..", tier.parent.name, tier.name))


def _client(store: Store) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name=store.region,
        config=ClientConfig(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
    )
