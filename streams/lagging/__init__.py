"""Lag: what each consumer group has yet to read, how old it is, and when it will be done.

Flows in: ends of topics, committed offsets, and a look at the first records that wait. Flows out: figures, as values
and as metrics; no event. Touches: Kafka, by a few requests at a time; it commits nothing and joins no group.
"""
