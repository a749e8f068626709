-- What was ordered, and how modalities say that they perform it.

-- imaging.order.command ----------------------------------------------------------------------------------------------

-- Every command. All of one order are in one partition, so the offset says which came last; a second record of one
-- event comes after the first, and changes nothing.
CREATE TABLE order_commands (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    record_offset bigint NOT NULL,
    action text NOT NULL,
    actor text NOT NULL,
    site text NOT NULL,
    lane lane NOT NULL,
    priority text NOT NULL,
    stated_uid_made boolean NOT NULL,
    stated_uid text COLLATE "C", -- this and what follows is null in a cancellation
    block_id text COLLATE "C",
    block_state block_state,
    accession_number text COLLATE "C", -- this and what follows is null unless the block is open
    accession_issuer text COLLATE "C",
    procedure_id text COLLATE "C",
    patient_id text COLLATE "C",
    patient_issuer text COLLATE "C",
    attributes jsonb,
    commanded_at timestamptz NOT NULL
);
CREATE INDEX order_commands_of_order ON order_commands (tenant, order_id, record_offset DESC);
CREATE INDEX order_commands_of_study ON order_commands (tenant, stated_uid);
CREATE INDEX order_commands_by_accession ON order_commands USING hash (accession_number);

-- The steps that a command states.
CREATE TABLE scheduled_steps (
    event_id uuid NOT NULL,
    place integer NOT NULL, -- in the command, from 0
    tenant text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    modality text COLLATE "C",
    station_aes jsonb NOT NULL,
    start_date date,
    start_time text COLLATE "C",
    block_id text COLLATE "C" NOT NULL,
    block_state block_state NOT NULL,
    step_id text COLLATE "C",
    attributes jsonb,
    PRIMARY KEY (event_id, place)
);
CREATE INDEX scheduled_steps_by_date ON scheduled_steps (tenant, start_date, order_id, place);

-- imaging.mpps.event -------------------------------------------------------------------------------------------------

CREATE TABLE mpps_events (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    mpps_uid text COLLATE "C" NOT NULL,
    record_offset bigint NOT NULL,
    action text NOT NULL,
    status text NOT NULL,
    calling_ae text NOT NULL,
    modality text COLLATE "C",
    study_uids jsonb NOT NULL,
    series jsonb NOT NULL,
    block_id text COLLATE "C" NOT NULL,
    block_state block_state NOT NULL,
    data_set jsonb, -- DICOM JSON model; null unless the block is open
    said_at timestamptz NOT NULL
);
CREATE INDEX mpps_events_of_step ON mpps_events (tenant, mpps_uid, record_offset);

-- What a created step says it is for: items of its Scheduled Step Attributes Sequence.
CREATE TABLE mpps_scheduled (
    event_id uuid NOT NULL,
    place integer NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    mpps_uid text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    accession_number text COLLATE "C",
    procedure_id text COLLATE "C",
    step_id text COLLATE "C",
    PRIMARY KEY (event_id, place)
);
CREATE INDEX mpps_scheduled_of_study ON mpps_scheduled (tenant, study_uid);

CREATE AGGREGATE merged(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb, INITCOND = '{}');

-- A performed procedure step as it stands: what was created first, then set, up to the first final status, which is
-- its last word (PS3.4 section F.7).
CREATE VIEW performed_steps AS
SELECT c.tenant, c.mpps_uid, c.event_id, c.calling_ae, c.modality, c.study_uids, said.status, said.block_state,
    said.data_set, c.said_at AS started_at, said.said_at
