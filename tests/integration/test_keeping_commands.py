"""Where studies are kept, as a person asks for it: tier, hold and get on the running stack."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from pydicom.uid import generate_uid

from consumers.catalog import tiers
from consumers.catalog.config import Settings as Catalog
from consumers.catalog.database import snapshot
from radstream.errors import Failure
from streams import part10
from streams.config import Site, Store
from streams.elements import PIXEL_DATA
from streams.s3 import S3Store
from tests.commands import facts, run
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

IMAGE = Path(pydicom.data.__file__).parent / "test_files" / "MR_small.dcm"
IMAGES = 6


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


@dataclass(frozen=True)
class Sent:
    """A study of its own, and the SHA-256 of each file that the router acknowledged."""

    uid: str
    digests: frozenset[str]


def sent(stack: RunningStack, folder: Path) -> Sent:
    """MR images, which no model looks at: the study stays as it was sent."""
    study, series = generate_uid(), generate_uid()
    for number in range(1, IMAGES + 1):
        image = pydicom.dcmread(IMAGE)
        image.StudyInstanceUID, image.SeriesInstanceUID, image.InstanceNumber = study, series, number
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.save_as(folder / f"{study}.{number}.dcm")
    assert run(stack, "send", str(folder)).exit_code == 0
    # A store that stood still for a while leaves some of what was acknowledged on the spool.
    wait_until(lambda: len(keys(stack, study)) == IMAGES, "all images in the store")
    return Sent(str(study), frozenset(key.rpartition("/")[2].removesuffix(".dcm") for key in keys(stack, study)))


def keys(stack: RunningStack, study_uid: str) -> list[str]:
    """Of the study's originals, as the router named them: by the SHA-256 of what it acknowledged."""
    store, tenant = S3Store(stack.config.section("store", Store)), stack.config.section("site", Site).tenant
    return [key for key, _ in store.keys("hot", f"{tenant}/studies/{study_uid}/")]


def kept(stack: RunningStack, uid: str) -> dict[str, int]:
    """Verified copies by store, as the catalog has it."""
    with snapshot(stack.config.section("catalog", Catalog).dsn) as cursor:
        return {one.store: one.verified for one in tiers.kept(cursor, stack.config.section("site", Site).tenant, uid)}


