"""Starts the service: python -m streams.lagging --config FILE"""

from __future__ import annotations

import structlog

from streams.gauges import Board
from streams.lagging.config import Settings
from streams.lagging.meter import Meter
from streams.lagging.publishing import publish
from streams.log import LogAway
from streams.routes.section import groups_of
from streams.service import Context, run


def main(context: Context, settings: Settings) -> None:
    meter, board = Meter(context.log, groups_of(context.config), context.clock, settings.window_s), Board()
    while not context.stopping.is_set():
        context.health.beat()
        try:
            publish(meter.read(), board)
            context.health.ready("log", True)
        except LogAway:
            # The figures stay as they were; radstream_lag_measured_timestamp_seconds says of when they are.
            context.health.ready("log", False, "the log does not answer; the figures are those of before")
            structlog.get_logger().warning("lag_not_measured", again_s=settings.interval_s)
        context.stopping.wait(settings.interval_s)


if __name__ == "__main__":
    run("lag", Settings, main)
