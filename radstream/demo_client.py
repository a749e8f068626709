"""The results as a stranger reads them: the Python client, a program that knows the contract and none of our code."""

from __future__ import annotations

import subprocess
import sys

from infra.local.home import checkout
from radstream.errors import Failure
from streams.config import Config, Kafka, Registry

CLIENT = ("clients", "python", "radstream_results.py")
SECONDS_MAX = 60.0


def read_by_client(config: Config, study_uid: str) -> tuple[str, ...] | None:
    """What it prints of the study, a block for each event; None where the checkout's clients are not there.

    Raises Failure where it ends with an error.
    """
    root = checkout()
    client = root.joinpath(*CLIENT)
    if not client.is_file():
        return None
    argv = [sys.executable, str(client), "--bootstrap", config.section("kafka", Kafka).bootstrap]
    argv += ["--registry", config.section("registry", Registry).url, "--contract", str(root / "schemas" / "avro")]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"the Python client has printed nothing in {SECONDS_MAX:.0f} s; see: radstream status") from None
    if done.returncode != 0:
        raise Failure(f"the Python client failed: {done.stderr.strip().splitlines()[-1:]}; see: radstream status")
    return tuple(block for block in done.stdout.split("\n\n") if f"study {study_uid}" in block)
