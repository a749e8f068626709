"""What a catalog would say of a router in this process, from the events that it acknowledged."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from consumers.catalog.presence import Present
from radstream.migrating.pulling import Held
from tests.routers import Router

RECEIVED = ("imaging.instance.received", "imaging.instance.received.bulk")


def held_by(router: Router) -> Held:
    def held(study_uid: str, uids: Collection[str]) -> Mapping[str, Present]:
        events = [event for topic in RECEIVED for event in router.received(topic)]
        return {
            one.sop_instance_uid: Present(
                one.sop_instance_uid, one.study_uid, one.series_uid, event.meta.lane, verdict=None
            )
            for event in events
            for one in (event.instance,)
            if one.study_uid == study_uid or one.sop_instance_uid in uids
        }

    return held
