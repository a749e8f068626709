"""A structured report of a result: TID 1500, unverified and preliminary (PS3.16 TID 1500, PS3.3 section A.35.13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as Concept

from consumers.ai.describing.origin import MANUFACTURER, SERIAL_NUMBER, Origin, concept, stamp
from streams.events import Measurement, ResultFinding

SERIES_NUMBER = 9001
_PROCEDURE = Concept("363679005", "SCT", "Imaging procedure")
_FINDING, _NEGATIVE = Concept("121071", "DCM", "Finding"), Concept("260385009", "SCT", "Negative")
_CERTAINTY = Concept("111012", "DCM", "Certainty of Finding")
_PERCENT = Concept("%", "UCUM", "Percent")


@dataclass(frozen=True)
class Shown:
    """The segmentation that shows the findings: by finding id, the number of its segment."""

    segmentation: Dataset
    segments: Mapping[str, int]


Group = sr.MeasurementsAndQualitativeEvaluations | sr.VolumetricROIMeasurementsAndQualitativeEvaluations


def report(origin: Origin, findings: Sequence[ResultFinding], shown: Shown | None, sop_instance_uid: str) -> Dataset:
    """`shown` is None where there is no segmentation.

    It has no image library (TID 1600): highdicom takes 8 s to write one of 200 images, and the evidence names them too.
    """
    groups = [_group(origin, finding, shown) for finding in findings] or [_nothing(origin)]
    content = sr.MeasurementReport(
        observation_context=_observed_by(origin),
        procedure_reported=_PROCEDURE,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    made = sr.Comprehensive3DSR(
        evidence=[*origin.headers, *([shown.segmentation] if shown else [])],
        content=content,
        series_instance_uid=origin.uid("sr series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=sop_instance_uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=origin.series_description,
    )
    stamp(made, origin.made_at)
    return made


def _observed_by(origin: Origin) -> sr.ObservationContext:
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=origin.uid("device"),
        name=origin.model.name,
        manufacturer_name=MANUFACTURER,
        model_name=f"{origin.model.name} {origin.model.version}",
        serial_number=SERIAL_NUMBER,
    )
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        )
    )


def _group(origin: Origin, finding: ResultFinding, shown: Shown | None) -> Group:
    if shown is not None and finding.finding_id in shown.segments:
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracked(origin, finding.finding_id),
            referenced_segment=_segment(origin, shown, finding.finding_id),
            finding_type=concept(finding.code),
            finding_sites=_sites(finding),
            algorithm_id=_algorithm(origin),
            measurements=_measurements(finding),
        )
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracked(origin, finding.finding_id),
        finding_type=concept(finding.code),
        finding_sites=_sites(finding),
        algorithm_id=_algorithm(origin),
        measurements=_measurements(finding),
        source_images=_images(origin, finding),
    )


def _nothing(origin: Origin) -> Group:
    """Found nothing, and says so: an empty report would say nothing."""
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracked(origin, "no finding"),
        algorithm_id=_algorithm(origin),
        qualitative_evaluations=[sr.QualitativeEvaluation(name=_FINDING, value=_NEGATIVE)],
    )


def _tracked(origin: Origin, what: str) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(uid=origin.uid(what), identifier=what)


def _algorithm(origin: Origin) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(name=origin.model.name, version=origin.model.version)


def _sites(finding: ResultFinding) -> list[sr.FindingSite]:
    return [sr.FindingSite(anatomic_location=concept(finding.location))] if finding.location else []


def _measurements(finding: ResultFinding) -> list[sr.Measurement]:
    found = [_measurement(one) for one in finding.measurements]
    if finding.confidence is not None:
        found.append(sr.Measurement(name=_CERTAINTY, value=round(100 * finding.confidence, 2), unit=_PERCENT))
    return found


def _measurement(one: Measurement) -> sr.Measurement:
    # A DS holds 16 characters (PS3.5 section 6.2).
    return sr.Measurement(name=concept(one.code), value=float(f"{one.value:.8g}"), unit=concept(one.unit))


def _images(origin: Origin, finding: ResultFinding) -> list[sr.SourceImageForMeasurementGroup]:
    """The images that show it. What is nowhere in particular is of all that the evidence lists."""
    images = {image.sop_instance_uid for image in finding.geometry.images} if finding.geometry else set()
    return [
        sr.SourceImageForMeasurementGroup(str(header.SOPClassUID), str(header.SOPInstanceUID))
        for header in origin.headers
        if header.SOPInstanceUID in images
    ]


def _segment(origin: Origin, shown: Shown, finding_id: str) -> sr.ReferencedSegment:
    return sr.ReferencedSegment(
        sop_class_uid=str(shown.segmentation.SOPClassUID),
        sop_instance_uid=str(shown.segmentation.SOPInstanceUID),
        segment_number=shown.segments[finding_id],
        source_series=sr.SourceSeriesForSegmentation(str(origin.headers[0].SeriesInstanceUID)),
    )
