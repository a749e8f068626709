"""`radstream bench ai`, as a person calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from infra.local.tools import triton
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack


def test_every_backend_at_hand_is_measured_beside_the_bare_model(stack: RunningStack) -> None:
    options = ["--studies", "2", "--images", "8", "--json", "--config", str(stack.config_path)]
    command = [sys.executable, "-m", "radstream", "bench", "ai", *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=800)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    at_hand = ["onnxruntime"]
    at_hand += ["triton"] if triton.is_usable() else []
    at_hand += ["torch"] if find_spec("torch") else []
    assert [one["backend"] for one in report["contenders"]] == at_hand
    assert all(one["bare_images_per_min"] > 0 and one["consumer_images_per_min"] > 0 for one in report["contenders"])
    assert (report["studies"], report["images"]) == (2, 8)
