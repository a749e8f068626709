"""The study page: plain HTML, made here, for a phone as for a workstation.

Flows in: requests and forms of browsers. Flows out: pages; reviews, each behind its audit event. Touches: the catalog
to read, the store of protected notes, the log.
"""

from __future__ import annotations

from gateway.pages.routing import routes

__all__ = ["routes"]
