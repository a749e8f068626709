"""From a record to what each deployed model is asked."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from consumers.ai.images import Series, images_of, is_statement, series_of
from consumers.ai.result import Deployed, Reason, Request
from streams.clock import Clock
from streams.events import Event, InstanceValidated, StudyRevision
from streams.generation import of_facts
from streams.held import HeldImages
from streams.identity import derived_key
from streams.objects import ObjectStore
from streams.revisions.step import Revisions, set_digest, subject
from streams.step import Input

_HELD = Reason(
    "not_analysed",
    "images_held",
    "Images of this series were held or rejected, and what is left is too little for the model. What was said of the "
    "series before does not stand.",
)


@dataclass(frozen=True)
class Asked:
    """`series` is None where no series of the revision is in the model's scope. `reason` says why one is no more.

    `waits`: images of it are held, and no revision is without them yet. Released before there is one, they are asked
    about as they are.
    """

    request: Request
    series: Series | None
    reason: Reason | None = None
    waits: bool = False


class Asking:
    """`stores` are the names of the stores to look in, the nearest first. Of what is held nobody is asked anything.

    Safe for many threads.
    """

    def __init__(
        self, deployed: Sequence[Deployed], store: ObjectStore, stores: Sequence[str], held: HeldImages
    ) -> None:
        self._of_series = [one for one in deployed if one.analysis.selection.unit == "series"]
        self._of_instance = [one for one in deployed if one.analysis.selection.unit == "instance"]
        self._store = store
        self._stores = stores
        self._held = held
        self._revisions = of_facts(Revisions.name)

    def asked(self, item: Input[Event], clock: Clock) -> list[Asked]:
        """In the order of the series. Raises Absent, Damaged, StoreAway, LogAway, LogRefused."""
        match item.event:
            case StudyRevision() as event if self._of_series:
                return self._about_revision(item, event, clock)
            case InstanceValidated() as event:
                return self._about_instance(item, event, clock)
        return []

    def whole(self, item: Input[Event], clock: Clock) -> list[Request]:
        """One request for each deployed model, for when nobody can say what the images are."""
        match item.event:
            case StudyRevision() as event:
                of_revision = subject(event.study_uid, event.revision), event.set_digest, event.instance_count
                return [_of_revision(one, item, event, clock, *of_revision) for one in self._of_series]
            case InstanceValidated() as event:
                return [_of_instance(one, item, event, clock) for one in self._takers(event)]
        return []

    def _about_revision(self, item: Input[Event], event: StudyRevision, clock: Clock) -> list[Asked]:
        digests = json.loads(self._store.read(event.manifest))
        seen = self._images(event, digests)
        held = self._held.among(event.meta.tenant, digests, since_s=clock.monotonic())
        taken = [(deployed, one) for one in seen for deployed in self._of_series if _takes(deployed, one)]
        flows = {one.uid for _, one in taken if held.isdisjoint(image.digest for image in one.images)}
        # Held since this revision: the next one is without it, and is asked instead.
        is_last = len(flows) < len({one.uid for _, one in taken}) and self._manifest(event, event.revision + 1) is None
        asked = [
            Asked(
                _of_revision(deployed, item, event, clock, *_about(event, one), series_uid=one.uid),
                one,
                waits=one.uid not in flows,
            )
            for deployed, one in taken
            if one.uid in flows or is_last
        ]
        asked += self._withdrawn(item, event, clock, {(deployed.identity.name, one.uid) for deployed, one in taken})
        answered = {deployed.identity.name for deployed, _ in taken} | {
            one.request.deployed.identity.name for one in asked
        }
        if left := [one for one in self._of_series if one.identity.name not in answered]:
            images = {image.digest for one in seen for image in one.images}
            number = self._first_with(event, digests, set(digests) - images)
            of_all = subject(event.study_uid, number), set_digest(images), len(images)
            asked += [Asked(_of_revision(one, item, event, clock, *of_all), None) for one in left]
        return asked

    def _images(self, event: StudyRevision, digests: Collection[str]) -> list[Series]:
        every = series_of(self._store, self._stores, event.meta.tenant, event.study_uid, digests)
        return [one for one in every if not is_statement(one.sop_class_uid)]

    def _withdrawn(
        self, item: Input[Event], event: StudyRevision, clock: Clock, taken: Collection[tuple[str, str]]
    ) -> list[Asked]:
        """Series that models took until images were taken out of them, and take no more."""
        found = []
        for uid, number in sorted(event.removals.items()):
            of_series = [one for one in self._images(event, self._manifest(event, number - 1) or ()) if one.uid == uid]
            for deployed in self._of_series:
                if any(_takes(deployed, one) for one in of_series) and (deployed.identity.name, uid) not in taken:
                    about = f"{event.study_uid}/{uid}/held/{number}", set_digest(()), 0
                    request = _of_revision(deployed, item, event, clock, *about, series_uid=uid)
                    found.append(Asked(request, None, _HELD))
        return found

    def _first_with(self, event: StudyRevision, digests: Collection[str], statements: set[str]) -> int:
        """The first revision with the same images: what inference itself, or a person, said since then is no news."""
        number, held = event.revision, set(digests)
        while number > max(event.removals.values(), default=1):
            before = self._manifest(event, number - 1)
            if before is None or not held - before <= statements:
                break
            number, held = number - 1, before
        return number

    def _manifest(self, event: StudyRevision, number: int) -> set[str] | None:
        tenant = event.meta.tenant
        key = derived_key(tenant, self._revisions.event_id(tenant, subject(event.study_uid, number), 0))
        found = self._store.find(tenant, event.manifest.store, key)
        return set(json.loads(bytes(found.data))) if found is not None else None

    def _about_instance(self, item: Input[Event], event: InstanceValidated, clock: Clock) -> list[Asked]:
        takers, instance = self._takers(event), event.instance
        if not takers or self._held.among(event.meta.tenant, {instance.digest}, since_s=clock.monotonic()):
            return []
        images = images_of(self._store, self._stores, event.meta.tenant, instance.study_uid, {instance.digest})
        series = Series(instance.series_uid, tuple(images.values()), instance.sop_class_uid, event.technical)
        return [Asked(_of_instance(deployed, item, event, clock), series) for deployed in takers]

    def _takers(self, event: InstanceValidated) -> list[Deployed]:
        sop_class = event.instance.sop_class_uid
        if is_statement(sop_class):
            return []
        return [one for one in self._of_instance if one.analysis.selection.takes(sop_class, event.technical)]


def _takes(deployed: Deployed, series: Series) -> bool:
    selection = deployed.analysis.selection
    return series.count >= selection.images_min and selection.takes(series.sop_class_uid, series.technical)


def _about(event: StudyRevision, series: Series) -> tuple[str, str, int]:
    """Subject, input digest and count: a late image in another series changes none of them.

    What was taken out of the series is part of its history: the images that are left may be those that a result before
    was about, and that result is not the last word on them.
    """
    since = f"/since/{event.removals[series.uid]}" if series.uid in event.removals else ""
    return f"{event.study_uid}/{series.uid}/{series.digest}{since}", series.digest, len(series.images)


def _of_revision(
    deployed: Deployed,
    item: Input[Event],
    event: StudyRevision,
    clock: Clock,
    about: str,
    input_digest: str,
    input_count: int,
    series_uid: str | None = None,
) -> Request:
    return Request(
        deployed=deployed,
        item=item,
        began_at=clock.now(),
        study_uid=event.study_uid,
        subject=about,
        input_digest=input_digest,
        input_count=input_count,
        series_uid=series_uid,
        revision=event.revision,
    )


def _of_instance(deployed: Deployed, item: Input[Event], event: InstanceValidated, clock: Clock) -> Request:
    instance = event.instance
    return Request(
        deployed=deployed,
        item=item,
        began_at=clock.now(),
        study_uid=instance.study_uid,
        subject=instance.digest,
        input_digest=instance.digest,
        input_count=1,
        series_uid=instance.series_uid,
        sop_instance_uid=instance.sop_instance_uid,
    )
