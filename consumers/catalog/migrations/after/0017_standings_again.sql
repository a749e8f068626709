-- Services of before wrote on behind before/0017 until the last of them was gone, and knew no standing: what was judged
-- in that time is looked at once more. What their own images say, the log alone knows, as of all that came before.
UPDATE instances i SET standing = s.standing
FROM instance_standings s
WHERE (s.tenant, s.digest) IN (SELECT tenant, digest FROM verdicts WHERE verdict = 'quarantined'
        UNION SELECT tenant, digest FROM quarantine_commands
        UNION SELECT tenant, digest FROM instances WHERE standing = 1)
    AND s.tenant = i.tenant AND s.sop_instance_uid = i.sop_instance_uid AND s.digest = i.digest
    AND s.standing <> i.standing;

UPDATE study_identities d SET standing = coalesce((
    SELECT min(i.standing) FROM instances i
    WHERE i.tenant = d.tenant AND i.study_uid = d.study_uid AND i.study_identity = d.identity
), 4);

CREATE TEMPORARY TABLE judged ON COMMIT DROP AS
SELECT tenant, study_uid FROM instances WHERE standing <> 0 AND study_uid <> ''
UNION SELECT tenant, study_uid FROM studies WHERE spoken_by IS NULL OR spoken_by NOT LIKE '0/%/%/%'
UNION SELECT tenant, study_uid FROM series WHERE spoken_by IS NULL OR spoken_by NOT LIKE '0/%/%/%';

UPDATE studies s SET spoken_by = first.spoken_by
FROM (
    SELECT DISTINCT ON (w.tenant, w.study_uid) w.* FROM study_speakers w JOIN judged USING (tenant, study_uid)
    ORDER BY w.tenant, w.study_uid, w.spoken_by
) AS first
WHERE first.tenant = s.tenant AND first.study_uid = s.study_uid;
UPDATE studies s SET (
    patient_key, block_id, block_state, study_date, study_time, study_id, accession_number, description,
    referring_physician, outside, outside_issuer
) = (
    d.patient_key, d.block_id, d.block_state, d.study_date, d.study_time, d.study_id, d.accession_number, d.description,
    d.referring_physician, d.outside, d.outside_issuer
)
FROM judged j
JOIN study_identities d USING (tenant, study_uid)
JOIN instances i ON i.tenant = d.tenant AND i.study_uid = d.study_uid AND i.study_identity = d.identity
WHERE j.tenant = s.tenant AND j.study_uid = s.study_uid AND i.digest = split_part(s.spoken_by, '/', 4);

UPDATE series s SET spoken_by = first.spoken_by, modality = first.modality, body_part = first.body_part,
    series_number = first.series_number
FROM (
    SELECT DISTINCT ON (w.tenant, w.study_uid, w.series_uid) w.*
    FROM series_speakers w JOIN judged USING (tenant, study_uid)
    ORDER BY w.tenant, w.study_uid, w.series_uid, w.spoken_by
) AS first
WHERE first.tenant = s.tenant AND first.study_uid = s.study_uid AND first.series_uid = s.series_uid;
UPDATE series s SET block_id = b.block_id, block_state = b.state,
    description = nullif(b.attributes->>'SeriesDescription', '')
FROM judged j
JOIN blocks b USING (tenant, study_uid)
JOIN instances i ON i.tenant = b.tenant AND i.study_uid = b.study_uid AND i.series_block_id = b.block_id
    AND i.series_uid = b.series_uid
WHERE j.tenant = s.tenant AND j.study_uid = s.study_uid AND b.series_uid = s.series_uid
    AND i.digest = split_part(s.spoken_by, '/', 4);

-- Their patients, as of now on (consumers/catalog/identities.py): of what a service of before held, nobody else says it.
INSERT INTO patients AS held (tenant, patient_key, issuer, patient_id, name, birth_date, sex, spoken_by)
SELECT DISTINCT ON (d.tenant, d.patient_key)
    d.tenant, d.patient_key, d.issuer, d.patient_id, d.name, d.birth_date, d.sex, d.spoken_by
FROM study_identities d
WHERE (d.tenant, d.patient_key) IN (
    SELECT o.tenant, o.patient_key FROM study_identities o JOIN judged USING (tenant, study_uid)
)
ORDER BY d.tenant, d.patient_key, d.standing, d.spoken_by DESC
ON CONFLICT (tenant, patient_key) DO UPDATE SET issuer = excluded.issuer, patient_id = excluded.patient_id,
    name = excluded.name, birth_date = excluded.birth_date, sex = excluded.sex, spoken_by = excluded.spoken_by
WHERE EXISTS (
    SELECT FROM study_identities d
    WHERE d.tenant = held.tenant AND d.patient_key = held.patient_key AND d.spoken_by = held.spoken_by
);

-- Lists are of what was shown before.
INSERT INTO study_changes (tenant, study_uid) SELECT tenant, study_uid FROM judged;
