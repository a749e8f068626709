-- Studies from outside, and whose they are here; what the RIS was told of performed steps.

-- imaging.instance.received: a rule of the site says that the first instance of it was made elsewhere.
ALTER TABLE studies ADD COLUMN outside text; -- name of the rule; null for what was made here
ALTER TABLE studies ADD COLUMN outside_issuer text; -- of patient IDs that name none themselves
CREATE INDEX studies_from_outside ON studies (tenant, last_received_at DESC) WHERE outside IS NOT NULL;

-- imaging.import.decision --------------------------------------------------------------------------------------------

-- Every decision. The topic has one partition, so the offset says which came last; a second record of one event comes
-- after the first, and changes nothing.
CREATE TABLE import_decisions (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    record_offset bigint NOT NULL,
    action text NOT NULL,
    actor text NOT NULL,
    order_id text COLLATE "C",
    why_block_id text COLLATE "C" NOT NULL,
    why_state block_state NOT NULL,
    why text,
    block_id text COLLATE "C", -- this and what follows is null where nothing was reconciled
    block_state block_state,
    patient_key text COLLATE "C", -- this and what follows is null unless the block is open
    patient_id text,
    patient_issuer text,
    patient_name text,
    birth_date text,
    sex text,
    accession_number text,
    accession_issuer text,
    procedure_id text,
    decided_at timestamptz NOT NULL
);
CREATE INDEX import_decisions_of_study ON import_decisions (tenant, study_uid, record_offset DESC);
CREATE INDEX import_decisions_of_patient ON import_decisions (tenant, patient_key);
CREATE INDEX import_decisions_of_order ON import_decisions (tenant, order_id);

-- The last decision on a study, where it gives it an identity here.
CREATE VIEW current_imports AS
SELECT d.* FROM import_decisions d
WHERE d.action = 'reconciled' AND NOT EXISTS (
    SELECT FROM import_decisions later
    WHERE later.tenant = d.tenant AND later.study_uid = d.study_uid AND later.record_offset > d.record_offset
);

-- Each study as it came, and whose it is here. `is_import`: a rule says that it is from outside, or a person decided.
CREATE VIEW study_imports AS
SELECT s.tenant, s.study_uid, s.outside,
    s.outside IS NOT NULL OR EXISTS (
        SELECT FROM import_decisions d WHERE d.tenant = s.tenant AND d.study_uid = s.study_uid
    ) AS is_import,
    s.description, s.study_date, s.last_received_at,
    s.block_state AS original_state,
    b.attributes->>'PatientID' AS original_patient_id,
    coalesce(nullif(b.attributes->>'IssuerOfPatientID', ''), s.outside_issuer) AS original_issuer,
    b.attributes->>'PatientName' AS original_name,
    b.attributes->>'PatientBirthDate' AS original_birth_date,
    b.attributes->>'PatientSex' AS original_sex,
    s.accession_number AS original_accession,
    c.event_id IS NOT NULL AS reconciled,
    c.event_id, c.order_id, c.block_state, c.patient_id, c.patient_issuer, c.patient_name, c.birth_date, c.sex,
    c.accession_number, c.accession_issuer, c.procedure_id, c.actor, c.why, c.why_state, c.decided_at
FROM studies s
LEFT JOIN blocks b
    ON b.tenant = s.tenant AND b.study_uid = s.study_uid AND b.series_uid = '' AND b.block_id = s.block_id
LEFT JOIN current_imports c ON c.tenant = s.tenant AND c.study_uid = s.study_uid;

-- Whose a study is: by the decision where there is one, else as it says itself.
CREATE VIEW study_patients AS
SELECT s.tenant, s.study_uid, s.patient_key FROM studies s
WHERE NOT EXISTS (SELECT FROM current_imports c WHERE c.tenant = s.tenant AND c.study_uid = s.study_uid)
UNION ALL
SELECT c.tenant, c.study_uid, c.patient_key FROM current_imports c;

-- As before (0008), and: a study from outside is of no order because its numbers are equal by chance, it is of the one
-- that a person found for it.
DROP VIEW order_studies;
CREATE VIEW order_studies AS
SELECT o.tenant, o.order_id, s.study_uid, true AS by_uid, false AS by_decision
FROM studies s
JOIN order_commands c ON c.tenant = s.tenant AND c.stated_uid = s.study_uid
JOIN orders o ON o.tenant = c.tenant AND o.order_id = c.order_id AND o.study_uid = s.study_uid
UNION
SELECT o.tenant, o.order_id, s.study_uid, s.study_uid = o.study_uid AS by_uid, false
FROM orders o
JOIN studies s ON s.tenant = o.tenant AND s.accession_number = o.accession_number
JOIN patients p ON p.tenant = s.tenant AND p.patient_key = s.patient_key
WHERE p.patient_id = o.patient_id
    AND (p.issuer = coalesce(o.patient_issuer, '') OR p.issuer = '' OR coalesce(o.patient_issuer, '') = '')
    AND s.outside IS NULL
    AND NOT EXISTS (SELECT FROM current_imports c WHERE c.tenant = s.tenant AND c.study_uid = s.study_uid)
UNION
SELECT c.tenant, c.order_id, c.study_uid, false, true
FROM current_imports c
JOIN studies s ON s.tenant = c.tenant AND s.study_uid = c.study_uid
JOIN orders o ON o.tenant = c.tenant AND o.order_id = c.order_id
WHERE s.study_uid <> o.study_uid;

-- As before (0008), and: what was ordered is there when a study was imported for it, and no scanner's work.
CREATE OR REPLACE VIEW current_steps AS
SELECT s.*, o.study_uid, o.standing, p.mpps_uid, CASE
        WHEN EXISTS (SELECT FROM current_imports c WHERE c.tenant = s.tenant AND c.order_id = s.order_id)
        THEN 'completed' ELSE p.status
    END AS performed
FROM scheduled_steps s
JOIN orders o USING (tenant, order_id, event_id)
LEFT JOIN LATERAL (
    SELECT p.mpps_uid, p.status
    FROM mpps_scheduled m JOIN performed_steps p USING (tenant, mpps_uid, event_id)
    WHERE m.tenant = s.tenant AND m.study_uid = o.study_uid AND m.step_id = s.step_id
    ORDER BY p.status = 'completed' DESC, p.said_at DESC, p.mpps_uid LIMIT 1
) AS p ON true;

-- imaging.audit.event: what the RIS was told ------------------------------------------------------------------------

CREATE INDEX audit_of_performed_steps ON audit (tenant, subject, occurred_at) WHERE action = 'mpps.told';

-- Of each N-CREATE and N-SET that it was taken; else what was said last.
CREATE VIEW ris_told AS
SELECT DISTINCT ON (a.tenant, a.subject, a.attributes->>'event')
    a.tenant, a.subject AS mpps_uid, a.attributes->>'event' AS told_event_id, a.attributes->>'node' AS node,
    a.attributes->>'said' AS said, a.attributes->>'step_status' AS step_status, a.attributes->>'status' AS status,
    a.outcome, a.reason, a.occurred_at AS told_at
FROM audit a
WHERE a.action = 'mpps.told'
ORDER BY a.tenant, a.subject, a.attributes->>'event', a.outcome = 'success' DESC, a.occurred_at DESC, a.event_id;
