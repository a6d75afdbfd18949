-- Version 1. All of writ's tables stand in the schema `writ`. Texts compare
-- byte by byte, whatever the database's locale.

CREATE SCHEMA IF NOT EXISTS writ;
REVOKE ALL ON SCHEMA writ FROM PUBLIC;
GRANT USAGE ON SCHEMA writ TO writ_app;

CREATE TABLE writ.migrations (
    version integer PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now()
);

-- One row per tenant: the head of its log.
CREATE TABLE writ.logs (
    tenant uuid PRIMARY KEY,
    seq    bigint NOT NULL CHECK (seq > 0),
    hash   bytea NOT NULL CHECK (octet_length(hash) = 32)
) WITH (fillfactor = 50);

-- That a tenant's rows have a head is seen to by `move_head`, which every
-- append begins with; a constraint would be a search for each row.
CREATE TABLE writ.entries (
    tenant         uuid NOT NULL,
    seq            bigint NOT NULL,
    id             uuid NOT NULL,
    stream         text COLLATE "C" NOT NULL,
    stream_version bigint NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    category       text COLLATE "C" NOT NULL,
    at             bigint NOT NULL,
    actor          text COLLATE "C" NOT NULL,
    trace_id       uuid NOT NULL,
    causation      uuid,
    subject        text COLLATE "C",
    directive      uuid,
    snapshot       bytea,
    payload        text COLLATE "C" NOT NULL,
    payload_hash   bytea NOT NULL,
    prev_hash      bytea NOT NULL,
    hash           bytea NOT NULL,
    PRIMARY KEY (tenant, seq)
);
CREATE UNIQUE INDEX entries_id ON writ.entries (tenant, id);
-- Every key ends with the position, so that a page of any listing is a walk
-- along one index in the order of the log; where a key goes on with the kind,
-- it is one walk for each kind.
CREATE INDEX entries_stream ON writ.entries (tenant, stream, seq);
CREATE INDEX entries_kind ON writ.entries (tenant, category, kind, seq);
CREATE INDEX entries_actor ON writ.entries (tenant, actor, kind, seq);
CREATE INDEX entries_trace ON writ.entries (tenant, trace_id, seq);
CREATE INDEX entries_subject ON writ.entries (tenant, subject, kind, seq)
    WHERE subject IS NOT NULL;
CREATE INDEX entries_subject_actor ON writ.entries (tenant, subject, actor, kind, seq)
    WHERE subject IS NOT NULL;
CREATE INDEX entries_directive ON writ.entries (tenant, directive, seq)
    WHERE directive IS NOT NULL;

-- Current states: a fold of entries, written in the same transaction.
CREATE TABLE writ.documents (
    tenant      uuid NOT NULL,
    stream      text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    version     bigint NOT NULL,
    created_seq bigint NOT NULL,
    updated_seq bigint NOT NULL,
    status      text COLLATE "C" NOT NULL,
    subject     text COLLATE "C",
    directive   uuid,
    due_at      bigint,
    body        text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, stream)
) WITH (fillfactor = 80);
CREATE INDEX documents_kind ON writ.documents (tenant, kind, created_seq);

-- When which stream of any tenant is due. It says no more than that, so that
-- the scheduler can look across tenants without the right to read their rows.
CREATE TABLE writ.due (
    tenant uuid NOT NULL,
    stream text COLLATE "C" NOT NULL,
    at     bigint NOT NULL,
    PRIMARY KEY (tenant, stream)
);
CREATE INDEX due_at ON writ.due (at, tenant, stream);

-- Large bodies, by digest.
CREATE TABLE writ.objects (
    tenant uuid NOT NULL REFERENCES writ.logs (tenant),
    digest bytea NOT NULL,
    bytes  bytea NOT NULL,
    PRIMARY KEY (tenant, digest)
);

-- The Merkle tree over each log's entry hashes, in tiles, and the spans of
-- time of its full tiles. Both follow from the entries.
CREATE TABLE writ.tiles (
    tenant uuid NOT NULL REFERENCES writ.logs (tenant),
    level  smallint NOT NULL,
    number bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (tenant, level, number)
);
CREATE TABLE writ.spans (
    tenant uuid NOT NULL REFERENCES writ.logs (tenant),
    level  smallint NOT NULL,
    number bigint NOT NULL,
    at_min bigint NOT NULL,
    at_max bigint NOT NULL,
    PRIMARY KEY (tenant, level, number)
);

-- What is appended stays, whoever asks: triggers hold for the owner, too, and
-- ALWAYS holds in a session that plays a replica.
CREATE FUNCTION writ.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % on `%` is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'WR002';
END $$;
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['entries', 'objects', 'spans'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON writ.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION writ.refuse_change()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['logs', 'documents', 'tiles'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON writ.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION writ.refuse_change()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['entries', 'objects', 'spans', 'logs', 'documents', 'tiles'] LOOP
        EXECUTE format('ALTER TABLE writ.%I ENABLE ALWAYS TRIGGER append_only', name);
    END LOOP;
END $$;

-- Moves a log's head from where it was expected; the row stays locked until
-- the transaction ends. SQLSTATE WR001 says that the head stands elsewhere.
CREATE FUNCTION writ.move_head(
    of_tenant uuid, from_seq bigint, from_hash bytea, to_seq bigint, to_hash bytea
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_seq <= from_seq THEN
        RAISE EXCEPTION 'a head moves forward only' USING ERRCODE = 'WR002';
    ELSIF from_seq = 0 THEN
        INSERT INTO writ.logs (tenant, seq, hash) VALUES (of_tenant, to_seq, to_hash)
        ON CONFLICT (tenant) DO NOTHING;
    ELSE
        UPDATE writ.logs SET seq = to_seq, hash = to_hash
        WHERE tenant = of_tenant AND seq = from_seq AND hash = from_hash;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the log has moved on' USING ERRCODE = 'WR001';
    END IF;
END $$;

-- The tenant that the transaction works for; NULL, which equals nothing, when
-- it has not said.
CREATE FUNCTION writ.tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('writ.tenant', true), '')::uuid
$$;

-- Row-level security: a transaction sees and writes the rows of its tenant.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['entries', 'documents', 'objects', 'tiles', 'spans'] LOOP
        EXECUTE format('CREATE POLICY of_tenant ON writ.%I '
            'USING (tenant = writ.tenant()) WITH CHECK (tenant = writ.tenant())', name);
    END LOOP;
    -- Which tenants there are, where their logs end, and what is due is read
    -- across tenants; it is written for one's own only.
    FOREACH name IN ARRAY ARRAY['logs', 'due'] LOOP
        EXECUTE format('CREATE POLICY across ON writ.%I FOR SELECT USING (true)', name);
        EXECUTE format('CREATE POLICY adds ON writ.%I FOR INSERT WITH CHECK (tenant = writ.tenant())', name);
        EXECUTE format('CREATE POLICY changes ON writ.%I FOR UPDATE USING (tenant = writ.tenant())', name);
        EXECUTE format('CREATE POLICY removes ON writ.%I FOR DELETE USING (tenant = writ.tenant())', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['entries', 'documents', 'objects', 'tiles', 'spans', 'logs', 'due'] LOOP
        EXECUTE format('ALTER TABLE writ.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE writ.%I FORCE ROW LEVEL SECURITY', name);
    END LOOP;
END $$;

GRANT SELECT ON writ.migrations TO writ_app;
GRANT SELECT, INSERT ON writ.entries, writ.objects, writ.spans TO writ_app;
GRANT SELECT, INSERT, UPDATE ON writ.logs, writ.documents, writ.tiles TO writ_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON writ.due TO writ_app;
