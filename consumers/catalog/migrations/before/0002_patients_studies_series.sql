-- What received events and their protected blocks say of patients, studies and series.

-- 'erased' is a tombstone: nobody can say any more what the block said. 'unreadable' is damage: restore, then rebuild.
CREATE TYPE block_state AS ENUM ('open', 'erased', 'unreadable');

-- What each block says, decrypted; attributes is null unless the block is open.
CREATE TABLE blocks (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    series_uid text COLLATE "C" NOT NULL, -- empty for a block of a study
    block_id text COLLATE "C" NOT NULL,
    store text NOT NULL,
    object_key text NOT NULL,
    state block_state NOT NULL,
    attributes jsonb,
    PRIMARY KEY (tenant, study_uid, series_uid, block_id)
);

-- A patient is an issuer and a Patient ID. A study without an ID has a patient of its own: nothing says whose it is.
-- Of several studies the latest by study date names the patient; spoken_by is that order.
CREATE TABLE patients (
    tenant text COLLATE "C" NOT NULL,
    patient_key text COLLATE "C" NOT NULL,
    issuer text NOT NULL,
    patient_id text NOT NULL,
    name text NOT NULL,
    birth_date text NOT NULL,
    sex text NOT NULL,
    spoken_by text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, patient_key)
);
-- A hash index has no limit to the length of a value, and senders keep to none.
CREATE INDEX patients_by_id ON patients USING hash (patient_id);

-- The earliest received instance that has a block speaks for a study and for a series; spoken_by is that order. One
-- that comes late, with another name in it, changes nothing.
CREATE TABLE studies (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    patient_key text COLLATE "C",
    block_id text COLLATE "C",
    block_state block_state, -- null where there is no block
    study_date date,
    study_time text,
    study_id text,
    accession_number text,
    description text,
    referring_physician text,
    first_received_at timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    spoken_by text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, study_uid)
);
-- Keyset pagination, newest first; studies without a date come last.
CREATE INDEX studies_by_date ON studies (tenant, coalesce(study_date, '-infinity'::date) DESC, study_uid DESC);
CREATE INDEX studies_of_patient
    ON studies (tenant, patient_key, coalesce(study_date, '-infinity'::date) DESC, study_uid DESC);
CREATE INDEX studies_by_accession ON studies USING hash (accession_number);

CREATE TABLE series (
    tenant text COLLATE "C" NOT NULL,
    study_uid text COLLATE "C" NOT NULL,
    series_uid text COLLATE "C" NOT NULL,
    block_id text COLLATE "C",
    block_state block_state, -- null where there is no block
    modality text,
    body_part text,
    series_number bigint,
    description text,
    first_received_at timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    spoken_by text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, study_uid, series_uid)
);
