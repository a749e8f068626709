"""Every metric, in one place. A label is a name out of a short list; never a UID, an AE title or a digest.

`group` is a consumer group (validate, derive, revisions, catalog), `topic` a physical topic, whose suffix is the lane.
CPU seconds, memory and open files of the process come from prometheus_client's own collectors.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

# A step takes from a millisecond (a header) to a minute (a multi-frame transcode).
_STEP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
# From C-STORE to catalog row: a tenth of a second when idle, hours behind a night of backfill.
_WAY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)

# Version of the code: always 1; the version is the label.
BUILD = Gauge("radstream_build_info", "Version of the code that runs", ["service", "version"])

# Records whose outcome is settled: done, quarantine, deadletter, parked, retried, duplicate.
RECORDS = Counter("radstream_records", "Records handled, by outcome", ["group", "topic", "outcome"])
# One call of the step, whatever the number of records in its batch.
STEP_SECONDS = Histogram("radstream_step_seconds", "Time of one call of the step", ["group"], buckets=_STEP_BUCKETS)
# Read and not yet committed; the runner's back pressure acts on it.
IN_FLIGHT = Gauge("radstream_in_flight", "Records read and not yet settled", ["group"])
# Partitions that are paused, by back pressure or because the world must wait.
PAUSED_PARTITIONS = Gauge("radstream_paused_partitions", "Partitions not read from at the moment", ["group"])
# Records that could not be understood. Past the limit the consumer stops.
DEAD_LETTERS = Counter("radstream_dead_letters", "Records put into imaging.deadletter.<group>", ["group"])
# Subjects put aside into the group's retry topic, since the start.
PARKED = Counter("radstream_parked", "Records put into imaging.retry.<group>", ["group"])
# Subjects that wait in this process for their next try.
PARKED_WAITING = Gauge("radstream_parked_waiting", "Parked records that wait for their next try", ["group"])
# Records behind the end of the log, as this member sees it.
LAG = Gauge("radstream_lag_records", "Records between the position and the end", ["group", "topic", "partition"])

# Records that Kafka did not acknowledge; `reason` is away or refused.
PRODUCE_FAILURES = Counter("radstream_produce_failures", "Records not acknowledged", ["topic", "reason"])
# Objects asked to be created; `result` is created or already_there.
OBJECTS = Counter("radstream_objects", "Objects put", ["store", "result"])
# Bytes of the objects created.
OBJECT_BYTES = Counter("radstream_object_bytes", "Bytes of objects created", ["store"])

# Responses to C-STORE; `status` is four hexadecimal digits (PS3.4 annex B.2.3): 0000, A700, ...
CSTORE_RESPONSES = Counter("radstream_cstore_responses", "C-STORE responses sent", ["status"])
# Associations that are open now.
ASSOCIATIONS = Gauge("radstream_associations", "Open DICOM associations")

# One transaction of the catalog: rows and ledger.
CATALOG_BATCH_SECONDS = Histogram("radstream_catalog_batch_seconds", "Time of one catalog transaction")
# From the router's receipt to the committed catalog row of the same instance.
END_TO_END_SECONDS = Histogram(
    "radstream_end_to_end_seconds", "From receipt to catalog row", ["lane"], buckets=_WAY_BUCKETS
)

# Decisions that were read back, whoever emitted them; `outcome` is counted, or stale for a later one of a number.
# For the step `revisions` these are study revisions.
DECISIONS = Counter("radstream_decisions", "Decisions read back", ["step", "outcome"])
# Entities (studies) with inputs that no decision covers yet.
ENTITIES_WAITING = Gauge("radstream_entities_waiting", "Entities whose next decision is not made yet", ["step"])
