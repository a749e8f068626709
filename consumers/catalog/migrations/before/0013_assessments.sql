-- Whether the instances of a study fit together. What is held because of it is in `verdicts`, by step 'assess'.

-- imaging.study.assessed ---------------------------------------------------------------------------------------------

CREATE TABLE study_assessments (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    revision integer NOT NULL,
    generation integer NOT NULL,
    set_digest text NOT NULL,
    instance_count integer NOT NULL,
    read_count integer NOT NULL, -- instances whose header was compared
    held_count integer NOT NULL,
    assessed_at timestamptz NOT NULL,
    provenance jsonb NOT NULL
);
CREATE INDEX study_assessments_of_study ON study_assessments (tenant, study_uid, revision DESC, generation DESC);

CREATE TABLE study_findings (
    event_id uuid NOT NULL,
    ordinal integer NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    series_uid text COLLATE "C", -- null where it is about the study as a whole
    rule text NOT NULL,
    severity text NOT NULL,
    tag text,
    section text,
    text text NOT NULL,
    instance_count integer NOT NULL,
    instances jsonb NOT NULL, -- the first of them: sop_instance_uid, digest
    PRIMARY KEY (event_id, ordinal)
);
CREATE INDEX study_findings_of_study ON study_findings (tenant, study_uid);

-- Of the latest revision that was assessed, by the highest generation.
CREATE VIEW current_assessments AS
SELECT a.* FROM study_assessments a
WHERE NOT EXISTS (
    SELECT FROM study_assessments other
    WHERE other.tenant = a.tenant AND other.study_uid = a.study_uid
        AND (other.revision, other.generation, other.event_id) > (a.revision, a.generation, a.event_id)
);

CREATE VIEW current_study_findings AS
SELECT f.* FROM study_findings f JOIN current_assessments a USING (event_id);
