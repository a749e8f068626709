"""How `radstream bench derive` shows what it measured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bench.contenders import Absent, Contender
from bench.derive_figures import figures
from bench.derive_report import Measured, Report
from bench.machine import machine


def measured(contender: str, per_minute: float, *, proven: bool) -> Measured:
    return Measured(
        case="ct",
        contender=contender,
        objects=100,
        cpu_ms_per_object=7.5,
        wall_ms_per_object=8.25,
        objects_per_minute_and_core=per_minute,
        objects_per_minute_by_the_clock=7000.0,
        mb_per_s_of_cpu=70.4,
        ratio=2.5 if proven else None,
        proven=proven,
    )


def report(*rows: Measured) -> Report:
    return Report(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        machine=machine(Path()),
        seconds=10,
        load_average=0.5,
        file_bytes={"ct": 525_000},
        aims={"ct": 6000},
        contenders=[Contender("radstream", "HTJ2K", "radstream 0.1.0")],
        absent=[Absent("dcmcjpls", "not installed", "apt-get install dcmtk")],
        measured=rows,
    )


def test_each_case_is_a_table_with_its_aim() -> None:
    text = figures(report(measured("radstream", 8000.4, proven=True), measured("pictures", 9000.0, proven=False)))

    assert "| radstream | 8,000 | 7.50 | 70 | 8.25 | 2.50 | yes |" in text
    assert "| pictures | 9,000 | 7.50 | 70 | 8.25 | - | no |" in text
    assert "Aim: 6,000 a minute on one core; reached by radstream." in text
    assert "- dcmcjpls: absent (not installed); apt-get install dcmtk" in text


def test_what_has_no_proof_reaches_no_aim() -> None:
    assert "not reached" in figures(report(measured("pictures", 9000.0, proven=False)))
