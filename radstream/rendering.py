"""A frame of a file, or of what the archive serves as an instance, through the frame cache where the site has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consumers.catalog.originals import Served, served_instance
from radstream.counting import counted
from radstream.errors import Failure
from radstream.getting import Getting
from radstream.reading import audited, catalog_snapshot, parts_answer
from streams.config import Config, Site, Store
from streams.framecache import cache
from streams.framecache.config import FrameCacheSettings
from streams.framecache.entry import key_of
from streams.log import Log
from streams.rendering.frame import Asked, Rendered, rendered
from streams.rendering.render import Choice
from streams.rendering.source import Source, opened
from streams.s3 import S3Store

CACHE = "frame_cache"


@dataclass(frozen=True)
class Facts:
    """Of a picture that was written. `voi` says what its greys are by, `notes` what was broken and so left out."""

    path: str
    media_type: str
    rows: int
    columns: int
    bytes: int
    voi: Choice
    for_processing: bool
    notes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        by = {"none": "colour", "percentiles": "greys by what most of it is", "range": "greys by their whole range"}
        how = by.get(self.voi, f"greys by a {self.voi}")
        broken = f"; left out as broken: {', '.join(self.notes)}" if self.notes else ""
        processing = " It is FOR PROCESSING: not meant to be read." if self.for_processing else ""
        return (
            f"{self.path}: {self.columns} x {self.rows} {self.media_type}, {self.bytes:,} bytes, {how}{broken}. "
            f"Not for diagnosis.{processing}"
        )


@dataclass(frozen=True)
class Picture:
    rendered: Rendered

    @property
    def data(self) -> bytes:
        return self.rendered.file.data

    def facts(self, path: str) -> Facts:
        one = self.rendered
        file = one.file
        return Facts(
            path, file.media_type, file.rows, file.columns, len(file.data), one.voi, one.for_processing, one.notes
        )


class Rendering:
    """`source` opens the file when it is needed. Called, it raises NotRendered."""

    def __init__(self, source: Callable[[], Source]) -> None:
        self._source = source

    def __call__(self, asked: Asked) -> Picture:
        return Picture(rendered(self._source(), asked))


def stored(config: Config, log: Log, sop_instance_uid: str) -> Callable[[Asked], Picture]:
    """Renders a stored instance, audited before. Raises Failure; what it gives raises Failure and NotRendered."""
    site, stores = config.section("site", Site), config.section("store", Store)
    original = _served(config, site.tenant, sop_instance_uid)
    # Before a pixel leaves the archive: what cannot be audited is not done.
    audited(config, log, "instance_rendered", sop_instance_uid, {"study": original.study_uid})
    kept = cache.opened(config.section(CACHE, FrameCacheSettings) if CACHE in config.names else FrameCacheSettings())
    getting = Getting(S3Store(stores), stores.buckets, site.tenant, original.study_uid)

    def picture(asked: Asked) -> Picture:
        with parts_answer():
            key = key_of(original.digest, asked)
            found = Picture(kept.picture(key, lambda: rendered(opened(getting.read(original)), asked)))
        counted(config, log, original.study_uid, 1)
        return found

    return picture


def _served(config: Config, tenant: str, sop_instance_uid: str) -> Served:
    with catalog_snapshot(config) as cursor:
        found = served_instance(cursor, tenant, sop_instance_uid)
    if found is None:
        raise Failure(
            "the catalog has no valid image with this SOP Instance UID. One that was sent just now is there when the "
            "catalog has caught up (radstream lag); held ones: radstream quarantine list"
        )
    return found
