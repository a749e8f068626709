"""A decoder that crashes, hangs or takes too much costs one frame, and never the process that asked."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from streams import metrics
from streams.pixels.claims import Undecodable
from streams.pixels.image import Image
from streams.result import Wait
from streams.sandbox import sandbox as of_process
from streams.sandbox.away import HelperAway
from streams.sandbox.helper import Died, Helper
from streams.sandbox.messages import ANSWER
from streams.sandbox.sandbox import Sandbox, Settings
from streams.working import _of_exception
from tests.waiting import wait_until

BYTES_MAX = 512 << 20
NOISE: NDArray[np.uint16] = np.random.default_rng(1).integers(0, 1 << 16, (1024, 1024)).astype(np.uint16)
PICTURE = Image("1.2.840.10008.1.2.4.90", 1024, 1024, 1, 1, 16, 16, 15, False, False, "MONOCHROME2")
SMALL = replace(PICTURE, transfer_syntax_uid="1.2.840.10008.1.2.4.80", rows=16, columns=16)
SMALL_NOISE = NOISE[:16, :16].copy()
SMALL_CODED = bytes(imagecodecs.jpegls_encode(SMALL_NOISE))


@pytest.fixture(scope="module")
def coded() -> bytes:
    """A frame that takes a while."""
    return bytes(imagecodecs.jpeg2k_encode(NOISE, codecformat="j2k", reversible=True, level=0))


@pytest.fixture
def helper() -> Iterator[Helper]:
    made = Helper(BYTES_MAX)
    yield made
    made.close()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(Settings(helpers=2, frames_max=3))
    yield made
    made.close()


def test_a_frame_comes_back_as_it_was_coded(sandbox: Sandbox, coded: bytes) -> None:
    assert np.array_equal(sandbox.decode(SMALL_CODED, SMALL), SMALL_NOISE)
    assert np.array_equal(sandbox.decode(coded, PICTURE), NOISE)
    colours = np.stack([SMALL_NOISE >> 8] * 3, -1).astype(np.uint8)
    rgb = replace(SMALL, transfer_syntax_uid="1.2.840.10008.1.2.4.201", samples=3, bits_allocated=8, photometric="RGB")
    assert np.array_equal(sandbox.decode(bytes(imagecodecs.htj2k_encode(colours, reversible=True)), rgb), colours)


def test_frames_of_many_threads_are_not_mixed_up(sandbox: Sandbox) -> None:
    frames = [np.full((16, 16), number, np.uint16) for number in range(8)]
    found: dict[int, NDArray[np.integer]] = {}

    def decode(number: int) -> None:
        found[number] = sandbox.decode(bytes(imagecodecs.jpegls_encode(frames[number])), SMALL)

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(np.array_equal(found[number], frame) for number, frame in enumerate(frames))


def test_what_is_damaged_is_undecodable_and_the_next_frame_is_decoded_by_the_same_process(sandbox: Sandbox) -> None:
    sandbox.decode(SMALL_CODED, SMALL)
    before = sandbox.pids
    with pytest.raises(Undecodable) as refused:
        sandbox.decode(SMALL_CODED[: len(SMALL_CODED) // 2], SMALL)

    assert refused.value.code == "undecodable"
    assert np.array_equal(sandbox.decode(SMALL_CODED, SMALL), SMALL_NOISE)
    assert sandbox.pids == ()  # It has done its three frames.
    sandbox.decode(SMALL_CODED, SMALL)
    assert sandbox.pids != before


def test_a_helper_that_crashes_costs_its_frame(helper: Helper, coded: bytes) -> None:
    died: SimpleQueue[str] = SimpleQueue()

    def decode() -> None:
        try:
            helper.decode(coded, PICTURE, BYTES_MAX, 10)
        except Died as death:
            died.put(death.reason)

    os.kill(helper.pid, signal.SIGSTOP)
    thread = threading.Thread(target=decode)
    thread.start()
    os.kill(helper.pid, signal.SIGSEGV)
    os.kill(helper.pid, signal.SIGCONT)

    assert died.get(timeout=60) == "decoder_crashed"
    thread.join()


def test_a_helper_that_was_broken_before_is_replaced_and_the_frame_is_decoded(sandbox: Sandbox) -> None:
    sandbox.decode(SMALL_CODED, SMALL)
    (before,) = sandbox.pids
    os.kill(before, signal.SIGKILL)

    assert np.array_equal(sandbox.decode(SMALL_CODED, SMALL), SMALL_NOISE)
    assert sandbox.pids not in ((), (before,))


def test_a_decoder_that_does_not_end_is_ended(coded: bytes) -> None:
    sandbox, before = Sandbox(Settings(helpers=1, cpu_s_max=0.05)), deaths()
    try:
        for _ in range(2):
            with pytest.raises(Undecodable) as refused:
                sandbox.decode(coded, PICTURE)
            assert refused.value.code == "decoder_too_slow"
        assert np.array_equal(sandbox.decode(SMALL_CODED, SMALL), SMALL_NOISE)
        assert deaths() == before + 2
    finally:
        sandbox.close()


def deaths() -> float:
    return metrics.SANDBOX_DEATHS.labels("decoder_too_slow")._value.get()


def test_a_decoder_gets_no_more_memory_than_its_frame_may_take(helper: Helper, coded: bytes) -> None:
    with pytest.raises((Undecodable, Died)):
        helper.decode(coded, PICTURE, 1 << 20, 10)


def test_a_helper_is_held_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for decoders")
    helper = Helper(BYTES_MAX)
    try:
        held = Path(f"/proc/{helper.pid}/limits").read_text()
        status = Path(f"/proc/{helper.pid}/status").read_text()
        variables = Path(f"/proc/{helper.pid}/environ").read_bytes()
        assert "NoNewPrivs:\t1" in status
        assert b"not for decoders" not in variables
        limits = {line[:25].strip(): line[25:].split()[:2] for line in held.splitlines()}
        assert limits["Max core file size"] == ["0", "0"]
        for name in ("Max address space", "Max data size", "Max cpu time", "Max file size", "Max open files"):
            assert "unlimited" not in limits[name], name
        if not helper.unheld:
            ours, theirs = (os.stat(f"/proc/{pid}/ns/net").st_ino for pid in ("self", helper.pid))  # noqa: PTH116
            assert ours != theirs
    finally:
        helper.close()


def test_two_threads_that_are_first_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    both_make_one, made = threading.Barrier(2), []

    def make(_: object) -> Sandbox:
        with suppress(threading.BrokenBarrierError):
            both_make_one.wait(0.5)
        made.append(Sandbox(Settings(helpers=1)))
        return made[-1]

    monkeypatch.setattr(of_process, "Sandbox", make)
    of_process._shared.cache_clear()
    try:
        with ThreadPoolExecutor(2) as threads:
            first, second = threads.map(lambda _: of_process.shared(), range(2))
        assert first is second
        assert len(made) == 1
    finally:
        of_process._shared.cache_clear()


def test_a_helper_ends_with_the_process_that_started_it() -> None:
    script = (
        "import os, signal\n"
        "from streams.sandbox.helper import Helper\n"
        "print(Helper(1 << 28).pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    pid = int(done.stdout)

    wait_until(lambda: not _is_running(pid), "the helper's end")


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@pytest.mark.parametrize(
    "answer",
    [b"\x09u2" + bytes(8), ANSWER.pack(0, b"O8", 512), ANSWER.pack(0, b"u2", 1 << 40), ANSWER.pack(0, b"u2", 510)],
    ids=["status", "type", "length-huge", "length-other"],
)
def test_no_answer_of_a_helper_is_believed(helper: Helper, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    """A helper that hostile bytes took over may send what it likes."""
    monkeypatch.setattr("streams.sandbox.helper.received", lambda *_: answer)

    with pytest.raises(Died):
        helper.decode(SMALL_CODED, SMALL, BYTES_MAX, 10)
    assert helper.is_gone


def test_open_files_and_processes_are_given_back() -> None:
    before = open_files()
    for _ in range(3):
        helper = Helper(BYTES_MAX)
        helper.close()
        helper.close()

    assert open_files() == before


def open_files() -> int:
    """Without what tests before left for the collector, which may come at any time."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@pytest.mark.parametrize("left", range(4))
def test_where_no_file_is_left_for_a_helper_it_is_waited_for(sandbox: Sandbox, left: int) -> None:
    """Of the files that a helper takes each may be one too many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = open_files()
    free = [os.dup(0) for _ in range(left + 1)]
    for one in free:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], hard))
    try:
        with pytest.raises(HelperAway):
            sandbox.decode(SMALL_CODED, SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert open_files() == before
    assert np.array_equal(sandbox.decode(SMALL_CODED, SMALL), SMALL_NOISE)


def test_where_no_helper_can_be_had_no_image_is_a_dead_letter() -> None:
    assert _of_exception(HelperAway("no process")) == Wait("no process", "world")
