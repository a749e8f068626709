-- What models say of images, and what people say of that.

-- imaging.inference.result -------------------------------------------------------------------------------------------

-- One row for each result. A request that failed has a row of its own beside the one that a redrive may bring.
CREATE TABLE inferences (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    series_uid text COLLATE "C", -- null where it is about a revision as a whole
    sop_instance_uid text COLLATE "C", -- null unless it is about one instance
    revision integer, -- the first that had these images; null where it is about one instance
    subject text COLLATE "C" NOT NULL,
    lane lane NOT NULL,
    step text COLLATE "C" NOT NULL,
    generation integer NOT NULL,
    outcome text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    status text NOT NULL,
    requires_review boolean NOT NULL,
    model_name text NOT NULL,
    model_version text NOT NULL,
    model_digest text NOT NULL,
    card_digest text NOT NULL,
    backend text NOT NULL,
    input_digest text NOT NULL,
    input_count integer NOT NULL,
    timings jsonb NOT NULL,
    said_at timestamptz NOT NULL,
    provenance jsonb NOT NULL,
    -- True where only the topic of replays has it; false for good once its own topic has it as well.
    candidate boolean NOT NULL
);
CREATE INDEX inferences_of_study ON inferences (tenant, study_uid);
CREATE INDEX inferences_of_subject ON inferences (tenant, step, subject, generation DESC);

CREATE TABLE inference_findings (
    event_id uuid NOT NULL,
    place integer NOT NULL,
    finding_id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    category text NOT NULL,
    code jsonb NOT NULL,
    location jsonb,
    geometry jsonb,
    measurements jsonb NOT NULL,
    confidence double precision,
    severity text NOT NULL,
    PRIMARY KEY (event_id, place)
);

-- The SR and the SEG of a result: instances like any other, with rows in `instances` once they are read there.
CREATE TABLE inference_objects (
    event_id uuid NOT NULL,
    digest text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    series_uid text COLLATE "C" NOT NULL,
    sop_instance_uid text COLLATE "C" NOT NULL,
    sop_class_uid text NOT NULL,
    PRIMARY KEY (event_id, digest)
);

-- imaging.review.event -----------------------------------------------------------------------------------------------

CREATE TABLE reviews (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    result_event_id uuid NOT NULL,
    finding_id text COLLATE "C", -- null where it is about the result as a whole
    verdict text NOT NULL,
    reviewer text NOT NULL,
    note_block_id text, -- null where nobody wrote a note
    note_state block_state,
    note text, -- null unless the block is open
    findings jsonb NOT NULL, -- what holds instead, where the verdict is modified
    reviewed_at timestamptz NOT NULL
);
CREATE INDEX reviews_of_result ON reviews (tenant, result_event_id, reviewed_at);

-- What is current ----------------------------------------------------------------------------------------------------

CREATE VIEW effective_inferences AS
SELECT i.* FROM inferences i
WHERE NOT i.candidate OR EXISTS (
    SELECT FROM generations g
    WHERE g.tenant = i.tenant AND g.step = i.step AND g.number = i.generation AND g.phase = 'switched'
);

-- Of several generations of a model the highest; within one, whatever was said after all wins over `failed`.
CREATE VIEW current_inferences AS
SELECT i.* FROM effective_inferences i
WHERE NOT EXISTS (
    SELECT FROM effective_inferences other
    WHERE other.tenant = i.tenant AND other.step = i.step AND other.subject = i.subject
        AND (other.generation, other.outcome <> 'failed', other.event_id)
            > (i.generation, i.outcome <> 'failed', i.event_id)
);

-- Of these, the ones about the images that a series has now: a late image makes another result of its series, and a
-- series in scope ends that there was none.
CREATE VIEW standing_inferences AS
SELECT i.* FROM current_inferences i
WHERE NOT EXISTS (
    SELECT FROM current_inferences other
    WHERE other.tenant = i.tenant AND other.study_uid = i.study_uid AND other.step = i.step
        AND other.sop_instance_uid IS NOT DISTINCT FROM i.sop_instance_uid
        AND (i.series_uid IS NULL OR other.series_uid = i.series_uid)
        AND other.revision > i.revision
);

-- A finding with the latest review that is about it, alone or with the rest of its result.
CREATE VIEW reviewed_findings AS
SELECT f.*, r.verdict, r.reviewer, r.reviewed_at, r.note_state, r.note, r.findings AS instead
FROM inference_findings f
LEFT JOIN LATERAL (
    SELECT * FROM reviews r
    WHERE r.tenant = f.tenant AND r.result_event_id = f.event_id
        AND (r.finding_id IS NULL OR r.finding_id = f.finding_id)
    ORDER BY r.reviewed_at DESC, r.event_id DESC LIMIT 1
) AS r ON true;
