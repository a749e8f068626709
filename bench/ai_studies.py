"""Studies for measuring inference: in the store as the pipeline leaves them, and the revision that announces each."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime

from consumers.ai.volume import Volume, volume_of
from radstream.errors import Failure
from radstream.phantom import chest_ct
from streams.config import Site
from streams.events import Meta, StudyRevision
from streams.generation import of_facts
from streams.identity import derived_key, original_key
from streams.objects import ObjectStore
from streams.revisions.step import manifest_of, set_digest, subject
from streams.service import source_of
from streams.step import NewObject
from streams.wire import Message, SchemaIds, encode

SITE = Site(tenant="bench", site="bench")
FIRST_SEED = 9000
MATRIX = 512
_REVISIONS = of_facts("revisions")


@dataclass(frozen=True, eq=False)
class BenchStudy:
    """One series of images, stored, and the same as a volume."""

    revision: StudyRevision
    volume: Volume


def stored(store: ObjectStore, number: int, images: int) -> BenchStudy:
    """Puts a generated chest of one series into the store, once for ever: the same number makes the same bytes."""
    files, digests, study_uid = [], [], ""
    for dataset in chest_ct(FIRST_SEED + number, (0, images, 0), MATRIX):
        out = io.BytesIO()
        dataset.save_as(out, enforce_file_format=True)
        data, study_uid = out.getvalue(), str(dataset.StudyInstanceUID)
        digest = hashlib.sha256(data).hexdigest()
        key = original_key(SITE.tenant, study_uid, str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID), digest)
        store.create(NewObject(SITE.tenant, "hot", key, data, digest))
        files.append(data)
        digests.append(digest)
    volume = volume_of(files)
    if not isinstance(volume, Volume):
        raise Failure(f"a generated study is no volume: {volume.detail}")
    return BenchStudy(_revision(store, study_uid, digests), volume)


def announced(study: BenchStudy) -> Message:
    return encode(study.revision, SchemaIds(), source=source_of(SITE, "revisions"))


def _revision(store: ObjectStore, study_uid: str, digests: list[str]) -> StudyRevision:
    name, now = subject(study_uid, 1), datetime.now(UTC)
    event_id = _REVISIONS.event_id(SITE.tenant, name, 0)
    manifest = store.create(NewObject(SITE.tenant, "hot", derived_key(SITE.tenant, event_id), manifest_of(digests)))
    return StudyRevision(
        meta=Meta(event_id=event_id, tenant=SITE.tenant, site=SITE.site, lane="routine", subject=name, occurred_at=now),
        provenance=_REVISIONS.provenance_of(()),
        study_uid=study_uid,
        revision=1,
        instance_count=len(digests),
        set_digest=set_digest(digests),
        manifest=manifest.ref,
        covers={},
        first_received_at=now,
        last_received_at=now,
    )
