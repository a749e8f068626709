-- Series of results have a description in lists from this version on: those that are here have been noted by nobody.
INSERT INTO study_changes (tenant, study_uid) SELECT DISTINCT tenant, study_uid FROM inference_objects;
