-- What came of what the rules asked for.

-- imaging.forward.result ---------------------------------------------------------------------------------------------

CREATE TABLE forwards (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    action text NOT NULL,
    target text COLLATE "C" NOT NULL, -- a destination, or a tag
    outcome text COLLATE "C" NOT NULL,
    rules jsonb NOT NULL,
    status integer, -- of the C-STORE response; null where there was none
    code text NOT NULL,
    detail text NOT NULL,
    sent_transfer_syntax_uid text COLLATE "C", -- null where nothing was stored there
    sent_bytes bigint NOT NULL,
    said_at timestamptz NOT NULL,
    provenance jsonb NOT NULL
);
CREATE INDEX forwards_of_study ON forwards (tenant, study_uid);
CREATE INDEX forwards_of_instance ON forwards (tenant, digest, action, target);

-- What failed and was sent after all, out of the dead letters, is sent.
CREATE VIEW current_forwards AS
SELECT f.* FROM forwards f
WHERE f.outcome <> 'failed' OR NOT EXISTS (
    SELECT FROM forwards other
    WHERE other.tenant = f.tenant AND other.digest = f.digest AND other.action = f.action
        AND other.target = f.target AND other.outcome <> 'failed'
);
