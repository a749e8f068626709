"""The last whole window as metrics. Labels are topics, lanes and modalities: short lists, never a UID."""

from __future__ import annotations

from collections.abc import Mapping

from streams import metrics
from streams.gauges import Board
from streams.windows.counts import Count, Place


def publish(start_s: float, length_s: float, counts: Mapping[Place, Count], board: Board) -> None:
    board.show(metrics.WINDOW_RATE, {place: one.records / length_s for place, one in counts.items()})
    means = {place: one.latency_mean_s for place, one in counts.items()}
    board.show(metrics.WINDOW_LATENCY_MEAN_SECONDS, {place: mean for place, mean in means.items() if mean is not None})
    longest = {place: one.latency_max_s for place, one in counts.items() if one.timed}
    board.show(metrics.WINDOW_LATENCY_MAX_SECONDS, longest)
    metrics.WINDOW_LENGTH_SECONDS.set(length_s)
    metrics.WINDOW_START.set(start_s)
