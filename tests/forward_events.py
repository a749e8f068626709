"""What came of rules, as tests make it: sent, sent twice, refused and sent after all, tagged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import structs

from streams.events import Event, ForwardResult, OfInstance
from tests.event_streams import Hospital
from tests.instance_events import provenance_of

GROUP = "forward.pacs"


def forwarded(hospital: Hospital, event: OfInstance) -> ForwardResult:
    digest = event.instance.digest
    return ForwardResult(
        meta=hospital.meta(GROUP, digest, lane=event.meta.lane),
        provenance=provenance_of(GROUP),
        instance=event.instance,
        action="forward",
        target="pacs",
        outcome="done",
        rules=("all-to-pacs",),
        status=0,
        sent_transfer_syntax_uid=event.instance.transfer_syntax_uid,
        sent_bytes=526_000,
    )


def refused(hospital: Hospital, event: OfInstance) -> ForwardResult:
    return structs.replace(
        forwarded(hospital, event),
        meta=hospital.meta(GROUP, event.instance.digest, ordinal=2, lane=event.meta.lane),
        outcome="failed",
        status=0xA900,
        code="refused",
        detail="The node answered 0xA900.",
        sent_transfer_syntax_uid=None,
        sent_bytes=0,
    )


def tagged(hospital: Hospital, event: OfInstance, tag: str) -> ForwardResult:
    return ForwardResult(
        meta=structs.replace(
            hospital.meta("forward", f"{event.instance.digest}/tag/{tag}", lane=event.meta.lane),
            subject=event.instance.digest,
        ),
        provenance=provenance_of("forward"),
        instance=event.instance,
        action="tag",
        target=tag,
        outcome="done",
        rules=("trial",),
    )


def routed(hospital: Hospital, images: Sequence[OfInstance]) -> Iterator[Event]:
    """Each image is sent; the first twice, as after a crash, and the node says something else; the last after a no."""
    first, last = images[0], images[-1]
    yield refused(hospital, last)
    for image in images:
        yield forwarded(hospital, image)
    yield structs.replace(forwarded(hospital, first), outcome="warned", status=0x0111)
    yield from (tagged(hospital, image, "trial-7") for image in images)
