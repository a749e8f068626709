"""What fails while others are committed: it is at fault itself, or the store is with it, and nobody is away.

A store that answers 403 or 400 for one object, a proxy that resets its connection each time: no answer says whose fault
that is. Where others were committed between two failures of one, its failures say nothing of them any more, until it
is committed itself. Those between which nobody was committed are not counted: then, parts may be away for all.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

# By digest. Whom it forgets is a stranger again, and its next failure counts.
_MAX: Final = 1000


@dataclass(frozen=True)
class _Failed:
    """`commits` is how many had worked by its last failure, `alone` how many of its failures had others before them."""

    commits: int
    alone: int


class Suspects:
    """Not safe for threads: the lock of who has it is. Subjects are SHA-256 digests."""

    def __init__(self) -> None:
        self.commits = 0
        self._failed: OrderedDict[bytes, _Failed] = OrderedDict()

    def committed(self, subject: bytes) -> None:
        self.commits += 1
        self._failed.pop(subject, None)

    def failed(self, subject: bytes) -> bool:
        """Notes a failure; whether it is of this subject alone, as far as one can tell."""
        before = self._failed.pop(subject, _Failed(self.commits, 0))
        alone = before.alone + (before.commits < self.commits)
        self._failed[subject] = _Failed(self.commits, alone)
        if len(self._failed) > _MAX:
            self._failed.popitem(last=False)
        return alone > 0

    def alone(self, subject: bytes) -> int:
        """How often it failed after others were committed since its failure before; 0 for who is no suspect."""
        found = self._failed.get(subject)
        return found.alone if found else 0
