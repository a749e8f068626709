"""What the service answers, as an OpenAPI document (OAS 3.1).

Flows in: a file of paths for each room. Flows out: one document, `/openapi.json`. Touches: nothing.
"""

from __future__ import annotations

from gateway.openapi.document import routes

__all__ = ["routes"]
