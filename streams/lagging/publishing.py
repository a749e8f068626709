"""Lag as metrics. Labels are groups, lanes and modalities: short lists, never a UID."""

from __future__ import annotations

import math

from streams import metrics
from streams.gauges import Board, Labels
from streams.lagging.figures import Lag, LaneLag


def publish(lag: Lag, board: Board) -> None:
    """What is not known has no sample; a group that never gets there is +Inf seconds away."""
    lanes = {(one.group, one.lane): one for group in lag.groups for one in group.lanes}
    board.show(metrics.GROUP_LAG, {place: one.lag for place, one in lanes.items()})
    board.show(metrics.GROUP_OLDEST_SECONDS, _known({place: one.oldest_age_s for place, one in lanes.items()}))
    board.show(metrics.GROUP_IN_PER_SECOND, _known({place: one.in_per_s for place, one in lanes.items()}))
    board.show(metrics.GROUP_OUT_PER_SECOND, _known({place: one.out_per_s for place, one in lanes.items()}))
    board.show(metrics.GROUP_CATCH_UP_SECONDS, _known({place: _catch_up_s(one) for place, one in lanes.items()}))
    board.show(
        metrics.GROUP_OLDEST_OF_MODALITY_SECONDS,
        {(*place, seen.modality): seen.oldest_age_s for place, one in lanes.items() for seen in one.modalities},
    )
    metrics.LAG_MEASURED_AT.set(lag.measured_at.timestamp())


def _catch_up_s(one: LaneLag) -> float | None:
    never = one.catch_up_s is None and one.in_per_s is not None
    return math.inf if never else one.catch_up_s


def _known(values: dict[Labels, float | None]) -> dict[Labels, float]:
    return {labels: value for labels, value in values.items() if value is not None}
