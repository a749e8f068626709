-- Facts, as the events state them. Each topic owns its tables or rows; no foreign key crosses topics, because topics
-- are read in any order. Keys compare bytewise (COLLATE "C"): "first" and "highest" mean the same on every machine.

CREATE TYPE lane AS ENUM ('stat', 'routine', 'bulk');
CREATE TYPE verdict AS ENUM ('validated', 'quarantined');

-- How far each partition is in these tables. Changes in the transaction of the rows, by compare-and-set.
CREATE TABLE ledger (
    consumer_group text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    topic_id text NOT NULL,
    next_offset bigint NOT NULL,
    last_event_id text,
    PRIMARY KEY (consumer_group, topic, partition)
);

-- imaging.instance.received ------------------------------------------------------------------------------------------

-- Every record that says that an instance arrived; a second one of the same event is a duplicate.
CREATE TABLE arrivals (
    topic_id text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    event_id uuid NOT NULL,
    digest text COLLATE "C" NOT NULL,
    lane lane NOT NULL,
    protocol text NOT NULL,
    calling_ae text NOT NULL,
    called_ae text NOT NULL,
    association text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (topic_id, partition, record_offset)
);

-- One row for each content. The same SOP Instance UID with other content is a row beside; see served_instances.
CREATE TABLE instances (
    tenant text COLLATE "C" NOT NULL,
    sop_instance_uid text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    event_id uuid NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    series_uid text COLLATE "C" NOT NULL,
    sop_class_uid text COLLATE "C" NOT NULL,
    transfer_syntax_uid text COLLATE "C" NOT NULL,
    site text NOT NULL,
    size bigint NOT NULL,
    modality text,
    body_part text,
    series_number bigint,
    instance_number bigint,
    rows integer,
    columns integer,
    frames integer,
    samples_per_pixel integer,
    bits_allocated integer,
    bits_stored integer,
    pixel_representation integer,
    photometric text,
    -- Of several arrivals the earliest (by received_at, then the more urgent lane) fills the row.
    lane lane NOT NULL,
    received_at timestamptz NOT NULL,
    provenance jsonb NOT NULL,
    -- When the live consumer wrote the row; null where a rebuild did.
    cataloged_at timestamptz DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, sop_instance_uid, digest)
);
CREATE INDEX instances_of_series ON instances (tenant, study_uid, series_uid, instance_number);
CREATE INDEX instances_by_digest ON instances (tenant, digest);
CREATE INDEX instances_by_time ON instances (tenant, received_at);

CREATE TABLE copies (
    tenant text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    store text COLLATE "C" NOT NULL,
    object_key text COLLATE "C" NOT NULL,
    version_id text,
    first_byte bigint NOT NULL,
    length bigint NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    encryption jsonb,
    PRIMARY KEY (tenant, digest, store, object_key)
);

-- imaging.instance.validated, imaging.instance.quarantined -----------------------------------------------------------

CREATE TABLE verdicts (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    verdict verdict NOT NULL,
    step text COLLATE "C" NOT NULL,
    generation integer NOT NULL,
    code text,
    detail text,
    decided_at timestamptz NOT NULL,
    provenance jsonb NOT NULL
);
CREATE INDEX verdicts_of_instance ON verdicts (tenant, digest, step, generation DESC, verdict DESC);
CREATE INDEX verdicts_quarantined ON verdicts (tenant, decided_at) WHERE verdict = 'quarantined';

CREATE TABLE findings (
    event_id uuid NOT NULL,
    ordinal integer NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    rule text NOT NULL,
    severity text NOT NULL,
    tag text,
    section text,
    text text NOT NULL,
    PRIMARY KEY (event_id, ordinal)
);

-- imaging.instance.derived -------------------------------------------------------------------------------------------

CREATE TABLE derivations (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    generation integer NOT NULL,
    source_size bigint NOT NULL,
    notes jsonb NOT NULL,
    derived_at timestamptz NOT NULL,
    provenance jsonb NOT NULL
);
CREATE INDEX derivations_of_instance ON derivations (tenant, digest, generation DESC);

CREATE TABLE derivatives (
    event_id uuid NOT NULL,
    ordinal integer NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    media_type text NOT NULL,
    transfer_syntax_uid text,
    rows integer NOT NULL,
    columns integer NOT NULL,
    store text NOT NULL,
    object_key text NOT NULL,
    version_id text,
    first_byte bigint NOT NULL,
    length bigint NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    encryption jsonb,
    frames jsonb NOT NULL,
    PRIMARY KEY (event_id, ordinal)
);

-- imaging.study.revision ---------------------------------------------------------------------------------------------

-- State with a sequence: a revision that is here already is ignored, a gap stops the consumer.
CREATE TABLE study_revisions (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    revision integer NOT NULL,
    event_id uuid NOT NULL,
    instance_count integer NOT NULL,
    set_digest text NOT NULL,
    manifest jsonb NOT NULL,
    covers jsonb NOT NULL,
    first_received_at timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    decided_at timestamptz NOT NULL,
    provenance jsonb NOT NULL,
    PRIMARY KEY (tenant, study_uid, revision)
);

-- imaging.audit.event ------------------------------------------------------------------------------------------------

CREATE TABLE audit (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    site text NOT NULL,
    subject text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    attributes jsonb NOT NULL,
    occurred_at timestamptz NOT NULL
);
CREATE INDEX audit_by_time ON audit (tenant, occurred_at);
