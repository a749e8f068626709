"""The runtime that every service stands on.

Flows in: records of the log. Flows out: records, objects in the store, commits. Touches: Kafka, the object store, the
packaged schemas. Knows nothing of producers, consumers or the catalog.
"""
