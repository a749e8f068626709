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

# What /readyz says, by check: log, store, database, commit (the router cannot promise to keep an image), step, ...
CHECK_FAILING = Gauge("radstream_check_failing", "1 where what the service needs is away, else 0", ["check"])
# What /readyz warns of, by check: a person should look, and the service goes on: peers, tls, ends.
CHECK_WARNING = Gauge("radstream_check_warning", "1 where a person should look, else 0", ["check"])

# Records whose outcome is settled: done, quarantine, deadletter, parked, not_ours (another group's, in a shared topic).
RECORDS = Counter("radstream_records", "Records handled, by outcome", ["group", "topic", "outcome"])
# One call of the step, whatever the number of records in its batch.
STEP_SECONDS = Histogram("radstream_step_seconds", "Time of one call of the step", ["group"], buckets=_STEP_BUCKETS)
# Read and not yet committed; the runner's back pressure acts on it.
IN_FLIGHT = Gauge("radstream_in_flight", "Records read and not yet settled", ["group"])
# Partitions that are paused, by back pressure or because the world must wait.
PAUSED_PARTITIONS = Gauge("radstream_paused_partitions", "Partitions not read from at the moment", ["group"])
# Records that could not be understood. Past the limit the consumer stops.
DEAD_LETTERS = Counter("radstream_dead_letters", "Records put into imaging.deadletter.<group>", ["group"])
# Instances that are of another patient than their study. One is counted again with each later revision of it.
CONTRADICTING = Counter("radstream_contradicting_instances", "Instances held: not of their study's patient")
# Instances that came under a SOP Instance UID that an image of another study has: one of the two is shown.
SHARED_UIDS = Counter("radstream_shared_uids", "Instances received under a UID that another study has")
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

# Bytes beside originals, which are kept: `what` is lossless or pictures; source is of the originals with a lossless
# copy: source less lossless is what a release of them would save in each store, and not what is saved.
DERIVED_BYTES = Counter(
    "radstream_derived_bytes", "Bytes of lossless copies, pictures, enhanced images, and their sources", ["what"]
)

# Responses to C-STORE; `status` is four hexadecimal digits (PS3.4 annex B.2.3): 0000, A700, ...
CSTORE_RESPONSES = Counter("radstream_cstore_responses", "C-STORE responses sent", ["status"])
# Associations that are open now.
ASSOCIATIONS = Gauge("radstream_associations", "Open DICOM associations")
# `how` is released, rejected, aborted (by us), aborted_by_peer, closed (by the peer, without a word) or expired.
ASSOCIATIONS_ENDED = Counter("radstream_associations_ended", "Associations that ended, or never began", ["how"])
# Connections reset at once: there were too many, from all peers or from that one.
# With nothing read of them: there was no room, for all, for their address, or for strangers.
CONNECTIONS_REFUSED = Counter("radstream_connections_refused", "DICOM connections refused")
# `why` is called_ae, calling_ae, address, certificate, plain, exception_ended (all by the peers file), or limit.
ASSOCIATIONS_REFUSED = Counter("radstream_associations_refused", "Associations refused by rule or limit", ["why"])
# `result` is done, or why there was none: not_tls, no_certificate, certificate_expired, certificate_revoked,
# certificate_untrusted, parameters, refused_by_peer, broken, closed, expired, address.
TLS_HANDSHAKES = Counter("radstream_tls_handshakes", "TLS handshakes asked for", ["result"])
# Days until the first of its kind ends; `what` is certificate (ours), ca, crl, peer_certificate (of those that came
# since the start), exception (from TLS); `section` is where they are said: router.tls, orders.tls and so on for who
# comes in, dicom.tls for where we go. Less than 0 is over. A kind that there is none of is absent.
TRUST_DAYS_LEFT = Gauge("radstream_trust_days_left", "Days until the first of its kind ends", ["section", "what"])
# Files that services read again when they change: peers, senders (of orders), tls, dicom_tls (ours towards nodes).
# `result` is used, or refused (the former ones stay).
FILES_READ = Counter("radstream_files_read", "Times that files were read", ["what", "result"])

