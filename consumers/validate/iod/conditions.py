"""Conditions that no sentence of the standard says in a form that `sentences` reads, in our own words; for `distil`.

`BY_PLACE` is keyed by a module's or macro's key ("" is any), the sequence that an attribute stands in ("" is the top
level, "code" any code sequence), and its keyword. An entry replaces what was read; None is what cannot be computed.
"""

from __future__ import annotations

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


# Images whose IOD has no image plane: CR, US, SC, XA, RF, endoscopy, microscopy, photographs.
_WITHOUT_PLANE = of_class(
    *("1", "3.1", "6.1", "7", "7.1", "7.2", "7.3", "7.4", "12.1", "12.2"),
    *("77.1.1", "77.1.1.1", "77.1.2", "77.1.2.1", "77.1.4", "77.1.4.1"),
)
_CONVERTED = of_class("2.2", "4.4", "128.1")
_ACQUIRED = both(one_of("FrameType", "ORIGINAL", nth=1), unless(of_class("2.2", "4.4", "128.1", "77.1.6")))
_IN_SPACE = either(
    one_of("VolumetricProperties", "VOLUME", "SAMPLED"),
    both(of_class("66.4"), has("FrameOfReferenceUID")),
)
# PS3.16 annex L marks these as paired.
_PAIRED = (
    *("ANKLE", "ARM", "AXILLA", "BREAST", "CALCANEUS", "CLAVICLE", "EAR", "ELBOW", "EYE", "FEMUR", "FINGER", "FOOT"),
    *(
        "FOREARM",
        "HAND",
        "HIP",
        "HUMERUS",
        "KNEE",
        "LEG",
        "PATELLA",
        "SCAPULA",
        "SHOULDER",
        "THIGH",
        "THUMB",
        "TOE",
        "WRIST",
    ),
)


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
        ("sr-document-content", parent, keyword): one_of("ValueType", *types)
        for parent in ("", "ContentSequence")
        for keyword, types in wanted.items()
    }


def _palette(color: str) -> dict[tuple[str, str, str], Condition | None]:
    """PS3.3 section C.7.9: whole or segmented, where there is a descriptor."""
    whole, segmented = f"{color}PaletteColorLookupTableData", f"Segmented{color}PaletteColorLookupTableData"
    described = has(f"{color}PaletteColorLookupTableDescriptor")
    return {("", "", whole): both(described, lacks(segmented)), ("", "", segmented): None}


BY_PLACE: dict[tuple[str, str, str], Condition | None] = {
    **_by_value_type(),
    ("sr-document-content", "", "ConceptNameCodeSequence"): has("ValueType"),
    ("sr-document-content", "ContentSequence", "ConceptNameCodeSequence"): one_of(
        "ValueType", "TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME"
    ),
    ("sr-document-content", "", "ReferencedTimeOffsets"): None,
    ("sr-document-content", "", "ReferencedDateTime"): None,
    ("sr-document-content", "", "ReferencedSamplePositions"): None,
    ("sr-document-content", "ContentSequence", "ReferencedTimeOffsets"): None,
    ("sr-document-content", "ContentSequence", "ReferencedDateTime"): None,
    ("sr-document-content", "ContentSequence", "ReferencedSamplePositions"): None,
    ("sr-document-content", "ContentSequence", "ValueType"): lacks("ReferencedContentItemIdentifier"),
    # A code has one of three forms (PS3.3 section 8.8).
    ("", "code", "CodeValue"): lacks("LongCodeValue", "URNCodeValue"),
    ("", "code", "CodingSchemeDesignator"): either(has("CodeValue"), has("LongCodeValue")),
    ("", "code", "LongCodeValue"): None,
    ("", "code", "URNCodeValue"): None,
    # Pixels (PS3.3 section C.7.6.3)
    **_palette("Red"),
    **_palette("Green"),
    **_palette("Blue"),
    ("", "", "PixelData"): lacks("PixelDataProviderURL", "FloatPixelData", "DoubleFloatPixelData"),
    # Where a patient lies, and which way (PS3.3 sections C.7.3.1 and C.7.6.1)
    ("general-series", "", "PatientPosition"): both(
        lacks("PatientOrientationCodeSequence"), of_class("2", "2.1", "4", "4.1", "4.2", "4.3")
    ),
    ("general-image", "", "PatientOrientation"): _WITHOUT_PLANE,
    ("general-series", "", "Laterality"): both(
        one_of("BodyPartExamined", *_PAIRED),
        lacks("ImageLaterality", "SharedFunctionalGroupsSequence", "MeasurementLaterality"),
    ),
    ("mr-image", "", "TriggerTime"): one_of("ScanOptions", "CG", "PPG"),
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
    # Which instances an image stands on is said in its functional groups; that is not looked for.
    ("enhanced-mr-image", "", "SourceImageEvidenceSequence"): None,
    ("enhanced-mr-image", "", "ReferencedImageEvidenceSequence"): None,
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
# When a module of usage C is there, by IOD; and a functional group macro. None is what cannot be computed.
MODULES = {
    ("rt-dose", "general-image"): has("PixelData"),
    ("rt-dose", "image-plane"): has("PixelData"),
    ("rt-dose", "image-pixel"): has("PixelData"),
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
    # Later than the tables they may be left out, and what was converted may never have had them.
    ("parametric-map", "FrameAnatomySequence"): None,
    ("parametric-map", "FrameVOILUTSequence"): None,
    **{
        (f"legacy-converted-enhanced-{kind}-image", keyword): None
        for kind in ("ct", "mr", "pet")
        for keyword in (
            "FrameVOILUTSequence",
            "UnassignedSharedConvertedAttributesSequence",
            "UnassignedPerFrameConvertedAttributesSequence",
        )
    },
}
# A module's signs, where not every attribute that it alone has is one: others stray into objects without the module.
SIGNS = {
    "multi-frame": ("NumberOfFrames",),
    "contrast-bolus": ("ContrastBolusAgent", "ContrastBolusAgentSequence"),
}
# What a module has another type for than the general modules, and says that its own holds.
OVERRULED = {"sc-equipment": ("Modality",)}
