"""A made object as an instance like any other: its file, its name, and the event that says that it is there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from streams.events import Instance, InstanceReceived, Meta, ObjectRef, Provenance, Source, Technical
from streams.identity import original_key
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.step import NewObject
from streams.stored_file import stored_file

PROTOCOL = "ai"
STORE = "hot"


@dataclass(frozen=True)
class Made:
    """`new` is the object to create; its key has the digest of its bytes in it."""

    instance: Instance
    technical: Technical
    new: NewObject


def made(tenant: str, dataset: Dataset) -> Made:
    """The file of a data set of ours, in explicit VR little endian."""
    sop_class, sop_instance = str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)
    data = stored_file(sop_class, sop_instance, EXPLICIT_VR_LITTLE_ENDIAN, _encoded(dataset))
    digest = hashlib.sha256(data).hexdigest()
    study, series = str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID)
    key = original_key(tenant, study, series, sop_instance, digest)
    instance = Instance(
        study_uid=study,
        series_uid=series,
        sop_instance_uid=sop_instance,
        sop_class_uid=sop_class,
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        digest=digest,
    )
    return Made(instance, _technical(dataset), NewObject(tenant, STORE, key, data, digest))


def received(meta: Meta, provenance: Provenance, one: Made, ref: ObjectRef, result_event_id: str) -> InstanceReceived:
    """Says that the object is in the store. It has no protected blocks: the images of its study have them.

    The result that it came with stands where others name their association.
    """
    return InstanceReceived(
        meta=meta,
        provenance=provenance,
        instance=one.instance,
        object=ref,
        technical=one.technical,
        source=Source(protocol=PROTOCOL, calling_ae="", called_ae="", association=result_event_id),
    )


def _encoded(dataset: Dataset) -> bytes:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    body = Dataset({element.tag: element for element in dataset if element.tag.group > 2})
    body.set_original_encoding(False, True, dataset.original_character_set)
    write_dataset(out, body)
    return out.getvalue()


def _technical(dataset: Dataset) -> Technical:
    def number(keyword: str) -> int | None:
        value = dataset.get(keyword)
        return None if value is None else int(value)

    return Technical(
        modality=str(dataset.Modality),
        series_number=number("SeriesNumber"),
        instance_number=number("InstanceNumber"),
        rows=number("Rows"),
        columns=number("Columns"),
        frames=number("NumberOfFrames"),
        samples_per_pixel=number("SamplesPerPixel"),
        bits_allocated=number("BitsAllocated"),
        bits_stored=number("BitsStored"),
        pixel_representation=number("PixelRepresentation"),
        photometric=str(dataset.PhotometricInterpretation) if "PhotometricInterpretation" in dataset else None,
    )
