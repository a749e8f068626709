"""C-STORE while store or log come and go: senders are told 0x0000, and all they sent arrives, in its order."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from producers.dicom_router.spool import aside, draining, places, stuck
from producers.dicom_router.spool.config import Settings
from producers.dicom_router.spool.draining import THREADS
from streams.config import ConfigError
from streams.log import LogClosed, LogRefused
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.step import NewObject, Stored
from streams.stored_file import stored_file
from tests.power import PowerDisk, mounted
from tests.routers import CT, EXPLICIT, Ct, Router, running_router
from tests.spools import segments, unreadable
from tests.waiting import wait_until


class Store(MemoryStore):
    """Takes nothing while `away`; hangs while `gate` is closed; keeps other bytes for what `spoils` says."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.gate = threading.Event()
        self.gate.set()
        self.spoils: Callable[[str], bool] = lambda _: False
        self.tries = 0
        self.threads: set[str] = set()

    def create(self, new: NewObject) -> Stored:
        self.tries += 1
        self.threads.add(threading.current_thread().name)
        self.gate.wait()
        if self.away:
            raise StoreAway("the store is away")
        if self.spoils(new.key):
            new = NewObject(new.tenant, new.store, new.key, b"other bytes")
        return super().create(new)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[PowerDisk]:
    with mounted(tmp_path, 48 << 20) as made:
        yield made
        wait_until(made.is_pulled_out, "the last file on it to be closed")


def settings(folder: Path, **more: object) -> Settings:
    chosen = {"budget_bytes": 64 << 20, "free_bytes_min": 0, "segment_bytes": 1 << 16, **more}
    return Settings(folder=folder, **chosen)


def images(count: int, study: str = "1.2.3") -> list[Ct]:
    return [Ct(study=study, series=f"{study}.1", instance=f"{study}.1.{number}") for number in range(1, count + 1)]


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"radstream_{name}", labels) or 0.0


def arrived(router: Router, count: int) -> None:
    wait_until(lambda: len(router.received()) >= count, f"{count} events")


def whole(router: Router, image: Ct) -> bool:
    file = stored_file(CT, image.instance, EXPLICIT, image.data_set())
    digest = hashlib.sha256(file).hexdigest()
    events = [event for event in router.received() if event.instance.digest == digest]
    return bool(events) and router.held.read(events[0].object) == file


@pytest.mark.parametrize("part", ["store", "log"])
def test_while_a_part_is_away_senders_are_acknowledged_and_what_they_sent_arrives_in_its_order(
    part: str, store: Store, folder: Path
) -> None:
    sent = [image for study in ("1.2.3", "1.2.4", "1.2.5") for image in images(6, study)]
    with running_router(store, store, spool=settings(folder)) as router:
        parts: dict[str, Store | MemoryLog] = {"store": store, "log": router.log}
        parts[part].away = True
        assert router.send(*(image.item() for image in sent)).statuses == {"0000": 18}
        assert router.health.failing() == {}
        parts[part].away = False
        arrived(router, 18)

        assert all(whole(router, image) for image in sent)
        for study in ("1.2.3", "1.2.4", "1.2.5"):
            order = [
                event.instance.sop_instance_uid for event in router.received() if event.instance.study_uid == study
            ]
            assert order == [image.instance for image in images(6, study)]


def test_a_newer_router_does_not_overtake_what_waits_on_an_older_ones_spool(store: Store, folder: Path) -> None:
    """The older one cannot commit, the newer one can: as where one has just noticed an outage, or its end."""
    first, second, third = images(3)
    (other,) = images(1, "1.2.4")
    away = Store()
    away.away = True
    with ExitStack() as stack:
        older = stack.enter_context(running_router(away, away, spool=settings(folder)))
        assert older.send(first.item()).statuses == {"0000": 1}
        with running_router(store, store, spool=settings(folder)) as newer:
            assert newer.send(second.item(), other.item()).statuses == {"0000": 2}
            arrived(newer, 1)
            newer.keeping.look()
            assert [event.instance.study_uid for event in newer.received()] == ["1.2.4"]

            stack.close()
            assert newer.send(third.item()).statuses == {"0000": 1}
            newer.keeping.look()
            arrived(newer, 4)
            order = [
                event.instance.sop_instance_uid for event in newer.received() if event.instance.study_uid == "1.2.3"
            ]
            assert order == [image.instance for image in (first, second, third)]


