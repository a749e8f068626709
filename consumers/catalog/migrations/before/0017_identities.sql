-- Whose a study is, of the images that count: what each image says of its study and series, and how it stands.

-- At once what is changed here and behind: who reads some of it and waits for the rest would end this after minutes.
LOCK TABLE studies, series, instances, verdicts IN ACCESS EXCLUSIVE MODE;

-- What images say of a study, a row for each different word. The words of one study are mostly the same.
CREATE TABLE study_identities (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    identity text COLLATE "C" NOT NULL, -- made of block, patient and origin
    -- Of the best of its images; 4: no image says so any more, 5: nobody has looked, so its patient has no name yet.
    standing smallint NOT NULL DEFAULT 5,
    patient_key text COLLATE "C",
    block_id text COLLATE "C",
    block_state block_state, -- null where there is no block
    study_date date,
    study_time text,
    study_id text,
    accession_number text,
    description text,
    referring_physician text,
    outside text,
    outside_issuer text,
    issuer text, -- this and what follows is null where there is no patient_key
    patient_id text,
    name text,
    birth_date text,
    sex text,
    spoken_by text COLLATE "C", -- of several studies that count, the latest by study date names the patient
    PRIMARY KEY (tenant, study_uid, identity)
);
CREATE INDEX study_identities_of_patient ON study_identities (tenant, patient_key) WHERE patient_key IS NOT NULL;

ALTER TABLE instances
    -- 0 valid, 1 nobody has judged it yet, 2 held, 3 rejected; see instance_standings. What was here before counts until
    -- it is looked at below.
    ADD COLUMN standing smallint NOT NULL DEFAULT 0,
    -- What it says. Null: it came before this migration, and the log alone knows (a rebuild reads it).
    ADD COLUMN study_identity text COLLATE "C",
    ADD COLUMN series_block_id text COLLATE "C"; -- empty where it has no block
ALTER TABLE instances ALTER standing SET DEFAULT 1;
-- A verdict changes `standing`, which no index has: with room on the page that touches none of them.
ALTER TABLE instances SET (fillfactor = 85);
CREATE INDEX instances_of_identity ON instances (tenant, study_uid, study_identity);

-- `spoken_by` says which image speaks for a study or a series: standing/whether it has no block/ms/digest, the least.
ALTER TABLE studies ALTER spoken_by DROP NOT NULL;
ALTER TABLE series ALTER spoken_by DROP NOT NULL;

-- How each instance stands, by what valid_instances (0016) and quarantined_instances (0014) go by; `before` is what is
-- written down of it.
CREATE VIEW instance_standings AS
SELECT i.tenant, i.study_uid, i.sop_instance_uid, i.digest, i.standing AS before, (CASE
        WHEN d.action = 'rejected' THEN 3
        WHEN v.held THEN 2
        WHEN v.validated THEN 0
        WHEN v.quarantined THEN 2 -- released, and nothing says yet that it is valid
        ELSE 1
    END)::smallint AS standing
FROM instances i
LEFT JOIN LATERAL (
    SELECT q.action, q.code FROM quarantine_commands q
    WHERE q.tenant = i.tenant AND q.digest = i.digest
    ORDER BY q.record_offset DESC LIMIT 1
) AS d ON true
CROSS JOIN LATERAL (
    SELECT bool_or(c.verdict = 'validated') AS validated, bool_or(c.verdict = 'quarantined') AS quarantined,
        bool_or(c.verdict = 'quarantined' AND NOT (
            coalesce(d.action = 'released', false)
            AND coalesce(d.code = 'contradicts_patient' OR c.code <> 'contradicts_patient', false)
        )) AS held
    FROM (
        SELECT DISTINCT ON (e.step) e.verdict, e.code FROM effective_verdicts e
        WHERE e.tenant = i.tenant AND e.digest = i.digest
        ORDER BY e.step, e.generation DESC, e.verdict DESC, e.event_id DESC
    ) AS c
) AS v;

-- Each image as a speaker: the one with the least `spoken_by` speaks.
CREATE VIEW study_speakers AS
SELECT i.tenant, i.study_uid, i.digest, i.study_identity, concat_ws(
        '/', i.standing, (d.identity IS NOT NULL AND d.block_id IS NULL)::integer,
        lpad(greatest(0, floor(extract(epoch FROM i.received_at) * 1000))::bigint::text, 20, '0'), i.digest
    ) COLLATE "C" AS spoken_by
FROM instances i
LEFT JOIN study_identities d
    ON d.tenant = i.tenant AND d.study_uid = i.study_uid AND d.identity = i.study_identity;

CREATE VIEW series_speakers AS
SELECT i.tenant, i.study_uid, i.series_uid, i.digest, i.series_block_id, i.modality, i.body_part, i.series_number,
    concat_ws(
        '/', i.standing, coalesce(i.series_block_id = '', false)::integer,
        lpad(greatest(0, floor(extract(epoch FROM i.received_at) * 1000))::bigint::text, 20, '0'), i.digest
    ) COLLATE "C" AS spoken_by
FROM instances i;

-- What was here before. Which image said which block is in no table, so a study or series whose first image is held
-- goes on saying what that one said; `radstream catalog rebuild --switch` puts it right out of the log.
UPDATE instances i SET standing = s.standing
FROM instance_standings s
WHERE (s.tenant, s.digest) IN (SELECT tenant, digest FROM verdicts WHERE verdict = 'quarantined'
        UNION SELECT tenant, digest FROM quarantine_commands)
    AND s.tenant = i.tenant AND s.sop_instance_uid = i.sop_instance_uid AND s.digest = i.digest AND s.standing <> 0;
UPDATE instances i SET standing = 1
WHERE standing = 0 AND NOT EXISTS (
    SELECT FROM effective_verdicts v WHERE v.tenant = i.tenant AND v.digest = i.digest
);
UPDATE studies s SET spoken_by = i.standing || '/' || s.spoken_by
FROM instances i WHERE i.tenant = s.tenant AND i.digest = split_part(s.spoken_by, '/', 3);
UPDATE studies s SET spoken_by = (
    SELECT min(w.spoken_by) FROM study_speakers w WHERE w.tenant = s.tenant AND w.study_uid = s.study_uid
) WHERE s.spoken_by NOT LIKE '0/%/%/%';
UPDATE series s SET spoken_by = i.standing || '/' || s.spoken_by
FROM instances i WHERE i.tenant = s.tenant AND i.digest = split_part(s.spoken_by, '/', 3);
UPDATE series s SET spoken_by = (
    SELECT min(w.spoken_by) FROM series_speakers w
    WHERE w.tenant = s.tenant AND w.study_uid = s.study_uid AND w.series_uid = s.series_uid
) WHERE s.spoken_by NOT LIKE '0/%/%/%';
