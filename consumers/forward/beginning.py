"""Where a group begins that was never there: at the end of the log.

Rules are for what comes from now on. A destination that is added to a site of ten years would otherwise be sent ten
years of images, and each hold would be placed on all of them.
"""

from __future__ import annotations

import structlog

from schemas import load_topics
from streams.log import Fenced, Log, TopicPartition


def begin_now(log: Log, group: str) -> None:
    """Commits the end of every partition for a group that has committed nothing, before its first member joins.

    Once it has, it goes on from there, however long it was away. Raises LogAway, LogRefused.
    """
    counts = log.partitions_of(load_topics().read_by(group))
    names = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
    if any(offset is not None for offset in log.committed(group, names).values()):
        return
    try:
        log.place(group, {name: end for name, (_, end) in log.bounds(names).items()})
    except Fenced:
        return  # Another process was first, and has joined.
    structlog.get_logger().info("group_begins_now", group=group)
