"""One finding for one fault: several subjects look at the same attributes, each with its own question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.events import Finding

# At one place, the rules in front say what those behind them say: that an attribute is not there or empty, with the
# module that wants it; and that a value cannot be, with what comes of it.
_LACKS = frozenset(
    {"type_1_missing", "type_1_empty", "type_1c_missing", "type_1c_empty", "type_2_missing", "type_2c_missing"}
)
_CANNOT_BE = frozenset(
    {
        *("bits_allocated", "bits_stored", "high_bit", "pixel_header", "pixel_representation", "planar_configuration"),
        *("palette_descriptor", "palette_length", "charset_unknown", "charset_combination"),
    }
)
_SPEAKS_FOR: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (
        _LACKS,
        frozenset(
            {
                *("sop_class_missing", "pixel_header", "pixel_data_missing", "bits_stored", "high_bit"),
                *("pixel_representation", "planar_configuration", "palette_missing"),
            }
        ),
    ),
    (_CANNOT_BE, frozenset({"enumerated_value", "code_string", "integer_string", "vm", "value_length"})),
    (frozenset({"code_string"}), frozenset({"enumerated_value"})),
)


def said_once(found: Iterable[Finding]) -> Iterator[Finding]:
    """Without findings that another at the same place speaks for; the order stays."""
    findings = list(found)
    silent = {one for front, behind in _SPEAKS_FOR for one in _spoken_for(findings, front, behind)}
    return (one for place, one in enumerate(findings) if place not in silent)


def _spoken_for(findings: list[Finding], front: frozenset[str], behind: frozenset[str]) -> Iterator[int]:
    places = {one.tag for one in findings if one.rule in front and one.tag is not None}
    if places:
        yield from (place for place, one in enumerate(findings) if one.rule in behind and one.tag in places)
