"""Which instances a request is about: what the catalog serves, where its bytes are, and what was derived of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from gateway.parts import Parts
from gateway.problem import Problem
from gateway.reading import Blob
from gateway.states import STATES
from streams.events import ObjectRef
from streams.fetching import ORDER
from streams.identity import original_key, uid_is_usable
from streams.pixels.image import VIDEO

_STATES = STATES.format(tenant="%(tenant)s", of="= %(study)s")
# One question: each costs a frame more than its rows do. Each part is made once: a planner that takes the first for one
# row makes the others anew for each of five hundred, which took a second.
_SHOWN = f"""
WITH states AS MATERIALIZED ({_STATES}), shown AS MATERIALIZED (
    SELECT series_uid, sop_instance_uid, sop_class_uid, digest, size, transfer_syntax_uid, frames, instance_number,
        rows, columns, series_number
    FROM served_instances
    WHERE tenant = %(tenant)s AND study_uid = %(study)s{{wanted}}
), copies AS MATERIALIZED (
    SELECT digest, jsonb_object_agg(store, version_id) AS places FROM current_copies
    WHERE tenant = %(tenant)s AND study_uid = %(study)s{{wanted}}
    GROUP BY digest
), derived AS MATERIALIZED (
    SELECT digest, jsonb_agg(jsonb_build_array(kind, media_type, transfer_syntax_uid, rows, columns, store, object_key,
        version_id, first_byte, length, size, sha256, frames) ORDER BY ordinal) AS parts
    FROM current_derivatives
    WHERE tenant = %(tenant)s AND digest IN (SELECT digest FROM shown) AND kind <> 'enhanced'
    GROUP BY digest
)
SELECT series_uid, sop_instance_uid, sop_class_uid, digest, size, transfer_syntax_uid, coalesce(frames, 1),
    instance_number, rows, columns, copies.places, derived.parts, (SELECT state FROM states)
FROM shown LEFT JOIN copies USING (digest) LEFT JOIN derived USING (digest)
ORDER BY series_number NULLS LAST, series_uid, instance_number NULLS LAST, sop_instance_uid
"""
_SERIES, _INSTANCE = " AND series_uid = %(series)s", " AND sop_instance_uid = %(instance)s"


@dataclass(frozen=True)
class Derived:
    """`frames` are offset and length (bytes) of each codestream, from the beginning of `blob`."""

    kind: str
    media_type: str
    transfer_syntax: str | None
    rows: int
    columns: int
    blob: Blob
    frames: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Served:
    """One instance as it may be shown. `frames` is what its header says, at least 1."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str
    frames: int
    instance_number: int | None
    rows: int | None
    columns: int | None
    blob: Blob
    derived: tuple[Derived, ...]
    # Whether the catalog knows a copy of the original in a store that answers at once, or none at all.
    is_online: bool = True

    @property
    def digest(self) -> str:
        return self.blob.digest

    @property
    def is_video(self) -> bool:
        return self.transfer_syntax.startswith(VIDEO)

    def of_kind(self, kind: str) -> Derived | None:
        return next((one for one in self.derived if one.kind == kind), None)

    def stored_as(self, syntax: str) -> Blob | None:
        """The file, or its lossless copy, that is of this transfer syntax; None where it is to be made."""
        if syntax == self.transfer_syntax:
            return self.blob
        copy = self.of_kind("lossless")
        return copy.blob if copy is not None and syntax == copy.transfer_syntax else None


@dataclass(frozen=True)
class Asked:
    """The resource of a path. Raises Problem 400 for what is no UID."""

    study: str
    series: str | None = None
    instance: str | None = None

    def __post_init__(self) -> None:
        if not all(uid_is_usable(uid) for uid in (self.study, self.series, self.instance) if uid is not None):
            raise Problem(400, "A UID in the path is none: digits and dots, at most 64 characters.")


def asked(request: Request) -> Asked:
    path = request.path_params
    return Asked(path["study"], path.get("series"), path.get("instance"))


async def ask(parts: Parts, wanted: Asked) -> tuple[int | None, Sequence[Served]]:
    """The state of the study (`gateway.states`), None where it is in none; the instances by series and instance number.

    Raises Problem 404 where there is none, Away.
    """
    by = (_SERIES if wanted.series is not None else "") + (_INSTANCE if wanted.instance is not None else "")
    names = {"tenant": parts.tenant, "study": wanted.study, "series": wanted.series, "instance": wanted.instance}
    async with parts.catalog.snapshot() as cursor:
        # Of many rows a plan that is made without knowing the study takes seconds; of one it is the quicker, since
        # planning takes longer than the answer.
        is_prepared = None if wanted.instance is not None else False
        rows = await (await cursor.execute(_SHOWN.format(wanted=by).encode(), names, prepare=is_prepared)).fetchall()
    if not rows:
        raise Problem(404, "There is no such study, series or instance, or it may not be shown.")
    return rows[0][-1], [_served(parts, wanted.study, row[:-1]) for row in rows]


def _served(parts: Parts, study: str, row: tuple[Any, ...]) -> Served:
    series, instance, sop_class, digest, size, syntax, frames, number, rows, columns, places, derived = row
    key = original_key(parts.tenant, study, series, instance, digest)
    names = [name for name in ORDER if name in parts.context.store.names]
    # Where the catalog knows a copy, then where one may have moved since.
    known = [(name, places[name]) for name in names if places is not None and name in places]
    refs = tuple(
        ObjectRef(tenant=parts.tenant, store=name, key=key, length=size, size=size, sha256=digest, version_id=version)
        for name, version in (*known, *((name, None) for name in names))
    )
    made = tuple(_derived(parts, *part) for part in derived or ())
    is_online = not known or any(name not in parts.context.store.archived for name, _ in known)
    said = (syntax, max(frames, 1), number, rows, columns)
    return Served(study, series, instance, sop_class, *said, Blob(refs), made, is_online)


def _derived(
    parts: Parts, kind: str, media_type: str, syntax: str | None, rows: int, columns: int, *where: Any
) -> Derived:
    store, key, version_id, first_byte, length, size, sha256, frames = where
    ref = ObjectRef(
        tenant=parts.tenant,
        store=store,
        key=key,
        version_id=version_id,
        offset=first_byte,
        length=length,
        size=size,
        sha256=sha256,
    )
    places = tuple((item["offset"] - first_byte, item["length"]) for item in frames)
    return Derived(kind, media_type, syntax, rows, columns, Blob((ref,)), places)
