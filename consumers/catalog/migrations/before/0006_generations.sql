-- Generations, and which of them are current. A replay makes a candidate: beside the others, and current once its
-- generation is switched to. The switch may be read before or after the rows that it concerns.

-- imaging.step.generation: the claim of a number, and each phase that a replay comes to.
CREATE TABLE generations (
    event_id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    step text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    phase text NOT NULL,
    digest text NOT NULL,
    build text NOT NULL,
    config_digest text NOT NULL,
    models jsonb NOT NULL,
    replay jsonb, -- null for the generation of a service
    said_at timestamptz NOT NULL
);
CREATE INDEX generations_switched ON generations (tenant, step, number) WHERE phase = 'switched';

-- True where only the topic of replays has it; false for good once its own topic has it as well.
ALTER TABLE verdicts ADD COLUMN candidate boolean NOT NULL DEFAULT false;
ALTER TABLE derivations ADD COLUMN candidate boolean NOT NULL DEFAULT false;

-- What a step says, without candidates that nobody has switched to.
CREATE VIEW effective_verdicts AS
SELECT v.* FROM verdicts v
WHERE NOT v.candidate OR EXISTS (
    SELECT FROM generations g
    WHERE g.tenant = v.tenant AND g.step = v.step AND g.number = v.generation AND g.phase = 'switched'
);

CREATE VIEW effective_derivations AS
SELECT d.* FROM derivations d
WHERE NOT d.candidate OR EXISTS (
    SELECT FROM generations g
    WHERE g.tenant = d.tenant AND g.step = 'derive' AND g.number = d.generation AND g.phase = 'switched'
);

-- Of several generations of a step the highest; should one generation say both, held wins.
CREATE OR REPLACE VIEW current_verdicts AS
SELECT v.* FROM effective_verdicts v
WHERE NOT EXISTS (
    SELECT FROM effective_verdicts other
    WHERE other.tenant = v.tenant AND other.digest = v.digest AND other.step = v.step
        AND (other.generation, other.verdict, other.event_id) > (v.generation, v.verdict, v.event_id)
);

CREATE OR REPLACE VIEW current_derivations AS
SELECT d.* FROM effective_derivations d
WHERE NOT EXISTS (
    SELECT FROM effective_derivations other
    WHERE other.tenant = d.tenant AND other.digest = d.digest
        AND (other.generation, other.event_id) > (d.generation, d.event_id)
);
