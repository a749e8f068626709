-- What lists show, a row for each study and series that has an instance to show. Everything here follows from the other
-- tables (consumers/catalog/summaries.py makes it), so the checksum leaves it out.

-- A study whose summary is not what the other tables say any more: one row for each batch that touched it, written in
-- the batch's transaction and by nobody waited for. Who makes the summary anew deletes the rows that it has seen.
CREATE TABLE study_changes (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL
);
CREATE INDEX study_changes_of_study ON study_changes (tenant, study_uid);

CREATE TABLE study_summaries (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    study_at timestamp NOT NULL, -- StudyDate and StudyTime; -infinity where there is no date
    study_time text COLLATE "C", -- HHMMSS.FFFFFF; null where there is none
    patient_id text COLLATE "C" NOT NULL,
    patient_name text COLLATE "C" NOT NULL, -- folded: =group=group=
    referring_physician text COLLATE "C" NOT NULL, -- folded as well
    accession_number text COLLATE "C" NOT NULL,
    description text COLLATE "C" NOT NULL,
    modalities text[] COLLATE "C" NOT NULL,
    sop_classes text[] COLLATE "C" NOT NULL,
    series integer NOT NULL,
    instances integer NOT NULL,
    availability text COLLATE "C" NOT NULL,
    terms text[] COLLATE "C" NOT NULL, -- what names and description are found by
    attributes jsonb NOT NULL, -- text by DICOM keyword
    PRIMARY KEY (tenant, study_uid)
);
-- Keyset pagination, newest first; studies without a date come last.
CREATE INDEX study_summaries_by_time ON study_summaries (tenant, study_at DESC, study_uid DESC);
-- No value is longer than an entry of an index may be, and none that a modality makes is longer than this.
CREATE INDEX study_summaries_by_patient ON study_summaries (tenant, left(patient_id, 64));
CREATE INDEX study_summaries_by_accession ON study_summaries (tenant, left(accession_number, 64));
-- An extension for trigrams is not in every server; arrays are. Summaries change seldom, so the index takes them at
-- once: a list of what is still to be added would be read by every search.
CREATE INDEX study_summaries_by_term ON study_summaries USING gin (terms) WITH (fastupdate = off);
CREATE INDEX study_summaries_by_modality ON study_summaries USING gin (modalities) WITH (fastupdate = off);

CREATE TABLE series_summaries (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    series_uid text COLLATE "C" NOT NULL,
    modality text COLLATE "C",
    series_number bigint,
    sop_classes text[] COLLATE "C" NOT NULL,
    instances integer NOT NULL,
    attributes jsonb NOT NULL, -- text by DICOM keyword
    PRIMARY KEY (tenant, study_uid, series_uid)
);
CREATE INDEX series_summaries_by_uid ON series_summaries (tenant, series_uid);

-- What was here before has no summary yet.
INSERT INTO study_changes (tenant, study_uid) SELECT tenant, study_uid FROM studies;

-- What may be shown, as before (0014, 0003), asked of one instance at a time: as joins of views of views, these are
-- planned anew for each question, and over tables that nobody has analysed yet (a new catalog, a night of backfill) they
-- took the square and the cube of what there is. Over an index by digest there is nothing to plan.
CREATE OR REPLACE VIEW valid_instances AS
SELECT i.* FROM instances i
WHERE (
    SELECT bool_or(v.verdict = 'validated')
        AND NOT bool_or(v.verdict = 'quarantined' AND NOT (
            coalesce(d.action = 'released', false)
            AND coalesce(d.code = 'contradicts_patient' OR v.code <> 'contradicts_patient', false)
        ))
        AND NOT bool_or(coalesce(d.action = 'rejected', false))
    FROM (
        SELECT DISTINCT ON (e.step) e.verdict, e.code FROM effective_verdicts e
        WHERE e.tenant = i.tenant AND e.digest = i.digest
        ORDER BY e.step, e.generation DESC, e.verdict DESC, e.event_id DESC
    ) AS v
    LEFT JOIN (
        SELECT q.action, q.code FROM quarantine_commands q
        WHERE q.tenant = i.tenant AND q.digest = i.digest
        ORDER BY q.record_offset DESC LIMIT 1
    ) AS d ON true
);

CREATE OR REPLACE VIEW served_instances AS
SELECT i.* FROM valid_instances i
WHERE (
    SELECT count(*) FROM valid_instances other
    WHERE other.tenant = i.tenant AND other.sop_instance_uid = i.sop_instance_uid
        AND (other.received_at, other.digest) < (i.received_at, i.digest)
) = 0;
