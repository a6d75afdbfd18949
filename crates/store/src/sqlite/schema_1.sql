-- Version 1. Tables are STRICT; what may not change is guarded by triggers.

-- One row per tenant: the number that its rows carry, and the head of its log.
CREATE TABLE logs (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL UNIQUE,
    seq    INTEGER NOT NULL,
    hash   BLOB NOT NULL
) STRICT;

-- `position` is the log's number times 2^40 plus `seq`, so that the entries of
-- one log are neighbours in the table and no second index is needed for them.
CREATE TABLE entries (
    position       INTEGER PRIMARY KEY,
    log            INTEGER NOT NULL REFERENCES logs (number),
    id             BLOB NOT NULL,
    stream         TEXT NOT NULL,
    stream_version INTEGER NOT NULL,
    kind           TEXT NOT NULL,
    category       TEXT NOT NULL,
    at             INTEGER NOT NULL,
    actor          TEXT NOT NULL,
    trace_id       TEXT NOT NULL,
    causation      BLOB,
    subject        TEXT,
    directive      TEXT,
    snapshot       TEXT,
    payload        TEXT NOT NULL,
    payload_hash   BLOB NOT NULL,
    prev_hash      BLOB NOT NULL,
    hash           BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX entries_id ON entries (log, id);
CREATE UNIQUE INDEX entries_stream ON entries (log, stream, stream_version);
CREATE INDEX entries_kind ON entries (log, kind);
CREATE INDEX entries_trace ON entries (log, trace_id);
CREATE INDEX entries_subject ON entries (log, subject) WHERE subject IS NOT NULL;
CREATE INDEX entries_directive ON entries (log, directive) WHERE directive IS NOT NULL;

CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
-- REPLACE deletes without firing the trigger above unless the connection asks
-- for recursive triggers; this one holds on every connection.
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE position = NEW.position)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- Current states: a fold of entries, written in the same transaction.
CREATE TABLE documents (
    log         INTEGER NOT NULL REFERENCES logs (number),
    stream      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL,
    status      TEXT NOT NULL,
    subject     TEXT,
    directive   TEXT,
    due_at      INTEGER,
    body        TEXT NOT NULL,
    PRIMARY KEY (log, stream)
) STRICT;
CREATE INDEX documents_kind ON documents (log, kind, created_seq);
CREATE INDEX documents_due ON documents (due_at) WHERE due_at IS NOT NULL;

-- Large bodies, by digest.
CREATE TABLE objects (
    log    INTEGER NOT NULL REFERENCES logs (number),
    digest BLOB NOT NULL,
    bytes  BLOB NOT NULL,
    PRIMARY KEY (log, digest)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER objects_no_update BEFORE UPDATE ON objects
BEGIN SELECT RAISE(ABORT, 'objects are immutable'); END;