def test_the_drain_gives_way_to_senders_whom_the_spool_answers_by_choice(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread of the drain works while they send, all once they are quiet."""
    with running_router(store, store, spool=settings(folder, acknowledge="spool")) as router:
        began_s = router.clock.monotonic()
        monkeypatch.setattr(router.clock, "monotonic", lambda: began_s)
        store.gate.clear()
        studies = [images(1, f"1.2.{number}")[0] for number in range(16)]
        assert router.send(*(image.item() for image in studies[:8])).statuses == {"0000": 8}
        wait_until(lambda: store.threads, "the drain")
        store.gate.set()
        arrived(router, 8)
        assert store.threads == {"drain-0"}

        store.gate.clear()
        assert router.send(*(image.item() for image in studies[8:])).statuses == {"0000": 8}
        monkeypatch.setattr(router.clock, "monotonic", lambda: began_s + 1)
        wait_until(lambda: len(store.threads) == THREADS, "all threads of the drain")
        store.gate.set()
        arrived(router, 16)


def test_the_drain_does_not_give_way_to_senders_whom_a_full_spool_refuses(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come again and again, and only the drain makes room for them."""
    full = settings(folder, acknowledge="spool", budget_bytes=1 << 20)
    with running_router(store, store, spool=full) as router:
        began_s = router.clock.monotonic()
        monkeypatch.setattr(router.clock, "monotonic", lambda: began_s)
        store.gate.clear()
        large = [Ct(study=f"1.2.{number}", pixels=bytes(200_000)).item() for number in range(6)]
        assert router.send(*large).statuses == {"0000": 5, "A700": 1}
        monkeypatch.setattr(router.clock, "monotonic", lambda: began_s + 0.4)
        assert router.send(large[-1]).statuses == {"A700": 1}
        monkeypatch.setattr(router.clock, "monotonic", lambda: began_s + 0.6)
        wait_until(lambda: len(store.threads) == THREADS, "all threads of the drain")
        store.gate.set()
        arrived(router, 5)


def test_an_event_out_of_the_spool_says_when_and_from_whom_it_came(store: Store, folder: Path) -> None:
    before = datetime.now(UTC)
    with running_router(store, store, lanes={"ANGIO1": "stat"}, spool=settings(folder)) as router:
        store.away = True
        router.send(Ct().item(), calling_ae="ANGIO1")
        acknowledged = datetime.now(UTC)
        store.away = False
        wait_until(lambda: router.received("imaging.instance.received.stat"), "the event")

        (event,) = router.received("imaging.instance.received.stat")
        assert before.timestamp() - 0.001 <= event.meta.occurred_at.timestamp() <= acknowledged.timestamp()
        assert event.meta.lane == "stat"
        assert (event.source.calling_ae, event.source.called_ae) == ("ANGIO1", "RADSTREAM")


def test_what_a_failed_commit_still_reads_is_not_overwritten_by_the_next_object(folder: Path) -> None:
    """A client that gave up may send what it has for a while: the bytes stay those of their own image."""
    store = Lingering()
    with running_router(store, store, spool=settings(folder)) as router:
        router.send(*(image.item() for image in images(20)))
        (new, first), *_ = store.lingering
        assert bytes(new.data) == first
        arrived(router, 20)


class Lingering(MemoryStore):
    """Fails once, and keeps what it was given to read on."""

    def __init__(self) -> None:
        super().__init__()
        self.lingering: list[tuple[NewObject, bytes]] = []

    def create(self, new: NewObject) -> Stored:
        if not self.lingering and new.key.endswith(".dcm"):
            self.lingering.append((new, bytes(new.data)))
            raise StoreAway("gave up")
        return super().create(new)


def test_nobody_waits_for_a_store_that_hangs(store: Store, folder: Path) -> None:
    """One commit hangs; from when it took too long on, others are acknowledged without the store being asked."""
    with running_router(store, store, spool=settings(folder)) as router:
        store.gate.clear()
        hanging = threading.Thread(target=router.send, args=(Ct(study="1.9").item(),))
        hanging.start()
        wait_until(lambda: store.tries, "the first commit")
        router.clock.ahead_s += 10.0
        tries = store.tries
        assert router.send(*(image.item() for image in images(5))).statuses == {"0000": 5}
        assert store.tries == tries
        store.gate.set()
        hanging.join()
        arrived(router, 6)


def test_without_the_spool_senders_are_told_to_try_again_at_once(store: Store, folder: Path) -> None:
    with running_router(store, store, spool=settings(folder, no_spool=True)) as router:
        store.away = True
        assert router.send(Ct().item()).statuses == {"A700": 1}
        assert segments(folder) == []
        assert "commit" in router.health.failing()
        store.away = False
        assert router.send(Ct().item(), retries=20).statuses == {"0000": 1}


def test_without_the_spool_a_study_of_which_something_is_on_it_waits_until_that_is_drained(
    store: Store, folder: Path
) -> None:
    first, second = images(2)
    store.away = True
    with running_router(store, store, spool=settings(folder)) as router:
        assert router.send(first.item()).statuses == {"0000": 1}
    store.away = False
    store.gate.clear()
    with running_router(store, store, spool=settings(folder, no_spool=True)) as router:
        assert router.send(second.item()).statuses == {"A700": 1}
        store.gate.set()
        assert router.send(second.item(), retries=20).statuses == {"0000": 1}
        order = [event.instance.sop_instance_uid for event in router.received()]
        assert order == [first.instance, second.instance]


def test_a_site_that_chose_so_acknowledges_by_the_spool_and_drains_at_once(store: Store, folder: Path) -> None:
    before = metric("acknowledged_total", promise="spool")
    chosen = settings(folder, acknowledge_of={"CT1": "spool"})
    with running_router(store, store, spool=chosen) as router:
        store.gate.clear()
        assert router.send(*(image.item() for image in images(4)), calling_ae="CT1").statuses == {"0000": 4}
        assert metric("acknowledged_total", promise="spool") == before + 4
        assert router.received() == []
        store.gate.set()
        arrived(router, 4)
        assert all(whole(router, image) for image in images(4))


def test_a_study_with_spooled_instances_stays_on_the_spool_until_it_is_drained(store: Store, folder: Path) -> None:
    chosen = settings(folder, acknowledge_of={"CT1": "spool"})
    with running_router(store, store, spool=chosen) as router:
        first, second = images(2)
        store.gate.clear()
        router.send(first.item(), calling_ae="CT1")
        # Another sender, whose objects are committed at once where nothing of their study is on the spool.
        assert router.send(second.item(), calling_ae="PACS").statuses == {"0000": 1}
        assert router.received() == []
        store.gate.set()
        arrived(router, 2)
        assert [event.instance.sop_instance_uid for event in router.received()] == [first.instance, second.instance]


def test_over_budget_the_answer_is_a700_readiness_says_why_and_nothing_acknowledged_is_lost(
    store: Store, folder: Path
) -> None:
    sent = [Ct(study="1.2.3", instance=f"1.2.3.1.{number}", pixels=bytes(200_000)) for number in range(1, 13)]
    with running_router(store, store, spool=settings(folder, budget_bytes=1 << 20, segment_bytes=1 << 18)) as router:
        store.away = True
        result = router.send(*(image.item() for image in sent))
        assert result.statuses.keys() == {"0000", "A700"}
        router.keeping.look()
        assert router.health.failing().keys() >= {"commit", "spool"}
        store.away = False
        arrived(router, result.statuses["0000"])
        assert sum(whole(router, image) for image in sent) == result.statuses["0000"]


def test_a_spool_without_room_sends_nobody_away_before_it_is_needed(store: Store, folder: Path) -> None:
    with running_router(store, store, spool=settings(folder, free_bytes_min=1 << 60)) as router:
        router.keeping.look()
        assert router.health.failing() == {}
        assert router.send(Ct().item()).statuses == {"0000": 1}
        store.away = True
        assert router.send(Ct(instance="1.2.3.4.6").item()).statuses == {"A700": 1}
        router.keeping.look()
        assert "free_bytes_min" in router.health.failing()["spool"]


def test_what_was_acknowledged_arrives_after_a_restart(store: Store, folder: Path) -> None:
    store.away = True
    with running_router(store, store, spool=settings(folder)) as router:
        assert router.send(*(image.item() for image in images(5))).statuses == {"0000": 5}
    store.away = False
    with running_router(store, store, spool=settings(folder)) as router:
        arrived(router, 5)
        assert [event.instance.sop_instance_uid for event in router.received()] == [
            image.instance for image in images(5)
        ]


def test_the_same_bytes_again_are_acknowledged_stored_once_and_published_again(store: Store, folder: Path) -> None:
    with running_router(store, store, spool=settings(folder)) as router:
        store.away = True
        for _ in range(3):
            assert router.send(Ct().item()).statuses == {"0000": 1}
        store.away = False
        arrived(router, 3)
        assert router.send(Ct().item()).statuses == {"0000": 1}
        arrived(router, 4)

        assert len({event.meta.event_id for event in router.received()}) == 1
        assert len(router.originals()) == 1


def test_the_same_bytes_of_two_devices_have_an_event_with_each_ones_name_also_after_a_restart(
    store: Store, folder: Path
) -> None:
    """Commitment is told to whom the arrivals name (docs/decisions/0086)."""
    store.away = True
    with running_router(store, store, spool=settings(folder)) as router:
        for calling_ae in ("CT1", "WS1", "WS1"):
            assert router.send(Ct().item(), calling_ae=calling_ae).statuses == {"0000": 1}
    store.away = False
    with running_router(store, store, spool=settings(folder)) as router:
        arrived(router, 2)
        events = router.received()
        assert [event.source.calling_ae for event in events[:2]] == ["CT1", "WS1"]
        assert len({event.meta.event_id for event in events}) == len(router.originals()) == 1


def test_what_comes_again_after_other_content_under_its_uid_has_a_time_of_its_own(store: Store, folder: Path) -> None:
    """The last that a sender delivered is what it has: else a rejected image counted as replaced (0086)."""
    first, other = Ct(), Ct(pixels=b"\x03\x04" * 64)
    with running_router(store, store, spool=settings(folder)) as router:
        store.away = True
        for image in (first, other, first):
            assert router.send(image.item()).statuses == {"0000": 1}
        store.away = False
        arrived(router, 3)
        events = router.received()
        digests = [event.instance.digest for event in events]
        assert digests[0] == digests[2] != digests[1]
        assert events[0].meta.occurred_at < events[1].meta.occurred_at <= events[2].meta.occurred_at


def test_what_cannot_be_committed_is_set_aside_with_its_reason_and_blocks_nobody(store: Store, folder: Path) -> None:
    first, bad, last = images(3)
    store.spoils = lambda key: f"/{bad.instance}/" in key
    chosen = settings(folder, acknowledge="spool")
    with running_router(store, store, spool=chosen) as router:
        assert router.send(*(image.item() for image in (first, bad, last))).statuses == {"0000": 3}
        arrived(router, 2)
        assert [event.instance.sop_instance_uid for event in router.received()] == [first.instance, last.instance]
        wait_until(lambda: aside.count(folder), "it to be set aside")
        router.keeping.look()
        assert metric("spool_aside") == 1.0
        (reason,) = (folder / places.ASIDE).glob("*.reason")
        assert json.loads(reason.read_text()) == {"reason": "the store holds other bytes under its key", "tries": 1}
        assert aside.records(folder)[0].read_bytes().endswith(bad.data_set())


@pytest.mark.usefixtures("written")  # Printed, each traceback takes seconds of a busy machine.
@pytest.mark.parametrize(
    "lack", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), MemoryError()], ids=["disk", "memory"]
)
def test_what_cannot_stand_aside_now_counts_as_waiting_and_is_tried_until_it_can(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, lack: Exception
) -> None:
    first, bad, last = images(3)
    store.spoils = lambda key: f"/{bad.instance}/" in key
    tries: list[object] = []

    def lacks(*_: object) -> None:
        tries.append(None)
        raise lack

    monkeypatch.setattr(stuck, "PAUSE_S", 0.0)
    with running_router(store, store, spool=settings(folder)) as router:
        with monkeypatch.context() as patched:
            patched.setattr(aside, "set_record_aside", lacks)
            store.away = True
            assert router.send(*(image.item() for image in (first, bad, last))).statuses == {"0000": 3}
            store.away = False
            arrived(router, 2)
            wait_until(lambda: (router.keeping.look(), len(tries) > 12)[1], "it to be tried often")
            router.clock.ahead_s += 700
            router.keeping.look()
            assert metric("spool_instances") == 1.0
            assert metric("spool_bytes") > 0.0
            assert metric("spool_oldest_seconds") > 600.0
            assert router.health.failing() == {}
            before = metric("acknowledged_total", promise="replicated")
            assert router.send(Ct(study="1.2.9", instance="1.2.9.1").item()).statuses == {"0000": 1}
            assert metric("acknowledged_total", promise="replicated") == before + 1, "nothing is away"
        wait_until(lambda: (router.keeping.look(), metric("spool_aside"))[1] == 1.0, "it to stand aside")
        wait_until(lambda: (router.keeping.look(), metric("spool_instances"))[1] == 0.0, "nothing to wait")
        assert aside.records(folder)[0].read_bytes().endswith(bad.data_set())


