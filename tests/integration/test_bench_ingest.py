"""`radstream bench ingest`, as a person calls it, and that its sender gets through to receivers that others wrote."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydicom.dataset import Dataset

from bench.ingest_cases import CASES
from bench.ingest_job import Job, send
from bench.ingest_load import CALLED_AE, encoded, images, load
from bench.ingest_peers import RECEIVERS as KNOWN
from bench.ingest_peers import REFERENCE
from bench.ingest_receivers import running
from bench.ingest_uids import instance_uid, series_uid, study_uid
from streams.file_head import split
from tests.waiting import wait_until

OURS = ["radstream-sink", "radstream-files", "radstream-fsync"]


def bench(*options: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "radstream", "bench", "ingest", "--json", *options]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=800, env={**os.environ, **environment}
    )
    assert ran.returncode == 0, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def test_receivers_are_measured_side_by_side_and_hold_what_they_acknowledged(tmp_path: Path) -> None:
    receivers = [*OURS, "pynetdicom", *([REFERENCE] if shutil.which("storescp", path=os.defpath) else [])]
    cases = ["ct-4", "ct-each", "cr-1"]
    options = ["--instances", "8", "--folder", str(tmp_path)]
    report = bench(*options, "--receivers", ",".join(receivers), "--cases", ",".join(cases))
    assert [one["name"] for one in report["receivers"]] == receivers
    assert (report["absent"], report["not_measured"]) == ([], [])
    assert [(one["case"], one["receiver"]) for one in report["measured"]] == [
        (case, receiver) for case in cases for receiver in receivers
    ]
    for one in report["measured"]:
        assert one["acknowledged"] == (1 if one["case"] == "cr-1" else 8), one
        assert (one["held"], one["missing"], one["failures"]) == (one["acknowledged"], 0, {}), one
        assert one["c_store"]["count"] == one["acknowledged"]
        assert one["instances_per_s"] > 0
        assert one["memory_bytes_max"] > 1 << 20
        assert (one["rate_to_reference"] is None) == (REFERENCE not in receivers)
    assert list(tmp_path.iterdir()) == []


def test_a_peer_that_is_not_installed_is_named_with_what_installs_it(tmp_path: Path) -> None:
    options = ["--instances", "2", "--cases", "ct-1", "--folder", str(tmp_path)]
    report = bench(*options, "--receivers", "dicom-rs,radstream-sink", PATH=str(tmp_path))
    (absent,) = report["absent"]
    assert (absent["name"], absent["why"]) == ("dicom-rs", "dicom-storescp is not installed")
    assert absent["install"].startswith("cargo install dicom-storescp")
    assert [one["receiver"] for one in report["measured"]] == ["radstream-sink"]


def test_a_receiver_that_does_not_start_leaves_the_others_measured(tmp_path: Path) -> None:
    program = tmp_path / "dicom-storescp"
    program.write_text("#!/bin/sh\necho version 0; [ $1 = --version ] || { echo no room; exit 3; }\n")
    program.chmod(0o755)
    options = ["--instances", "2", "--cases", "ct-1", "--folder", str(tmp_path), "--programs", str(tmp_path)]
    report = bench(*options, "--receivers", "dicom-rs,radstream-sink")
    assert report["not_measured"] == ["ct-1, dicom-rs: it ended with exit code 3: no room"]
    assert [one["receiver"] for one in report["measured"]] == ["radstream-sink"]


def test_a_receiver_that_ends_too_early_is_not_measured(tmp_path: Path) -> None:
    program = tmp_path / "dicom-storescp"
    lines = (
        f"#!{sys.executable}",
        "import socket, sys",
        "if sys.argv[1] == '--version': sys.exit('version 0')",
        "socket.create_server(('127.0.0.1', int(sys.argv[2]))).accept()",
    )
    program.write_text("\n".join(lines))
    program.chmod(0o755)
    options = ["--instances", "2", "--cases", "ct-1", "--folder", str(tmp_path), "--programs", str(tmp_path)]
    report = bench(*options, "--receivers", "dicom-rs")
    assert report["not_measured"] == ["ct-1, dicom-rs: it ended in between with exit code 0: it said nothing"]
    assert report["measured"] == []


def test_a_profile_says_where_our_time_goes(tmp_path: Path) -> None:
    if shutil.which("py-spy") is None:
        pytest.skip("py-spy is not installed: no profile is taken")
    options = [
        "--instances",
        "200",
        "--cases",
        "ct-1",
        "--folder",
        str(tmp_path),
        "--profile",
        str(tmp_path / "stacks"),
    ]
    report = bench(*options, "--receivers", "radstream-files,pynetdicom")
    assert report["profiled"] is True
    (file,) = (tmp_path / "stacks").iterdir()
    assert file.name == "ct-1-radstream-files.txt"
    assert "producers/dicom_router" in file.read_text()


def test_without_a_profiler_nothing_is_measured_and_it_is_said_why(tmp_path: Path) -> None:
    if Path(sys.executable).with_name("py-spy").exists():
        pytest.skip("py-spy is installed beside this Python")
    command = [sys.executable, "-m", "radstream", "bench", "ingest", "--profile", str(tmp_path / "stacks")]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": str(tmp_path)}
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "radstream: --profile needs py-spy, which is not installed: pip install py-spy\n"


def test_whoever_ends_it_ends_what_it_started(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "radstream", "bench", "ingest", "--receivers", "radstream-sink", "--cases", "ct-1"]
    with subprocess.Popen([*command, "--instances", "100000", "--seconds", "60", "--folder", str(tmp_path)]) as process:
        try:
            wait_until(lambda: started_below(process.pid) >= {"bench.ingest_own", "bench.ingest_sender"}, "its start")
            below = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    wait_until(lambda: not any(one.is_running() for one in below), "the end of all that it started")
    assert list(tmp_path.iterdir()) == []


def started_below(pid: int) -> set[str]:
    """The modules that run in processes below another."""
    names = set()
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            names |= {part for part in child.cmdline() if part.startswith("bench.")}
    return names


def test_the_router_keeps_its_whole_promise_in_a_stack_that_is_gone_afterwards(tmp_path: Path) -> None:
    home = tmp_path / "home"
    options = ["--instances", "4", "--cases", "ct-4", "--receivers", "radstream"]
    report = bench(*options, RADSTREAM_HOME=str(home))
    (one,) = report["measured"]
    assert (one["acknowledged"], one["held"], one["failures"]) == (4, 4, {})
    assert set(one["beside_cpu_s_per_1000"]) == {"kafka", "registry", "store"}
    assert report["durable"] is not None
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def image() -> Dataset:
    return images()["ct"]


@pytest.mark.parametrize("name", ["pynetdicom", "pynetdicom-tuned", "dcmtk", REFERENCE, "radstream-files"])
def test_what_is_sent_is_stored_byte_for_byte(name: str, image: Dataset, tmp_path: Path) -> None:
    receiver = KNOWN[name]
    program = receiver.path(None)
    if program is None:
        pytest.skip(f"{receiver.program} is not installed: {receiver.install}")
    with running(receiver, program, tmp_path / name) as process:
        job = Job(
            host=process.host,
            port=process.port,
            load=load(CASES["ct-1"], image, CALLED_AE),
            run=1,
            instances=4,
            workers=2,
            one_each=False,
            study_instances=10,
            seconds_max=60,
        )
        result = send(job)
    assert [one.failures for one in result.workers] == [{}, {}]
    stored = [path.read_bytes() for path in process.place.folder.iterdir()]
    expected = []
    for worker, number in ((0, 0), (0, 1), (1, 0), (1, 1)):
        named = deepcopy(image)
        named.StudyInstanceUID = study_uid(1, worker, 0).decode()
        named.SeriesInstanceUID = series_uid(1, worker, 0).decode()
        named.SOPInstanceUID = instance_uid(1, worker, number).decode()
        expected.append(encoded(named))
    assert sorted(file[split(file)[1] :] for file in stored) == sorted(expected)
