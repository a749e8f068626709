"""A generated image, sent to our router as a scanner would send it, and followed to the catalog."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydicom.uid import UID

from consumers.catalog.presence import present
from producers.dicom_router.config import Settings as Router
from radstream import phantom
from radstream.checks.check import Check, broken, note, well
from radstream.errors import Failure
from radstream.items import Item
from radstream.modality_checks import ROUTER
from radstream.options import log_answers, open_log
from radstream.reading import catalog_snapshot
from radstream.sending import SUCCESS, send_items
from radstream.tail import held, partitions_of
from schemas import load_topics
from streams.config import Config, Site
from streams.events import InstanceReceived
from streams.nodes import Node
from streams.store_scu import Target
from streams.wire import Undecodable, UnknownSchema, decode

_SLICES: Final = (0, 1, 0)
_MATRIX: Final = 64
_CATALOG_S_MAX: Final = 30.0
_POLL_S: Final = 0.1
_RECEIVED: Final = "imaging.instance.received"
# Of each lane: enough to see a study that was sent just now.
_RECORDS_MAX: Final = 1000


@dataclass(frozen=True)
class Image:
    """A new image of a phantom, in a study of its own: of no person, and nowhere yet."""

    study_uid: str
    item: Item

    @classmethod
    def make(cls) -> Image:
        seed = secrets.randbelow(1 << 31)
        (item,) = phantom.encoded(seed, _SLICES, _MATRIX)
        return cls(phantom.Study(seed, _SLICES, _MATRIX).uid, item)


def stored(config: Config, node: Node, router: Router, image: Image) -> Iterator[Check]:
    """Sends the image as the node, and waits until the catalog shows its verdict."""
    started = time.monotonic()
    target = Target(router.ae_title, router.host, router.port)
    sent = send_items([image.item], target, calling_ae=node.ae_title, retries=0)
    if sent.acknowledged != 1:
        status = next(iter(sent.statuses), "")
        why = f"answered with status {status}" if status else f"not sent: {sent.unsent[0]['reason']}"
        mend = "Store or log may be away: radstream doctor; then test again." if status else "Mend that, test again."
        yield broken(ROUTER, "C-STORE", f"The image was {why}.", mend)
        return
    yield well(
        ROUTER, "C-STORE", f"Status {SUCCESS:04X}, stored and published, in {sent.p50_ms} ms. Study {image.study_uid}."
    )
    yield _shown(config, image.study_uid, image.item.sop_instance, started)


def _shown(config: Config, study_uid: str, sop_instance: str, started: float) -> Check:
    tenant = config.section("site", Site).tenant
    found = None
    while time.monotonic() - started < _CATALOG_S_MAX:
        try:
            with catalog_snapshot(config) as cursor:
                found = present(cursor, tenant, study_uid, (sop_instance,)).get(sop_instance)
        except Failure as error:
            return broken(ROUTER, "catalog", f"{error}.", "Start it, then test again.")
        if found is not None and found.verdict is not None:
            break
        time.sleep(_POLL_S)
    else:
        what = "validation has not looked at it" if found else "the catalog does not show it"
        mend = "See who is behind: radstream lag; what runs: radstream status."
        return broken(ROUTER, "catalog", f"After {_CATALOG_S_MAX:.0f} s {what}.", mend)
    seconds = time.monotonic() - started
    if found.verdict != "validated":
        return broken(ROUTER, "catalog", "Validation holds it.", f"See why: radstream study {study_uid}")
    return well(ROUTER, "catalog", f"Validated, and in the catalog in lane {found.lane}, after {seconds:.1f} s.")


def arrived(config: Config, node: Node) -> Check:
    """What came from the node lately, by the log: in what it proposes, when it sends."""
    seen: Counter[tuple[str, str]] = Counter()
    last = None
    try:
        with log_answers():
            log = open_log(config)
            for topic in load_topics().physical(_RECEIVED):
                for record in held(log, partitions_of(log, topic), "end", _RECORDS_MAX):
                    try:
                        event = decode(record)
                    except (Undecodable, UnknownSchema):
                        continue
                    if isinstance(event, InstanceReceived) and event.source.calling_ae == node.ae_title:
                        seen[event.instance.sop_class_uid, event.instance.transfer_syntax_uid] += 1
                        last = max(last or event.meta.occurred_at, event.meta.occurred_at)
    except Failure as error:
        return note(ROUTER, "images", f"{error}.")
    if last is None:
        return note(ROUTER, "images", f"None came from {node.ae_title} lately.", "Send one, then test again.")
    kinds = "; ".join(f"{count} {UID(kind).name} in {UID(syntax).name}" for (kind, syntax), count in seen.items())
    return well(ROUTER, "images", f"From {node.ae_title} came, the last at {last:%Y-%m-%d %H:%M:%S} UTC: {kinds}.")
