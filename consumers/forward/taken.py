"""Which duplicates (0x0111) of an image that was another patient's before are what a node was to have.

Who decides anew while a study waits has each image read twice, both times under the last decision: of the second the
node says that it has it, and rightly so. What was taken before a restart is not known; a person has to look then.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from consumers.forward.answers import DUPLICATE_SOP_INSTANCE, judged

# Of several studies that are decided anew at once: some megabytes.
_REMEMBERED_MAX: Final = 20_000


class Taken:
    """Used from several threads. `decision` is the ID of the one under which the image was sent."""

    def __init__(self) -> None:
        self._decisions: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def is_another(self, digest: str, decision: str, status: int) -> bool:
        """Whether what the node has may be another patient's, by its answer; what it took is remembered."""
        with self._lock:
            if status == DUPLICATE_SOP_INSTANCE:
                return self._decisions.get(digest) != decision
            if judged(status) in ("done", "warned"):
                self._decisions[digest] = decision
                if len(self._decisions) > _REMEMBERED_MAX:
                    self._decisions.popitem(last=False)
            return False
