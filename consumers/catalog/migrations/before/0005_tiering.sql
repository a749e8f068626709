-- Where the bytes of a study are kept, what holds them, and when they were read.

-- imaging.tier.moved -------------------------------------------------------------------------------------------------

-- Every phase of every move. The first record with (study, seq) counts; one that is here already is ignored.
CREATE TABLE tier_moves (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    seq integer NOT NULL,
    event_id uuid NOT NULL,
    move integer NOT NULL,
    phase text NOT NULL,
    why text NOT NULL,
    source text, -- null for a backup, which leaves no store
    target text NOT NULL,
    serving text NOT NULL,
    objects integer NOT NULL,
    size bigint NOT NULL, -- bytes of the study's originals, counted once
    holds jsonb NOT NULL,
    covers jsonb NOT NULL,
    decided_for timestamptz NOT NULL, -- the time the policy was asked about: the clock's, or a simulated one
    last_access_at timestamptz,
    decided_at timestamptz NOT NULL,
    provenance jsonb NOT NULL,
    PRIMARY KEY (tenant, study_uid, seq)
);

-- State with a sequence: the highest seq says how a study stands, a lower one is ignored, a gap stops the consumer.
CREATE TABLE study_tiers (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    seq integer NOT NULL,
    move integer NOT NULL,
    phase text NOT NULL,
    why text NOT NULL,
    source text,
    target text NOT NULL,
    serving text COLLATE "C" NOT NULL,
    objects integer NOT NULL,
    size bigint NOT NULL,
    decided_for timestamptz NOT NULL,
    PRIMARY KEY (tenant, study_uid)
);
CREATE INDEX study_tiers_by_store ON study_tiers (tenant, serving, study_uid);

-- An instance and its copies as a seq states them. A row whose seq is not its study's states what was.
CREATE TABLE tier_items (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    seq integer NOT NULL,
    series_uid text COLLATE "C" NOT NULL,
    sop_instance_uid text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    copies jsonb NOT NULL, -- [{store, version_id, verified}]
    PRIMARY KEY (tenant, study_uid, digest)
);

-- Where every copy of an original is now. What no move has seen is where it was received, and read back by nobody.
CREATE VIEW current_copies AS
SELECT i.tenant, i.study_uid, i.series_uid, i.sop_instance_uid, i.digest, i.size, c.store, c.version_id, c.verified
FROM tier_items i
JOIN study_tiers s USING (tenant, study_uid, seq)
CROSS JOIN LATERAL jsonb_to_recordset(i.copies) AS c(store text, version_id text, verified boolean)
UNION ALL
SELECT i.tenant, i.study_uid, i.series_uid, i.sop_instance_uid, i.digest, i.size, c.store, c.version_id, false
FROM instances i
JOIN copies c ON c.tenant = i.tenant AND c.digest = i.digest
WHERE NOT EXISTS (
    SELECT FROM tier_items t JOIN study_tiers s USING (tenant, study_uid, seq)
    WHERE t.tenant = i.tenant AND t.study_uid = i.study_uid AND t.digest = i.digest
);

-- imaging.hold.command -----------------------------------------------------------------------------------------------

-- One placing and one release for each hold of a study: a name is never used again.
CREATE TABLE hold_commands (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    hold_id text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    event_id uuid NOT NULL,
    actor text NOT NULL,
    why_block_id text NOT NULL,
    why_state block_state NOT NULL,
    why text, -- null unless the block is open
    commanded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, study_uid, hold_id, action)
);
CREATE INDEX hold_commands_by_name ON hold_commands (tenant, hold_id);

-- A hold is in force until its release, in whatever order the two were read.
CREATE VIEW holds AS
SELECT p.tenant, p.study_uid, p.hold_id, r.hold_id IS NULL AS in_force,
    p.actor AS placed_by, p.commanded_at AS placed_at, p.why, p.why_state,
    r.actor AS released_by, r.commanded_at AS released_at, r.why AS release_why, r.why_state AS release_why_state
FROM hold_commands p
LEFT JOIN hold_commands r
    ON r.tenant = p.tenant AND r.study_uid = p.study_uid AND r.hold_id = p.hold_id AND r.action = 'released'
WHERE p.action = 'placed';

-- imaging.access.read ------------------------------------------------------------------------------------------------

-- Each row stands for many reads.
CREATE TABLE accesses (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    reader text COLLATE "C" NOT NULL,
    reads bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL
);
CREATE INDEX accesses_of_study ON accesses (tenant, study_uid, last_at);
