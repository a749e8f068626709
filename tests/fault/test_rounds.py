"""Faults at random moments while four associations send: nothing acknowledged is lost, doubled or torn."""

from __future__ import annotations

import os
import random
from pathlib import Path

import msgspec
import pytest

from infra.local.tools import toxiproxy
from tests.rounds.report import shown
from tests.rounds.running import Rounds
from tests.rounds.site import running_site

# `make faults` asks for more. A run that failed is run again with its seed.
ROUNDS = int(os.environ.get("RADSTREAM_ROUTER_ROUNDS", "11"))
SEED = os.environ.get("RADSTREAM_FAULT_SEED")
REPORT = os.environ.get("RADSTREAM_FAULT_REPORT")

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800 + 30 * ROUNDS)]


@pytest.mark.skipif(not toxiproxy.is_built(), reason="toxiproxy was not built: Go 1.25 or newer is missing")
def test_nothing_acknowledged_is_lost_doubled_or_torn_by_faults(capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(SEED) if SEED else random.SystemRandom().randrange(1 << 32)
    print(f"RADSTREAM_FAULT_SEED={seed}")  # noqa: T201 - for whom the test fails

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end="")  # noqa: T201

    with running_site(seed) as site:
        said = Rounds(site, seed).run(ROUNDS, say)
    say(f"{shown(said)}\n")
    if REPORT:
        Path(REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(said)) + b"\n")
    assert said.findings == ()
