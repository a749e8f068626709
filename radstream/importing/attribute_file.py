"""Attributes that a person writes down: a file of DICOM keywords and values, in TOML or JSON."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import format_number_as_ds

from radstream.errors import Failure

_BYTES_MAX: Final = 1 << 20
_DEPTH_MAX: Final = 8
# What the converter knows better: pixels, geometry, identities. Of these groups a person may say the rest.
_OWN_GROUPS: Final = frozenset({0x0002, 0x0004, 0x0006, 0x5200, 0x7FE0})
_MIXED: Final = {
    0x0020: frozenset({0x0010, 0x0011, 0x0012, 0x0020, 0x0060, 0x0062, 0x4000}),
    0x0028: frozenset({0x0030, 0x0301, 0x0302, 0x0A02, 0x0A04, 0x1050, 0x1051, 0x1055, 0x1056, 0x1054, 0x1090}),
}
_OWN: Final = frozenset({0x00080005, 0x00080016, 0x00080018})
_BY_OPTION: Final = {0x0020000D: "--study-uid", 0x0020000E: "--series-uid"}
_BINARY: Final = frozenset({"OB", "OW", "OD", "OF", "OL", "OV", "UN"})


def read(path: Path) -> Dataset:
    """Raises Failure, which names keywords and never values."""
    try:
        text = path.read_bytes()
        if len(text) > _BYTES_MAX:
            raise Failure(f"--attributes {path}: larger than 1 MB")
        said = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text.decode())
    except OSError as error:
        raise Failure(f"--attributes {path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise Failure(f"--attributes {path}: neither TOML nor, with a name in .json, JSON") from None
    if not isinstance(said, dict):
        raise Failure(f"--attributes {path}: not keywords with values, such as BodyPartExamined = 'HAND'")
    return _dataset(said, top=True, depth=0)


def element(keyword: str, value: Any, what: str) -> DataElement:
    """An element, its value as PS3.5 section 6.2 wants it; `what` names the option in the message. Raises Failure."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise Failure(f"{what}: DICOM has no attribute {keyword!r}; it is a keyword such as BodyPartExamined")
    vr = dictionary_VR(tag)
    try:
        return DataElement(tag, vr, _values(value, vr), validation_mode=RAISE)
    except (ValueError, TypeError, OverflowError):
        raise Failure(f"{what}: the value of {keyword} is not as {vr} is written (PS3.5 section 6.2)") from None


def _dataset(said: Mapping[str, Any], *, top: bool, depth: int) -> Dataset:
    if depth > _DEPTH_MAX:
        raise Failure(f"--attributes: sequences in sequences more than {_DEPTH_MAX} deep")
    made = Dataset()
    for keyword, value in said.items():
        tag = tag_for_keyword(keyword)
        if top and tag is not None:
            _check_own(tag, keyword)
        if tag is not None and dictionary_VR(tag) == "SQ":
            items = value if isinstance(value, list) else [value]
            if not all(isinstance(item, dict) for item in items):
                raise Failure(f"--attributes: {keyword} is a sequence: write tables, such as [[{keyword}]]")
            made.add(DataElement(tag, "SQ", Sequence(_dataset(item, top=False, depth=depth + 1) for item in items)))
        else:
            made.add(element(keyword, value, "--attributes"))
    return made


def _check_own(tag: int, keyword: str) -> None:
    """Raises Failure for what a person cannot say."""
    group, number = tag >> 16, tag & 0xFFFF
    if option := _BY_OPTION.get(tag):
        raise Failure(f"--attributes: say {keyword} by {option}")
    mixed = group in _MIXED and number not in _MIXED[group]
    if tag in _OWN or group in _OWN_GROUPS or mixed or dictionary_VR(tag) in _BINARY:
        raise Failure(f"--attributes: {keyword} comes from the file that is imported; leave it out")


def _values(value: Any, vr: str) -> Any:
    if isinstance(value, list):
        return [_values(one, vr) for one in value]
    if isinstance(value, bool | dict):
        raise TypeError
    if isinstance(value, datetime):
        return value.strftime({"DA": "%Y%m%d", "TM": "%H%M%S"}.get(vr, "%Y%m%d%H%M%S"))
    if isinstance(value, date):
        return value.strftime("%Y%m%d")
    if isinstance(value, time):
        return value.strftime("%H%M%S")
    if vr == "DS" and isinstance(value, int | float):
        return format_number_as_ds(float(value))
    if vr == "IS" and isinstance(value, int):
        return str(value)
    if isinstance(value, str) and vr in ("US", "SS", "UL", "SL", "FL", "FD", "SV", "UV"):
        raise TypeError
    return value
