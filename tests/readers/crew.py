"""Twenty readers at once: seventeen by HTTP, one that listens, one by C-GET and one by C-MOVE."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.readers.asking import Asking
from tests.readers.http import Http
from tests.readers.tally import Tally
from tests.rounds.threads import Threads

BY_HTTP = 17
C_GET, C_MOVE = "C-GET", "C-MOVE"
# Between two requests of one reader, and after one that was not answered.
_PACE_S, _AGAIN_S = 0.02, 0.2


class Crew(Threads):
    """Runs from construction to `stop`, but for the listener. `dimse` are its kinds of reading by DIMSE."""

    def __init__(
        self, root: str, asking: Asking, dimse: dict[str, Callable[[random.Random], int]], tally: Tally, seed: int
    ) -> None:
        super().__init__("reader")
        self._root, self._asking, self._tally = root, asking, tally
        works = [lambda number=number: self._by_http(random.Random(f"{seed}/{number}")) for number in range(BY_HTTP)]
        works += [
            lambda kind=kind, ask=ask: self._by_dimse(kind, ask, random.Random(f"{seed}/{kind}"))
            for kind, ask in dimse.items()
        ]
        self.start(works)

    def _by_http(self, chance: random.Random) -> None:
        """One kind after the other, so that each is soon asked for again."""
        http, kinds = Http(self._root), list(self._asking.kinds.items())
        chance.shuffle(kinds)
        try:
            while not self.stopping.is_set():
                for kind, ask in kinds:
                    is_right = self._tally.note(kind, lambda ask=ask: ask(http, chance))
                    if self.stopping.wait(_PACE_S if is_right else _AGAIN_S):
                        return
        finally:
            http.close()

    def _by_dimse(self, kind: str, ask: Callable[[random.Random], int], chance: random.Random) -> None:
        is_right = True
        while not self.stopping.wait(_PACE_S if is_right else _AGAIN_S):
            is_right = self._tally.note(kind, lambda: ask(chance))