FROM mpps_events c
CROSS JOIN LATERAL (
    SELECT (array_agg(e.status ORDER BY e.record_offset DESC))[1] AS status, max(e.block_state) AS block_state,
        merged(coalesce(e.data_set, '{}') ORDER BY e.record_offset) AS data_set, max(e.said_at) AS said_at
    FROM mpps_events e
    WHERE e.tenant = c.tenant AND e.mpps_uid = c.mpps_uid AND (e.action = 'set' OR e.event_id = c.event_id)
        AND e.record_offset >= c.record_offset
        AND NOT EXISTS (
            SELECT FROM mpps_events f
            WHERE f.tenant = e.tenant AND f.mpps_uid = e.mpps_uid AND f.action = 'set'
                AND f.status IN ('completed', 'discontinued')
                AND f.record_offset > c.record_offset AND f.record_offset < e.record_offset
        )
) AS said
WHERE c.action = 'created' AND NOT EXISTS (
    SELECT FROM mpps_events other
    WHERE other.tenant = c.tenant AND other.mpps_uid = c.mpps_uid AND other.action = 'created'
        AND other.record_offset < c.record_offset
);

-- What is current ----------------------------------------------------------------------------------------------------

-- An order is what its last command but cancellations states. It stands unless its last command is a cancellation. A
-- change that gives no Study Instance UID leaves the one that was given before.
CREATE VIEW orders AS
SELECT o.*, coalesce(given.stated_uid, o.stated_uid) AS study_uid, last.action <> 'cancelled' AS standing,
    last.actor AS last_actor, last.commanded_at AS last_at
FROM order_commands o
CROSS JOIN LATERAL (
    SELECT c.action, c.actor, c.commanded_at FROM order_commands c
    WHERE c.tenant = o.tenant AND c.order_id = o.order_id
    ORDER BY c.record_offset DESC LIMIT 1
) AS last
LEFT JOIN LATERAL (
    SELECT c.stated_uid FROM order_commands c
    WHERE c.tenant = o.tenant AND c.order_id = o.order_id AND NOT c.stated_uid_made AND c.stated_uid IS NOT NULL
        AND c.record_offset <= o.record_offset
    ORDER BY c.record_offset DESC LIMIT 1
) AS given ON true
WHERE o.stated_uid IS NOT NULL AND NOT EXISTS (
    SELECT FROM order_commands later
    WHERE later.tenant = o.tenant AND later.order_id = o.order_id AND later.stated_uid IS NOT NULL
        AND later.record_offset > o.record_offset
);

-- The steps of an order with the performed step that says most of each: a completed one, else the latest.
CREATE VIEW current_steps AS
SELECT s.*, o.study_uid, o.standing, p.mpps_uid, p.status AS performed
FROM scheduled_steps s
JOIN orders o USING (tenant, order_id, event_id)
LEFT JOIN LATERAL (
    SELECT p.mpps_uid, p.status
    FROM mpps_scheduled m JOIN performed_steps p USING (tenant, mpps_uid, event_id)
    WHERE m.tenant = s.tenant AND m.study_uid = o.study_uid AND m.step_id = s.step_id
    ORDER BY p.status = 'completed' DESC, p.said_at DESC, p.mpps_uid LIMIT 1
) AS p ON true;

-- Which study was made for which order. The Study Instance UID says it; where a modality made one of its own, the
-- accession number does, with the patient: numbers of both are unique with their issuer alone, and a study that names
-- no issuer is of the site's own patients.
CREATE VIEW order_studies AS
SELECT o.tenant, o.order_id, s.study_uid, true AS by_uid
FROM studies s
JOIN order_commands c ON c.tenant = s.tenant AND c.stated_uid = s.study_uid
JOIN orders o ON o.tenant = c.tenant AND o.order_id = c.order_id AND o.study_uid = s.study_uid
UNION
SELECT o.tenant, o.order_id, s.study_uid, s.study_uid = o.study_uid AS by_uid
FROM orders o
JOIN studies s ON s.tenant = o.tenant AND s.accession_number = o.accession_number
JOIN patients p ON p.tenant = s.tenant AND p.patient_key = s.patient_key
WHERE p.patient_id = o.patient_id
    AND (p.issuer = coalesce(o.patient_issuer, '') OR p.issuer = '' OR coalesce(o.patient_issuer, '') = '');
