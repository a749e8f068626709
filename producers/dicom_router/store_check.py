"""Before anything is committed: does the store keep what the router is about to promise?"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from streams.config import ConfigError, Store
from streams.objects import StoreAway
from streams.probe import missing, probe
from streams.service import Context

_AGAIN_S = 1.0


class Checking:
    """Checks the store while associations are taken already. `well` is called once it may be used."""

    def __init__(self, context: Context, bucket: str, well: Callable[[], None]) -> None:
        self._context = context
        self._bucket = bucket
        self._well = well
        self._refused: Exception | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="store-check", daemon=True).start()

    def wait(self, timeout_s: float) -> None:
        """Until it is known, or for so long. Raises as `ask`."""
        self._ended.wait(timeout_s)
        self.ask()

    def ask(self) -> None:
        """Raises ConfigError once the store was found unfit, and what nobody planned: without an end of the check
        everything would go to the spool for ever."""
        if self._refused is not None:
            raise self._refused

    def _run(self) -> None:
        try:
            check_store(self._context, self._bucket)
        except Exception as error:  # noqa: BLE001 - raised again by `ask`
            self._refused = error
        else:
            self._well()
        finally:
            self._ended.set()


def check_store(context: Context, bucket: str) -> None:
    """Waits for the store and tries it. Raises ConfigError where it overwrites objects or takes damaged ones."""
    config = context.config.section("store", Store)
    while not context.stopping.is_set():
        try:
            lacking = missing(probe(config, config.buckets[bucket]))
        except StoreAway:
            structlog.get_logger().warning("waiting", part="store", again_s=_AGAIN_S)
            context.stopping.wait(_AGAIN_S)
            continue
        if lacking:
            said = "; ".join(f"{one.name}: {one.detail}" for one in lacking)
            raise ConfigError(
                f"{context.config.path}: [store] {config.endpoint} cannot hold images ({said}). An acknowledged image "
                "could be overwritten or damaged there: use a store that does both, and ask it with: radstream doctor"
            )
        return
