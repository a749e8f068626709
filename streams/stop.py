"""The consumer stops: what the log holds cannot be handled by waiting, and going on would drop it silently."""

from __future__ import annotations


class Stop(Exception):
    """`reason` is a sentence for a person: what happened, to what, and what to do next. No patient data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
