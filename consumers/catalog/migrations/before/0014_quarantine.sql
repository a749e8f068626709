-- What people decide on instances that are held; verdicts and findings as they are asked for.

-- imaging.quarantine.command -----------------------------------------------------------------------------------------

-- Every decision. The topic has one partition, so the offset says which came last; a second record of one event comes
-- after the first, and changes nothing.
CREATE TABLE quarantine_commands (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    record_offset bigint NOT NULL,
    action text NOT NULL,
    code text NOT NULL,
    actor text NOT NULL,
    why_block_id text COLLATE "C" NOT NULL,
    why_state block_state NOT NULL,
    why text,
    commanded_at timestamptz NOT NULL
);
CREATE INDEX quarantine_commands_of_instance ON quarantine_commands (tenant, digest, record_offset DESC);

-- The last word on an instance.
CREATE VIEW quarantine_decisions AS
SELECT c.* FROM quarantine_commands c
WHERE NOT EXISTS (
    SELECT FROM quarantine_commands later
    WHERE later.tenant = c.tenant AND later.digest = c.digest AND later.record_offset > c.record_offset
);

-- As before (0003), and a person's last word stands above every step: what was released is held by none, in whatever
-- generation, once something says that it is valid; what was rejected is held, also where a later generation finds
-- nothing. `decision` is null while nobody has decided: who released a file that was cut off has not said that it is of
-- this patient, so what contradicts the patient of its study is released as that alone.
DROP VIEW quarantined_instances;
CREATE VIEW quarantined_instances AS
SELECT i.*, v.step, v.code, v.detail, v.decided_at,
    d.action AS decision, d.actor AS decision_by, d.commanded_at AS decision_at
FROM current_verdicts v
JOIN instances i ON i.tenant = v.tenant AND i.digest = v.digest
LEFT JOIN quarantine_decisions d ON d.tenant = v.tenant AND d.digest = v.digest
    AND (d.action <> 'released' OR d.code = 'contradicts_patient' OR v.code <> 'contradicts_patient')
WHERE v.verdict = 'quarantined' AND (
    d.action IS DISTINCT FROM 'released' OR NOT EXISTS (
        SELECT FROM current_verdicts valid
        WHERE valid.tenant = v.tenant AND valid.digest = v.digest AND valid.verdict = 'validated'
    )
)
UNION ALL
SELECT i.*, 'quarantine', d.code, NULL, d.commanded_at, d.action, d.actor, d.commanded_at
FROM quarantine_decisions d
JOIN instances i ON i.tenant = d.tenant AND i.digest = d.digest
WHERE d.action = 'rejected' AND NOT EXISTS (
    SELECT FROM current_verdicts v
    WHERE v.tenant = d.tenant AND v.digest = d.digest AND v.verdict = 'quarantined'
);

CREATE OR REPLACE VIEW valid_instances AS
SELECT i.* FROM instances i
WHERE EXISTS (
    SELECT FROM current_verdicts v
    WHERE v.tenant = i.tenant AND v.digest = i.digest AND v.verdict = 'validated'
) AND (
    NOT EXISTS (
        SELECT FROM current_verdicts v
        WHERE v.tenant = i.tenant AND v.digest = i.digest AND v.verdict = 'quarantined' AND NOT EXISTS (
            SELECT FROM quarantine_decisions d
            WHERE d.tenant = i.tenant AND d.digest = i.digest AND d.action = 'released'
                AND (d.code = 'contradicts_patient' OR v.code <> 'contradicts_patient')
        )
    )
) AND NOT EXISTS (
    SELECT FROM quarantine_decisions d
    WHERE d.tenant = i.tenant AND d.digest = i.digest AND d.action = 'rejected'
);

-- As before (0003), of what flows: what was rejected has none any more.
CREATE OR REPLACE VIEW current_findings AS
SELECT f.*, v.study_uid FROM findings f JOIN current_verdicts v USING (event_id, tenant, digest)
WHERE NOT EXISTS (
    SELECT FROM quarantine_decisions d
    WHERE d.tenant = f.tenant AND d.digest = f.digest AND d.action = 'rejected'
);

-- The verdict of an instance in one word: accepted, accepted_with_findings, quarantined. No row: nobody has looked yet.
CREATE VIEW instance_verdicts AS
SELECT i.tenant, i.study_uid, i.digest, i.modality, CASE
        WHEN EXISTS (SELECT FROM current_findings f WHERE f.tenant = i.tenant AND f.digest = i.digest)
        THEN 'accepted_with_findings' ELSE 'accepted'
    END AS verdict
FROM valid_instances i
UNION ALL
SELECT DISTINCT q.tenant, q.study_uid, q.digest, q.modality, 'quarantined' FROM quarantined_instances q;

-- Findings are asked for by rule, for all images and for those of a study.
CREATE INDEX findings_by_rule ON findings (tenant, rule);
CREATE INDEX findings_of_instance ON findings (tenant, digest);
