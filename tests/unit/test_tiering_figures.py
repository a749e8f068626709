"""The figures of tiering as a table: a row for each leg and each bare loop, and their ratio."""

from __future__ import annotations

from datetime import UTC, datetime

from bench.machine import Machine
from bench.tiering import Leg, Report
from bench.tiering_figures import figures


def leg(name: str, objects_per_s: float) -> Leg:
    return Leg(
        name=name,
        objects=100,
        seconds=2.0,
        objects_per_s=objects_per_s,
        mb_per_s=25.0,
        cpu_ms_per_object=9.5,
        cpu_ms_by_process={"store": 4.0, "tiering": 5.5},
    )


def test_each_leg_stands_beside_its_bare_loop() -> None:
    report = Report(
        at=datetime(2026, 11, 23, tzinfo=UTC),
        machine=Machine(2, "a processor", 8 << 30, "Linux", "ext4", "3.11"),
        objects=100,
        studies=1,
        bytes=50_000_000,
        threads=8,
        moves=[leg("hot to warm", 50.0)],
        bare=[leg("hot to warm", 80.0)],
        ratio={"hot to warm": 0.625},
        study_uids=["1.2"],
    )
    lines = figures(report).splitlines()
    assert "| hot to warm | 50.0 | 25.0 | 9.5 ms |" in lines
    assert "| bare loop, hot to warm (100 objects) | 80.0 | 25.0 | 9.5 ms |" in lines
    assert "| hot to warm | 62 % |" in lines
    assert lines.index("| tiering | 5.50 |") < lines.index("| store | 4.00 |")
