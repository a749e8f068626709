"""obstore's clients for the buckets of a store, and how long each waits.

A store that is down answers within five seconds, one that hangs within READ_TIMEOUT. What is read may take long as long
as it moves, so there is no limit on the whole request short of what nobody waits for. What is put has no such rule to
be had: reqwest's read timeout runs from the beginning of a request to that of its answer, also while a body of
gigabytes is on its way. So what is large is put by a client that waits for longer, by PUT_BYTES_PER_S_MIN.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import obstore.store

from streams import s3_control, s3_keys
from streams.config import Store

if TYPE_CHECKING:
    from obstore.store import ClientConfig

CONNECT_TIMEOUT = timedelta(seconds=2)
READ_TIMEOUT = timedelta(seconds=30)
REQUEST_TIMEOUT = timedelta(minutes=10)
RETRIES_MAX: Final = 2
RETRY_TIMEOUT = timedelta(seconds=3)
# Slower than that, a large object is not kept. A disk that writes 35 MB/s has as much for each of several at once.
PUT_BYTES_PER_S_MIN: Final = 4 << 20
# What is put at once, within READ_TIMEOUT; each class beyond has four times as many bytes, up to S3's most in one PUT.
PROMPT_BYTES = 64 << 20
PUT_BYTES_MAX: Final = 5 << 30


class Clients:
    """Safe for many threads. Each client has a pool of connections."""

    def __init__(self, config: Store) -> None:
        self._config = config
        self._made: dict[tuple[str, int], obstore.store.S3Store] = {}
        for bucket in config.buckets.values():
            self.of(bucket)

    def of(self, bucket: str, put_bytes: int = 0) -> obstore.store.S3Store:
        """The one to put so many bytes by, or to read by."""
        of = bucket, waited_for(put_bytes)
        # Two threads may make one at the same time; both have one of them then.
        return self._made.get(of) or self._made.setdefault(of, _open(self._config, *of))


def waited_for(put_bytes: int) -> int:
    """The most bytes of those that are waited for as long; 0 for those that are put at once."""
    if put_bytes <= PROMPT_BYTES:
        return 0
    most = PROMPT_BYTES
    while most < put_bytes:
        most *= 4
    return min(most, max(PUT_BYTES_MAX, put_bytes))


def _open(config: Store, bucket: str, put_bytes: int) -> obstore.store.S3Store:
    read_timeout = READ_TIMEOUT + timedelta(seconds=put_bytes / PUT_BYTES_PER_S_MIN)
    return obstore.store.S3Store(
        bucket,
        endpoint=config.endpoint,
        region=config.region,
        config=s3_keys.of_configuration(config),
        credential_provider=s3_keys.of_role(config),
        virtual_hosted_style_request=False,
        checksum_algorithm="SHA256",
        client_options={
            "allow_http": True,
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": read_timeout,
            "timeout": max(REQUEST_TIMEOUT, read_timeout),
            **_past_proxies(config.endpoint),
        },
        retry_config={"max_retries": RETRIES_MAX, "retry_timeout": RETRY_TIMEOUT},
    )


def _past_proxies(endpoint: str) -> ClientConfig:
    """A machine's HTTP_PROXY is not for its own loopback. Naming a proxy and excluding it is how obstore uses none."""
    if not s3_control.is_loopback(endpoint):
        return {}
    return {"proxy_url": endpoint, "proxy_excludes": ",".join(s3_control.LOOPBACK)}
