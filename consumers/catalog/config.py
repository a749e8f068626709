"""What can be set: section [catalog]."""

from __future__ import annotations

from streams.config import Service
from streams.projecting import ProjectingSettings


class Settings(Service, frozen=True, kw_only=True):
    """`dsn` is PostgreSQL's: a URI, or keywords and values (libpq). `projecting` bounds batches and waits."""

    dsn: str
    projecting: ProjectingSettings = ProjectingSettings()
