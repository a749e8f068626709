"""What happens to studies, told as it happens: server-sent events out of the log.

Flows in: study revisions, results, reviews and tier moves from the log. Flows out: an event for each, with UIDs and
states and nothing of the patient. Touches: nothing.
"""

from __future__ import annotations

from gateway.live.streaming import routes

__all__ = ["routes"]
