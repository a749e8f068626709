"""Conditions that no sentence of the standard says in a form that `sentences` reads, in our own words; for `distil`.

`BY_PLACE` is keyed by a module's or macro's key ("" is any), the sequence that an attribute stands in ("" is the top
level, "code" any code sequence), and its keyword. An entry replaces what was read; None is what cannot be computed.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.datadict import dictionary_VR, tag_for_keyword

from consumers.validate.iod.sentences import Condition


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no attribute of the standard")
    return tag


def has(keyword: str) -> Condition:
    return ["has", _tag(keyword)]


def lacks(*keywords: str) -> Condition:
    none: list[Condition] = [["lacks", _tag(keyword)] for keyword in keywords]
    return none[0] if len(none) == 1 else ["and", *none]


def one_of(keyword: str, *values: str, nth: int = 0) -> Condition:
    return ["in", _tag(keyword), nth, list(values), dictionary_VR(_tag(keyword))]


def both(*conditions: Condition) -> Condition:
    return ["and", *conditions]


def either(*conditions: Condition) -> Condition:
    return ["or", *conditions]


def of_class(*uids: str) -> Condition:
    return ["class", [f"1.2.840.10008.5.1.4.1.1.{uid}" for uid in uids]]


def unless(condition: Condition) -> Condition:
    return ["not", condition]


# Images whose IOD has no image plane: CR, US, SC, XA, RF, RT image, endoscopy, microscopy, photographs, of the eye.
_WITHOUT_PLANE = of_class(
    *("1", "3.1", "6.1", "7", "7.1", "7.2", "7.3", "7.4", "12.1", "12.2"),
    *(
        "77.1.1",
        "77.1.1.1",
        "77.1.2",
        "77.1.2.1",
        "77.1.3",
        "77.1.4",
        "77.1.4.1",
        "77.1.5.1",
        "77.1.5.2",
        "77.1.7",
        "481.1",
    ),
)
_CONVERTED = of_class("2.2", "4.4", "128.1")
_ACQUIRED = both(one_of("FrameType", "ORIGINAL", nth=1), unless(of_class("2.2", "4.4", "128.1", "77.1.6")))
# A view of what was taken out of the patient, in SNOMED CT and as it was coded before.
_SPECIMENS = ("119376003", "127457009", "G-8300", "G-8301")
_IN_SPACE = either(
    one_of("VolumetricProperties", "VOLUME", "SAMPLED"),
    both(of_class("66.4"), has("FrameOfReferenceUID")),
)


def inside(keyword: str, condition: Condition) -> Condition:
    return ["inside", _tag(keyword), condition]


def grouped(keyword: str) -> Condition:
    return ["grouped", _tag(keyword)]


def laterality(regions: Mapping[str, tuple[str, str, str, bool]]) -> Condition:
    """Where a body part is one of a pair; `regions` is PS3.16 annex L: term, scheme, code, meaning, whether paired."""
    paired = {term: code for term, (_, code, _, is_paired) in regions.items() if is_paired}
    return both(
        either(
            one_of("BodyPartExamined", *paired),
            inside("AnatomicRegionSequence", one_of("CodeValue", *paired.values())),
        ),
        lacks("ImageLaterality", "SharedFunctionalGroupsSequence", "MeasurementLaterality"),
    )


def over(keyword: str, number: int) -> Condition:
    return ["over", _tag(keyword), number, dictionary_VR(_tag(keyword))]


def points_to(keyword: str) -> Condition:
    return ["in", _tag("FrameIncrementPointer"), 0, [f"{_tag(keyword):08X}"], "AT"]


def _by_value_type() -> dict[tuple[str, str, str], Condition | None]:
    """PS3.3 table C.17.3-3: which attributes a content item has is a matter of its value type."""
    wanted = {
        "ConceptCodeSequence": ("CODE",),
        "ContinuityOfContent": ("CONTAINER",),
        "DateTime": ("DATETIME",),
        "Date": ("DATE",),
        "Time": ("TIME",),
        "PersonName": ("PNAME",),
        "UID": ("UIDREF",),
        "TextValue": ("TEXT",),
        "MeasuredValueSequence": ("NUM",),
        "TemporalRangeType": ("TCOORD",),
        "GraphicData": ("SCOORD", "SCOORD3D"),
        "GraphicType": ("SCOORD", "SCOORD3D"),
        "ReferencedFrameOfReferenceUID": ("SCOORD3D",),
        "ReferencedSOPSequence": ("IMAGE", "COMPOSITE", "WAVEFORM"),
        "TabulatedValuesSequence": ("TABLE",),
    }
    return {
        (module, parent, keyword): one_of("ValueType", *types)
        for module, parent in (("sr-document-content", ""), ("", "ContentSequence"))
        for keyword, types in wanted.items()
    }


_COLOR_PALETTE: Condition = ["class", ["1.2.840.10008.5.1.4.39.1"]]


def _palette(color: str) -> dict[tuple[str, str, str], Condition | None]:
    """PS3.3 section C.7.9: whole or segmented, where there is a descriptor."""
    whole, segmented = f"{color}PaletteColorLookupTableData", f"Segmented{color}PaletteColorLookupTableData"
    # In a colour palette, and where a state lays one over, it has to be there.
    described = either(has(f"{color}PaletteColorLookupTableDescriptor"), of_class("11.3", "11.4"), _COLOR_PALETTE)
    return {("", "", whole): both(described, lacks(segmented)), ("", "", segmented): None}


def without_sides(regions: Mapping[str, tuple[str, str, str, bool]]) -> Condition:
    """Where a body part is named of which there is one."""
    return one_of("BodyPartExamined", *(term for term, (*_, is_paired) in regions.items() if not is_paired))


BY_PLACE: dict[tuple[str, str, str], Condition | None] = {
    **_by_value_type(),
    ("sr-document-content", "", "ConceptNameCodeSequence"): has("ValueType"),
    ("sr-document-content", "ContentSequence", "ConceptNameCodeSequence"): one_of(
        "ValueType", "TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME"
    ),
    ("sr-document-content", "", "ReferencedTimeOffsets"): None,
    ("sr-document-content", "", "ReferencedDateTime"): None,
    ("sr-document-content", "", "ReferencedSamplePositions"): None,
    ("", "ContentSequence", "ReferencedTimeOffsets"): None,
    ("", "ContentSequence", "ReferencedDateTime"): None,
    ("", "ContentSequence", "ReferencedSamplePositions"): None,
    ("sr-document-content", "ContentSequence", "ValueType"): lacks("ReferencedContentItemIdentifier"),
    # A code has one of three forms (PS3.3 section 8.8).
    ("", "code", "CodeValue"): lacks("LongCodeValue", "URNCodeValue"),
    ("", "code", "CodingSchemeDesignator"): either(has("CodeValue"), has("LongCodeValue")),
    # Whether a scheme needs its version to be clear no program knows; an empty one says as much as none.
    ("", "code", "CodingSchemeVersion"): either(),
    ("", "code", "LongCodeValue"): None,
    ("", "code", "URNCodeValue"): None,
    # Pixels (PS3.3 section C.7.6.3)
    **_palette("Red"),
    **_palette("Green"),
    **_palette("Blue"),
    ("", "", "PixelData"): both(
        lacks("PixelDataProviderURL"),
        unless(both(of_class("30"), either(has("FloatPixelData"), has("DoubleFloatPixelData")))),
    ),
    ("image-pixel", "", "PlanarConfiguration"): either(over("SamplesPerPixel", 1), of_class("7.4")),
    ("general-equipment", "", "PixelPaddingValue"): both(has("PixelPaddingRangeLimit"), has("PixelData")),
    # Where a patient lies, and which way (PS3.3 sections C.7.3.1 and C.7.6.1)
    ("general-series", "", "PatientPosition"): both(
        lacks("PatientOrientationCodeSequence"), of_class("2", "2.1", "4", "4.1", "4.2", "4.3")
    ),
    # A segmentation of other images needs no plane of its own (PS3.3 section A.51.5.1).
    ("general-image", "", "PatientOrientation"): either(
        _WITHOUT_PLANE,
        both(of_class("66.4"), grouped("DerivationImageSequence"), unless(grouped("PlanePositionSequence"))),
    ),
    ("dx-image", "", "PatientOrientation"): unless(inside("ViewCodeSequence", one_of("CodeValue", *_SPECIMENS))),
    ("mr-image", "", "TriggerTime"): one_of("ScanOptions", "CG", "PPG"),
    ("mr-image", "", "RepetitionTime"): either(
        one_of("SequenceVariant", "SK"), unless(one_of("ScanningSequence", "EP"))
    ),
    ("mr-image", "", "InversionTime"): one_of("ScanningSequence", "IR"),
    ("us-image", "", "FrameIncrementPointer"): has("NumberOfFrames"),
    ("us-image", "", "AcquisitionDateTime"): one_of("Modality", "IVUS"),
    ("xa-positioner", "", "PositionerMotion"): over("NumberOfFrames", 1),
    ("ophthalmic-photography-image", "", "SourceImageSequence"): one_of("ImageType", "DERIVED", nth=1),
    ("enhanced-xa-xrf-image", "", "PlaneIdentification"): unless(one_of("PlanesInAcquisition", "UNDEFINED")),
    ("encapsulated-document", "", "HL7InstanceIdentifier"): of_class("104.2"),
    ("presentation-state-shutter", "", "ShutterPresentationValue"): has("ShutterShape"),
    ("lensometry-measurements", "", "UnspecifiedLateralityLensSequence"): lacks(
        "RightLensSequence", "LeftLensSequence"
    ),
    # Which attribute, or element, the frames are counted along (PS3.3 sections C.7.6.5, C.7.6.6 and C.8.8.3)
    ("cine", "", "FrameTime"): points_to("FrameTime"),
    ("cine", "", "FrameTimeVector"): points_to("FrameTimeVector"),
    ("rt-dose", "", "GridFrameOffsetVector"): points_to("GridFrameOffsetVector"),
    # One of two is enough, and the first is said to be missing.
    ("voi-lut", "", "VOILUTSequence"): None,
    ("modality-lut", "", "ModalityLUTSequence"): None,
    ("modality-lut", "", "RescaleSlope"): has("RescaleIntercept"),
    ("modality-lut", "", "RescaleType"): has("RescaleIntercept"),
    # Since beams can have a definition of another kind.
    ("rt-beams", "BeamSequence", "BeamLimitingDeviceSequence"): unless(
        one_of("EnhancedRTBeamLimitingDeviceDefinitionFlag", "YES")
    ),
    ("", "ChannelDefinitionSequence", "ChannelTimeSkew"): lacks("ChannelSampleSkew"),
    ("", "ChannelDefinitionSequence", "ChannelSampleSkew"): None,
    ("displayed-area", "DisplayedAreaSelectionSequence", "PresentationPixelSpacing"): one_of(
        "PresentationSizeMode", "TRUE SIZE"
    ),
    # Slides (PS3.3 section C.8.12)
    ("whole-slide-microscopy-image", "", "ImagedVolumeWidth"): one_of("ImageType", "VOLUME", nth=3),
    ("whole-slide-microscopy-image", "", "ImagedVolumeHeight"): one_of("ImageType", "VOLUME", nth=3),
    ("whole-slide-microscopy-image", "", "ImagedVolumeDepth"): one_of("ImageType", "VOLUME", nth=3),
    ("", "OpticalPathSequence", "IlluminationWaveLength"): lacks("IlluminationColorCodeSequence"),
    # Which instances an image stands on is said in its functional groups.
    ("", "", "SourceImageEvidenceSequence"): grouped("SourceImageSequence"),
    ("", "", "ReferencedImageEvidenceSequence"): grouped("ReferencedImageSequence"),
    ("microscope-slide-layer-tile-organization", "", "ImageOrientationSlide"): either(
        of_class("77.1.6"), grouped("PlanePositionSlideSequence")
    ),
    ("microscope-slide-layer-tile-organization", "", "TotalPixelMatrixFocalPlanes"): one_of(
        "DimensionOrganizationType", "TILED_FULL"
    ),
    # Functional groups (PS3.3 section C.7.6.16.2)
    ("", "PixelMeasuresSequence", "PixelSpacing"): _IN_SPACE,
    ("", "PixelMeasuresSequence", "SliceThickness"): _IN_SPACE,
    ("", "PlanePositionSequence", "ImagePositionPatient"): _IN_SPACE,
    ("", "PlaneOrientationSequence", "ImageOrientationPatient"): _IN_SPACE,
    ("", "FrameContentSequence", "DimensionIndexValues"): has("DimensionIndexSequence"),
    ("", "FrameContentSequence", "FrameAcquisitionDateTime"): _ACQUIRED,
    ("", "FrameContentSequence", "FrameReferenceDateTime"): _ACQUIRED,
    ("", "FrameContentSequence", "FrameAcquisitionDuration"): _ACQUIRED,
    ("derivation-image", "DerivationImageSequence", "DerivationCodeSequence"): unless(_CONVERTED),
    ("derivation-image", "SourceImageSequence", "PurposeOfReferenceCodeSequence"): unless(_CONVERTED),
    ("referenced-image", "ReferencedImageSequence", "PurposeOfReferenceCodeSequence"): unless(_CONVERTED),
    # Frames that tile a whole need no group each (PS3.3 section C.7.6.16).
    ("", "", "PerFrameFunctionalGroupsSequence"): unless(one_of("DimensionOrganizationType", "TILED_FULL")),
}
# Where an attribute must not be: what is not "present otherwise", where a program can tell.
FORBIDDEN: dict[tuple[str, str, str], Condition] = {
    ("image-pixel", "", "PlanarConfiguration"): one_of("SamplesPerPixel", "1"),
    ("modality-lut", "", "RescaleIntercept"): has("ModalityLUTSequence"),
    ("image-pixel", "", "PixelData"): either(has("FloatPixelData"), has("DoubleFloatPixelData")),
    ("mr-image", "", "InversionTime"): both(has("ScanningSequence"), unless(one_of("ScanningSequence", "IR"))),
    ("", "FrameContentSequence", "DimensionIndexValues"): lacks("DimensionIndexSequence"),
}
# When a module of usage C is there, by IOD; and a functional group macro. None is what cannot be computed.
_GRID = either(
    *map(has, ("PixelData", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit")),
    *map(has, ("PixelSpacing", "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient")),
)
MODULES = {
    **{("rt-dose", module): _GRID for module in ("general-image", "image-plane", "image-pixel")},
    # Its other maps have real numbers.
    ("parametric-map", "image-pixel"): has("PixelData"),
    # What was treated in the session, where it was not made good by hand after it.
    ("rt-beams-treatment-record", "rt-beams-session-record"): lacks("ReferencedFractionGroupNumber"),
    ("rt-ion-beams-treatment-record", "rt-ion-beams-session-record"): lacks("ReferencedFractionGroupNumber"),
}
_SLIDE = has("TotalPixelMatrixColumns")
_TILED_FULL = one_of("DimensionOrganizationType", "TILED_FULL")
_DERIVED_ELSEWHERE = lacks("DerivationImageSequence")
MACROS: dict[tuple[str, str], Condition | None] = {
    ("segmentation", "PixelMeasuresSequence"): _DERIVED_ELSEWHERE,
    ("segmentation", "PlanePositionSequence"): both(_DERIVED_ELSEWHERE, unless(_SLIDE)),
    ("segmentation", "PlaneOrientationSequence"): both(_DERIVED_ELSEWHERE, unless(_SLIDE)),
    ("segmentation", "PlanePositionSlideSequence"): both(_DERIVED_ELSEWHERE, _SLIDE),
    ("parametric-map", "PlanePositionSequence"): unless(_SLIDE),
    ("parametric-map", "PlaneOrientationSequence"): unless(_SLIDE),
    ("parametric-map", "PlanePositionSlideSequence"): _SLIDE,
    ("vl-whole-slide-microscopy-image", "PlanePositionSlideSequence"): unless(_TILED_FULL),
    ("vl-whole-slide-microscopy-image", "OpticalPathIdentificationSequence"): unless(_TILED_FULL),
    # Later than the tables they may be left out; what all frames share may be nothing.
    **{
        (f"legacy-converted-enhanced-{kind}-image", "UnassignedSharedConvertedAttributesSequence"): None
        for kind in ("ct", "mr", "pet")
    },
    ("parametric-map", "FrameAnatomySequence"): None,
    ("parametric-map", "FrameVOILUTSequence"): None,
    ("enhanced-ct-image", "CTReconstructionSequence"): both(
        one_of("ImageType", "ORIGINAL", "MIXED", nth=1), unless(one_of("AcquisitionType", "CONSTANT_ANGLE"))
    ),
}
# Of an IOD that the tables of 2020 have no functional groups for, the one that it shares them with.
AS_IN = {"enhanced-mr-color-image": "enhanced-mr-image"}
# A module's signs, where not every attribute that it alone has is one: others stray into objects without the module.
SIGNS = {
    "multi-frame": ("NumberOfFrames",),
    "contrast-bolus": ("ContrastBolusAgent", "ContrastBolusAgentSequence"),
    # The codes of a patient's orientation alone are left over in converted images.
    "enhanced-patient-orientation": ("PatientEquipmentRelationshipCodeSequence",),
    **dict.fromkeys(
        (
            f"multi-frame-{kind}-secondary-capture-image-multi-frame-functional-groups"
            for kind in ("grayscale-byte", "grayscale-word", "true-color")
        ),
        ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    ),
    # Its condition says when; slices of other images have the same attributes.
    "nm-reconstruction": (),
    "x-ray-detector": (),
    "x-ray-image-intensifier": (),
    # What any X-ray system says of its detector, collimator and table: what the module has to have is the sign.
    "dx-detector": ("DetectorType",),
    "x-ray-collimator": ("CollimatorShape",),
    "x-ray-table": ("TableMotion",),
    "x-ray-tomography-acquisition": ("TomoLayerHeight",),
    "rt-treatment-summary-record": ("CurrentTreatmentStatus",),
    "dx-positioning": (
        *("ProjectionEponymousNameCodeSequence", "PatientPosition", "ViewPosition", "ViewCodeSequence"),
        *("ViewModifierCodeSequence", "PatientOrientationCodeSequence", "EstimatedRadiographicMagnificationFactor"),
        *("PositionerType", "DetectorPrimaryAngle", "DetectorSecondaryAngle", "ColumnAngulation", "TableAngle"),
    ),
}
# Of a module without such a list, the attributes that stray: what came into it later, or means something alone.
STRAYS = {
    "acquisition-context": ("AcquisitionContextDescription",),
    "bitmap-display-shutter": ("ShutterOverlayGroup",),
    "clinical-trial-series": ("IssuerOfClinicalTrialSeriesID",),
    "clinical-trial-study": (
        *(
            "LongitudinalTemporalOffsetFromEvent",
            "LongitudinalTemporalEventType",
            "ClinicalTrialTimePointTypeCodeSequence",
        ),
        "IssuerOfClinicalTrialTimePointID",
    ),
    "clinical-trial-subject": (
        *("IssuerOfClinicalTrialProtocolID", "OtherClinicalTrialProtocolIDsSequence", "IssuerOfClinicalTrialSiteID"),
        *("IssuerOfClinicalTrialSubjectID", "IssuerOfClinicalTrialSubjectReadingID"),
    ),
    "display-shutter": ("ShutterPresentationValue", "ShutterPresentationColorCIELabValue"),
    "general-equipment": (
        *("InstitutionalDepartmentTypeCodeSequence", "DeviceUID", "UDISequence", "ManufacturerDeviceClassUID"),
        *("DateOfManufacture", "DateOfInstallation"),
    ),
    "multi-frame-dimension": ("DimensionOrganizationType",),
    "palette-color-lookup-table": ("PaletteColorLookupTableUID",),
    "synchronization": ("NTPSourceAddress",),
}
_SECONDARY = (
    "secondary-capture-image",
    *(
        f"multi-frame-{kind}-secondary-capture-image"
        for kind in ("single-bit", "grayscale-byte", "grayscale-word", "true-color")
    ),
)
# By IOD and module, what is asked for where its condition holds alone. Secondary captures take what they like out of
# the images that they show.
WITHOUT_SIGNS = {
    *((secondary, module) for secondary in _SECONDARY for module in ("image-plane", "frame-of-reference")),
    ("secondary-capture-image", "synchronization"),
    ("rt-dose", "general-image"),
    ("rt-dose", "image-plane"),
    ("rt-dose", "image-pixel"),
    ("parametric-map", "image-pixel"),
}
# What the standard leaves to the maker and dciodvfy asks for: said, as no fault (docs/decisions/0075).
ASKED_BY_OTHERS = {("rt-structure-set", "frame-of-reference"), ("segmentation", "frame-of-reference")}
# And attributes: a structure set may be without any structure.
SEQUENCES_OF_OTHERS = {
    "rt-structure-set": ("StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence"),
}
# What a module has another type for than the general modules, and says that its own holds; by IOD.
OVERRULED = {
    **dict.fromkeys(_SECONDARY, ("Modality",)),
    **dict.fromkeys(_SECONDARY[1:], ("Modality", "FrameIncrementPointer")),
}
