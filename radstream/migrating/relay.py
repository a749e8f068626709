"""C-GET, where an old PACS cannot send to a third party: what it gives goes to our router by C-STORE, never past it.

The old PACS is told what the router answered, so an instance that the router did not keep counts as failed there too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, cast

from pynetdicom import build_role, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet  # type: ignore[attr-defined]

from radstream.dicom_peer import NoAssociation
from radstream.migrating.listing import Listing
from radstream.migrating.old_pacs import Moved, OldPacs, Refused, identifiers, retrieved, total
from streams.store_scu import CONTEXTS_MAX, Lost, NotTaken, Rejected, StoreScu, Target
from streams.store_scu import NoAssociation as NoRouter

_OUT_OF_RESOURCES: Final = 0xA700
# Of an image: on the association that is there, and on a new one.
_TRIES: Final = 2
# An old PACS gives what it has: it chooses among these, and needs to transcode nothing that is common.
TRANSFER_SYNTAXES: Final = (
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
)


class NotLetIn(Refused):
    """Our router rejects the relay, so no study can come by it."""


class Relay:
    """Gets from an old PACS and stores to the router as the old PACS would, under its AE title, and so in its lane."""

    def __init__(self, pacs: OldPacs, router: Target, calling_ae: str) -> None:
        self._pacs = pacs
        self._router = router
        self._calling_ae = calling_ae

    def get(self, listing: Listing, series_uids: Collection[str]) -> Moved:
        """A study, or some series of it. Raises what calls of the old PACS raise."""
        classes = sorted(frozenset().union(*(one.sop_classes for one in listing.series)))
        if not classes or len(classes) >= CONTEXTS_MAX:
            raise Refused("it does not say of which SOP classes the study is, so C-GET cannot ask for them")
        contexts = [build_context(StudyRootQueryRetrieveInformationModelGet)]
        contexts += _storage_contexts(classes)
        roles = [build_role(one, scp_role=True) for one in classes]
        with _storing(self._router, self._calling_ae) as on_store:
            handlers = [(evt.EVT_C_STORE, on_store.on_c_store)]
            with self._pacs.associated(contexts, roles=roles, handlers=handlers) as association:
                on_store.open_for(association.accepted_contexts)
                parts = [
                    retrieved(association.send_c_get, one, StudyRootQueryRetrieveInformationModelGet)
                    for one in identifiers(listing.study_uid, series_uids)
                ]
        return total(parts)


def _storage_contexts(classes: Sequence[str]) -> list[PresentationContext]:
    """One for each transfer syntax where there is room: of several in one context, the old PACS could use one alone."""
    if len(classes) * len(TRANSFER_SYNTAXES) < CONTEXTS_MAX:
        return [build_context(one, syntax) for one in classes for syntax in TRANSFER_SYNTAXES]
    return [build_context(one, list(TRANSFER_SYNTAXES)) for one in classes]


class _Storing:
    """The association with the router, opened with what the old PACS may give.

    An old PACS looks for its images for longer than the router waits for them, and a router may be restarted: where the
    association has ended, what comes goes by a new one.
    """

    def __init__(self, router: Target, calling_ae: str) -> None:
        self._router = router
        self._calling_ae = calling_ae
        self._pairs: list[tuple[str, str]] = []
        self._scu: StoreScu | None = None

    def open_for(self, accepted: Collection[PresentationContext]) -> None:
        """Raises Refused, NotLetIn, and NoAssociation where the router does not answer."""
        self._pairs = [
            (str(one.abstract_syntax), str(one.transfer_syntax[0]))
            for one in accepted
            if one.abstract_syntax != StudyRootQueryRetrieveInformationModelGet
        ]
        if not self._pairs:
            raise Refused("it gives none of the SOP classes of the study by C-GET")
        try:
            self._scu = self._opened()
        except Rejected as error:
            raise NotLetIn(
                f"our router does not let in what comes from this machine as {self._calling_ae} ({error}); "
                "its log says why: see the peers file"
            ) from None
        except NoRouter as error:
            raise NoAssociation(f"our router: {error}", "Start it: radstream up router.") from None

    def on_c_store(self, event: evt.Event) -> int:
        """Bound to EVT_C_STORE of the association with the old PACS; the router's status, or 0xA700 where none came."""
        request = cast(C_STORE, event.request)
        if request.DataSet is None:
            return _OUT_OF_RESOURCES
        named = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        data, syntax = request.DataSet.getvalue(), str(event.context.transfer_syntax)
        for _ in range(_TRIES):
            try:
                self._scu = self._scu or self._opened()
                return self._scu.store(*named, syntax, data)
            except Lost:
                # Perhaps before this image came: the router then has it not, and where it has, it keeps it once.
                self._abort()
            except (NotTaken, NoRouter):
                break
        return _OUT_OF_RESOURCES

    def close(self) -> None:
        if self._scu is not None:
            self._scu.close()

    def _opened(self) -> StoreScu:
        """Raises NoRouter."""
        return StoreScu(self._router, self._calling_ae, self._pairs)

    def _abort(self) -> None:
        if self._scu is not None:
            self._scu.abort()
            self._scu = None


@contextmanager
def _storing(router: Target, calling_ae: str) -> Iterator[_Storing]:
    storing = _Storing(router, calling_ae)
    try:
        yield storing
    finally:
        storing.close()
