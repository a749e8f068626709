"""What the catalog serves of a study, remembered for as long as the catalog would say it again.

A viewer asks for hundreds of frames of a series that it has opened. Which instances there are and where their bytes are
is asked once; each request then asks one short question, in which state the study is, and all who wait share it. So
nothing is shown that is held, rejected or replaced by the time that a request begins, as without any memory.

What was derived of an instance, and where copies are, is no matter of permission, and may be known a minute later.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.dicomweb.served import Asked, Served, ask
from gateway.flights import Flights
from gateway.parts import Parts
from gateway.states import Question
from streams.step import Away
from streams.stop import Stop

# Of everything that is remembered; an instance takes about 3 kB.
_INSTANCES_MAX: Final = 20_000
_AGE_S_MAX: Final = 60.0
# Where derive has not been yet.
_AGE_UNDERIVED_S_MAX: Final = 2.0
# Of a series of which so many instances were asked for alone, more will be.
_ALONE_MAX: Final = 2
_SERIES_READ_MAX: Final = 2


@dataclass
class _Study:
    """One state of a study, as far as it was asked for. `alone` are instances of series that were not."""

    version: int
    until_s: float
    whole: tuple[Served, ...] | None = None
    series: dict[str, tuple[Served, ...]] = field(default_factory=dict)
    places: dict[tuple[str, str], int] = field(default_factory=dict)
    alone: dict[tuple[str, str], Served] = field(default_factory=dict)

    @property
    def instances(self) -> int:
        return sum(map(len, self.series.values())) + len(self.alone)

    def of(self, wanted: Asked) -> Sequence[Served] | None:
        if wanted.series is None:
            return self.whole
        if wanted.instance is None:
            return self.series.get(wanted.series)
        key = (wanted.series, wanted.instance)
        if (place := self.places.get(key)) is not None:
            return self.series[wanted.series][place : place + 1]
        return None if (one := self.alone.get(key)) is None else (one,)

    def add(self, wanted: Asked, found: Sequence[Served]) -> None:
        if wanted.series is not None and wanted.instance is not None:
            self.alone[wanted.series, wanted.instance] = found[0]
            return
        if wanted.series is None:
            self.whole = tuple(found)
        by_series: dict[str, list[Served]] = {}
        for one in found:
            by_series.setdefault(one.series_uid, []).append(one)
        for uid, some in by_series.items():
            self.series[uid] = tuple(some)
            for place, one in enumerate(some):
                self.places[uid, one.sop_instance_uid] = place
                self.alone.pop((uid, one.sop_instance_uid), None)


class Shown:
    """For one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._states = States(parts.catalog.states, parts.tenant)
        self._studies: OrderedDict[str, _Study] = OrderedDict()
        self._instances = 0
        self._reading = Flights()

    async def found(self, wanted: Asked, meanwhile: Callable[[Served], None] | None = None) -> Sequence[Served]:
        """In the order of series and instance numbers. Raises Problem 404 where there is none, Away.

        `meanwhile` is called with what is remembered of an instance, before it is known whether it is so still.
        """
        known = self._studies.get(wanted.study)
        if known is not None and (there := known.of(wanted)) is not None:
            if meanwhile is not None:
                meanwhile(there[0])
            if await self._is_so(wanted.study, known):
                self._studies.move_to_end(wanted.study, last=True)
                return there
        found = await self._asked(wanted)
        if wanted.series is not None and wanted.instance is not None:
            self._read_series(known, Asked(wanted.study, wanted.series))
        return found

    async def one(self, wanted: Asked, meanwhile: Callable[[Served], None] | None = None) -> Served:
        """The instance of a path. Raises as `found`."""
        return (await self.found(wanted, meanwhile))[0]

    def beside(self, served: Served) -> tuple[Sequence[Served], int]:
        """The series of an instance as it was asked for last, perhaps without others, and the place of the instance."""
        known = self._studies.get(served.study_uid)
        place = None if known is None else known.places.get((served.series_uid, served.sop_instance_uid))
        return ((served,), 0) if known is None or place is None else (known.series[served.series_uid], place)

    async def _is_so(self, study_uid: str, known: _Study) -> bool:
        if known.until_s <= self._parts.context.clock.monotonic():
            return False
        try:
            version = await self._states.of(study_uid)
        except (Away, Stop):
            # Who answers next may be another server, with other tables.
            self._studies.clear()
            self._instances = 0
            return False
        return version == known.version

    async def _asked(self, wanted: Asked) -> Sequence[Served]:
        version, found = await ask(self._parts, wanted)
        if version is not None:
            self._remember(wanted, version, found)
        return found

    def _remember(self, wanted: Asked, version: int, found: Sequence[Served]) -> None:
        age_s = _AGE_S_MAX if all(one.derived for one in found) else _AGE_UNDERIVED_S_MAX
        now_s = self._parts.context.clock.monotonic()
        known = self._forgotten(wanted.study)
        if known is None or known.version != version or known.until_s <= now_s:
            known = _Study(version, now_s + age_s)
        known.until_s = min(known.until_s, now_s + age_s)
        known.add(wanted, found)
        if known.instances > _INSTANCES_MAX:
            return
        self._studies[wanted.study] = known
        self._instances += known.instances
        while self._instances > _INSTANCES_MAX:
            self._forgotten(next(iter(self._studies)))

    def _forgotten(self, study_uid: str) -> _Study | None:
        known = self._studies.pop(study_uid, None)
        self._instances -= 0 if known is None else known.instances
        return known

    def _read_series(self, before: _Study | None, series: Asked) -> None:
        """Behind an answer for one instance: of a series that is looked through, all of it at once."""
        now = self._studies.get(series.study)
        if now is None or series.series in now.series:
            return
        alone = sum(uid == series.series for uid, _ in now.alone)
        was_known = before is not None and series.series in before.series
        if (alone >= _ALONE_MAX or was_known) and len(self._reading) < _SERIES_READ_MAX:
            self._reading.begin(series, lambda: self._asked(series))


class States:
    """In which state studies are, as of after each question: who comes while one is under way waits for the next."""

    def __init__(self, question: Question, tenant: str) -> None:
        self._question, self._tenant = question, tenant
        self._waiting: dict[str, asyncio.Future[int | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def of(self, study_uid: str) -> int | None:
        """None where it is in no state that anything could be known of. Raises Away, Stop."""
        future = self._waiting.get(study_uid)
        if future is None:
            future = self._waiting[study_uid] = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(future)

    async def _ask(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            try:
                found = await self._question.states(self._tenant, list(waiting))
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                for future in waiting.values():
                    future.set_exception(error)
                    future.exception()  # Where nobody waits any more, it is not to be complained of.
                continue
            except asyncio.CancelledError:
                for future in waiting.values():
                    future.cancel()
                raise
            for uid, future in waiting.items():
                future.set_result(found.get(uid))
        self._asking = None
