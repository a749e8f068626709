"""Statuses that say why (PS3.7 annex C)."""

from __future__ import annotations

from typing import Any, Final

from pydicom.dataset import Dataset

# A status alone, or one with its comment; and the data set that goes with it.
Response = tuple[int | Dataset, Dataset | None]

_COMMENT_MAX: Final = 64  # LO


def failure(status: int, comment: str, error_id: int | None = None) -> Dataset:
    """Error Comment (0000,0902) and perhaps Error ID (0000,0903). The comment holds no patient data."""
    said: Any = Dataset()
    said.Status = status
    said.ErrorComment = comment[:_COMMENT_MAX]
    if error_id is not None:
        said.ErrorID = error_id
    made: Dataset = said
    return made


def code_of(status: int | Dataset) -> int:
    return status if isinstance(status, int) else int(status.Status)