def test_what_is_stuck_sends_nobody_away_while_it_is_tried_once_more(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, second, third = images(3)
    trying, go_on = threading.Event(), threading.Event()
    go_on.set()

    def spoils(key: str) -> bool:
        is_bad = f"/{bad.instance}/" in key
        if is_bad:
            trying.set()
            go_on.wait()
        return is_bad

    store.spoils = spoils
    monkeypatch.setattr(stuck, "PAUSE_S", 0.0)
    with running_router(store, store, spool=settings(folder)) as router:
        store.away = True
        assert router.send(bad.item()).statuses == {"0000": 1}
        monkeypatch.setattr(places, "free_bytes", lambda _: 0)
        store.away = False
        wait_until(lambda: router.send(second.item()).statuses == {"0000": 1}, "what came behind it to go on")
        wait_until(lambda: len(router.received()) == 1, "it to be committed, by whichever way")
        go_on.clear()
        trying.clear()
        router.keeping.look()
        assert trying.wait(60.0)
        router.keeping.look()
        assert "spool" not in router.health.failing()
        assert metric("spool_instances") == 1.0
        before = metric("acknowledged_total", promise="replicated")
        assert router.send(third.item()).statuses == {"0000": 1}
        assert metric("acknowledged_total", promise="replicated") == before + 1
        go_on.set()


def test_after_a_disk_that_gave_nothing_back_a_log_that_refuses_everything_is_waited_for_all_the_same(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be read was not refused, so it counts when it is."""
    reads: list[object] = []

    def gone(*_: object) -> None:
        reads.append(None)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def refuse(message: object) -> None:
        raise LogRefused("not authorised")

    monkeypatch.setattr(stuck, "PAUSE_S", 0.0)
    chosen = settings(folder, acknowledge_of={"CT1": "spool"})
    with running_router(store, store, spool=chosen) as router, monkeypatch.context() as refusing:
        with monkeypatch.context() as patched:
            patched.setattr(draining, "read", gone)
            sent = [image for number in range(40) for image in images(1, f"1.2.{number}")]
            assert router.send(*(image.item() for image in sent), calling_ae="CT1").statuses == {"0000": 40}
            wait_until(lambda: (router.keeping.look(), len(reads) >= 120)[1], "all of them to be stuck")
            refusing.setattr(router.log, "append", refuse)

        def known() -> bool:
            router.keeping.look()
            return router.send(Ct(study="1.9").item()).statuses == {"0000": 1} or aside.count(folder) >= 40

        wait_until(known, "the log to be known as away")
        assert aside.count(folder) < 20


def test_a_log_that_refuses_everything_is_waited_for_and_not_taken_for_bad_instances(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(folder, acknowledge="spool")
    with running_router(store, store, spool=chosen) as router:
        really = router.log.append

        def refuse(message: object) -> None:
            raise LogRefused("not authorised")

        with monkeypatch.context() as patched:
            patched.setattr(router.log, "append", refuse)
            sent = [image for number in range(40) for image in images(1, f"1.2.{number}")]
            assert router.send(*(image.item() for image in sent)).statuses == {"0000": 40}
            wait_until(lambda: aside.count(folder) >= 10, "the first ones to be set aside")
        assert router.log.append == really
        wait_until(lambda: len(router.received()) + aside.count(folder) == 40, "all the others")
        assert aside.count(folder) < 20
    with running_router(store, store, spool=chosen) as router:
        wait_until(lambda: not aside.count(folder) and not segments(folder), "all of them")


@pytest.mark.parametrize("acknowledge", ["replicated", "spool"])
def test_a_log_that_lets_nobody_write_is_as_good_as_away(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, acknowledge: str
) -> None:
    """Scanners are not to wait until an ACL is mended, and nothing is at fault that waits for that."""
    with running_router(store, store, spool=settings(folder, acknowledge=acknowledge)) as router:

        def refuse(message: object) -> None:
            raise LogClosed("write: TOPIC_AUTHORIZATION_FAILED")

        sent = [image for number in range(20) for image in images(1, f"1.2.{number}")]
        with monkeypatch.context() as patched:
            patched.setattr(router.log, "append", refuse)
            assert router.send(*(image.item() for image in sent)).statuses == {"0000": 20}
            assert router.health.failing() == {}
        arrived(router, 20)
        assert all(whole(router, image) for image in sent)
        assert aside.count(folder) == 0


def test_who_finds_no_file_to_be_had_waits_for_one_and_is_not_stuck(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def none_left(*_: object) -> None:
        tried.set()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(draining, "_LATER_S", 0.01)
    with running_router(store, store, spool=settings(folder)) as router:
        store.away = True
        assert router.send(*(image.item() for image in images(3))).statuses == {"0000": 3}
        with monkeypatch.context() as patched:
            patched.setattr(draining, "read", none_left)
            store.away = False
            assert tried.wait(60.0)
        arrived(router, 3)
        order = [event.instance.sop_instance_uid for event in router.received()]
        assert order == [image.instance for image in images(3)]


def test_a_router_whose_spools_disk_is_gone_goes_on_with_store_and_log(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with running_router(store, store, spool=settings(folder)) as router, monkeypatch.context() as patched:
        patched.setattr(os, "scandir", gone)
        patched.setattr(aside, "count", gone)
        router.keeping.look()
        assert router.send(Ct().item()).statuses == {"0000": 1}
        assert whole(router, Ct())


def test_a_segment_that_cannot_be_read_is_warned_of_until_it_can_be_and_what_is_in_it_arrives(
    store: Store, folder: Path
) -> None:
    store.away = True
    with running_router(store, store, spool=settings(folder)) as router:
        assert router.send(*(image.item() for image in images(3))).statuses == {"0000": 3}
    store.away = False
    with ExitStack() as broken:
        broken.enter_context(unreadable(OSError(errno.EIO, os.strerror(errno.EIO))))
        with running_router(store, store, spool=settings(folder)) as router:
            router.keeping.look()
            assert "1 segments on the spool cannot be read (Input/output error)" in router.health.warnings()["spool"]
            assert metric("spool_unreadable") == 1.0
            assert router.health.failing() == {}
            broken.close()
            wait_until(lambda: (router.keeping.look(), router.received())[1], "it to be read")
            arrived(router, 3)
            assert router.health.warnings() == {}
            assert metric("spool_unreadable") == 0.0


def test_a_budget_below_a_segment_is_no_full_spool(store: Store, folder: Path) -> None:
    """Readiness asks for room for a segment: a small site's router would be called full with nothing on its spool."""
    chosen = settings(folder, budget_bytes=8 << 20, segment_bytes=64 << 20)
    with running_router(store, store, spool=chosen) as router:
        store.away = True
        assert router.send(*(image.item() for image in images(3))).statuses == {"0000": 3}
        router.keeping.look()
        assert router.health.failing() == {}
        store.away = False
        arrived(router, 3)


def test_what_it_holds_is_shown(store: Store, folder: Path) -> None:
    with running_router(store, store, spool=settings(folder)) as router:
        store.away = True
        router.send(*(image.item() for image in images(3)))
        router.clock.ahead_s += 1
        router.keeping.look()
        assert metric("spool_instances") == 3.0
        assert metric("spool_bytes") > 3 * len(Ct().data_set())
        assert metric("spool_oldest_seconds") >= 0.0
        assert metric("spool_disk_bytes") >= metric("spool_bytes")
        store.away = False
        arrived(router, 3)
        wait_until(lambda: (router.keeping.look(), metric("spool_instances"))[1] == 0.0, "an empty spool")


def test_a_folder_that_cannot_be_used_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with (
        pytest.raises(Exception, match=r"\[router.spool\] folder .* cannot be used"),
        running_router(spool=settings(tmp_path / "file")),
    ):
        pass


def test_names_are_on_the_spool_in_files_of_the_router_alone(store: Store, folder: Path) -> None:
    with running_router(store, store, spool=settings(folder)) as router:
        store.away = True
        router.send(Ct(name="Doe^Jane").item())
        (path,) = segments(folder)
        assert b"Doe^Jane" in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
        assert path.stat().st_uid == os.geteuid()
        store.away = False
        arrived(router, 1)
        wait_until(lambda: (router.keeping.look(), segments(folder))[1] == [], "the segment to be removed")


def large(count: int, study: str) -> list[Ct]:
    """Images of 1.5 MB."""
    return [replace(image, pixels=bytes(1_500_000)) for image in images(count, study)]


def leave_images_on_a_full_disk(store: Store, disk: PowerDisk) -> list[Ct]:
    """As a router that ended has them on its spool."""
    sent = large(4, "1.2.3")
    store.away = True
    with running_router(store, store, spool=settings(disk.path / "spool")) as router:
        assert router.send(*(image.item() for image in sent)).statuses == {"0000": 4}
    disk.fill()
    return sent


def test_a_router_starts_on_a_full_disk_and_drains_and_takes_images_again(store: Store, disk: PowerDisk) -> None:
    waiting, (new,) = leave_images_on_a_full_disk(store, disk), large(1, "1.2.4")
    with running_router(store, store, spool=settings(disk.path / "spool")) as router:
        assert router.send(new.item()).statuses == {"A700": 1}
        router.keeping.look()
        assert "free" in router.health.failing()["spool"]

        store.away = False
        arrived(router, 4)
        assert all(whole(router, image) for image in waiting)

        def ready() -> bool:
            router.keeping.look()
            return "spool" not in router.health.failing()

        wait_until(ready, "the spool to be ready")
        store.away = True
        assert router.send(new.item()).statuses == {"0000": 1}
        store.away = False
        arrived(router, 5)
        assert whole(router, new)


def test_a_router_that_cannot_start_on_a_full_disk_says_what_waits_and_what_to_do(
    store: Store, disk: PowerDisk
) -> None:
    leave_images_on_a_full_disk(store, disk)
    (disk.path / "spool" / places.BALLAST).unlink()
    disk.fill()
    with (
        pytest.raises(
            ConfigError, match=r"disk is full, and 4 acknowledged instances wait in it \(5\.7 MiB\).*make room"
        ),
        running_router(store, store, spool=settings(disk.path / "spool")),
    ):
        pass
