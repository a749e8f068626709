"""Who we are to the store: the keys of the configuration, else those of the role that AWS gives a task or a machine."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
from obstore.auth.boto3 import Boto3CredentialProvider

from streams.config import ConfigError, Store

if TYPE_CHECKING:
    from obstore.store import S3Config

# botocore asks anew when fewer than ten minutes are left of what it has.
KEPT = timedelta(minutes=10)


def of_configuration(config: Store) -> S3Config:
    if not config.access_key:
        return {}
    return {"access_key_id": config.access_key, "secret_access_key": config.secret_key}


def of_role(config: Store) -> Boto3CredentialProvider | None:
    """None where the configuration has keys. Raises ConfigError where neither is there."""
    if config.access_key:
        return None
    try:
        return Boto3CredentialProvider(boto3.session.Session(), ttl=KEPT)
    except ValueError:
        raise ConfigError(
            f"[store] {config.endpoint}: access_key is not set and this machine has no role of AWS; set access_key and "
            "secret_key"
        ) from None
