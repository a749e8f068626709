"""What became of everything that was asked: of what was acknowledged nothing may be missing, doubled or torn."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from streams.events import InstanceReceived, ObjectRef
from streams.objects import Absent, Damaged, ObjectStore

HOT = "hot"
_ORIGINAL = re.compile(r"/([0-9a-f]{64})\.dcm$")
_READERS = 8

Found = Literal["whole", "absent", "damaged"]


class Row(NamedTuple):
    """Of the catalog's `instances`."""

    digest: str
    event_id: str


@dataclass
class Accounts:
    """Each finding is a line. `unsent` are records of bytes that nobody sent whole: half an object, taken for one."""

    acknowledged: int
    events: int
    records: int
    objects: int
    rows: int
    lost: list[str] = field(default_factory=list)
    second_rows: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        return [*self.lost, *self.second_rows, *self.torn]


def account(
    asked: Collection[str],
    acknowledged: Collection[str],
    events: Sequence[InstanceReceived],
    store: ObjectStore,
    rows: Sequence[Row],
) -> Accounts:
    """`asked` and `acknowledged` are digests (SHA-256, hex) of files as they are to be stored; `events` are all records
    of the log, `rows` all of the catalog. Every object in the bucket is read."""
    of_digest: dict[str, dict[str, InstanceReceived]] = {}
    for event in events:
        of_digest.setdefault(event.instance.digest, {})[str(event.meta.event_id)] = event
    originals, blocks = _originals(store), {ref.key for event in events for ref in _blocks(event)}
    found = _read(store, {*originals, *(event.object for event in events)})
    accounts = Accounts(
        acknowledged=len(acknowledged),
        events=sum(map(len, of_digest.values())),
        records=len(events),
        objects=len(originals),
        rows=len(rows),
    )
    accounts.lost += _lost(acknowledged, of_digest, found, {row.digest for row in rows})
    accounts.lost += [f"{key}: a block that an event refers to is not there" for key in blocks - _keys(store)]
    accounts.second_rows += _doubled(of_digest, rows)
    accounts.torn += [f"{ref.key}: other bytes than its SHA-256" for ref, is_ in found.items() if is_ == "damaged"]
    stored = {*of_digest, *(row.digest for row in rows), *(ref.sha256 for ref in originals)}
    accounts.torn += [f"{digest}: nobody sent this" for digest in sorted(stored - set(asked))]
    return accounts


def _lost(
    acknowledged: Iterable[str],
    of_digest: Mapping[str, Mapping[str, InstanceReceived]],
    found: Mapping[ObjectRef, Found],
    rows: Collection[str],
) -> list[str]:
    lost = []
    for digest in sorted(acknowledged):
        events = of_digest.get(digest, {}).values()
        if not events:
            lost.append(f"{digest}: acknowledged, and the log has no event")
        elif not all(found[event.object] == "whole" and event.object.sha256 == digest for event in events):
            lost.append(f"{digest}: acknowledged, and the store has no such object")
        elif digest not in rows:
            lost.append(f"{digest}: acknowledged, and the catalog has no row")
    return lost


def _doubled(of_digest: Mapping[str, Mapping[str, object]], rows: Iterable[Row]) -> list[str]:
    counted = Counter(row.digest for row in rows)
    doubled = [f"{digest}: {count} rows" for digest, count in counted.items() if count > 1]
    return doubled + [f"{digest}: {len(ids)} events" for digest, ids in of_digest.items() if len(ids) > 1]


def _originals(store: ObjectStore) -> list[ObjectRef]:
    """What the bucket holds, by what its name promises."""
    return [
        ObjectRef(tenant="", store=HOT, key=key, length=size, size=size, sha256=named[1])
        for key, size in store.keys(HOT)
        if (named := _ORIGINAL.search(key))
    ]


def _keys(store: ObjectStore) -> set[str]:
    return {key for key, _ in store.keys(HOT)}


def _blocks(event: InstanceReceived) -> Iterable[ObjectRef]:
    return (block.object for block in event.protected)


def _read(store: ObjectStore, refs: Collection[ObjectRef]) -> dict[ObjectRef, Found]:
    def look(ref: ObjectRef) -> Found:
        try:
            store.read(ref)
        except Absent:
            return "absent"
        except Damaged:
            return "damaged"
        return "whole"

    listed = list(refs)
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(listed, pool.map(look, listed), strict=True))
