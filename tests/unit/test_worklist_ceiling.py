"""What a data set may ask of pydicom has a ceiling, also where only pydicom's dictionary knows that it nests."""

from __future__ import annotations

from io import BytesIO

import pytest
from pynetdicom.dsutils import decode

from streams.dimse.ceiling import TRANSFER_SYNTAXES, TooMuch, check_depth
from tests.hostile_data_sets import nesting_of_defined_length
from tests.worklists import keys


def test_sequences_in_sequences_end_at_a_ceiling() -> None:
    check_depth(keys())
    with pytest.raises(TooMuch, match="more than 16 deep"):
        check_depth(decode(BytesIO(nesting_of_defined_length(4000)), True, True))


def test_nothing_is_inflated() -> None:
    assert "1.2.840.10008.1.2.1.99" not in TRANSFER_SYNTAXES
