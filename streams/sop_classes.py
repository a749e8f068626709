"""Which SOP classes are not stored: other services. pynetdicom has the list of all of them (PS3.6 annex A)."""

from __future__ import annotations

from typing import Final

from pydicom.uid import UID
from pynetdicom import sop_class
from pynetdicom.presentation import AllStoragePresentationContexts, NonPatientObjectPresentationContexts

MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
VERIFICATION: Final = "1.2.840.10008.1.1"
STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
MODALITY_WORKLIST: Final = "1.2.840.10008.5.1.4.31"
PERFORMED_PROCEDURE_STEP: Final = "1.2.840.10008.3.1.2.3.3"
# Accepted as presentation contexts, refused as objects to store.
NOT_STORABLE: Final = frozenset((MEDIA_DIRECTORY, VERIFICATION, STORAGE_COMMITMENT))
# Palettes, hanging protocols, implant templates are objects without a patient (PS3.4 annex GG), stored like others.
STORED: Final = frozenset(
    str(context.abstract_syntax) for context in (*AllStoragePresentationContexts, *NonPatientObjectPresentationContexts)
)
# Every other name of a service. What is neither here nor known at all is taken for a storage SOP class.
OTHER_SERVICES: Final = (
    frozenset(str(uid) for uid in vars(sop_class).values() if isinstance(uid, UID)) - STORED - NOT_STORABLE
)