# Responses of STOW-RS, by HTTP status; and its instances, by the status that C-STORE would have given each.
STOW_RESPONSES = Counter("radstream_stow_responses", "STOW-RS responses sent", ["status"])
STOW_INSTANCES = Counter("radstream_stow_instances", "Parts of STOW-RS requests answered", ["status"])
# Connections closed at once: there were as many as are taken, in all or from their address.
STOW_CONNECTIONS_REFUSED = Counter("radstream_stow_connections_refused", "HTTP connections to STOW-RS refused")
# Files of the watched folder, by the same status: 0000 are in done, A700 are tried again, the others in failed.
WATCHED_FILES = Counter("radstream_watched_files", "Files of the watched folder read", ["status"])
# Files that are in it now, settled or not.
WATCHED_WAITING = Gauge("radstream_watched_waiting", "Files in the watched folder that are not settled")

# Instances acknowledged, by what that promises: replicated (store and log have it), or spool (this node's disk has it).
ACKNOWLEDGED = Counter("radstream_acknowledged", "Instances acknowledged", ["promise"])
# The router's spool: what waits to be committed, and the age of the oldest, 0 where nothing waits.
SPOOL_INSTANCES = Gauge("radstream_spool_instances", "Instances on the spool that are not committed")
SPOOL_BYTES = Gauge("radstream_spool_bytes", "Bytes of those instances")
SPOOL_OLDEST_SECONDS = Gauge("radstream_spool_oldest_seconds", "Time since the oldest of them was received")
# What the folder takes of its disk: of all processes, with what is committed and not deleted yet, and what is aside.
SPOOL_DISK_BYTES = Gauge("radstream_spool_disk_bytes", "Bytes in the folder of the spool")
SPOOL_BUDGET_BYTES = Gauge("radstream_spool_budget_bytes", "What the spool may take of its disk")
SPOOL_UNREADABLE = Gauge("radstream_spool_unreadable", "Segments of the spool that cannot be read: in no other figure")
SPOOL_ASIDE = Gauge("radstream_spool_aside", "Instances and damaged parts set aside, that a person must look at")
SPOOL_APPENDED = Counter("radstream_spool_appended", "Instances put on the spool")
SPOOL_DRAINED = Counter("radstream_spool_drained", "Instances of the spool that were committed")
SPOOL_SET_ASIDE = Counter("radstream_spool_set_aside", "Instances and damaged parts set aside")
SPOOL_REPEATED = Counter("radstream_spool_repeated", "Instances that came again while the same bytes were on the spool")

# Connections of senders of HL7 refused; `why` is address, plain (without TLS, and no exception), exception_ended,
# certificate, or limit.
HL7_CONNECTIONS_REFUSED = Counter("radstream_hl7_connections_refused", "Connections for HL7 refused", ["why"])
# Answers to HL7 messages; `code` is of HL7 table 0008: AA, AE, AR.
HL7_ANSWERS = Counter("radstream_hl7_answers", "Acknowledgements of HL7 messages sent", ["code"])
# Last responses to worklist queries, and responses about performed procedure steps; `status` as above.
WORKLIST_RESPONSES = Counter("radstream_worklist_responses", "Worklist queries answered", ["status"])
MPPS_RESPONSES = Counter("radstream_mpps_responses", "N-CREATE and N-SET responses sent", ["status"])
# Last responses to C-FIND, C-MOVE and C-GET of query and retrieve; `status` as above.
RETRIEVE_RESPONSES = Counter("radstream_retrieve_responses", "Queries and retrieves answered", ["service", "status"])
# Instances of C-MOVE and C-GET; `outcome` is done, warned or failed.
RETRIEVED = Counter("radstream_retrieved", "Instances sent, or not", ["service", "outcome"])
# HTTP requests of the gateway by room (`gateway.counting`), and the time to the head of each answer.
GATEWAY_ANSWERS = Counter("radstream_gateway_answers", "HTTP requests answered", ["room", "status"])
GATEWAY_SECONDS = Histogram(
    "radstream_gateway_seconds", "From a request to the head of its answer", ["room"], buckets=_STEP_BUCKETS
)
# What was sent to a DICOM node of the rules, or could not be; `outcome` is done, warned or failed.
FORWARDS = Counter("radstream_forwards", "Instances forwarded, or not", ["destination", "outcome"])
# What the RIS was told of performed steps; `outcome` is done, warned or failed.
MPPS_FORWARDS = Counter("radstream_mpps_forwards", "N-CREATE and N-SET forwarded to the RIS, or not", ["outcome"])
# N-ACTION requests for storage commitment, by the status that the router answered (PS3.7 section 10.1.4.1.10).
COMMITMENT_REQUESTS = Counter("radstream_commitment_requests", "Requests for storage commitment", ["status"])
# Instances of requests that were judged; `outcome` is committed, or the Failure Reason (PS3.3 section C.14.1.1).
COMMITMENT_INSTANCES = Counter("radstream_commitment_instances", "Instances judged for commitment", ["outcome"])
# Every N-EVENT-REPORT that was tried; `node` is '-' where no node has the requester's AE title. `outcome` is delivered,
# no_node, no_association, refused or lost; abandoned counts results that are tried no more.
COMMITMENT_REPORTS = Counter("radstream_commitment_reports", "Reports of storage commitment", ["node", "outcome"])

