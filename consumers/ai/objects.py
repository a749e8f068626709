"""The DICOM objects of one analysis: made, put into the store, and told of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from consumers.ai.analysis import Segment
from consumers.ai.result import SEG, SR, Request
from consumers.ai.volume import Volume
from streams import metrics
from streams.events import InstanceReceived, ResultFinding, ResultObject
from streams.identity import uid_of_event
from streams.objects import Damaged, ObjectStore

if TYPE_CHECKING:
    from consumers.ai.describing.stored import Made


def objects_of(
    store: ObjectStore,
    request: Request,
    findings: Sequence[ResultFinding],
    segment: Segment | None,
    volume: Volume,
    at: datetime,
) -> tuple[tuple[ResultObject, ...], tuple[InstanceReceived, ...]]:
    """They are in the store when this returns: the result that is kept after them names their versions.

    Where another member kept its result first, these are objects that no event speaks of.

    Raises StoreAway, StoreRefused, Damaged.
    """
    # Here, not above: half a second and 60 MB that a service which waits for its first image does without.
    from consumers.ai.describing.origin import Origin, in_unicode
    from consumers.ai.describing.report import Shown, report
    from consumers.ai.describing.segmentation import segmentation
    from consumers.ai.describing.segments import segments
    from consumers.ai.describing.stored import made

    build = request.deployed.identity.build
    origin = Origin(request.event_id(0), request.model, build, at, in_unicode(volume.headers))
    shown = None
    written: list[tuple[ResultObject, InstanceReceived]] = []
    if segment is not None and segment.mask.any():
        parts = segments(segment.mask, volume.affine, findings)
        drawn = segmentation(origin, segment, parts, uid_of_event(request.event_id(SEG)))
        shown = Shown(drawn, parts.of_finding)
        written.append(_put(store, request, SEG, made(request.tenant, drawn), at))
    told = report(origin, findings, shown, uid_of_event(request.event_id(SR)))
    written.insert(0, _put(store, request, SR, made(request.tenant, told), at))
    return tuple(one for one, _ in written), tuple(event for _, event in written)


def _put(
    store: ObjectStore, request: Request, ordinal: int, one: Made, at: datetime
) -> tuple[ResultObject, InstanceReceived]:
    from consumers.ai.describing.stored import received

    stored = store.create(one.new)
    if stored.ref.sha256 != one.instance.digest:
        raise Damaged(one.new.key)
    metrics.OBJECTS.labels(one.new.store, "created" if stored.created else "already_there").inc()
    provenance = request.deployed.identity.provenance(request.item)
    meta = request.meta(ordinal, one.instance.digest, at)
    event = received(meta, provenance, one, stored.ref, request.event_id(0))
    return ResultObject(kind="sr" if ordinal == SR else "seg", instance=one.instance, object=stored.ref), event
