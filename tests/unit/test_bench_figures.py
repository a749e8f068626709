"""What the measurement measures, and how it is shown."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import figures
from bench.machine import machine
from bench.pipeline import SENDER, Report, study_of
from bench.processes import Meter
from radstream.quantiles import Latency

BURN = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"


def test_cpu_of_a_child_that_ended_counts():
    meter = Meter({"this": os.getpid()})
    with meter.running():
        subprocess.run([sys.executable, "-c", BURN], check=True)
    used = meter.usage()["this"]
    assert 0.2 <= used.cpu_s < 5
    assert used.memory_bytes_max > 10 << 20


def test_a_process_that_ended_is_left_out():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        meter = Meter({"gone": child.pid, "this": os.getpid()})
        with meter.running():
            child.communicate(b"\n")
    assert list(meter.usage()) == ["this"]


def test_every_run_sends_another_study():
    first, second = study_of(2000), study_of(2000)
    assert sum(first.slices) == sum(second.slices) == 2000
    assert first.uid != second.uid


def test_the_machine_is_named(tmp_path: Path):
    here = machine(tmp_path)
    assert here.cores >= 1
    assert here.memory_bytes > 1 << 28
    assert here.processor
    assert here.filesystem


def test_figures_are_markdown_that_can_be_pasted(tmp_path: Path):
    report = Report(
        at=datetime(2026, 1, 5, tzinfo=UTC),
        machine=machine(tmp_path),
        instances=2000,
        associations=4,
        seconds=40.0,
        instances_per_s=50.0,
        sending_s=38.0,
        c_store=Latency(10.0, 20.0, 2000),
        c_store_to_catalog=Latency(30.0, 40.0, 2000),
        cpu_ms_per_instance=30.0,
        cpu_ms_by_process={"router": 10.0, SENDER: 20.0},
        memory_bytes_by_process={"router": 1 << 20, SENDER: 2 << 20},
        sent_bytes=1000,
        lossless_bytes=400,
        study_uid="2.25.1",
    )
    lines = figures(report).splitlines()
    assert "| Images per second, first C-STORE to last catalog row with its copy | 50.0 |" in lines
    assert lines[-2:] == [f"| {SENDER} | 20.00 | 2 |", "| router | 10.00 | 1 |"]
    assert {line.count("|") for line in lines if line.startswith("|")} == {3, 4}
