"""Starts the service: python -m streams.windows --config FILE"""

from __future__ import annotations

import asyncio
import logging

import structlog

from streams.config import Kafka
from streams.gauges import Board
from streams.log import LogAway
from streams.service import Context, run
from streams.windows.app import CHANGELOG, WINDOW_S, Windows
from streams.windows.config import Settings
from streams.windows.publishing import publish

_TURN_S = 0.5
_AGAIN_S = 2.0
# How often the log is asked whether it is there: aiokafka waits for it by itself, and says so only in its messages.
_ASK_EVERY = 10


def main(context: Context, settings: Settings) -> None:
    # Several errors a second while the broker is away; this service says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asyncio.run(_serve(context, settings))


async def _serve(context: Context, settings: Settings) -> None:
    """An app that has crashed is replaced: what it had in hand is lost, as a picture may be."""
    board = Board()
    while not context.stopping.is_set():
        windows = Windows(context.config.section("kafka", Kafka), settings.folder, context.log.partitions(CHANGELOG))
        try:
            await windows.app.start()
            await _publish(context, windows, board)
        finally:
            await windows.app.stop()
        if not context.stopping.is_set():
            structlog.get_logger().warning("windows_crashed", again_s=_AGAIN_S)
            await asyncio.sleep(_AGAIN_S)


async def _publish(context: Context, windows: Windows, board: Board) -> None:
    """Until the service is to stop, or the app crashes."""
    turn = 0
    while not context.stopping.is_set() and not windows.app.crashed:
        context.health.beat()
        context.health.ready("windows", windows.is_ready, "waiting for partitions")
        start_s, counts = windows.last_whole(context.clock.now().timestamp())
        publish(start_s, WINDOW_S, counts, board)
        if turn % _ASK_EVERY == 0:
            await asyncio.to_thread(_ask, context)
        turn += 1
        await asyncio.sleep(_TURN_S)


def _ask(context: Context) -> None:
    try:
        context.log.partitions(CHANGELOG)
    except LogAway:
        context.health.ready("log", False, "the log does not answer; nothing is counted meanwhile")
    else:
        context.health.ready("log", True)


if __name__ == "__main__":
    run("windows", Settings, main)
