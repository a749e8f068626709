"""`radstream status` where nothing runs: one message, no stack trace."""

import os
import subprocess
import sys
from pathlib import Path

from tests.ports import free_port

CONFIG = """
[site]
tenant = "local"
site = "local"
[kafka]
bootstrap = "127.0.0.1:{port}"
[store]
endpoint = "http://127.0.0.1:{port}"
access_key = "a"
secret_key = "b"
buckets = {{hot = "hot"}}
[catalog]
http_port = 1
dsn = "postgresql://nobody:nothing@127.0.0.1:{port}/none"
"""


def test_a_database_that_is_away_is_one_message(tmp_path: Path):
    config = tmp_path / "radstream.toml"
    config.write_text(CONFIG.format(port=free_port()))
    command = [sys.executable, "-m", "radstream", "status", "--config", str(config)]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "radstream: PostgreSQL does not answer; see what runs, and start it: radstream up\n"
