"""One number for what the catalog says, equal for equal content, in whatever order it came to be.

Each row becomes a SHA-256 of the columns named here, and a table the sum of its rows' hashes: no order, no memory. A
rebuild, a disturbed run and another site with the same images have the same checksum. So these are left out:

- clocks (received_at, decided_at, derived_at, occurred_at, cataloged_at): they say when, not what;
- offsets, topic ids, provenance and the ledger: where a record stands depends on the run. Event ids stay in, which
  cover tenant, step, subject and generation;
- arrivals: duplicates, associations, AE titles and lanes are how an instance came, not what it is;
- what follows the site's keys or the store's mood: block ids and their keys, version ids, wrapped keys, and the names
  of orders, with the study UIDs and event ids made of them. What the blocks say is in, decrypted;
- which instance speaks for a study, a series, or a SOP Instance UID with two contents: that is who came first. Each
  block's words are in, so a wrong choice of words would still need the words;
- how many revisions a study took, and how many moves: that depends on pauses. The latest revision's instances are in,
  what is said of it, and where every copy is now;
- accesses' ids, which are drawn by chance. How often who read what is in;
- generations, but for the replays that were switched to: what a number stands for, the log says;
- clocks again, where inference has them in bytes: its objects have the time of their result in them, and a pause makes
  a result of its own. So two runs with models differ in these tables, and a rebuild of one does not;
- nodes and statuses of reports of storage commitment: how often a node was tried, and what it said, is its mood;
- what a header is checked by: a catalog from before it has none of earlier images, and one that is built anew has;
- audit: it records commands, and those differ from run to run.
"""

from __future__ import annotations

import hashlib

import msgspec

from consumers.catalog.database import Cursor

