"""Restores that readers and pages ask for, beside all other work: a log that is away keeps whoever asks waiting."""

from __future__ import annotations

from typing import Final

from gateway.flights import Flights
from gateway.problem import Problem
from gateway.restoring import Expected, RestoreFailed, Restoring
from gateway.workers import Workers
from streams.log import LogAway, LogRefused

# So many different ones. Each has a thread of its own, so that none waits behind others that wait for the log.
_AT_ONCE: Final = 32
_TOO_MANY: Final = Problem(503, "Too much is asked of the archive at once; ask again.", {"retry-after": "2"})
_LOG_AWAY: Final = Problem(503, "The log does not take it, so nothing is restored; ask again.", {"retry-after": "2"})


class Asking:
    """For one event loop. Many who ask for one study at once ask once."""

    def __init__(self, restoring: Restoring) -> None:
        self._restoring, self._workers, self._flights = restoring, Workers(_AT_ONCE), Flights()

    async def ask(self, study_uid: str, actor: str, sop_instance_uid: str | None = None) -> Expected | None:
        """As `Restoring.ask`. Raises Problem (503), Away."""
        if len(self._flights) >= _AT_ONCE:
            raise _TOO_MANY
        try:
            return await self._flights.shared(
                (study_uid, sop_instance_uid),
                lambda: self._workers.run(lambda: self._restoring.ask(study_uid, actor, sop_instance_uid)),
            )
        except RestoreFailed as error:
            raise _failed(error) from None
        except (LogAway, LogRefused, TimeoutError):
            raise _LOG_AWAY from None


def _failed(error: RestoreFailed) -> Problem:
    text = "It could not be restored; the operator's log says why, and asking again then tries again."
    return Problem(503, text, {"retry-after": str(error.again_s)})
