"""Is an image fit to be looked at, and does what its header says of it fit together?

Everything here can be legal DICOM. A false finding is worse than a missed one, so limits are wide; the words are for a
technologist, who can repeat an image while the patient is there.

Flows in: a file that was walked through, and when it came. Flows out: names of broken rules. Touches: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from consumers.validate.quality import annotation, dates, exposure, geometry, preamble
from consumers.validate.rule import Broken, Rule
from streams.part10 import Part10

RULES: dict[str, Rule] = preamble.RULES | dates.RULES | geometry.RULES | annotation.RULES | exposure.RULES


def check(file: Part10, received_at: datetime) -> Iterator[Broken]:
    """Names of the rules that are broken. What is a future date is measured by when the file came, so that a replay
    says the same."""
    yield from preamble.check(file)
    yield from dates.check(file, received_at)
    yield from geometry.check(file)
    yield from annotation.check(file)
    yield from exposure.check(file)
