-- What is current, and what may be shown.

-- Of several generations of a step the highest; should one generation say both, held wins.
CREATE VIEW current_verdicts AS
SELECT v.* FROM verdicts v
WHERE NOT EXISTS (
    SELECT FROM verdicts other
    WHERE other.tenant = v.tenant AND other.digest = v.digest AND other.step = v.step
        AND (other.generation, other.verdict, other.event_id) > (v.generation, v.verdict, v.event_id)
);

CREATE VIEW current_derivations AS
SELECT d.* FROM derivations d
WHERE NOT EXISTS (
    SELECT FROM derivations other
    WHERE other.tenant = d.tenant AND other.digest = d.digest
        AND (other.generation, other.event_id) > (d.generation, d.event_id)
);

CREATE VIEW current_derivatives AS
SELECT r.*, d.source_size, d.generation FROM derivatives r JOIN current_derivations d USING (event_id, tenant, digest);

CREATE VIEW current_findings AS
SELECT f.*, v.study_uid FROM findings f JOIN current_verdicts v USING (event_id, tenant, digest);

CREATE VIEW current_revisions AS
SELECT r.* FROM study_revisions r
WHERE NOT EXISTS (
    SELECT FROM study_revisions other
    WHERE other.tenant = r.tenant AND other.study_uid = r.study_uid AND other.revision > r.revision
);

-- Held by any step: kept as received, shown to nobody but who looks after the quarantine.
CREATE VIEW quarantined_instances AS
SELECT i.*, v.step, v.code, v.detail, v.decided_at FROM instances i
JOIN current_verdicts v ON v.tenant = i.tenant AND v.digest = i.digest AND v.verdict = 'quarantined';

CREATE VIEW valid_instances AS
SELECT i.* FROM instances i
WHERE EXISTS (
    SELECT FROM current_verdicts v
    WHERE v.tenant = i.tenant AND v.digest = i.digest AND v.verdict = 'validated'
) AND NOT EXISTS (
    SELECT FROM current_verdicts v
    WHERE v.tenant = i.tenant AND v.digest = i.digest AND v.verdict = 'quarantined'
);

-- One content for each SOP Instance UID: the first received of those that are valid, until a named person decides.
CREATE VIEW served_instances AS
SELECT i.* FROM valid_instances i
WHERE NOT EXISTS (
    SELECT FROM valid_instances other
    WHERE other.tenant = i.tenant AND other.sop_instance_uid = i.sop_instance_uid
        AND (other.received_at, other.digest) < (i.received_at, i.digest)
);
