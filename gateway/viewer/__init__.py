"""OHIF, as it is published: its files, and the configuration that points it at this gateway.

Flows in: requests of browsers. Flows out: the files of a folder, and one generated script. Touches: that folder.
"""

from __future__ import annotations

from gateway.viewer.files import routes

__all__ = ["routes"]
