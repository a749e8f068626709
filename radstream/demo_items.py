"""What the demo sends: the test files in pydicom's wheel, and a generated chest CT."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from radstream.errors import Failure
from radstream.items import Item, items_of
from radstream.phantom import Study, encoded

PHANTOM = Study(seed=1)


def demo_items() -> list[Item]:
    """Raises Failure where the test files are not there."""
    return [*items_of(pydicom_files()), *encoded(PHANTOM.seed, PHANTOM.slices, PHANTOM.matrix)]


def pydicom_files() -> list[Path]:
    """The DICOM files of the wheel, from its folder: pydicom's own function that lists them asks the network too."""
    spec = find_spec("pydicom")
    folder = Path(spec.origin or "").parent / "data" / "test_files" if spec else Path()
    files = sorted(file for file in folder.rglob("*") if file.is_file() and _is_dicom(file))
    if not files:
        raise Failure(f"{folder}: no test files of pydicom; install it anew from its wheel")
    return files


def _is_dicom(file: Path) -> bool:
    """A file header (PS3.10 section 7.1), or a data set without one that at least says so by its name."""
    with file.open("rb") as head:
        return head.read(132)[128:] == b"DICM" or file.suffix == ".dcm"
