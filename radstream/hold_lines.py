"""A hold in words, for a terminal."""

from __future__ import annotations

from consumers.catalog.holds import Hold
from radstream.output import plain


def hold_line(hold: Hold) -> str:
    """One line: name, who, when, why; and the same of its release."""
    text = f"{_placed(hold)}, {_why(hold.why, hold.why_state)}"
    if hold.in_force:
        return text
    return f"{text}; {_released(hold)}, {_why(hold.release_why, hold.release_why_state)}"


def history(hold: Hold) -> str:
    """The same without the reasons, which are for those who ask for them, and for no error message."""
    return _placed(hold) if hold.in_force else f"{_placed(hold)}, {_released(hold)}"


def _placed(hold: Hold) -> str:
    return f"hold {hold.hold_id}: placed by {plain(hold.placed_by)} at {hold.placed_at:%Y-%m-%d %H:%M}"


def _released(hold: Hold) -> str:
    at = f" at {hold.released_at:%Y-%m-%d %H:%M}" if hold.released_at else ""
    return f"released by {plain(hold.released_by)}{at}"


def _why(text: str | None, state: str | None) -> str:
    return f"because: {plain(text)}" if text is not None else f"(the reason is {state})"
