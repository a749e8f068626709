"""Is the file something else as well? (PS3.10 section 7.1, where an application may use the preamble as it likes)

A preamble that begins like a program makes one file both an image and what a desktop would run. The router never keeps
a preamble; what it took away it says in its event, and then the file that the sender has is such a one. Of stored bytes
this can be true only where the store was written to past the router; a file on a disc may be so.
"""

from __future__ import annotations

from collections.abc import Iterator

from consumers.validate.rule import Broken, Rule
from streams.part10 import Part10
from streams.preamble import PREAMBLE_BYTES, is_program

RULES = {
    "preamble_program": Rule(
        "error",
        "PS3.10 7.1",
        "The file begins like a program, an archive or a page: do not open it with anything but a DICOM viewer.",
    ),
}


def check(file: Part10) -> Iterator[Broken]:
    """Of a deflated file only the data set is at hand."""
    if file.start > PREAMBLE_BYTES and is_program(file.data[:PREAMBLE_BYTES]):
        yield "preamble_program", None
