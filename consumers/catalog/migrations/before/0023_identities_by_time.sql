-- Whether something from outside was in the study before is asked of each image that other nodes are told of
-- (gateway/dimse/narrowing.py): it is looked up by this. Before, all that came from outside was looked through for each.
-- A large catalog has it built beforehand, while it is written (docs/operations.md).
CREATE INDEX IF NOT EXISTS instances_of_identity_by_time ON instances (tenant, study_uid, study_identity, received_at);
DROP INDEX instances_of_identity;
