"""Does the image say that text is burned into its pixels? (PS3.3 section C.7.6.1)

Whoever takes names out of headers has to know. That it says nothing is no finding: the attribute is optional, and left
out by nearly every ultrasound scanner and secondary capture there is, so a finding on each would tell nobody anything.
"""

from __future__ import annotations

from collections.abc import Iterator

from consumers.validate.rule import Broken, Rule
from streams.part10 import Part10

BURNED_IN = 0x00280301

RULES = {
    "burned_in": Rule(
        "info",
        "PS3.3 C.7.6.1",
        "The image says that text is burned into its pixels; it may name the patient.",
        "0028,0301",
    ),
}


def check(file: Part10) -> Iterator[Broken]:
    if file.pixel_data is not None and file.text(BURNED_IN) == "YES":
        yield "burned_in", None
