"""A migration from an old PACS to a router in this process: real DICOM on both sides, the log in memory as catalog."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from consumers.catalog.presence import Present
from radstream.errors import Failure
from radstream.migrating.journal import Journal
from radstream.migrating.old_pacs import OldPacs as Peer
from radstream.migrating.ours import ROUTER_AWAY, router_away
from radstream.migrating.pace import Pace
from radstream.migrating.pulling import Held, Puller
from radstream.migrating.relay import Relay
from radstream.migrating.run import Migration, Tally
from radstream.migrating.selecting import Selection
from streams.backoff import Backoff
from streams.clock import SystemClock
from streams.nodes import Node
from tests.old_pacs import AE_TITLE, OldPacs, running, study
from tests.routers import Ct, Router, running_router
from tests.routers_as_catalog import held_by
from tests.waiting import wait_until

AT_ONCE = Backoff(0.001, 0.001)


@dataclass
class Site:
    """An old PACS and a router that knows its lane."""

    pacs: OldPacs
    router: Router
    folder: Path

    def migrate(
        self,
        *,
        at_once: int = 1,
        attempts: int = 2,
        get: bool = False,
        uids: tuple[str, ...] = (),
        on_study: Callable[[object], None] = lambda _: None,
        port: int | None = None,
        held: Held | None = None,
    ) -> Tally:
        """`port` is where our router is asked whether it is there."""
        peer = Peer(self.pacs.node, "RADSTREAM")
        selection = Selection(peer, date(2019, 1, 1), date(2021, 1, 1), uids=uids, backoff=AT_ONCE)
        relay = Relay(peer, self.router.target, AE_TITLE)
        move = relay.get if get else lambda one, series: peer.move(one.study_uid, series, "RADSTREAM")
        puller = Puller(peer, move, held or held_by(self.router), settle_s_max=0.5)
        router = Node(ae_title="RADSTREAM", host="127.0.0.1", port=port or self.router.target.port)
        with closing(Journal(self.folder / "journal.jsonl")) as journal:
            migration = Migration(
                puller,
                journal,
                Pace(SystemClock()),
                at_once=at_once,
                attempts=attempts,
                backoff=AT_ONCE,
                abort=peer.abort,
                router_away=lambda: router_away(router, AE_TITLE),
                on_study=on_study,
            )
            tally = migration.run(selection.studies())
        assert selection.unproven == []
        return tally

    def originals(self) -> int:
        return len(self.router.originals())


@contextmanager
def site(
    tmp_path: Path,
    images: list[Ct],
    lane: str = "bulk",
    peers: Path | None = None,
    idle_timeout_s: float = 60.0,
    **manners: object,
) -> Iterator[Site]:
    with running_router(lanes={AE_TITLE: lane}, peers=peers, idle_timeout_s=idle_timeout_s) as router:
        destinations = {"RADSTREAM": ("127.0.0.1", router.target.port)}
        pacs = OldPacs(images, destinations=destinations, **manners)
        with running(pacs):
            yield Site(pacs, router, tmp_path)


def studies(count: int, images: int = 3) -> list[Ct]:
    return [
        image
        for number in range(1, count + 1)
        for image in study(number, images, day=f"2020{number % 12 + 1:02}01", at=f"{number % 24:02}1500")
    ]


def test_every_study_is_pulled_once_though_the_pacs_stops_at_ten_answers(tmp_path: Path) -> None:
    with site(tmp_path, studies(25), cap=10) as at:
        tally = at.migrate(at_once=3)
        assert (tally.states, tally.listed, tally.here, tally.undone) == ({"pulled": 25}, 75, 75, [])
        assert set(at.pacs.moved.values()) == {1}
        assert len(at.pacs.moved) == 25
        assert at.originals() == 75
        assert 1 <= at.pacs.at_once_max <= 3
        again = at.migrate()
        assert (again.before, again.moves, again.states) == (25, 0, {"pulled": 25})
        assert sum(at.pacs.moved.values()) == 25


def test_what_is_here_already_is_not_pulled_though_there_is_no_journal(tmp_path: Path) -> None:
    with site(tmp_path, [*study(1), *study(2, images=4, series=2)]) as at:
        at.router.send(*(image.item() for image in study(1)))
        at.router.send(*(image.item() for image in study(2, images=4, series=2)[::2]))
        tally = at.migrate()
        assert tally.states == {"there": 1, "pulled": 1}
        # Of the second, the series alone that was not here.
        assert at.pacs.moved == {"1.2.2.2": 1}
        assert at.originals() == 7


def test_a_study_that_grew_is_pulled_again(tmp_path: Path) -> None:
    with site(tmp_path, study(1)) as at:
        at.migrate()
        at.pacs.images += study(1, images=5)[3:]
        tally = at.migrate()
        assert (tally.states, tally.before, at.originals()) == ({"pulled": 1}, 0, 5)


def test_a_pacs_that_counts_nothing_is_asked_again_for_studies_that_were_done(tmp_path: Path) -> None:
    with site(tmp_path, studies(2), counts=False) as at:
        assert at.migrate().states == {"pulled": 2}
        at.pacs.images += study(1, images=4, day="20200201")[3:]
        tally = at.migrate()
        assert (tally.states, tally.before, at.originals()) == ({"pulled": 1, "there": 1}, 0, 7)
        # What had nothing new was compared, and not pulled.
        assert at.pacs.moved == {"1.2.1": 2, "1.2.2": 1}


def test_what_the_pacs_counts_of_a_study_and_lists_nowhere_is_missing_until_it_is_here(tmp_path: Path) -> None:
    with site(tmp_path, study(1, images=5, series=2), image_cap=1, counts_series=False) as at:
        at.router.send(*(image.item() for image in study(1, images=2, series=2)))
        at.pacs.lost |= {"1.2.1.1.5", "1.2.1.2.4"}
        tally = at.migrate()
        assert tally.states == {"short": 1}
        (entry,) = tally.undone
        assert (entry.said, entry.listed, entry.missing, entry.unlisted) == (5, 2, (), 2)
        assert "the old PACS counts more instances than it lists" in entry.reason
        # The whole study, as nothing tells which series.
        assert set(at.pacs.moved) == {"1.2.1"}
        at.pacs.lost.clear()
        assert at.migrate().states == {"pulled": 1}
        assert len(held_by(at.router)("1.2.1", ())) == 5


def test_a_study_that_an_earlier_version_called_done_is_compared_where_more_is_counted_than_listed(
    tmp_path: Path,
) -> None:
    with site(tmp_path, study(1, images=5), image_cap=3, counts_series=False) as at:
        at.router.send(*(image.item() for image in study(1)))
        done = '{"study":"1.2.1","state":"there","said":5,"listed":3,"here":3}\n'
        (tmp_path / "journal.jsonl").write_text(done, encoding="utf-8")
        tally = at.migrate()
        assert (tally.states, tally.before) == ({"pulled": 1}, 0)
        assert len(held_by(at.router)("1.2.1", ())) == 5


def test_what_the_pacs_of_no_counts_failed_to_send_is_missing_until_a_retrieval_without_failures(
    tmp_path: Path,
) -> None:
    with site(tmp_path, study(1, images=3), image_cap=2, counts=False) as at:
        at.pacs.spoilt.add("1.2.1.1.3")
        tally = at.migrate()
        assert tally.states == {"short": 1}
        assert tally.undone[0].failed == 1
        assert "failed to send 1" in tally.undone[0].reason
        # All that is listed is here by now, and in between it is not even let in.
        at.pacs.failures["1.2.1"] = 2
        assert at.migrate().states == {"failed": 1}
        assert at.migrate().states == {"short": 1}
        at.pacs.spoilt.clear()
        assert at.migrate().states == {"pulled": 1}
        assert at.originals() == 3


def test_a_failure_to_send_leaves_no_doubt_of_a_study_that_is_here_as_counted(tmp_path: Path) -> None:
    with site(tmp_path, study(1, images=3)) as at:
        at.router.send(study(1)[2].item())
        at.pacs.spoilt.add("1.2.1.1.3")
        assert at.migrate().states == {"pulled": 1}


def test_a_failure_is_tried_again_then_listed_and_the_run_goes_on(tmp_path: Path) -> None:
    with site(tmp_path, studies(5)) as at:
        at.pacs.failures.update({"1.2.1": 1, "1.2.2": 9})
        at.pacs.spoilt.add("1.2.3.1.2")
        at.pacs.lost.add("1.2.4.1.3")
        tally = at.migrate(attempts=2)
        assert tally.states == {"pulled": 2, "failed": 1, "short": 2}
        assert at.pacs.moved == {"1.2.1": 2, "1.2.2": 2, "1.2.3": 2, "1.2.4": 2, "1.2.5": 1}
        undone = {entry.study: entry for entry in tally.undone}
        assert "C001" in undone["1.2.2"].reason
        assert undone["1.2.3"].missing == ("1.2.3.1.2",)
        assert "failed to send 1" in undone["1.2.3"].reason
        assert undone["1.2.4"].missing == ("1.2.4.1.3",)
        assert "says that it sent them" in undone["1.2.4"].reason
        # Whatever was mended since: what was not done is tried again, what was done is not.
        at.pacs.failures.clear()
        at.pacs.lost.clear()
        at.pacs.spoilt.clear()
        assert at.migrate().states == {"pulled": 5}
        assert at.pacs.moved["1.2.5"] == 1
        assert at.originals() == 15


class Killed(BaseException):
    """As Ctrl-C would: in the middle of a run."""


def test_a_run_that_is_stopped_in_the_middle_goes_on_where_it_was(tmp_path: Path) -> None:
    def stop(entry: object) -> None:
        # What was done before is settled in the thread that calls, here while another pulls.
        if threading.current_thread() is threading.main_thread():
            raise Killed

    with site(tmp_path, studies(9)) as at:
        at.migrate(uids=("1.2.1", "1.2.2", "1.2.3"))
        with pytest.raises(Killed):
            at.migrate(uids=("1.2.4", "1.2.1"), on_study=stop)
        assert sum(at.migrate().states.values()) == 9
        assert {count for uid, count in at.pacs.moved.items() if uid != "1.2.4"} == {1}
        assert at.originals() == 27


def test_a_router_that_the_pacs_does_not_know_ends_the_run_at_once(tmp_path: Path) -> None:
    with site(tmp_path, studies(5)) as at:
        at.pacs.destinations = {}
        tally = at.migrate()
        assert "A801" in tally.stopped
        assert tally.states == {}
        assert at.originals() == 0


def test_a_pacs_that_goes_away_ends_the_run_and_not_only_its_studies(tmp_path: Path) -> None:
    with site(tmp_path, studies(1)) as at:
        peer = Peer(at.pacs.node.__class__(ae_title=AE_TITLE, host="127.0.0.1", port=1), "RADSTREAM")
        puller = Puller(peer, lambda one, series: peer.move(one.study_uid, series, "RADSTREAM"), held_by(at.router))
        with closing(Journal(tmp_path / "j.jsonl")) as journal:
            migration = Migration(puller, journal, Pace(SystemClock()), attempts=1, backoff=AT_ONCE)
            found = list(Selection(Peer(at.pacs.node, "R"), date(2019, 1, 1), date(2021, 1, 1)).studies())
            tally = migration.run(found * 9)
        assert "does not answer" in tally.stopped
        assert tally.states["failed"] < 9


@pytest.mark.parametrize("known", [True, False])
def test_our_router_that_is_away_ends_the_run_and_the_pacs_is_not_blamed(tmp_path: Path, known: bool) -> None:
    """`known`: the old PACS says that it could not send; else, as others do, that it knows no such destination."""
    with site(tmp_path, studies(5)) as at, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        if known:
            at.pacs.failures.update({image.study: 9 for image in at.pacs.images})
        else:
            at.pacs.destinations = {}
        tally = at.migrate(attempts=4, port=port)
        assert "our router does not answer" in tally.stopped
        assert "PACS" not in tally.stopped
        assert {entry.reason for entry in tally.undone} == {ROUTER_AWAY}
        assert tally.states == {"failed": 3}
        # Each once, and not again before our router is there.
        assert set(at.pacs.moved.values()) <= {1}
        at.pacs.failures.clear()
        at.pacs.destinations = {"RADSTREAM": ("127.0.0.1", at.router.target.port)}
        assert at.migrate().states == {"pulled": 5}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])  # noqa: S104 - asked, not listened on
def test_a_router_that_listens_everywhere_is_not_asked_on_this_machine(host: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert router_away(Node(ae_title="RADSTREAM", host="127.0.0.1", port=port), AE_TITLE) == ROUTER_AWAY
        assert router_away(Node(ae_title="RADSTREAM", host=host, port=port), AE_TITLE) == ""


def test_the_catalog_that_is_away_ends_the_run(tmp_path: Path) -> None:
    def away(study_uid: str, uids: object) -> Mapping[str, Present]:
        raise Failure("the catalog does not answer; see what runs, and start it: radstream up")

    with site(tmp_path, studies(5)) as at:
        tally = at.migrate(held=away)
        assert "the catalog does not answer any more" in tally.stopped
        assert (tally.states, at.pacs.moved) == ({"failed": 3}, {})


def test_what_comes_in_another_lane_ends_the_run(tmp_path: Path) -> None:
    with site(tmp_path, studies(3), lane="routine") as at:
        tally = at.migrate()
        assert "lane routine" in tally.stopped
        assert tally.states == {"pulled": 1}


def test_by_c_get_what_comes_goes_to_the_router_in_the_same_lane(tmp_path: Path) -> None:
    with site(tmp_path, studies(3)) as at:
        tally = at.migrate(get=True)
        assert (tally.states, tally.undone) == ({"pulled": 3}, [])
        assert at.originals() == 9
        assert {event.source.calling_ae for event in at.router.received("imaging.instance.received.bulk")} == {AE_TITLE}


def test_by_c_get_a_pacs_may_take_longer_to_begin_than_our_router_waits(tmp_path: Path) -> None:
    def expired() -> float:
        return REGISTRY.get_sample_value("radstream_associations_ended_total", {"how": "expired"}) or 0.0

    before = expired()

    def until_our_router_has_given_up() -> None:
        wait_until(lambda: expired() > before, "the router's end of the silent association")

    with site(tmp_path, studies(1), idle_timeout_s=0.3, find_tape=until_our_router_has_given_up) as at:
        tally = at.migrate(get=True, attempts=1)
        assert (tally.states, tally.undone) == ({"pulled": 1}, [])
        assert at.originals() == 3


def test_by_c_get_a_router_that_lets_nobody_in_from_here_ends_the_run_at_once(tmp_path: Path) -> None:
    peers = tmp_path / "peers.toml"
    peers.write_text(f'[[peer]]\nae_title = "{AE_TITLE}"\naddresses = ["10.1.2.3"]\ncommon_name = "pacs"\n')
    with site(tmp_path, studies(5), peers=peers) as at:
        tally = at.migrate(get=True)
        assert "does not let in what comes from this machine as OLDPACS" in tally.stopped
        assert "PACS does not answer" not in tally.stopped
        assert at.originals() == 0


def test_no_name_is_in_the_journal_or_in_what_a_run_says(tmp_path: Path) -> None:
    with site(tmp_path, studies(2)) as at:
        at.pacs.failures["1.2.1"] = 9
        tally = at.migrate()
        told = (tmp_path / "journal.jsonl").read_text(encoding="utf-8") + repr(tally)
        assert "Doe" not in told
        assert "MRN" not in told
