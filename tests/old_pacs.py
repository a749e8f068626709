"""An old PACS for tests, by pynetdicom: query and retrieve SCP with the manners of real ones, which can be chosen."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from streams.nodes import Node
from tests.routers import Ct

AE_TITLE = "OLDPACS"
LEVELS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def study(number: int, images: int = 3, day: str = "20200101", at: str = "101500", series: int = 1) -> list[Ct]:
    """CT images of one study, in so many series."""
    uid = f"1.2.{number}"
    more = {0x00080020: (b"DA", day.encode()), 0x00080030: (b"TM", at.encode())}
    return [
        Ct(uid, f"{uid}.{n % series + 1}", f"{uid}.{n % series + 1}.{n + 1}", name="Doe^Jane", more=more)
        for n in range(images)
    ]


@dataclass
class OldPacs:
    """`cap` is where its answers stop, silently unless `honest`; those at the IMAGE level at `image_cap`. It lists
    `lost` and `spoilt` instances: of the lost ones it says that it sent them, of the spoilt ones that it cannot.

    Without `counts` it says of no study or series how many instances it has, optional keys (PS3.4 annex C.6), without
    `counts_series` of no series.
    `find_tape` is what it does for a C-GET before it gives anything.
    `failures` is how many retrievals of a study it refuses first. `moved` counts C-MOVE and C-GET by what they named.
    """

    images: list[Ct]
    cap: int = 10**6
    honest: bool = False
    image_cap: int = 10**6
    counts: bool = True
    counts_series: bool = True
    lost: set[str] = field(default_factory=set)
    spoilt: set[str] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    find_tape: Callable[[], object] = lambda: None
    destinations: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    moved: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    at_once_max: int = 0
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def node(self) -> Node:
        return Node(ae_title=AE_TITLE, host="127.0.0.1", port=self.port)

    def on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        lines = list(self._lines(asked))
        for line in lines[: self.image_cap if asked.QueryRetrieveLevel == "IMAGE" else self.cap]:
            yield 0xFF00, line
        if len(lines) > self.cap and self.honest:
            yield 0xA700, None

    def _lines(self, asked: Dataset) -> Iterator[Dataset]:
        level = ("STUDY", "SERIES", "IMAGE").index(asked.QueryRetrieveLevel)
        groups: dict[str, list[Dataset]] = {}
        for image in self._matching(asked):
            groups.setdefault(image[LEVELS[level]].value, []).append(image)
        for group in groups.values():
            line = Dataset()
            line.QueryRetrieveLevel = asked.QueryRetrieveLevel
            for keyword in (*LEVELS[: level + 1], *(("SOPClassUID",) if level == 2 else ())):
                setattr(line, keyword, group[0][keyword].value)
            if self.counts and (level == 0 or (level == 1 and self.counts_series)):
                setattr(line, f"NumberOf{('Study', 'Series')[level]}RelatedInstances", len(group))
            if "ModalitiesInStudy" in asked:
                line.ModalitiesInStudy = group[0].Modality
            yield line

    def _matching(self, asked: Dataset) -> Iterator[Dataset]:
        for image in map(_read, self.images):
            named = all(not asked.get(keyword) or asked[keyword].value == image[keyword].value for keyword in LEVELS)
            dated = _within(asked.get("StudyDate", ""), image.StudyDate)
            if named and dated and _within(asked.get("StudyTime", ""), image.StudyTime):
                yield image

    def _asked_for(self, event: evt.Event) -> list[Dataset] | None:
        """What a retrieval names, or None where it is refused this time."""
        wanted = event.identifier
        name = wanted.get("SeriesInstanceUID") or wanted.StudyInstanceUID
        with self.lock:
            self.moved[name] += 1
            refused = self.failures[wanted.StudyInstanceUID] > 0
            self.failures[wanted.StudyInstanceUID] -= refused
        return None if refused else list(self._matching(wanted))

    def on_move(self, event: evt.Event) -> Iterator[Any]:
        destination = self.destinations.get(event.move_destination)
        if destination is None:
            yield None, None
            return
        found = self._asked_for(event)
        yield (*destination, {"ae_title": event.move_destination})
        with self.lock:
            self.at_once += 1
            self.at_once_max = max(self.at_once, self.at_once_max)
        yield from self._sent(found)
        with self.lock:
            self.at_once -= 1

    def on_get(self, event: evt.Event) -> Iterator[Any]:
        self.find_tape()
        yield from self._sent(self._asked_for(event))

    def _sent(self, found: Sequence[Dataset] | None) -> Iterator[Any]:
        if found is None:
            yield 1
            yield 0xC001, None
            return
        yield len(found)
        for image in found:
            yield 0xFF00, self._found(image)

    def _found(self, image: Dataset) -> Dataset:
        uid = image.SOPInstanceUID
        if uid in self.lost:
            return Dataset()
        if uid in self.spoilt:
            # Without a transfer syntax it cannot be sent, and counts as failed.
            spoilt = Dataset()
            spoilt.SOPInstanceUID = uid
            return spoilt
        return image


@contextmanager
def running(pacs: OldPacs) -> Iterator[OldPacs]:
    """Listens on a free port of loopback until the block ends."""
    entity = AE(ae_title=AE_TITLE)
    for service in (
        Verification,
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelMove,
        StudyRootQueryRetrieveInformationModelGet,
    ):
        entity.add_supported_context(service)
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax), scu_role=False, scp_role=True)
    entity.requested_contexts = AllStoragePresentationContexts[:128]
    handlers: list[evt.EventHandlerType] = [
        (evt.EVT_C_FIND, pacs.on_find),
        (evt.EVT_C_MOVE, pacs.on_move),
        (evt.EVT_C_GET, pacs.on_get),
    ]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    pacs.port = server.server_address[1]
    try:
        yield pacs
    finally:
        server.shutdown()


def _read(image: Ct) -> Dataset:
    read = dcmread(BytesIO(image.data_set()), force=True)
    read.file_meta = FileMetaDataset()
    read.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return read


def _within(asked: str, value: str) -> bool:
    first, _, last = str(asked).partition("-")
    return not asked or first <= value <= last