# Instances that validation has judged; `verdict` is accepted, accepted_with_findings or quarantined. `modality` is a
# word of the standard's kind, 'other' or '-'. An instance that is judged again (a retry, a replay) counts again.
VERDICTS = Counter("radstream_verdicts", "Instances judged", ["verdict", "modality"])
# Instances that a rule spoke of, and instances held, by the rule's name and the reason.
FINDINGS = Counter("radstream_findings", "Instances that a rule was broken in", ["rule", "modality"])
HELD = Counter("radstream_held", "Instances quarantined", ["reason", "modality"])
# Held instances that no person has decided on, as the catalog has them now; 0 for a reason that there was before.
QUARANTINE_OPEN = Gauge("radstream_quarantine_open", "Instances held that wait for a person", ["reason"])
# Helper processes that died over a frame, which costs that frame alone; `reason` is decoder_crashed or _too_slow.
SANDBOX_DEATHS = Counter("radstream_sandbox_deaths", "Decoders' helper processes that died", ["reason"])
# Rendered frames that were asked for, by where they were found: disk, redis, or rendered, which is a miss.
FRAMES = Counter("radstream_frames", "Rendered frames, by where they came from", ["source"])
# Each put of a frame into a tier of the cache: one that is nearer than where it was found, or all after a miss.
FRAME_REFILLS = Counter("radstream_frame_refills", "Frames put into a tier of the cache", ["tier"])
# An entry that is not whole is dropped and never shown: many of them are a disk or a Redis to look at.
FRAMES_DAMAGED = Counter("radstream_frames_damaged", "Entries of the frame cache that were not whole", ["tier"])

# One transaction of the catalog: rows and ledger.
CATALOG_BATCH_SECONDS = Histogram("radstream_catalog_batch_seconds", "Time of one catalog transaction")
# From the router's receipt to the committed catalog row of the same instance.
END_TO_END_SECONDS = Histogram(
    "radstream_end_to_end_seconds", "From receipt to catalog row", ["lane"], buckets=_WAY_BUCKETS
)

# Signed heads of the chains of studies. None for long while images come: see `radstream verify`.
CHAIN_HEADS = Counter("radstream_chain_heads", "Heads of the chains of studies that this member gave its signature")

# Decisions that were read back, whoever emitted them; `outcome` is counted, or stale for a later one of a number.
# For the step `revisions` these are study revisions.
DECISIONS = Counter("radstream_decisions", "Decisions read back", ["step", "outcome"])
# Entities (studies) with inputs that no decision covers yet.
ENTITIES_WAITING = Gauge("radstream_entities_waiting", "Entities whose next decision is not made yet", ["step"])

