"""What a release puts an image in the place of: one image is shown and sent under a SOP Instance UID."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from consumers.catalog.quarantine import Flowing, flowing
from radstream.errors import Failure
from radstream.quarantine_flowing import each_to_be_rejected
from radstream.reading import catalog_snapshot
from streams.config import Config, Site
from streams.events import InstanceQuarantined
from streams.held import OTHER_CONTENT
from streams.log import Log


def replaced(config: Config, log: Log, wanted: Sequence[InstanceQuarantined]) -> list[InstanceQuarantined]:
    """What flows of its study under the SOP Instance UIDs of what is to be released, as if it were held as rejected.

    An image of another study is not touched: who decides on a study has said nothing of that one.

    Raises Failure where one of these is not held as other content, as who lets it go has not said that what flows is
    not to; where several are of one UID; and where the catalog cannot be asked. LogAway, LogRefused.
    """
    _check(wanted)
    tenant = config.section("site", Site).tenant
    with catalog_snapshot(config) as cursor:
        beside = {
            one.instance.digest: [
                other
                for other in flowing(cursor, tenant, one.instance.sop_instance_uid)
                if other.digest != one.instance.digest and other.study_uid == one.instance.study_uid
            ]
            for one in wanted
            if one.instance.sop_instance_uid
        }
    for one in wanted:
        if one.code != OTHER_CONTENT and beside.get(one.instance.digest):
            raise Failure(_beside(one, beside[one.instance.digest]))
    flow = {other.digest: other for others in beside.values() for other in others}
    return each_to_be_rejected(log, tenant, flow.values())


def _check(wanted: Sequence[InstanceQuarantined]) -> None:
    counts = Counter(one.instance.sop_instance_uid for one in wanted if one.code == OTHER_CONTENT)
    if several := [uid for uid, count in counts.items() if count > 1]:
        raise Failure(
            f"nothing was done: several images are held under {several[0]}, and one of them can flow: release that by "
            "its digest (radstream quarantine list)"
        )


def _beside(one: InstanceQuarantined, others: Sequence[Flowing]) -> str:
    return (
        f"nothing was done: another image flows under {one.instance.sop_instance_uid}, and one can. To have "
        f"{one.instance.digest[:16]} in its place, reject that first: "
        + ", ".join(f"radstream quarantine reject {other.digest}" for other in others)
    )
