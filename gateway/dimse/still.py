"""Whether what a retrieve began to send may still be sent, and as whose: while it runs images are held, and a person
may decide that a study from outside is another patient's, or nobody's here.

Asked for many instances at once, and again once the answer is a quarter of a second old: a question for each would
cost as much as to send it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from consumers.catalog.reading import Reads
from gateway.dimse.reading import Unsent
from gateway.dimse.selecting import Wanted, shown
from streams.step import Away

_AT_ONCE: Final = 50
_OLD_S = 0.25


class Still:
    """Used from one thread, from the first instance to the last."""

    def __init__(self, reads: Reads, tenant: str, wanted: Sequence[Wanted]) -> None:
        self._reads = reads
        self._tenant = tenant
        self._wanted = wanted
        # None where the catalog did not answer.
        self._shown: dict[str, str | None] | None = {}
        self._end = 0
        self._asked_s = 0.0

    def check(self, place: int) -> None:
        """Raises Unsent for what was held since the list was made, or is another's here by now, or of which nobody can
        say."""
        if place >= self._end or (self._shown is not None and time.monotonic() - self._asked_s > _OLD_S):
            self._ask(place)
        if self._shown is None:
            raise Unsent("catalog_away")
        one = self._wanted[place]
        if one.digest not in self._shown:
            raise Unsent("held")
        if self._shown[one.digest] != one.decision:
            raise Unsent("whose_changed")

    def _ask(self, place: int) -> None:
        self._asked_s, self._end = time.monotonic(), place + _AT_ONCE
        try:
            with self._reads.snapshot() as cursor:
                self._shown = shown(cursor, self._tenant, self._wanted[place : self._end])
        except Away:
            # A catalog that keeps everybody waiting is not waited for once for each instance.
            self._shown = None
