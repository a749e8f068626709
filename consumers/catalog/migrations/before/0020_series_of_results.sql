-- Series that our models made. Whoever runs models has no key to protected blocks, so these have none: what they are
-- called follows from the result, as their objects say it, and of which part of the body they are from the images read.
CREATE INDEX inference_objects_of_series ON inference_objects (tenant, study_uid, series_uid);

CREATE VIEW result_series AS
SELECT o.tenant, o.study_uid, o.series_uid, o.event_id,
    left('AI, not reviewed: ' || i.model_name || ' ' || i.model_version, 64) AS description, about.body_part
FROM inference_objects o
JOIN inferences i ON i.event_id = o.event_id
LEFT JOIN series about
    ON about.tenant = i.tenant AND about.study_uid = i.study_uid AND about.series_uid = i.series_uid;
