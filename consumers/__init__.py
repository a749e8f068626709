"""The processors: each reads topics and writes topics, objects or tables; none knows another.

Flows in: events. Flows out: events, objects, rows. Touches: what each folder's own `__init__` says.
"""
