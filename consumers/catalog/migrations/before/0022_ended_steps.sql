-- What ends a scheduled step beside a performed one that names it in full: that one which leaves its ID out, or the
-- study's UID, and a RIS that says an order is completed.

CREATE INDEX mpps_scheduled_by_accession ON mpps_scheduled (tenant, accession_number, step_id);

-- As before (0008), and: that an order is completed says nothing of whether it stands, and states nothing anew.
CREATE OR REPLACE VIEW orders AS
SELECT o.*, coalesce(given.stated_uid, o.stated_uid) AS study_uid, last.action <> 'cancelled' AS standing,
    last.actor AS last_actor, last.commanded_at AS last_at
FROM order_commands o
CROSS JOIN LATERAL (
    SELECT c.action, c.actor, c.commanded_at FROM order_commands c
    WHERE c.tenant = o.tenant AND c.order_id = o.order_id AND c.action <> 'completed'
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

-- The steps of each statement of an order, and since when until when it held: what is performed is one of those that
-- were ordered when it began, whatever became of the others since. Both times are those of our own services.
CREATE VIEW ordered_steps AS
SELECT t.event_id, t.place, t.step_id, c.tenant, c.order_id, coalesce(given.stated_uid, c.stated_uid) AS study_uid,
    c.accession_number, c.accession_issuer, c.procedure_id, c.commanded_at AS since, next.commanded_at AS until
FROM order_commands c
JOIN scheduled_steps t ON t.event_id = c.event_id
LEFT JOIN LATERAL (
    SELECT g.stated_uid FROM order_commands g
    WHERE g.tenant = c.tenant AND g.order_id = c.order_id AND NOT g.stated_uid_made AND g.stated_uid IS NOT NULL
        AND g.record_offset <= c.record_offset
    ORDER BY g.record_offset DESC LIMIT 1
) AS given ON true
LEFT JOIN LATERAL (
    SELECT n.commanded_at FROM order_commands n
    WHERE n.tenant = c.tenant AND n.order_id = c.order_id AND (n.action = 'cancelled' OR n.stated_uid IS NOT NULL)
        AND n.record_offset > c.record_offset
    ORDER BY n.record_offset LIMIT 1
) AS next ON true
WHERE c.stated_uid IS NOT NULL;

-- As before (0011), and:
-- A performed step that names no scheduled one (Type 2 in N-CREATE) is for the only one of its study; of several it is
-- for none, as nobody can say which.
-- One whose Study Instance UID is no other order's is for the only step with its accession number and step ID, as a
-- study is (order_studies), unless it says that procedure, issuer or patient is another. That of an import is for none:
-- its decision says it.
-- What a RIS says is completed since the order was stated last is: the steps that it names, else all. A name that was
-- never a step's is the order's own, and ends its only one.
CREATE OR REPLACE VIEW current_steps AS
SELECT s.*, o.study_uid, o.standing, p.mpps_uid, CASE
        WHEN EXISTS (SELECT FROM current_imports c WHERE c.tenant = s.tenant AND c.order_id = s.order_id)
        THEN 'completed'
        WHEN EXISTS (
            SELECT FROM order_commands c
            WHERE c.tenant = s.tenant AND c.order_id = s.order_id AND c.action = 'completed'
                AND c.record_offset > o.record_offset
                AND (
                    EXISTS (SELECT FROM scheduled_steps n WHERE n.event_id = c.event_id AND n.step_id = s.step_id)
                    OR NOT EXISTS (SELECT FROM scheduled_steps n WHERE n.event_id = c.event_id)
                    OR NOT EXISTS (
                        SELECT FROM scheduled_steps other WHERE other.event_id = s.event_id AND other.place <> s.place
                    ) AND NOT EXISTS (
                        SELECT FROM scheduled_steps n
                        JOIN ordered_steps t ON t.tenant = n.tenant AND t.order_id = n.order_id
                        WHERE n.event_id = c.event_id AND (n.step_id = t.step_id) IS NOT FALSE
                    )
                )
        )
        THEN 'completed' ELSE p.status
    END AS performed
FROM scheduled_steps s
JOIN orders o USING (tenant, order_id, event_id)
LEFT JOIN LATERAL (
    SELECT p.mpps_uid, p.status
    FROM (
        SELECT m.mpps_uid, m.event_id, false AS by_number
        FROM mpps_scheduled m
        WHERE m.tenant = s.tenant AND m.study_uid = o.study_uid AND m.step_id = s.step_id
        UNION ALL
        SELECT m.mpps_uid, m.event_id, false
        FROM mpps_scheduled m
        JOIN mpps_events began ON began.event_id = m.event_id
        CROSS JOIN LATERAL (
            SELECT min(t.order_id) AS order_id, min(t.step_id) AS step_id
            FROM ordered_steps t
            WHERE t.tenant = m.tenant AND t.study_uid = m.study_uid AND t.order_id IN (
                    SELECT c.order_id FROM order_commands c WHERE c.tenant = m.tenant AND c.stated_uid = m.study_uid
                )
                AND t.since <= began.said_at AND (t.until > began.said_at) IS NOT FALSE
            HAVING count(*) = 1
        ) AS sole
        WHERE m.tenant = s.tenant AND m.study_uid = o.study_uid AND m.step_id IS NULL
            AND sole.order_id = s.order_id AND sole.step_id = s.step_id
        UNION ALL
        SELECT m.mpps_uid, m.event_id, true
        FROM mpps_scheduled m
        JOIN mpps_events began ON began.event_id = m.event_id
        CROSS JOIN LATERAL (
            SELECT began.data_set->'00400270'->'Value'->m.place->'00080051'->'Value'->0 AS item
        ) AS issuer
        CROSS JOIN LATERAL (
            SELECT min(t.order_id) AS order_id
            FROM ordered_steps t
            WHERE t.tenant = m.tenant AND t.accession_number = m.accession_number AND t.step_id = m.step_id
                AND (t.procedure_id = m.procedure_id) IS NOT FALSE
                AND (t.accession_issuer = coalesce(
                    issuer.item->'00400031'->'Value'->>0, issuer.item->'00400032'->'Value'->>0
                )) IS NOT FALSE
                AND t.since <= began.said_at AND (t.until > began.said_at) IS NOT FALSE
            HAVING count(*) = 1
        ) AS sole
        WHERE m.tenant = s.tenant AND m.accession_number = o.accession_number AND m.step_id = s.step_id
            AND m.study_uid <> o.study_uid AND sole.order_id = s.order_id
            AND NOT EXISTS (
                SELECT FROM order_commands c
                WHERE c.tenant = s.tenant AND c.stated_uid = m.study_uid AND c.order_id <> s.order_id
            )
            AND NOT EXISTS (
                SELECT FROM import_decisions d WHERE d.tenant = s.tenant AND d.study_uid = m.study_uid
            )
    ) AS said
    JOIN performed_steps p ON p.tenant = s.tenant AND p.mpps_uid = said.mpps_uid AND p.event_id = said.event_id
    CROSS JOIN LATERAL (
        SELECT coalesce(p.data_set->'00100020'->'Value'->>0, '') AS id,
            coalesce(p.data_set->'00100021'->'Value'->>0, '') AS issuer
    ) AS patient
    WHERE NOT said.by_number OR (
        patient.id IN (o.patient_id, '')
        AND (patient.issuer IN (coalesce(o.patient_issuer, ''), '') OR coalesce(o.patient_issuer, '') = '')
    )
    ORDER BY p.status = 'completed' DESC, p.said_at DESC, p.mpps_uid LIMIT 1
) AS p ON true;
