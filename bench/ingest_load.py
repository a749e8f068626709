"""What senders send, encoded once: the association's request, the C-STORE command and the data set."""

from __future__ import annotations

from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ComputedRadiographyImageStorage
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import AllStoragePresentationContexts, build_context

from bench.ingest_association import Load
from bench.ingest_cases import Case, Image
from bench.ingest_uids import instance_uid, series_uid, study_uid
from radstream.phantom import chest_ct
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.store_scu import command_set
from streams.stored_file import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

CALLED_AE, CALLING_AE = "BENCH", "RADBENCH"
# Four by four CT matrices make 2048 by 2048 pixels.
_TILES: Final = 4
_PDU_BYTES_MAX: Final = 1 << 17
_SEED: Final = 1
# Stand in the encoded bytes until a sender writes its own over them.
_STUDY, _SERIES, _INSTANCE = study_uid(0, 0, 0), series_uid(0, 0, 0), instance_uid(0, 0, 0)


def images() -> dict[Image, Dataset]:
    """One CT image of 0.5 MB and one CR image of 8 MB."""
    localiser, _, section = chest_ct(_SEED, (1, 1, 1))
    return {"ct": _named(section), "cr": _named(_radiograph(localiser))}


def load(case: Case, image: Dataset, called_ae: str, calling_ae: str = CALLING_AE) -> Load:
    """What every sender of the case needs."""
    sop_class = str(image.SOPClassUID)
    return Load(
        association=_association(sop_class, case.contexts, called_ae, calling_ae),
        command=command_set(sop_class, _INSTANCE.decode(), 1),
        data_set=encoded(image),
        study=_STUDY,
        series=_SERIES,
        instance=_INSTANCE,
    )


def encoded(image: Dataset) -> bytes:
    """The data set in Explicit VR Little Endian (PS3.5 section A.2)."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, image)
    return buffer.getvalue()


def _named(image: Dataset) -> Dataset:
    image.StudyInstanceUID = UID(_STUDY.decode())
    image.SeriesInstanceUID = UID(_SERIES.decode())
    image.SOPInstanceUID = UID(_INSTANCE.decode())
    return image


def _radiograph(image: Dataset) -> Dataset:
    """A localiser, tiled to the size of a CR image, with the attributes of that IOD (PS3.3 section A.2)."""
    pixels = np.frombuffer(image.PixelData, np.uint16).reshape(image.Rows, image.Columns)
    image.PixelData = np.tile(pixels, (_TILES, _TILES)).tobytes()
    image.Rows, image.Columns = _TILES * image.Rows, _TILES * image.Columns
    image.SOPClassUID = ComputedRadiographyImageStorage
    image.Modality = "CR"
    image.ViewPosition = "AP"
    image.PatientOrientation = ["L", "F"]
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    for keyword in ("RescaleIntercept", "RescaleSlope", "ConvolutionKernel", "FrameOfReferenceUID"):
        if keyword in image:
            delattr(image, keyword)
    return image


def _association(sop_class: str, contexts: int, called_ae: str, calling_ae: str) -> bytes:
    """A-ASSOCIATE-RQ (PS3.8 section 9.3.2). Context 1 is the one that is used; the rest make up the number."""
    request = A_ASSOCIATE()
    request.application_context_name = UID("1.2.840.10008.3.1.1.1")
    request.calling_ae_title, request.called_ae_title = calling_ae, called_ae
    longest, class_uid, version = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    longest.maximum_length_received = _PDU_BYTES_MAX
    class_uid.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    request.user_information = [longest, class_uid, version]
    others = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    proposed = [sop_class, *(uid for uid in others if uid != sop_class)][:contexts]
    definitions = [build_context(uid, EXPLICIT_VR_LITTLE_ENDIAN) for uid in proposed]
    for number, context in enumerate(definitions):
        context.context_id = 2 * number + 1
    request.presentation_context_definition_list = definitions
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return bytes(pdu.encode())
