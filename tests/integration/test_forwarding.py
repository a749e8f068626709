"""Forwarding on the running stack, to nodes of others: in order, whoever else is down, and across a SIGKILL."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import psutil
import pydicom
import pytest

from infra.local import settings_file
from radstream.items import Item
from radstream.sending import send_items
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, file_meta
from tests import images
from tests.commands import facts, run
from tests.nodes import Node, node, silent
from tests.pipeline_run import router_of, settled
from tests.ports import free_port
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

RULES = """
[[rules]]
name = "all"
match.calling_ae = "FORWARDED"
forward = ["pacs", "viewer", "hung", "down"]
"""
STUDIES, IMAGES = 4, 40
PIXELS = np.arange(64 * 64, dtype=np.uint16).reshape(1, 64, 64)


def uid(study: int, number: int) -> str:
    return f"2.25.7700{study}.{number + 1}"


def items() -> list[Item]:
    """Images of several studies by turns, in the order in which they are sent."""
    return [_item(study, number) for number in range(IMAGES) for study in range(STUDIES)]


def _item(study: int, number: int) -> Item:
    data = images.native(
        PIXELS,
        StudyInstanceUID=f"2.25.7700{study}",
        SeriesInstanceUID=f"2.25.7700{study}.0",
        SOPInstanceUID=uid(study, number),
        InstanceNumber=number + 1,
        PatientID=f"FORWARD-{study}",
        Modality="CT",
    )
    body = data[file_meta(data)[1] :]
    return Item(uid(study, number), images.CT, uid(study, number), EXPLICIT_VR_LITTLE_ENDIAN, lambda: body)


@contextmanager
def dcmtk(folder: Path) -> Iterator[int]:
    """DCMTK's storage SCP, which takes implicit VR little endian alone; the port."""
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("storescp is absent (Debian's package dcmtk): nothing of others is forwarded to")
    folder.mkdir()
    process, port = _listening(program, folder)
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _listening(program: str, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Starts it. Whoever was faster may have the port by then: it is started again with another."""
    while True:
        port = free_port()
        process = subprocess.Popen(
            [program, "+xi", "--fork", "-aet", "PACS", "-od", str(folder), str(port)],
            # Nagle's algorithm off: else each response waits for 40 ms.
            env={"TCP_NODELAY": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: process.poll() is not None or _listens(process.pid, port), "storescp")  # noqa: B023
        if process.poll() is None:
            return process, port


def _listens(pid: int, port: int) -> bool:
    try:
        found = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in found)


class Site:
    """The stack, its rules, and what its commands say."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack

    def rules(self, text: str, **ports: int) -> None:
        """Puts rules into force, as an operator does."""
        nodes = (
            f'[destinations.{name}]\nae_title = "NODE"\nhost = "127.0.0.1"\nport = {port}\nanswer_s = 5.0\n'
            for name, port in ports.items()
        )
        settings_file.rules_file(self.stack.home).write_text("".join(nodes) + text)
        self.stack.down(["forward"])
        self.stack.up(["forward"])

    def lag(self, name: str) -> int:
        return int(facts(self.stack, "lag", f"forward.{name}")["lag"])

    def is_known(self, study: int) -> bool:
        return run(self.stack, "study", f"2.25.7700{study}").exit_code == 0

    def forwarded(self, study: int) -> dict[tuple[str, str], int]:
        found = facts(self.stack, "study", f"2.25.7700{study}")["forwarded"]
        return {(one["target"], one["outcome"]): one["instances"] for one in found}


@pytest.fixture
def site(stack: RunningStack) -> Iterator[Site]:
    made = Site(stack)
    yield made
    made.rules("")


def assert_in_order(there: Node) -> None:
    """Each instance came, and the first time in the order of its study; after the kill some may have come again."""
    seen = list(dict.fromkeys(there.instances))
    for study in range(STUDIES):
        assert [one for one in seen if one.startswith(f"2.25.7700{study}.")] == [
            uid(study, number) for number in range(IMAGES)
        ]
    assert len(seen) == STUDIES * IMAGES


def test_everything_gets_to_who_is_there_in_order_and_survives_a_kill(site: Site, tmp_path: Path) -> None:
    with ExitStack() as nodes:
        pacs = nodes.enter_context(dcmtk(tmp_path / "pacs"))
        viewer = nodes.enter_context(node([EXPLICIT_VR_LITTLE_ENDIAN]))
        hung = nodes.enter_context(silent())
        site.rules(RULES, pacs=pacs, viewer=viewer.port, hung=hung.port, down=free_port())

        sent = items()
        half = len(sent) // 2
        assert send_items(sent[:half], router_of(site.stack), calling_ae="FORWARDED").statuses == {"0000": half}
        wait_until(lambda: viewer.instances, "the first of them")
        site.stack.kill("forward")
        assert send_items(sent[half:], router_of(site.stack), calling_ae="FORWARDED").statuses == {"0000": half}
        # Another sender's are not wanted anywhere.
        others = [_item(STUDIES, 0)]
        assert send_items(others, router_of(site.stack)).statuses == {"0000": 1}
        site.stack.up(["forward"])

        for name in ("viewer", "pacs"):
            wait_until(lambda name=name: site.lag(name) == 0, f"the lag of {name}")
        assert_in_order(viewer)
        kept = [pydicom.dcmread(path) for path in (tmp_path / "pacs").iterdir()]
        assert {str(one.SOPInstanceUID) for one in kept} == {item.sop_instance for item in sent}
        assert {str(one.file_meta.TransferSyntaxUID) for one in kept} == {IMPLICIT_VR_LITTLE_ENDIAN}
        assert all(np.array_equal(one.pixel_array, PIXELS[0]) for one in kept)
        assert site.lag("hung") >= len(sent)
        assert site.lag("down") >= len(sent)

        for study in (0, STUDIES):
            wait_until(lambda study=study: site.is_known(study), "the catalog to have met the study")
        wait_until(lambda: site.forwarded(0) == {("pacs", "done"): IMAGES, ("viewer", "done"): IMAGES}, "every result")
        assert site.forwarded(STUDIES) == {}
    site.rules("")
    # A rebuild compares with a live catalog that has read all of the log.
    settled(site.stack)
    rebuilt = facts(site.stack, "catalog", "rebuild", "--reason", "a test")
    assert rebuilt["equal"], rebuilt
