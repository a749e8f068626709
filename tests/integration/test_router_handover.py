"""A newer router takes over from the one that runs, by processes, while senders send that know of nothing."""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil
import pytest
import urllib3

from infra.local import process
from infra.local.parts.part import Serving
from infra.local.parts.services import Service
from infra.local.process import Launch
from radstream.send import router_of
from radstream.sending import send_items
from streams.handover.messages import Ask, Channel, Offer, Ready, Yours
from streams.handover.place import Place
from streams.stored_file import stored_file
from tests.conftest import ROOT
from tests.pipeline_run import announced, on_the_spool
from tests.raw_peer import RELEASE_RP, RELEASE_RQ, RawPeer, echo_rq, p_data, pdv, status_of
from tests.routers import CT, EXPLICIT, Ct
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

NEWER = "99.1.0"
PACKAGES = ("streams", "producers", "schemas")


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of a newer version: what a person gets who installs it beside the one that runs."""
    folder = tmp_path_factory.mktemp("newer")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    about = folder / f"radstream-{NEWER}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: radstream\nVersion: {NEWER}\n", encoding="utf-8")
    return folder


def serving(stack: RunningStack) -> str:
    """The version that answers to Prometheus."""
    port = stack.ports["router-http"]
    text = urllib3.request("GET", f"http://127.0.0.1:{port}/metrics", retries=False, timeout=60).data.decode()
    found = re.search(r'radstream_build_info{service="router",version="([^"]+)"} 1', text)
    assert found
    return found[1]


def file_of(image: Ct) -> bytes:
    return stored_file(CT, image.instance, EXPLICIT, image.data_set())


@dataclass
class Senders:
    """Senders in loops, each time with an association or a connection of its own."""

    stack: RunningStack
    study: str = field(default_factory=lambda: f"2.25.{secrets.randbits(96)}")
    acknowledged: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    tried: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.target = router_of(self.stack.config)
        self._numbers = itertools.count(1)
        self._ending = threading.Event()

    @contextmanager
    def sending(self, *how: Callable[[], None]) -> Iterator[None]:
        with ThreadPoolExecutor(len(how)) as pool:
            running = [pool.submit(self._again_and_again, one) for one in how]
            try:
                yield
            finally:
                self._ending.set()
        for one in running:
            one.result()

    def image(self) -> Ct:
        return Ct(study=self.study, series=f"{self.study}.1", instance=f"{self.study}.1.{next(self._numbers)}")

    def c_store(self) -> None:
        image = self.image()
        result = send_items([image.item()], self.target, retries=0)
        self._told(image, result.statuses == {"0000": 1}, f"{result.statuses} {result.unsent}")

    def stow(self) -> None:
        image = self.image()
        body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + file_of(image) + b"\r\n--x--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=x'
        port = self.stack.ports["stow"]
        try:
            answer = urllib3.request(
                "POST",
                f"http://127.0.0.1:{port}/studies",
                body=body,
                headers={"Content-Type": kind, "Accept": "application/dicom+json", "Connection": "close"},
                retries=False,
                timeout=120,
            )
        except urllib3.exceptions.HTTPError as error:
            self._told(image, False, repr(error))
        else:
            self._told(image, answer.status == 200, f"STOW {answer.status}")

    def echoscu(self) -> None:
        command = ["echoscu", "-aec", self.target.ae_title, self.target.host, str(self.target.port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            self.failed.append(f"echoscu: {done.stderr}")

    def storescu(self, folder: Path) -> None:
        image = self.image()
        path = folder / image.instance
        path.write_bytes(file_of(image))
        command = ["storescu", "-aec", self.target.ae_title, self.target.host, str(self.target.port), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        self._told(image, not done.returncode, f"storescu: {done.stderr}")

    def echoes(self) -> bool:
        """Whether an association is taken, and a C-ECHO answered."""
        with RawPeer(self.target).associated() as peer:
            return echo(peer) == 0

    def _again_and_again(self, one: Callable[[], None]) -> None:
        name = getattr(one, "__name__", "storescu")
        while not self._ending.is_set():
            one()
            self.tried[name] = self.tried.get(name, 0) + 1

    def _told(self, image: Ct, yes: bool, said: str) -> None:
        if yes:
            self.acknowledged.append(image.instance)
        else:
            self.failed.append(said)


def echo(peer: RawPeer) -> int:
    peer.send(p_data(pdv(echo_rq(), command=True, context=3)))
    answer = peer.read()
    assert answer is not None
    return status_of(answer)


def test_two_versions_hand_over_without_a_refused_association(
    stack: RunningStack, newer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    senders = Senders(stack)
    ways: list[Callable[[], None]] = [senders.c_store, senders.c_store, senders.stow]
    if shutil.which("echoscu") and shutil.which("storescu"):
        ways += [senders.echoscu, lambda: senders.storescu(tmp_path)]
    older, pid = serving(stack), stack.pid("router")
    assert older != NEWER
    with RawPeer(senders.target) as long, senders.sending(*ways), ThreadPoolExecutor(1) as pool:
        long.associated()
        wait_until(lambda: len(senders.tried) == len({*ways}), "each sender to have sent")
        monkeypatch.setenv("PYTHONPATH", str(newer))
        restarting = pool.submit(stack.restart, ("router",))

        def has_begun() -> bool:
            # This one is still the older process's, and ends as its sender wants it.
            assert echo(long) == 0
            return restarting.done() or serving(stack) == NEWER

        wait_until(has_begun, "the newer version to answer")
        long.send(RELEASE_RQ)
        answer = long.read()
        assert answer is not None
        assert answer.kind == RELEASE_RP[0]
        (restarted,) = restarting.result(timeout=600)
        before = dict(senders.tried)
        wait_until(lambda: all(senders.tried[name] > count for name, count in before.items()), "more of each")

        monkeypatch.delenv("PYTHONPATH")
        stack.restart(("router",))
        assert serving(stack) == older

    assert (restarted.how, restarted.before) == ("handed_over", Serving(pid, older))
    assert restarted.now is not None
    assert restarted.now.version == NEWER
    assert senders.failed == []
    wait_until(lambda: not on_the_spool(stack), "the spool to be drained")
    stored = {event.instance.sop_instance_uid for event in announced(stack, senders.study)}
    assert set(senders.acknowledged) - stored == set()
    assert len(senders.acknowledged) > 20


def radstream(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "radstream", *arguments]
    environment = {**os.environ, "RADSTREAM_HOME": str(stack.home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)


def test_a_newer_router_that_cannot_start_leaves_the_older_one_as_it_was(stack: RunningStack) -> None:
    pid, settings = stack.pid("router"), stack.config_path.read_text(encoding="utf-8")
    stack.config_path.write_text(
        settings.replace("\n[router]\n", "\n[router]\nassociations_mx = 3\n"), encoding="utf-8"
    )
    try:
        done = radstream(stack, "restart", "router", "--json")
    finally:
        stack.config_path.write_text(settings, encoding="utf-8")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the new process ended before it served; process {pid} goes on as before" in done.stderr
    assert "associations_mx" in done.stderr
    assert stack.pid("router") == pid
    assert Senders(stack).echoes()


def test_the_command_says_which_process_and_version_serve_now(stack: RunningStack) -> None:
    pid = stack.pid("router")
    done = radstream(stack, "restart", "router", "--json")
    assert done.returncode == 0, done.stderr
    (said,) = json.loads(done.stdout)["restarted"]
    assert (said["part"], said["how"], said["before"]["pid"]) == ("router", "handed_over", pid)
    assert said["now"] == {"pid": stack.pid("router"), "version": serving(stack)}
    assert said["now"]["pid"] != pid
    assert not psutil.pid_exists(pid)


def test_what_a_restart_leaves_that_was_killed_is_ended_by_the_next_command(
    stack: RunningStack, tmp_path: Path
) -> None:
    pid = stack.pid("router")
    left = process.start(Launch(["sleep", "600"]), tmp_path / "log", tmp_path)
    (stack.home / "run" / "router.next").write_bytes(msgspec.json.encode(left))
    assert stack.up(("router",)) == ()
    assert not process.is_alive(left)
    assert stack.pid("router") == pid


def test_other_parts_are_stopped_and_started(stack: RunningStack) -> None:
    pid = stack.pid("lag")
    (restarted,) = stack.restart(("lag",))
    assert (restarted.part, restarted.how) == ("lag", "stopped_and_started")
    assert restarted.before is not None
    assert restarted.before.pid == pid
    assert restarted.now is not None
    assert restarted.now.pid == stack.pid("lag") != pid


@contextmanager
def asked(stack: RunningStack) -> Iterator[Channel]:
    """A newer process, as the router that runs sees it, which has got as far as that the router takes nothing."""
    place = Place(stack.home / "run" / "handover", f"router-{stack.ports['router']}")
    connected = place.connect()
    assert connected is not None
    with closing(Channel(connected)) as channel:
        channel.say(Ask(speaks=(1,)))
        offer = channel.hear(Offer, seconds=60)
        assert {one.name for one in offer.sockets} == {"http", "dicom", "stow"}
        channel.say(Ready())
        channel.hear(Yours, seconds=60)
        yield channel


def test_a_newer_router_that_is_killed_while_it_takes_over_loses_no_connection(stack: RunningStack) -> None:
    pid = stack.pid("router")
    with ThreadPoolExecutor(1) as pool:
        with asked(stack):
            # It waits in the queue, and neither process takes it.
            waiting = pool.submit(Senders(stack).echoes)
            with pytest.raises(urllib3.exceptions.TimeoutError):
                urllib3.request(
                    "GET", f"http://127.0.0.1:{stack.ports['router-http']}/readyz", retries=False, timeout=0.5
                )
            assert not waiting.done()
        assert waiting.result(timeout=120)
    assert stack.pid("router") == pid
    wait_until(Service(stack._site(), "router").ready, "the router to be ready")


def test_an_older_router_that_is_killed_while_it_hands_over_leaves_its_ports_to_the_newer_one(
    stack: RunningStack,
) -> None:
    pid, log = stack.pid("router"), stack.log("router")
    begins = log.stat().st_size

    def handing_over() -> bool:
        with log.open("rb") as file:
            file.seek(begins)
            return b'"handover_asked"' in file.read()

    with ThreadPoolExecutor(1) as pool:
        restarting = pool.submit(stack.restart, ("router",))
        wait_until(lambda: handing_over() or restarting.done(), "the newer router to ask")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        (restarted,) = restarting.result(timeout=600)
    assert restarted.now == Serving(stack.pid("router"), serving(stack))
    assert stack.pid("router") != pid
    assert Senders(stack).echoes()
