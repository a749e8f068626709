"""In which media types models of data sets are had, those of searches as of metadata (PS3.18 8.7.3, 10.6.4)."""

from __future__ import annotations

from typing import Final

from gateway.dicomweb.accepting import Offer
from streams.xml_model import XML

JSON: Final = "application/dicom+json"
# What generic clients ask for has the same payload; of XML there is a part for each data set.
MODELS: Final = (
    Offer(JSON, is_default=True, parts=False),
    Offer("application/json", parts=False),
    Offer(XML, alone=False),
)