# By table, the columns whose content counts, one row each.
CONTENT = {
    "patients": "SELECT tenant, patient_key, issuer, patient_id, name, birth_date, sex FROM patients",
    "studies": "SELECT tenant, study_uid FROM studies",
    "series": "SELECT tenant, study_uid, series_uid FROM series",
    "blocks": "SELECT DISTINCT tenant, study_uid, series_uid, state, attributes FROM blocks",
    "instances": (
        "SELECT tenant, sop_instance_uid, digest, event_id, study_uid, series_uid, sop_class_uid, transfer_syntax_uid, "
        "size, modality, body_part, series_number, instance_number, rows, columns, frames, samples_per_pixel, "
        "bits_allocated, bits_stored, pixel_representation, photometric FROM instances"
    ),
    "copies": "SELECT tenant, digest, store, object_key, first_byte, length, size, sha256 FROM copies",
    "verdicts": (
        "SELECT event_id, tenant, digest, study_uid, verdict, step, generation, candidate, code, detail FROM verdicts"
    ),
    "findings": "SELECT event_id, ordinal, tenant, digest, rule, severity, tag, section, text FROM findings",
    "quarantine_commands": (
        "SELECT tenant, study_uid, digest, action, code, actor, why_state, why FROM quarantine_commands"
    ),
    "quarantine_decisions": "SELECT tenant, digest, action FROM quarantine_decisions",
    "derivations": (
        "SELECT event_id, tenant, digest, study_uid, generation, candidate, source_size, notes FROM derivations"
    ),
    "derivatives": (
        "SELECT event_id, ordinal, tenant, digest, kind, media_type, transfer_syntax_uid, rows, columns, store, "
        "object_key, first_byte, length, size, sha256, frames FROM derivatives"
    ),
    "generations": "SELECT tenant, step, number FROM generations WHERE phase = 'switched'",
    "study_revisions": "SELECT tenant, study_uid, instance_count, set_digest FROM current_revisions",
    "study_assessments": (
        "SELECT tenant, study_uid, set_digest, instance_count, read_count, held_count FROM current_assessments"
    ),
    "study_findings": (
        "SELECT tenant, study_uid, series_uid, rule, severity, tag, section, text, instance_count, instances "
        "FROM current_study_findings"
    ),
    "study_tiers": "SELECT tenant, study_uid, serving, objects, size FROM study_tiers",
    "current_copies": (
        "SELECT tenant, study_uid, series_uid, sop_instance_uid, digest, size, store, verified FROM current_copies"
    ),
    "hold_commands": "SELECT tenant, study_uid, hold_id, action, actor, why_state, why FROM hold_commands",
    "inferences": (
        "SELECT event_id, tenant, study_uid, series_uid, sop_instance_uid, subject, step, generation, candidate, "
        "outcome, code, detail, status, requires_review, model_name, model_version, model_digest, card_digest, "
        "backend, input_digest, input_count FROM inferences"
    ),
    "inference_findings": (
        "SELECT event_id, place, finding_id, tenant, study_uid, category, code, location, geometry, measurements, "
        "confidence, severity FROM inference_findings"
    ),
    "inference_objects": (
        "SELECT event_id, digest, kind, tenant, study_uid, series_uid, sop_instance_uid, sop_class_uid "
        "FROM inference_objects"
    ),
    "reviews": (
        "SELECT event_id, tenant, study_uid, result_event_id, finding_id, verdict, reviewer, note_state, note, "
        "findings FROM reviews"
    ),
    "forwards": (
        "SELECT event_id, tenant, study_uid, digest, action, target, outcome, rules, status, code, detail, "
        "sent_transfer_syntax_uid, sent_bytes FROM forwards"
    ),
    "commitment_requests": (
        "SELECT event_id, tenant, transaction_uid, calling_ae, called_ae, instances, refs FROM commitment_requests"
    ),
    "commitment_results": (
        "SELECT event_id, tenant, transaction_uid, request_event_id, copies, committed, failed, failures "
        "FROM commitment_results"
    ),
    "commitment_reports": (
        "SELECT event_id, tenant, transaction_uid, request_event_id, outcome FROM commitment_reports"
    ),
    "accesses": "SELECT tenant, study_uid, reader, sum(reads) AS reads FROM accesses GROUP BY 1, 2, 3",
    "import_decisions": (
        "SELECT tenant, study_uid, action, actor, why_state, why, block_state, patient_key, patient_id, "
        "patient_issuer, patient_name, birth_date, sex, accession_number, accession_issuer, procedure_id "
        "FROM import_decisions"
    ),
    "study_imports": (
        "SELECT tenant, study_uid, outside, original_patient_id, original_issuer, original_accession, reconciled, "
        "patient_id, patient_issuer, accession_number FROM study_imports WHERE is_import"
    ),
    "order_commands": (
        "SELECT tenant, action, actor, site, lane, priority, stated_uid_made, "
        "CASE WHEN stated_uid_made THEN NULL ELSE stated_uid END AS stated_uid, block_state, accession_number, "
        "accession_issuer, procedure_id, patient_id, patient_issuer, attributes FROM order_commands"
    ),
    "orders": "SELECT tenant, accession_number, accession_issuer, procedure_id, attributes, standing FROM orders",
    "scheduled_steps": (
        "SELECT place, tenant, modality, station_aes, start_date, start_time, block_state, step_id, attributes "
        "FROM scheduled_steps"
    ),
    "current_steps": "SELECT place, tenant, step_id, attributes, standing, mpps_uid, performed FROM current_steps",
    "mpps_events": (
        "SELECT event_id, tenant, mpps_uid, action, status, calling_ae, modality, study_uids, series, block_state, "
        "data_set FROM mpps_events"
    ),
    "performed_steps": "SELECT tenant, mpps_uid, event_id, status, block_state, data_set FROM performed_steps",
}

# The hash is cut to 128 bits and summed as two numbers: chance, not an adversary, is what it is to withstand.
_SUM = """
SELECT count(*), coalesce(sum(('x' || left(hash, 16))::bit(64)::bigint), 0)::text,
    coalesce(sum(('x' || right(hash, 16))::bit(64)::bigint), 0)::text
FROM (
    SELECT encode(substring(sha256(convert_to(content::text, 'UTF8')) FOR 16), 'hex') AS hash
    FROM ({content}) AS content
) AS hashed
"""


class TableSum(msgspec.Struct, frozen=True):
    rows: int
    sum: str


class Checksum(msgspec.Struct, frozen=True):
    """`total` (SHA-256, hex) covers every table; `tables` says which of them differ where it does."""

    total: str
    tables: dict[str, TableSum]

    def differing(self, other: Checksum) -> list[str]:
        return [name for name, found in self.tables.items() if other.tables.get(name) != found]


def checksum(cursor: Cursor) -> Checksum:
    """Of the schema that the cursor's connection looks at. Run it in one REPEATABLE READ transaction."""
    tables = {name: _table(cursor, content) for name, content in CONTENT.items()}
    total = hashlib.sha256(msgspec.json.encode(tables, order="deterministic")).hexdigest()
    return Checksum(total, tables)


def _table(cursor: Cursor, content: str) -> TableSum:
    found = cursor.execute(_SUM.format(content=content).encode()).fetchone()
    rows, *sums = found or (0, "0", "0")
    return TableSum(rows, hashlib.sha256("/".join(sums).encode()).hexdigest()[:32])
