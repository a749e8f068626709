-- Storage commitment (PS3.4 annex J): what senders asked to be committed, what came of it, and whether they know.

-- imaging.commitment.request -----------------------------------------------------------------------------------------

-- One Transaction UID may be in several requests of one sender; the first has it, the others are told so.
CREATE TABLE commitment_requests (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    site text NOT NULL,
    transaction_uid text COLLATE "C" NOT NULL,
    calling_ae text COLLATE "C" NOT NULL,
    called_ae text NOT NULL,
    association text NOT NULL,
    instances integer NOT NULL,
    refs jsonb NOT NULL, -- [{sop_class_uid, sop_instance_uids}]
    requested_at timestamptz NOT NULL
);
CREATE INDEX commitment_requests_by_transaction ON commitment_requests (tenant, calling_ae, transaction_uid);
CREATE INDEX commitment_requests_by_time ON commitment_requests (tenant, requested_at, event_id);

-- imaging.commitment.result ------------------------------------------------------------------------------------------

CREATE TABLE commitment_results (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    transaction_uid text COLLATE "C" NOT NULL,
    request_event_id uuid NOT NULL,
    copies integer NOT NULL, -- verified copies that each committed instance had at least
    committed integer NOT NULL,
    failed integer NOT NULL,
    failures jsonb NOT NULL, -- [{reason, sop_class_uid, sop_instance_uids}]: what is not here was committed
    decided_at timestamptz NOT NULL,
    provenance jsonb NOT NULL
);
CREATE INDEX commitment_results_of_request ON commitment_results (request_event_id);

-- imaging.commitment.report ------------------------------------------------------------------------------------------

-- At most one of each outcome for a request: what was abandoned may be delivered when the sender asks again.
CREATE TABLE commitment_reports (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    transaction_uid text COLLATE "C" NOT NULL,
    request_event_id uuid NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    node text,
    status integer,
    detail text NOT NULL,
    said_at timestamptz NOT NULL
);
CREATE INDEX commitment_reports_of_request ON commitment_reports (request_event_id, outcome);

-- Every request with what became of it; `standing` is waiting, judged, delivered or abandoned.
CREATE VIEW commitments AS
SELECT q.event_id, q.tenant, q.transaction_uid, q.calling_ae, q.requested_at, q.instances, q.refs,
    r.decided_at, r.copies, r.committed, r.failed, r.failures,
    CASE
        WHEN d.event_id IS NOT NULL THEN 'delivered'
        WHEN a.event_id IS NOT NULL THEN 'abandoned'
        WHEN r.event_id IS NOT NULL THEN 'judged'
        ELSE 'waiting'
    END AS standing,
    coalesce(d.node, a.node) AS node, coalesce(d.said_at, a.said_at) AS said_at,
    CASE WHEN d.event_id IS NULL THEN a.detail END AS why
FROM commitment_requests q
LEFT JOIN commitment_results r ON r.request_event_id = q.event_id
LEFT JOIN commitment_reports d ON d.request_event_id = q.event_id AND d.outcome = 'delivered'
LEFT JOIN commitment_reports a ON a.request_event_id = q.event_id AND a.outcome = 'abandoned';
