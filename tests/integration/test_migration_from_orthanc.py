"""A migration from a PACS that nobody here wrote, to a router in this process."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from radstream.migrating.journal import Journal
from radstream.migrating.old_pacs import OldPacs
from radstream.migrating.pace import Pace
from radstream.migrating.pulling import Puller
from radstream.migrating.relay import Relay
from radstream.migrating.run import Migration
from radstream.migrating.selecting import Selection
from streams.backoff import Backoff
from streams.clock import SystemClock
from tests.old_pacs import study
from tests.orthanc import AE_TITLE, orthanc
from tests.routers import Ct, running_router
from tests.routers_as_catalog import held_by

CAP = 10
STUDIES = 23


def images() -> list[Ct]:
    """Most on one day, so that days have to be split too."""
    return [
        image
        for number in range(1, STUDIES + 1)
        for image in study(number, 2, day="20200229" if number > 5 else f"202001{number:02}", at=f"{number:02}3000")
    ]


@pytest.mark.parametrize("get", [False, True], ids=["C-MOVE", "C-GET"])
def test_every_study_comes_from_an_orthanc_that_stops_at_ten_answers(tmp_path: Path, get: bool) -> None:
    with (
        running_router(lanes={AE_TITLE: "bulk"}) as router,
        orthanc(tmp_path, ("RADSTREAM", router.target.port), answers_max=CAP) as old,
    ):
        assert old.fill([image.item() for image in images()]).acknowledged == 2 * STUDIES
        peer = OldPacs(old.node, "RADSTREAM")
        selection = Selection(peer, date(2019, 1, 1), date(2021, 1, 1), ("CT",), backoff=Backoff(0.01, 0.01))
        relay = Relay(peer, router.target, AE_TITLE)
        retrieve = relay.get if get else lambda one, series: peer.move(one.study_uid, series, "RADSTREAM")
        with closing(Journal(tmp_path / "journal.jsonl")) as journal:
            puller = Puller(peer, retrieve, held_by(router), settle_s_max=5)
            tally = Migration(puller, journal, Pace(SystemClock()), at_once=2, attempts=1).run(selection.studies())
        assert (tally.states, tally.undone, tally.stopped) == ({"pulled": STUDIES}, [], "")
        assert (tally.here, len(router.originals())) == (2 * STUDIES, 2 * STUDIES)
        assert selection.unproven == []
        assert old.moves() == (0 if get else STUDIES)
        assert {event.source.calling_ae for event in router.received("imaging.instance.received.bulk")} == {AE_TITLE}
