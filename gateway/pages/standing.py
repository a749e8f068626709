"""How far what a model said holds, in a few words beside it: on its result and on the series made of it."""

from __future__ import annotations

from collections.abc import Mapping

from consumers.catalog.inference import Result
from consumers.catalog.study import Study
from gateway.pages.provenance import Held

NOT_REVIEWED, REVIEWED = "AI, not reviewed", "AI"
WITHDRAWN = "AI, withdrawn: made with images that are held"
SUPERSEDED = "AI, superseded by a later result"
_BEFORE = "{}; said before images of the series were held"


def of_results(found: Study, held: Mapping[str, Held]) -> dict[str, str]:
    """The mark of each result that stands, by its id."""
    return {one.event_id: _mark(one, held) for one in found.results}


def of_series(found: Study, held: Mapping[str, Held]) -> dict[str, str]:
    """The mark of each series that a model made, by its UID: that of its result, or why there is none any more."""
    standing, withdrawn = of_results(found, held), {one.event_id for one in found.withdrawn}
    return {
        one["series_uid"]: standing.get(result) or (WITHDRAWN if result in withdrawn else SUPERSEDED)
        for one in found.series
        if (result := one["result"]) is not None
    }


def _mark(result: Result, held: Mapping[str, Held]) -> str:
    is_reviewed = result.review is not None or any(one.review is not None for one in result.findings)
    mark, of_images = REVIEWED if is_reviewed else NOT_REVIEWED, held.get(result.series_uid or "")
    return _BEFORE.format(mark) if of_images is not None and of_images.held_at > result.said_at else mark
