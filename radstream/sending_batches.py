"""What fits into one association: as many presentation contexts as it can have."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from radstream.items import Item
from streams.store_scu import CONTEXTS_MAX


@dataclass
class Batch:
    """Objects whose presentation contexts fit into one association."""

    contexts: dict[tuple[str, str], None] = field(default_factory=dict)
    items: deque[Item] = field(default_factory=deque)


def batches(items: Iterable[Item]) -> Iterator[Batch]:
    """In the order of the items."""
    batch = Batch()
    for item in items:
        context = (item.sop_class, item.transfer_syntax)
        if context not in batch.contexts and len(batch.contexts) == CONTEXTS_MAX:
            yield batch
            batch = Batch()
        batch.contexts[context] = None
        batch.items.append(item)
    if batch.items:
        yield batch
