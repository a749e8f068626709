"""What the gateway's OpenAPI document says, and what it answers, held together by schemathesis: valid and invalid data.

RADSTREAM_GATEWAY_EXAMPLES is how many each operation gets (`make fuzz`), by another seed each time; else it is the same
few.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway_process import Target

pytestmark = [pytest.mark.stack, pytest.mark.timeout(3600)]

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = int(os.environ.get("RADSTREAM_GATEWAY_EXAMPLES", "0"))
SHORT = ["--phases", "fuzzing", "--max-examples", "3", "--seed", "1", "--generation-deterministic"]
LONGER = ["--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--generation-database", "none"]
# Events have no end; they are in test_hostile.
WITHOUT_END = "/events"
# PS3.18 section 8.3 has a server ignore parameters and values that it does not know; and a text that is valid may be no
# date, no window and no media type.
EXCLUDED = "negative_data_rejection,positive_data_acceptance"


@pytest.mark.parametrize("is_known", [True, False])
def test_what_is_answered_is_what_is_described(target: Target, tmp_path: Path, is_known: bool) -> None:
    """With the UIDs of a study that is there, and with any."""
    uids = re.fullmatch(r"/studies/([^/]+)/series/([^/]+)/instances/([^/]+)", target.instance)
    assert uids is not None
    named = dict(zip(("study", "series", "instance"), uids.groups(), strict=True)) | {"frames": "1", "path": "7FE00010"}
    config = tmp_path / "schemathesis.toml"
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in named.items() if is_known]
    config.write_text('hooks = "tests.schemathesis_bodies"\n[parameters]\n' + "".join(lines))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    command += [f"{target.gateway.root}/openapi.json", "--exclude-path", WITHOUT_END, "--exclude-checks", EXCLUDED]
    command += ["--mode", "all", "--workers", "2", "--request-timeout", "60", "--warnings", "off"]
    command += ["--suppress-health-check", "all"]
    command += LONGER if EXAMPLES else SHORT
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=3000, check=False
    )
    print(done.stdout[-1500:])  # noqa: T201 - its counts
    assert done.returncode == 0, done.stdout + done.stderr
    assert target.gateway.faults() == []
