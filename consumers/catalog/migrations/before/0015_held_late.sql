-- Images that are held after they flowed: what was said with them does not stand, and who was sent them is known.

-- imaging.study.revision ---------------------------------------------------------------------------------------------

-- By series: the last revision that took images out of it.
ALTER TABLE study_revisions ADD COLUMN removals jsonb NOT NULL DEFAULT '{}';

CREATE OR REPLACE VIEW current_revisions AS
SELECT r.* FROM study_revisions r
WHERE NOT EXISTS (
    SELECT FROM study_revisions other
    WHERE other.tenant = r.tenant AND other.study_uid = r.study_uid AND other.revision > r.revision
);

-- imaging.instance.quarantined ---------------------------------------------------------------------------------------

-- As before (0006). That a person rejected an instance is said by their command, of which the last word holds; the event
-- that comes of it is for who follows studies.
CREATE OR REPLACE VIEW effective_verdicts AS
SELECT v.* FROM verdicts v
WHERE (NOT v.candidate OR EXISTS (
    SELECT FROM generations g
    WHERE g.tenant = v.tenant AND g.step = v.step AND g.number = v.generation AND g.phase = 'switched'
)) AND NOT (v.step = 'quarantine' AND v.verdict = 'quarantined');

-- imaging.inference.result -------------------------------------------------------------------------------------------

-- Results that an image had a part in that is held or rejected by now; `withdrawn_by` is the revision without it, null of
-- a result about that image alone.
CREATE VIEW withdrawn_inferences AS
SELECT i.*, (r.removals ->> i.series_uid)::integer AS withdrawn_by
FROM current_inferences i
JOIN current_revisions r ON r.tenant = i.tenant AND r.study_uid = i.study_uid
WHERE i.sop_instance_uid IS NULL AND (r.removals ->> i.series_uid)::integer > i.revision
UNION ALL
SELECT i.*, NULL
FROM current_inferences i
WHERE i.sop_instance_uid IS NOT NULL AND EXISTS (
    SELECT FROM quarantined_instances q WHERE q.tenant = i.tenant AND q.digest = i.input_digest
);

-- As before (0007), without those that were withdrawn.
CREATE OR REPLACE VIEW standing_inferences AS
SELECT i.* FROM current_inferences i
WHERE NOT EXISTS (
    SELECT FROM current_inferences other
    WHERE other.tenant = i.tenant AND other.study_uid = i.study_uid AND other.step = i.step
        AND other.sop_instance_uid IS NOT DISTINCT FROM i.sop_instance_uid
        AND (i.series_uid IS NULL OR other.series_uid = i.series_uid)
        AND other.revision > i.revision
) AND NOT EXISTS (
    SELECT FROM withdrawn_inferences withdrawn
    WHERE withdrawn.tenant = i.tenant AND withdrawn.study_uid = i.study_uid AND withdrawn.event_id = i.event_id
);

-- imaging.forward.result ---------------------------------------------------------------------------------------------

-- What failed and was sent after that is sent; what was sent, and failed when it was to be sent again, is both.
CREATE OR REPLACE VIEW current_forwards AS
SELECT f.* FROM forwards f
WHERE f.outcome <> 'failed' OR NOT EXISTS (
    SELECT FROM forwards other
    WHERE other.tenant = f.tenant AND other.digest = f.digest AND other.action = f.action
        AND other.target = f.target AND other.outcome <> 'failed'
        AND (other.said_at, other.event_id) > (f.said_at, f.event_id)
);

-- Images that others have and that are held or rejected by now: nobody but a person takes them back.
CREATE VIEW held_forwards AS
SELECT f.tenant, f.study_uid, f.digest, i.sop_instance_uid, f.target, max(f.said_at) AS sent_at,
    (SELECT min(q.code) FROM quarantined_instances q WHERE q.tenant = f.tenant AND q.digest = f.digest) AS code,
    (SELECT max(q.decision) FROM quarantined_instances q WHERE q.tenant = f.tenant AND q.digest = f.digest) AS decision
FROM forwards f
JOIN instances i ON i.tenant = f.tenant AND i.digest = f.digest
WHERE f.action = 'forward' AND f.outcome IN ('done', 'warned') AND EXISTS (
    SELECT FROM quarantined_instances q WHERE q.tenant = f.tenant AND q.digest = f.digest
)
GROUP BY f.tenant, f.study_uid, f.digest, i.sop_instance_uid, f.target;
