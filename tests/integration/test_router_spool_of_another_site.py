"""What a site left on its spool that has another name now: it stands aside, and nobody else is to notice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY

from producers.dicom_router.spool import aside, places
from producers.dicom_router.spool.config import Settings
from producers.dicom_router.spool.incoming import Incoming
from tests.logged import captured, lines
from tests.routers import Ct, running_router
from tests.spools import incoming, opened
from tests.waiting import wait_until

LEFT = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As an outage left it, before `[site] site` was changed from `there` to `here`."""
    spool = opened(tmp_path / "spool")
    for number in range(LEFT):
        spool.append(of_there(incoming(b"%d" % number, f"1.2.{number}")))
    spool.close()
    return tmp_path / "spool"


def of_there(one: Incoming) -> Incoming:
    return Incoming(replace(one.kept, site="there"), one.received_ms, one.digest, one.parts)


def replicated() -> float:
    return REGISTRY.get_sample_value("radstream_acknowledged_total", {"promise": "replicated"}) or 0.0


def shown(what: str) -> float | None:
    return REGISTRY.get_sample_value(f"radstream_spool_{what}")


def test_it_stands_aside_with_its_reason_and_store_and_log_are_not_taken_for_away(folder: Path) -> None:
    before = replicated()
    # A pause of this machine is no reason to spool what comes.
    settings = Settings(folder=folder, free_bytes_min=0, patience_s=60.0)
    with captured() as stream, running_router(spool=settings) as router:
        for number in range(LEFT):
            image = Ct(study=f"1.3.{number}", instance=f"1.3.{number}.1")
            assert router.send(image.item()).statuses == {"0000": 1}
        wait_until(lambda: aside.count(folder) == LEFT, "all of it to stand aside")
        wait_until(lambda: (router.keeping.look(), shown("instances"))[1] == 0, "nothing to wait any more")
        assert shown("aside") == LEFT
    assert replicated() == before + LEFT, "no image of here went to the spool"
    said = {json.loads(path.read_text())["reason"] for path in (folder / places.ASIDE).glob("*.reason")}
    assert said == {
        "it was received for tenant t, site there, and the router is of tenant t, site here: "
        "a router with that [site] commits it"
    }
    logged = lines(stream)
    assert {line["reason"] for line in logged if line["event"] == "spool_set_aside"} == said
    assert "parts_away" not in {line["event"] for line in logged}
