"""An old PACS as a query and retrieve SCP (PS3.4 annex C, Study Root): what it has, and the request to send it.

No question asks for an attribute of a patient.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from radstream.dicom_peer import associated
from radstream.migrating.listing import Listing, Series
from radstream.migrating.windows import Answer, Found, Window
from streams.identity import uid_is_usable
from streams.nodes import Node
from streams.tls.reaching import Secured

_FIND: Final = build_context(StudyRootQueryRetrieveInformationModelFind)
_MOVE: Final = build_context(StudyRootQueryRetrieveInformationModelMove)

_SUCCESS: Final = 0x0000
_PENDING: Final = (0xFF00, 0xFF01)
# What a PACS says that stops at a number of answers: out of resources, or, as Orthanc does, cancelled.
_CUT: Final = (0xA700, 0xFE00)
_UNKNOWN_DESTINATION: Final = 0xA801
# Some, or all, sub-operations failed: it says how many.
_NOT_ALL: Final = (0xB000, 0xA702)
# An old PACS looks things up on tape; between two of its responses hours do not pass all the same.
_ANSWER_S_MAX: Final = 600.0

Responses = Iterator[tuple[Dataset, Dataset | None]]


class Refused(Exception):
    """The old PACS answered with a failure. The text has its status and no text of its own, which may hold names."""


class UnknownDestination(Refused):
    """It does not know our router as a move destination: no study can be pulled."""


class Gone(Exception):
    """The association ended before the last response."""


@dataclass(frozen=True)
class Moved:
    """How a retrieval ended, in the sub-operations that the old PACS counted; its last status, as four digits."""

    completed: int
    failed: int
    warned: int
    status: str


class OldPacs:
    """One node. Every call has an association of its own, so threads may call at once.

    Calls raise NoAssociation, Refused and Gone.
    """

    def __init__(self, node: Node, calling_ae: str, secured: Secured | None = None) -> None:
        self._node = node
        self._calling_ae = calling_ae
        self._secured = secured
        self._open: set[Association] = set()

    def abort(self) -> None:
        """Ends what is under way: calls of other threads raise Gone."""
        for association in tuple(self._open):
            association.abort()
            # Who waits for a response is not told of an abort of our own.
            association.dimse.msg_queue.put((None, None))

    @contextmanager
    def associated(self, contexts: Sequence[PresentationContext], **more: Any) -> Iterator[Association]:
        more = {"answer_s_max": _ANSWER_S_MAX, "secured": self._secured, **more}
        with associated(self._node, self._calling_ae, contexts, **more) as association:
            self._open.add(association)
            try:
                yield association
            finally:
                self._open.discard(association)

    def studies(self, window: Window, modality: str = "") -> Answer:
        """What it answers for a window, unfiltered: it may not look at the modality."""
        return self._studies(StudyDate=window.dates, StudyTime=window.times, ModalitiesInStudy=modality)

    def study(self, uid: str) -> Found | None:
        """None where it does not have it."""
        return next((one for one in self._studies(StudyInstanceUID=uid).studies if one.uid == uid), None)

    def _studies(self, **keys: str) -> Answer:
        asked = {"StudyInstanceUID": "", "NumberOfStudyRelatedInstances": "", "ModalitiesInStudy": "", **keys}
        with self.associated([_FIND]) as association:
            try:
                answers = [_found(answer) for answer in _find(association, "STUDY", asked)]
            except _Cut as cut:
                return Answer(tuple(map(_found, cut.answers)), whole=False)
        return Answer(tuple(answers))

    def listing(self, study_uid: str) -> Listing:
        """What it says that the study has, down to the instances."""
        with self.associated([_FIND]) as association:
            try:
                series = tuple(self._series(association, study_uid))
            except _Cut:
                raise Refused("it does not list all series of the study") from None
        return Listing(study_uid, series)

    def _series(self, association: Association, study_uid: str) -> Iterator[Series]:
        asked = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": "", "NumberOfSeriesRelatedInstances": ""}
        for line in list(_find(association, "SERIES", asked)):
            uid = _text(line, "SeriesInstanceUID")
            if not uid_is_usable(uid):
                raise Refused("a series of it has a UID that is none")
            keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": uid, "SOPInstanceUID": "", "SOPClassUID": ""}
            said = _number(line, "NumberOfSeriesRelatedInstances")
            try:
                found = list(_find(association, "IMAGE", keys))
            except _Cut as cut:
                if said is None:
                    raise Refused("it neither lists nor counts all instances of a series") from None
                found = cut.answers
            images = {_text(one, "SOPInstanceUID"): _text(one, "SOPClassUID") for one in found}
            yield Series(uid, frozenset(images), said, frozenset(images.values()) - {""})

    def move(self, study_uid: str, series_uids: Collection[str], destination: str) -> Moved:
        """Has it send a study, or some series of it, to `destination`, which it knows by its AE title."""
        with self.associated([_MOVE]) as association:
            parts = [
                retrieved(association.send_c_move, one, destination, StudyRootQueryRetrieveInformationModelMove)
                for one in identifiers(study_uid, series_uids)
            ]
        return total(parts)


class _Cut(Exception):
    """The answers until the PACS said that it will not give more."""

    def __init__(self, answers: list[Dataset]) -> None:
        super().__init__()
        self.answers = answers


def _find(association: Association, level: str, keys: dict[str, str]) -> Iterator[Dataset]:
    asked = Dataset()
    asked.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    answers: list[Dataset] = []
    for status, answer in _responses(association.send_c_find, asked, StudyRootQueryRetrieveInformationModelFind):
        code = status_of(status)
        if code in _PENDING:
            if answer is not None:
                answers.append(answer)
        elif code in _CUT:
            raise _Cut(answers)
        elif code != _SUCCESS:
            raise Refused(f"it answered C-FIND ({level}) with status {code:04X}")
    return iter(answers)


def identifiers(study_uid: str, series_uids: Collection[str]) -> Iterator[Dataset]:
    """What to retrieve: the study, or each of the series (PS3.4 section C.4.2.1.4)."""
    for series_uid in sorted(series_uids) or [""]:
        wanted = Dataset()
        wanted.QueryRetrieveLevel = "SERIES" if series_uid else "STUDY"
        wanted.StudyInstanceUID = study_uid
        if series_uid:
            wanted.SeriesInstanceUID = series_uid
        yield wanted


def retrieved(send: Callable[..., Responses], *request: object) -> Moved:
    """How a C-MOVE or C-GET ended. Raises Refused, Gone."""
    for status, _ in _responses(send, *request):
        code = status_of(status)
        if code in _PENDING:
            continue
        if code == _UNKNOWN_DESTINATION:
            raise UnknownDestination("it does not know our router as a move destination (status A801)")
        if code not in (_SUCCESS, *_NOT_ALL):
            raise Refused(f"it answered the retrieval with status {code:04X}")
        names = ("Completed", "Failed", "Warning")
        completed, failed, warned = (int(status.get(f"NumberOf{name}Suboperations", 0) or 0) for name in names)
        return Moved(completed, failed, warned, f"{code:04X}")
    raise Gone("it ended before its last response")


def _responses(send: Callable[..., Responses], *request: object) -> Responses:
    try:
        yield from send(*request)
    except RuntimeError:
        # What pynetdicom says of an association that has ended.
        raise Gone("it closed the association") from None


def total(parts: Collection[Moved]) -> Moved:
    """Of several retrievals the sum, and the worst status."""
    return Moved(
        sum(one.completed for one in parts),
        sum(one.failed for one in parts),
        sum(one.warned for one in parts),
        max(one.status for one in parts),
    )


def status_of(status: Dataset) -> int:
    """Raises Gone where there was no response."""
    if "Status" not in status:
        raise Gone("it closed the association, or did not answer in time")
    return int(status.Status)


def _found(line: Dataset) -> Found:
    modalities = line.get("ModalitiesInStudy") or ()
    several = (modalities,) if isinstance(modalities, str) else modalities
    return Found(
        _text(line, "StudyInstanceUID"),
        _number(line, "NumberOfStudyRelatedInstances"),
        frozenset(str(one) for one in several if one),
    )


def _text(line: Dataset, keyword: str) -> str:
    return str(line.get(keyword) or "").strip("\0 ")


def _number(line: Dataset, keyword: str) -> int | None:
    try:
        return int(_text(line, keyword))
    except ValueError:
        return None
