"""Matches of a query, level by level: patients, or studies and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from consumers.catalog.database import Cursor
from consumers.catalog.reading import Reads
from gateway.dimse import items, rows
from gateway.dimse.candidates import among_few
from gateway.dimse.models import UNIQUE, Asking, Level, values
from gateway.dimse.narrowing import narrowed, of_patients
from streams.dimse.matching import matches

_INSTANCES_PAGE = 1000
# Values of the first of these columns.
Key = tuple[str, ...]
_BY = ("study_uid", "series_uid", "sop_instance_uid")


@dataclass(frozen=True)
class Search:
    """One query. `step` is called before each page and each match that is looked at, and may raise to end it.

    No connection is held while matches are taken: what was found is given before the next page is asked for.
    """

    reads: Reads
    tenant: str
    ae_title: str
    keys: Dataset
    level: Level
    asking: Asking
    step: Callable[[], None]

    def found(self) -> Iterator[Dataset]:
        """Raises BadKey, Away."""
        match self.level:
            case "PATIENT":
                yield from self._patients()
            case "STUDY":
                for page in self._studies():
                    yield from page.values()
            case "SERIES":
                for _, item in self._series():
                    yield item
            case "IMAGE":
                yield from self._instances()

    def _patients(self) -> Iterator[Dataset]:
        after: rows.Patient | None = None
        while True:
            self.step()
            with self.reads.snapshot() as cursor:
                wanted = of_patients(self.keys, fuzzy=self.asking.agreed.fuzzy)
                page = rows.patients(cursor, self.tenant, wanted, after)
                found = [(one, item) for one in page if self._fits(item := self._item(items.of_patient(one)))]
                if self._wants(*items.OF_PATIENT_SUMS, items.AVAILABILITY):
                    for one, item in found:
                        self._sum_patient(cursor, one, item)
            yield from (item for _, item in found if self._fits(item))
            if len(page) < rows.PAGE:
                return
            after = page[-1]

    def _sum_patient(self, cursor: Cursor, patient: rows.Patient, item: Dataset) -> None:
        uids = rows.of_patient(cursor, self.tenant, [patient.patient_key])
        sums = rows.sums(cursor, self.tenant, uids, _BY[:1]).values()
        said = (len(uids), sum(one.series for one in sums), sum(one.instances for one in sums))
        items.add(item, dict(zip(items.OF_PATIENT_SUMS, said, strict=True)))
        if self._wants(items.AVAILABILITY):
            places = rows.availability(cursor, self.tenant, uids, _BY[:1]).values()
            items.put(item, items.AVAILABILITY, max(places, key=rows.AVAILABILITY.index, default=None))

    def _studies(self) -> Iterator[dict[str, Dataset]]:
        """Pages of studies that match, by UID."""
        after: rows.Study | None = None
        fuzzy = self.asking.agreed.fuzzy
        wanted = narrowed(self.keys, fuzzy=fuzzy)
        with self.reads.snapshot() as cursor:
            wanted = among_few(cursor, self.tenant, self.keys, wanted, fuzzy=fuzzy)
        while True:
            self.step()
            with self.reads.snapshot() as cursor:
                page = rows.studies(cursor, self.tenant, wanted, after)
                found = {one.study_uid: item for one in page if self._fits(item := self._item(items.of_study(one)))}
                if found and self._wants(*items.OF_STUDY_SUMS):
                    for (uid,), sums in rows.sums(cursor, self.tenant, list(found), _BY[:1]).items():
                        items.add(found[uid], items.study_sums(sums))
                self._say_availability(cursor, "STUDY", {(uid,): item for uid, item in found.items()})
            yield {uid: item for uid, item in found.items() if self._fits(item)}
            if len(page) < rows.PAGE:
                return
            after = page[-1]

    def _series(self) -> Iterator[tuple[rows.Series, Dataset]]:
        for studies in self._studies():
            if not studies:
                continue
            self.step()
            with self.reads.snapshot() as cursor:
                page = rows.series(cursor, self.tenant, list(studies))
                both = [(one, self._below(studies[one.study_uid], items.of_series(one))) for one in page]
                found = {(one.study_uid, one.series_uid): (one, item) for one, item in both if self._fits(item)}
                if found and self._wants(*items.OF_SERIES_SUMS):
                    uids = list({study for study, _ in found})
                    for key, sums in rows.sums(cursor, self.tenant, uids, _BY[:2]).items():
                        if key in found:
                            items.add(found[key][1], {items.OF_SERIES_SUMS[0]: sums.instances})
                self._say_availability(cursor, "SERIES", {key: item for key, (_, item) in found.items()})
            yield from (pair for pair in found.values() if self._fits(pair[1]))

    def _instances(self) -> Iterator[Dataset]:
        uids = values(self.keys, UNIQUE["IMAGE"])
        for series, above in self._series():
            after: rows.Instance | None = None
            while True:
                self.step()
                with self.reads.snapshot() as cursor:
                    page = rows.instances(cursor, self.tenant, series, uids, after, _INSTANCES_PAGE)
                    found: dict[Key, Dataset] = {
                        (one.study_uid, one.series_uid, one.sop_instance_uid): item
                        for one in page
                        if self._fits(item := self._below(above, items.of_instance(one)))
                    }
                    self._say_availability(cursor, "IMAGE", found)
                yield from found.values()
                if len(page) < _INSTANCES_PAGE:
                    break
                after = page[-1]

    def _item(self, said: Dataset) -> Dataset:
        item = items.frame(self.level, self.ae_title)
        item.update(said)
        return item

    def _below(self, above: Dataset, said: Dataset) -> Dataset:
        item = Dataset()
        item.update(above)
        item.update(said)
        return item

    def _fits(self, item: Dataset) -> bool:
        return matches(self.keys, item, self.asking.agreed)

    def _wants(self, *keywords: str) -> bool:
        return any(keyword in self.keys for keyword in keywords)

    def _say_availability(self, cursor: Cursor, level: Level, found: Mapping[Key, Dataset]) -> None:
        """Of the entities that are told, not of those above them."""
        if level != self.level or not found or not self._wants(items.AVAILABILITY):
            return
        by = _BY[: len(next(iter(found)))]
        places = rows.availability(cursor, self.tenant, _studies_of(found), by)
        for key, item in found.items():
            items.put(item, items.AVAILABILITY, places.get(key))


def _studies_of(found: Mapping[Key, Dataset]) -> Sequence[str]:
    return list({key[0] for key in found})
