"""Several contents of one SOP Instance UID: a node would show the one that it got last, whichever that is.

So while two that are not one image flow, neither goes: which of them is held, the log says once the study was looked at
as a whole (`consumers.validate.study.contents`, docs/decisions/0093). Which contents there are, the stores say: an
object is there before any event of it.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import structlog
from msgspec import structs

from consumers.forward.taken import Taken
from streams import metrics
from streams.dimse.stored import Stored
from streams.elements import Malformed, TooComplex
from streams.events import ForwardResult, Instance, InstanceValidated, ObjectRef
from streams.fetching import ORDER, fetched
from streams.held import DECISION, HeldImages
from streams.identity import original_key, uid_is_usable
from streams.objects import ObjectStore, StoreAway
from streams.one_image import Said
from streams.part10 import Part10, read
from streams.repeated import Repeated
from streams.step import Done, Outcome, Quarantine, RetryLater

_KEPT_BEFORE: Final = (
    "kept_before",
    "The node has other content under this UID (0x0111): take it out there, then send this one: radstream get, send.",
)
# How long a node is kept from it, at most: most of a day.
_ATTEMPTS_MAX: Final = 200
WAITS: Final = RetryLater("other content of its SOP Instance UID flows, and none is held yet", "subject", _ATTEMPTS_MAX)
# What is moved down is moved as whole studies, days after they came.
_BELOW_S: Final = 60.0
# Many studies come at once, and most have nothing below: of those that have, what is remembered takes some 40 MB.
_STUDIES_MAX: Final = 1000
_BELOW_MAX: Final = 50_000
# What else lies there is no content: somebody's copy, what a tool has left.
_CONTENT: Final = re.compile(r"[0-9a-f]{64}\.dcm")

_Below = dict[str, list[ObjectRef]]


class Contents:
    """Used from several threads."""

    def __init__(self, store: ObjectStore, held: HeldImages) -> None:
        self._store = store
        self._held = held
        self._taken = Taken()
        self._said = Said()
        self._below: OrderedDict[str, tuple[float, _Below]] = OrderedDict()
        self._below_count = 0
        self._repeated = Repeated()
        self._lock = threading.Lock()

    def of_another(self, event: InstanceValidated, stored: Stored) -> RetryLater | bool:
        """Whether a node may have another image under the UID, in whose place a person has put this one; or why this
        one must wait. Raises LogAway, LogRefused."""
        try:
            others = self._others(event)
        except StoreAway:
            return RetryLater("the object store does not answer", "world")
        tenant = event.meta.tenant
        if not others:
            return False
        flowed = self._held.flowed(tenant, others)
        held = self._held.among(tenant, flowed)
        # The first that differs is enough: a hostile sender may have sent thousands under one UID.
        differs = self._differs(event, stored, [others[digest] for digest in sorted(flowed - held)])
        if differs:
            return differs if isinstance(differs, RetryLater) else WAITS
        if event.provenance.step != DECISION:
            return False
        return self._differs(event, stored, [others[digest] for digest in sorted(held)])

    def unless_kept(self, outcome: Outcome, said: Callable[..., ForwardResult], digest: str) -> Outcome:
        """The outcome for a node that may have another image: "duplicate" is that one then, unless it took this one."""
        if not isinstance(outcome, Done):
            return outcome
        for sent in outcome.events(()):
            if (
                isinstance(sent, ForwardResult)
                and sent.status is not None
                and self._taken.is_another(digest, "", sent.status)
            ):
                metrics.FORWARDS.labels(sent.target, "failed").inc()
                return Done.emit(structs.replace(said("failed", *_KEPT_BEFORE), status=sent.status))
        return outcome

    def _differs(self, event: InstanceValidated, stored: Stored, others: Iterable[ObjectRef]) -> RetryLater | bool:
        """Whether one of these is another image."""
        for other in others:
            same = self._is_same(stored, event.instance.digest, other)
            if isinstance(same, RetryLater):
                return same
            if not same:
                return True
        return False

    def _is_same(self, stored: Stored, digest: str, ref: ObjectRef) -> bool | RetryLater:
        """What cannot be read is not known to be the same."""
        waits: list[RetryLater] = []

        def other() -> Part10 | None:
            data = fetched(self._store, ref)
            if isinstance(data, RetryLater) and data.scope == "world":
                waits.append(data)
            if isinstance(data, RetryLater | Quarantine):
                return None
            try:
                return read(data)
            except (Malformed, TooComplex):
                return None

        same = self._said.are_one(digest, lambda: stored.file, ref.sha256, other)
        return waits[0] if waits else same

    def _others(self, event: InstanceValidated) -> dict[str, ObjectRef]:
        """By digest."""
        tenant, instance = event.meta.tenant, event.instance
        uids = (instance.study_uid, instance.series_uid, instance.sop_instance_uid)
        if not all(uid_is_usable(uid) for uid in uids):
            return {}
        folder = _folder(tenant, instance)
        first, *below = [name for name in ORDER if name in self._store.names]
        found = [*self._listed(tenant, first, folder), *self._in(tenant, below, folder)]
        return {ref.sha256: ref for ref in reversed(found) if ref.sha256 != instance.digest}

    def _in(self, tenant: str, below: Iterable[str], folder: str) -> list[ObjectRef]:
        """Of the stores below the first, listed a study at a time: most studies have nothing there."""
        study = "/".join(folder.split("/")[:3]) + "/"
        with self._lock:
            listed_s, found = self._below.get(study, (float("-inf"), {}))
        if listed_s < time.monotonic() - _BELOW_S:
            listed_s, found = time.monotonic(), {}
            for name in below:
                for ref in self._if_it_answers(tenant, name, study):
                    found.setdefault(_parent(ref.key), []).append(ref)
            self._remember(study, listed_s, found)
        return found.get(folder, [])

    def _remember(self, study: str, listed_s: float, found: _Below) -> None:
        with self._lock:
            _, before = self._below.pop(study, (listed_s, {}))
            self._below[study] = listed_s, found
            self._below_count += _count(found) - _count(before)
            while len(self._below) > _STUDIES_MAX or (self._below_count > _BELOW_MAX and len(self._below) > 1):
                _, (_, oldest) = self._below.popitem(last=False)
                self._below_count -= _count(oldest)

    def _if_it_answers(self, tenant: str, store: str, prefix: str) -> list[ObjectRef]:
        """What is sent lies above: copies that are away, or not ours to list, are no reason to send nothing."""
        try:
            return list(self._listed(tenant, store, prefix))
        except StoreAway as error:
            if (more := self._repeated.due(store)) is not None:
                structlog.get_logger().warning("contents_not_listed", store=store, reason=str(error), **more)
            return []

    def _listed(self, tenant: str, store: str, prefix: str) -> Iterator[ObjectRef]:
        for key, size in self._store.keys(store, prefix):
            name = key.rpartition("/")[2]
            if _CONTENT.fullmatch(name):
                digest = name.removesuffix(".dcm")
                yield ObjectRef(tenant=tenant, store=store, key=key, length=size, size=size, sha256=digest)


def _folder(tenant: str, instance: Instance) -> str:
    uids = (instance.study_uid, instance.series_uid, instance.sop_instance_uid)
    return _parent(original_key(tenant, *uids, instance.digest))


def _parent(key: str) -> str:
    return key.rpartition("/")[0] + "/"


def _count(found: _Below) -> int:
    return sum(map(len, found.values()))
