"""The store's buckets: one for each tier, on a path of its own, versioned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.client import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from infra.local import ports
from infra.local.errors import StackError
from infra.local.parts.part import Site
from infra.local.parts.store import BUCKETS, folders

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def ensure(site: Site) -> None:
    """Makes what is missing. Raises StackError where the store refuses."""
    client = _client(site)
    root, _, tiers = folders(site)
    try:
        for name in BUCKETS:
            if not (root / name).exists():
                # Object lock, which holds need, can only be chosen here; it brings versions with it.
                client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
            _move(root / name, tiers / name)
            if client.get_bucket_versioning(Bucket=name).get("Status") != "Enabled":
                client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    except (ClientError, BotoCoreError) as error:
        raise StackError(f"the store did not make bucket {name}: {error}; see logs/store.log") from None


def _move(made: Path, tier: Path) -> None:
    """The gateway makes a bucket as a folder of its root, and takes a link for a bucket too (--bucketlinks)."""
    if made.is_symlink():
        return
    made.rename(tier)
    made.symlink_to(Path("..", tier.parent.name, tier.name))


def _client(site: Site) -> S3Client:
    secrets = site.state.secrets
    return boto3.client(
        "s3",
        endpoint_url=f"http://{ports.HOST}:{site.state.ports['store']}",
        aws_access_key_id=secrets.access_key,
        aws_secret_access_key=secrets.secret_key,
        region_name="us-east-1",
        config=ClientConfig(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
    )
