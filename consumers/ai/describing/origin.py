"""What the objects of a result say of where they come from, and how they are named."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code as Concept

from streams.events import Code, ModelRef
from streams.identity import uid_of_event

MANUFACTURER = "radstream"
# Of one software, wherever it runs: there is no device with a number on it.
SERIAL_NUMBER = "-"


@dataclass(frozen=True)
class Origin:
    """`event_id` is that of the result; `headers` are the data sets of the images that were read, without pixels.

    `made_at` is the result's own time: an object that is made again for the same result has the same times in it.
    """

    event_id: str
    model: ModelRef
    build: str
    made_at: datetime
    headers: Sequence[Dataset]

    @property
    def series_description(self) -> str:
        """Series Description (0008,103E) of what is made of it, at most 64 characters.

        The mark comes first: viewers cut long ones at their ends.
        """
        return f"AI, not reviewed: {self.model.name} {self.model.version}"[:64]

    def uid(self, what: str) -> str:
        """A UID for something of this result (PS3.5 annex B.2): the same whenever it is asked for."""
        return uid_of_event(str(uuid.uuid5(uuid.UUID(self.event_id), what)))


def concept(code: Code) -> Concept:
    return Concept(code.value, code.scheme, code.meaning)


def in_unicode(headers: Sequence[Dataset]) -> list[Dataset]:
    """The headers with their texts decoded and said to be in UTF-8, which every name of a patient fits into.

    highdicom takes over the first image's character sets, and not every one that PS3.3 section C.12.1.1.2 allows.
    """
    copies = []
    for header in headers:
        copy = Dataset(header)
        copy.decode()
        copy.SpecificCharacterSet = "ISO_IR 192"
        copies.append(copy)
    return copies


def stamp(dataset: Dataset, made_at: datetime) -> None:
    """Content date and time are the result's: highdicom takes the clock's. The offset says that they are in UTC."""
    date, time = made_at.strftime("%Y%m%d"), made_at.strftime("%H%M%S.%f")
    dataset.ContentDate, dataset.ContentTime = date, time
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = date, time
    dataset.SeriesDate, dataset.SeriesTime = date, time
    dataset.TimezoneOffsetFromUTC = "+0000"
