"""Starts the service: python -m streams.windows --config FILE"""

from __future__ import annotations

import asyncio
import logging
import os
import threading

import structlog
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

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
# A broker that has just started may know no topics yet. Faust then assigns none, and would ask again in five minutes.
_IDLE_S_MAX = 15.0
# Within what a supervisor gives a service to end.
_END_S_MAX = 20.0


def main(context: Context, settings: Settings) -> None:
    # Several errors a second while the broker is away; this service says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    threading.Thread(target=_end_anyway, args=(context,), name="end-anyway", daemon=True).start()
    asyncio.run(_serve(context, settings))


def _end_anyway(context: Context) -> None:
    """aiokafka waits for a broker as long as it hangs, in a thread of Faust's that Python in turn waits for.

    What was not written by then is counted again.
    """
    context.stopping.wait()
    threading.Event().wait(_END_S_MAX)
    structlog.get_logger().warning("left_without_an_answer", group="windows")
    os._exit(0)


async def _serve(context: Context, settings: Settings) -> None:
    """An app that crashed, or got nothing to read, is replaced: what it had in hand is lost, as a picture may be."""
    board = Board()
    while not context.stopping.is_set():
        try:
            partitions = context.log.partitions(CHANGELOG)
            await _live(context, Windows(context.config.section("kafka", Kafka), settings.folder, partitions), board)
        except (LogAway, KafkaError) as error:
            context.health.ready("log", False, "the log does not answer; nothing is counted meanwhile")
            structlog.get_logger().warning("windows_away", error=error)
        if not context.stopping.is_set():
            structlog.get_logger().warning("windows_start_again", again_s=_AGAIN_S)
            await asyncio.sleep(_AGAIN_S)


async def _live(context: Context, windows: Windows, board: Board) -> None:
    """One life of the app: until the service is to stop, or the app is of no more use."""
    try:
        await windows.app.start()
        idle_s, turn = 0.0, 0
        while not context.stopping.is_set() and not windows.app.crashed and idle_s < _IDLE_S_MAX:
            context.health.beat()
            _publish(context, windows, board)
            if turn % _ASK_EVERY == 0:
                await asyncio.to_thread(_ask, context)
            idle_s = 0.0 if windows.is_ready or "log" in context.health.failing() else idle_s + _TURN_S
            turn += 1
            await asyncio.sleep(_TURN_S)
    finally:
        await windows.app.stop()


def _publish(context: Context, windows: Windows, board: Board) -> None:
    context.health.ready("windows", windows.is_ready, "waiting for partitions")
    start_s, counts = windows.last_whole(context.clock.now().timestamp())
    publish(start_s, WINDOW_S, counts, board)


def _ask(context: Context) -> None:
    try:
        context.log.partitions(CHANGELOG)
    except LogAway:
        context.health.ready("log", False, "the log does not answer; nothing is counted meanwhile")
    else:
        context.health.ready("log", True)


if __name__ == "__main__":
    run("windows", Settings, main)
