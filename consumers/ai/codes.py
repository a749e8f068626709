"""Coded concepts that our models speak of (PS3.16; PS3.3 section 8)."""

from __future__ import annotations

from streams.events import Code

NODULE = Code(scheme="SCT", value="27925004", meaning="Nodule")
LUNG = Code(scheme="SCT", value="39607008", meaning="Lung")
# Property categories of segments (PS3.16 CID 7150).
ABNORMAL_STRUCTURE = Code(scheme="SCT", value="49755003", meaning="Morphologically Abnormal Structure")
ANATOMY = Code(scheme="SCT", value="123037004", meaning="Anatomical Structure")

VOLUME = Code(scheme="SCT", value="118565006", meaning="Volume")
LONG_AXIS = Code(scheme="SCT", value="103339001", meaning="Long Axis")
# No coding scheme has these.
EMPHYSEMA = Code(scheme="99RADSTREAM", value="emphysema", meaning="Emphysema quantification")
LAA_950 = Code(scheme="99RADSTREAM", value="laa-950", meaning="Lung volume at or below -950 HU")

MM3 = Code(scheme="UCUM", value="mm3", meaning="cubic millimeter")
MM = Code(scheme="UCUM", value="mm", meaning="millimeter")
ML = Code(scheme="UCUM", value="ml", meaning="milliliter")
PERCENT = Code(scheme="UCUM", value="%", meaning="percent")
