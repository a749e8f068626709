"""`radstream demo`, `status` and `bench` on the whole stack, as a person calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from infra.local.tools import triton
from radstream.contact_sheet import COLUMNS, GAP_PX, TILE_PX, grid_of
from radstream.demo_items import PHANTOM, demo_items
from radstream.demo_results import MM_MAX, SHARE_MAX
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack


def radstream(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RADSTREAM_HOME": str(stack.home)}
    environment.pop("RADSTREAM_CONFIG", None)
    command = [sys.executable, "-m", "radstream", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=800)


def facts(stack: RunningStack, *arguments: str) -> dict[str, Any]:
    done = radstream(stack, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def twice(stack: RunningStack) -> list[dict[str, Any]]:
    """The demo, run twice in a row, with the settings that a newcomer has."""
    with stack.patient():
        return [facts(stack, "demo") for _ in range(2)]


def test_every_object_is_accounted_for(twice: list[dict[str, Any]]):
    for summary in twice:
        run = summary["run"]
        assert summary["agree"]
        assert run["objects"] == len(demo_items())
        assert run["objects"] == run["acknowledged"] + sum(run["refused"].values()) + sum(run["not_accepted"].values())
        assert run["stored"] + run["duplicates"] == run["acknowledged"]
        assert set(summary["lag"].values()) == {0}


def test_the_first_run_stores_derives_and_quarantines_with_reasons(twice: list[dict[str, Any]]):
    archive = twice[0]["archive"]
    # The corpus has some images several times, with other content each: those were drawn before they were held.
    held_later = archive["quarantined"].get("other_content", 0)
    assert archive["derived"] + sum(archive["quarantined"].values()) - held_later == archive["instances"]
    assert archive["studies"] > 10
    assert archive["quarantined"]
    assert 0 < archive["bytes"]["lossless_copies"] < archive["bytes"]["copied"] <= archive["bytes"]["originals"]


def test_the_generated_study_has_a_revision_of_all_its_images_and_of_what_models_made(twice: list[dict[str, Any]]):
    made = len(twice[0]["whole"]["objects"])
    assert made > 0
    assert twice[0]["study"] == {"uid": PHANTOM.uid, "revision": 2, "instances": sum(PHANTOM.slices) + made}


def test_models_found_something_and_their_objects_are_legal(twice: list[dict[str, Any]]):
    whole = twice[0]["whole"]
    assert any("Nodule" in line for line in whole["findings"])
    assert any("Emphysema" in line for line in whole["findings"])
    assert {one["kind"] for one in whole["objects"]} == {"sr", "seg"}
    assert {one["errors"] for one in whole["objects"]} <= {0, None}


@pytest.mark.skipif(not triton.is_usable(), reason="no Triton can be had on this machine")
def test_triton_and_the_in_process_backend_say_the_same(twice: list[dict[str, Any]]):
    pairs = twice[0]["whole"]["compared"]
    assert len(pairs) == 2, "one for each series of slices"
    for pair in pairs:
        assert pair["backends"] == ["onnxruntime", "triton"]
        assert pair["findings"][0] == pair["findings"][1] > 0
        assert pair["share"] <= SHARE_MAX
        assert pair["mm"] <= MM_MAX


def test_a_review_and_a_walk_to_cold_once_and_a_stranger_reads_all_of_it(twice: list[dict[str, Any]]):
    first, second = (one["whole"] for one in twice)
    assert first["reviews"] == second["reviews"] == ["confirmed by demo.radiologist"]
    assert [stage["ways"] for stage in first["walk"]][1:] == [["hot to warm"], ["warm to cold"]]
    for stage in first["walk"][1:]:
        assert stage["verified"] == stage["objects"] == first_instances(twice)
    assert not any(stage["ways"] for stage in second["walk"])
    assert first["client"] == second["client"] == first["results"] + 1


def first_instances(twice: list[dict[str, Any]]) -> int:
    instances: int = twice[0]["study"]["instances"]
    return instances


def test_a_second_run_changes_nothing_but_the_counts_of_duplicates(twice: list[dict[str, Any]]):
    first, second = twice
    assert second["run"]["stored"] == 0
    assert second["run"]["duplicates"] == second["run"]["acknowledged"] == first["run"]["acknowledged"]
    assert second["run"]["c_store_to_catalog"] is None
    assert second["archive"] == first["archive"]
    assert second["study"] == first["study"]


def test_the_contact_sheet_is_a_picture_of_the_thumbnails(stack: RunningStack, twice: list[dict[str, Any]]):
    path = Path(twice[1]["contact_sheet"])
    assert path.parent == stack.home
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width == grid_of(COLUMNS).size[0]
        assert (sheet.height - GAP_PX) % (TILE_PX + GAP_PX) == 0
        assert sheet.height > 5 * TILE_PX
        darkest, brightest = sheet.convert("L").getextrema()
    assert brightest - darkest > 200


def test_status_agrees_and_its_sums_are_those_of_the_topics(stack: RunningStack, twice: list[dict[str, Any]]):
    found = facts(stack, "status")
    assert found["agree"]
    for account in found["accounts"]:
        assert account["left"]["count"] == sum(term["count"] for term in account["right"]), account
    topics = found["topics"]
    assert topics["imaging.instance.received"]["events"] == found["bucket"]["originals"]["objects"]
    assert topics["imaging.instance.quarantined"]["events"] == sum(found["quarantined"].values())
    for topic, count in found["catalog"].items():
        assert topics[topic]["events"] == count, topic
    assert all(part["pid"] for part in found["stack"]["parts"])


def test_status_for_people_names_parts_and_equations(stack: RunningStack, twice: list[dict[str, Any]]):
    done = radstream(stack, "status")
    assert done.returncode == 0, done.stderr
    assert "quarantined" in done.stdout
    assert "NO" not in done.stdout.split()
    assert all(part in done.stdout for part in stack.names)


def test_the_pipeline_is_measured_by_process(stack: RunningStack):
    report = facts(stack, "bench", "pipeline", "--instances", "20", "--associations", "2")
    assert report["instances"] == 20
    assert report["instances_per_s"] > 0
    assert set(stack.names) < set(report["cpu_ms_by_process"])
    assert report["cpu_ms_per_instance"] == pytest.approx(sum(report["cpu_ms_by_process"].values()), abs=0.1)
    assert report["c_store_to_catalog"]["count"] == 20
    assert all(memory > 1 << 20 for memory in report["memory_bytes_by_process"].values())
