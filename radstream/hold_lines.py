"""A hold in words, for a terminal."""

from __future__ import annotations

from consumers.catalog.holds import Hold
from radstream.output import plain


def hold_line(hold: Hold) -> str:
    """One line: name, who, when, why; and the same of its release."""
    text = f"hold {hold.hold_id}: placed by {plain(hold.placed_by)} at {hold.placed_at:%Y-%m-%d %H:%M}, "
    text += _why(hold.why, hold.why_state)
    if hold.in_force or hold.released_at is None:
        return text
    released = f"released by {plain(hold.released_by)} at {hold.released_at:%Y-%m-%d %H:%M}"
    return f"{text}; {released}, {_why(hold.release_why, hold.release_why_state)}"


def _why(text: str | None, state: str | None) -> str:
    return f"because: {plain(text)}" if text is not None else f"(the reason is {state})"
