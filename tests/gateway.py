"""A versitygw of a test's own, over a folder of its own: one that may be damaged, stopped and filled."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from infra.local.tools import gateway
from streams import s3_control
from streams.config import Store
from tests.frozen import freeze
from tests.ports import free_port
from tests.waiting import wait_until

BUCKETS = {"hot": "hot", "warm": "warm"}


@dataclass(frozen=True)
class Gateway:
    config: Store
    root: Path
    process: subprocess.Popen[bytes]

    def file(self, store: str, key: str) -> Path:
        """The file that holds an object's latest version."""
        return self.root / self.config.buckets[store] / key

    def make_buckets(self) -> None:
        control = s3_control.client(self.config)
        for bucket in self.config.buckets.values():
            control.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)

    def freeze(self) -> None:
        freeze(self.process.pid)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def run_gateway(folder: Path, port: int | None = None) -> Iterator[Gateway]:
    """Starts a gateway with the options of the local stack, on a new folder or one used before, and kills it."""
    for name in ("root", "versions"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    store = Store(endpoint=f"http://127.0.0.1:{port}", access_key="test", secret_key="test-secret", buckets=BUCKETS)
    posix = ("posix", "--bucketlinks", "--disable-object-lock-file", "--versioning-dir", str(folder / "versions"))
    process = subprocess.Popen(
        [gateway.versitygw(print), "--port", f"127.0.0.1:{port}", "--health", "/up", *posix, str(folder / "root")],
        env={**os.environ, "ROOT_ACCESS_KEY_ID": store.access_key, "ROOT_SECRET_ACCESS_KEY": store.secret_key},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _answers(f"{store.endpoint}/up"), "the gateway's health")
        yield Gateway(store, folder / "root", process)
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, timeout=1.0, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False
