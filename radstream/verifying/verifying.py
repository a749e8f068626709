"""One verification: the log first, then every copy, with so many jobs at once and a bounded number of them waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from confluent_kafka import murmur2

from radstream.verifying.chains import Chains, again, check_signed, read_chains
from radstream.verifying.derived import check_derived
from radstream.verifying.finding import Finding, Report
from radstream.verifying.heads import Signed, SpanCheck, read_heads
from radstream.verifying.looking import Looked, Wanted, look
from radstream.verifying.places import Places
from radstream.verifying.unlinked import unchained, unlinked
from streams.chains.keys import Trusted
from streams.chains.signing import CHAIN
from streams.identity import partition_key
from streams.log import Log
from streams.objects import ObjectStore

# What is younger may still be on its way: into a chain when its study is quiet, and under a head after that.
WAITING = timedelta(minutes=15)
# A head and what it signs are written by several machines: by their clocks it may be older than that.
_CLOCKS_MS_MAX = 3_600_000
_WAITING_JOBS = 8

Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Scope:
    """What is verified: `studies` (UIDs), none for all; those with an image that was linked since a time."""

    tenant: str
    stores: Sequence[str]
    studies: Collection[str] = ()
    since: datetime | None = None
    derived: bool = True


class Verifying:
    """`told` is called with what is done (log, copies, loose, derived), how much, and of how much (0: unknown)."""

    def __init__(self, log: Log, store: ObjectStore, trusted: Trusted, scope: Scope, jobs: int, told: Told) -> None:
        self._log, self._store, self._trusted, self._scope = log, store, trusted, scope
        self._jobs, self._told = jobs, told
        self._report = Report(stores=tuple(scope.stores))
        self._total = 0

    def report(self, now: datetime) -> Report:
        """Raises LogAway, StoreAway, Stop, UnknownSchema."""
        oldest_ms = round((now - WAITING).timestamp() * 1000)
        chains = self._read_log(oldest_ms)
        for one in chains:
            wanted = self._wanted(one)
            self._report.studies += len(one.studies if wanted is None else wanted)
            self._total += sum(
                study.links for entity, study in one.studies.items() if wanted is None or entity in wanted
            )
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="verify") as pool:
            for one in chains:
                places = Places(self._log, self._store, one.number, self._scope.stores)
                self._copies(one, places, pool)
                self._loose(one, places, pool, oldest_ms)
        if self._scope.derived:
            self._derived(chains)
        return self._report

    # The log.

    def _read_log(self, oldest_ms: int) -> list[Chains]:
        log, report, only = self._log, self._report, self._scope.studies
        numbers = self._numbers()
        # Of all, the heads come first: what is written meanwhile is young. Of some, those since their first record.
        signed = {} if only else read_heads(log, self._trusted, None, report)
        found = []
        for number in numbers:
            spans = None if only else SpanCheck(number, signed.get(number, Signed()).spans)
            found.append(read_chains(log, number, self._scope.tenant, only, report, spans))
            if spans is not None:
                spans.close()
                report.findings.extend(spans.findings)
            self._told("log", len(found), len(numbers))
        if only and (times := [chains.times[0] for chains in found if chains.times]):
            signed = read_heads(log, self._trusted, max(0, min(times) - _CLOCKS_MS_MAX), report)
        for chains in found:
            of = signed.get(chains.number, Signed())
            check_signed(log, chains, of, oldest_ms, report, spans=bool(only))
        return found

    def _numbers(self) -> Sequence[int]:
        count = self._log.partitions(CHAIN)
        keys = [partition_key(self._scope.tenant, study_uid) for study_uid in self._scope.studies]
        return sorted({murmur2(key, count) for key in keys}) if keys else range(count)

    def _wanted(self, chains: Chains) -> set[str] | None:
        since = self._scope.since
        if since is None:
            return None
        return {entity for entity, study in chains.studies.items() if study.at is not None and study.at >= since}

    # Bytes.

    def _copies(self, chains: Chains, places: Places, pool: ThreadPoolExecutor) -> None:
        for looked in self._looked(self._instances(chains, places), pool):
            self._take(looked, places)
            self._report.links += 1
            self._report.without_metadata += looked.wanted.link.metadata is None
            self._told("copies", self._report.links, self._total)

    def _loose(self, chains: Chains, places: Places, pool: ThreadPoolExecutor, oldest_ms: int) -> None:
        """Against their events: what is in no chain yet, which is no fault while it is young, and what is held."""
        report = self._report

        def wanted() -> Iterator[Wanted]:
            for one in unlinked(self._log, chains, self._scope.tenant, self._scope.studies):
                report.held += one.is_held
                report.unlinked += not one.is_held
                if not one.is_held and one.at_ms >= oldest_ms:
                    report.waiting += 1
                elif not one.is_held:
                    report.findings.append(unchained(one.event))
                yield places.of_event(one.event)

        for looked in self._looked(wanted(), pool):
            self._take(looked, places)
            self._told("loose", report.unlinked + report.held, 0)

    def _looked(self, instances: Iterator[Wanted], pool: ThreadPoolExecutor) -> Iterator[Looked]:
        """In order, with a bounded number of them under way."""
        under_way: deque[Future[Looked]] = deque()
        for wanted in instances:
            under_way.append(pool.submit(look, self._store, wanted))
            if len(under_way) >= self._jobs * _WAITING_JOBS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def _instances(self, chains: Chains, places: Places) -> Iterator[Wanted]:
        for one in again(self._log, chains, self._wanted(chains)):
            yield from places.of(one.event)

    def _take(self, looked: Looked, places: Places) -> None:
        report = self._report
        report.copies += looked.copies
        report.archived += looked.archived
        report.bytes += looked.bytes
        report.findings.extend(_left(looked.findings, self._moved(looked, places)))

    def _moved(self, looked: Looked, places: Places) -> Collection[str]:
        """Stores that tiering has taken the instance out of since they were listed."""
        if all(finding.kind != "lost" for finding in looked.findings):
            return ()
        places.refresh()
        now = places.stores_of(looked.wanted)
        return [name for name in looked.wanted.versions if name not in now]

    def _derived(self, chains: Sequence[Chains]) -> None:
        for one in chains:
            wanted = self._wanted(one)
            only = self._scope.studies if wanted is None else {entity.partition("|")[2] for entity in wanted}
            if wanted is not None and not only:
                continue
            for size in check_derived(self._log, self._store, one.number, self._scope.tenant, only, self._report):
                self._report.bytes += size
                self._told("derived", self._report.derived, 0)


def _left(findings: Sequence[Finding], moved: Collection[str]) -> list[Finding]:
    return [one for one in findings if one.kind != "lost" or one.store not in moved]