# How far a group is behind, asked of the log by the service `lag`. `lane` is '-' for topics without lanes. Equal to
# Kafka's own: the end of the log less the committed offset (or less the first record held, without a commit).
GROUP_LAG = Gauge("radstream_group_lag_records", "Records that wait for a group", ["group", "lane"])
# Seconds since the oldest waiting record was written. Absent where nothing waits. By modality it is the oldest of a
# bounded sample: the first records that wait in each partition.
GROUP_OLDEST_SECONDS = Gauge("radstream_group_oldest_seconds", "Age of the oldest waiting record", ["group", "lane"])
GROUP_OLDEST_OF_MODALITY_SECONDS = Gauge(
    "radstream_group_oldest_of_modality_seconds",
    "Age of the oldest waiting record of a modality, of those sampled",
    ["group", "lane", "modality"],
)
# Over the last minute or so: what was written for the group, what it committed, and lag / (out - in).
GROUP_IN_PER_SECOND = Gauge("radstream_group_in_records_per_second", "Records written for a group", ["group", "lane"])
GROUP_OUT_PER_SECOND = Gauge("radstream_group_out_records_per_second", "Records a group settled", ["group", "lane"])
GROUP_CATCH_UP_SECONDS = Gauge(
    "radstream_group_catch_up_seconds", "Time until nothing waits; +Inf where it does not get there", ["group", "lane"]
)
# When the log last answered the service `lag` (Unix time): the figures above are of that moment.
LAG_MEASURED_AT = Gauge("radstream_lag_measured_timestamp_seconds", "When lag was last measured")

# The last whole window of the service `windows`: a picture, not an account (docs/decisions/0021).
# `topic` is a logical topic; latency is from the instance's receipt to the record's timestamp.
WINDOW_RATE = Gauge(
    "radstream_window_records_per_second", "Records written, in the last whole window", ["topic", "lane", "modality"]
)
WINDOW_LATENCY_MEAN_SECONDS = Gauge(
    "radstream_window_latency_mean_seconds", "Mean time since receipt, in that window", ["topic", "lane", "modality"]
)
WINDOW_LATENCY_MAX_SECONDS = Gauge(
    "radstream_window_latency_max_seconds", "Longest time since receipt, in that window", ["topic", "lane", "modality"]
)
WINDOW_START = Gauge("radstream_window_start_timestamp_seconds", "Start of the last whole window (Unix time)")
WINDOW_LENGTH_SECONDS = Gauge("radstream_window_length_seconds", "Length of a window")

# Phases of moves that were decided (imaging.tier.moved); `target` is the store copied to.
TIER_MOVES = Counter("radstream_tier_moves", "Phases of moves, as they are decided", ["phase", "target"])
# Objects copied to a store; `result` is created or already_there.
TIER_COPIES = Counter("radstream_tier_copies", "Objects copied", ["target", "result"])
# Bytes of the copies created.
TIER_COPIED_BYTES = Counter("radstream_tier_copied_bytes", "Bytes of copies created", ["target"])
# Objects deleted from a store after enough copies were verified elsewhere.
TIER_RELEASED = Counter("radstream_tier_released", "Objects released from a store", ["source"])
# Studies left where they are, each time they are looked at; `why` is too_large, no_manifest, no_room or
# nothing_to_move.
TIER_LEFT = Counter("radstream_tier_left", "Studies that cannot be moved", ["why"])

# What models said of requests; `outcome` is analysed, not_analysed or out_of_scope. What stands already is not counted.
MODEL_RESULTS = Counter("radstream_model_results", "Results of models", ["deployment", "outcome"])
# Tries that failed; `code` is model_away, model_slow, out_of_memory, wrong_shape, model_failed or unplanned.
MODEL_FAILURES = Counter("radstream_model_failures", "Tries that failed", ["deployment", "code"])
# Time in the model alone, of requests that it analysed.
MODEL_SECONDS = Histogram(
    "radstream_model_seconds", "Time in the model for one request", ["deployment"], buckets=_STEP_BUCKETS
)
