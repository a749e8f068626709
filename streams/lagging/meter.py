"""Asks the log how far each group is. A handful of requests however many partitions: one for each group's offsets, two
for the ends, and a look at what waits where a group has moved."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from schemas import load_topics
from streams.clock import Clock
from streams.lagging.figures import Behind, GroupLag, Lag, LaneLag, OfModality
from streams.lagging.pace import WINDOW_S, Counted, Pace, Place, catch_up_s
from streams.lagging.sampling import Position, Sampler, Seen
from streams.log import Log, TopicPartition

NO_LANE = "-"


class _At(NamedTuple):
    """A partition as one group has read it; `position` is where it would go on."""

    name: TopicPartition
    lane: str
    committed: int | None
    position: int
    end: int

    @property
    def lag(self) -> int:
        return max(self.end - self.position, 0)


class Meter:
    """Measures groups of topics.yaml again and again. Which partitions there are, it asks once."""

    def __init__(self, log: Log, groups: Collection[str], clock: Clock, window_s: float = WINDOW_S) -> None:
        self._log = log
        self._groups = tuple(groups)
        self._clock = clock
        self._pace = Pace(window_s)
        self._sampler = Sampler(log)
        self._names: Mapping[str, Sequence[TopicPartition]] = {}

    def read(self) -> Lag:
        """Raises LogAway, LogRefused."""
        places = self._places()
        waiting = {_position(at): at.lag for group in places.values() for at in group if at.lag}
        seen = self._sampler.look(waiting)
        now = self._clock.now()
        self._pace.tell(self._clock.monotonic(), _counted(places))
        groups = [self._group(group, places[group], seen, now) for group in self._groups]
        return Lag(now, sum(group.lag for group in groups), _oldest(group.oldest_age_s for group in groups), groups)

    def _places(self) -> dict[str, list[_At]]:
        """Offsets before ends: what is committed is never past an end that was asked for later."""
        names = self._partitions()
        with ThreadPoolExecutor(len(self._groups)) as pool:
            answers = pool.map(lambda group: self._log.committed(group, names[group]), self._groups)
            committed = dict(zip(self._groups, answers, strict=True))
        bounds = self._log.bounds({name for group in self._groups for name in names[group]})
        return {group: [_at(name, committed[group][name], bounds[name]) for name in names[group]] for group in names}

    def _partitions(self) -> Mapping[str, Sequence[TopicPartition]]:
        if not self._names:
            read = {group: load_topics().read_by(group) for group in self._groups}
            counts = self._log.partitions_of({topic for topics in read.values() for topic in topics})
            self._names = {
                group: [TopicPartition(topic, number) for topic in topics for number in range(counts[topic])]
                for group, topics in read.items()
            }
        return self._names

    def _group(
        self, group: str, places: Sequence[_At], seen: Mapping[Position, Sequence[Seen]], now: datetime
    ) -> GroupLag:
        partitions = [_behind(at, seen.get(_position(at), ()), now) for at in places]
        lanes = [
            self._lane((group, lane), [at for at in places if at.lane == lane], seen, now)
            for lane in sorted({at.lane for at in places}, key=_urgency)
        ]
        oldest = _oldest(one.oldest_age_s for one in partitions)
        return GroupLag(group, sum(at.lag for at in places), oldest, partitions, lanes)

    def _lane(
        self, place: Place, places: Sequence[_At], seen: Mapping[Position, Sequence[Seen]], now: datetime
    ) -> LaneLag:
        samples = [seen.get(_position(at), ()) for at in places if at.lag]
        lag, rates = sum(at.lag for at in places), self._pace.rates(place)
        return LaneLag(
            group=place[0],
            lane=place[1],
            lag=lag,
            oldest_age_s=_oldest(_age_s(sample[0], now) for sample in samples if sample),
            sampled=sum(len(sample) for sample in samples),
            modalities=_by_modality([one for sample in samples for one in sample], now),
            in_per_s=None if rates is None else round(rates.in_per_s, 3),
            out_per_s=None if rates is None else round(rates.out_per_s, 3),
            catch_up_s=catch_up_s(lag, rates),
        )


def _at(name: TopicPartition, committed: int | None, bounds: tuple[int, int]) -> _At:
    first, end = bounds
    # A group that never committed begins at the first record held.
    return _At(name, lane_of(name.topic), committed, first if committed is None else committed, end)


def _position(at: _At) -> Position:
    return at.name, at.position


def _counted(places: Mapping[str, Sequence[_At]]) -> dict[Place, Counted]:
    counted: dict[Place, Counted] = {}
    for group, listed in places.items():
        for at in listed:
            written, settled = counted.get((group, at.lane), Counted(0, 0))
            counted[group, at.lane] = Counted(written + at.end, settled + at.position)
    return counted


def _behind(at: _At, sample: Sequence[Seen], now: datetime) -> Behind:
    return Behind(
        topic=at.name.topic,
        lane=at.lane,
        partition=at.name.partition,
        committed=at.committed,
        end=at.end,
        lag=at.lag,
        oldest_age_s=_age_s(sample[0], now) if at.lag and sample else None,
    )


def _by_modality(sample: Sequence[Seen], now: datetime) -> list[OfModality]:
    """The modality whose record waits longest comes first."""
    ages: dict[str, list[float]] = {}
    for one in sample:
        if one.modality is not None:
            ages.setdefault(one.modality, []).append(_age_s(one, now))
    found = [OfModality(modality, len(listed), max(listed)) for modality, listed in ages.items()]
    return sorted(found, key=lambda one: -one.oldest_age_s)


def _age_s(seen: Seen, now: datetime) -> float:
    return round(max(now.timestamp() - seen.timestamp_ms / 1000, 0.0), 3)


def _oldest(ages: Iterable[float | None]) -> float | None:
    return max((age for age in ages if age is not None), default=None)


def lane_of(physical: str) -> str:
    """The lane of an instance topic; other topics have none."""
    topics = load_topics()
    logical = topics.logical(physical)
    if topics.topics[logical].kind != "instance":
        return NO_LANE
    return next(lane for lane in topics.lanes if topics.in_lane(logical, lane) == physical)


def _urgency(lane: str) -> int:
    return (*load_topics().lanes, NO_LANE).index(lane)
