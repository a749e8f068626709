"""A migration from beginning to end: study after study, some at once, each tried again, none forgotten."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from radstream.dicom_peer import NoAssociation
from radstream.errors import Failure
from radstream.migrating.journal import DONE, Entry, Journal
from radstream.migrating.old_pacs import Gone, Refused, UnknownDestination
from radstream.migrating.pace import Pace
from radstream.migrating.pulling import Puller, replaced
from radstream.migrating.relay import NotLetIn
from radstream.migrating.windows import Found
from streams.backoff import Backoff
from streams.identity import uid_is_usable

LANE: Final = "bulk"
ATTEMPTS: Final = 4
BACKOFF: Final = Backoff(first_s=5.0, max_s=120.0)
# So many studies in a row for which somebody does not answer: then it is not the study.
AWAY_MAX: Final = 3
_PACS, _ROUTER, _CATALOG = "the old PACS", "our router", "the catalog"


@dataclass
class Tally:
    """What became of the studies. `before` were done by an earlier run; `stopped` says why the run ended early."""

    states: Counter[str] = field(default_factory=Counter)
    before: int = 0
    listed: int = 0
    here: int = 0
    held: int = 0
    moves: int = 0
    undone: list[Entry] = field(default_factory=list)
    stopped: str = ""

    def count(self, entry: Entry, *, before: bool = False) -> None:
        self.before += before
        self.states[entry.state] += 1
        self.listed += entry.listed
        self.here += entry.here
        self.held += entry.held
        self.moves += 0 if before else entry.moves
        if entry.state not in DONE or entry.elsewhere:
            self.undone.append(entry)


@dataclass(frozen=True)
class _Tried:
    """`away` is who did not answer."""

    entry: Entry
    away: str = ""


class Migration:
    """`abort` ends what the old PACS has under way, so that an interrupted run ends soon.

    `router_away` says why our router takes nothing, or "" (`ours`).
    """

    def __init__(
        self,
        puller: Puller,
        journal: Journal,
        pace: Pace,
        *,
        at_once: int = 1,
        attempts: int = ATTEMPTS,
        backoff: Backoff = BACKOFF,
        abort: Callable[[], None] = lambda: None,
        router_away: Callable[[], str] = lambda: "",
        on_study: Callable[[Entry], None] = lambda _: None,
    ) -> None:
        self._puller = puller
        self._journal = journal
        self._pace = pace
        self._at_once = at_once
        self._attempts = attempts
        self._backoff = backoff
        self._abort = abort
        self._router_away = router_away
        self._on_study = on_study
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._away = 0
        self._broken: Exception | None = None
        self.tally = Tally()

    def run(self, studies: Iterable[Found]) -> Tally:
        """Raises what nobody planned, after the studies under way have ended; the journal has what was done."""
        slots = threading.Semaphore(self._at_once)
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="migrate") as pool:
            try:
                for study in studies:
                    if (done := self._journal.entries.get(study.uid)) and _is_done(done, study):
                        self._settle(done, before=True)
                        continue
                    slots.acquire()
                    if not self._pace.wait(self._stopping):
                        break
                    pool.submit(self._work, study, slots)
            except BaseException:
                self._stopping.set()
                self._abort()
                raise
        if self._broken is not None:
            raise self._broken
        return self.tally

    def _work(self, study: Found, slots: threading.Semaphore) -> None:
        try:
            self._one(study)
        except Exception as error:  # noqa: BLE001 - told to whoever called `run`
            self._broken = self._broken or error
            self._stopping.set()
        finally:
            slots.release()

    def _one(self, study: Found) -> None:
        started = time.monotonic()
        if not uid_is_usable(study.uid):
            self._settle(Entry(study="(unusable UID)", state="failed", reason="its Study Instance UID is none"))
            return
        moves, tried = 0, None
        for attempt in range(1, self._attempts + 1):
            tried = self._try(study, tried)
            entry, away = tried.entry, tried.away
            moves += entry.moves
            if entry.failed:
                # Nothing else would tell the next run, as all that is listed may be here.
                self._journal.write(entry)
            if self._stopping.is_set() and entry.state not in DONE:
                return
            if entry.state in DONE or attempt == self._attempts:
                break
            if self._stopping.wait(self._backoff.delay_s(attempt)):
                return
        seconds = round(time.monotonic() - started, 3)
        entry = replaced(entry, moves=moves, attempts=attempt, seconds=seconds)
        # A study that needed a second try was complete when that began: it was pulled all the same.
        self._finish(replaced(entry, state="pulled") if moves and entry.state == "there" else entry, away)

    def _try(self, study: Found, before: _Tried | None) -> _Tried:
        last = before.entry if before else self._journal.entries.get(study.uid)
        doubt = last.failed if last else 0

        def failed(why: Exception | str, away: str = "") -> _Tried:
            entry = Entry(study=study.uid, state="failed", said=study.instances, failed=doubt, reason=str(why))
            return _Tried(entry, away)

        if before is not None and before.away == _ROUTER and self._router_away():
            # The old PACS is not asked again for what could not come in here.
            return replace(before, entry=replaced(before.entry, moves=0))
        try:
            pulled = self._puller.pull(study, self._stopping, last)
        except (NoAssociation, Gone, Refused) as error:
            if why := self._router_away():
                return failed(why, _ROUTER)
            if isinstance(error, UnknownDestination):
                self._stop(f"{error}; enter the router on it, and run the same command again")
            elif isinstance(error, NotLetIn):
                self._stop(f"{error}; then run the same command again")
            return failed(error, "" if isinstance(error, Refused) else _PACS)
        except Failure as error:
            return failed(error, _CATALOG)
        if pulled.entry.state == "short" and (why := self._router_away()):
            return _Tried(replaced(pulled.entry, reason=why), _ROUTER)
        if pulled.lanes - {LANE}:
            came = ", ".join(sorted(pulled.lanes))
            self._stop(
                f"what came is in lane {came} and not in {LANE}: the old PACS calls with another AE title than that of "
                "its node, or the router has not read [router.lanes] since it was changed; radstream study UID shows it"
            )
        return _Tried(pulled.entry)

    def _finish(self, entry: Entry, away: str) -> None:
        self._journal.write(entry)
        with self._lock:
            self._away = self._away + 1 if away else 0
            too_many = self._away >= AWAY_MAX
        self._settle(entry)
        if too_many:
            self._stop(f"{away} does not answer any more ({entry.reason}); then run this again")

    def _settle(self, entry: Entry, *, before: bool = False) -> None:
        with self._lock:
            self.tally.count(entry, before=before)
            self._on_study(entry)

    def _stop(self, why: str) -> None:
        self.tally.stopped = self.tally.stopped or why
        self._stopping.set()


def _is_done(entry: Entry, study: Found) -> bool:
    """A study that the old PACS counts anew may have got more instances since; so may one that it does not count, as
    the number of instances is an optional key (PS3.4 annex C.6). One that it counts higher than it lists it is compared
    anew too: earlier versions called it done."""
    return entry.state in DONE and study.instances is not None and entry.said == study.instances <= entry.listed
