"""Without keys in the configuration the store is used with the credentials that AWS gives a task or a machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from streams.s3 import S3Store
from tests.gateway import run_gateway
from tests.store_suite import HOT, new


@contextmanager
def credentials_of_the_task(access_key: str, secret_key: str) -> Iterator[str]:
    """What the agent of a container service answers (Amazon ECS, task IAM roles); gives its address."""
    ends = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"AccessKeyId": access_key, "SecretAccessKey": secret_key, "Token": "", "Expiration": ends, "RoleArn": "r"}

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Agent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/role"
        server.shutdown()
        thread.join()


def test_a_role_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_gateway(tmp_path) as gateway:
        gateway.make_buckets()
        keys = gateway.config.access_key, gateway.config.secret_key
        with credentials_of_the_task(*keys) as agent:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent)
            monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "none")
            monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
            store = S3Store(msgspec.structs.replace(gateway.config, access_key="", secret_key=""))
            ref = store.create(new("by-role", b"x")).ref
            assert store.read(ref) == b"x"
            assert [key for key, _ in store.keys(HOT, ref.key)] == [ref.key]
