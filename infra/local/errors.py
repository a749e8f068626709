"""What the local stack says when it cannot go on."""

from __future__ import annotations


class StackError(Exception):
    """What happened, to what, and what to do next, in one message for a person."""