@pytest.fixture(scope="module")
def studies(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> list[Sent]:
    """Three studies that are backed up."""
    found = [sent(stack, tmp_path_factory.mktemp("study")) for _ in range(3)]

    def backed_up() -> bool:
        return all(kept(stack, one.uid).get("backup") == IMAGES for one in found)

    wait_until(backed_up, "a backup of every image")
    return found


def written(folder: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.dcm")}


def test_a_study_is_backed_up_and_says_until_when_it_stays(stack: RunningStack, studies: list[Sent]) -> None:
    found = facts(stack, "tier", "explain", studies[0].uid)
    assert (found["wants"], found["serving"], found["instances"]) == ("stay", "hot", IMAGES)
    assert found["due_at"] is not None
    assert facts(stack, "tier", "explain", studies[0].uid, "--now", in_days(40))["wants"] == "age"
    shown = run(stack, "tier", "explain", studies[0].uid).stdout
    assert f"{IMAGES} in backup ({IMAGES} verified)" in shown


def test_a_hold_stops_the_release_until_it_is_released(stack: RunningStack, studies: list[Sent]) -> None:
    uid, name = studies[0].uid, f"legal-{studies[0].uid[-6:]}"
    placed = facts(stack, "hold", "add", uid, "--why", "Doe v. Roe", "--id", name)
    assert (placed["in_force"], placed["why"], placed["placed_by"] != "") == (True, "Doe v. Roe", True)
    held = facts(stack, "tier", "explain", uid, "--now", in_days(40))
    assert (held["wants"], held["holds"]) == ("stay", [name])
    assert name in held["why_not"]
    ran = facts(stack, "tier", "run", "--now", in_days(40), "--study", uid, "--yes")
    assert ran["moves"] == []
    assert kept(stack, uid) == {"backup": IMAGES, "hot": IMAGES}
    assert [one["hold_id"] for one in facts(stack, "hold", "list", "--study", uid)] == [name]

    released = facts(stack, "hold", "release", name, "--why", "settled")
    assert (released["in_force"], released["release_why"]) == (False, "settled")
    ran = facts(stack, "tier", "run", "--now", in_days(40), "--study", uid, "--yes")
    assert [(one["source"], one["target"], one["phase"], one["verified"]) for one in ran["moves"]] == [
        ("hot", "warm", "released", IMAGES)
    ]
    wait_until(lambda: kept(stack, uid) == {"backup": IMAGES, "warm": IMAGES}, "the catalog to show the move")
    assert facts(stack, "hold", "list", "--study", uid) == []
    assert len(facts(stack, "hold", "list", "--study", uid, "--all")) == 1


def test_after_moves_the_same_bytes_are_read_from_where_they_are(
    stack: RunningStack, studies: list[Sent], tmp_path: Path
) -> None:
    study = studies[1]
    before = facts(stack, "get", study.uid, "--to", str(tmp_path / "before"))
    assert (before["files"], before["stores"]) == (IMAGES, {"hot": IMAGES})
    file = next((tmp_path / "before").rglob("*.dcm"))
    for days, store in ((40, "warm"), (3650, "cold")):
        facts(stack, "tier", "run", "--now", in_days(days), "--study", study.uid, "--yes")
        moved = {"backup": IMAGES, store: IMAGES}
        wait_until(lambda moved=moved: kept(stack, study.uid) == moved, "the catalog to show the move")
        after = facts(stack, "get", study.uid, "--to", str(tmp_path / store))
        assert (after["files"], after["stores"], after["missed"]) == (IMAGES, {store: IMAGES}, [])
        assert written(tmp_path / store) == written(tmp_path / "before") == study.digests
        # Each with another window, so that no picture of an earlier look is in the frame cache.
        picture = tmp_path / f"{store}.png"
        facts(stack, "render", file.stem, "-o", str(picture), "--window", f"{days},100")
        facts(stack, "render", str(file), "-o", str(tmp_path / "of-the-file.png"), "--window", f"{days},100")
        assert picture.read_bytes() == (tmp_path / "of-the-file.png").read_bytes()
    listed = facts(stack, "tier", "list", "--store", "cold", "--limit", "1000")["studies"]
    assert study.uid in {one["study_uid"] for one in listed}
    wait_until(lambda: facts(stack, "study", study.uid)["reads"]["reads"] == 3 * IMAGES + 2, "the reads in the catalog")
    assert facts(stack, "tier", "explain", study.uid)["last_access_at"] is not None


def test_a_read_keeps_a_study_where_it_is(stack: RunningStack, studies: list[Sent], tmp_path: Path) -> None:
    uid = studies[2].uid
    facts(stack, "get", uid, "--to", str(tmp_path))

    def read() -> Any:
        due = facts(stack, "tier", "explain", uid)
        return due if due["last_access_at"] else None

    due = wait_until(read, "the read in the catalog")
    assert due["last_access_at"] > due["last_received_at"]
    planned = facts(stack, "tier", "run", "--dry-run", "--now", in_days(40), "--study", uid)
    assert [(one["study_uid"], one["source"], one["target"]) for one in planned] == [(uid, "hot", "warm")]
    assert facts(stack, "tier", "run", "--dry-run", "--now", in_days(29), "--study", uid) == []


def test_what_cannot_be_done_is_said_and_reasons_stay_out_of_messages(
    stack: RunningStack, studies: list[Sent], tmp_path: Path
) -> None:
    uid, name = studies[2].uid, f"trial-{studies[2].uid[-6:]}"
    assert run(stack, "hold", "add", uid, "--why", "Secret v. Secret", "--id", name).exit_code == 0
    for arguments, told in (
        (("hold", "add", uid, "--why", "x", "--id", name), "is taken"),
        (("hold", "add", uid, "--why", " ", "--id", "blank"), "say why"),
        (("hold", "add", uid, "--why", "x", "--id", "no name"), "64 letters"),
        (("hold", "add", "1.2.3", "--why", "x"), "nothing was held"),
        (("hold", "release", "nobody", "--why", "x"), "radstream hold list"),
        (("tier", "explain", "1.2.3"), "radstream studies"),
        (("tier", "run", "--now", in_days(40)), "--yes"),
        (("get", "1.2.3", "--to", str(tmp_path)), "radstream lag"),
        (("render", "1.2.3", "-o", str(tmp_path / "x.png")), "radstream lag"),
    ):
        failed = run(stack, *arguments)
        assert isinstance(failed.exception, Failure), arguments
        assert told in str(failed.exception)
        assert "Secret" not in str(failed.exception)
    assert run(stack, "hold", "release", name, "--why", "done").exit_code == 0
    again = run(stack, "hold", "release", name, "--why", "done")
    assert "released by" in str(again.exception)
    assert "Secret" not in str(again.exception)


def test_a_flipped_bit_is_found_in_whatever_store_and_nothing_else_is_wrong(
    stack: RunningStack, studies: list[Sent]
) -> None:
    uid = studies[2].uid

    def linked() -> bool:
        return bool(json.loads(run(stack, "verify", uid, "--json").stdout or "{}").get("links") == IMAGES)

    wait_until(linked, "the chain of the study")
    whole = facts(stack, "verify", uid)
    assert (whole["sound"], whole["studies"]) == (True, 1)
    assert whole["copies"] >= 2 * IMAGES
    tenant = stack.config.section("site", Site).tenant
    (file, *_) = (stack.home / "data" / "store" / "tiers" / "backup" / tenant / "studies" / uid).rglob("*.dcm")
    data = file.read_bytes()
    pixels = part10.read(data).elements[PIXEL_DATA]
    file.write_bytes(data[: pixels.end - 1] + bytes([data[pixels.end - 1] ^ 1]) + data[pixels.end :])
    try:
        found = run(stack, "verify", uid, "--json")
        assert found.exit_code == 1
        (wrong,) = json.loads(found.stdout)["findings"]
        assert (wrong["kind"], wrong["part"], wrong["store"]) == ("changed", "pixels", "backup")
        (good,) = wrong["good"]
        assert wrong["key"].endswith(file.name)
        assert f"A good copy is in {good}" in run(stack, "verify", uid).stdout
    finally:
        file.write_bytes(data)
    assert facts(stack, "verify", uid)["sound"]


def test_the_accounts_agree_and_a_rebuild_has_the_moves_and_the_holds(stack: RunningStack, studies: list[Sent]) -> None:
    found = facts(stack, "status")
    wrong = [one for one in found["accounts"] if one["name"] == "verified copies" and not one["agrees"]]
    assert wrong == []
    assert found["stores"]["backup"]["objects"] >= IMAGES * len(studies)
    wait_until(lambda: facts(stack, "catalog", "checksum")["lag"] == {}, "the catalog at the log's end")
    rebuilt = facts(stack, "catalog", "rebuild", "--reason", "a test")
    assert (rebuilt["equal"], rebuilt["differing"]) == (True, [])
    assert rebuilt["rebuilt"]["tables"]["hold_commands"]["rows"] >= 4


def test_the_bench_moves_its_own_studies_and_leaves_nothing_else(stack: RunningStack, studies: list[Sent]) -> None:
    before = {one.uid: kept(stack, one.uid) for one in studies}
    found = facts(stack, "bench", "tiering", "--objects", "10")
    assert [(leg["name"], leg["objects"]) for leg in found["moves"]] == [("hot to warm", 10), ("warm to cold", 10)]
    assert found["ratio"].keys() == {"hot to warm", "warm to cold"}
    assert all(leg["cpu_ms_by_process"]["tiering"] > 0 for leg in found["moves"])
    (uid,) = found["study_uids"]
    wait_until(lambda: kept(stack, uid) == {"backup": 10, "cold": 10}, "the catalog to show the moves")
    assert {one.uid: kept(stack, one.uid) for one in studies} == before
    store, tenant = S3Store(stack.config.section("store", Store)), stack.config.section("site", Site).tenant
    assert [key for name in store.names for key, _ in store.keys(name, f"{tenant}/bench/")] == []
