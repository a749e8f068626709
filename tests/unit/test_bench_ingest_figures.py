"""What `bench ingest` shows, and that what a receiver lost is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench.contenders import Absent, Contender
from bench.ingest import NAMES
from bench.ingest_figures import figures
from bench.ingest_peers import RECEIVERS, REFERENCE
from bench.ingest_receivers import Place, files_held
from bench.ingest_report import Measured, Report, compared, middle
from bench.ingest_uids import instance_uid
from bench.machine import machine
from radstream.quantiles import Latency
from tests.routers import explicit

ONE = Measured(
    case="ct-16",
    receiver=max(NAMES, key=len),
    acknowledged=10_000,
    held=10_000,
    missing=0,
    failures={},
    seconds=12.3,
    instances_per_s=1_234.5,
    mb_per_s=1_234.5,
    c_store=Latency(1_234.56, 12_345.67, 10_000),
    cpu_s_per_1000=123.45,
    sender_cpu_s_per_1000=12.34,
    memory_bytes_max=1_234 << 20,
    rate_to_reference=12.34,
    cpu_to_reference=123.45,
)


def report(tmp_path: Path, *measured: Measured) -> Report:
    return Report(
        at=datetime(2026, 1, 5, tzinfo=UTC),
        machine=machine(tmp_path),
        load_average=0.5,
        reference=REFERENCE,
        instances=1000,
        rounds=3,
        seconds_max=15,
        image_bytes={"ct": 525_000, "cr": 8_390_000},
        durable=True,
        profiled=False,
        receivers=[Contender(name, one.what, "storescp v3.6.7 2022-04-22") for name, one in RECEIVERS.items()],
        absent=[Absent("dicom-rs", "dicom-storescp is not installed", RECEIVERS["dicom-rs"].install)],
        measured=measured,
        not_measured=["ct-16, orthanc: it ended with exit code 1: it said nothing"],
    )


def test_no_line_is_wider_than_120_columns(tmp_path: Path) -> None:
    lines = figures(report(tmp_path, ONE, replace(ONE, receiver="dcmtk"))).splitlines()
    # The first names the machine, whose processor may have a long name.
    assert [line for line in lines[1:] if len(line) > 120] == []
    assert {line.count("|") for line in lines if line.startswith("|")} == {12}
    assert [line for line in lines if line.startswith("**")] == ["**ct-16**"]


def test_losses_failures_and_absence_are_told(tmp_path: Path) -> None:
    lost = replace(ONE, receiver="dcmqrscp", held=94, acknowledged=100, missing=6, failures={"status 0xA900": 5})
    text = figures(report(tmp_path, lost, replace(ONE, c_store=None, rate_to_reference=None)))
    assert "dcmqrscp: **6 acknowledged and not there.**" in text
    assert "dcmqrscp, failures: 5 status 0xA900." in text
    assert "94/100" in text
    assert "absent: dicom-storescp is not installed; cargo install dicom-storescp" in text
    assert "not measured: ct-16, orthanc: it ended" in text


def test_only_whole_files_count_as_held(tmp_path: Path) -> None:
    place = Place(tmp_path, 0, 0)
    (place.folder / "below").mkdir(parents=True)
    whole, torn = (instance_uid(1, 0, number) for number in range(2))
    for uid, size in ((whole, 1000), (torn, 999)):
        element = explicit(0x00080018, b"UI", uid)
        (place.folder / "below" / uid.decode()).write_bytes(element.ljust(size, b"\0"))
    (place.folder / "index.dat").write_bytes(bytes(5000))
    assert files_held(place, 1000) == {whole.decode()}


def test_the_median_of_several_rounds_counts_and_every_loss() -> None:
    rounds = [
        replace(ONE, instances_per_s=rate, missing=missing, failures=failures)
        for rate, missing, failures in ((30.0, 1, {}), (10.0, 0, {"timed out": 1}), (20.0, 2, {"timed out": 2}))
    ]
    assert middle(rounds) == replace(rounds[2], missing=3, failures={"timed out": 3})
    assert middle(rounds[:1]) == rounds[0]
    assert middle(rounds[:2]).instances_per_s == 10


def test_ratios_are_to_the_reference_in_the_same_case() -> None:
    plain = replace(ONE, rate_to_reference=None, cpu_to_reference=None)
    reference = replace(plain, receiver=REFERENCE, instances_per_s=1000.0, cpu_s_per_1000=0.4)
    ours = replace(plain, receiver="radstream-files", instances_per_s=1500.0, cpu_s_per_1000=0.6)
    alone = replace(ours, case="cr-1")
    found = compared([ours, reference, alone], REFERENCE)
    assert [(one.rate_to_reference, one.cpu_to_reference) for one in found] == [(1.5, 1.5), (1, 1), (None, None)]


def test_a_reference_too_quick_for_the_kernels_clock_has_a_rate_and_no_cpu() -> None:
    quick = replace(ONE, receiver=REFERENCE, cpu_s_per_1000=0.0)
    ours = replace(ONE, receiver="ours", instances_per_s=2 * quick.instances_per_s)
    assert [(one.rate_to_reference, one.cpu_to_reference) for one in compared([ours, quick], REFERENCE)] == [
        (2, None),
        (1, None),
    ]
