"""A machine has as many IPv6 addresses as it likes, and the room of one peer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.one_machine import ADDRESSES

ROOT = Path(__file__).resolve().parents[2]
# A network of its own, where these addresses are ours.
NETWORK = ("unshare", "--map-root-user", "--net", "sh", "-e", "-c")
UP = "ip link set lo up; " + "; ".join(f"ip -6 address add {one}/128 dev lo nodad" for one in ADDRESSES)


@pytest.fixture(scope="module")
def network() -> tuple[str, ...]:
    try:
        subprocess.run([*NETWORK, UP], check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network of our own: it needs namespaces, ip and IPv6 ({type(error).__name__})")
    return (*NETWORK, f'{UP}; exec "$0" "$@"')


@pytest.mark.parametrize(
    ("service", "answers"), [("dicom", "02"), ("stow", "48"), ("worklist", "02"), ("orders", "0b")]
)
def test_all_addresses_of_a_machine_have_the_room_of_one_peer(
    network: tuple[str, ...], service: str, answers: str
) -> None:
    command = [*network, sys.executable, "-m", "tests.one_machine", service]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    of_its_other_address, of_another_machine = json.loads(done.stdout)
    assert (of_its_other_address, of_another_machine) == ("", answers)
