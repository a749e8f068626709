"""Of several records about one thing, one fills the whole row: which, does not depend on the order they are read in."""

from __future__ import annotations

import pytest

from consumers.catalog.table import Table
from consumers.catalog.tables import INSTANCES, STUDY_TIERS, TIER_ITEMS
from consumers.catalog.tables_of_inference import INFERENCES


@pytest.mark.parametrize("table", [INFERENCES, INSTANCES, STUDY_TIERS, TIER_ITEMS], ids=lambda table: table.name)
def test_the_record_that_stands_fills_every_column(table: Table) -> None:
    kept = [name for name in table.columns if name not in table.key and f"{name} = excluded.{name}" not in table.rule]
    assert kept == []
