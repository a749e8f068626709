"""A segmentation (PS3.3 section A.51): a bit for each voxel, a frame for each segment and slice that has any."""

from __future__ import annotations

import highdicom
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from consumers.ai.analysis import Segment
from consumers.ai.describing.origin import MANUFACTURER, SERIAL_NUMBER, Origin, concept, stamp
from consumers.ai.describing.segments import Segments

SERIES_NUMBER = 9002


def segmentation(origin: Origin, segment: Segment, segments: Segments, sop_instance_uid: str) -> Dataset:
    """`segments` has at least one: there is no segmentation of nothing."""
    made = highdicom.seg.Segmentation(
        source_images=list(origin.headers),
        pixel_array=segments.labels,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_described(origin, segment, number + 1) for number in range(segments.count)],
        series_instance_uid=origin.uid("seg series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=sop_instance_uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=origin.model.name,
        software_versions=origin.build,
        device_serial_number=SERIAL_NUMBER,
        content_label="SEGMENTATION",
        series_description=origin.series_description,
    )
    organization = origin.uid("dimensions")
    made.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for index in made.DimensionIndexSequence:
        index.DimensionOrganizationUID = organization
    stamp(made, origin.made_at)
    return made


def _described(origin: Origin, segment: Segment, number: int) -> SegmentDescription:
    label = f"{segment.label[:56]} {number}"
    return SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=concept(segment.category),
        segmented_property_type=concept(segment.kind),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=origin.model.name, version=origin.model.version, family=codes.cid7162.ArtificialIntelligence
        ),
        tracking_uid=origin.uid(f"segment {number}"),
        tracking_id=label,
    )
