"""Writes the enhanced objects of a study as files. They are no part of it: their series and names are their own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from consumers.catalog.enhanced import Enhanced
from radstream.getting import Got, Missed, sha256_of, write_whole
from streams import part10
from streams.events import ObjectRef
from streams.objects import Absent, Damaged, ObjectStore

_SERIES, _SOP_INSTANCE = 0x0020000E, 0x00080018
_LOST = "is not in the store any more; it can be made again from its original: radstream replay run derive --study UID"
_DAMAGED = "is damaged; it can be made again from its original: radstream replay run derive --study UID"


def get_enhanced(
    store: ObjectStore,
    tenant: str,
    study_uid: str,
    objects: Sequence[Enhanced],
    folder: Path,
    on_one: Callable[[], None] = lambda: None,
) -> Got:
    """Writes `<folder>/<its series>/<its SOP instance>.dcm` for each. What is missed is named by its image.

    Raises Failure for a folder that cannot be written, StoreAway.
    """
    started, there, size = time.monotonic(), 0, 0
    stores: Counter[str] = Counter()
    missed: list[Missed] = []
    for one in objects:
        written = _written(store, tenant, one, folder)
        if isinstance(written, str):
            missed.append(Missed(one.source_series_uid, one.source_sop_instance_uid, written))
        elif written:
            stores[one.store] += 1
            size += one.length
        else:
            there += 1
        on_one()
    seconds = round(time.monotonic() - started, 3)
    return Got(study_uid, str(folder), stores.total(), there, size, seconds, dict(stores), missed)


def _written(store: ObjectStore, tenant: str, one: Enhanced, folder: Path) -> bool | str:
    """False where it was there, or why it was not written."""
    ref = ObjectRef(
        tenant=tenant,
        store=one.store,
        key=one.key,
        version_id=one.version_id,
        offset=one.first_byte,
        length=one.length,
        size=one.size,
        sha256=one.sha256,
    )
    try:
        data = store.read(ref)
    except Absent:
        return f"what was made of it {_LOST}"
    except Damaged:
        return f"what was made of it {_DAMAGED}"
    file = part10.read(data)
    path = folder / (file.text(_SERIES) or "") / f"{file.text(_SOP_INSTANCE)}.dcm"
    found = sha256_of(path)
    if found is None:
        write_whole(path, data)
        return True
    return False if found == one.sha256 else "another file of this name is in the folder; move it away"
