"""The parts of the stack: how each is prepared, started, asked for its health and set up.

Flows in: the home, its ports and secrets, the tools. Flows out: processes to launch, topics, schemas, buckets and
tables. Touches: the part's own folder below `data`, and its own port.
"""
